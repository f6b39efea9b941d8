//! The configuration file as serde reads it. `gateway.toml` documents every key.

use super::{
    budgets::Budgets,
    cryptography::CryptographySettings,
    path_list::PathList,
    size::{SizeText, size},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};
use tower_token_exchange::{
    Client, Issuer, Target,
    policy::Rule,
    records::{IntrospectedTokens, ServerPreset, ServerTokens},
    signing::Algorithm,
};

/// Clients, targets and rules decide who may exchange what; the other tables say where the gateway listens and which server
/// is behind it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Where the gateway listens.
    pub(super) listen: Listen,
    /// The authorization server.
    pub(super) upstream: Upstream,
    /// The paths of the endpoints of the server, where the metadata are wrong or missing.
    #[serde(default)]
    pub(super) paths: Paths,
    /// How the keys of other issuers are fetched.
    #[serde(default)]
    pub(super) fetch: Fetch,
    /// Where revocations are kept.
    #[serde(default)]
    pub(super) revocations: Revocations,
    /// Where it is remembered what may be used once.
    #[serde(default)]
    pub(super) replay: Replay,
    /// Proofs of possession with DPoP. Default: a request with a DPoP proof is refused.
    pub(super) dpop: Option<Dpop>,
    /// Where audit events are written.
    #[serde(default)]
    pub(super) audit: Audit,
    /// Limits of requests and tokens.
    #[serde(default)]
    pub(super) limits: Limits,
    /// How much one peer, one client or one subject may do.
    #[serde(default)]
    pub(super) budgets: Budgets,
    /// The log of the gateway.
    #[serde(default)]
    pub(super) log: Log,
    /// The library for signatures.
    #[serde(default)]
    pub(super) cryptography: CryptographySettings,
    /// The keys of the gateway.
    pub(super) keys: Keys,
    /// A file with the clients, targets, issuers and rules.
    pub(super) records: Option<PathBuf>,
    /// The clients.
    #[serde(default)]
    pub(super) client: Vec<Client>,
    /// The targets: the services that tokens are issued for.
    #[serde(default)]
    pub(super) target: Vec<Target>,
    /// The issuers of subject tokens and actor tokens, beside the authorization server.
    #[serde(default)]
    pub(super) issuer: Vec<Issuer>,
    /// The rules, in order. A file without rules needs `rule = []`.
    #[serde(default)]
    pub(super) rule: Vec<Rule>,
    /// Whether every subject comes from another issuer. Default: `false`.
    #[serde(default)]
    pub(super) federated_subjects_only: bool,
    /// Whether every client has to follow the rules of FAPI 2.0, as with `client.fapi`. Default: `false`.
    #[serde(default)]
    pub(super) fapi: bool,
}

/// The settings that count from the start of the process to its end. A change needs a restart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) upstream: Upstream,
    pub(crate) paths: Paths,
    pub(crate) fetch: Fetch,
    pub(crate) revocations: Revocations,
    pub(crate) replay: Replay,
    pub(crate) dpop: Option<Dpop>,
    pub(crate) audit: Audit,
    pub(crate) limits: Limits,
    pub(crate) budgets: Budgets,
    pub(crate) log: Log,
    pub(crate) cryptography: CryptographySettings,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// The address and port for clients, such as `127.0.0.1:8080`.
    #[schemars(with = "String")]
    pub(crate) address: SocketAddr,
    /// The address and port for health, readiness and metrics. Default: `127.0.0.1:9090`.
    #[schemars(with = "String")]
    #[serde(default = "default_admin")]
    pub(crate) admin: SocketAddr,
    /// The certificate. Default: no TLS.
    pub(crate) tls: Option<Tls>,
    /// Accepted hosts, beside the host of the issuer. `*` stands for any host. Default: none.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// Whether a proxy in front of the gateway writes `X-Forwarded-*` and removes those of its clients. Default: `false`.
    #[serde(default)]
    pub(crate) behind_proxy: bool,
    /// The proxies in front of the gateway that send the certificates of their clients in `Client-Cert` (RFC 9440). Default:
    /// none; the header is removed.
    pub(crate) proxy_certificates: Option<ProxyCertificates>,
}

impl Listen {
    /// Whether clients can present certificates: to the gateway, or to a proxy in front of it.
    pub(crate) fn takes_client_certificates(&self) -> bool {
        let takes = |tls: &Tls| tls.client_ca.is_some() || tls.accept_any_client_certificate;
        self.proxy_certificates.is_some() || self.tls.as_ref().is_some_and(takes)
    }
}

