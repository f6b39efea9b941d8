use super::Operation;
use crate::protocol::{ErrorCode, Rejection, named_values};
use http::StatusCode;

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// An introspection request was answered. The answer can be that the token is not active.
    Introspected,
    /// A token was revoked.
    Revoked,
    /// A resource server admitted a request. Only metrics have this outcome.
    Allowed,
    /// The request was refused because of its content.
    Denied,
    /// The request failed because of this server or a server that this server asks, or the client closed the connection.
    Error,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] =
        &[Self::Issued, Self::Introspected, Self::Revoked, Self::Allowed, Self::Denied, Self::Error];

    /// Returns the outcome of an attempt that was not refused.
    pub(super) fn of_success(operation: Operation) -> Self {
        match operation {
            Operation::Exchange => Self::Issued,
            Operation::Introspection => Self::Introspected,
            Operation::Revocation => Self::Revoked,
            Operation::Access => Self::Allowed,
        }
    }

    /// Returns the outcome of an attempt that ended with this refusal.
    pub(crate) fn of_refusal(rejection: &Rejection) -> Self {
        match rejection.error() {
            // Too many attempts are the doing of the client.
            _ if rejection.status() == StatusCode::TOO_MANY_REQUESTS => Self::Denied,
            ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable => Self::Error,
            _ => Self::Denied,
        }
    }

    /// Whether the client gets a successful answer only if the audit sink has the event.
    pub(super) const fn needs_audit(self) -> bool {
        matches!(self, Self::Issued | Self::Revoked)
    }

    /// Returns the name in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Introspected => "introspected",
            Self::Revoked => "revoked",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

/// The stages of an exchange, and the answer, in their order. A stage that fails ends the attempt.
///
/// An introspection and a revocation have the stages `request`, `client` and `answer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The form is read.
    Request,
    /// The client is authenticated.
    Client,
    /// The proofs of possession are checked.
    Proof,
    /// The parameters are resolved against the records.
    Parameters,
    /// The subject token and the actor token are validated.
    Tokens,
    /// The ceiling is computed: the most that the records and the tokens allow.
    Authority,
    /// Revocations and the status of the parties are checked.
    Status,
    /// The policy decides.
    Policy,
    /// The token is signed.
    Issue,
    /// The audit sink takes the event, and the token is released.
    Answer,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: &'static [Self] = &[
        Self::Request,
        Self::Client,
        Self::Proof,
        Self::Parameters,
        Self::Tokens,
        Self::Authority,
        Self::Status,
        Self::Policy,
        Self::Issue,
        Self::Answer,
    ];

    /// Returns the name in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Client => "client",
            Self::Proof => "proof",
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

named_values!(Outcome, as_str, "an outcome");
named_values!(Stage, as_str, "a stage of an exchange");
