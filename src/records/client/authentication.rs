//! The setters of a record for the methods of its client.

#[cfg(feature = "client-certificates")]
use super::CertificateName;
#[cfg(feature = "argon2")]
use super::ChosenSecret;
use super::{Client, ClientKeySource, FederatedCredential, SecretHash};
use crate::{
    jose::{Algorithm, KeySet},
    records::collected,
};
#[cfg(feature = "argon2")]
use std::sync::Arc;
use std::time::Duration;

/// The fewest characters of a secret. 16 random characters have about 96 bits.
const MIN_SECRET_CHARS: usize = 16;

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

    /// Applies the rules of the FAPI 2.0 security profile to the client.
    ///
    /// The client must prove that it has a key (`private_key_jwt` or a certificate), may sign assertions and DPoP proofs with
    /// PS256, ES256 and EdDSA only, and must send `aud` as a single text. The client gets bound tokens only, as with
    /// [`require_sender_constraint`](Self::require_sender_constraint).
    /// [`TokenExchangeBuilder::fapi`](crate::TokenExchangeBuilder::fapi) applies the rules to all clients.
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

#[cfg(feature = "client-certificates")]
/// How the client authenticates with a certificate.
impl Client {
    /// Accepts a certificate with this name, if its chain is valid (`tls_client_auth`, RFC 8705 section 2.1).
    ///
    /// The TLS acceptor says whether the chain is valid
    /// ([`PeerCertificates::with_valid_chain`](crate::client_auth::PeerCertificates::with_valid_chain)). A record has at most one
    /// name.
    ///
    /// ```
    /// use tower_token_exchange::{Client, records::CertificateName};
    ///
    /// let orders = Client::new("orders").tls_client_auth(CertificateName::SanDns("orders.example".into()));
    /// # let _ = orders;
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn tls_client_auth(mut self, name: CertificateName) -> Self {
        self.methods.certificates.names.push(name);
        self
    }

    /// Accepts every certificate with a key of the client (`self_signed_tls_client_auth`, RFC 8705 section 2.2): of its
    /// [`keys`](Self::keys) or its [`jwks_uri`](Self::jwks_uri). Who issued the certificate does not matter.
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn self_signed_tls_client_auth(mut self) -> Self {
        self.methods.certificates.of_keys = true;
        self
    }

    /// Accepts the certificate with this SHA-256 hash, as 64 hexadecimal digits with or without colons
    /// (`self_signed_tls_client_auth`). Each call adds a certificate, so that a client can have two while one replaces the
    /// other.
    ///
    /// The command `openssl x509 -noout -fingerprint -sha256` prints the hash.
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn certificate_sha256(mut self, hex: impl AsRef<str>) -> Self {
        let hex = hex.as_ref().replace(':', "");
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(hash) => self.methods.certificates.thumbprints.push(hash),
            None => {
                let help = "not 64 hexadecimal digits: give the SHA-256 hash of the certificate in DER";
                self.mistakes.push(("certificate_sha256", help));
            }
        }
        self
    }
}

/// How a workload authenticates as the client, without a secret of its own.
impl Client {
    /// Accepts a token of another issuer as the client assertion. Each call adds a credential.
    ///
    /// The request has the `client_assertion_type` of a signed JWT (RFC 7523 section 2.2), and a `client_id`, because the token
    /// does not name the client.
    pub fn federated_credential(mut self, credential: FederatedCredential) -> Self {
        self.methods.workloads.federated.push(credential);
        self
    }

    /// Accepts the workload with this SPIFFE ID. Each call adds an ID. The end `/*` stands for every ID below the path.
    ///
    /// The workload presents a JWT-SVID as `client_assertion`, with the `client_assertion_type`
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`, or an X.509-SVID as the certificate of its connection. The trust
    /// domain needs a record ([`Issuer::spiffe`](crate::Issuer::spiffe)). The keys of its bundle verify a JWT-SVID, and an
    /// authority of its bundle must have issued an X.509-SVID, whatever authorities the TLS acceptor trusts.
    ///
    /// ```
    /// use tower_token_exchange::{Client, Issuer};
    ///
    /// let domain = Issuer::spiffe("shop.example", "https://spire.shop.example/bundle").for_clients_only();
    /// let orders = Client::new("orders").spiffe_id("spiffe://shop.example/ns/shop/orders");
    /// # let _ = (domain, orders);
    /// ```
    pub fn spiffe_id(mut self, id: impl Into<String>) -> Self {
        self.methods.workloads.spiffe_ids.push(id.into());
        self
    }
}