/// The proxies that send the certificates of their clients.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyCertificates {
    /// The addresses of the proxies, as the gateway sees them.
    #[schemars(with = "Vec<String>")]
    pub(crate) proxies: Vec<IpAddr>,
    /// Whether the proxies accept only certificates of the authorities of clients. Default: `false`; a client is then known only
    /// by the key or the hash of its certificate.
    #[serde(default)]
    pub(crate) check_chains: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A file with the certificate chain, in PEM.
    pub(crate) certificate: PathBuf,
    /// A file with the private key, in PEM.
    pub(crate) key: PathBuf,
    /// A file with the authorities of client certificates, in PEM.
    pub(crate) client_ca: Option<PathBuf>,
    /// Files with the revocation lists of these authorities, in PEM or DER. Default: no certificate counts as revoked.
    #[serde(default)]
    pub(crate) client_crls: Vec<PathBuf>,
    /// Whether every client needs a certificate. Default: `false`.
    #[serde(default)]
    pub(crate) require_client_certificate: bool,
    /// Whether a client may present a certificate of any issuer, for clients whose record has the key or the hash of their
    /// certificate. Default: `false`, only certificates of `client_ca`.
    #[serde(default)]
    pub(crate) accept_any_client_certificate: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// The URL of the authorization server, as the gateway reaches it, without a path.
    pub(crate) url: String,
    /// The issuer identifier of the authorization server, which is the `iss` of the tokens of the gateway too.
    pub(crate) issuer: String,
    /// A file with the authorities that are trusted in place of the public authorities, in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// The name in the certificate of the server. Default: the host of `url`.
    pub(crate) tls_server_name: Option<String>,
    #[serde(default)]
    pub(crate) authenticate_clients_by: ClientAuthentication,
    /// The method by which the server gets the secrets of the clients. Default: the method of the client.
    pub(crate) send_secrets_as: Option<SecretMethod>,
    /// The product whose documented tokens the server has.
    pub(crate) preset: Option<ServerPreset>,
    /// What the tokens of the server look like, in addition to the preset.
    #[serde(default)]
    pub(crate) tokens: ServerTokens,
    /// Whether each subject token of the server and of the gateway may be exchanged only once. Default: `false`.
    #[serde(default)]
    pub(crate) one_time_subject_tokens: bool,
    /// The credentials of the gateway for the introspection of opaque tokens.
    pub(crate) introspection: Option<Introspection>,
    /// How long an accepted client secret is not checked again, at most 5 min. With `0s`, a secret is checked each time.
    /// Default: `60s`.
    #[schemars(with = "DurationText")]
    #[serde(default = "seconds::<60>", deserialize_with = "duration_or_zero")]
    pub(crate) remember_clients: Duration,
    /// The time for a connection. Default: `5s`.
    #[schemars(with = "DurationText")]
    #[serde(default = "seconds::<5>", deserialize_with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// The time for the head of an answer. Default: `30s`.
    #[schemars(with = "DurationText")]
    #[serde(default = "seconds::<30>", deserialize_with = "duration")]
    pub(crate) response_timeout: Duration,
}

/// How the gateway checks the secret of a client. A client whose record has a secret is always checked by that secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthentication {
    /// At the server, by the first method that works.
    #[default]
    Auto,
    /// At the server, by introspection of a token that does not exist.
    Introspection,
    /// At the server, by the client credentials grant.
    ClientCredentials,
    /// At the server, by an authorization code that does not exist.
    AuthorizationCode,
    /// At the server, by a refresh token that does not exist.
    RefreshToken,
    /// By the secrets in the records alone.
    Records,
}

/// How a secret is sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretMethod {
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
}

impl ClientAuthentication {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "the first method that works",
            Self::Introspection => "introspection",
            Self::ClientCredentials => "client credentials",
            Self::AuthorizationCode => "an authorization code that does not exist",
            Self::RefreshToken => "a refresh token that does not exist",
            Self::Records => "records",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introspection {
    /// The client id of the gateway at the server.
    pub(crate) client_id: String,
    /// A file with the secret of the gateway.
    pub(crate) client_secret_file: PathBuf,
    /// The tokens about which the server is asked. Default: as the preset says, else opaque tokens.
    pub(crate) introspect: Option<IntrospectedTokens>,
    /// Whether an answer without `token_type` is about an access token.
    #[serde(default)]
    pub(crate) allow_missing_token_type: bool,
    /// The values of `token_type` that mean an access token, beside `Bearer`.
    #[serde(default)]
    pub(crate) token_types: Vec<String>,
}

/// Paths of endpoints that differ from the metadata. A server without metadata needs the token, introspection and revocation
/// endpoint; an empty array says that the server has no such endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paths {
    /// The token endpoint, one path or several spellings.
    pub(crate) token: Option<PathList>,
    /// The key set.
    pub(crate) jwks: Option<PathList>,
    /// The introspection endpoint, or `[]` if the server has none.
    pub(crate) introspection: Option<PathList>,
    /// The revocation endpoint, or `[]` if the server has none.
    pub(crate) revocation: Option<PathList>,
    /// Places of the metadata, beside the well-known places.
    pub(crate) metadata: Option<PathList>,
}

