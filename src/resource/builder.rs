use super::{
    AccessRule, AccessRules, ResourceMetadata, ResourceServerLayer,
    metadata::{MetadataRoute, place_of},
    server::Core,
};
use crate::{
    audit::{Audit, AuditBudget, AuditEvent, AuditSink, TracingSink},
    clock::Clock,
    fetch::{NO_CLIENT, default_service},
    jose::{Cryptography, KeySet, SignatureVerifier},
    jwks::{Fetcher, TrustedKeys},
    plug::{BoxHttpService, BoxPlug, HttpService, boxed},
    proof::{Dpop, Proofs},
    protocol::ErrorProfile,
    records::{ConfigError, ConfigErrorKind, Issuer, Problems, Registry},
    replay::{MemoryReplayStore, ReplayPart, ReplayStore, Replays},
    settings::Settings,
    token::{Introspector, Verifier},
};
use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The longest leeway that can be set.
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// The most entries of the memo of signatures.
const MAX_MEMO_ENTRIES: usize = 1_048_576;

/// The builder of a [`ResourceServerLayer`].
///
/// A layer needs [`issuers`](Self::issuers) and [`rules`](Self::rules). Every other setting has a default. The order of the
/// calls does not matter. [`build`](Self::build) checks all settings and reports all mistakes.
///
/// ```
/// use tower_token_exchange::{
///     Issuer,
///     proof::Dpop,
///     resource::{AccessRule, ResourceServerLayer},
/// };
///
/// let resource = ResourceServerLayer::builder("https://billing.example")
///     .audiences(["billing"])
///     .issuers([
///         Issuer::new("https://as.example").discovery(),
///         Issuer::keycloak("https://login.example", "staff"),
///     ])
///     .rules([AccessRule::without_actor().scopes(["invoices:read"])])
///     .dpop(Dpop::new("https://billing.example"))
///     .build()?;
/// # let _ = resource;
/// # Ok::<(), tower_token_exchange::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ResourceServerBuilder {
    resource: String,
    audiences: Vec<String>,
    issuers: Vec<Issuer>,
    rules: Vec<AccessRule>,
    metadata: Option<ResourceMetadata>,
    allows_anonymous: bool,
    audit: BoxPlug<AuditEvent, ()>,
    audit_budget: AuditBudget,
    http: Option<BoxHttpService>,
    replay_store: ReplayPart,
    dpop: Option<Dpop>,
    cryptography: Cryptography,
    /// The number of entries.
    signature_memo: usize,
    settings: Settings,
}

impl ResourceServerLayer {
    /// Starts to build a layer for a resource server.
    ///
    /// The resource is the identifier of the service: the value of `aud` in its access tokens (RFC 9068 section 2.2), and the
    /// `resource` of its metadata (RFC 9728 section 1.2).
    pub fn builder(resource: impl Into<String>) -> ResourceServerBuilder {
        ResourceServerBuilder::new(resource.into())
    }
}

impl ResourceServerBuilder {
    fn new(resource: String) -> Self {
        Self {
            audiences: vec![resource.clone()],
            resource,
            issuers: Vec::new(),
            rules: Vec::new(),
            metadata: None,
            allows_anonymous: false,
            audit: boxed(TracingSink),
            audit_budget: AuditBudget::default(),
            http: None,
            replay_store: boxed(MemoryReplayStore::default()),
            dpop: None,
            cryptography: Cryptography::default(),
            signature_memo: 8192,
            settings: Settings {
                clock: Clock::default(),
                deadline: Duration::from_secs(15),
                max_lifetime: Duration::MAX,
                max_targets: 1,
                max_chain_depth: 4,
                leeway: Duration::from_secs(30),
                strict_scope: false,
                require_sender_constraint: false,
                errors: ErrorProfile::rfc8693(),
            },
        }
    }

    /// Adds values of `aud` that mean this service, beside the resource. A record with
    /// [`Issuer::accepted_audiences`] has its own values instead.
    pub fn audiences<T: Into<String>>(mut self, audiences: impl IntoIterator<Item = T>) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Adds the issuers of access tokens.
    ///
    /// A record accepts access tokens (RFC 9068), unless the record names another type: the presets, such as
    /// [`Issuer::keycloak`], know what the access tokens of a vendor look like. A record says where the keys are, which claims
    /// name the client and the scope, and which tokens have to be introspected. What a record says about mappings, presenters and
    /// exchanges has no effect here.
    pub fn issuers(mut self, issuers: impl IntoIterator<Item = Issuer>) -> Self {
        self.issuers.extend(issuers);
        self
    }

