use crate::{
    audit::{Audit, AuditSink, TracingSink},
    authority::{Authority, Policy, PolicyPart, StatusCheck, StatusPart},
    body::Limits,
    client::{AskLimits, Authenticator, ClientAuthenticator, client_table},
    clock::Clock,
    exchange::Exchange,
    fetch::HttpFetch,
    issue::{Issuance, Signer},
    part::{Part, Plug, part},
    policy::{Rule, Table},
    protocol::TokenType,
    registry::{Client, ConfigError, Issuer, KeySource, OwnSubjects, Records, Registry, SubjectMapping, Target},
    service::{Endpoint, RequestHead, Shared, TokenExchange},
    trust::{Fetching, Readiness, TrustedKeys},
    verify::{Introspector, TokenVerifier, TokenVerifierPart, Verifier},
};
use bytes::Bytes;
use http::{Request, Response};
use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tower::Layer;

/// The most targets that can be allowed in one request.
const MAX_TARGETS: usize = 8;
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// Adds OAuth 2.0 Token Exchange (RFC 8693) to a token endpoint.
///
/// Put it around the service that has the token endpoint. Requests whose `grant_type` is token exchange are
/// answered here, everything else reaches the wrapped service as it came.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_token_exchange::{
///     Algorithm, Client, LocalSigner, Target, TokenExchangeLayer,
///     policy::{Rule, Subjects},
/// };
///
/// async fn token() -> &'static str {
///     "the token endpoint that was there before"
/// }
///
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .endpoint("/token")
///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
///     .targets([Target::new("billing").callers(["orders"]).scopes(["invoices:read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
///
/// let app: Router = Router::new().route("/token", post(token)).layer(layer);
/// # let _ = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenExchangeLayer {
    shared: Arc<Shared>,
}

impl TokenExchangeLayer {
    /// Begins a layer for an authorization server with this issuer identifier: the exact `iss` of the tokens that
    /// it issues (RFC 8414 section 2).
    pub fn builder(issuer: impl Into<String>) -> TokenExchangeBuilder {
        TokenExchangeBuilder {
            issuer: issuer.into(),
            endpoints: Vec::new(),
            clients: Vec::new(),
            targets: Vec::new(),
            issuers: Vec::new(),
            policy: None,
            signer: None,
            authenticator: None,
            audit: part(TracingSink),
            fetch: None,
            verifiers: HashMap::new(),
            status: None,
            clock: Clock::default(),
            limits: Limits { bytes: 1024 * 1024, frames: 4096, deadline: Duration::from_secs(10) },
            forward_unread: false,
            guard: false,
            deadline: Duration::from_secs(15),
            max_lifetime: Duration::from_secs(300),
            max_targets: 1,
            max_depth: 4,
            leeway: Duration::from_secs(30),
            strict_scope: false,
            own_subjects: OwnSubjects::Some,
        }
    }

    /// Waits until every audit event that is under way has reached the sink; for an orderly shutdown, after the
    /// server has stopped.
    pub async fn flush_audit(&self) {
        self.shared.exchange.audit.flush().await;
    }

    /// How things stand with the keys of the issuers, for a health endpoint. It waits for nobody.
    ///
    /// Where an issuer's keys are missing, it begins to fetch them, as often as the back-off of
    /// [`Issuer::jwks_uri`] permits: a server that is probed before it gets requests becomes ready. That needs a tokio
    /// runtime; without one it only looks.
    ///
    /// ```
    /// use axum::{Json, Router, http::StatusCode, routing::{get, post}};
    /// # use tower_token_exchange::{
    /// #     Algorithm, Client, LocalSigner, Target, TokenExchangeLayer,
    /// #     policy::{Rule, Subjects},
    /// # };
    /// # let layer = TokenExchangeLayer::builder("https://as.example")
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").callers(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    /// #     .signer(LocalSigner::generate(Algorithm::ES256)?)
    /// #     .build()?;
    /// # async fn token() {}
    /// let exchange = layer.clone();
    /// let ready = || async move {
    ///     let readiness = exchange.readiness();
    ///     let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    ///     (status, Json(readiness))
    /// };
    /// let app: Router = Router::new().route("/token", post(token)).layer(layer).route("/ready", get(ready));
    /// # let _ = app;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readiness(&self) -> Readiness {
        self.shared.exchange.verifier.keys.readiness()
    }

    /// Fetches the keys of all issuers that have none yet and waits for them, 5 s at most; for a server that wants
    /// them before its first request. None of it is needed: keys are fetched when they are.
    ///
    /// Where the last fetch failed a moment ago, there is none, as with [`readiness`](Self::readiness).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower_token_exchange::{
    ///     Algorithm, Client, Issuer, KeyState, LocalSigner, SubjectMapping, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Stands in for the issuer.
    /// let keys = LocalSigner::generate(Algorithm::ES256)?.published_keys().to_json();
    /// let issuer = tower::service_fn(move |_: Request<Bytes>| {
    ///     let keys = keys.clone();
    ///     async { Ok::<_, Infallible>(Response::new(Bytes::from(keys))) }
    /// });
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .issuers([Issuer::new("https://idp.example")
    ///         .jwks_uri("https://idp.example/jwks.json")
    ///         .subjects(SubjectMapping::Prefix("idp|".into()))])
    ///     .fetch(issuer)
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").callers(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    /// #     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     // …
    ///     .build()?;
    ///
    /// let readiness = layer.load_keys().await;
    /// for issuer in readiness.issuers.iter().filter(|issuer| issuer.state == KeyState::Missing) {
    ///     eprintln!("no keys of {}: {:?}", issuer.issuer, issuer.last_problem);
    /// }
    /// assert!(readiness.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load_keys(&self) -> Readiness {
        self.shared.exchange.verifier.keys.load().await
    }
}

