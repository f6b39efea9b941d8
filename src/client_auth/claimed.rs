use super::Credentials;
use crate::protocol::{Identification, Rejection, Sender};

/// The client that a request claims to come from. Nothing is checked yet.
#[derive(Debug)]
pub(crate) struct ClaimedClient<'a> {
    pub(super) sender: Sender<'a>,
    /// The parameter `client_id`.
    pub(super) client_id: Option<String>,
    /// The credentials, or the refusal of a request that does not have the credentials of exactly one method.
    pub(super) credentials: Result<Credentials, Rejection>,
}

impl<'a> ClaimedClient<'a> {
    /// Reads the credentials of a request.
    pub(crate) fn read(mut identification: Identification<'a>) -> Self {
        let credentials = Credentials::take(&mut identification);
        let Identification { sender, client_id, .. } = identification;
        Self { sender, client_id, credentials }
    }

    /// The client id of the standard reading of the credentials, or the parameter `client_id`.
    pub(crate) fn id(&self) -> Option<&str> {
        let first_reading = self.credentials.as_ref().ok().and_then(|credentials| credentials.readings().next());
        first_reading.map(|(id, _)| id).or(self.client_id.as_deref())
    }
}
