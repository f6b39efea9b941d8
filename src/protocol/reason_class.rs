use super::ErrorCode;
use http::StatusCode;
use std::fmt;

/// The classes of [`Reason`](crate::Reason)s. Within `Grant`, `Target`, `Scope` and `Token` with `Denied`, an outsider
/// cannot tell one reason from another: they have one `error`, one description and one status. An
/// [`ErrorProfile`](crate::error::ErrorProfile) can give each of these five another `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonClass {
    /// The request cannot be read, or says what no request may.
    Request,
    /// The client did not prove who it is.
    Client,
    /// The client may not use this grant.
    Grant,
    /// The target is not one that this client can have a token for.
    Target,
    /// The scope is none that can be granted.
    Scope,
    /// The subject token or the actor token is not good.
    Token,
    /// The tokens are good, but not for what was asked with them, or not in this client's hands.
    Denied,
    /// The subject must log in again, or more strongly.
    StepUp,
    /// This server, or one that it asks, failed; or the client went away.
    Failure,
}

impl ReasonClass {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Target => "target",
            Self::Scope => "scope",
            Self::Token => "token",
            Self::Denied => "denied",
            Self::StepUp => "step_up",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for ReasonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a reason amounts to for the client: a row of the table of reasons takes one of these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) class: ReasonClass,
    pub(super) error: ErrorCode,
    pub(super) description: &'static str,
    pub(super) status: StatusCode,
}

impl Told {
    const fn new(class: ReasonClass, error: ErrorCode, description: &'static str) -> Self {
        Self { class, error, description, status: error.status() }
    }

    /// With another status than that of its `error`.
    pub(super) const fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With another `error` than `invalid_request`.
    pub(super) const fn error(self, error: ErrorCode) -> Self {
        Self { error, status: error.status(), ..self }
    }
}

/// A request that is wrong in itself: its sender learns nothing from being told how.
pub(super) const fn request(description: &'static str) -> Told {
    Told::new(ReasonClass::Request, ErrorCode::InvalidRequest, description)
}

// One wording for all refusals between which an outsider must not be able to tell.
const BAD_SUBJECT_OR_ACTOR: &str = "the subject token or the actor token is not acceptable";
pub(super) const TOKEN: Told = Told::new(ReasonClass::Token, ErrorCode::InvalidRequest, BAD_SUBJECT_OR_ACTOR);
pub(super) const DENIED: Told = Told::new(ReasonClass::Denied, ErrorCode::InvalidRequest, BAD_SUBJECT_OR_ACTOR);
pub(super) const CLIENT: Told =
    Told::new(ReasonClass::Client, ErrorCode::InvalidClient, "client authentication failed");
pub(super) const GRANT: Told =
    Told::new(ReasonClass::Grant, ErrorCode::UnauthorizedClient, "the client may not use this grant");
pub(super) const TARGET: Told =
    Told::new(ReasonClass::Target, ErrorCode::InvalidTarget, "the target is not acceptable");
pub(super) const SCOPE: Told = Told::new(ReasonClass::Scope, ErrorCode::InvalidScope, "the scope is not acceptable");
pub(super) const STEP_UP: Told = Told::new(
    ReasonClass::StepUp,
    ErrorCode::InsufficientUserAuthentication,
    "the user must log in again or more strongly",
);
pub(super) const BROKEN: Told =
    Told::new(ReasonClass::Failure, ErrorCode::ServerError, "the server could not complete the request");
pub(super) const UNAVAILABLE: Told =
    Told::new(ReasonClass::Failure, ErrorCode::TemporarilyUnavailable, "the server cannot answer now; try again later");
