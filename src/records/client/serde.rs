use super::{Client, FederatedCredential};
use crate::{
    jose::{Algorithm, KeySet},
    limits::Rate,
    protocol::TokenType,
    records::{ClientId, IssuerId, Party, TargetId, Wording, schema::schema_of, values},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
#[cfg(feature = "client-certificates")]
use std::net::IpAddr;

/// The keys of a client in a document.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "the record of a client")]
struct ClientDocument {
    /// The client id.
    id: ClientId,
    /// The secret, of at least 16 characters, or a list of secrets. Prefer `secret_sha256`.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret: Vec<String>,
    /// The SHA-256 hash of the secret in hexadecimal, or a list of such hashes. The secret must be long and random.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret_sha256: Vec<String>,
    /// The Argon2id hash of a secret that a person chose, or a list of such hashes.
    #[cfg(feature = "argon2")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret_argon2: Vec<String>,
    /// The public keys of a client that signs assertions (`private_key_jwt`), as a key set (RFC 7517).
    jwks: Option<Map<String, Value>>,
    /// The URL of the key set of a client that signs assertions.
    jwks_uri: Option<String>,
    /// The algorithms of the client's assertions, such as `["ES256"]`. Default: all that the layer knows.
    algorithms: Option<Vec<String>>,
    /// The URL of the token endpoint, for a client whose assertions have this `aud` and not the issuer identifier.
    allow_assertion_audience: Option<String>,
    /// How far the `exp` of an assertion may be ahead, such as `1h`. Default: `5m`.
    max_assertion_lifetime: Option<String>,
    /// The subject of a certificate of the client, such as `CN=orders,O=Example` (RFC 4514).
    #[cfg(feature = "client-certificates")]
    tls_client_auth_subject_dn: Option<String>,
    /// The DNS name in a certificate of the client.
    #[cfg(feature = "client-certificates")]
    tls_client_auth_san_dns: Option<String>,
    /// The URI in a certificate of the client.
    #[cfg(feature = "client-certificates")]
    tls_client_auth_san_uri: Option<String>,
    /// The IP address in a certificate of the client.
    #[cfg(feature = "client-certificates")]
    tls_client_auth_san_ip: Option<IpAddr>,
    /// The email address in a certificate of the client.
    #[cfg(feature = "client-certificates")]
    tls_client_auth_san_email: Option<String>,
    /// Whether the client may present any certificate with a key of `jwks` or `jwks_uri`.
    #[cfg(feature = "client-certificates")]
    #[serde(default)]
    self_signed_tls_client_auth: bool,
    /// The SHA-256 hash of a certificate of the client in hexadecimal, or a list of such hashes.
    #[cfg(feature = "client-certificates")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    certificate_sha256: Vec<String>,
    /// Tokens of other issuers that the client may present as its assertion.
    #[serde(default)]
    federated_credential: Vec<FederatedDocument>,
    /// The SPIFFE ID of a workload that is the client, or a list of such IDs. The end `/*` stands for every ID below a path.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    spiffe_id: Vec<String>,
    /// Whether the client needs no authentication: a public client.
    #[serde(default)]
    allow_public: bool,
    /// Whether the rules of FAPI 2.0 apply: a key authenticates the client, and each token is bound to a key or certificate.
    #[serde(default)]
    fapi: bool,
    /// Whether the client may not exchange tokens. The client can still introspect and revoke its tokens.
    #[serde(default)]
    without_exchange: bool,
    /// The ids of the targets that the client may request. Default: every target that lists the client in `callers`.
    targets: Option<Vec<TargetId>>,
    /// The most scope tokens that issued tokens of the client can have. Default: no limit beside the others.
    scopes: Option<Vec<String>>,
    /// The id of the target of a request that names none.
    default_target: Option<TargetId>,
    /// The scope tokens that a subject token without a scope counts as, for each token type: a URI, or one of the short names
    /// `jwt`, `access_token` and `id_token`. Default: none.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>"))]
    #[serde(default, deserialize_with = "values::lists_by_token_type")]
    scopes_for_scopeless_subjects: Vec<(TokenType, Vec<String>)>,
    /// Scope tokens that a library of the client requests by itself. The layer ignores these.
    #[serde(default)]
    ignored_scopes: Vec<String>,
    /// The longest lifetime of issued tokens of the client, such as `5m`. Default: the limit of the layer.
    max_lifetime: Option<String>,
    /// The budget of the client for exchanges, such as `100/s`, `600/min` or `1000/h`. Default: the limit of the layer.
    max_exchanges: Option<Rate>,
    /// Whether the client may exchange tokens that were issued to the client itself.
    #[serde(default)]
    allow_self_exchange: bool,
    /// Whether the client may exchange subject tokens with several audiences.
    #[serde(default)]
    allow_several_audiences: bool,
    /// Whether an actor may occur twice in the `act` chain.
    #[serde(default)]
    allow_repeated_actors: bool,
    /// Whether the client may request the token type `jwt`.
    #[serde(default)]
    allow_jwt_output: bool,
    /// Whether the client may exchange each subject token only once. Default: `false`.
    #[serde(default)]
    one_time_subject_tokens: bool,
    /// Whether each exchange of the client needs a DPoP proof, which binds the token to the key of the proof.
    #[serde(default)]
    dpop_bound_access_tokens: bool,
    /// Whether each token of the client is bound to the certificate of the client.
    #[serde(default)]
    tls_client_certificate_bound_access_tokens: bool,
    /// Whether the client gets no bearer tokens.
    #[serde(default)]
    require_sender_constraint: bool,
    /// The parties that the client may present as actors.
    #[serde(default)]
    carries: Vec<Party>,
    /// The tenants whose tokens the client may present, for issuers with several tenants.
    #[serde(default)]
    tenants: Vec<String>,
}

/// A token of another issuer that a client may present.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table with `issuer` and `subject`")]
struct FederatedDocument {
    /// The exact `iss`, which has a record.
    issuer: IssuerId,
    /// The exact `sub`.
    subject: String,
    /// The exact `aud`. Default: the issuer identifier of this server.
    audience: Option<String>,
}

impl From<FederatedDocument> for FederatedCredential {
    fn from(document: FederatedDocument) -> Self {
        let FederatedDocument { issuer, subject, audience } = document;
        let credential = Self::new(issuer, subject);
        audience.into_iter().fold(credential, Self::audience)
    }
}

impl ClientDocument {
    /// The methods of a client that presents a certificate.
    #[cfg(feature = "client-certificates")]
    fn certificates(&self, client: Client) -> Client {
        use super::CertificateName::{SanDns, SanEmail, SanIp, SanUri, SubjectDn};
        let names = [
            self.tls_client_auth_subject_dn.clone().map(SubjectDn),
            self.tls_client_auth_san_dns.clone().map(SanDns),
            self.tls_client_auth_san_uri.clone().map(SanUri),
            self.tls_client_auth_san_ip.map(SanIp),
            self.tls_client_auth_san_email.clone().map(SanEmail),
        ];
        let client = names.into_iter().flatten().fold(client, Client::tls_client_auth);
        let client = self.certificate_sha256.iter().fold(client, Client::certificate_sha256);
        if self.self_signed_tls_client_auth { client.self_signed_tls_client_auth() } else { client }
    }
}

impl TryFrom<ClientDocument> for Client {
    type Error = String;

    fn try_from(document: ClientDocument) -> Result<Self, String> {
        let mut client = Self::new(document.id.clone());
        client = document.secret.iter().fold(client, Self::secret);
        client = document.secret_sha256.iter().fold(client, Self::secret_sha256);
        #[cfg(feature = "argon2")]
        {
            client = document.secret_argon2.iter().fold(client, Self::secret_argon2);
        }
        #[cfg(feature = "client-certificates")]
        {
            client = document.certificates(client);
        }
        let credentials = document.federated_credential.into_iter().map(FederatedCredential::from);
        client = credentials.fold(client, Self::federated_credential);
        client = document.spiffe_id.into_iter().fold(client, Self::spiffe_id);
        if let Some(jwks) = document.jwks {
            let keys = KeySet::from_json(Value::Object(jwks).to_string());
            client = client.keys(keys.map_err(|error| format!("jwks: {error}"))?);
        }
        if let Some(uri) = document.jwks_uri {
            client = client.jwks_uri(uri);
        }
        if let Some(names) = document.algorithms {
            let algorithms: Result<Vec<Algorithm>, _> = names.iter().map(|name| name.parse()).collect();
            client = client.algorithms(algorithms.map_err(|error| format!("algorithms: {error}"))?);
        }
        if let Some(url) = document.allow_assertion_audience {
            client = client.allow_assertion_audience(url);
        }
        if let Some(lifetime) = values::duration("max_assertion_lifetime", document.max_assertion_lifetime)? {
            client = client.max_assertion_lifetime(lifetime);
        }
        if document.allow_public {
            client = client.allow_public();
        }
        if document.fapi {
            client = client.fapi();
        }
        Ok(Self {
            wording: Wording::Keys,
            may_exchange: !document.without_exchange,
            targets: document.targets,
            scopes: document.scopes,
            default_target: document.default_target,
            scopeless_subject_scopes: document.scopes_for_scopeless_subjects,
            ignored_scopes: document.ignored_scopes,
            max_lifetime: values::duration("max_lifetime", document.max_lifetime)?,
            max_exchanges: document.max_exchanges,
            self_exchange: document.allow_self_exchange,
            several_audiences: document.allow_several_audiences,
            repeated_actors: document.allow_repeated_actors,
            jwt_output: document.allow_jwt_output,
            one_time_subject_tokens: document.one_time_subject_tokens,
            dpop_bound: document.dpop_bound_access_tokens,
            certificate_bound: document.tls_client_certificate_bound_access_tokens,
            requires_sender_constraint: document.require_sender_constraint,
            actors: document.carries,
            tenants: document.tenants,
            ..client
        })
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(ClientDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

schema_of!(Client as ClientDocument, "A client of the token endpoint.");
