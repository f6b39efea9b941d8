use super::{
    ActorToken, ClientAuthentication, ExchangeError, SubjectToken,
    actor::ActorTokens,
    answer::IssuedType,
    cache::{Cache, Found, Place},
    endpoint::Endpoint,
    exchanged::ExchangedToken,
    form::Form,
    key::{Inputs, KeyMaker},
};
use crate::{
    jose::Thumbprint,
    protocol::{GRANT_TYPE, NumericDate, Scope, TargetName, TokenType},
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc};
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle};
use tracing::Instrument;

type Outcome = Result<ExchangedToken, ExchangeError>;

/// A client of a token endpoint that exchanges tokens (RFC 8693), and keeps the exchanged tokens for a while.
///
/// [`builder`](Self::builder) creates a client. Clones share the kept tokens. The client needs a tokio runtime with time
/// enabled.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use tower_token_exchange::caller::{ClientAuthentication, ExchangeClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A fake authorization server for this example. Without `http`, the client uses HTTPS.
/// let server = tower::service_fn(|_: Request<Bytes>| async {
///     let answer = r#"{"access_token":"eyJhbGciOiJFUzI1NiJ9","token_type":"Bearer","expires_in":300,
///         "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
///     Ok::<_, std::io::Error>(Response::new(Bytes::from(answer)))
/// });
/// let credentials = ClientAuthentication::secret_basic("orders", "6c1f7a0f5d9b4e2a8f3c");
/// let client = ExchangeClient::builder("https://as.example/token", credentials).http(server).build()?;
///
/// # let user_token = "eyJ0eXAiOiJhdCtqd3Qi";
/// let token = client.exchange(user_token).target("billing").scope("read").await?;
/// let request = Request::get("https://billing.example/invoices").header("authorization", token.authorization());
/// # let _ = request.body(())?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExchangeClient(Arc<Parts>);

pub(super) struct Parts {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) actors: Option<Arc<ActorTokens>>,
    pub(super) keys: KeyMaker,
    pub(super) cache: Cache,
}

impl ExchangeClient {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Begins an exchange. The request is sent when it is awaited.
    ///
    /// # Errors
    /// Awaiting the request returns an [`ExchangeError`] if there is no token.
    pub fn exchange(&self, subject_token: impl Into<SubjectToken>) -> ExchangeRequest {
        ExchangeRequest {
            client: self.clone(),
            subject: subject_token.into(),
            actor: Actor::OfClient,
            audiences: Vec::new(),
            resources: Vec::new(),
            scope: Ok(None),
            requested_type: None,
            is_fresh: false,
        }
    }

    /// Removes all kept tokens that were exchanged from a subject token, for example when the user logs out.
    ///
    /// The removed tokens stay valid at their targets until they expire.
    pub fn forget(&self, subject_token: impl Into<SubjectToken>) {
        let subject = subject_token.into();
        self.0.cache.forget(&self.0.keys.subject(subject.presented()));
    }

    /// The thumbprint of the DPoP key. `None` without a key.
    pub fn proof_key(&self) -> Option<Thumbprint> {
        self.0.endpoint.prover.as_ref().map(|prover| prover.thumbprint())
    }

    /// Returns the value of the header `DPoP` for one request with a bound token (RFC 9449 section 7). The proof has the last
    /// nonce that the server of the URI gave ([`note_nonce`](Self::note_nonce)).
    ///
    /// # Errors
    /// [`ExchangeError::InvalidRequest`] if the client has no DPoP key, or if the URI is not absolute.
    /// [`ExchangeError::Credentials`] if the key does not sign.
    pub async fn proof(
        &self,
        method: &Method,
        uri: &Uri,
        token: &ExchangedToken,
    ) -> Result<HeaderValue, ExchangeError> {
        let Some(prover) = &self.0.endpoint.prover else {
            let problem = "the client has no DPoP key; set a key with `dpop` of the builder";
            return Err(ExchangeError::InvalidRequest(problem.to_owned()));
        };
        prover.proof(method.as_str(), uri, Some(token.expose()), &self.0.endpoint.clock).await
    }

    /// Remembers the header `DPoP-Nonce` of an answer for the next proofs for the same server (RFC 9449 section 8.2). Returns
    /// whether there was a nonce.
    pub fn note_nonce(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.0.endpoint.prover.as_ref().is_some_and(|prover| prover.note_nonce(uri, headers))
    }

    /// Exchanges a token in a task of its own, which finishes the exchange if its caller is gone. Otherwise another caller would
    /// have to repeat the request, and the subject token can be used up.
    fn begin(&self, place: Place, form: Form, issued: IssuedType, is_fresh: bool) -> JoinHandle<Outcome> {
        let client = self.clone();
        let exchange = async move {
            let parts = &client.0;
            let exchange = parts.endpoint.token(&form, issued);
            if is_fresh { parts.cache.renew(place, exchange).await } else { parts.cache.join(place, exchange).await }
        };
        tokio::spawn(exchange.in_current_span())
    }

    /// Exchanges a token again in the background, while the permit is held.
    fn refresh(&self, place: Place, form: Form, issued: IssuedType, permit: OwnedSemaphorePermit) {
        let client = self.clone();
        let refresh = async move {
            let parts = &client.0;
            if let Err(error) = parts.cache.renew(place, parts.endpoint.token(&form, issued)).await {
                tracing::warn!(%error, "an exchanged token was not refreshed ahead");
            }
            drop(permit);
        };
        tokio::spawn(refresh.in_current_span());
    }

    /// The credentials of the client at the token endpoint.
    pub fn authentication(&self) -> &ClientAuthentication {
        &self.0.endpoint.authentication
    }
}

