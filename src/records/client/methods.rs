//! How a client authenticates.

#[cfg(feature = "argon2")]
use super::ChosenSecret;
#[cfg(feature = "client-certificates")]
use super::ClientCertificates;
use super::{Client, SecretHash, workloads::ClientWorkloads};
use crate::{
    jose::{Algorithm, KeySet},
    records::{ConfigErrorKind, Place, Problems, collected, is_absolute, names::Names, place::Field},
};
#[cfg(feature = "argon2")]
use std::sync::Arc;
use std::time::Duration;

/// The fewest characters of a secret. 16 random characters have about 96 bits.
const MIN_SECRET_CHARS: usize = 16;
/// The longest time for which a client assertion may be valid, unless the record sets another.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);
const MAX_ASSERTION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The algorithms of FAPI 2.0 (security profile, section 5.4).
const FAPI_ALGORITHMS: [Algorithm; 3] = [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

const KEYS: Field = Field::new("jwks", "keys");

/// Where the keys of a client come from.
#[derive(Clone, Debug)]
pub(crate) enum ClientKeySource {
    Fixed(KeySet),
    /// The URL of the key set.
    Remote(String),
}

/// The methods of a client, with what each method needs.
#[derive(Clone, Debug)]
pub(crate) struct ClientMethods {
    pub(crate) secrets: Vec<SecretHash>,
    #[cfg(feature = "argon2")]
    pub(crate) chosen_secrets: Vec<Arc<ChosenSecret>>,
    /// The keys for `private_key_jwt`.
    pub(crate) keys: Option<ClientKeySource>,
    has_several_key_sources: bool,
    /// The algorithms that the record names. Empty for all that are permitted.
    algorithms: Vec<Algorithm>,
    /// The `aud` of assertions that the record permits beside the issuer identifier.
    pub(crate) older_audience: Option<String>,
    assertion_lifetime: Option<Duration>,
    #[cfg(feature = "client-certificates")]
    pub(crate) certificates: ClientCertificates,
    pub(crate) workloads: ClientWorkloads,
    /// Whether the client may send its id alone.
    pub(crate) public: bool,
    pub(crate) fapi: bool,
}

impl ClientMethods {
    pub(super) fn new() -> Self {
        Self {
            secrets: Vec::new(),
            #[cfg(feature = "argon2")]
            chosen_secrets: Vec::new(),
            keys: None,
            has_several_key_sources: false,
            algorithms: Vec::new(),
            older_audience: None,
            assertion_lifetime: None,
            #[cfg(feature = "client-certificates")]
            certificates: ClientCertificates::default(),
            workloads: ClientWorkloads::default(),
            public: false,
            fapi: false,
        }
    }

    /// Whether the record has a method.
    pub(crate) fn are_some(&self) -> bool {
        self.public || self.authenticate()
    }

    /// Whether the client has a way to authenticate.
    fn authenticate(&self) -> bool {
        self.has_secret() || self.keys.is_some() || self.workloads.are_some() || self.accept_certificates()
    }

    fn has_secret(&self) -> bool {
        #[cfg(feature = "argon2")]
        return !self.secrets.is_empty() || !self.chosen_secrets.is_empty();
        #[cfg(not(feature = "argon2"))]
        return !self.secrets.is_empty();
    }

    /// Whether the client may present a certificate.
    pub(crate) fn accept_certificates(&self) -> bool {
        #[cfg(feature = "client-certificates")]
        return self.certificates.are_some() || self.workloads.have_spiffe_ids();
        #[cfg(not(feature = "client-certificates"))]
        return false;
    }

    /// Whether the client may present a certificate with a name, and one with a key or a hash.
    fn certificate_methods(&self) -> [bool; 2] {
        #[cfg(feature = "client-certificates")]
        return [self.certificates.name().is_some(), self.certificates.are_of_keys()];
        #[cfg(not(feature = "client-certificates"))]
        return [false; 2];
    }

    /// Whether the client may sign assertions with an algorithm.
    pub(crate) fn permit(&self, algorithm: Algorithm) -> bool {
        (self.algorithms.is_empty() || self.algorithms.contains(&algorithm))
            && (!self.fapi || FAPI_ALGORITHMS.contains(&algorithm))
    }

    /// The longest time between now and the `exp` of an assertion.
    pub(crate) fn assertion_lifetime(&self) -> Duration {
        self.assertion_lifetime.unwrap_or(ASSERTION_LIFETIME)
    }

    fn set_keys(&mut self, source: ClientKeySource) {
        self.has_several_key_sources |= self.keys.is_some();
        self.keys = Some(source);
    }

    /// Checks the methods alone and together.
    pub(super) fn check(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
        self.check_keys(place, problems);
        #[cfg(feature = "client-certificates")]
        self.certificates.check(self.keys.is_some(), place, problems);
        self.workloads.check(place, names, problems);
        let needs_keys = [
            ("algorithms", !self.algorithms.is_empty()),
            ("allow_assertion_audience", self.older_audience.is_some()),
            ("max_assertion_lifetime", self.assertion_lifetime.is_some()),
        ];
        for (field, is_set) in needs_keys {
            if is_set && self.keys.is_none() {
                let keys = place.word(KEYS);
                let help =
                    format!("only for clients that sign assertions: give `{keys}` or `jwks_uri`, or remove this");
                problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
            }
        }
        if self.older_audience.as_ref().is_some_and(|url| !is_absolute(url)) {
            let help = "not an `http` or `https` URL: give the URL of the token endpoint in full";
            problems.add(place.wrong("allow_assertion_audience", help));
        }
        let lifetimes = Duration::from_secs(1)..=MAX_ASSERTION_LIFETIME;
        if self.assertion_lifetime.is_some_and(|lifetime| !lifetimes.contains(&lifetime)) {
            problems.add(place.wrong("max_assertion_lifetime", "out of range: give 1 s to 24 h"));
        }
        if self.public && self.authenticate() {
            let help = "the client also has a way to authenticate, which nobody would need: remove one of the two";
            problems.add(place.wrong("allow_public", help).of_kind(ConfigErrorKind::Conflict));
        }
        if self.fapi {
            self.check_fapi(place, problems);
        }
    }

    fn check_keys(&self, place: &Place<'_>, problems: &mut Problems) {
        if self.has_several_key_sources {
            let field = if place.word(KEYS) == "jwks" { "jwks or jwks_uri" } else { "keys or jwks_uri" };
            let help = "more than one source of keys: keep one";
            problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
        }
        match &self.keys {
            Some(ClientKeySource::Fixed(keys)) if keys.is_empty() => {
                let help = "no usable key in the set: give an RSA key of at least 2048 bits, P-256, P-384 or Ed25519";
                problems.add(place.wrong(KEYS, help));
            }
            Some(ClientKeySource::Remote(uri)) if uri.contains('@') || !is_absolute(uri) => {
                let help = "not an `http` or `https` URL without user information: give the URL in full";
                problems.add(place.wrong("jwks_uri", help));
            }
            _ => {}
        }
    }

    fn check_fapi(&self, place: &Place<'_>, problems: &mut Problems) {
        let mut refuse = |field: &'static str, is_set: bool, help: &str| {
            if is_set {
                problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
            }
        };
        let needs_a_key = "a FAPI client proves that it has a key: remove this, or remove `fapi`";
        refuse("secret", self.has_secret(), needs_a_key);
        refuse("allow_public", self.public, needs_a_key);
        refuse("federated_credential", !self.workloads.federated.is_empty(), needs_a_key);
        let one_audience = "a FAPI client names the issuer alone: remove this, or remove `fapi`";
        refuse("allow_assertion_audience", self.older_audience.is_some(), one_audience);
        let is_other = self.algorithms.iter().any(|algorithm| !FAPI_ALGORITHMS.contains(algorithm));
        refuse("algorithms", is_other, "FAPI permits PS256, ES256 and EdDSA: remove the others, or remove `fapi`");
    }
}

