//! The page to read first: one token exchange, from the request to the answer.
//!
//! Each stage takes the value of the stage before it and returns a richer one, and each value has one
//! constructor. So no step can be skipped or moved: the types would not fit.
//!
//! ```text
//! Presented → Authenticated → Resolved → Validated → Bounded → StillValid → Decided → Issued
//! ```
//!
//! No rule stands on this page. What a stage checks is in its own room.

mod observer;

pub(crate) use observer::Observer;

use crate::{
    audit::{Attempt, Audit},
    authority::{Authority, Bounded, Decided},
    client_auth::{AskLimits, Authenticated, Authenticator, Resolved},
    issued::{IssuedToken, IssuedTokenEndpoint, IssuedTokens},
    policy::{PolicyPart, Table},
    protocol::{ErrorProfile, Presented, Reason, Rejection, error_response, refuse, success_response},
    records::Registry,
    signing::{Issuance, Issued},
    status::{StatusChecks, StillValid},
    token::{Validated, Verifier},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Response};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// Everything that an exchange asks.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authenticator: Authenticator,
    pub(crate) ask_limits: AskLimits,
    pub(crate) verifier: Verifier,
    pub(crate) authority: Authority,
    pub(crate) standing: StatusChecks,
    pub(crate) policy: PolicyPart,
    /// The same once more where it is a table, which can say why.
    pub(crate) table: Option<Table>,
    pub(crate) issuance: Issuance,
    /// What becomes of the tokens after they were issued.
    pub(crate) issued_tokens: IssuedTokens,
    pub(crate) audit: Audit,
    /// What the client is told of a refusal.
    pub(crate) errors: ErrorProfile,
    /// For all stages together.
    pub(crate) deadline: Duration,
}

impl Exchange {
    /// Answers a request for this grant. It always has an answer, and it leaves exactly one audit event.
    pub(crate) async fn answer(&self, mut attempt: Attempt, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
        let outcome = self.in_time(self.issued(&mut attempt, headers, body)).await;
        match attempt.finish(outcome).await {
            Ok(issued) => success_response(&issued.answer()),
            Err(rejection) => error_response(&rejection),
        }
    }

    /// Refuses a request before it could be read. That is an attempt too.
    pub(crate) async fn refuse(&self, attempt: Attempt, reason: Reason) -> Response<Bytes> {
        let rejection = self.errors.applied_to(refuse(reason));
        let _ = attempt.finish::<()>(Err(rejection.clone())).await;
        error_response(&rejection)
    }

    /// Answers a client that asks about a token which was issued here.
    pub(crate) async fn answer_about(
        &self,
        about: IssuedTokenEndpoint,
        token: &IssuedToken,
        headers: &HeaderMap,
        form: &[u8],
    ) -> Response<Bytes> {
        let answer = self.in_time(self.issued_tokens.answer(about, token, headers, form)).await;
        answer.unwrap_or_else(|rejection| error_response(&rejection))
    }

    /// Answers a client whose form about a token could not be read.
    pub(crate) fn refuse_about(&self, reason: Reason) -> Response<Bytes> {
        error_response(&self.errors.applied_to(refuse(reason)))
    }

    /// Neither silence nor a panic of a stage is the last word.
    pub(crate) async fn in_time<T>(&self, stages: impl Future<Output = Result<T, Rejection>>) -> Result<T, Rejection> {
        let outcome = match tokio::time::timeout(self.deadline, AssertUnwindSafe(stages).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(refuse(Reason::Internal)),
            Err(_elapsed) => Err(refuse(Reason::DeadlineExceeded)),
        };
        outcome.map_err(|rejection| self.errors.applied_to(rejection))
    }

    async fn issued(&self, attempt: &mut Attempt, headers: &HeaderMap, body: &[u8]) -> Result<Issued, Rejection> {
        let decided = self.decided(attempt, &self.authenticator, headers, body).await?;

        // The token.
        let issued = Issued::by(&self.issuance, decided).await?;
        attempt.issued(&issued);
        Ok(issued)
    }

    /// All stages but the last. Whoever only wants to know why ends here.
    pub(crate) async fn decided(
        &self,
        witness: &mut impl Observer,
        authenticator: &Authenticator,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Decided, Rejection> {
        // What was asked: a form that can be read in one way only.
        let presented = Presented::read(headers, body)?;
        witness.presented(&presented);

        // Who asks. Nothing is fetched or decoded for anybody else.
        let authenticated = Authenticated::by(authenticator, &self.registry, presented).await?;
        witness.authenticated(&authenticated);

        // Whether this client may send these parameters: token types, targets, scope.
        let admitted = Resolved::by(&self.registry, &self.ask_limits, authenticated)?;
        witness.admitted(&admitted);

        // Whether the subject token is good, and then the actor token.
        let validated = Validated::by(&self.verifier, admitted).await?;
        witness.validated(&validated);

        // What the records allow at most: presenter, actor chain, scope, lifetime.
        let bounded = Bounded::by(&self.authority, validated)?;
        witness.bounded(&bounded);

        // Whether all who take part are still good.
        let standing = StillValid::by(&self.standing, bounded).await?;
        witness.standing(&standing);

        // What the policy chooses within that.
        let decided = Decided::by(&self.policy, self.authority.strict_scope, standing).await?;
        witness.decided(&decided);
        Ok(decided)
    }
}
