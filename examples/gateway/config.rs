//! The configuration: one TOML file, and the records in it or beside it.

use crate::place;
use serde::{Deserialize, Deserializer, de::Error};
use std::{
    fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tower_token_exchange::{
    Algorithm, Client, Document, Issuer, LocalSigner, PublishedKeys, Signer, Target, UnknownAlgorithm,
    forward::Forwarding, policy::Rule,
};
use tracing::level_filters::LevelFilter;

/// The file as it is. Keys and records are taken out of it when it was read; what stays counts from start to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) upstream: Upstream,
    #[serde(default)]
    pub(crate) paths: Paths,
    #[serde(default)]
    pub(crate) fetch: Fetch,
    #[serde(default)]
    pub(crate) revocations: Revocations,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) log: Log,
    keys: Keys,
    /// A file of its own with clients, targets, issuers and rules.
    records: Option<PathBuf>,
    client: Option<Vec<Client>>,
    target: Option<Vec<Target>>,
    issuer: Option<Vec<Issuer>>,
    rule: Option<Vec<Rule>>,
    #[serde(default)]
    federated_subjects_only: bool,
}

impl Settings {
    /// Whether nothing changed that only counts after a restart.
    pub(crate) fn are_as(&self, other: &Self) -> bool {
        let fixed = |all: &Self| {
            let Self { listen, upstream, paths, fetch, revocations, audit, limits, log, .. } = all;
            format!("{listen:?}{upstream:?}{paths:?}{fetch:?}{revocations:?}{audit:?}{limits:?}{log:?}")
        };
        fixed(self) == fixed(other)
    }
}

/// How the keys of other issuers are reached.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fetch {
    pub(crate) allow_private_addresses: bool,
    pub(crate) allow_loopback_http: bool,
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    /// For operators: health and metrics.
    #[serde(default = "loopback")]
    pub(crate) admin: SocketAddr,
    pub(crate) tls: Option<Tls>,
    /// Beside the issuer's host; `*` is any.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// Whether a proxy in front writes `Forwarded` and `X-Forwarded-*` that can be believed.
    #[serde(default)]
    pub(crate) behind_proxy: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
    #[serde(default)]
    pub(crate) require_client_certificate: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Where the legacy server is reached.
    pub(crate) url: String,
    /// Its issuer identifier, which tokens issued here name too.
    pub(crate) issuer: String,
    pub(crate) ca: Option<PathBuf>,
    #[serde(default)]
    pub(crate) authenticate_clients_by: Method,
    /// The gateway's own credentials for the introspection of opaque tokens.
    pub(crate) introspection: Option<Introspection>,
    /// How long a secret that the legacy server accepted is not asked about again.
    #[serde(default = "seconds::<60>", deserialize_with = "duration")]
    pub(crate) remember_clients: Duration,
    #[serde(default = "seconds::<5>", deserialize_with = "duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(default = "seconds::<30>", deserialize_with = "duration")]
    pub(crate) response_timeout: Duration,
}

/// How it finds out whether a client is who it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    #[default]
    Introspection,
    ClientCredentials,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introspection {
    pub(crate) client_id: String,
    pub(crate) client_secret_file: PathBuf,
}

/// Where the discovery document says otherwise, or nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paths {
    pub(crate) token: Option<String>,
    pub(crate) jwks: Option<String>,
    pub(crate) introspection: Option<String>,
    pub(crate) revocation: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) active: KeyFile,
    #[serde(default)]
    pub(crate) published: Vec<KeyFile>,
}

/// A private key: a JWK (`.json`, `.jwk`), or PKCS#8 in PEM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    file: PathBuf,
    /// Of a PEM file: `ES256` where it is not said.
    algorithm: Option<String>,
    kid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Revocations {
    /// Memory where it is not said.
    pub(crate) file: Option<PathBuf>,
    pub(crate) capacity: Option<usize>,
}