/// How the keys of other issuers are fetched.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fetch {
    /// Whether keys may be fetched from private addresses. Default: `false`.
    pub(crate) allow_private_addresses: bool,
    /// Whether keys may be fetched from loopback addresses without TLS. Default: `false`.
    pub(crate) allow_loopback_http: bool,
    /// A file with authorities that are trusted beside the public authorities, in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// Files with a bearer token for servers that publish their keys only to callers with a token. Default: none.
    pub(crate) bearer_tokens: Vec<BearerToken>,
}

/// A file with a bearer token, such as that of a Kubernetes service account.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BearerToken {
    /// The only server that gets the token, such as `https://kubernetes.default.svc`.
    pub(crate) origin: String,
    /// The file, which is read for each request.
    pub(crate) file: PathBuf,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The key that signs.
    pub(super) active: KeyFile,
    /// Keys that will sign soon, or that signed until now.
    #[serde(default)]
    pub(super) published: Vec<KeyFile>,
}

/// A file with a private key: a JWK, or PKCS#8 in PEM.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    /// A file with a private key: a JWK, or PKCS#8 in PEM.
    pub(super) file: PathBuf,
    /// The algorithm. Default: the usual algorithm of such a key, such as `ES256` or `RS256`.
    pub(super) algorithm: Option<String>,
    /// The key id. Default: the thumbprint of the key.
    pub(super) kid: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Revocations {
    /// The file. Default: revocations are kept in memory, and lost at a restart.
    pub(crate) file: Option<PathBuf>,
    /// A file with 32 random bytes or more: the key of the hashes in the claim `ancestry` and in the file. Required with `file`.
    /// Default: a random key.
    pub(crate) key_file: Option<PathBuf>,
    /// The most revocations. One client can have half of them. Default: 100000.
    pub(crate) capacity: Option<usize>,
}

/// Where the gateway remembers what may be used once: one-time subject tokens, client assertions and DPoP proofs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Replay {
    /// A file, for one gateway. Default: in memory, lost at a restart.
    pub(crate) file: Option<PathBuf>,
    /// The most keys in memory or in the file. One client can have half of them. Default: 1000000.
    pub(crate) capacity: Option<usize>,
    /// A Redis server, for several gateways.
    pub(crate) redis: Option<Redis>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// The URL of the server or of a node of a cluster, without the password: `rediss://user@redis.example:6379`. The scheme
    /// `redis` has no TLS.
    pub(crate) url: String,
    /// A file with the password. Default: no password.
    pub(crate) password_file: Option<PathBuf>,
    /// A file with the authorities that are trusted in place of the public authorities, in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// The name in the certificates of the servers. Default: the host of each server.
    pub(crate) tls_server_name: Option<String>,
    /// The text before each key. Default: `token-exchange:`.
    pub(crate) key_prefix: Option<String>,
    /// The time for a connection. Default: `1s`.
    #[schemars(with = "DurationText")]
    #[serde(default = "seconds::<1>", deserialize_with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// The time for an answer. Default: `500ms`.
    #[schemars(with = "DurationText")]
    #[serde(default = "half_a_second", deserialize_with = "duration")]
    pub(crate) response_timeout: Duration,
}

/// Proofs of possession with DPoP (RFC 9449).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dpop {
    /// More public URLs of the token endpoint, beside the URLs that follow from `upstream.issuer`. Default: none.
    pub(crate) aliases: Vec<String>,
    /// The accepted algorithms, such as `ES256`. Default: all that the gateway knows.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// How old a proof without a nonce may be, from 1 s to 10 min. Default: `60s`.
    #[schemars(with = "DurationText")]
    #[serde(deserialize_with = "duration")]
    pub(crate) max_age: Duration,
    /// A file with a secret of at least 32 random characters, from which the nonces are made. All gateways of one server need the
    /// same secret. Default: proofs need no nonce.
    pub(crate) nonce_key_file: Option<PathBuf>,
    /// Whether each proof needs a nonce of the gateway, if there is a `nonce_key_file`. Default: `true`.
    pub(crate) require_nonce: Option<bool>,
}