    /// Adds the rules of who may use the resource. A request needs one rule that allows the request.
    pub fn rules(mut self, rules: impl IntoIterator<Item = AccessRule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Admits requests that have no access token. The handler decides what such a request may do.
    ///
    /// A request with a token that is not acceptable is still refused. Default: a request without a token is refused.
    pub fn allow_anonymous(mut self) -> Self {
        self.allows_anonymous = true;
        self
    }

    /// Publishes the metadata of the resource server (RFC 9728). Each challenge names the URL of the metadata, and
    /// [`metadata_route`](ResourceServerLayer::metadata_route) is the service for that URL. The resource has to be a URL.
    ///
    /// Default: no metadata.
    pub fn metadata(mut self, metadata: ResourceMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Accepts tokens that are bound to the key of a DPoP proof (RFC 9449 section 7).
    ///
    /// The URL of the settings is the public URL of the service, such as `https://billing.example/v1`. The path of each request,
    /// as the layer sees the path, is appended to the URL. The layer compares `htu` with the result.
    ///
    /// Default: a token that is bound to a key is refused. A token that is bound to a certificate needs no setting: see
    /// [`PeerCertificates`](crate::client_auth::PeerCertificates).
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = Some(dpop);
        self
    }

    /// Refuses bearer tokens: every token has to be bound to a key or a certificate. Default: bearer tokens are accepted.
    pub fn require_sender_constraint(mut self) -> Self {
        self.settings.require_sender_constraint = true;
        self
    }

    /// Sets the store that remembers which DPoP proofs were used. If several processes serve one resource, all of them need one
    /// shared store. Default: a [`MemoryReplayStore`] with room for 1 000 000 keys.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.replay_store = boxed(store);
        self
    }