impl Revocations {
    pub(crate) fn capacity(&self) -> usize {
        self.capacity.unwrap_or(100_000)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// Standard output where it is not said.
    pub(crate) file: Option<PathBuf>,
    /// Whether an exchange goes on whose event cannot be written.
    pub(crate) optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) connections: NonZeroU32,
    pub(crate) concurrent_requests: NonZeroU32,
    /// For the head of a request, and for a connection to be idle.
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    /// Between two pieces of a request's body.
    #[serde(deserialize_with = "duration")]
    pub(crate) body_timeout: Duration,
    /// How long requests in flight may take to end at a shutdown.
    #[serde(deserialize_with = "duration")]
    pub(crate) drain: Duration,
    /// Of a token issued here.
    #[serde(deserialize_with = "duration")]
    pub(crate) max_lifetime: Duration,
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
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) json: bool,
    /// `info` where it is not said.
    pub(crate) level: Option<String>,
}

/// Everything that was read, and where it was.
pub(crate) struct Config {
    pub(crate) settings: Arc<Settings>,
    pub(crate) forwarding: Arc<Forwarding>,
    pub(crate) document: Document,
    pub(crate) signer: Signer,
    pub(crate) published: PublishedKeys,
    main: Source,
    records: Option<Source>,
    key_files: Vec<PathBuf>,
}

/// A file and its text.
struct Source {
    path: PathBuf,
    text: String,
}

impl Config {
    /// Reads the file and those that it names. Every mistake names its file, line and field, and the way out.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let main = Source::read(path)?;
        let mut settings: Settings = main.parse()?;
        let (client, target) = (settings.client.take(), settings.target.take());
        let (issuer, rule) = (settings.issuer.take(), settings.rule.take());
        let in_main = client.is_some() || target.is_some() || issuer.is_some() || rule.is_some();
        let records = settings.records.as_ref().map(|path| main.beside(path));
        let (document, records) = match records {
            Some(_) if in_main => {
                return Err(main.wrong("records", "records stand in this file too: keep them in one of the two"));
            }
            Some(path) => {
                let source = Source::read(&path).map_err(|problem| main.wrong("records", &problem))?;
                (source.parse()?, Some(source))
            }
            None => {
                let mut document = Document::default();
                document.clients = client.unwrap_or_default();
                document.targets = target.unwrap_or_default();
                document.issuers = issuer.unwrap_or_default();
                document.rules = Some(rule.unwrap_or_default());
                document.federated_subjects_only = settings.federated_subjects_only;
                (document, None)
            }
        };
        let keys = &settings.keys;
        let active = keys.active.read(&main, "keys.active")?;
        let mut published = active.published_keys();
        for (index, key) in keys.published.iter().enumerate() {
            published = published.and(key.read(&main, &format!("keys.published[{index}]"))?.published_keys());
        }
        if let Some(kid) = published.key_id_collision() {
            let way_out = format!("two keys have the `kid` `{kid}`: give each its own, or leave `kid` out");
            return Err(main.wrong("keys", &way_out));
        }
        let signer = Signer::from(active).verified_by(published.key_set());
        let key_files = keys.published.iter().chain([&keys.active]).map(|key| main.beside(&key.file)).collect();
        let listen = &settings.listen;
        let forwarding = Forwarding::to(&settings.upstream.url, &settings.upstream.issuer).map_err(|error| {
            let place = if error.field() == "public" { "upstream.issuer" } else { "upstream.url" };
            main.wrong(place, error.way_out())
        })?;
        let forwarding = Arc::new(if listen.behind_proxy { forwarding.behind_proxy() } else { forwarding });
        let settings = Arc::new(settings);
        let config = Self { forwarding, settings, document, signer, published, main, records, key_files };
        config.check()?;
        Ok(config)
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), String> {
        let Settings { listen, paths, log, .. } = &*self.settings;
        if listen.admin == listen.address {
            return Err(self.wrong("listen.admin", "the address of the gateway itself: give it one of its own"));
        }
        if log.level.as_ref().is_some_and(|level| level.parse::<LevelFilter>().is_err()) {
            return Err(self.wrong("log.level", "none that is known: give error, warn, info or debug"));
        }
        let all = [
            ("token", &paths.token),
            ("jwks", &paths.jwks),
            ("introspection", &paths.introspection),
            ("revocation", &paths.revocation),
        ];
        for (name, path) in all {
            if path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains(['?', '#'])) {
                return Err(
                    self.wrong(&format!("paths.{name}"), "not a path: begin with `/`, leave host and query out")
                );
            }
        }
        Ok(())
    }

    /// A path as the world finds it.
    pub(crate) fn url(&self, path: &str) -> String {
        let (scheme, host) = self.forwarding.public_origin();
        format!("{scheme}://{host}{path}")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.main.path.clone()
    }

    pub(crate) fn wrong(&self, place: &str, way_out: &str) -> String {
        self.main.wrong(place, way_out)
    }

    /// A record, with its line.
    pub(crate) fn at_record(&self, place: &str, words: &str) -> String {
        self.records.as_ref().unwrap_or(&self.main).wrong(place, words)
    }

    /// A mistake that the layer found, with its line in the file of the records.
    pub(crate) fn located(&self, error: &tower_token_exchange::ConfigError) -> String {
        let source = self.records.as_ref().unwrap_or(&self.main);
        place::located(&source.name(), &source.text, error)
    }

    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        self.main.beside(path)
    }

    /// The text of a file that a setting names.
    pub(crate) fn text_of(&self, place: &str, path: &Path) -> Result<String, String> {
        let path = self.beside(path);
        fs::read_to_string(&path).map_err(|error| self.wrong(place, &format!("{}: {error}", path.display())))
    }

    /// The files whose change is a reason to read everything again.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let records = self.records.as_ref().map(|source| source.path.clone());
        let tls = self.settings.listen.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        let tls = tls.map(|path| self.beside(path));
        [self.main.path.clone()].into_iter().chain(records).chain(tls).chain(self.key_files.iter().cloned()).collect()
    }
}

