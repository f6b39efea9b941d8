//! Authentication of clients by another authorization server.

mod accepted;
mod probe;

use super::{Authentication, AuthenticationMethod, Credentials};
use crate::{
    fetch::{NO_CLIENT, default_service},
    plug::{BoxHttpService, HttpService, boxed},
    records::{ConfigError, is_absolute},
};
use accepted::AcceptedCredentials;
use futures_util::future::BoxFuture;
use probe::{Probe, ProbeEndpoint, Verdict, random_secret};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service, ServiceExt};

/// The time within which the server must answer a probe.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(300);

/// A [`ClientAuthenticator`](super::ClientAuthenticator) that asks another authorization server, such as the server that
/// the layer wraps, whether the credentials of a client are right.
///
/// The records still decide which clients may exchange tokens. The record of such a client has no secret.
///
/// # Safeguards
///
/// A server that accepts any secret would let everybody act as any client. Before the first client, the authenticator
/// therefore tries a client id that does not exist, and a request without credentials. If the server accepts either of
/// the two, exchanges are answered with 503, and the log has the cause. Before a client is accepted, and once an hour
/// for each client and method, the authenticator also tries a random secret for this client. If the server accepts the
/// random secret, the client is rejected. A public client, which has no secret, is therefore always rejected.
///
/// The `Authorization` header of the client is sent to the server unchanged, but in the standard alphabet of base64. An
/// empty secret is never sent. If the server neither accepts nor rejects a client, the exchange is answered with 503.
/// Accepted credentials are remembered for a short time ([`cache`](ServerAuthenticatorBuilder::cache)) as a hash with a
/// key that only this process has.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     client_auth::ServerAuthenticator,
///     policy::{Rule, Subjects},
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let legacy = ServerAuthenticator::by_introspection("https://as.example/introspect").build()?;
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .client_authenticator(legacy)
///     .clients([Client::new("orders")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ServerAuthenticator(Arc<Server>);

/// The server that is asked.
struct Server {
    service: BoxHttpService,
    url: String,
    endpoint: ProbeEndpoint,
    accepted: AcceptedCredentials,
}

/// A builder of a [`ServerAuthenticator`].
#[must_use = "a builder does nothing until `build`"]
pub struct ServerAuthenticatorBuilder {
    service: Option<BoxHttpService>,
    url: String,
    endpoint: ProbeEndpoint,
    entries: u64,
    time_to_live: Duration,
}

impl ServerAuthenticator {
    /// Authenticates clients at an introspection endpoint (RFC 7662).
    ///
    /// The authenticator asks about a token that does not exist; the server authenticates the client before the server
    /// answers. The request changes nothing at the server. The clients need the permission to use that endpoint.
    pub fn by_introspection(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new(endpoint.into(), ProbeEndpoint::Introspection)
    }

    /// Authenticates clients at a token endpoint, with the client credentials grant (RFC 6749 section 4.4).
    ///
    /// The authenticator discards the token that the server issues. The clients need the permission to use that grant.
    pub fn by_client_credentials(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new(endpoint.into(), ProbeEndpoint::Token)
    }

    /// Checks that the server rejects a client that does not exist.
    ///
    /// The authenticator makes this check before the first client in any case. Call this method to make the check when
    /// your server starts.
    ///
    /// # Errors
    /// The server accepted the client, did not answer, or gave an answer that neither accepts nor rejects the client.
    pub async fn probe(&self) -> Result<(), BoxError> {
        self.0.check_unknown_client().await
    }
}

impl ServerAuthenticatorBuilder {
    fn new(url: String, endpoint: ProbeEndpoint) -> Self {
        Self { service: None, url, endpoint, entries: 10_000, time_to_live: Duration::from_secs(60) }
    }