    /// Sets the sink of audit events. Each refusal leaves one event, within the [`audit_budget`](Self::audit_budget). Default:
    /// [`TracingSink`].
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = boxed(sink);
        self
    }

    /// Sets the most events per second that the audit sink gets. Refusals beyond the budget are counted exactly.
    pub fn audit_budget(mut self, budget: AuditBudget) -> Self {
        self.audit_budget = budget;
        self
    }

    /// Sets the HTTP service that fetches keys and asks introspection endpoints. Default: `HttpFetch::new()` of the feature
    /// `fetch`.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Sets the clock. Default: the clock of the system.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.settings.clock = Clock::new(now);
        self
    }

    /// Sets how far the clocks of issuers may be ahead, at most 60 s. Default: 30 s. The leeway applies to `nbf` and `iat`, never to
    /// `exp`.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// Sets the most actors of a token, at least 1. Default: 4.
    pub fn max_chain_depth(mut self, actors: usize) -> Self {
        self.settings.max_chain_depth = actors;
        self
    }

    /// Sets the longest time for the check of a request. Default: 15 s. A slower check is answered with 503.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Sets the library that verifies signatures. Default: [`Cryptography::default`].
    pub fn cryptography(mut self, cryptography: Cryptography) -> Self {
        self.cryptography = cryptography;
        self
    }

    /// Sets how many verified signatures the layer remembers, at most 1 048 576. Default: 8192. With 0, the layer verifies the
    /// signature of each request. Every other check is made each time ([`signatures`](crate::manual::signatures)).
    pub fn signature_memo(mut self, entries: usize) -> Self {
        self.signature_memo = entries;
        self
    }

    /// Checks all settings, records and rules, and builds the layer.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn build(self) -> Result<ResourceServerLayer, ConfigError> {
        let mut problems = Problems::default();
        self.check_settings(&mut problems);
        let place = place_of(&self.resource).filter(|_| self.metadata.is_some());
        if self.metadata.is_some() && place.is_none() {
            let help = format!("`{}` is not a URL, so the metadata have no place: give an absolute URL", self.resource);
            problems.add(ConfigError::new("resource", help));
        }
        let registry = problems.check(Registry::for_resource(&self.audiences, &self.issuers));
        if let (Some(registry), None) = (&registry, &self.http) {
            check_reachable(registry, &mut problems);
        }
        let rules = problems.check(AccessRules::new(self.rules));
        let (Some(registry), Some(rules)) = problems.or((registry, rules))? else {
            return Err(ConfigError::new("rules", "not checked: correct the other mistakes"));
        };

        let metadata = self.metadata.zip(place).map(|(metadata, place)| {
            let issuers = registry.issuers().map(|issuer| &issuer.id);
            let required = self.settings.require_sender_constraint;
            let document = metadata.document(&self.resource, issuers, rules.scopes(), self.dpop.as_ref(), required);
            MetadataRoute::new(place, document)
        });
        let (registry, settings) = (Arc::new(registry), Arc::new(self.settings));
        let fetcher = Fetcher { http: self.http.unwrap_or_else(default_service), clock: settings.clock.clone() };
        let introspectors = registry.issuers().filter_map(|issuer| {
            let record = issuer.introspection.as_ref()?;
            Some((issuer.id.clone(), Introspector::new(record, &fetcher.http, &settings.clock)))
        });
        let algorithms = self.dpop.as_ref().map(|dpop| {
            let names: Vec<_> = dpop.algorithms().iter().map(|algorithm| algorithm.as_str()).collect();
            names.join(" ")
        });
        let core = Core {
            proofs: Proofs {
                dpop: self.dpop.map(Arc::new),
                replays: Replays::new(self.replay_store, settings.clock.clone()),
                clock: settings.clock.clone(),
                cryptography: self.cryptography,
                are_assumed: false,
            },
            verifier: Verifier {
                keys: TrustedKeys::new(&registry, &KeySet::empty(), &fetcher, None),
                plugs: HashMap::new(),
                assumed: None,
                introspectors: introspectors.collect(),
                settings: Arc::clone(&settings),
                signatures: SignatureVerifier::new(self.cryptography, self.signature_memo),
                registry,
            },
            // The audit sink cannot delay an answer for longer than the sampler allows.
            audit: Audit::new(self.audit, settings.clock.clone(), false, self.audit_budget),
            max_actors: settings.max_chain_depth,
            requires_sender_constraint: settings.require_sender_constraint,
            algorithms,
            metadata_url: metadata.as_ref().map(|metadata| metadata.url().to_owned()),
            settings,
        };
        Ok(ResourceServerLayer {
            core: Arc::new(core),
            rules: Arc::new(rules),
            allows_anonymous: self.allows_anonymous,
            metadata,
        })
    }

    fn check_settings(&self, problems: &mut Problems) {
        if self.audiences.iter().any(String::is_empty) {
            problems
                .add(ConfigError::new("audiences", "an empty name: give the value of `aud` that means this service"));
        }
        if let Some(problem) = self.dpop.as_ref().and_then(Dpop::problem) {
            problems.add(ConfigError::new("dpop", problem));
        }
        if self.settings.max_chain_depth == 0 {
            problems
                .add(ConfigError::new("max_chain_depth", "a delegated token names at least one actor: give 1 or more"));
        }
        if self.settings.leeway > MAX_LEEWAY {
            problems.add(ConfigError::new("leeway", "longer than a minute: give 60 s or less"));
        }
        if self.signature_memo > MAX_MEMO_ENTRIES {
            let help = "too many entries: give 1048576 or fewer, or 0 for no memo";
            problems.add(ConfigError::new("signature_memo", help));
        }
    }
}

/// Checks that the default HTTP service, which uses https only, can reach every URL of the records.
fn check_reachable(registry: &Registry, problems: &mut Problems) {
    for issuer in registry.issuers() {
        for (field, uri) in issuer.fetched_urls() {
            let help = if !cfg!(feature = "fetch") {
                format!("`{uri}` has to be fetched, but {NO_CLIENT}")
            } else if !uri.starts_with("https://") {
                format!("`{uri}` is not https: use an https URL, or give the layer an `http` service of your own")
            } else {
                continue;
            };
            let field = format!("issuer `{}`: {field}", issuer.id);
            problems.add(ConfigError::new(field, help).of_kind(ConfigErrorKind::Invalid));
        }
    }
}

impl fmt::Debug for ResourceServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerBuilder").field("resource", &self.resource).finish_non_exhaustive()
    }
}
