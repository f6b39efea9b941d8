use super::named_values;
use http::StatusCode;

/// An `error` code in the answer of a token endpoint (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`: the request is malformed, or a token is not valid (RFC 8693 section 2.2.2).
    InvalidRequest,
    /// `invalid_client`: the client is not authenticated.
    InvalidClient,
    /// `unauthorized_client`: the client may not use this grant.
    UnauthorizedClient,
    /// `unsupported_grant_type`: the server does not support the grant type.
    UnsupportedGrantType,
    /// `invalid_scope`: the scope is malformed or exceeds the permitted scope, or nothing of the scope can be granted.
    InvalidScope,
    /// `invalid_target`: the target is malformed, unknown, not allowed or missing (RFC 8707 section 2).
    InvalidTarget,
    /// `invalid_dpop_proof`: the DPoP proof is not accepted (RFC 9449 section 5).
    InvalidDpopProof,
    /// `use_dpop_nonce`: the DPoP proof needs the nonce in the header `DPoP-Nonce` of the answer (RFC 9449 section 8).
    UseDpopNonce,
    /// `invalid_grant`: a token is not valid. Only an [`ErrorProfile`](crate::error::ErrorProfile) uses this code.
    InvalidGrant,
    /// `access_denied`: the exchange is denied. Only an [`ErrorProfile`](crate::error::ErrorProfile) uses this code. RFC
    /// 6749 defines the code for the authorization endpoint only (section 4.1.2.1).
    AccessDenied,
    /// `actor_unauthorized`: the actor may not act for the subject (draft-mcguinness-oauth-actor-profile). Only an
    /// [`ErrorProfile`](crate::error::ErrorProfile) uses this code.
    ActorUnauthorized,
    /// `insufficient_user_authentication`: the subject must log in again, or with a stronger method (RFC
    /// 9470 section 3).
    InsufficientUserAuthentication,
    /// `invalid_token`: the access token of a request to a resource is not acceptable (RFC 6750 section 3.1).
    InvalidToken,
    /// `insufficient_scope`: the access token lacks a scope that the resource requires (RFC 6750 section 3.1).
    InsufficientScope,
    /// `server_error`: the server has a defect.
    ServerError,
    /// `temporarily_unavailable`: a part of the server cannot answer now.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// Every error code.
    pub const ALL: &'static [Self] = &[
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::InvalidDpopProof,
        Self::UseDpopNonce,
        Self::InvalidGrant,
        Self::AccessDenied,
        Self::ActorUnauthorized,
        Self::InsufficientUserAuthentication,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::ServerError,
        Self::TemporarilyUnavailable,
    ];

    /// The code as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidGrant => "invalid_grant",
            Self::AccessDenied => "access_denied",
            Self::ActorUnauthorized => "actor_unauthorized",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether an [`ErrorProfile`](crate::error::ErrorProfile) may answer a refusal with this code. The other codes would tell
    /// the client something untrue, such as that the server is down or that a proof is missing.
    pub(super) const fn is_for_profiles(self) -> bool {
        match self {
            Self::InvalidRequest | Self::InvalidGrant | Self::InvalidScope | Self::InvalidTarget => true,
            Self::InvalidClient | Self::UnauthorizedClient | Self::AccessDenied | Self::ActorUnauthorized => true,
            Self::UnsupportedGrantType | Self::InvalidDpopProof | Self::UseDpopNonce => false,
            Self::InsufficientUserAuthentication | Self::InvalidToken | Self::InsufficientScope => false,
            Self::ServerError | Self::TemporarilyUnavailable => false,
        }
    }
}

named_values!(ErrorCode, as_str, "an OAuth error code");
