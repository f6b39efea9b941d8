use super::{Status, StatusPart, StatusQuery};
use crate::{
    ancestry::{Ancestry, KnownClients, Lineage},
    plug::{Failing, ask},
    protocol::{Reason, Rejection, refuse},
    revocation::Revocations,
};
use std::sync::Arc;

const FAILING: Failing = Failing { unavailable: Reason::StatusUnavailable, panicked: Reason::StatusPanicked };

/// The parts that know whether tokens and parties are still valid.
#[derive(Clone)]
pub(crate) struct StatusChecks {
    pub(crate) revocations: Option<RevocationCheck>,
    pub(crate) status: Option<StatusPart>,
}

/// The store of revocations, and the clients that have a record.
#[derive(Clone)]
pub(crate) struct RevocationCheck {
    pub(crate) store: Revocations,
    pub(crate) clients: Arc<KnownClients>,
}

impl RevocationCheck {
    /// Refuses tokens that were revoked, and tokens that were exchanged for a revoked token. Returns the tokens as the ancestors
    /// of an issued token.
    pub(crate) async fn check(&self, lineage: Lineage<'_>) -> Result<Ancestry, Rejection> {
        lineage.check(&self.store, &self.clients).await
    }
}

impl StatusChecks {
    /// Refuses the exchange if a token was revoked. Returns the ancestors that the issued token names. Without a store of
    /// revocations, no token is refused, and the issued token names nobody.
    pub(crate) async fn check_revocations<'a>(
        &'a self,
        lineage: impl FnOnce(&'a Revocations) -> Result<Lineage<'a>, Rejection>,
    ) -> Result<Option<Ancestry>, Rejection> {
        let Some(revocations) = &self.revocations else { return Ok(None) };
        let ancestry = revocations.check(lineage(&revocations.store)?).await?;
        let (number, limit) = (ancestry.len(), revocations.store.max_ancestors());
        if number > limit {
            let detail = format!("{number} ancestors, and `max_ancestors` of the layer is {limit}");
            return Err(refuse(Reason::TooManyAncestors).with_detail(detail));
        }
        Ok(Some(ancestry))
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
