use crate::{
    plug::{BoxHttpService, HttpService, boxed},
    protocol::basic_authorization,
};
use http::{HeaderValue, header::InvalidHeaderValue};
use std::fmt;
#[cfg(feature = "introspection-cache")]
use std::time::Duration;

/// How to ask an issuer what a token means (RFC 7662), for tokens that cannot be read here.
///
/// A token that is no signed JWT goes to the one issuer whose record has this and takes the declared type; so does
/// every token of an issuer that has this and no keys. The answer must be a 200 in JSON whose `active` is `true`; then
/// it is held to what a JWT of this issuer is held to: `exp` required, times, `aud`, presenter, tenant. An answer that
/// cannot be had or read fails closed with 503.
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
    /// At this endpoint, as a client with a secret (`client_secret_basic`, RFC 6749 section 2.3.1).
    pub fn basic(endpoint: impl Into<String>, client_id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        Self::with(endpoint, basic_authorization(client_id.as_ref(), secret.as_ref()))
    }

    /// At this endpoint, with a bearer token (RFC 6750 section 2.1).
    pub fn bearer(endpoint: impl Into<String>, token: impl AsRef<str>) -> Self {
        Self::with(endpoint, HeaderValue::try_from(format!("Bearer {}", token.as_ref())))
    }

    fn with(endpoint: impl Into<String>, authorization: Result<HeaderValue, InvalidHeaderValue>) -> Self {
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

    /// Asks through this service instead of the layer's [`http`](crate::TokenExchangeBuilder::http): the wrapped
    /// service itself, for one, which [`fetch::in_process`](crate::fetch::in_process) makes askable.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Asks about every token of this issuer, after its signature was found good, so that one that was revoked is
    /// refused. Default: only about tokens that cannot be verified here.
    pub fn every_token(mut self) -> Self {
        self.every_token = true;
        self
    }

    /// Takes answers without `token_type`. Many servers answer for refresh tokens too, and this is what tells an
    /// access token from them; allow it only where the endpoint knows access tokens alone.
    pub fn allow_missing_token_type(mut self) -> Self {
        self.untyped_answers = true;
        self
    }

    /// Keeps good answers for so long, at most until the token expires and at most a day, and at most so many. Within
    /// that time a revocation goes unnoticed. Default: every exchange asks.
    #[cfg(feature = "introspection-cache")]
    pub fn cache(mut self, entries: u64, time_to_live: Duration) -> Self {
        self.cache = Some((entries, time_to_live));
        self
    }
}

// The credentials must not be shown.
impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
