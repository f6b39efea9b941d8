//! The records of issuers.

mod checked;
mod facts;
mod introspection;
mod kind;
mod presets;
#[cfg(feature = "resource-server")]
mod resource;
mod sample;
mod serde;
mod server_preset;
mod server_tokens;
mod statements;
mod token_document;
mod token_rules;

pub use introspection::{IntrospectedTokens, Introspection};
pub use server_preset::ServerPreset;
pub use server_tokens::ServerTokens;
pub use token_rules::TokenRules;

pub(crate) use checked::{IssuerRecord, TENANT_SEPARATOR, is_absolute};
pub(crate) use kind::{Kind, is_other_kind};
pub(super) use presets::trust_domain;

use super::{
    ClientId, IssuerId, collected,
    place::{Field, Wording},
};
use crate::{
    jose::{Algorithm, KeySet},
    protocol::TokenType,
};
use std::{mem, time::Duration};

/// The key and the method of each field that has two names.
pub(super) const IDENTIFIER: Field = Field::new("issuer", "identifier");
const KEYS: Field = Field::new("jwks", "keys");
pub(super) const TOKENS: Field = Field::new("tokens", "accept");
const AUDIENCES: Field = Field::new("our_names", "accepted_audiences");
const TENANTS: Field = Field::new("tenants", "accept_tenants");
pub(super) const SUBJECTS: Field = Field::new("subjects", "map_subjects");
const CLIENTS: Field = Field::new("client_names", "map_client");
const PRESENTERS: Field = Field::new("presenters", "allow_presenters");

/// An issuer of subject tokens and actor tokens: where its keys are, which of its tokens count, and what its names mean.
///
/// The record whose identifier is the layer's own issuer describes tokens of this authorization server. The keys of the
/// layer's signer belong to that record without being named there. Every other issuer is *foreign*, and its record has
/// to say how its subjects are named here ([`map_subjects`](Self::map_subjects)).
///
/// If the record of our own issuer names keys, or has [`of_another_server`](Self::of_another_server), the record describes
/// the tokens of another server that has the same issuer identifier. The layer then reads the tokens that a key of the
/// signer verifies by their own rules, and nothing that the record says about claims, presenters or introspection
/// applies to these tokens. So a server that signs with the key of the layer's signer names no keys in its record.
///
/// The page [`issuers`](crate::manual::issuers) lists what the layer checks in a token.
///
/// ```
/// use tower_token_exchange::{Issuer, records::SubjectMapping};
///
/// let idp = Issuer::new("https://idp.example")
///     .jwks_uri("https://idp.example/jwks.json")
///     .map_subjects(SubjectMapping::Prefix("idp|".into())) // its `alice` is `idp|alice` here
///     .map_client("orders-frontend", "orders")             // its client `orders-frontend` is our `orders`
///     .allow_presenters(["orders"]);
/// assert_eq!(idp.id(), "https://idp.example");
/// ```
///
/// # In a document
///
/// The keys are the names of the methods, with these exceptions:
///
/// | key | method |
/// |---|---|
/// | `issuer` | [`new`](Self::new) |
/// | `preset = { keycloak = { … } }` | a preset, such as [`keycloak`](Self::keycloak) |
/// | `jwks` | [`keys`](Self::keys) |
/// | `tokens` | [`accept`](Self::accept): `tokens = [{ type = "jwt", typ = ["at+jwt"], require = ["azp"] }]` |
/// | `our_names` | [`accepted_audiences`](Self::accepted_audiences) |
/// | `tenants` | [`accept_tenants`](Self::accept_tenants): `tenants = { claim = "tid", accepted = ["…"] }` |
/// | `subjects` | [`map_subjects`](Self::map_subjects): `"keep"`, `{ prefix = "…" }` or `{ claim = "…" }` |
/// | `client_names` | [`map_client`](Self::map_client): `client_names = { theirs = "ours" }` |
/// | `acr` | [`map_acr`](Self::map_acr): `acr = { theirs = "ours" }` |
/// | `presenters` | [`allow_presenters`](Self::allow_presenters) |
///
/// `tokens` is one table, or an array of tables. A secret for the introspection endpoint can be in a file:
/// `client_secret_file` or `bearer_token_file`, which [`Document::read_files`](crate::Document::read_files) reads.
///
/// `discovery`, `one_time_subject_tokens` and every `allow_…` and `trust_…` key are `true` or `false`. A token type is a URI, or one of the short
/// names `jwt`, `access_token` and `id_token`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Issuer {
    pub(super) id: IssuerId,
    wording: Wording,
    keys: Option<KeySource>,
    /// Whether two setters named different sources of keys.
    has_several_key_sources: bool,
    /// Whether a preset named the source of keys, which a setter may then replace.
    keys_are_preset: bool,
    key_origins: Vec<String>,
    introspection: Option<Introspection>,
    /// Whether the record of our own issuer describes only tokens that another server issued.
    is_of_another_server: bool,
    algorithms: Vec<Algorithm>,
    tokens: Vec<TokenRules>,
    untyped_access_tokens: bool,
    leeway: Option<Duration>,
    max_age: Option<Duration>,
    one_time_subject_tokens: bool,
    tenants: Option<Tenants>,
    is_trust_domain: bool,
    accepted_audiences: Vec<String>,
    pub(super) subjects: Option<SubjectMapping>,
    clients: Vec<(String, ClientId)>,
    presenters: Vec<ClientId>,
    /// Whether tokens of the issuer authenticate clients, and are neither subject tokens nor actor tokens.
    pub(super) for_clients_only: bool,
    actor_tokens: bool,
    trusts_act: bool,
    trusts_may_act: bool,
    acr: Vec<(String, String)>,
    claims: Vec<String>,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Fixed(KeySet),
    Remote(String),
    /// The `jwks_uri` of the issuer's metadata.
    Discovered,
}

