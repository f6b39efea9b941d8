mod build;

use super::{Document, TokenExchangeLayer};
use crate::{
    audit::{AuditBudget, AuditEvent, AuditSink, TracingSink},
    body,
    client_auth::{ClientAuthenticator, ClientAuthenticatorPart},
    clock::Clock,
    issued::IssuedTokenEndpoint,
    jose::Cryptography,
    limits::Limits,
    plug::{BoxHttpService, BoxPlug, HttpService, boxed},
    policy::{Policy, PolicyPart, Rule},
    proof::Dpop,
    protocol::{ErrorProfile, TokenType},
    records::{Client, Issuer, IssuerId, Target},
    replay::{MemoryReplayStore, ReplayPart, ReplayStore},
    revocation::{AncestryKey, RevocationPart, RevocationStore},
    service::{Endpoint, EndpointMatch, RequestHead},
    settings::Settings,
    signing::Signer,
    status::{StatusCheck, StatusPart},
    token::{TokenVerifier, TokenVerifierPart},
};
use std::{
    collections::HashMap,
    fmt,
    time::{Duration, SystemTime},
};

/// The builder of a [`TokenExchangeLayer`].
///
/// A layer needs [`clients`](Self::clients), [`targets`](Self::targets), a [`signer`](Self::signer), and either
/// [`rules`](Self::rules) or a [`policy`](Self::policy). Clients, targets, issuers and rules can also come from a
/// [`document`](Self::document). Every other setting has a default.
///
/// The order of the calls does not matter. [`build`](Self::build) checks all settings and reports all mistakes.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::{
///     Client, Issuer, Target, TokenExchangeLayer,
///     policy::{Rule, Subjects},
///     records::SubjectMapping,
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .endpoint("/oauth2/token")
///     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
///     .issuers([Issuer::new("https://idp.example")
///         .jwks_uri("https://idp.example/jwks.json")
///         .map_subjects(SubjectMapping::Prefix("idp|".into()))
///         .allow_presenters(["orders"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .max_lifetime(Duration::from_secs(60))
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct TokenExchangeBuilder {
    issuer: IssuerId,
    endpoints: Vec<Endpoint>,
    issued_token_endpoints: Vec<(String, IssuedTokenEndpoint)>,
    /// The records and the rules that were given one by one.
    records: Document,
    document: Option<Document>,
    policy: Option<PolicyPart>,
    signer: Option<Signer>,
    authenticator: Option<ClientAuthenticatorPart>,
    record_secrets_first: bool,
    audit: BoxPlug<AuditEvent, ()>,
    best_effort_audit: bool,
    audit_budget: AuditBudget,
    http: Option<BoxHttpService>,
    verifiers: HashMap<TokenType, TokenVerifierPart>,
    status: Option<StatusPart>,
    revocations: Option<RevocationPart>,
    ancestry_key: Option<AncestryKey>,
    max_ancestors: usize,
    replay_store: ReplayPart,
    body_limits: body::Limits,
    forward_unread: bool,
    guard: bool,
    limits: Limits,
    cryptography: Cryptography,
    /// The number of entries.
    signature_memo: usize,
    dpop: Option<Dpop>,
    settings: Settings,
}

impl TokenExchangeLayer {
    /// Starts to build a layer for an authorization server.
    ///
    /// The issuer identifier is the exact `iss` of issued tokens (RFC 8414 section 2).
    pub fn builder(issuer: impl Into<IssuerId>) -> TokenExchangeBuilder {
        TokenExchangeBuilder::new(issuer.into())
    }
}

impl TokenExchangeBuilder {
    fn new(issuer: IssuerId) -> Self {
        Self {
            issuer,
            endpoints: Vec::new(),
            issued_token_endpoints: Vec::new(),
            records: Document::default(),
            document: None,
            policy: None,
            signer: None,
            authenticator: None,
            record_secrets_first: false,
            audit: boxed(TracingSink),
            best_effort_audit: false,
            audit_budget: AuditBudget::default(),
            http: None,
            verifiers: HashMap::new(),
            status: None,
            revocations: None,
            ancestry_key: None,
            max_ancestors: 16,
            replay_store: boxed(MemoryReplayStore::default()),
            body_limits: body::Limits { bytes: 1024 * 1024, frames: 4096, deadline: Duration::from_secs(10) },
            forward_unread: false,
            guard: false,
            limits: Limits::default(),
            cryptography: Cryptography::default(),
            signature_memo: 8192,
            dpop: None,
            settings: Settings {
                clock: Clock::default(),
                deadline: Duration::from_secs(15),
                max_lifetime: Duration::from_secs(300),
                max_targets: 1,
                max_chain_depth: 4,
                leeway: Duration::from_secs(30),
                strict_scope: false,
                require_sender_constraint: false,
                errors: ErrorProfile::rfc8693(),
            },
        }
    }