impl<S> Layer<S> for TokenExchangeLayer {
    type Service = TokenExchange<S>;

    fn layer(&self, inner: S) -> TokenExchange<S> {
        TokenExchange::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for TokenExchangeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeLayer").finish_non_exhaustive()
    }
}

/// Builds a [`TokenExchangeLayer`].
#[must_use = "a builder does nothing until `build`"]
pub struct TokenExchangeBuilder {
    issuer: String,
    endpoints: Vec<Endpoint>,
    clients: Vec<Client>,
    targets: Vec<Target>,
    issuers: Vec<Issuer>,
    policy: Option<ChosenPolicy>,
    signer: Option<Signer>,
    authenticator: Option<Authenticator>,
    audit: Part<crate::audit::AuditEvent, ()>,
    fetch: Option<Part<Request<Bytes>, Response<Bytes>>>,
    verifiers: HashMap<TokenType, TokenVerifierPart>,
    status: Option<StatusPart>,
    clock: Clock,
    limits: Limits,
    forward_unread: bool,
    guard: bool,
    deadline: Duration,
    max_lifetime: Duration,
    max_targets: usize,
    max_depth: usize,
    leeway: Duration,
    strict_scope: bool,
    own_subjects: OwnSubjects,
}

enum ChosenPolicy {
    Rules(Vec<Rule>),
    Service(PolicyPart),
}