/// How the client authenticates.
impl Client {
    /// Adds a secret for `client_secret_basic` and `client_secret_post` (RFC 6749 section 2.3.1).
    ///
    /// The record keeps the SHA-256 hash of the secret. Each call adds a secret, so that a client can have two secrets
    /// while one replaces the other.
    ///
    /// A secret has to be random. A secret of fewer than 16 characters makes
    /// [`TokenExchangeBuilder::build`](crate::TokenExchangeBuilder::build) fail.
    pub fn secret(mut self, secret: impl AsRef<str>) -> Self {
        let secret = secret.as_ref();
        if secret.chars().count() < MIN_SECRET_CHARS {
            let help = "shorter than 16 characters: use a long random secret, or `secret_sha256` for a secret that you \
                        cannot change";
            self.mistakes.push(("secret", help));
        }
        self.methods.secrets.push(SecretHash::new(secret));
        self
    }

    /// Adds a secret by its SHA-256 hash, as 64 hexadecimal digits, for configuration that must not hold the secret.
    ///
    /// Any other text, and the hash of the empty text, make
    /// [`TokenExchangeBuilder::build`](crate::TokenExchangeBuilder::build) fail.
    pub fn secret_sha256(mut self, hex: impl AsRef<str>) -> Self {
        match SecretHash::from_hex(hex.as_ref()) {
            Some(hash) if hash.is_one_of(&[SecretHash::new("")]) => {
                self.mistakes.push(("secret_sha256", "the hash of the empty text: give the hash of a secret"));
            }
            Some(hash) => self.methods.secrets.push(hash),
            None => {
                self.mistakes.push(("secret_sha256", "not 64 hexadecimal digits: give the SHA-256 hash of the secret"))
            }
        }
        self
    }

