//! The configuration file as serde reads it. `gateway.toml` documents every key.

use super::path_list::PathList;
use serde::{Deserialize, Deserializer, de::Error};
use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};
use tower_token_exchange::{
    Client, Issuer, Target,
    policy::Rule,
    records::{IntrospectedTokens, ServerPreset, ServerTokens},
};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Listen,
    pub(super) upstream: Upstream,
    #[serde(default)]
    pub(super) paths: Paths,
    #[serde(default)]
    pub(super) fetch: Fetch,
    #[serde(default)]
    pub(super) revocations: Revocations,
    #[serde(default)]
    pub(super) audit: Audit,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) log: Log,
    pub(super) keys: Keys,
    /// A file with the clients, targets, issuers and rules.
    pub(super) records: Option<PathBuf>,
    #[serde(default)]
    pub(super) client: Vec<Client>,
    #[serde(default)]
    pub(super) target: Vec<Target>,
    #[serde(default)]
    pub(super) issuer: Vec<Issuer>,
    #[serde(default)]
    pub(super) rule: Vec<Rule>,
    #[serde(default)]
    pub(super) federated_subjects_only: bool,
}

/// The settings that count from the start of the process to its end. A change needs a restart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) upstream: Upstream,
    pub(crate) paths: Paths,
    pub(crate) fetch: Fetch,
    pub(crate) revocations: Revocations,
    pub(crate) audit: Audit,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    /// The address for health and metrics.
    #[serde(default = "default_admin")]
    pub(crate) admin: SocketAddr,
    pub(crate) tls: Option<Tls>,
    /// Accepted hosts, beside the host of the issuer. `*` stands for any host.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    #[serde(default)]
    pub(crate) behind_proxy: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
    #[serde(default)]
    pub(crate) require_client_certificate: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// The URL of the authorization server, for the gateway.
    pub(crate) url: String,
    /// The issuer identifier of the authorization server, which is the `iss` of the tokens of the gateway too.
    pub(crate) issuer: String,
    pub(crate) ca: Option<PathBuf>,
    /// The name in the certificate of the server. Default: the host of `url`.
    pub(crate) tls_server_name: Option<String>,
    #[serde(default)]
    pub(crate) authenticate_clients_by: ClientAuthentication,
    /// The product whose documented tokens the server has.
    pub(crate) preset: Option<ServerPreset>,
    /// What the tokens of the server look like, in addition to the preset.
    #[serde(default)]
    pub(crate) tokens: ServerTokens,
    /// The credentials of the gateway for the introspection of opaque tokens.
    pub(crate) introspection: Option<Introspection>,
    /// How long an accepted client secret is not checked again.
    #[serde(default = "seconds::<60>", deserialize_with = "duration")]
    pub(crate) remember_clients: Duration,
    #[serde(default = "seconds::<5>", deserialize_with = "duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(default = "seconds::<30>", deserialize_with = "duration")]
    pub(crate) response_timeout: Duration,
}

/// How the gateway checks the secret of a client at the authorization server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthentication {
    #[default]
    Introspection,
    ClientCredentials,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introspection {
    pub(crate) client_id: String,
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paths {
    pub(crate) token: Option<PathList>,
    pub(crate) jwks: Option<PathList>,
    pub(crate) introspection: Option<PathList>,
    pub(crate) revocation: Option<PathList>,
    /// Places of the metadata, beside the well-known places.
    pub(crate) metadata: Option<PathList>,
}

/// How the keys of other issuers are fetched.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fetch {
    pub(crate) allow_private_addresses: bool,
    pub(crate) allow_loopback_http: bool,
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) active: KeyFile,
    #[serde(default)]
    pub(super) published: Vec<KeyFile>,
}

/// A file with a private key: a JWK, or PKCS#8 in PEM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    pub(super) file: PathBuf,
    /// The algorithm of a key in PEM. Default: the usual algorithm of such a key, `ES256` or `RS256` for example.
    pub(super) algorithm: Option<String>,
    pub(super) kid: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Revocations {
    /// Default: revocations are kept in memory.
    pub(crate) file: Option<PathBuf>,
    pub(crate) capacity: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// Default: standard output.
    pub(crate) file: Option<PathBuf>,
    /// Whether the gateway issues a token although its audit event cannot be written.
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) connections: NonZeroU32,
    pub(crate) concurrent_requests: NonZeroU32,
    /// The time for the head of a request, for an idle connection, and for the answer to an HTTP/2 ping.
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    /// The time between two pieces of a request's body, and the time in which a client takes a piece of an answer.
    #[serde(deserialize_with = "duration")]
    pub(crate) body_timeout: Duration,
    /// How long requests may take to finish at a shutdown.
    #[serde(deserialize_with = "duration")]
    pub(crate) drain: Duration,
    /// The longest lifetime of an issued token.
    #[serde(deserialize_with = "duration")]
    pub(crate) max_lifetime: Duration,
    /// The most targets of one request, from 1 to 8.
    pub(crate) max_targets: usize,
    /// Whether a request is refused if a part of the requested scope cannot be granted.
    pub(crate) strict_scope: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: const { NonZeroU32::new(10_000).unwrap() },
            concurrent_requests: const { NonZeroU32::new(1024).unwrap() },
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(300),
            max_targets: 1,
            strict_scope: false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) json: bool,
    /// Default: `info`.
    pub(crate) level: Option<String>,
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

const fn seconds<const SECONDS: u64>() -> Duration {
    Duration::from_secs(SECONDS)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom(format!("`{text}` is not a duration; write one such as `30s` or `5m`")))?;
    if duration.is_zero() {
        return Err(D::Error::custom("the duration is zero; give a longer one"));
    }
    Ok(duration)
}
