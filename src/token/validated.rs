use super::{TokenRole, VerifiedToken, Verifier};
use crate::{
    client_auth::Resolved,
    protocol::{Reason, Rejection, refuse},
};

/// The fourth stage: a request whose tokens are good. Whether they may be used together is still open.
#[derive(Debug)]
pub(crate) struct Validated {
    pub(crate) admitted: Resolved,
    pub(crate) subject: VerifiedToken,
    pub(crate) actor: Option<VerifiedToken>,
}

impl Validated {
    pub(crate) async fn by(verifier: &Verifier, admitted: Resolved) -> Result<Self, Rejection> {
        let subject = verifier.verify(&admitted.subject, TokenRole::Subject).await?;
        if subject.claims.contains("authorization_details") {
            return Err(refuse(Reason::AuthorizationDetailsUnsupported));
        }
        let actor = match &admitted.actor {
            Some(declared) => Some(verifier.verify(declared, TokenRole::Actor).await?),
            None => None,
        };
        Ok(Self { admitted, subject, actor })
    }
}