impl fmt::Debug for ExchangeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeClient")
            .field("token_endpoint", &self.0.endpoint.url)
            .field("authentication", self.authentication())
            .field("proof_key", &self.proof_key())
            .finish_non_exhaustive()
    }
}

/// One exchange. Awaiting the request returns the [`ExchangedToken`], or an [`ExchangeError`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct ExchangeRequest {
    client: ExchangeClient,
    subject: SubjectToken,
    actor: Actor,
    audiences: Vec<String>,
    resources: Vec<String>,
    scope: Result<Option<Scope>, String>,
    requested_type: Option<TokenType>,
    is_fresh: bool,
}

#[derive(Clone, Debug)]
enum Actor {
    /// The token of the source of the client, if there is a source.
    OfClient,
    Given(ActorToken),
    Nobody,
}

impl ExchangeRequest {
    /// Adds the name of a service that the token is for (`audience`, RFC 8693 section 2.1), such as the id of a
    /// [`Target`](crate::Target).
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.audiences.push(name.into());
        self
    }

    /// Adds the URI of a service that the token is for (`resource`, RFC 8693 section 2.1).
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// Sets the requested scope: scope tokens with one space between two tokens. Default: the server decides.
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.scope = scope.as_ref().parse().map(Some).map_err(|error: crate::protocol::ScopeError| error.to_string());
        self
    }

    /// Sets the actor token. Default: the token of the [`ActorSource`](super::ActorSource) of the client, if there is one.
    pub fn actor_token(mut self, token: impl Into<ActorToken>) -> Self {
        self.actor = Actor::Given(token.into());
        self
    }

    /// Sends no actor token, even if the client has a source of actor tokens.
    pub fn without_actor_token(mut self) -> Self {
        self.actor = Actor::Nobody;
        self
    }

    /// Sets the requested type of the token (`requested_token_type`). An answer with another type is an error. Default: the
    /// server decides, and the answer is an access token or a JWT.
    pub fn requested_token_type(mut self, token_type: TokenType) -> Self {
        self.requested_type = Some(token_type);
        self
    }

    /// Exchanges the token even if a token is kept, and keeps the new token in its place.
    pub fn fresh(mut self) -> Self {
        self.is_fresh = true;
        self
    }

    async fn run(self) -> Outcome {
        self.check_targets()?;
        let scope = self.scope.clone().map_err(ExchangeError::InvalidRequest)?;
        let parts = &self.client.0;
        let actor = match (&self.actor, &parts.actors) {
            (Actor::Given(token), _) => Some(token.clone()),
            (Actor::OfClient, Some(source)) => Some(source.token(&parts.endpoint).await?),
            (Actor::OfClient, None) | (Actor::Nobody, _) => None,
        };
        let inputs = Inputs {
            subject: self.subject.presented(),
            actor: actor.as_ref().map(ActorToken::presented),
            audiences: &self.audiences,
            resources: &self.resources,
            scope: scope.as_ref(),
            requested_type: self.requested_type.as_ref(),
        };
        let key = parts.keys.key(&inputs);
        let found = if self.is_fresh { Found::Nothing } else { parts.cache.find(&key) };
        if let Found::Token(token) = found {
            return Ok(token);
        }
        let place = Place { key, subject: parts.keys.subject(inputs.subject), latest: end_of(&inputs, parts)? };
        let (form, issued) = question(&inputs);
        match found {
            Found::RefreshAhead(token, permit) => {
                self.client.refresh(place, form, issued, permit);
                Ok(token)
            }
            _ => {
                let exchange = self.client.begin(place, form, issued, self.is_fresh);
                exchange.await.unwrap_or_else(|_| Err(ExchangeError::interrupted()))
            }
        }
    }

    fn check_targets(&self) -> Result<(), ExchangeError> {
        let names = self.audiences.iter().map(|name| (name, TargetName::audience(name)));
        let uris = self.resources.iter().map(|uri| (uri, TargetName::resource(uri)));
        for (name, read) in names.chain(uris) {
            read.map_err(|error| {
                ExchangeError::InvalidRequest(format!("the target {name:?} is malformed: {}", error.0))
            })?;
        }
        Ok(())
    }
}

/// The earliest end of the input tokens, as far as known.
fn end_of(inputs: &Inputs<'_>, parts: &Parts) -> Result<Option<NumericDate>, ExchangeError> {
    let subject = inputs.subject.expiry();
    if subject.is_some_and(|end| end <= parts.endpoint.clock.now().into()) {
        return Err(ExchangeError::SubjectTokenExpired);
    }
    Ok(subject.into_iter().chain(inputs.actor.and_then(|actor| actor.expiry())).min())
}

/// The form of the request (RFC 8693 section 2.1), and the type of the token in the answer.
fn question(inputs: &Inputs<'_>) -> (Form, IssuedType) {
    let mut form = Form::new(GRANT_TYPE);
    form.add_sensitive("subject_token", inputs.subject.text.clone());
    form.add("subject_token_type", inputs.subject.token_type.as_str());
    if let Some(actor) = inputs.actor {
        form.add_sensitive("actor_token", actor.text.clone());
        form.add("actor_token_type", actor.token_type.as_str());
    }
    form.add_targets(inputs.audiences, inputs.resources);
    form.add_scope(inputs.scope);
    match inputs.requested_type {
        Some(requested) => {
            form.add("requested_token_type", requested.as_str());
            (form, IssuedType::Requested(requested.clone()))
        }
        None => (form, IssuedType::Usable),
    }
}

impl IntoFuture for ExchangeRequest {
    type Output = Outcome;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
