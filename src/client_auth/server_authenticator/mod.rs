//! Clients that another authorization server knows: their credentials are tried there.

mod known;
mod question;

use super::{Authentication, AuthenticationMethod, Credentials};
use crate::{
    fetch::{NO_CLIENT, default_service},
    plug::{BoxHttpService, HttpService, boxed},
    records::{ConfigError, is_absolute},
};
use futures_util::future::BoxFuture;
use known::Known;
use question::{Answer, Method, Question, random_secret};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service, ServiceExt};

/// How long the server may take for one question.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(300);

/// A [`ClientAuthenticator`](super::ClientAuthenticator) that knows no secret: it tries what a client presented against
/// an authorization server that knows the client, such as the one that the layer wraps.
///
/// Who may exchange what is still for the records to say; a client's record then has no secret.
///
/// A server that took any secret would let anybody be any client. So what it accepts counts only after it was seen to
/// reject the same client with a secret made up at random, presented in the same way, once an hour, and before the first
/// client, one made up altogether, and nobody at all. A server that accepts those is never believed: exchanges get 503,
/// and the log says why. A public client, which has no secret, cannot be authenticated like this.
///
/// Basic credentials go on as they came, in the standard alphabet of base64. Empty secrets never do. An answer other than
/// a clear yes or no makes the exchange fail closed with 503. A yes is kept for a short time
/// ([`cache`](ServerAuthenticatorBuilder::cache)), under a hash with a key that only this process has.
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
pub struct ServerAuthenticator(Arc<Shared>);

struct Shared {
    service: BoxHttpService,
    endpoint: String,
    method: Method,
    known: Known,
}

/// Builds a [`ServerAuthenticator`].
#[must_use = "a builder does nothing until `build`"]
pub struct ServerAuthenticatorBuilder {
    service: Option<BoxHttpService>,
    endpoint: String,
    method: Method,
    entries: u64,
    time_to_live: Duration,
}

impl ServerAuthenticator {
    /// Asks at an introspection endpoint (RFC 7662) about a token that does not exist: the server authenticates the
    /// client before it says so. It changes nothing there, and wants clients that may use that endpoint.
    pub fn by_introspection(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new(endpoint.into(), Method::Introspection)
    }

    /// Asks at a token endpoint for a token of the client's own (client credentials grant, RFC 6749 section 4.4), and
    /// throws it away. It wants clients that may use that grant.
    pub fn by_client_credentials(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new(endpoint.into(), Method::ClientCredentials)
    }

    /// Makes up a client and sees whether the server rejects it; for a server that wants to know before its first
    /// request. It is done before the first client in any case.
    ///
    /// # Errors
    /// The server accepted it, could not be asked, or did not say.
    pub async fn probe(&self) -> Result<(), BoxError> {
        self.0.probe().await
    }
}

impl ServerAuthenticatorBuilder {
    fn new(endpoint: String, method: Method) -> Self {
        Self { service: None, endpoint, method, entries: 10_000, time_to_live: Duration::from_secs(60) }
    }

    /// What asks: an [`HttpFetch`](crate::fetch::HttpFetch) with options of its own, or the wrapped service itself
    /// ([`in_process`](crate::fetch::in_process)). Default: `HttpFetch::new()`.
    pub fn fetch(mut self, service: impl HttpService) -> Self {
        self.service = Some(boxed(service));
        self
    }

    /// How many clients that were accepted are remembered, and for how long, 5 min at most: within that time a secret
    /// that was changed at the server is still good here. Default: 10 000 for 60 s. With a time of 0, every exchange
    /// asks.
    pub fn cache(mut self, entries: u64, time_to_live: Duration) -> Self {
        (self.entries, self.time_to_live) = (entries, time_to_live);
        self
    }

    /// # Errors
    /// [`ConfigError`] names the field and the way out.
    pub fn build(self) -> Result<ServerAuthenticator, ConfigError> {
        let Self { service, endpoint, method, entries, time_to_live } = self;
        if !is_absolute(&endpoint) {
            return Err(ConfigError::new(
                "endpoint",
                format!("`{endpoint}` is no URL: write it in full, with its scheme"),
            ));
        }
        if time_to_live > MAX_TIME_TO_LIVE {
            return Err(ConfigError::new("cache", "give 5 min or less"));
        }
        let known = Known::new(entries, time_to_live)
            .ok_or_else(|| ConfigError::new("cache", "no randomness to be had from the system"))?;
        if service.is_none() && !cfg!(feature = "fetch") {
            return Err(ConfigError::new("fetch", NO_CLIENT));
        }
        let service = service.unwrap_or_else(default_service);
        Ok(ServerAuthenticator(Arc::new(Shared { service, endpoint, method, known })))
    }
}

impl Shared {
    async fn authenticate(&self, credentials: Credentials) -> Result<Authentication, BoxError> {
        let Some(question) = Question::of(&credentials) else { return Ok(Authentication::Rejected) };
        if self.known.has(&question) {
            return Ok(Authentication::Client(question.client_id));
        }
        if !self.known.server_rejects() {
            self.probe().await?;
        }
        if self.ask(&question).await? == Answer::Rejected {
            return Ok(Authentication::Rejected);
        }
        if !self.known.is_told_apart(&question) && !self.tells_apart(&question).await? {
            return Ok(Authentication::Rejected);
        }
        self.known.remember(&question);
        Ok(Authentication::Client(question.client_id))
    }

    /// Whether a wrong secret of this client is wrong there: that of a public client is never looked at.
    async fn tells_apart(&self, question: &Question) -> Result<bool, BoxError> {
        let client = &question.client_id;
        match self.ask(&question.with_secret(&random_secret()?)).await? {
            Answer::Rejected => {
                self.known.note_told_apart(question);
                Ok(true)
            }
            Answer::Accepted => {
                tracing::error!(client, "the server takes any secret of this client, which is therefore refused here");
                Ok(false)
            }
        }
    }

    async fn probe(&self) -> Result<(), BoxError> {
        let refused = |problem: &'static str| {
            tracing::error!(endpoint = self.endpoint, "{problem}");
            Err(problem.into())
        };
        for method in [AuthenticationMethod::ClientSecretBasic, AuthenticationMethod::ClientSecretPost] {
            let nobody = Question::made_up(method, &random_secret()?, &random_secret()?);
            if let Answer::Accepted = self.ask(&nobody).await? {
                return refused(
                    "the server accepted a client that was made up: it authenticates nobody, and so would we",
                );
            }
        }
        // It may say no to this in any words.
        if let Ok(Answer::Accepted) = self.ask(&Question::of_nobody()).await {
            return refused("the server answers whoever presents nothing, and so whatever it cannot read");
        }
        self.known.note_that_server_rejects();
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        let request = question.request(&self.endpoint, self.method)?;
        let response = tokio::time::timeout(TIMEOUT, self.service.clone().oneshot(request)).await??;
        self.method.answer(&response)
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
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.authenticate(credentials).await })
    }
}

impl fmt::Debug for ServerAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticator").field("endpoint", &self.0.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerAuthenticatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticatorBuilder").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
