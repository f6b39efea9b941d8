use super::{
    ActorToken, ExchangeError,
    answer::IssuedType,
    authentication::read_token,
    endpoint::Endpoint,
    form::Form,
    timed::{State, Timed},
};
use crate::{
    flights::Flights,
    locks,
    plug::{BoxPlug, Plug, boxed, catch_panic},
    protocol::{NumericDate, Scope, ScopeError, TokenType},
};
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};
use tower::{BoxError, ServiceExt};
use tracing::Instrument;

/// How long a token of a file is used until the file is read again.
const FILE_TIME: Duration = Duration::from_secs(20);

/// Where the actor tokens of a client come from. The token of a source is kept until it expires, and is refreshed ahead.
///
/// Without a source and without [`ExchangeRequest::actor_token`](super::ExchangeRequest::actor_token), requests have no actor
/// token, and the authorization server takes the client as the actor.
///
/// ```
/// use tower_token_exchange::{TokenType, caller::ActorSource};
///
/// let own = ActorSource::client_credentials().scope("act")?.target("as");
/// let of_kubernetes = ActorSource::file("/var/run/secrets/tokens/as", TokenType::JWT);
/// # let _ = (own, of_kubernetes);
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone)]
pub struct ActorSource(Kind);

#[derive(Clone)]
enum Kind {
    ClientCredentials(Wanted),
    File { path: PathBuf, token_type: TokenType },
    Service(BoxPlug<ActorTokenRequest, ActorToken>),
}

#[derive(Clone, Default)]
struct Wanted {
    scope: Option<Scope>,
    audiences: Vec<String>,
    resources: Vec<String>,
}

/// The question to a service of actor tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorTokenRequest;

impl ActorTokenRequest {
    /// Creates the question.
    pub fn new() -> Self {
        Self
    }
}

/// A service of actor tokens: a service that answers an [`ActorTokenRequest`] with an [`ActorToken`].
///
/// ```
/// use std::convert::Infallible;
/// use tower_token_exchange::caller::{ActorSource, ActorToken, ActorTokenRequest};
///
/// let source = ActorSource::service(tower::service_fn(|_: ActorTokenRequest| async {
///     Ok::<_, Infallible>(ActorToken::access_token("eyJ0eXAiOiJhdCtqd3Qi"))
/// }));
/// # let _ = source;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service of actor tokens",
    label = "not a `tower::Service<ActorTokenRequest, Response = ActorToken>`",
    note = "wrap an async closure: `tower::service_fn(|_: ActorTokenRequest| async move {{ Ok::<_, BoxError>(token) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait ActorTokenService: Plug<ActorTokenRequest, ActorToken> {}

impl<S: Plug<ActorTokenRequest, ActorToken>> ActorTokenService for S {}

impl ActorSource {
    /// The client's own token, by the client credentials grant at the same token endpoint (RFC 6749 section 4.4). The methods
    /// [`scope`](Self::scope), [`target`](Self::target) and [`resource`](Self::resource) say which token.
    pub fn client_credentials() -> Self {
        Self(Kind::ClientCredentials(Wanted::default()))
    }

    /// A token in a file, which another program replaces. The file is read again after at most 20 s.
    pub fn file(path: impl Into<PathBuf>, token_type: TokenType) -> Self {
        Self(Kind::File { path: path.into(), token_type })
    }

    /// A service of the application. A token whose expiry is not known is used once.
    pub fn service(service: impl ActorTokenService) -> Self {
        Self(Kind::Service(boxed(service)))
    }

    /// Sets the scope of the client's own token. Default: the server decides. The method has no effect on other sources.
    ///
    /// # Errors
    /// [`ScopeError`] if the text is not a scope.
    pub fn scope(mut self, scope: impl AsRef<str>) -> Result<Self, ScopeError> {
        let scope = scope.as_ref().parse()?;
        if let Kind::ClientCredentials(wanted) = &mut self.0 {
            wanted.scope = Some(scope);
        }
        Ok(self)
    }

    /// Adds the name of a target of the client's own token (`audience`). The method has no effect on other sources.
    #[must_use]
    pub fn target(mut self, name: impl Into<String>) -> Self {
        if let Kind::ClientCredentials(wanted) = &mut self.0 {
            wanted.audiences.push(name.into());
        }
        self
    }

    /// Adds the URI of a target of the client's own token (`resource`, RFC 8707). The method has no effect on other sources.
    #[must_use]
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        if let Kind::ClientCredentials(wanted) = &mut self.0 {
            wanted.resources.push(uri.into());
        }
        self
    }
}