/// How the subject of a foreign issuer is named here. A subject is the pair of `iss` and `sub` (RFC 7519
/// section 4.1.2), and two issuers must never be able to produce the same name here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectMapping {
    /// The `sub` of the issuer, unchanged.
    ///
    /// At most one foreign issuer can have this mapping, only without other foreign issuers, and only if this
    /// authorization server has no subjects of its own
    /// ([`federated_subjects_only`](crate::TokenExchangeBuilder::federated_subjects_only)).
    Keep,
    /// This text, followed by the `sub` of the issuer.
    Prefix(String),
    /// The value of the claim with this name, which has to be a string. The same limits as for `Keep` apply.
    ///
    /// A token whose subject is named by `email` or `phone_number` has to say that the value is verified
    /// ([`TokenRules::always_verified`]).
    Claim(String),
}

/// The tenants of an issuer whose tokens name their tenant in a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenants {
    pub(crate) claim: String,
    pub(crate) accepted: Vec<String>,
}

impl Issuer {
    /// Creates a record for an issuer identifier: the exact `iss` of the issuer's tokens.
    pub fn new(identifier: impl Into<IssuerId>) -> Self {
        Self {
            id: identifier.into(),
            wording: Wording::Methods,
            keys: None,
            has_several_key_sources: false,
            keys_are_preset: false,
            key_origins: Vec::new(),
            introspection: None,
            is_of_another_server: false,
            algorithms: Algorithm::ALL.to_vec(),
            tokens: Vec::new(),
            untyped_access_tokens: false,
            leeway: None,
            max_age: None,
            one_time_subject_tokens: false,
            tenants: None,
            is_trust_domain: false,
            accepted_audiences: Vec::new(),
            subjects: None,
            clients: Vec::new(),
            presenters: Vec::new(),
            for_clients_only: false,
            actor_tokens: false,
            trusts_act: false,
            trusts_may_act: false,
            acr: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Whether the record of a foreign issuer states a relation by which a client can present a token, permits actor tokens, or
    /// is [for clients only](Self::for_clients_only), who present the tokens as their assertions.
    ///
    /// Every subject token of another issuer is refused if [`map_client`](Self::map_client),
    /// [`allow_presenters`](Self::allow_presenters), [`TokenRules::presenters`] and
    /// [`trust_may_act`](Self::trust_may_act) are all missing.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, records::SubjectMapping};
    ///
    /// let idp = Issuer::new("https://idp.example").discovery().map_subjects(SubjectMapping::Prefix("idp|".into()));
    /// assert!(!idp.can_be_presented());
    /// assert!(idp.map_client("orders-frontend", "orders").can_be_presented());
    /// let cluster = Issuer::new("https://cluster.example").discovery().for_clients_only();
    /// assert!(cluster.can_be_presented());
    /// ```
    pub fn can_be_presented(&self) -> bool {
        let names_presenters = self.tokens.iter().any(|rules| !rules.presenters.is_empty());
        !self.clients.is_empty()
            || !self.presenters.is_empty()
            || names_presenters
            || self.trusts_may_act
            || self.actor_tokens
            || self.for_clients_only
    }

    /// The URLs that the layer fetches for this record, with the key of each in a document.
    ///
    /// ```
    /// use tower_token_exchange::Issuer;
    ///
    /// let idp = Issuer::new("https://idp.example").jwks_uri("https://idp.example/jwks.json");
    /// assert_eq!(idp.fetched_urls().collect::<Vec<_>>(), [("jwks_uri", "https://idp.example/jwks.json")]);
    /// ```
    pub fn fetched_urls(&self) -> impl Iterator<Item = (&'static str, &str)> {
        fetched_urls(&self.id, self.keys.as_ref(), self.introspection.as_ref())
    }

    /// Sets a fixed key set.
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.set_keys(KeySource::Fixed(keys));
        self
    }

    /// Sets the URL of a key set (RFC 7517 section 5). The layer fetches the key set when a token needs a key.
    ///
    /// - **Freshness.** A key set is fresh for 10 minutes, or as long as the response permits (`max-age` minus `Age`,
    ///   RFC 9111 section 4.2), but at least 1 minute and at most 24 hours. `no-store` and `no-cache` mean 1 minute.
    /// - **Refresh.** After four fifths of that time, the next token starts a refresh and does not wait for the result.
    /// - **Outage.** While the refresh fails, the layer uses an old key set for 1 more hour.
    /// - **Unknown keys.** A token with an unknown `kid` starts a refresh, at most once in 60 s.
    /// - **Limits.** At most one request is sent at a time. A response has at most 256 KiB and arrives within 5 s. Every
    ///   status but 200 is a failure. Redirects are not followed.
    /// - **Back-off.** After a failure, the layer waits 1 s before the next request, and twice as long after each further
    ///   failure, up to 60 s. The actual wait is a random time between half of this and all of this.
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.set_keys(KeySource::Remote(uri.into()));
        self
    }

