//! The configuration: one TOML file, and the records in it or beside it.

use crate::forward::{Forwarding, ForwardingError};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Deserialize, Deserializer, de::Error};
use std::{
    fmt::Display,
    fs, mem,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tower_token_exchange::{
    Client, Document, Issuer, Target,
    policy::Rule,
    records::TomlFile,
    signing::{AlgorithmError, KeyId, LocalSigner, PublishedKeys, Signer},
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
    #[serde(default)]
    client: Vec<Client>,
    #[serde(default)]
    target: Vec<Target>,
    #[serde(default)]
    issuer: Vec<Issuer>,
    #[serde(default)]
    rule: Vec<Rule>,
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

/// Where the metadata say otherwise; all four where there are none.
#[derive(Clone, Debug, Default, Deserialize)]
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

/// A private key: a JWK, or PKCS#8 in PEM.
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
    /// For the head of a request, and for a connection to be idle or, over HTTP/2, to answer a ping.
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    /// Between two pieces of a request's body, and until a client takes some of an answer.
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
    pub(crate) forwarding: Forwarding,
    pub(crate) document: Document,
    pub(crate) signer: Signer,
    pub(crate) published: PublishedKeys,
    main: TomlFile,
    records: Option<TomlFile>,
    key_files: Vec<PathBuf>,
}

impl Config {
    /// Reads the file and those that it names. Every mistake names its file, line and field, and the way out.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let main = TomlFile::read(path).map_err(|error| error.to_string())?;
        let mut settings: Settings = main.parse()?;
        let Settings { client, target, issuer, rule, .. } = &mut settings;
        let in_main = client.len() + target.len() + issuer.len() + rule.len() > 0;
        let mut own = Document::default();
        (own.clients, own.targets) = (mem::take(client), mem::take(target));
        (own.issuers, own.rules) = (mem::take(issuer), Some(mem::take(rule)));
        own.federated_subjects_only = settings.federated_subjects_only;
        let (document, records) = match settings.records.as_ref().map(|path| main.beside(path)) {
            None => (own, None),
            Some(_) if in_main => {
                return Err(main
                    .wrong("records", "records stand in this file too: keep them in one of the two")
                    .into());
            }
            Some(path) => {
                let source = TomlFile::read(path).map_err(|error| main.wrong("records", error))?;
                (source.parse()?, Some(source))
            }
        };
        let keys = &settings.keys;
        let active = keys.active.read(&main, "keys.active")?;
        let mut published = active.published_keys();
        for (index, key) in keys.published.iter().enumerate() {
            published = published.and(key.read(&main, &format!("keys.published[{index}]"))?.published_keys());
        }
        if let Some(kid) = published.key_id_collision() {
            let help = format!("two keys have the `kid` `{kid}`: give each its own, or leave `kid` out");
            return Err(main.wrong("keys", help).into());
        }
        let signer = Signer::from(active).also_accept(published.key_set());
        let key_files = keys.published.iter().chain([&keys.active]).map(|key| main.beside(&key.file)).collect();
        let listen = &settings.listen;
        let forwarding = Forwarding::builder().server(&settings.upstream.url).public_url(&settings.upstream.issuer);
        let forwarding = forwarding.hosts(&listen.hosts).behind_proxy(listen.behind_proxy).build();
        let forwarding = forwarding.map_err(|error| match error {
            ForwardingError::PublicUrl(_) => main.wrong("upstream.issuer", error),
            _ => main.wrong("upstream.url", error),
        })?;
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
        let Paths { token, jwks, introspection, revocation } = paths;
        let all = [("token", token), ("jwks", jwks), ("introspection", introspection), ("revocation", revocation)];
        let is_path = |path: &String| path.starts_with('/') && !path.contains(['?', '#']);
        if let Some((name, _)) = all.iter().find(|(_, path)| !path.as_ref().is_none_or(is_path)) {
            let help = "not a path: begin with `/`, leave host and query out";
            return Err(self.wrong(&format!("paths.{name}"), help));
        }
        Ok(())
    }

    /// A path as the world finds it.
    pub(crate) fn url(&self, path: &str) -> String {
        let (scheme, host) = self.forwarding.public_origin();
        format!("{scheme}://{host}{path}")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.main.path().to_owned()
    }

    pub(crate) fn wrong(&self, place: &str, help: impl Display) -> String {
        self.main.wrong(place, help).into()
    }

    /// The certificates in a file that a setting names.
    pub(crate) fn certificates(&self, place: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
        let pem = self.text_of(place, path)?;
        let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        if read.is_empty() { Err(self.wrong(place, "no certificate in it: give a PEM file")) } else { Ok(read) }
    }

    /// The same as those who vouch for others.
    pub(crate) fn roots(&self, place: &str, path: &Path) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        // The bundle of an operating system may hold some that are too old to be read.
        match roots.add_parsable_certificates(self.certificates(place, path)?) {
            (0, _) => Err(self.wrong(place, "no certificate of an authority in it: give a PEM file")),
            _ => Ok(roots),
        }
    }

    /// A record, with its line.
    pub(crate) fn at_record(&self, place: &str, words: &str) -> String {
        self.records.as_ref().unwrap_or(&self.main).wrong(place, words).into()
    }

    /// A mistake that the layer found, with its line in the file of the records.
    pub(crate) fn located(&self, error: &tower_token_exchange::ConfigError) -> String {
        self.records.as_ref().unwrap_or(&self.main).locate(error).into()
    }

    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        self.main.beside(path)
    }

    /// The text of a file that a setting names.
    pub(crate) fn text_of(&self, place: &str, path: &Path) -> Result<String, String> {
        let path = self.beside(path);
        fs::read_to_string(&path).map_err(|error| self.wrong(place, format!("{}: {error}", path.display())))
    }

    /// The files whose change is a reason to read everything again.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let records = self.records.as_ref().map(|source| source.path().to_owned());
        let Settings { listen, upstream, .. } = &*self.settings;
        let tls = listen.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca));
        let secret = upstream.introspection.iter().map(|introspection| &introspection.client_secret_file);
        let named = tls.chain(secret).map(|path| self.beside(path));
        [self.path()].into_iter().chain(records).chain(named).chain(self.key_files.iter().cloned()).collect()
    }
}

impl KeyFile {
    fn read(&self, main: &TomlFile, place: &str) -> Result<LocalSigner, String> {
        let path = main.beside(&self.file);
        let wrong = |problem: String| main.wrong(&format!("{place}.file"), format!("{}: {problem}", path.display()));
        let text = fs::read_to_string(&path)
            .map_err(|error| wrong(format!("{error}: correct the name, or make a key with `keygen`")))?;
        let wanted = self.algorithm.as_deref().map(str::parse).transpose();
        let wanted = wanted.map_err(|unknown: AlgorithmError| main.wrong(&format!("{place}.algorithm"), unknown))?;
        let key = LocalSigner::from_text(&text, wanted).map_err(|error| wrong(error.to_string()))?;
        Ok(match &self.kid {
            Some(kid) => key.with_key_id(
                KeyId::try_from(kid.as_str()).map_err(|error| main.wrong(&format!("{place}.kid"), error))?,
            ),
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
