//! One token exchange, from the request to the answer. This page is the page to read first.
//!
//! An exchange passes eight stages. Each stage is a type, and its constructor takes the value of the stage before. So
//! the compiler checks that no stage is left out and that no two stages change places.
//!
//! ```text
//! Presented → Authenticated → Resolved → Validated → Bounded → StillValid → Decided → Issued
//! ```
//!
//! The first stage that finds a problem ends the exchange with a refusal. No rule is on this page: each stage calls the
//! module that has the rules.

mod observer;
mod stages;

pub(crate) use observer::Observer;
pub(crate) use stages::{Authenticated, Bounded, Decided, Issued, Presented, Resolved, StillValid, Validated};

use crate::{
    client_auth::Authenticator,
    policy::{PolicyPart, Table},
    protocol::Rejection,
    records::Registry,
    settings::Settings,
    signing::Signer,
    status::StatusChecks,
    token::Verifier,
};
use http::HeaderMap;
use std::sync::Arc;

/// The parts that an exchange asks, with the records and the settings of the layer.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) authenticator: Authenticator,
    pub(crate) verifier: Verifier,
    pub(crate) status: StatusChecks,
    pub(crate) policy: PolicyPart,
    /// The policy once more if the policy is a table of rules, which can explain its decisions.
    pub(crate) table: Option<Table>,
    pub(crate) signer: Signer,
}

impl Exchange {
    /// Runs all eight stages.
    pub(crate) async fn issue(
        &self,
        observer: &mut impl Observer,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Issued, Rejection> {
        let stages = async {
            let decided = self.stages_until_decided(observer, headers, body).await?;

            // 8. The token is signed.
            let issued = Issued::issue(decided, &self.signer, &self.registry, &self.settings.clock).await?;
            observer.issued(&issued);
            Ok(issued)
        };
        self.settings.in_time(stages).await
    }

    /// Runs the stages up to the decision of the policy, for a dry run.
    pub(crate) async fn decide(
        &self,
        observer: &mut impl Observer,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Decided, Rejection> {
        self.settings.in_time(self.stages_until_decided(observer, headers, body)).await
    }

    async fn stages_until_decided(
        &self,
        observer: &mut impl Observer,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Decided, Rejection> {
        let Self { registry, settings, authenticator, verifier, status, policy, .. } = self;

        // 1. The form is read.
        let presented = Presented::read(headers, body)?;
        observer.presented(&presented);

        // 2. The client is authenticated. Nothing is fetched or decoded for a client that is not.
        let authenticated = Authenticated::authenticate(presented, authenticator, registry).await?;
        observer.authenticated(&authenticated);

        // 3. The parameters are resolved against the records: token types, targets, scope.
        let resolved = Resolved::resolve(authenticated, registry, settings.max_targets)?;
        observer.resolved(&resolved);

        // 4. The subject token and the actor token are validated.
        let validated = Validated::validate(resolved, verifier).await?;
        observer.validated(&validated);

        // 5. The records set the bounds: presenter, actor chain, scope, lifetime.
        let bounded = Bounded::bound(validated, registry, settings)?;
        observer.bounded(&bounded);

        // 6. Revocations and the status of the parties are checked.
        let still_valid = StillValid::check(bounded, status).await?;
        observer.still_valid(&still_valid);

        // 7. The policy decides within the bounds.
        let decided =
            Decided::decide(still_valid, policy, settings.strict_scope, |shadow| observer.shadow(shadow)).await?;
        observer.decided(&decided);
        Ok(decided)
    }
}
