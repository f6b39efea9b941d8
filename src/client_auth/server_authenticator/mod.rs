//! Authentication of clients by another authorization server.

mod answer;
mod attempt;
mod limits;
mod memory;
mod method;
mod probe;
mod question;
mod server;
mod state;

pub use method::ServerMethod;
pub use probe::ProbeError;

use super::{Authentication, AuthenticationMethod, Credentials};
use crate::{
    fetch::{NO_CLIENT, default_service},
    plug::{BoxHttpService, HttpService, boxed},
    records::{ConfigError, is_absolute},
};
use futures_util::future::BoxFuture;
use limits::Limits;
use memory::Memory;
use probe::Probes;
use server::Server;
use state::State;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service};

const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(300);

/// A [`ClientAuthenticator`](super::ClientAuthenticator) that asks another authorization server, such as the server that
/// the layer wraps, whether the credentials of a client are right.
///
/// The records still decide which clients may exchange tokens. A method in the record of a client counts only with
/// [`record_secrets_first`](crate::TokenExchangeBuilder::record_secrets_first); the server is then not asked. The server is asked
/// about secrets only; a client with an assertion or a certificate needs the method in its record.
///
/// # What counts as an answer
///
/// The server accepts a client with the answer that only an authenticated client gets: with `active: false` about a token
/// that does not exist, with an access token, or with an error that follows authentication, such as `unauthorized_client` or
/// `invalid_grant`. Every other answer with the status 400, 401 or 403 rejects the client. Any other status is no answer, and
/// the exchange is answered with 503.
///
/// # Safeguards
///
/// A server that accepts any secret would let everybody act as any client. An answer therefore counts only after the server
/// told the following apart:
///
/// * A client id that does not exist, and a request without credentials. The authenticator tries both before the first
///   client, and once an hour. If no method tells them from a client, exchanges are answered with 500 (`server_error`), and
///   the audit and the log have the cause.
/// * The same client with a wrong secret of the same length, in the same encoding. The server must reject the wrong secret as
///   it rejects a client that does not exist, or with 401 or `invalid_client`: any other refusal can have another cause, such
///   as a limit of the requests. The authenticator tries a wrong secret when the server
///   accepts a secret for the first time, and again after an hour. If the server accepted the secret with an error, the
///   authenticator tries a wrong secret before and after the secret, and again after 5 min: an error can change its meaning
///   for a moment, for example while the server locks a client. If the server accepts the wrong secret too, the client is
///   rejected. A public client, which has no secret, is therefore always rejected.
///
/// An empty secret, or a secret that a server could read as empty or missing (such as `0` or `null`), is never sent. A secret
/// needs a letter or a digit of ASCII outside of percent escapes. Accepted credentials are remembered for a
/// short time ([`cache`](ServerAuthenticatorBuilder::cache)) as a hash with a key that only this process has.
///
/// # Encodings
///
/// The server gets the secret by the method of the client (or by [`send_as`](ServerAuthenticatorBuilder::send_as)). Servers
/// decode `Authorization: Basic` in two ways, so the header is written again: a client id is sent in an encoding that every
/// server reads alike. A secret with characters such as `%` and `+` is tried in two encodings. A client id that two servers
/// could read as two ids is rejected; such a client needs `client_secret_post`.
///
/// # Limits
///
/// If an outer layer puts the [`ClientAddress`](super::ClientAddress) into the request, the server is told the address. At
/// most 64 questions are asked at a time, for at most 4 different credentials of one client at one address, and for at most 32
/// of one address; an IPv6 network of 64 bits counts as one address. If a client exceeds a limit, or if the server answers 429, the client gets 429 with `Retry-After`. Until
/// then, the server is not asked about this client at this address. The longest wait is 5 min.
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
pub struct ServerAuthenticator(Arc<State>);

/// A builder of a [`ServerAuthenticator`].
#[must_use = "a builder does nothing until `build`"]
pub struct ServerAuthenticatorBuilder {
    methods: Vec<(ServerMethod, String)>,
    service: Option<BoxHttpService>,
    send_as: Option<AuthenticationMethod>,
    entries: u64,
    time_to_live: Duration,
}

impl ServerAuthenticator {
    /// Authenticates clients at an introspection endpoint (RFC 7662).
    ///
    /// The authenticator asks about a token that does not exist; the server authenticates the client before the server
    /// answers. The request changes nothing at the server. The clients need the permission to use that endpoint.
    ///
    /// Everybody who may use that endpoint counts as a client. If the server also lets users or APIs introspect tokens with
    /// a name and a secret of their own, a user with the name of a client would count as the client: ask such a server by
    /// another method.
    pub fn by_introspection(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new([(ServerMethod::Introspection, endpoint.into())])
    }

    /// Authenticates clients at a token endpoint, with the client credentials grant (RFC 6749 section 4.4).
    ///
    /// The authenticator discards the token that the server issues. A client that may not use the grant is authenticated too,
    /// if the server says so with an error such as `unauthorized_client`.
    pub fn by_client_credentials(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new([(ServerMethod::ClientCredentials, endpoint.into())])
    }

    /// Authenticates clients at a token endpoint, with an authorization code that does not exist (RFC 6749 section 4.1.3).
    ///
    /// The server answers `invalid_grant` to an authenticated client, and another error to any other client. The request
    /// changes nothing at the server.
    pub fn by_authorization_code(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new([(ServerMethod::AuthorizationCode, endpoint.into())])
    }

