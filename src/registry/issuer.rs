use super::names;
use crate::{
    jose::{Algorithm, KeySet},
    protocol::TokenType,
};

/// An issuer of subject and actor tokens: where its keys are, and how far it is believed.
///
/// The record whose identifier is the layer's own issuer describes tokens that this authorization server issued;
/// the signer's keys belong to it without being named. Every other issuer is foreign: its record must say how
/// its subjects become ours.
///
/// ```
/// use tower_token_exchange::{Issuer, SubjectMapping};
///
/// let idp = Issuer::new("https://idp.example")
///     .jwks_uri("https://idp.example/jwks.json")
///     .subjects(SubjectMapping::Prefix("idp|".into()))
///     .presenters(["orders"]);
/// # let _ = idp;
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) id: String,
    pub(crate) keys: Option<KeySource>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) token_types: Option<Vec<TokenType>>,
    pub(crate) untyped_access_tokens: bool,
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

/// The rules for one declared token type; no token can satisfy two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleSet {
    AccessToken,
    IdToken,
    Jwt,
}

impl RuleSet {
    pub(crate) fn of(declared: &TokenType) -> Self {
        if *declared == TokenType::ACCESS_TOKEN {
            Self::AccessToken
        } else if *declared == TokenType::ID_TOKEN {
            Self::IdToken
        } else {
            Self::Jwt
        }
    }
}

impl Issuer {
    /// An issuer by its identifier: the exact `iss` of its tokens.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            id: identifier.into(),
            keys: None,
            algorithms: Algorithm::ALL.to_vec(),
            token_types: None,
            untyped_access_tokens: false,
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
        self.keys = Some(KeySource::Fixed(keys));
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
        self.keys = Some(KeySource::Remote(uri.into()));
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
    /// use tower_token_exchange::{Issuer, SubjectMapping};
    ///
    /// let idp = Issuer::new("https://idp.example/realms/staff")
    ///     .discovery() // https://idp.example/realms/staff/.well-known/openid-configuration
    ///     .subjects(SubjectMapping::Prefix("staff|".into()));
    /// # let _ = idp;
    /// ```
    #[must_use]
    pub fn discovery(mut self) -> Self {
        self.keys = Some(KeySource::Discovered);
        self
    }

    /// The algorithms that the issuer signs with. Default: [`Algorithm::ALL`].
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// The token types that are taken from this issuer. Default: `access_token` for our own, `jwt` for a
    /// foreign one (RFC 8693 section 3 keeps `access_token` for tokens of this authorization server).
    ///
    /// A type of your own is validated by the rules for `jwt`.
    #[must_use]
    pub fn token_types(mut self, types: impl IntoIterator<Item = TokenType>) -> Self {
        self.token_types = Some(types.into_iter().collect());
        self
    }

    /// Takes access tokens whose header does not say `at+jwt` too, as authorization servers older than RFC 9068
    /// issue them. They are told from ID tokens by a `scope` or `client_id`.
    #[must_use]
    pub fn allow_untyped_access_tokens(mut self) -> Self {
        self.untyped_access_tokens = true;
        self
    }

    /// What a foreign issuer calls us in `aud`. Default: our own issuer identifier.
    #[must_use]
    pub fn our_names<T: Into<String>>(mut self, names_there: impl IntoIterator<Item = T>) -> Self {
        self.our_names = names(names_there);
        self
    }

    /// How a foreign issuer's subjects become ours. Required for a foreign issuer.
    #[must_use]
    pub fn subjects(mut self, mapping: SubjectMapping) -> Self {
        self.subjects = Some(mapping);
        self
    }

    /// What a foreign issuer calls one of our clients, in `aud`, `azp`, `client_id`, `may_act` or as an actor's
    /// `sub`. A name without such an entry is not one of ours.
    #[must_use]
    pub fn client_name(mut self, name_there: impl Into<String>, client_id: impl Into<String>) -> Self {
        self.client_names.push((name_there.into(), client_id.into()));
        self
    }

    /// The clients that may present any of this issuer's tokens that are meant for us.
    #[must_use]
    pub fn presenters<T: Into<String>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
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
    pub fn acr(mut self, value_there: impl Into<String>, value_here: impl Into<String>) -> Self {
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

    pub(crate) fn accepts(&self, declared: &TokenType) -> bool {
        self.token_types.as_ref().is_some_and(|types| types.contains(declared))
    }
}
