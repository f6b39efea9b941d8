//! One token exchange, from the request to the issued token. Start reading the crate here.
//!
//! A client has a token and needs another token, which a different service accepts. The client sends a token exchange
//! request (RFC 8693 section 2.1) to the token endpoint. The request has the *subject token*, names the *target* service,
//! and can have a *scope* and an *actor token*. The exchange ends with a new token for the target, or with a refusal.
//!
//! # Stages
//!
//! An exchange passes ten stages, in this order:
//!
//! | stage | proves that | checks in |
//! |---|---|---|
//! | [`Presented`] | the request is a form that can be read in only one way | [`protocol`](crate::protocol) |
//! | [`Authenticated`] | the client is authenticated and may use the exchange grant | [`client_auth`](crate::client_auth) |
//! | [`Proven`] | the proofs of possession are genuine, fresh, and used for the first time | [`proof`](crate::proof) |
//! | [`Resolved`] | the requested targets and token types are in the records, and the client may ask for the targets | [`authority`](crate::authority) |
//! | [`Validated`] | the subject token and the actor token are valid and meant for this server | [`token`](crate::token) |
//! | [`Bounded`] | the records and the tokens allow an exchange; the *ceiling* is known, which is the largest scope and lifetime | [`authority`](crate::authority) |
//! | [`StillValid`] | no token and no ancestor of a token is revoked, and the status check accepts all parties | [`ancestry`](crate::ancestry), [`status`](crate::status) |
//! | [`Decided`] | the policy allows the exchange, with a grant within the ceiling; the binding of the token is decided | [`policy`](crate::policy), [`proof`](crate::proof) |
//! | [`Signed`] | the new token is signed | [`signing`](crate::signing) |
//! | [`Issued`] | a subject token that may be exchanged once is used up | [`replay`](crate::replay) |
//!
//! The first check that fails ends the exchange with a [`Rejection`]. Each stage calls the module that makes the
//! checks. This file only sets the order.
//!
//! # Budgets
//!
//! Beside the stages, an exchange is taken from the budgets of the peer, of the client and of the subject ([`limits`]), each as
//! soon as it is known. [`Authenticated`] also refuses credentials if too many wrong credentials came before.
//!
//! [`limits`]: crate::limits
//!
//! # Proof
//!
//! Each stage is a type. The only way to make a value of a stage is its constructor, and the constructor takes the value
//! of the stage before. So the compiler checks that no stage is left out and that the order is kept. Every later stage
//! gives access to the findings of the earlier stages.
//!
//! # Before and after
//!
//! The [`service`](crate::service) recognizes a token exchange request, calls [`Exchange::issue`], and writes the
//! answer. An [`Observer`] is told about each stage when the stage is reached: the [`audit`](crate::audit) fills the
//! audit event of the attempt, and [`explain`](crate::explain) explains a dry run, which stops before the token is signed.
//! The client receives the token only after the audit sink has taken the audit event.

mod dry_run;
mod observer;
mod stages;

pub(crate) use observer::Observer;
pub(crate) use stages::{
    Authenticated, Bounded, Decided, Issued, Presented, Proven, Resolved, Signed, StillValid, Validated,
};

use crate::{
    client_auth::Authenticator,
    limits::Budgets,
    policy::{PolicyPart, Table},
    proof::Proofs,
    protocol::{Rejection, Sender},
    records::Registry,
    replay::Replays,
    settings::Settings,
    signing::Signer,
    status::StatusChecks,
    token::Verifier,
};
use std::{ops::Deref, sync::Arc};

/// The parts, records and settings that all exchanges of a layer use.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: Arc<Budgets>,
    pub(crate) authenticator: Authenticator,
    pub(crate) proofs: Proofs,
    pub(crate) verifier: Verifier,
    pub(crate) status: StatusChecks,
    pub(crate) replays: Replays,
    pub(crate) policy: PolicyPart,
    /// The rules, if the policy is a table of rules. A dry run explains the rules.
    pub(crate) table: Option<Table>,
    pub(crate) signer: Signer,
}

impl Exchange {
    /// Runs all stages.
    pub(crate) async fn issue(
        &self,
        observer: &mut impl Observer,
        sender: Sender<'_>,
        body: impl Deref<Target = [u8]>,
    ) -> Result<Issued, Rejection> {
        let stages = async {
            let decided = self.stages_before_signing(observer, sender, body).await?;

            let signed = Signed::sign(decided, &self.signer, &self.registry, &self.settings.clock).await?;
            let issued = Issued::issue(signed, &self.replays).await?;
            observer.issued(&issued);
            Ok(issued)
        };
        self.settings.in_time(stages).await
    }

    /// Runs all stages before the token is signed, for a dry run.
    async fn decide(
        &self,
        observer: &mut impl Observer,
        sender: Sender<'_>,
        body: impl Deref<Target = [u8]>,
    ) -> Result<Decided, Rejection> {
        self.settings.in_time(self.stages_before_signing(observer, sender, body)).await
    }

    async fn stages_before_signing(
        &self,
        observer: &mut impl Observer,
        sender: Sender<'_>,
        body: impl Deref<Target = [u8]>,
    ) -> Result<Decided, Rejection> {
        let Self { registry, settings, limits, authenticator, proofs, verifier, status, policy, .. } = self;

        limits.admit_peer(sender.address)?;
        // A stage that is borrowed here would have room in the future until the last stage. `inspect` borrows it elsewhere.
        let presented = Presented::read(sender, &body).inspect(|stage| observer.presented(stage))?;
        // No later stage needs the form, and the form has a token.
        drop(body);

        // Before the client is authenticated, no token is decoded and no key is fetched.
        let authenticated = Authenticated::authenticate(presented, authenticator, registry, limits).await;
        let authenticated = authenticated.inspect(|stage| observer.authenticated(stage))?.admit(limits)?;

        let proven = Proven::prove(authenticated, proofs, sender).await.inspect(|stage| observer.proven(stage))?;

        let resolved = Resolved::resolve(proven, registry, settings.max_targets);
        let resolved = resolved.inspect(|stage| observer.resolved(stage))?;

        let validated = Validated::validate(resolved, verifier).await;
        let validated = validated.inspect(|stage| observer.validated(stage))?.admit(limits)?;

        let bounded = Bounded::bound(validated, registry, settings)?;
        observer.bounded(&bounded);

        let still_valid = StillValid::check(bounded, status, registry.own_issuer()).await?;
        observer.still_valid(&still_valid);

        let shadow = |outcome: &_| observer.shadow(outcome);
        let decided = Decided::decide(still_valid, policy, settings.strict_scope, shadow).await?;
        observer.decided(&decided);
        Ok(decided)
    }
}
