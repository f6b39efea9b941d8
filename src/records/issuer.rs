use super::{Introspection, TokenRules, names};
use crate::{
    jose::{Algorithm, KeySet},
    protocol::TokenType,
};
use std::{mem, time::Duration};

/// An issuer of subject and actor tokens: where its keys are, and how far it is believed.
///
/// The record whose identifier is the layer's own issuer describes tokens that this authorization server issued;
/// the signer's keys belong to it without being named. Every other issuer is foreign: its record must say how
/// its subjects become ours.
///
/// ```
/// use tower_token_exchange::{Issuer, records::SubjectMapping};
///
/// let idp = Issuer::new("https://idp.example")
///     .jwks_uri("https://idp.example/jwks.json")
///     .map_subjects(SubjectMapping::Prefix("idp|".into()))
///     .allow_presenters(["orders"]);
/// # let _ = idp;
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) id: String,
    pub(crate) keys: Option<KeySource>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) several_key_sources: bool,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) tokens: Vec<TokenRules>,
    pub(crate) untyped_access_tokens: bool,
    pub(crate) leeway: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) tenants: Option<Tenants>,
    pub(crate) spiffe: bool,
    pub(crate) keys_are_preset: bool,
    pub(crate) our_names: Vec<String>,
    pub(crate) subjects: Option<SubjectMapping>,
    pub(crate) client_names: Vec<(String, String)>,
    pub(crate) presenters: Vec<String>,
    pub(crate) actor_tokens: bool,
    pub(crate) act: bool,
    pub(crate) may_act: bool,
    pub(crate) acr: Vec<(String, String)>,
    pub(crate) claims: Vec<String>,
}

/// Stands between a tenant and a name of it.
pub(crate) const TENANT_SEPARATOR: char = '|';

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Fixed(KeySet),
    Remote(String),
    /// Where the issuer's metadata says.
    Discovered,
}

/// How a foreign `sub` becomes one of ours (identity is the pair of `iss` and `sub`, RFC 7519 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectMapping {
    /// It stays as it is. Only one foreign issuer can have this, and only where no other could name the same.
    Keep,
    /// This text is put in front.
    Prefix(String),
    /// The string claim of this name takes its place.
    Claim(String),
}

/// The tenants of an issuer whose tokens name theirs in a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenants {
    pub(crate) claim: String,
    pub(crate) accepted: Vec<String>,
}

