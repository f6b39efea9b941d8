use crate::protocol::{ErrorCode, escaped};
use http::StatusCode;
use std::{error::Error, fmt, sync::Arc, time::Duration};

/// An exchange that returned no token. No text of an error contains a token or a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The authorization server refused the request. The same request will be refused again.
    #[error("the authorization server refused the exchange: {0}")]
    Refused(Refusal),
    /// The authorization server did not answer, or could not decide. The same request can succeed later.
    #[error("the authorization server cannot answer: {0}; try again later")]
    Unavailable(Unavailable),
    /// The exchange took longer than the deadline.
    #[error("no answer of the authorization server within {deadline:?}; try again later")]
    TimedOut {
        /// The deadline of the client.
        deadline: Duration,
    },
    /// The answer is not what RFC 8693 section 2.2 requires, or not what the client asked for.
    #[error("the answer of the authorization server cannot be used: {problem}")]
    UnusableAnswer {
        /// The problem with the answer.
        problem: String,
    },
    /// The subject token has expired, so nothing was sent.
    #[error("the subject token has expired; get a new token for the subject")]
    SubjectTokenExpired,
    /// The source of actor tokens has no token, so no exchange took place.
    #[error("there is no actor token")]
    NoActorToken {
        /// The cause.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The credentials of the client cannot be made, so nothing was sent: a file cannot be read, or a key does not sign.
    #[error("the credentials of the client cannot be used: {problem}")]
    Credentials {
        /// The problem with the credentials.
        problem: String,
    },
    /// A parameter of the request is malformed, so nothing was sent.
    #[error("{0}")]
    InvalidRequest(String),
}

impl ExchangeError {
    /// The error of an exchange that panicked, or that the end of the runtime interrupted.
    pub(super) fn interrupted() -> Self {
        let problem = "the exchange was interrupted".to_owned();
        Self::Unavailable(Unavailable { status: None, retry_after: None, problem, is_unprocessed: false })
    }

    /// The `error` of the answer, if the authorization server refused the request with a registered code.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(refusal) => refusal.code(),
            _ => None,
        }
    }

    /// The time after which the same request can succeed, if the authorization server said a time (`Retry-After`).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(unavailable) => unavailable.retry_after,
            _ => None,
        }
    }
}

/// What the authorization server said when it refused a request (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
///
/// The texts are from the server. `Display` escapes the texts and cuts them off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) description: Option<String>,
    pub(super) acr_values: Vec<String>,
    pub(super) max_age: Option<Duration>,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `error`, if the code is registered.
    pub fn code(&self) -> Option<ErrorCode> {
        self.error.parse().ok()
    }

    /// The `error` as the server wrote it.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// The `error_description` as the server wrote it. `None` if there is none, or if the text contains a token or a secret of
    /// the request.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The logins of the subject that are sufficient, if the subject must log in again (RFC 9470 section 3).
    pub fn acr_values(&self) -> &[String] {
        &self.acr_values
    }

    /// The greatest age of the login of the subject, if the subject must log in again (RFC 9470 section 3).
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.status.as_u16(), escaped(&self.error))?;
        match &self.description {
            Some(description) => write!(f, " ({})", escaped(description)),
            None => Ok(()),
        }
    }
}

/// Why the authorization server cannot answer.
#[derive(Clone, Debug)]
pub struct Unavailable {
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
    pub(super) problem: String,
    /// Whether the server has certainly not issued a token, so that the request can be repeated.
    pub(super) is_unprocessed: bool,
}

impl Unavailable {
    /// The status of the answer. `None` if there was no answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The time that the server asked to wait for (`Retry-After`, RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// A setting with which no client can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientConfigError(String);

impl ClientConfigError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}