impl fmt::Debug for ActorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::ClientCredentials(_) => "client_credentials",
            Kind::File { .. } => "file",
            Kind::Service(_) => "service",
        };
        write!(f, "ActorSource({kind})")
    }
}

/// A source, and the token that the source gave last.
pub(super) struct ActorTokens {
    source: ActorSource,
    held: RwLock<Option<Arc<Timed<ActorToken>>>>,
    flights: Flights<Result<ActorToken, ExchangeError>>,
}

impl ActorTokens {
    pub(super) fn new(source: ActorSource) -> Self {
        Self { source, held: RwLock::default(), flights: Flights::default() }
    }

    /// The current token of the source.
    pub(super) async fn token(self: &Arc<Self>, endpoint: &Arc<Endpoint>) -> Result<ActorToken, ExchangeError> {
        let held = locks::read(&self.held).clone();
        let state = held.as_ref().map_or(State::Expired, |held| held.state(endpoint.clock.now().into()));
        match (held, state) {
            (Some(held), State::Usable) => Ok(held.value.clone()),
            (Some(held), State::RefreshAhead) => {
                let (tokens, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
                let refresh = async move {
                    if let Err(error) = tokens.renew(&endpoint).await {
                        tracing::warn!(error = %error_text(&error), "the actor token was not refreshed");
                    }
                };
                tokio::spawn(refresh.in_current_span());
                Ok(held.value.clone())
            }
            // On the heap, because the future is large and rarely needed.
            _ => Box::pin(self.flights.join([0; 32], self.first(endpoint))).await,
        }
    }

    /// Gets a token, unless another caller got one since this caller looked.
    async fn first(&self, endpoint: &Endpoint) -> Result<ActorToken, ExchangeError> {
        let held = locks::read(&self.held).clone();
        match held.filter(|held| held.is_usable(endpoint.clock.now().into())) {
            Some(held) => Ok(held.value.clone()),
            None => self.renew(endpoint).await,
        }
    }

    async fn renew(&self, endpoint: &Endpoint) -> Result<ActorToken, ExchangeError> {
        let now = NumericDate::from(endpoint.clock.now());
        let token = tokio::time::timeout(endpoint.deadline, self.source.ask(endpoint)).await;
        let token = token.unwrap_or(Err(ExchangeError::TimedOut { deadline: endpoint.deadline }));
        let token = token.map_err(|error| ExchangeError::NoActorToken { source: Arc::new(error) })?;
        let expiry = token.presented().expiry();
        let timed = match (&self.source.0, expiry) {
            (Kind::File { .. }, latest) => Timed::new(token.clone(), now, now + FILE_TIME, latest),
            (_, Some(expires_at)) => Timed::new(token.clone(), now, expires_at, None),
            (_, None) => None,
        };
        *locks::write(&self.held) = timed.map(Arc::new);
        Ok(token)
    }
}

impl ActorSource {
    async fn ask(&self, endpoint: &Endpoint) -> Result<ActorToken, ExchangeError> {
        match &self.0 {
            Kind::ClientCredentials(wanted) => {
                let mut form = Form::new("client_credentials");
                form.add_targets(&wanted.audiences, &wanted.resources);
                form.add_scope(wanted.scope.as_ref());
                let own = endpoint.token(&form, IssuedType::NoMember).await?;
                let token = ActorToken::access_token(own.expose());
                Ok(match own.expires_at() {
                    Some(time) => token.expires_at(time),
                    None => token,
                })
            }
            Kind::File { path, token_type } => {
                let token = read_token(path).await.map_err(|error| ExchangeError::Credentials {
                    problem: format!("the token file {} cannot be read: {error}", path.display()),
                })?;
                Ok(ActorToken::new(token.expose(), token_type.clone()))
            }
            Kind::Service(service) => match catch_panic(service.clone().oneshot(ActorTokenRequest)).await {
                Ok(answer) => answer.map_err(|error| failed(&error)),
                Err(_panic) => Err(failed(&BoxError::from("the service panicked"))),
            },
        }
    }
}

fn failed(error: &BoxError) -> ExchangeError {
    ExchangeError::Credentials { problem: format!("the service of actor tokens failed: {error}") }
}

/// The text of an error with its cause.
fn error_text(error: &ExchangeError) -> String {
    match error {
        ExchangeError::NoActorToken { source } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}