    /// Sets the HTTP service that sends the requests: an [`HttpFetch`](crate::fetch::HttpFetch) with other options, or the
    /// wrapped service itself ([`in_process`](crate::fetch::in_process)). Default: `HttpFetch::new()`.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.service = Some(boxed(service));
        self
    }

    /// Sets the number of accepted credentials to remember, and the time for which they are remembered. Default: 10 000
    /// for 60 s. At most 5 min. With a time of 0, the server is asked at every exchange.
    ///
    /// A secret that is changed at the server stays valid for this time.
    pub fn cache(mut self, entries: u64, time_to_live: Duration) -> Self {
        (self.entries, self.time_to_live) = (entries, time_to_live);
        self
    }

    /// Builds the authenticator.
    ///
    /// # Errors
    /// [`ConfigError`] if the endpoint is not an absolute URL, if the cache time is longer than 5 min, or if there is no
    /// HTTP service.
    pub fn build(self) -> Result<ServerAuthenticator, ConfigError> {
        let Self { service, url, endpoint, entries, time_to_live } = self;
        if !is_absolute(&url) {
            return Err(ConfigError::new(
                "endpoint",
                format!("`{url}` is not an absolute URL; include the scheme and the host"),
            ));
        }
        if time_to_live > MAX_TIME_TO_LIVE {
            return Err(ConfigError::new("cache", "the time is longer than 5 min; use 5 min or less"));
        }
        let accepted = AcceptedCredentials::new(entries, time_to_live)
            .ok_or_else(|| ConfigError::new("cache", "the system has no randomness; check its random source"))?;
        if service.is_none() && !cfg!(feature = "fetch") {
            return Err(ConfigError::new("http", NO_CLIENT));
        }
        let service = service.unwrap_or_else(default_service);
        Ok(ServerAuthenticator(Arc::new(Server { service, url, endpoint, accepted })))
    }
}

impl Server {
    async fn authenticate(&self, credentials: Credentials) -> Result<Authentication, BoxError> {
        let Some(probe) = Probe::new(&credentials) else { return Ok(Authentication::Rejected) };
        if self.accepted.contains(&probe) {
            return Ok(Authentication::Client(probe.client_id));
        }
        if !self.accepted.has_rejected_unknown_client() {
            self.check_unknown_client().await?;
        }
        if self.send(&probe).await? == Verdict::Rejected {
            return Ok(Authentication::Rejected);
        }
        if !self.accepted.has_rejected_wrong_secret(&probe) && !self.rejects_wrong_secret(&probe).await? {
            return Ok(Authentication::Rejected);
        }
        self.accepted.insert(&probe);
        Ok(Authentication::Client(probe.client_id))
    }

    /// Whether the server rejects a random secret for this client. The server accepts any secret for a public client.
    async fn rejects_wrong_secret(&self, probe: &Probe) -> Result<bool, BoxError> {
        let client_id = &probe.client_id;
        match self.send(&probe.with_secret(&random_secret()?)?).await? {
            Verdict::Rejected => {
                self.accepted.note_rejected_wrong_secret(probe);
                Ok(true)
            }
            Verdict::Accepted => {
                tracing::error!(%client_id, "the server accepts any secret for this client; the client is rejected");
                Ok(false)
            }
        }
    }

    async fn check_unknown_client(&self) -> Result<(), BoxError> {
        let fail = |problem: &'static str| {
            tracing::error!(endpoint = self.url, "{problem}");
            Err(problem.into())
        };
        for method in [AuthenticationMethod::ClientSecretBasic, AuthenticationMethod::ClientSecretPost] {
            let probe = Probe::made_up(method, &random_secret()?, &random_secret()?);
            if let Verdict::Accepted = self.send(&probe).await? {
                return fail("the server accepts a client that does not exist; the server cannot authenticate clients");
            }
        }
        // A request without credentials may be rejected with any error.
        if let Ok(Verdict::Accepted) = self.send(&Probe::without_credentials()).await {
            return fail("the server accepts a request without credentials; the server cannot authenticate clients");
        }
        self.accepted.note_rejected_unknown_client();
        Ok(())
    }

    async fn send(&self, probe: &Probe) -> Result<Verdict, BoxError> {
        let request = probe.request(&self.url, self.endpoint)?;
        let response = tokio::time::timeout(TIMEOUT, self.service.clone().oneshot(request)).await??;
        self.endpoint.verdict(&response)
    }
}

impl Service<Credentials> for ServerAuthenticator {
    type Response = Authentication;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Authentication, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, credentials: Credentials) -> Self::Future {
        let server = Arc::clone(&self.0);
        Box::pin(async move { server.authenticate(credentials).await })
    }
}

impl fmt::Debug for ServerAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticator").field("endpoint", &self.0.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerAuthenticatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticatorBuilder").field("endpoint", &self.url).finish_non_exhaustive()
    }
}
