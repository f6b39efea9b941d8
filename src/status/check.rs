use super::{Status, StatusPart, StatusQuery};
use crate::{
    plug::{Failing, ask},
    protocol::{Reason, Rejection, refuse},
    revocation::{RevocationPart, is_revoked},
    token::VerifiedToken,
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
    pub(crate) async fn check_revocations(
        &self,
        tokens: impl Iterator<Item = &VerifiedToken>,
    ) -> Result<(), Rejection> {
        let Some(revocations) = &self.revocations else { return Ok(()) };
        for token in tokens.filter(|token| token.own) {
            let Some(jti) = token.claims.text("jti").ok().flatten() else { continue };
            if is_revoked(revocations, jti).await? {
                return Err(refuse(Reason::TokenRevoked).with_detail(format_args!("jti `{jti}`")));
            }
        }
        Ok(())
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
