use super::{ErrorCode, named_values};
use http::StatusCode;

/// A class of [`Reason`](crate::Reason)s.
///
/// The reasons of `Grant` share one `error`, one description and one status, so that an outsider cannot tell one reason
/// from another. The same is true for `Target`, for `Scope`, and for `Token` together with `Denied`. An
/// [`ErrorProfile`](crate::error::ErrorProfile) can give another `error` to each of these five classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonClass {
    /// The request cannot be read, or breaks a rule for every request.
    Request,
    /// The client is not authenticated.
    Client,
    /// The client may not use this grant.
    Grant,
    /// The client cannot get a token for the target.
    Target,
    /// The scope cannot be granted.
    Scope,
    /// The subject token or the actor token is not valid.
    Token,
    /// The tokens are valid, but do not permit this exchange or do not belong to this client.
    Denied,
    /// The subject must log in again, or with a stronger method.
    StepUp,
    /// The access token does not give access to the resource of a resource server.
    Access,
    /// This server or a plug failed, or the client closed the connection.
    Failure,
}

impl ReasonClass {
    /// Every class.
    pub const ALL: &'static [Self] = &[
        Self::Request,
        Self::Client,
        Self::Grant,
        Self::Target,
        Self::Scope,
        Self::Token,
        Self::Denied,
        Self::StepUp,
        Self::Access,
        Self::Failure,
    ];

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
            Self::Access => "access",
            Self::Failure => "failure",
        }
    }
}

named_values!(ReasonClass, as_str, "a class of reasons");

/// The answer to the client for a reason. Each row of the table of reasons has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAnswer {
    pub(super) class: ReasonClass,
    pub(super) error: ErrorCode,
    pub(super) description: &'static str,
    pub(super) status: StatusCode,
}

impl ClientAnswer {
    const fn new(class: ReasonClass, error: ErrorCode, description: &'static str) -> Self {
        Self { class, error, description, status: error.status() }
    }

    /// Sets a status other than the usual status of the error code.
    pub(super) const fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Sets an error code other than `invalid_request`.
    pub(super) const fn error(self, error: ErrorCode) -> Self {
        Self { error, status: error.status(), ..self }
    }
}

/// The answer to a malformed request. The description may be precise, because the sender knows the request.
pub(super) const fn request(description: &'static str) -> ClientAnswer {
    ClientAnswer::new(ReasonClass::Request, ErrorCode::InvalidRequest, description)
}

/// The answer of a resource server. The description may be precise, because the sender knows the request.
pub(super) const fn access(description: &'static str) -> ClientAnswer {
    ClientAnswer::new(ReasonClass::Access, ErrorCode::InvalidToken, description)
}

/// The answer to a party that has to wait (RFC 6585 section 4).
pub(super) const fn limited(description: &'static str) -> ClientAnswer {
    request(description).error(ErrorCode::TemporarilyUnavailable).status(StatusCode::TOO_MANY_REQUESTS)
}

// `TOKEN` and `DENIED` share one text: an outsider must not be able to tell the two classes apart.
const BAD_SUBJECT_OR_ACTOR: &str = "the subject token or the actor token is not acceptable";
pub(super) const TOKEN: ClientAnswer =
    ClientAnswer::new(ReasonClass::Token, ErrorCode::InvalidRequest, BAD_SUBJECT_OR_ACTOR);
pub(super) const DENIED: ClientAnswer =
    ClientAnswer::new(ReasonClass::Denied, ErrorCode::InvalidRequest, BAD_SUBJECT_OR_ACTOR);
pub(super) const CLIENT: ClientAnswer =
    ClientAnswer::new(ReasonClass::Client, ErrorCode::InvalidClient, "client authentication failed");
/// The answer to a DPoP proof that is not acceptable (RFC 9449 section 5).
pub(super) const DPOP: ClientAnswer = request("the DPoP proof is not acceptable").error(ErrorCode::InvalidDpopProof);
pub(super) const GRANT: ClientAnswer =
    ClientAnswer::new(ReasonClass::Grant, ErrorCode::UnauthorizedClient, "the client may not use this grant");
pub(super) const TARGET: ClientAnswer =
    ClientAnswer::new(ReasonClass::Target, ErrorCode::InvalidTarget, "the target is not acceptable");
pub(super) const SCOPE: ClientAnswer =
    ClientAnswer::new(ReasonClass::Scope, ErrorCode::InvalidScope, "the scope is not acceptable");
pub(super) const STEP_UP: ClientAnswer = ClientAnswer::new(
    ReasonClass::StepUp,
    ErrorCode::InsufficientUserAuthentication,
    "the user must log in again or more strongly",
);
/// The answer of a resource server to a request with an access token that is not acceptable (RFC 6750 section 3.1).
pub(super) const ACCESS: ClientAnswer =
    ClientAnswer::new(ReasonClass::Access, ErrorCode::InvalidToken, "the access token is not acceptable");
/// The answer of a resource server to parties that its rules do not allow.
pub(super) const FORBIDDEN: ClientAnswer = access("the access token does not permit this request")
    .error(ErrorCode::AccessDenied)
    .status(StatusCode::FORBIDDEN);
pub(super) const BROKEN: ClientAnswer =
    ClientAnswer::new(ReasonClass::Failure, ErrorCode::ServerError, "the server could not complete the request");
pub(super) const UNAVAILABLE: ClientAnswer = ClientAnswer::new(
    ReasonClass::Failure,
    ErrorCode::TemporarilyUnavailable,
    "the server cannot answer now; try again later",
);
