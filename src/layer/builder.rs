use super::{Document, TokenExchangeLayer, assemble::Parts};
use crate::{
    audit::{Audit, AuditEvent, AuditSink, TracingSink},
    body::Limits,
    client_auth::{Authenticator, ClientAuthenticator},
    clock::Clock,
    fetch::default_service,
    issued::IssuedTokenEndpoint,
    jwks::Fetching,
    plug::{BoxHttpService, BoxPlug, HttpService, boxed},
    policy::{Policy, PolicyPart, Rule},
    protocol::{ErrorProfile, TokenType},
    records::{Client, ConfigError, Issuer, IssuerId, Target},
    revocation::{RevocationPart, RevocationStore},
    service::{Current, Endpoint, EndpointMatch, RequestHead, ServiceState},
    settings::Settings,
    signing::Signer,
    status::{StatusCheck, StatusChecks, StatusPart},
    token::{TokenVerifier, TokenVerifierPart},
};
use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The most targets that can be allowed in one request.
const MAX_TARGETS: usize = 8;
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// Builds a [`TokenExchangeLayer`].
#[must_use = "a builder does nothing until `build`"]
pub struct TokenExchangeBuilder {
    issuer: IssuerId,
    endpoints: Vec<Endpoint>,
    issued_token_endpoints: Vec<(String, IssuedTokenEndpoint)>,
    clients: Vec<Client>,
    targets: Vec<Target>,
    issuers: Vec<Issuer>,
    rules: Option<Vec<Rule>>,
    policy: Option<PolicyPart>,
    signer: Option<Signer>,
    authenticator: Option<Authenticator>,
    audit: BoxPlug<AuditEvent, ()>,
    best_effort_audit: bool,
    errors: ErrorProfile,
    fetch: Option<BoxHttpService>,
    verifiers: HashMap<TokenType, TokenVerifierPart>,
    status: Option<StatusPart>,
    revocations: Option<RevocationPart>,
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
    federated_subjects_only: bool,
}

impl TokenExchangeBuilder {
    pub(super) fn new(issuer: IssuerId) -> Self {
        Self {
            issuer,
            endpoints: Vec::new(),
            issued_token_endpoints: Vec::new(),
            clients: Vec::new(),
            targets: Vec::new(),
            issuers: Vec::new(),
            rules: None,
            policy: None,
            signer: None,
            authenticator: None,
            audit: boxed(TracingSink),
            best_effort_audit: false,
            errors: ErrorProfile::rfc8693(),
            fetch: None,
            verifiers: HashMap::new(),
            status: None,
            revocations: None,
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
            federated_subjects_only: false,
        }
    }

