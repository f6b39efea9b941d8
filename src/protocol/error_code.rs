use http::StatusCode;
use std::fmt;

/// The `error` of a token endpoint's answer (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`: malformed, or a token that is not good (RFC 8693 section 2.2.2).
    InvalidRequest,
    /// `invalid_client`: the client is not who it says.
    InvalidClient,
    /// `unauthorized_client`: the client may not use this grant.
    UnauthorizedClient,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
    /// `invalid_scope`: malformed, too much, or nothing left.
    InvalidScope,
    /// `invalid_target`: malformed, unknown, not allowed or missing (RFC 8707 section 2).
    InvalidTarget,
    /// `invalid_dpop_proof` (RFC 9449 section 5).
    InvalidDpopProof,
    /// `invalid_grant`: what an [`ErrorProfile`](crate::error::ErrorProfile) can say of a token that is not good.
    InvalidGrant,
    /// `access_denied`: what an [`ErrorProfile`](crate::error::ErrorProfile) can say of a denial. RFC 6749 has it for the
    /// authorization endpoint only (section 4.1.2.1).
    AccessDenied,
    /// `actor_unauthorized`: the same, in draft-mcguinness-oauth-actor-profile.
    ActorUnauthorized,
    /// `insufficient_user_authentication`: the subject must log in again, or more strongly (RFC 9470 section 3).
    InsufficientUserAuthentication,
    /// `server_error`: something here is broken.
    ServerError,
    /// `temporarily_unavailable`: something here cannot be asked now.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code as it stands in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidGrant => "invalid_grant",
            Self::AccessDenied => "access_denied",
            Self::ActorUnauthorized => "actor_unauthorized",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether a refusal that is about the exchange can be answered with it, without telling the client something
    /// that is not so: that a server is down, that a grant is unknown or that a proof is missing.
    pub(super) const fn can_stand_for_a_refusal(self) -> bool {
        match self {
            Self::InvalidRequest | Self::InvalidGrant | Self::InvalidScope | Self::InvalidTarget => true,
            Self::InvalidClient | Self::UnauthorizedClient | Self::AccessDenied | Self::ActorUnauthorized => true,
            Self::UnsupportedGrantType | Self::InvalidDpopProof | Self::InsufficientUserAuthentication => false,
            Self::ServerError | Self::TemporarilyUnavailable => false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