    /// Finds the URL of the key set in the issuer's metadata, and then fetches the key set as
    /// [`jwks_uri`](Self::jwks_uri) does.
    ///
    /// The layer requests the metadata of OpenID Connect Discovery 1.0 section 4
    /// (`<issuer>/.well-known/openid-configuration`). If the response is a 4xx, the layer requests the metadata of
    /// RFC 8414 section 3.1 (`/.well-known/oauth-authorization-server`, inserted between host and path).
    ///
    /// The metadata have at most 256 KiB and name exactly this issuer (RFC 8414 section 3.3). The metadata of an `https`
    /// issuer name an `https` key set. The key set is at the origin of the issuer (scheme, host and port), or at one of the
    /// [`key_origins`](Self::key_origins). Otherwise the keys of the issuer are unavailable, and the audit event says why.
    ///
    /// The first fetch takes two or three requests, together within 5 s. The layer keeps the URL of the key set for
    /// 24 hours, as long as the key set can be fetched there.
    ///
    /// The identifier has to be an absolute URL without query, fragment and user information.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, records::SubjectMapping};
    ///
    /// let idp = Issuer::new("https://idp.example/realms/staff")
    ///     .discovery() // https://idp.example/realms/staff/.well-known/openid-configuration
    ///     .map_subjects(SubjectMapping::Prefix("staff|".into()));
    /// # let _ = idp;
    /// ```
    pub fn discovery(mut self) -> Self {
        self.set_keys(KeySource::Discovered);
        self
    }