impl TokenExchangeBuilder {
    /// The exact raw path of the token endpoint, as the layer sees it: inside a nested axum router, without the
    /// prefix. Call it again for another endpoint. Default: `/token`.
    pub fn endpoint(mut self, path: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint::Path(path.into()));
        self
    }

    /// A token endpoint that a path alone cannot tell, such as one of many tenants. Whatever it says no to passes
    /// by unseen, so it must say yes to every spelling that the wrapped service takes for its token endpoint.
    ///
    /// ```
    /// # use tower_token_exchange::TokenExchangeLayer;
    /// let builder = TokenExchangeLayer::builder("https://as.example")
    ///     .endpoint_when(|request| request.uri.path().starts_with("/tenants/") && request.uri.path().ends_with("/token"));
    /// # let _ = builder;
    /// ```
    pub fn endpoint_when(mut self, matches: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.endpoints.push(Endpoint::When(Box::new(matches)));
        self
    }

    /// The clients. More calls add more.
    pub fn clients(mut self, clients: impl IntoIterator<Item = Client>) -> Self {
        self.clients.extend(clients);
        self
    }

    /// The targets. More calls add more.
    pub fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// The issuers of subject and actor tokens, beside the signer's own keys. More calls add more.
    pub fn issuers(mut self, issuers: impl IntoIterator<Item = Issuer>) -> Self {
        self.issuers.extend(issuers);
        self
    }

    /// A policy made of rules, whose names are checked against the clients and targets. Takes the place of any
    /// policy given before.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.policy = Some(ChosenPolicy::Rules(rules.into_iter().collect()));
        self
    }

    /// The policy: any service that answers a [`Query`](crate::Query) with a [`Decision`](crate::Decision). Takes
    /// the place of any policy given before.
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.policy = Some(ChosenPolicy::Service(part(policy)));
        self
    }

    /// The signer: a [`LocalSigner`](crate::LocalSigner), or any service in a [`Signer`].
    pub fn signer(mut self, signer: impl Into<Signer>) -> Self {
        self.signer = Some(signer.into());
        self
    }

    /// Where audit events go. Default: [`TracingSink`].
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = part(sink);
        self
    }

    /// What says which client calls. Default: the secrets in the clients' records. Every client that it names
    /// still needs a record.
    pub fn client_authenticator(mut self, authenticator: impl ClientAuthenticator) -> Self {
        self.authenticator = Some(part(authenticator));
        self
    }

    /// What finds out whether tokens of this type are genuine, in place of signature and introspection. An issuer's
    /// record must take the type too ([`Issuer::token_types`](crate::Issuer::token_types)). Replaces any given before.
    pub fn token_verifier(mut self, token_type: TokenType, verifier: impl TokenVerifier) -> Self {
        self.verifiers.insert(token_type, part(verifier));
        self
    }

    /// What is asked at every exchange whether all who take part are still good. Default: nobody.
    pub fn status(mut self, status: impl StatusCheck) -> Self {
        self.status = Some(part(status));
        self
    }

    /// What fetches key sets and metadata of issuers, and asks introspection endpoints. Default: [`HttpFetch::new`],
    /// which reaches public `https` addresses only.
    pub fn fetch(mut self, fetch: impl Plug<Request<Bytes>, Response<Bytes>>) -> Self {
        self.fetch = Some(part(fetch));
        self
    }

    /// Where the time comes from. Default: the system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// The longest lifetime of an issued token; records and rules can lower it, and what is left of the tokens
    /// handed in always does. Default: 300 s.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// The most targets in one request, 1 to 8. Default: 1, since whoever receives a token for several can use it
    /// at the others (RFC 8707 section 3).
    pub fn max_targets(mut self, targets: usize) -> Self {
        self.max_targets = targets;
        self
    }

    /// The most actors that an issued token may name. Default: 4.
    pub fn max_chain_depth(mut self, actors: usize) -> Self {
        self.max_depth = actors;
        self
    }

    /// How far the clocks of others may be ahead, at most 60 s; for `nbf` and `iat`, never for `exp`.
    /// Default: 30 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Says that this authorization server has no subjects of its own: every `sub` that it issues comes from a
    /// foreign issuer. Only then can one of those keep its names ([`SubjectMapping::Keep`](crate::SubjectMapping)).
    pub fn federated_subjects_only(mut self) -> Self {
        self.own_subjects = OwnSubjects::None;
        self
    }

    /// Answers `invalid_scope` where not all of the scope asked for can be granted. Default: what can be granted
    /// is, and the answer says what that was.
    pub fn strict_scope(mut self) -> Self {
        self.strict_scope = true;
        self
    }

    /// The largest form that is read, in bytes; a larger one at the token endpoint is answered with 413, whatever its
    /// grant. Default: 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// How long a form may take to arrive; a slower one is answered with 408, whatever its grant. Default: 10 s.
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// Hands a form that is over a limit or too slow to the wrapped service, instead of answering 413 or 408. Only
    /// for a wrapped service that does not know this grant: nobody has looked at what the form holds.
    pub fn forward_unread_forms(mut self) -> Self {
        self.forward_unread = true;
        self
    }

    /// For a wrapped service that may know the exchange grant itself: what could carry the grant past the layer is
    /// refused. A form with another method than `POST` or at another spelling of the path, and a JSON body, are read
    /// and refused if they hold the grant; any other body at the token endpoint is answered with 415. The cases are
    /// listed in [`smuggling`](crate::smuggling).
    pub fn guard(mut self) -> Self {
        self.guard = true;
        self
    }

    /// How long a whole exchange may take after its form has arrived; 503 then. Default: 15 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Checks everything that was given, each for itself and all together.
    pub fn build(self) -> Result<TokenExchangeLayer, ConfigError> {
        let wrong = |field: &str, way_out: &str| Err(ConfigError::new(field, way_out));
        let is_path = |path: &String| path.starts_with('/') && !path.contains(['?', '#']);
        if self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Path(path) if !is_path(path))) {
            return wrong("endpoint", "not a path: begin with `/` and leave query and fragment out");
        }
        if self.guard && self.forward_unread {
            return wrong("guard", "nobody looks at forms that are forwarded unread: leave `forward_unread_forms` out");
        }
        if !(1..=MAX_TARGETS).contains(&self.max_targets) {
            return wrong("max_targets", "give 1 to 8");
        }
        if self.max_depth == 0 {
            return wrong("max_chain_depth", "give 1 or more: a delegation names at least one actor");
        }
        if self.leeway > MAX_LEEWAY {
            return wrong("leeway", "give 60 s or less");
        }
        if self.max_lifetime < Duration::from_secs(1) {
            return wrong("max_lifetime", "give 1 s or more");
        }
        let records = Records {
            clients: self.clients,
            targets: self.targets,
            issuers: self.issuers,
            own_subjects: self.own_subjects,
            plugged: self.verifiers.keys().cloned().collect(),
        };
        let registry = Arc::new(Registry::new(&self.issuer, records)?);
        let policy = match self.policy {
            None => return wrong("policy", "none: nothing would ever be allowed; give `rules` or a `policy`"),
            Some(ChosenPolicy::Service(policy)) => policy,
            Some(ChosenPolicy::Rules(rules)) => part(checked(Table::new(rules)?, &registry)?),
        };
        let Some(signer) = self.signer else {
            return wrong("signer", "none: give a `LocalSigner`, or a service in a `Signer`");
        };
        if !signer.knows_its_key() {
            return wrong(
                "signer",
                "the keys in `verified_by` hold none with its `kid` and algorithm: publish it there",
            );
        }
        if self.fetch.is_none() {
            check_default_fetch(&registry)?;
        }
        let fetching =
            Fetching { fetch: self.fetch.unwrap_or_else(|| part(HttpFetch::new())), clock: self.clock.clone() };
        let introspectors = registry.issuers().filter_map(|issuer| {
            let record = issuer.introspection.as_ref()?;
            Some((issuer.id.clone(), Introspector::new(record, &fetching.fetch, &self.clock)))
        });
        let introspectors = introspectors.collect();
        let exchange = Exchange {
            authenticator: self.authenticator.unwrap_or_else(|| client_table(Arc::clone(&registry))),
            ask_limits: AskLimits { max_targets: self.max_targets },
            verifier: Verifier {
                introspectors,
                plugged: self.verifiers,
                keys: TrustedKeys::new(&registry, &signer.keys, &fetching),
                registry: Arc::clone(&registry),
                clock: self.clock.clone(),
                leeway: self.leeway,
            },
            authority: Authority {
                registry: Arc::clone(&registry),
                clock: self.clock.clone(),
                max_lifetime: self.max_lifetime,
                max_depth: self.max_depth,
                strict_scope: self.strict_scope,
            },
            status: self.status,
            policy,
            issuance: Issuance { own_issuer: self.issuer, signer, clock: self.clock.clone() },
            audit: Audit::new(self.audit, self.clock),
            deadline: self.deadline,
            registry,
        };
        let mut endpoints = self.endpoints;
        if endpoints.is_empty() {
            endpoints.push(Endpoint::Path("/token".to_owned()));
        }
        Ok(TokenExchangeLayer {
            shared: Arc::new(Shared {
                endpoints,
                limits: self.limits,
                forward_unread: self.forward_unread,
                guard: self.guard,
                exchange,
            }),
        })
    }
}