    /// Adds a token endpoint by its path. Default: `/token`.
    ///
    /// The layer compares the raw path of a request with this path, byte for byte. With [`guard`](Self::guard), every
    /// spelling of the path counts ([`is_same_path`](crate::service::is_same_path)). Inside a nested axum router, the raw
    /// path does not have the prefix of the nested router.
    pub fn endpoint(mut self, path: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint::Path(path.into()));
        self
    }

    /// Adds a token endpoint that has no fixed path, such as an endpoint with the tenant in its path.
    ///
    /// The function says for each request whether the request is for the token endpoint. Without [`guard`](Self::guard), a
    /// request for which the function returns [`EndpointMatch::Elsewhere`] passes unchecked. The function should therefore
    /// recognize every spelling that the wrapped service accepts: [`EndpointMatch::from_paths`] and
    /// [`RequestHead::match_path`] find the spellings of a path that a lenient server accepts.
    ///
    /// With guard, the layer asks the function again about the plain spellings of the path. The page
    /// [`smuggling`](crate::manual::smuggling) says which spellings these are. The function must be fast and have no effects.
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

    /// Adds an introspection endpoint (RFC 7662) by its path, which is compared as that of an [`endpoint`](Self::endpoint).
    /// Default: none.
    ///
    /// The layer answers requests about tokens that the layer issued, which are the tokens that the signer's keys
    /// verify. Every other request goes to the wrapped service, except one that has such a token in another place than a
    /// form that was sent with `POST`, and one whose body is compressed or of an unknown kind.
    ///
    /// A client authenticates as for an exchange, but needs no permission to exchange tokens. The answer has all claims
    /// of a token that was issued to the client (`client_id`), or that is for a target which the client
    /// [serves](Target::served_by). Any other token, an expired token and a [revoked](Self::revocations) token are
    /// reported as inactive.
    ///
    /// The signer needs keys of its own. If the layer and the wrapped service sign with the same key, the layer also
    /// answers requests about the tokens of the wrapped service, and the wrapped service does not see these requests.
    pub fn introspection_endpoint(mut self, path: impl Into<String>) -> Self {
        self.issued_token_endpoints.push((path.into(), IssuedTokenEndpoint::Introspection));
        self
    }

    /// Adds a revocation endpoint (RFC 7009) by its path, which is compared as that of an [`endpoint`](Self::endpoint).
    /// Default: none.
    ///
    /// A client can revoke a token that the layer issued to that client. The layer then refuses the token as a subject
    /// token and as an actor token, and introspection reports the token as inactive. A resource server that only
    /// verifies the signature does not notice the revocation. Every request about another token goes to the wrapped
    /// service.
    ///
    /// The endpoint needs a store ([`revocations`](Self::revocations)), and a signer with keys of its own, as
    /// [`introspection_endpoint`](Self::introspection_endpoint) does.
    ///
    /// The layer refuses a form that is larger than [`body_limit`](Self::body_limit) or slower than
    /// [`body_deadline`](Self::body_deadline), because the wrapped service would report success for a token that is
    /// unknown to the wrapped service (RFC 7009 section 2.2).
    pub fn revocation_endpoint(mut self, path: impl Into<String>) -> Self {
        self.issued_token_endpoints.push((path.into(), IssuedTokenEndpoint::Revocation));
        self
    }

    /// Sets the store of revocations ([`revocation`](crate::manual::revocation)). The layer asks the store about every token that
    /// is exchanged or introspected, and about all tokens that led to the token. Each issued token names its ancestors in the
    /// claim `ancestry`.
    ///
    /// A store that several processes share, or that outlives the process, needs an [`ancestry_key`](Self::ancestry_key).
    ///
    /// Default: no store; no token counts as revoked, and issued tokens have no claim `ancestry`.
    pub fn revocations(mut self, store: impl RevocationStore) -> Self {
        self.revocations = Some(boxed(store));
        self
    }

    /// Sets the key of the hashes in the claim `ancestry` and in the store of [`revocations`](Self::revocations).
    ///
    /// Default: a random key for each layer, which is right for
    /// [`MemoryRevocations`](crate::revocation::MemoryRevocations). With such a key, no other process recognizes the revocations
    /// and the ancestors, and neither does this process after a restart.
    pub fn ancestry_key(mut self, key: AncestryKey) -> Self {
        self.ancestry_key = Some(key);
        self
    }

    /// Sets the most ancestors that an issued token names, from 1 to 64. An exchange whose token would have more ancestors is
    /// refused. Default: 16.
    ///
    /// The ancestors of a token are the subject token and the actor token of its exchange, and the ancestors of both. Each
    /// ancestor makes a token at most 24 bytes larger, and 17 bytes more if the layer did not issue the ancestor.
    ///
    /// # Errors
    /// [`build`](Self::build) fails for another number.
    pub fn max_ancestors(mut self, ancestors: usize) -> Self {
        self.max_ancestors = ancestors;
        self
    }

    /// Sets the store that remembers which client assertions, DPoP proofs and one-time subject tokens were used
    /// ([`replay`](crate::replay)). If several processes serve one authorization server, all of them need one shared store.
    ///
    /// Default: a [`MemoryReplayStore`] with room for 1 000 000 keys.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.replay_store = boxed(store);
        self
    }

    /// Sets all records and rules by a document. Another call replaces the document.
    ///
    /// A layer with a document has no other records: [`build`](Self::build) fails if [`clients`](Self::clients),
    /// [`targets`](Self::targets), [`issuers`](Self::issuers) or [`rules`](Self::rules) was called too, or if the
    /// layer has a [`policy`](Self::policy) and the document has rules.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Document, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner},
    /// };
    ///
    /// let document = Document::new()
    ///     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
    ///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    ///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])]);
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .document(document)
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    /// # let _ = layer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn document(mut self, document: Document) -> Self {
        self.document = Some(document);
        self
    }

    /// Adds clients.
    pub fn clients(mut self, clients: impl IntoIterator<Item = Client>) -> Self {
        self.records.clients.extend(clients);
        self
    }

    /// Adds targets.
    pub fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.records.targets.extend(targets);
        self
    }

    /// Adds issuers of subject tokens and actor tokens. The layer always accepts tokens that its own signer signed.
    pub fn issuers(mut self, issuers: impl IntoIterator<Item = Issuer>) -> Self {
        self.records.issuers.extend(issuers);
        self
    }

    /// Sets the policy to a table of rules. Replaces earlier rules and an earlier [`policy`](Self::policy).
    ///
    /// [`build`](Self::build) checks the rules against the records and fails for a rule that cannot have an effect, such
    /// as a rule for an unknown client, a rule that repeats another rule, or an allow rule that a deny rule covers.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        (self.records.rules, self.policy) = (Some(rules.into_iter().collect()), None);
        self
    }

    /// Sets the policy: a service that answers a [`Query`](crate::policy::Query) with a
    /// [`Decision`](crate::policy::Decision). Replaces an earlier policy and earlier [`rules`](Self::rules).
    pub fn policy(mut self, policy: impl Policy) -> Self {
        (self.records.rules, self.policy) = (None, Some(boxed(policy)));
        self
    }

    /// Sets the signer of issued tokens: a [`LocalSigner`](crate::signing::LocalSigner), or a [`Signer`] with a service
    /// of your own, such as a key management service.
    pub fn signer(mut self, signer: impl Into<Signer>) -> Self {
        self.signer = Some(signer.into());
        self
    }

    /// Sets the sink of audit events. Default: [`TracingSink`].
    ///
    /// [`JsonLinesSink`](crate::audit::JsonLinesSink) writes the events to a file.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = boxed(sink);
        self
    }

    /// Sets the most events per second that the audit sink gets for attempts that end without a token. Default: 40 before
    /// the client is authenticated, and 1000 after. Attempts beyond the budget are counted exactly ([`AuditBudget`]).
    pub fn audit_budget(mut self, budget: AuditBudget) -> Self {
        self.audit_budget = budget;
        self
    }

    /// Issues a token even if the audit sink fails. The layer then writes the event with [`tracing`].
    ///
    /// Default: the layer answers 503 and issues no token if the sink does not accept the event.
    pub fn best_effort_audit(mut self) -> Self {
        self.best_effort_audit = true;
        self
    }

    /// Sets the errors that clients receive, for a layer that replaces another server.
    ///
    /// Default: [`ErrorProfile::rfc8693`].
    pub fn error_profile(mut self, profile: ErrorProfile) -> Self {
        self.settings.errors = profile;
        self
    }

    /// Sets the service that authenticates clients. Every authenticated client needs a record.
    ///
    /// The service replaces the methods in the client records, unless
    /// [`record_secrets_first`](Self::record_secrets_first) is set.
    ///
    /// Default: clients authenticate by the methods in their records ([`clients`](crate::manual::clients)).
    pub fn client_authenticator(mut self, authenticator: impl ClientAuthenticator) -> Self {
        self.authenticator = Some(boxed(authenticator));
        self
    }

    /// Authenticates each client whose record has a secret or another method by that record alone, and never by the
    /// [`client_authenticator`](Self::client_authenticator), which authenticates all other clients.
    ///
    /// Default: the client authenticator authenticates every client.
    pub fn record_secrets_first(mut self) -> Self {
        self.record_secrets_first = true;
        self
    }

    /// Sets the service that verifies tokens of a type, instead of the signature check and introspection.
    ///
    /// The record of an issuer has to accept the type ([`Issuer::accept_types`]). Another call for the same type
    /// replaces the verifier.
    pub fn token_verifier(mut self, token_type: TokenType, verifier: impl TokenVerifier) -> Self {
        self.verifiers.insert(token_type, boxed(verifier));
        self
    }

    /// Sets the service that says for each exchange whether all parties are still valid, for example whether an account
    /// is locked. Default: none.
    pub fn status(mut self, status: impl StatusCheck) -> Self {
        self.status = Some(boxed(status));
        self
    }

    /// Sets the HTTP service that fetches key sets and metadata of issuers and asks introspection endpoints.
    ///
    /// Default: `HttpFetch::new()` of the feature `fetch`, which connects only to public addresses and only with https.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Sets the clock. Default: the clock of the system.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.settings.clock = Clock::new(now);
        self
    }

    /// Sets the longest lifetime of an issued token, at least 1 s. Default: 300 s.
    ///
    /// A token also expires no later than the subject token and the actor token. Records and rules can lower the
    /// lifetime.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.max_lifetime = lifetime;
        self
    }

    /// Sets the most targets of one request, from 1 to 8. Default: 1.
    ///
    /// Each receiver of a token for several targets can use the token at the other targets (RFC 8707 section 3).
    pub fn max_targets(mut self, targets: usize) -> Self {
        self.settings.max_targets = targets;
        self
    }

    /// Sets the most actors in the `act` chain of an issued token, at least 1. Default: 4.
    pub fn max_chain_depth(mut self, actors: usize) -> Self {
        self.settings.max_chain_depth = actors;
        self
    }

    /// Sets how far the clocks of issuers may be ahead, at most 60 s. Default: 30 s.
    ///
    /// The leeway applies to `nbf` and `iat`, never to `exp`.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// States that this authorization server has no subjects of its own: every `sub` of an issued token comes from a
    /// foreign issuer.
    ///
    /// One foreign issuer can then keep its names ([`SubjectMapping::Keep`](crate::records::SubjectMapping)).
    pub fn federated_subjects_only(mut self) -> Self {
        self.records.federated_subjects_only = true;
        self
    }

    /// Applies the rules of the FAPI 2.0 security profile to every client ([`Client::fapi`]).
    pub fn fapi(mut self) -> Self {
        self.records.fapi = true;
        self
    }

    /// Refuses a request with `invalid_scope` if a part of the requested scope cannot be granted.
    ///
    /// Default: the layer grants the other part, and the response names the granted scope.
    pub fn strict_scope(mut self) -> Self {
        self.settings.strict_scope = true;
        self
    }

    /// Sets the library that verifies signatures: of received tokens, client assertions and DPoP proofs, and of a [`Signer`] with a
    /// service of your own. Default: [`Cryptography::Ring`].
    ///
    /// A [`LocalSigner`](crate::signing::LocalSigner) has a library of its own
    /// ([`LocalSigner::builder`](crate::signing::LocalSigner::builder)). Hashes, random numbers and TLS do not depend on this setting.
    /// The page [`signatures`](crate::manual::signatures) compares the libraries.
    ///
    /// ```
    /// use tower_token_exchange::{TokenExchangeLayer, signing::Cryptography};
    ///
    /// let builder = TokenExchangeLayer::builder("https://as.example").cryptography(Cryptography::Ring);
    /// # let _ = builder;
    /// ```
    pub fn cryptography(mut self, cryptography: Cryptography) -> Self {
        self.cryptography = cryptography;
        self
    }

    /// Sets how many verified signatures the layer remembers, at most 1 048 576. Default: 8192, which take up to 512 KiB.
    /// With 0, the layer verifies the signature of each token each time.
    ///
    /// A token that a client presents again then needs no second verification of its signature. Every other check is made
    /// each time. The page [`signatures`](crate::manual::signatures) says why the memo is safe, and how it is shared between
    /// clients. The number is rounded up to a multiple of 16; an entry takes 64 bytes.
    ///
    /// ```
    /// use tower_token_exchange::TokenExchangeLayer;
    ///
    /// let builder = TokenExchangeLayer::builder("https://as.example").signature_memo(100_000);
    /// # let _ = builder;
    /// ```
    pub fn signature_memo(mut self, entries: usize) -> Self {
        self.signature_memo = entries;
        self
    }

    /// Accepts DPoP proofs (RFC 9449), and issues tokens that are bound to the key of the proof.
    ///
    /// Default: a request with a `DPoP` header is refused.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = Some(dpop);
        self
    }

    /// Refuses each exchange whose token would be a bearer token (FAPI 2.0 Security Profile section 5.3.2.1).
    ///
    /// Default: tokens are bound if the client sends a DPoP proof, or if a record or the subject token demands a bound token.
    pub fn require_sender_constraint(mut self) -> Self {
        self.settings.require_sender_constraint = true;
        self
    }

    /// Sets the largest form at the token endpoint, in bytes. Default: 1 MiB.
    ///
    /// The layer answers a larger form with 413, whatever the grant type is.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limits.bytes = bytes;
        self
    }

    /// Sets the longest time in which a form at the token endpoint has to arrive. Default: 10 s.
    ///
    /// The layer answers a slower form with 408, whatever the grant type is.
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_limits.deadline = deadline;
        self
    }

    /// Passes a form that exceeds [`body_limit`](Self::body_limit) or [`body_deadline`](Self::body_deadline) to the
    /// wrapped service, instead of answering 413 or 408.
    ///
    /// The layer does not check such a form, so the form may ask for a token exchange. Use this setting only if the
    /// wrapped service does not know this grant.
    pub fn forward_unread_forms(mut self) -> Self {
        self.forward_unread = true;
        self
    }

    /// Refuses every request that could pass a token exchange to the wrapped service.
    ///
    /// The setting is for a wrapped service that may know this grant itself. Every path that names the same place as an
    /// endpoint is then the endpoint ([`is_same_path`](crate::service::is_same_path)). The layer also reads forms with
    /// other methods than `POST`, forms at paths that a lenient server could take for the endpoint, and JSON bodies, and
    /// refuses them if they ask for a token exchange. The layer answers any other body at such a path with 415. Every path
    /// below an endpoint is such a path, so with the endpoint `/` the rule holds for every request. The page
    /// [`smuggling`](crate::manual::smuggling) lists all cases.
    pub fn guard(mut self) -> Self {
        self.guard = true;
        self
    }

    /// Sets the budgets of peers, clients and subjects. A request that exceeds a budget is answered with 429.
    ///
    /// Default: [`Limits::default`], which limits only wrong client credentials.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the longest time that an exchange may take after the form has arrived. Default: 15 s.
    ///
    /// The layer answers a slower exchange with 503.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }
}

impl fmt::Debug for TokenExchangeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeBuilder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