    /// Sets the origins that may have the key set of the issuer, beside the origin of the issuer itself, for
    /// [`discovery`](Self::discovery). Google, for example, has its keys at `https://www.googleapis.com`.
    ///
    /// Whoever can write the metadata of the issuer can make the layer fetch any URL at these origins. Default: none.
    ///
    /// ```
    /// use tower_token_exchange::Issuer;
    ///
    /// let idp = Issuer::new("https://idp.example").discovery().key_origins(["https://keys.idp.example"]);
    /// # let _ = idp;
    /// ```
    pub fn key_origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.key_origins = collected(origins);
        self
    }

    /// Sets the algorithms of the issuer's signatures. Default: [`Algorithm::ALL`].
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Asks the issuer's introspection endpoint (RFC 7662) about tokens that are not signed JWTs.
    pub fn introspection(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(introspection);
        self
    }

    /// States that this record of our own issuer describes only the tokens that another server issued, such as the server
    /// behind a gateway. The layer reads the tokens that it issued itself by their own rules.
    ///
    /// A record that names keys needs no such statement.
    ///
    /// Only the layer issues tokens for subjects of foreign issuers. A token of the other server is refused if its subject has
    /// the name that a subject of a foreign issuer has here ([`names`](crate::manual::names)).
    pub fn of_another_server(mut self) -> Self {
        self.is_of_another_server = true;
        self
    }

    /// Accepts these types of tokens. Types that [`accept`](Self::accept) already added keep their rules.
    ///
    /// Default, without a call of this method or of `accept`: `access_token` for our own issuer, and `jwt` for a
    /// foreign issuer. RFC 8693 section 3 reserves `access_token` for tokens of this authorization server.
    ///
    /// The layer validates a type of your own by the rules for `jwt`.
    pub fn accept_types(mut self, types: impl IntoIterator<Item = TokenType>) -> Self {
        for token_type in types {
            if self.tokens.iter().all(|rules| rules.token_type != token_type) {
                self.tokens.push(TokenRules::new(token_type));
            }
        }
        self
    }

    /// Accepts one more type of tokens, with rules. The rules replace earlier rules for the same type.
    pub fn accept(mut self, rules: TokenRules) -> Self {
        self.tokens.retain(|before| before.token_type != rules.token_type);
        self.tokens.push(rules);
        self
    }

    /// Accepts one more type of tokens, with rules that are added to the rules that the record has for the type, for
    /// example by a preset.
    ///
    /// What the new rules say has precedence. Required claims, forbidden claims and ignored audiences are added.
    pub fn refine(mut self, rules: TokenRules) -> Self {
        let known = self.tokens.iter().position(|before| before.token_type == rules.token_type);
        match known {
            Some(position) => {
                let before = self.tokens.remove(position);
                self.tokens.insert(position, rules.over(before));
            }
            None => self.tokens.push(rules),
        }
        self
    }

    /// Accepts access tokens without the header `typ: at+jwt`, which authorization servers older than RFC 9068 issue.
    ///
    /// A `scope` or a `client_id` distinguishes such an access token from an ID token.
    pub fn allow_untyped_access_tokens(mut self) -> Self {
        self.untyped_access_tokens = true;
        self
    }

    /// Sets how far the issuer's clock may be ahead, at most 60 s. The leeway applies to `nbf` and `iat`, never to `exp`.
    ///
    /// Default: the layer's [`leeway`](crate::TokenExchangeBuilder::leeway).
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Refuses tokens that are older than this (`iat`), and tokens without `iat`. At least 1 s.
    ///
    /// Default: only `exp` limits the age.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets each subject token of the issuer be exchanged once, by whichever client.
    ///
    /// The token is used up after the new token is signed and before the client receives the new token. The
    /// [`replay_store`](crate::TokenExchangeBuilder::replay_store) remembers each use. Actor tokens can be used several times.
    ///
    /// - **Identity.** The `jti` of the token names the token. Without `jti`, the signed part of a JWT and the text of an opaque
    ///   token do. An introspection endpoint must therefore accept only one spelling of an opaque token without `jti`. A token of
    ///   a [token verifier](crate::token::TokenVerifier) needs a `jti`.
    /// - **Lifetime.** The token expires in 24 hours or less.
    ///
    /// The setting of our own issuer is also about the tokens that the layer issued.
    ///
    /// Default: a token can be exchanged any number of times until it expires.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, records::SubjectMapping};
    ///
    /// let idp = Issuer::new("https://idp.example")
    ///     .discovery()
    ///     .map_subjects(SubjectMapping::Prefix("idp|".into()))
    ///     .one_time_subject_tokens();
    /// # let _ = idp;
    /// ```
    pub fn one_time_subject_tokens(mut self) -> Self {
        self.one_time_subject_tokens = true;
        self
    }

    /// Accepts tokens of these tenants only. A token has to name its tenant in a claim.
    ///
    /// With one tenant, the claim has to have this value. With several tenants, names are unique only within a tenant:
    /// a subject is called `<tenant>|<sub>` in rules and issued tokens, and a client presents tokens of the tenants in
    /// its record only ([`Client::allow_tenants`](super::Client::allow_tenants)).
    pub fn accept_tenants<T: Into<String>>(
        mut self,
        claim: impl Into<String>,
        tenants: impl IntoIterator<Item = T>,
    ) -> Self {
        self.tenants = Some(Tenants { claim: claim.into(), accepted: collected(tenants) });
        self
    }

    /// Sets the values of `aud` that mean this authorization server, in tokens of a foreign issuer.
    ///
    /// Default: the layer's own issuer identifier.
    pub fn accepted_audiences<T: Into<String>>(mut self, audiences: impl IntoIterator<Item = T>) -> Self {
        self.accepted_audiences = collected(audiences);
        self
    }

    /// Sets how the subjects of a foreign issuer are named here. Required for a foreign issuer.
    ///
    /// The page [`names`](crate::manual::names) lists the names that a subject has, and how rules match them.
    pub fn map_subjects(mut self, mapping: SubjectMapping) -> Self {
        self.subjects = Some(mapping);
        self
    }

    /// Maps a foreign issuer's name of a client (`theirs`) to one of our clients (`ours`). Each call adds a name.
    ///
    /// The mapping applies to `aud`, `azp`, `client_id`, `may_act` and the `sub` of an actor. Without a mapping, a
    /// foreign name is never one of our clients, even if the text is the same.
    pub fn map_client(mut self, theirs: impl Into<String>, ours: impl Into<ClientId>) -> Self {
        self.clients.push((theirs.into(), ours.into()));
        self
    }

    /// Permits these clients to present every token of the issuer that is meant for this authorization server.
    pub fn allow_presenters<T: Into<ClientId>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
        self.presenters = collected(client_ids);
        self
    }

    /// States that tokens of this issuer only authenticate clients
    /// ([`Client::federated_credential`](super::Client::federated_credential),
    /// [`Client::spiffe_id`](super::Client::spiffe_id)). The layer accepts them neither as subject tokens nor as actor tokens, so
    /// that the record needs no [`map_subjects`](Self::map_subjects).
    pub fn for_clients_only(mut self) -> Self {
        self.for_clients_only = true;
        self
    }

    /// Accepts actor tokens of a foreign issuer.
    pub fn allow_actor_tokens(mut self) -> Self {
        self.actor_tokens = true;
        self
    }

    /// Trusts the `act` claim of a foreign issuer, including actors that are our own parties.
    ///
    /// Default: a token with an `act` claim is refused.
    pub fn trust_act(mut self) -> Self {
        self.trusts_act = true;
        self
    }

    /// Trusts the `may_act` claim of a foreign issuer: the named client may present the token.
    ///
    /// In both cases, a `may_act` claim that names somebody else forbids the exchange.
    pub fn trust_may_act(mut self) -> Self {
        self.trusts_may_act = true;
        self
    }

    /// Maps an `acr` value of a foreign issuer (`theirs`) to a value of ours (`ours`). Each call adds a value.
    ///
    /// A value without a mapping is dropped.
    pub fn map_acr(mut self, theirs: impl Into<String>, ours: impl Into<String>) -> Self {
        self.acr.push((theirs.into(), ours.into()));
        self
    }

    /// Sets the claims of a foreign issuer that issued tokens may repeat ([`Target::claims`](super::Target::claims)).
    ///
    /// Default: none. Claims of our own tokens need no permission.
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = collected(claims);
        self
    }

    /// The identifier.
    pub fn id(&self) -> &IssuerId {
        &self.id
    }

    /// The record for the tokens that the layer issued, beside the tokens that this record of our own issuer describes.
    pub(super) fn of_issued_tokens(&self) -> Self {
        let accepts_jwt = self.tokens.iter().any(|rules| rules.token_type == TokenType::JWT);
        let types = [Some(TokenType::ACCESS_TOKEN), accepts_jwt.then_some(TokenType::JWT)];
        let issued = Self::new(self.id.clone()).accept_types(types.into_iter().flatten());
        Self {
            leeway: self.leeway,
            max_age: self.max_age,
            one_time_subject_tokens: self.one_time_subject_tokens,
            wording: self.wording,
            ..issued
        }
    }

    fn set_keys(&mut self, keys: KeySource) {
        let is_other = |known: &KeySource| mem::discriminant(known) != mem::discriminant(&keys);
        self.has_several_key_sources |= !self.keys_are_preset && self.keys.as_ref().is_some_and(is_other);
        if self.keys_are_preset && !matches!(keys, KeySource::Discovered) {
            self.key_origins.clear();
        }
        self.keys_are_preset = false;
        self.keys = Some(keys);
    }
}

/// The URLs that the HTTP service of the layer has to reach, with the key of each.
fn fetched_urls<'a>(
    id: &'a IssuerId,
    keys: Option<&'a KeySource>,
    introspection: Option<&'a Introspection>,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let keys = match keys {
        Some(KeySource::Remote(uri)) => Some(("jwks_uri", uri.as_str())),
        Some(KeySource::Discovered) => Some(("discovery", id.as_str())),
        Some(KeySource::Fixed(_)) | None => None,
    };
    let asked = introspection.filter(|introspection| introspection.http.is_none());
    keys.into_iter().chain(asked.map(|introspection| ("introspection", introspection.endpoint.as_str())))
}