impl Default for Dpop {
    fn default() -> Self {
        Self {
            aliases: Vec::new(),
            algorithms: None,
            max_age: Duration::from_secs(60),
            nonce_key_file: None,
            require_nonce: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// The file. Default: standard output.
    pub(crate) file: Option<PathBuf>,
    /// Whether tokens are issued although the audit event cannot be written. Default: `false`.
    pub(crate) optional: bool,
    /// The size at which the gateway starts a new file, such as `100MiB`. Default: one file of any size.
    #[schemars(with = "Option<SizeText>")]
    #[serde(deserialize_with = "size")]
    pub(crate) max_size: Option<NonZeroU64>,
    /// How many older files stay: `audit.jsonl.1` is the latest. The oldest is deleted. Needed with `max_size`.
    pub(crate) keep: Option<NonZeroUsize>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The most connections. Default: 10000.
    pub(crate) connections: NonZeroU32,
    /// The most connections of one IPv4 address or one IPv6 /64 network. Does not apply if `listen.behind_proxy` is set.
    /// Default: an eighth of `connections`.
    pub(crate) connections_per_peer: Option<NonZeroU32>,
    /// The most requests at a time. Each request counts from the moment when the first 64 KiB of its body, or the whole
    /// body, are there, until its answer begins. Default: 1024.
    pub(crate) concurrent_requests: NonZeroU32,
    /// The most open requests of one IPv4 address or one IPv6 /64 network. Each request counts from its head to the end of
    /// its answer. Default: a quarter of `concurrent_requests`.
    pub(crate) requests_per_peer: Option<NonZeroU32>,
    /// The time for the head of a request, for an idle connection, and for the answer to an HTTP/2 ping. Default: `30s`.
    #[schemars(with = "DurationText")]
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    /// The time for the first 64 KiB of a request body, between two later pieces, and until a client reads from an answer.
    /// Default: `30s`.
    #[schemars(with = "DurationText")]
    #[serde(deserialize_with = "duration")]
    pub(crate) body_timeout: Duration,
    /// The time for open requests at a shutdown. Default: `30s`.
    #[schemars(with = "DurationText")]
    #[serde(deserialize_with = "duration")]
    pub(crate) drain: Duration,
    /// The longest lifetime of an issued token. Default: `5m`.
    #[schemars(with = "DurationText")]
    #[serde(deserialize_with = "duration")]
    pub(crate) max_lifetime: Duration,
    /// The number of verified signatures that the gateway remembers, at most 1048576. An entry takes 64 bytes. 0 verifies the
    /// signature of each token each time. Default: 8192.
    pub(crate) signature_memo: usize,
    /// The most targets of one request, from 1 to 8.
    pub(crate) max_targets: usize,
    /// Whether a request is refused if a part of the requested scope cannot be granted.
    pub(crate) strict_scope: bool,
    /// Whether an exchange is refused if its token would be a bearer token. Default: `false`.
    pub(crate) require_sender_constraint: bool,
}

impl Limits {
    pub(crate) fn connections_per_peer(&self) -> u32 {
        self.connections_per_peer.unwrap_or_else(|| part(self.connections, 8)).get()
    }

    pub(crate) fn requests_per_peer(&self) -> u32 {
        self.requests_per_peer.unwrap_or_else(|| part(self.concurrent_requests, 4)).get()
    }
}

/// One of so many parts of a limit, and at least 1.
fn part(limit: NonZeroU32, parts: u32) -> NonZeroU32 {
    NonZeroU32::new(limit.get() / parts).unwrap_or(NonZeroU32::MIN)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: const { NonZeroU32::new(10_000).unwrap() },
            connections_per_peer: None,
            concurrent_requests: const { NonZeroU32::new(1024).unwrap() },
            requests_per_peer: None,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(300),
            signature_memo: 8192,
            max_targets: 1,
            strict_scope: false,
            require_sender_constraint: false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// Whether log lines are JSON. Default: `false`.
    pub(crate) json: bool,
    /// The least level of a line: `error`, `warn`, `info` or `debug`. Default: `info`.
    pub(crate) level: Option<String>,
}

/// A duration, such as `30s` or `5m`.
#[derive(JsonSchema)]
#[schemars(inline)]
struct DurationText(#[expect(dead_code, reason = "the type exists for its schema")] String);

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

const fn seconds<const SECONDS: u64>() -> Duration {
    Duration::from_secs(SECONDS)
}

const fn half_a_second() -> Duration {
    Duration::from_millis(500)
}

fn duration_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom(format!("`{text}` is not a duration; write one such as `30s` or `5m`")))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = duration_or_zero(deserializer)?;
    if duration.is_zero() {
        return Err(D::Error::custom("the duration is zero; give a longer one"));
    }
    Ok(duration)
}
