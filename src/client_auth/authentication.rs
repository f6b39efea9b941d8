use crate::protocol::ClientId;

/// The answer of a [`ClientAuthenticator`](super::ClientAuthenticator).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// The credentials are right, and the request is from this client.
    Client(ClientId),
    /// The credentials are wrong.
    Rejected,
}
