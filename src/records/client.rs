use super::{Party, SecretHash, names};
use std::time::Duration;

/// A client of the token endpoint: how it proves who it is, and what its tokens may at most become.
///
/// A fresh record proves nothing and widens nothing. That the client may reach a target stands in the
/// [`Target`](super::Target)'s record; that it may do so for a subject stands in the policy.
///
/// ```
/// use tower_token_exchange::Client;
///
/// let orders = Client::new("orders")
///     .secret("pX7mQ2vL9rT4wK8sB3nH6jD1")
///     .default_target("billing");
/// # let _ = orders;
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) secrets: Vec<SecretHash>,
    pub(crate) problem: Option<(&'static str, &'static str)>,
    pub(crate) may_exchange: bool,
    pub(crate) targets: Option<Vec<String>>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) default_target: Option<String>,
    pub(crate) scopeless_subject_scopes: Vec<String>,
    pub(crate) ignored_scopes: Vec<String>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) self_exchange: bool,
    pub(crate) several_audiences: bool,
    pub(crate) repeated_actors: bool,
    pub(crate) jwt_output: bool,
    pub(crate) carries: Vec<Party>,
    pub(crate) tenants: Vec<String>,
}

/// The shortest secret taken as text: 16 characters of a random one hold about 96 bits.
const MIN_SECRET_CHARS: usize = 16;

impl Client {
    /// A client by its `client_id`.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            id: client_id.into(),
            secrets: Vec::new(),
            problem: None,
            may_exchange: true,
            targets: None,
            scopes: None,
            default_target: None,
            scopeless_subject_scopes: Vec::new(),
            ignored_scopes: Vec::new(),
            max_lifetime: None,
            self_exchange: false,
            several_audiences: false,
            repeated_actors: false,
            jwt_output: false,
            carries: Vec::new(),
            tenants: Vec::new(),
        }
    }

    /// A secret for `client_secret_basic` and `client_secret_post` (RFC 6749 section 2.3.1), kept as its
    /// SHA-256 hash. Call it twice while a secret is being replaced.
    ///
    /// Secrets must be random; one of fewer than 16 characters is a build-time error.
    #[must_use]
    pub fn secret(mut self, secret: impl AsRef<str>) -> Self {
        let secret = secret.as_ref();
        if secret.chars().count() < MIN_SECRET_CHARS {
            self.problem = Some((
                "secret",
                "shorter than 16 characters: use a long random one, or `secret_sha256` for one that you cannot change",
            ));
        }
        self.secrets.push(SecretHash::of(secret));
        self
    }

    /// A secret by its SHA-256 hash, in hexadecimal: for configuration that must not hold the secret itself.
    #[must_use]
    pub fn secret_sha256(mut self, hex: impl AsRef<str>) -> Self {
        match SecretHash::from_hex(hex.as_ref()) {
            Some(hash) if hash.is_one_of(&[SecretHash::of("")]) => {
                self.problem = Some(("secret_sha256", "the hash of the empty text: give that of a secret"));
            }
            Some(hash) => self.secrets.push(hash),
            None => self.problem = Some(("secret_sha256", "not 64 hexadecimal digits")),
        }
        self
    }

    /// Known as an owner of targets or as an actor, but may not use this grant: `unauthorized_client`.
    #[must_use]
    pub fn deny_exchange(mut self) -> Self {
        self.may_exchange = false;
        self
    }

    /// Narrows the targets, by their record's id, to these. Without it: every target that lists the client.
    #[must_use]
    pub fn targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        self.targets = Some(names(targets));
        self
    }

    /// Narrows the scope of whatever is issued to this client. Without it: the target's scopes.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = Some(names(scopes));
        self
    }

    /// The target, by its record's id, of a request that names none. Without it: `invalid_target`.
    #[must_use]
    pub fn default_target(mut self, target: impl Into<String>) -> Self {
        self.default_target = Some(target.into());
        self
    }

    /// What a subject token without a known scope, such as an ID token, is worth in this client's hands: the
    /// target's scopes that it may become. Without it: nothing.
    #[must_use]
    pub fn scopes_for_scopeless_subjects<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopeless_subject_scopes = names(scopes);
        self
    }

    /// Scopes that a client library sends on its own account and that therefore do not count as asked for.
    #[must_use]
    pub fn ignored_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.ignored_scopes = names(scopes);
        self
    }

    /// Lowers the lifetime of whatever is issued to this client.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// The client may exchange tokens that were issued to itself, whatever their audience.
    #[must_use]
    pub fn allow_self_exchange(mut self) -> Self {
        self.self_exchange = true;
        self
    }

    /// The client may present a subject token that has other audiences beside it.
    #[must_use]
    pub fn allow_several_audiences(mut self) -> Self {
        self.several_audiences = true;
        self
    }

    /// The client may act again where it already stands deeper in the chain of actors.
    #[must_use]
    pub fn allow_repeated_actors(mut self) -> Self {
        self.repeated_actors = true;
        self
    }

    /// The client may ask for `urn:ietf:params:oauth:token-type:jwt`: a JWT that is no access token (`N_A`).
    #[must_use]
    pub fn allow_jwt_output(mut self) -> Self {
        self.jwt_output = true;
        self
    }

    /// The client may present actor tokens of this party, as a platform does for the agents that it runs.
    #[must_use]
    pub fn allow_actor(mut self, actor: Party) -> Self {
        self.carries.push(actor);
        self
    }

    /// The tenants that the client works for: it presents no token of another
    /// ([`Issuer::accept_tenants`](super::Issuer::accept_tenants)). Without it: none of an issuer that has several.
    #[must_use]
    pub fn allow_tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.tenants = names(tenants);
        self
    }

    /// The `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }
}