impl Source {
    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        place::read(&self.name(), &self.text)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn wrong(&self, place: &str, way_out: &str) -> String {
        place::at(&self.name(), &self.text, place, way_out)
    }

    /// A path as this file means it.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

impl KeyFile {
    fn read(&self, main: &Source, place: &str) -> Result<LocalSigner, String> {
        let path = main.beside(&self.file);
        let wrong = |problem: String| main.wrong(&format!("{place}.file"), &format!("{}: {problem}", path.display()));
        let text = fs::read_to_string(&path)
            .map_err(|error| wrong(format!("{error}: correct the name, or make a key with `keygen`")))?;
        let is_jwk = path.extension().is_some_and(|extension| extension == "json" || extension == "jwk");
        let name = self.algorithm.as_deref();
        let wanted: Algorithm = name
            .unwrap_or("ES256")
            .parse()
            .map_err(|unknown: UnknownAlgorithm| main.wrong(&format!("{place}.algorithm"), &unknown.to_string()))?;
        let key = if is_jwk { LocalSigner::from_jwk(&text) } else { LocalSigner::from_pem(wanted, &text) };
        let key = key.map_err(|error| wrong(error.to_string()))?;
        if name.is_some() && key.algorithm() != wanted {
            return Err(wrong(format!("it is a key for {}, and `algorithm` says {wanted}", key.algorithm())));
        }
        Ok(match &self.kid {
            Some(kid) => key.with_key_id(kid),
            None => key,
        })
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

const fn seconds<const SECONDS: u64>() -> Duration {
    Duration::from_secs(SECONDS)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom(format!("`{text}` is no time: write one such as `30s` or `5m`")))?;
    if duration.is_zero() { Err(D::Error::custom("give more than nothing")) } else { Ok(duration) }
}