    /// Authenticates clients at a token endpoint, with a refresh token that does not exist (RFC 6749 section 6).
    ///
    /// The answers are those of [`by_authorization_code`](Self::by_authorization_code).
    pub fn by_refresh_token(endpoint: impl Into<String>) -> ServerAuthenticatorBuilder {
        ServerAuthenticatorBuilder::new([(ServerMethod::RefreshToken, endpoint.into())])
    }

    /// Authenticates clients with whatever method works: at the introspection endpoint, if the server has one, and at the
    /// token endpoint.
    ///
    /// If the introspection endpoint authenticates others than clients, give `None`
    /// ([`by_introspection`](Self::by_introspection)).
    ///
    /// The methods are tried in the order of [`ServerMethod::ALL`]. A method counts only if the server tells the client from
    /// a client that does not exist, and its secret from a wrong secret. A client that the token endpoint rejects with
    /// `invalid_client` is not asked about there again. For an hour, the authenticator asks about a client
    /// only with the method that authenticated the client. [`chosen_method`](Self::chosen_method) and the log say which
    /// method works.
    ///
    /// ```
    /// use tower_token_exchange::client_auth::ServerAuthenticator;
    ///
    /// let introspection = Some("https://as.example/introspect");
    /// let authenticator = ServerAuthenticator::auto("https://as.example/token", introspection).build()?;
    /// assert_eq!(authenticator.chosen_method(), None);
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn auto(token_endpoint: impl Into<String>, introspection_endpoint: Option<&str>) -> ServerAuthenticatorBuilder {
        let token_endpoint = token_endpoint.into();
        let url = |method: ServerMethod| match method {
            ServerMethod::Introspection => introspection_endpoint.map(str::to_owned),
            _ => Some(token_endpoint.clone()),
        };
        ServerAuthenticatorBuilder::new(ServerMethod::ALL.iter().filter_map(|method| Some((*method, url(*method)?))))
    }

    /// Checks that the server rejects a client that does not exist, with at least one method.
    ///
    /// The authenticator makes this check before the first client in any case, and once an hour. Call this method to make the
    /// check when your server starts. After a failure, the server is asked again after 1 s, then after 2 s, and so on up to
    /// 60 s; until then, the answer is the same error.
    ///
    /// # Errors
    /// [`ProbeError`] if no client can be authenticated.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        self.0.probe().await
    }

    /// The method that works at the server: the method that authenticated the first client. Before the first client, the first
    /// method with which the server rejected a client that does not exist; `None` if the server was not asked yet.
    pub fn chosen_method(&self) -> Option<ServerMethod> {
        self.0.chosen_method()
    }
}

impl ServerAuthenticatorBuilder {
    pub(super) fn new(methods: impl IntoIterator<Item = (ServerMethod, String)>) -> Self {
        let methods = methods.into_iter().collect();
        Self { methods, service: None, send_as: None, entries: 10_000, time_to_live: Duration::from_secs(60) }
    }

    /// Sets the HTTP service that sends the requests: an [`HttpFetch`](crate::fetch::HttpFetch) with other options, or the
    /// wrapped service itself ([`in_process`](crate::fetch::in_process)). Default: `HttpFetch::new()`.
    ///
    /// If the [`ClientAddress`](crate::client_auth::ClientAddress) is known, a request has the address in `Forwarded`, in
    /// `X-Forwarded-For`, and as an extension.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.service = Some(boxed(service));
        self
    }

    /// Sends every secret with this method, for a server that takes no other. Default: the method of the client.
    pub fn send_as(mut self, method: AuthenticationMethod) -> Self {
        self.send_as = Some(method);
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
    /// [`ConfigError`] if an endpoint is not an absolute URL, if the cache time is longer than 5 min, or if there is no
    /// HTTP service.
    pub fn build(self) -> Result<ServerAuthenticator, ConfigError> {
        let Self { methods, service, send_as, entries, time_to_live } = self;
        if let Some((_, url)) = methods.iter().find(|(_, url)| !is_absolute(url)) {
            return Err(ConfigError::new(
                "endpoint",
                format!("`{url}` is not an `http` or `https` URL; give the URL in full"),
            ));
        }
        if time_to_live > MAX_TIME_TO_LIVE {
            return Err(ConfigError::new("cache", "the time is longer than 5 min; use 5 min or less"));
        }
        let memory = Memory::new(entries, time_to_live)
            .ok_or_else(|| ConfigError::new("cache", "the system has no randomness; check its random source"))?;
        if service.is_none() && !cfg!(feature = "fetch") {
            return Err(ConfigError::new("http", NO_CLIENT));
        }
        let service = service.unwrap_or_else(default_service);
        let server = Server { service, limits: Limits::new(), memory };
        Ok(ServerAuthenticator(Arc::new(State::new(server, Probes::new(methods, send_as)))))
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
        let state = Arc::clone(&self.0);
        Box::pin(async move { state.authenticate(credentials).await })
    }
}

impl fmt::Debug for ServerAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticator").field("methods", &self.0.methods()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerAuthenticatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuthenticatorBuilder").field("methods", &self.methods).finish_non_exhaustive()
    }
}