impl Issuer {
    /// An issuer by its identifier: the exact `iss` of its tokens.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            id: identifier.into(),
            keys: None,
            introspection: None,
            several_key_sources: false,
            algorithms: Algorithm::ALL.to_vec(),
            tokens: Vec::new(),
            untyped_access_tokens: false,
            leeway: None,
            max_age: None,
            tenants: None,
            spiffe: false,
            keys_are_preset: false,
            our_names: Vec::new(),
            subjects: None,
            client_names: Vec::new(),
            presenters: Vec::new(),
            actor_tokens: false,
            act: false,
            may_act: false,
            acr: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// A fixed key set.
    #[must_use]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.set_keys(KeySource::Fixed(keys));
        self
    }

    /// A key set to be fetched and kept (RFC 7517 section 5), when it is first needed and then as it ages.
    ///
    /// It is fresh for 10 minutes, or for what its answer says (`max-age` less `Age`, RFC 9111 section 4.2) between
    /// 1 minute and 24 hours; `no-store` and `no-cache` mean 1 minute. Once four fifths of that have passed, the next use
    /// fetches it anew and does not wait for it. While fetching fails, it serves for up to 1 hour more.
    ///
    /// One fetch is one request, at a time at most one, of at most 256 KiB and 5 s; any status but 200 is a failure, and
    /// no redirect is followed. An unknown `kid` makes at most one fetch in 60 s. After a failure there is none for 1 s,
    /// twice that after each more in a row, 60 s at most, and of that between the half and the whole at random.
    #[must_use]
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.set_keys(KeySource::Remote(uri.into()));
        self
    }

    /// A key set whose address is found in the issuer's metadata, and which is then fetched and kept as that of
    /// [`jwks_uri`](Self::jwks_uri).
    ///
    /// The metadata are looked for where OpenID Connect Discovery 1.0 section 4 puts them
    /// (`<issuer>/.well-known/openid-configuration`), and where the answer is that there is nothing (a 4xx), where RFC 8414
    /// section 3.1 does (`/.well-known/oauth-authorization-server` between host and path). They must name exactly this
    /// issuer, byte for byte (RFC 8414 section 3.3), and for an `https` issuer an `https` key set; else its keys are
    /// unavailable, and the audit says why. At most 256 KiB.
    ///
    /// So the first fetch takes two requests or three, all within 5 s. The address is kept for 24 hours and as long as the
    /// key set can be fetched there: until then, a fetch is one request.
    ///
    /// The identifier must be an absolute URL without query, fragment and user information.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, records::SubjectMapping};
    ///
    /// let idp = Issuer::new("https://idp.example/realms/staff")
    ///     .discovery() // https://idp.example/realms/staff/.well-known/openid-configuration
    ///     .map_subjects(SubjectMapping::Prefix("staff|".into()));
    /// # let _ = idp;
    /// ```
    #[must_use]
    pub fn discovery(mut self) -> Self {
        self.set_keys(KeySource::Discovered);
        self
    }

    /// The algorithms that the issuer signs with. Default: [`Algorithm::ALL`].
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Asks the issuer what a token means (RFC 7662), for tokens that cannot be read here.
    #[must_use]
    pub fn introspection(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(introspection);
        self
    }

    /// The token types that are taken from this issuer, with no rules beyond what the type demands unless
    /// [`Issuer::accept`] has some. Default:
    /// `access_token` for our own, `jwt` for a foreign one (RFC 8693 section 3 keeps `access_token` for tokens of this
    /// authorization server).
    ///
    /// A type of your own is validated by the rules for `jwt`.
    #[must_use]
    pub fn accept_types(mut self, types: impl IntoIterator<Item = TokenType>) -> Self {
        for token_type in types {
            if !self.accepts(&token_type) {
                self.tokens.push(TokenRules::new(token_type));
            }
        }
        self
    }

    /// Takes one more type of token from this issuer, with rules of its own, which replace any given for it before.
    #[must_use]
    pub fn accept(mut self, rules: TokenRules) -> Self {
        self.tokens.retain(|before| before.token_type != rules.token_type);
        self.tokens.push(rules);
        self
    }

    /// Takes access tokens whose header does not say `at+jwt` too, as authorization servers older than RFC 9068
    /// issue them. They are told from ID tokens by a `scope` or `client_id`.
    #[must_use]
    pub fn allow_untyped_access_tokens(mut self) -> Self {
        self.untyped_access_tokens = true;
        self
    }

    /// How far this issuer's clock may be ahead, at most 60 s; for `nbf` and `iat`, never for `exp`. Default: the
    /// layer's [`leeway`](crate::TokenExchangeBuilder::leeway).
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Refuses tokens that were issued longer ago than this, and those that do not say when (`iat`). Default: only
    /// `exp` counts.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The tenants whose tokens are taken, and the claim that names a token's tenant; the claim is then required.
    ///
    /// With one tenant this is a required value. With several, the issuer's names are those of its tenants: a `sub` is
    /// `<tenant>|<sub>` everywhere, in rules and in what is issued, and a client presents only tokens of the tenants in
    /// its record ([`Client::allow_tenants`](super::Client::allow_tenants)).
    #[must_use]
    pub fn accept_tenants<T: Into<String>>(
        mut self,
        claim: impl Into<String>,
        accepted: impl IntoIterator<Item = T>,
    ) -> Self {
        self.tenants = Some(Tenants { claim: claim.into(), accepted: names(accepted) });
        self
    }

    /// What a foreign issuer calls us in `aud`. Default: our own issuer identifier.
    #[must_use]
    pub fn accepted_audiences<T: Into<String>>(mut self, names_there: impl IntoIterator<Item = T>) -> Self {
        self.our_names = names(names_there);
        self
    }

    /// How a foreign issuer's subjects become ours. Required for a foreign issuer.
    #[must_use]
    pub fn map_subjects(mut self, mapping: SubjectMapping) -> Self {
        self.subjects = Some(mapping);
        self
    }

    /// What a foreign issuer calls one of our clients, in `aud`, `azp`, `client_id`, `may_act` or as an actor's
    /// `sub`. A name without such an entry is not one of ours.
    #[must_use]
    pub fn map_client(mut self, name_there: impl Into<String>, client_id: impl Into<String>) -> Self {
        self.client_names.push((name_there.into(), client_id.into()));
        self
    }

    /// The clients that may present any of this issuer's tokens that are meant for us.
    #[must_use]
    pub fn allow_presenters<T: Into<String>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
        self.presenters = names(client_ids);
        self
    }

    /// Takes actor tokens from a foreign issuer.
    #[must_use]
    pub fn allow_actor_tokens(mut self) -> Self {
        self.actor_tokens = true;
        self
    }

    /// Believes a foreign issuer's `act` chain, whomever it names, parties of ours included. Without it, a token that
    /// has one is refused.
    #[must_use]
    pub fn trust_act(mut self) -> Self {
        self.act = true;
        self
    }

    /// Lets a foreign issuer's `may_act` make a client the presenter. It restricts in any case.
    #[must_use]
    pub fn trust_may_act(mut self) -> Self {
        self.may_act = true;
        self
    }

    /// What an `acr` of a foreign issuer is called here. One without such an entry is left out.
    #[must_use]
    pub fn map_acr(mut self, value_there: impl Into<String>, value_here: impl Into<String>) -> Self {
        self.acr.push((value_there.into(), value_here.into()));
        self
    }

    /// The claims of a foreign issuer that targets may carry on ([`Target::claims`](super::Target::claims)): what it
    /// says about roles or tenants is believed only if it is named here. Our own tokens need no such list.
    #[must_use]
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = names(claims);
        self
    }

    /// The client that this issuer means by a name.
    pub(crate) fn client_named(&self, name_there: &str) -> Option<&str> {
        self.client_names.iter().find(|(there, _)| there == name_there).map(|(_, here)| &**here)
    }

    /// The identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What has to be fetched for it: the field that says so, and the address.
    pub(crate) fn fetched_from(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let keys = match &self.keys {
            Some(KeySource::Remote(uri)) => Some(("jwks_uri", uri.as_str())),
            Some(KeySource::Discovered) => Some(("discovery", self.id.as_str())),
            Some(KeySource::Fixed(_)) | None => None,
        };
        let asked = self.introspection.as_ref().filter(|introspection| introspection.via.is_none());
        keys.into_iter().chain(asked.map(|introspection| ("introspection", introspection.endpoint.as_str())))
    }

    pub(crate) fn accepts(&self, declared: &TokenType) -> bool {
        self.rules_for(declared).is_some()
    }

    pub(crate) fn rules_for(&self, declared: &TokenType) -> Option<&TokenRules> {
        self.tokens.iter().find(|rules| rules.token_type == *declared)
    }

    /// The claim that holds the scope, where the record names one.
    pub(crate) fn scope_claim(&self, declared: &TokenType) -> Option<&str> {
        self.rules_for(declared)?.scope_claim.as_deref()
    }

    /// Whether names of this issuer are unique only within one of several tenants.
    pub(crate) fn has_several_tenants(&self) -> bool {
        self.tenants.as_ref().is_some_and(|tenants| tenants.accepted.len() > 1)
    }

    /// The tenant of a party of this issuer, by the name that it has here.
    pub(crate) fn tenant_of<'a>(&'a self, sub: &'a str) -> Option<&'a str> {
        match self.tenants.as_ref()?.accepted.as_slice() {
            [only] => Some(only),
            _ => sub.split_once(TENANT_SEPARATOR).map(|(tenant, _)| tenant),
        }
    }

    fn set_keys(&mut self, keys: KeySource) {
        let another = |known: &KeySource| mem::discriminant(known) != mem::discriminant(&keys);
        self.several_key_sources |= !self.keys_are_preset && self.keys.as_ref().is_some_and(another);
        self.keys_are_preset = false;
        self.keys = Some(keys);
    }
}