    /// Adds a secret that a person chose, by its Argon2id hash (RFC 9106) in the form
    /// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Each call adds a secret.
    ///
    /// A check takes some tens of milliseconds, and the memory that the hash names: at most 256 MiB, with 16 passes and 8 lanes at
    /// most. The layer makes four checks at a time, outside of the threads of the runtime. If any client has such a secret, every
    /// wrong secret takes as long. [`hash_chosen_secret`](crate::records::hash_chosen_secret) makes a hash.
    #[cfg(feature = "argon2")]
    #[cfg_attr(docsrs, doc(cfg(feature = "argon2")))]
    pub fn secret_argon2(mut self, hash: impl AsRef<str>) -> Self {
        match ChosenSecret::parse(hash.as_ref()) {
            Some(secret) => self.methods.chosen_secrets.push(Arc::new(secret)),
            None => {
                let help = "not an Argon2id hash within the limits: give `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`";
                self.mistakes.push(("secret_argon2", help));
            }
        }
        self
    }

    /// Sets the public keys of a client that signs assertions (`private_key_jwt`, RFC 7523 section 2.2).
    ///
    /// In an assertion, `iss` and `sub` are the client id, `aud` is the issuer identifier of this server and nothing else,
    /// `exp` is at most 5 min ahead, and `jti` is a text that the client uses once
    /// ([draft rfc7523bis](https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/)).
    ///
    /// ```
    /// use tower_token_exchange::{Client, jwks::KeySet};
    ///
    /// let keys = KeySet::from_json(r#"{"keys":[
    ///     {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}
    /// ]}"#)?;
    /// let orders = Client::new("orders").keys(keys);
    /// # let _ = orders;
    /// # Ok::<(), tower_token_exchange::jwks::KeySetError>(())
    /// ```
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.methods.set_keys(ClientKeySource::Fixed(keys));
        self
    }

    /// Sets the URL of the key set of a client that signs assertions ([`keys`](Self::keys)).
    ///
    /// The layer fetches the key set when the client presents an assertion, with the limits of the key sets of issuers
    /// ([`jwks`](crate::jwks)).
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.methods.set_keys(ClientKeySource::Remote(uri.into()));
        self
    }

    /// Limits the algorithms of the client's assertions. Default: all algorithms that its keys are for.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.methods.algorithms = collected(algorithms);
        self
    }

    /// Permits assertions whose `aud` is this URL or contains it, for a client that still names the URL of the token endpoint
    /// (RFC 7523 section 3).
    ///
    /// Another server that has this URL in its metadata could use the assertion here, so prefer to configure the client. The
    /// layer logs a warning when it is built.
    pub fn allow_assertion_audience(mut self, url: impl Into<String>) -> Self {
        self.methods.older_audience = Some(url.into());
        self
    }

    /// Sets how far the `exp` of an assertion may be ahead, from 1 s to 24 h. Default: 5 min.
    pub fn max_assertion_lifetime(mut self, lifetime: Duration) -> Self {
        self.methods.assertion_lifetime = Some(lifetime);
        self
    }

    /// Permits the client to exchange tokens without authentication: a public client (RFC 6749 section 2.1).
    ///
    /// Everybody who knows the client id can then send requests as this client. Default: a request without credentials is
    /// refused.
    pub fn allow_public(mut self) -> Self {
        self.methods.public = true;
        self
    }

    /// Applies the rules of the FAPI 2.0 security profile to the authentication of the client.
    ///
    /// The client must prove that it has a key (`private_key_jwt` or a certificate), may sign with PS256, ES256 and EdDSA only,
    /// and must send `aud` as a single text. [`TokenExchangeBuilder::fapi`](crate::TokenExchangeBuilder::fapi) applies the
    /// rules to all clients.
    pub fn fapi(mut self) -> Self {
        self.methods.fapi = true;
        self
    }

    /// Whether the record has a secret.
    pub fn has_secret(&self) -> bool {
        self.methods.has_secret()
    }

    /// The methods of the record, by the names that the metadata of an authorization server use (RFC 8414 section 2). A record
    /// without a method has none.
    ///
    /// ```
    /// use tower_token_exchange::Client;
    ///
    /// let orders = Client::new("orders").jwks_uri("https://orders.example/jwks");
    /// assert_eq!(orders.authentication_methods(), ["private_key_jwt"]);
    /// ```
    pub fn authentication_methods(&self) -> Vec<&'static str> {
        let methods = &self.methods;
        let [by_name, by_key] = methods.certificate_methods();
        let all = [
            ("client_secret_basic", methods.has_secret()),
            ("client_secret_post", methods.has_secret()),
            ("private_key_jwt", methods.keys.is_some()),
            ("tls_client_auth", by_name),
            ("self_signed_tls_client_auth", by_key),
            ("spiffe_jwt", methods.workloads.have_spiffe_ids()),
            ("none", methods.public),
        ];
        all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
    }

    /// The algorithms that the client may sign assertions with. None if the client signs no assertions.
    pub fn assertion_algorithms(&self) -> Vec<Algorithm> {
        let may_sign = |algorithm: &Algorithm| self.methods.keys.is_some() && self.methods.permit(*algorithm);
        Algorithm::ALL.iter().copied().filter(may_sign).collect()
    }

    /// Whether the record says how the client authenticates.
    pub fn has_authentication(&self) -> bool {
        self.methods.are_some()
    }
}
