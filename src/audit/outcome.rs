use crate::protocol::{ErrorCode, Rejection};
use serde::Serialize;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// The request was refused for what it is.
    Denied,
    /// The request failed for what this server, or one that it asks, is; or the client went away.
    Error,
}

impl Outcome {
    /// Of an attempt that was refused like this, or not at all.
    pub(crate) fn of(rejection: Option<&Rejection>) -> Self {
        match rejection.map(Rejection::error) {
            None => Self::Issued,
            Some(ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) => Self::Error,
            Some(_) => Self::Denied,
        }
    }

    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

/// The stages of an exchange, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The request is read.
    Request,
    /// The client is authenticated.
    Client,
    /// The parameters are held against the records.
    Parameters,
    /// The tokens are validated.
    Tokens,
    /// The ceiling is found.
    Authority,
    /// It is asked whether the parties are still good.
    Status,
    /// The policy is asked.
    Policy,
    /// The token is signed.
    Issue,
    /// The token is released.
    Answer,
}

impl Stage {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Client => "client",
            Self::Parameters => "parameters",
            Self::Tokens => "tokens",
            Self::Authority => "authority",
            Self::Status => "status",
            Self::Policy => "policy",
            Self::Issue => "issue",
            Self::Answer => "answer",
        }
    }
}
