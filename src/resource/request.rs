use super::challenge::Scheme;
use crate::{
    client_auth::PeerCertificates,
    jose::Thumbprint,
    protocol::{Reason, Rejection, Sender, refuse},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use std::fmt;

const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The parameter for a token in a query, which RFC 6750 section 2.3 advises against.
const QUERY_PARAMETER: &str = "access_token";

/// An access token and what came with it, for a decision without HTTP
/// ([`ResourceServerLayer::verify`](super::ResourceServerLayer::verify)).
///
/// ```
/// use tower_token_exchange::resource::AccessRequest;
///
/// let bearer = AccessRequest::bearer("eyJhbGciOi…");
/// let bound = AccessRequest::dpop("eyJhbGciOi…", "eyJ0eXAiOiJkcG9w…", "GET", "/invoices");
/// # let _ = (bearer, bound);
/// ```
#[derive(Clone)]
#[must_use]
pub struct AccessRequest<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
    pub(super) proof: Option<HeaderValue>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) certificate: Option<Thumbprint>,
}

impl<'a> AccessRequest<'a> {
    /// Creates a request with a token that was sent as `Bearer` (RFC 6750 section 2.1).
    pub fn bearer(token: &'a str) -> Self {
        Self { scheme: Scheme::Bearer, token, proof: None, method: "", path: "", certificate: None }
    }

    /// Creates a request with a token that was sent as `DPoP` (RFC 9449 section 7.1), with the value of the header `DPoP`, the
    /// method and the path of the request.
    pub fn dpop(token: &'a str, proof: &str, method: &'a str, path: &'a str) -> Self {
        // A text that fits in no header is no proof, and is refused like an empty one.
        let proof = HeaderValue::from_str(proof).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { scheme: Scheme::Dpop, proof: Some(proof), method, path, ..Self::bearer(token) }
    }

    /// Adds the certificate that the sender presented in the TLS handshake, in DER.
    pub fn certificate(mut self, der: &[u8]) -> Self {
        self.certificate = Some(Thumbprint::of_certificate(der));
        self
    }

    /// Reads the head of a request. `None` if the request has no access token.
    pub(super) fn read(parts: &'a Parts) -> Result<Option<Self>, Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == QUERY_PARAMETER) {
            return Err(refuse(Reason::AccessTokenInQuery));
        }
        let Some((scheme, token)) = credentials(&parts.headers)? else { return Ok(None) };
        let mut proofs = parts.headers.get_all(DPOP).iter();
        let proof = proofs.next().filter(|_| scheme == Scheme::Dpop).cloned();
        if proofs.next().is_some() {
            return Err(refuse(Reason::DpopProofMalformed).with_detail("several headers `DPoP`"));
        }
        let certificate = Sender::of(parts).extension::<PeerCertificates>().and_then(PeerCertificates::leaf);
        Ok(Some(Self {
            scheme,
            token,
            proof,
            method: parts.method.as_str(),
            path: parts.uri.path(),
            certificate: certificate.map(Thumbprint::of_certificate),
        }))
    }
}

/// The scheme of a request, for the challenge of a refusal.
pub(super) fn scheme_of(headers: &HeaderMap) -> Scheme {
    let value = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_dpop = value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"dpop "));
    if is_dpop { Scheme::Dpop } else { Scheme::Bearer }
}

/// Whether a request has exactly this token.
pub(super) fn has_token(parts: &Parts, text: Option<&str>) -> bool {
    matches!(credentials(&parts.headers), Ok(Some((_, token))) if Some(token) == text)
}

/// The scheme and the token of the `Authorization` header. `None` if there is no such header, or another scheme.
fn credentials(headers: &HeaderMap) -> Result<Option<(Scheme, &str)>, Rejection> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refuse(Reason::SeveralAccessTokens));
    }
    let malformed = || refuse(Reason::AccessTokenMalformed);
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let scheme = if scheme.eq_ignore_ascii_case("Bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("DPoP") {
        Scheme::Dpop
    } else {
        return Ok(None);
    };
    if is_token68(token) { Ok(Some((scheme, token))) } else { Err(malformed()) }
}

/// Whether a text has the grammar of a token (RFC 6750 section 2.1).
fn is_token68(text: &str) -> bool {
    let start = text.trim_end_matches('=');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    !start.is_empty() && start.bytes().all(is_allowed)
}

// A request has a token.
impl fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
