use crate::{
    plug::{BoxHttpService, HttpService, boxed},
    protocol::basic_authorization,
};
use http::{HeaderValue, header::InvalidHeaderValue};
use std::fmt;
#[cfg(feature = "introspection-cache")]
use std::time::Duration;

/// The introspection endpoint of an issuer (RFC 7662), for tokens that the layer cannot verify itself.
///
/// The layer asks the endpoint about two groups of tokens:
///
/// - a token that is not a signed JWT. The token does not name its issuer, so only one issuer record with introspection
///   can accept each declared type;
/// - every token of an issuer whose record has no keys.
///
/// The response has status 200 and JSON with `"active": true`. Its claims then pass the same checks as the claims of a
/// JWT of this issuer: `exp` is required, and times, `aud`, presenter and tenant are checked. If the endpoint does not
/// answer, or the answer cannot be read, the exchange is refused with 503.
///
/// ```
/// use tower_token_exchange::{Issuer, records::Introspection};
///
/// let legacy = Issuer::new("https://as.example")
///     .introspection(Introspection::basic("https://as.example/introspect", "exchange", "rT4wK8sB3nH6jD1pX7mQ2vL9"));
/// # let _ = legacy;
/// ```
#[derive(Clone)]
#[must_use]
pub struct Introspection {
    pub(crate) endpoint: String,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) http: Option<BoxHttpService>,
    pub(crate) every_token: bool,
    pub(crate) untyped_answers: bool,
    #[cfg(feature = "introspection-cache")]
    pub(crate) cache: Option<(u64, Duration)>,
}

impl Introspection {
    /// An endpoint that the layer calls with a client id and a secret (`client_secret_basic`, RFC 6749 section 2.3.1).
    pub fn basic(endpoint: impl Into<String>, client_id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        Self::with_authorization(endpoint, basic_authorization(client_id.as_ref(), secret.as_ref()))
    }

    /// An endpoint that the layer calls with a bearer token (RFC 6750 section 2.1).
    pub fn bearer(endpoint: impl Into<String>, token: impl AsRef<str>) -> Self {
        Self::with_authorization(endpoint, HeaderValue::try_from(format!("Bearer {}", token.as_ref())))
    }

    fn with_authorization(endpoint: impl Into<String>, authorization: Result<HeaderValue, InvalidHeaderValue>) -> Self {
        let authorization = authorization.ok().filter(|value| value.to_str().is_ok()).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Self {
            endpoint: endpoint.into(),
            authorization,
            http: None,
            every_token: false,
            untyped_answers: false,
            #[cfg(feature = "introspection-cache")]
            cache: None,
        }
    }

    /// Sets the HTTP service for this endpoint. Default: the layer's [`http`](crate::TokenExchangeBuilder::http).
    ///
    /// [`fetch::in_process`](crate::fetch::in_process) turns the wrapped service itself into an HTTP service.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Asks the endpoint about every token of the issuer, after the signature was verified, so that a revoked token is
    /// refused.
    ///
    /// Default: the layer asks only about tokens that the layer cannot verify itself.
    pub fn every_token(mut self) -> Self {
        self.every_token = true;
        self
    }

    /// Accepts answers without `token_type`.
    ///
    /// Many servers also answer for refresh tokens, which only a missing `token_type` shows. Use this setting only if the
    /// endpoint answers for access tokens alone.
    pub fn allow_missing_token_type(mut self) -> Self {
        self.untyped_answers = true;
        self
    }

    /// Keeps answers about active tokens, at most `entries`, and for `time_to_live`, which is at most one day.
    ///
    /// No answer is kept longer than its token is valid. A revocation goes unnoticed for up to `time_to_live`.
    ///
    /// Default: every exchange asks the endpoint.
    #[cfg(feature = "introspection-cache")]
    pub fn cache(mut self, entries: u64, time_to_live: Duration) -> Self {
        self.cache = Some((entries, time_to_live));
        self
    }
}

// The credentials stay secret.
impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