/// A key set that the default could never fetch would make every token of its issuer a 503.
fn check_default_fetch(registry: &Registry) -> Result<(), ConfigError> {
    for issuer in registry.issuers() {
        let (field, uri) = match &issuer.keys {
            Some(KeySource::Remote(uri)) => ("jwks_uri", uri),
            Some(KeySource::Discovered) => ("discovery", &issuer.id),
            _ => continue,
        };
        if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() != Some("https")) {
            let way_out =
                format!("`{uri}` is not https: give a `fetch`, such as `HttpFetch` with `allow_loopback_http`");
            return Err(ConfigError::new(format!("issuer `{}`: {field}", issuer.id), way_out));
        }
    }
    Ok(())
}

/// A rule about somebody that nobody registered is a typing error that would refuse in silence.
fn checked(table: Table, registry: &Registry) -> Result<Table, ConfigError> {
    for rule in table.rules() {
        let id = rule.id.as_deref().unwrap_or_default();
        let (clients, targets) = (rule.clients.listed(), rule.targets.listed());
        if let Some(issuer) = rule.issuers().find(|issuer| registry.issuer(issuer).is_none()) {
            let way_out = format!("no issuer `{issuer}`: register it, or mend the name");
            return Err(ConfigError::new(format!("policy `{id}`: subjects or actors"), way_out));
        }
        let renamed = |issuer: &String| {
            matches!(&registry.issuer(issuer)?.subjects, Some(SubjectMapping::Claim(_))).then_some(())
        };
        if !rule.allows && rule.subjects.subs.is_some() && rule.subjects.issuer.as_ref().and_then(renamed).is_some() {
            let way_out = "its subjects lose these names in their first exchange, and the deny with them: deny by issuer or claim";
            return Err(ConfigError::new(format!("policy `{id}`: subjects"), way_out));
        }
        if let Some(client) = clients.iter().find(|client| registry.client(client).is_none()) {
            let way_out = format!("no client `{client}`: register it, or mend the name");
            return Err(ConfigError::new(format!("policy `{id}`: clients"), way_out));
        }
        if let Some(target) = targets.iter().find(|target| registry.target_by_id(target).is_none()) {
            let way_out = format!("no target `{target}`: register it, or mend the name");
            return Err(ConfigError::new(format!("policy `{id}`: targets"), way_out));
        }
    }
    Ok(table)
}

impl fmt::Debug for TokenExchangeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeBuilder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
