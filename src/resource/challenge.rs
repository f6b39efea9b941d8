//! Challenges: the header `WWW-Authenticate` of an answer (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728
//! section 5.1).

use super::answer::description;
use crate::protocol::{ErrorCode, Reason, Rejection, StepUp};
use http::{HeaderValue, StatusCode};
use std::fmt::Write;

/// A scheme of the `Authorization` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    #[default]
    Bearer,
    Dpop,
}

/// What a challenge says about the resource server and the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The scheme of the request, or of the token.
    pub(super) scheme: Scheme,
    /// Whether the resource server accepts the scheme `Bearer`.
    pub(super) accepts_bearer: bool,
    /// Whether the resource server accepts the scheme `DPoP`.
    pub(super) accepts_dpop: bool,
    /// The algorithms for DPoP proofs, with spaces.
    pub(super) algorithms: Option<&'a str>,
    pub(super) metadata_url: Option<&'a str>,
    pub(super) is_grpc: bool,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self {
            scheme: Scheme::Bearer,
            accepts_bearer: true,
            accepts_dpop: false,
            algorithms: None,
            metadata_url: None,
            is_grpc: false,
        }
    }
}

/// The challenges for a refusal. Only the scheme of the request has an error.
pub(super) fn challenges(rejection: &Rejection, context: &Context<'_>) -> Vec<HeaderValue> {
    let is_challenged =
        matches!(rejection.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    // Another token of the same parties would be refused too.
    if !is_challenged || rejection.error() == ErrorCode::AccessDenied {
        return Vec::new();
    }
    let accepted = [(Scheme::Bearer, context.accepts_bearer), (Scheme::Dpop, context.accepts_dpop)];
    let accepted = accepted.into_iter().filter(|(_, is_accepted)| *is_accepted);
    // The error of a request with a scheme that is not accepted belongs to the scheme that is.
    let schemes: Vec<_> = accepted.map(|(scheme, _)| scheme).collect();
    let meant = match rejection.error() {
        ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce => Scheme::Dpop,
        _ if rejection.reason() == Reason::BoundTokenAsBearer => Scheme::Dpop,
        _ => context.scheme,
    };
    let scheme_of_error = if schemes.contains(&meant) { Some(meant) } else { schemes.first().copied() };
    schemes
        .into_iter()
        .filter_map(|scheme| challenge(rejection, context, scheme, Some(scheme) == scheme_of_error))
        .collect()
}

fn challenge(rejection: &Rejection, context: &Context<'_>, scheme: Scheme, has_error: bool) -> Option<HeaderValue> {
    let mut text = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::Dpop => "DPoP",
    }
    .to_owned();
    let mut separator = " ";
    let mut add = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{name}=\"{value}\"");
        separator = ", ";
    };
    // A request without a token has no error (RFC 6750 section 3.1).
    if has_error && rejection.reason() != Reason::AccessTokenMissing {
        add("error", rejection.error().as_str());
        add("error_description", description(rejection));
        if let Some(scope) = rejection.needed_scope() {
            add("scope", &scope.to_string());
        }
        if let Some(StepUp { acr_values, max_age }) = rejection.step_up() {
            if !acr_values.is_empty() {
                add("acr_values", &acr_values.join(" "));
            }
            if let Some(seconds) = max_age {
                add("max_age", &seconds.to_string());
            }
        }
    }
    if let (Scheme::Dpop, Some(algorithms)) = (scheme, context.algorithms) {
        add("algs", algorithms);
    }
    if let Some(url) = context.metadata_url {
        add("resource_metadata", url);
    }
    HeaderValue::from_str(&text).ok()
}