    /// The exact raw path of the token endpoint, as the layer sees it: inside a nested axum router, without the
    /// prefix. Call it again for another endpoint. Default: `/token`.
    pub fn endpoint(mut self, path: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint::Path(path.into()));
        self
    }

    /// Adds a token endpoint that has no fixed path, such as an endpoint with the tenant in its path.
    ///
    /// The function says for each request whether the request is for the token endpoint. A request for which the function
    /// returns [`EndpointMatch::Elsewhere`] passes unchecked. The function must therefore recognize every spelling that
    /// the wrapped service accepts: [`EndpointMatch::from_paths`] and [`RequestHead::match_path`] find the spellings of a
    /// path that a lenient server accepts.
    ///
    /// ```
    /// use tower_token_exchange::{TokenExchangeLayer, service::EndpointMatch};
    ///
    /// let builder = TokenExchangeLayer::builder("https://as.example").endpoint_when(|request| {
    ///     let tenants = ["/tenants/red/token", "/tenants/blue/token"];
    ///     tenants.map(|path| request.match_path(path)).into_iter().max().unwrap_or(EndpointMatch::Elsewhere)
    /// });
    /// # let _ = builder;
    /// ```
    pub fn endpoint_when(
        mut self,
        matches: impl Fn(&RequestHead<'_>) -> EndpointMatch + Send + Sync + 'static,
    ) -> Self {
        self.endpoints.push(Endpoint::When(Box::new(matches)));
        self
    }

    /// The exact raw path of the introspection endpoint (RFC 7662). What is asked there about a token that was issued
    /// here, one that the signer's keys verify, is answered here; everything else reaches the wrapped service. Call it
    /// again for another. Default: none.
    ///
    /// The client authenticates as for an exchange, with or without the right to that grant. It is told all claims of
    /// a token that it holds (`client_id`) or that is for a target which it [owns](Target::served_by); of any other that it
    /// is not active. So is a token that has expired or was [revoked](Self::revocations).
    ///
    /// The signer needs keys of its own for this: with those of the wrapped service, all of that one's tokens would count as
    /// issued here, and be answered for without asking it.
    pub fn introspection_endpoint(mut self, path: impl Into<String>) -> Self {
        self.issued_token_endpoints.push((path.into(), IssuedTokenEndpoint::Introspection));
        self
    }

    /// The exact raw path of the revocation endpoint (RFC 7009). A token that was issued here, and is revoked by the
    /// client that holds it, is good no more: as a subject token, as an actor token, and in introspection. Whoever
    /// verifies it by its signature alone does not notice. All other tokens are for the wrapped service. Call it again
    /// for another. Default: none. It takes a store ([`revocations`](Self::revocations)), and, as
    /// [`introspection_endpoint`](Self::introspection_endpoint) does, a signer with keys of its own. A form that cannot be read
    /// (over [`body_limit`](Self::body_limit), too slow) is refused: the wrapped service would say that all is well.
    pub fn revocation_endpoint(mut self, path: impl Into<String>) -> Self {
        self.issued_token_endpoints.push((path.into(), IssuedTokenEndpoint::Revocation));
        self
    }

    /// What remembers the tokens that were revoked, and is asked about every own token that is handed in. Default:
    /// nothing, and no token of this authorization server is taken for revoked.
    pub fn revocations(mut self, store: impl RevocationStore) -> Self {
        self.revocations = Some(boxed(store));
        self
    }

    /// Clients, targets, issuers and rules from a document, in place of all given before.
    pub fn document(mut self, document: Document) -> Self {
        let Document { clients, targets, issuers, rules, federated_subjects_only } = document;
        (self.clients, self.targets, self.issuers) = (clients, targets, issuers);
        self.federated_subjects_only = federated_subjects_only;
        if rules.is_some() {
            (self.rules, self.policy) = (rules, None);
        }
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

    /// A policy made of rules, which are held against the records: names that nobody has, what client and target do not
    /// agree on, actors that nobody carries, a rule that says what one before it says, an allow all of which a deny
    /// refuses, and whatever else could never have an effect is a mistake that [`build`](Self::build) tells. Takes the
    /// place of any policy given before.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        (self.rules, self.policy) = (Some(rules.into_iter().collect()), None);
        self
    }

    /// The policy: any service that answers a [`Query`](crate::policy::Query) with a [`Decision`](crate::policy::Decision). Takes
    /// the place of any policy given before.
    pub fn policy(mut self, policy: impl Policy) -> Self {
        (self.rules, self.policy) = (None, Some(boxed(policy)));
        self
    }

    /// The signer: a [`LocalSigner`](crate::signing::LocalSigner), or any service in a [`Signer`].
    pub fn signer(mut self, signer: impl Into<Signer>) -> Self {
        self.signer = Some(signer.into());
        self
    }

    /// Where audit events go. Default: [`TracingSink`]; [`JsonLinesSink`](crate::audit::JsonLinesSink) writes them to a file.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = boxed(sink);
        self
    }

    /// Releases a token also when the sink did not take its event, which is then written with [`tracing`]. Default: a
    /// token whose event nobody took is withheld, and the exchange answered with 503.
    pub fn best_effort_audit(mut self) -> Self {
        self.best_effort_audit = true;
        self
    }

    /// Which errors the client is told, for a layer that takes the place of another server. Default:
    /// [`ErrorProfile::rfc8693`].
    pub fn error_profile(mut self, profile: ErrorProfile) -> Self {
        self.errors = profile;
        self
    }

    /// What says which client calls. Default: the secrets in the clients' records. Every client that it names
    /// still needs a record.
    pub fn client_authenticator(mut self, authenticator: impl ClientAuthenticator) -> Self {
        self.authenticator = Some(boxed(authenticator));
        self
    }

    /// What finds out whether tokens of this type are genuine, in place of signature and introspection. An issuer's
    /// record must take the type too ([`Issuer::accept_types`](crate::Issuer::accept_types)). Replaces any given before.
    pub fn token_verifier(mut self, token_type: TokenType, verifier: impl TokenVerifier) -> Self {
        self.verifiers.insert(token_type, boxed(verifier));
        self
    }

    /// What is asked at every exchange whether all who take part are still good. Default: nobody.
    pub fn status(mut self, status: impl StatusCheck) -> Self {
        self.status = Some(boxed(status));
        self
    }

    /// What fetches key sets and metadata of issuers, and asks introspection endpoints. Default: `HttpFetch::new()` of the feature `fetch`,
    /// which reaches public `https` addresses only.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.fetch = Some(boxed(service));
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
    /// foreign issuer. Only then can one of those keep its names ([`SubjectMapping::Keep`](crate::records::SubjectMapping)).
    pub fn federated_subjects_only(mut self) -> Self {
        self.federated_subjects_only = true;
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
    /// listed in [`smuggling`](crate::manual::smuggling).
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
    ///
    /// # Errors
    /// [`ConfigError`] names the field and the way out.
    pub fn build(self) -> Result<TokenExchangeLayer, ConfigError> {
        let wrong = |field: &str, help: &str| Err(ConfigError::new(field, help));
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
        if let Some(problem) = self.errors.problem() {
            return wrong("error_profile", &problem);
        }
        let Some(signer) = self.signer else {
            return wrong("signer", "none: give a `LocalSigner`, or a service in a `Signer`");
        };
        signer.check()?;
        let is_about =
            |about: IssuedTokenEndpoint| self.issued_token_endpoints.iter().any(|(_, known)| *known == about);
        if is_about(IssuedTokenEndpoint::Revocation) && self.revocations.is_none() {
            return wrong("revocation_endpoint", "nothing would remember it: give `revocations` a store too");
        }
        for (position, (path, about)) in self.issued_token_endpoints.iter().enumerate() {
            let is_taken = self.issued_token_endpoints[..position].iter().any(|(other, _)| other == path)
                || self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Path(other) if other == path));
            let problem = if !is_path(path) {
                "not a path: begin with `/` and leave query and fragment out"
            } else if is_taken {
                "another endpoint has this path: give each its own"
            } else {
                continue;
            };
            return wrong(about.field(), problem);
        }
        if !self.issued_token_endpoints.is_empty() && signer.keys.is_empty() {
            let help = "its keys tell which tokens were issued here: give them with `Signer::verified_by`";
            return wrong("signer", help);
        }
        let document = Document {
            clients: self.clients,
            targets: self.targets,
            issuers: self.issuers,
            rules: self.rules,
            federated_subjects_only: self.federated_subjects_only,
        };
        let parts = Parts {
            issuer: self.issuer,
            signer,
            policy: self.policy,
            authenticator: self.authenticator,
            fetching: Fetching {
                fetch: self.fetch.clone().unwrap_or_else(|| default_service()),
                clock: self.clock.clone(),
            },
            fetch_is_default: self.fetch.is_none(),
            verifiers: self.verifiers,
            status: StatusChecks { revocations: self.revocations, status: self.status },
            settings: Arc::new(Settings {
                errors: self.errors,
                clock: self.clock.clone(),
                deadline: self.deadline,
                max_lifetime: self.max_lifetime,
                max_targets: self.max_targets,
                max_chain_depth: self.max_depth,
                leeway: self.leeway,
                strict_scope: self.strict_scope,
            }),
        };
        let exchange = parts.exchange(document, None)?;
        let mut endpoints = self.endpoints;
        if endpoints.is_empty() {
            endpoints.push(Endpoint::Path("/token".to_owned()));
        }
        let state = ServiceState {
            endpoints,
            issued_token_endpoints: self.issued_token_endpoints,
            body_limits: self.limits,
            forward_unread: self.forward_unread,
            guard: self.guard,
            current: Current::new(exchange),
            audit: Audit::new(self.audit, self.clock, self.best_effort_audit),
        };
        Ok(TokenExchangeLayer { state: Arc::new(state), parts: Arc::new(parts) })
    }
}

impl fmt::Debug for TokenExchangeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeBuilder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
