use super::{Detail, ErrorCode, Reason};
use http::{HeaderValue, StatusCode};
use std::time::Duration;

/// A refusal: the reason, the detail for the audit, and the answer to the client.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    reason: Reason,
    detail: Option<Detail>,
    challenge: bool,
    /// The answer of an error profile, which replaces the answer of the reason.
    answer: Option<(ErrorCode, StatusCode)>,
    step_up: Option<Box<StepUp>>,
    retry_after: Option<Duration>,
    /// The scope that a resource requires. On the heap, because few refusals have such a scope.
    #[cfg(feature = "resource-server")]
    needed_scope: Option<Box<super::Scope>>,
    /// On the heap, because few refusals have a nonce.
    dpop_nonce: Option<Box<HeaderValue>>,
}

/// The login that the policy requires of the subject (RFC 9470 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepUp {
    /// The accepted values of `acr`, any of which is sufficient. Empty if any login is accepted.
    pub(crate) acr_values: Vec<String>,
    /// The greatest age of the login in seconds.
    pub(crate) max_age: Option<u64>,
}

/// Returns a refusal for this reason.
pub(crate) fn refuse(reason: Reason) -> Rejection {
    Rejection {
        reason,
        detail: None,
        challenge: false,
        answer: None,
        step_up: None,
        retry_after: None,
        #[cfg(feature = "resource-server")]
        needed_scope: None,
        dpop_nonce: None,
    }
}

impl Rejection {
    /// Adds a detail for the audit. A text that nobody has verified is an unverified piece of the [`Detail`].
    pub(crate) fn with_detail(mut self, detail: impl Into<Detail>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds to the detail what it is about: a short name before the detail, and a description after the detail.
    pub(crate) fn about(mut self, name: &str, description: impl Into<Detail>) -> Self {
        let named = match self.detail.take() {
            Some(detail) => Detail::from(name).words(": ").followed_by(detail),
            None => Detail::from(name),
        };
        self.with_detail(named.words(" (").followed_by(description.into()).words(")"))
    }

    /// Answers `invalid_client` with 401 and a challenge, because the client sent an `Authorization` header (RFC 6749
    /// section 5.2).
    pub(crate) fn with_challenge(mut self) -> Self {
        self.challenge = true;
        self
    }

    /// Adds the required login to the answer.
    pub(crate) fn with_step_up(mut self, step_up: StepUp) -> Self {
        self.step_up = Some(Box::new(step_up));
        self
    }

    /// Adds the scope that the resource requires (RFC 6750 section 3).
    #[cfg(feature = "resource-server")]
    pub(crate) fn with_needed_scope(mut self, scope: super::Scope) -> Self {
        self.needed_scope = Some(Box::new(scope));
        self
    }

    #[cfg(feature = "resource-server")]
    pub(crate) fn needed_scope(&self) -> Option<&super::Scope> {
        self.needed_scope.as_deref()
    }

    /// Sets the time after which the client may try again.
    pub(crate) fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Adds the nonce that the next DPoP proof needs (RFC 9449 section 8).
    pub(crate) fn with_dpop_nonce(mut self, nonce: HeaderValue) -> Self {
        self.dpop_nonce = Some(Box::new(nonce));
        self
    }

    pub(crate) fn dpop_nonce(&self) -> Option<&HeaderValue> {
        self.dpop_nonce.as_deref()
    }

    /// The seconds after which the client may try again, at least one.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.retry_after.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)).map(|seconds| seconds.max(1))
    }

    pub(crate) fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_deref()
    }

    /// Replaces the answer of the reason, as an [`ErrorProfile`](super::ErrorProfile) or a resource server says.
    pub(crate) fn with_answer(mut self, error: ErrorCode, status: StatusCode) -> Self {
        self.answer = Some((error, status));
        self
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    pub(crate) fn detail(&self) -> Option<&Detail> {
        self.detail.as_ref()
    }

    /// The `error` of the answer.
    pub(crate) fn error(&self) -> ErrorCode {
        self.answer.map_or_else(|| self.reason.error(), |(error, _)| error)
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self.answer {
            Some((_, status)) => status,
            None if self.challenge && self.error() == ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            None => self.reason.status(),
        }
    }
}
