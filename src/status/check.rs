use super::{Status, StatusPart, StatusQuery};
use crate::{
    plug::{Failing, ask},
    protocol::{Reason, Rejection, refuse},
    revocation::{RevocationPart, is_revoked},
    token::{TokenRole, VerifiedToken},
};

const FAILING: Failing = Failing { unavailable: Reason::StatusUnavailable, panicked: Reason::StatusPanicked };

/// The parts that know whether tokens and parties are still valid.
#[derive(Clone)]
pub(crate) struct StatusChecks {
    pub(crate) revocations: Option<RevocationPart>,
    pub(crate) status: Option<StatusPart>,
}

impl StatusChecks {
    /// Refuses the exchange if one of these tokens was issued by this authorization server and is revoked.
    pub(crate) async fn check_revocations(&self, token: &VerifiedToken, role: TokenRole) -> Result<(), Rejection> {
        let Some(revocations) = self.revocations.as_ref().filter(|_| token.own) else { return Ok(()) };
        let Some(jti) = token.claims.text("jti").ok().flatten() else { return Ok(()) };
        match is_revoked(revocations, jti).await? {
            true => Err(refuse(Reason::TokenRevoked).with_detail(format_args!("{} token, jti `{jti}`", role.as_str()))),
            false => Ok(()),
        }
    }

    /// Asks the status check, if the layer has one.
    pub(crate) async fn check_status(&self, query: impl FnOnce() -> StatusQuery) -> Result<(), Rejection> {
        let Some(status) = &self.status else { return Ok(()) };
        match ask(status, query(), FAILING).await? {
            Status::Good => Ok(()),
            Status::Refused { reason } => Err(refuse(Reason::StatusRefused).with_detail(reason)),
        }
    }

    /// Whether the layer has a status check or a store of revocations.
    pub(crate) fn are_configured(&self) -> bool {
        self.status.is_some() || self.revocations.is_some()
    }
}
