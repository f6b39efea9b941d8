//! The configuration: one TOML file, the files that the TOML file names, and the checks of all of them.

mod budgets;
mod cryptography;
mod path_list;
mod settings;
mod size;
mod words;

pub(crate) use settings::{ClientAuthentication, Limits, Log, Paths, SecretMethod, Settings, Tls};
pub(crate) use words::in_toml_words;

use crate::{
    documents::is_path,
    forward::{Forwarding, ForwardingError},
};
use anyhow::anyhow;
use http::Uri;
use path_list::PathList;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject},
};
use serde::de::DeserializeOwned;
use settings::{File, KeyFile};
use std::{
    fmt::Display,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tower_token_exchange::{
    Client, ConfigError, Document,
    records::{LocateError, ServerPreset, ServerTokens, TomlFile},
    signing::{Algorithm, AlgorithmError, Cryptography, KeyId, LocalSigner, PublishedKeys, Signer},
};
use tracing::level_filters::LevelFilter;

/// The JSON Schema of the configuration file.
pub(crate) fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".to_owned(), "The configuration of token-exchange-gateway".into());
    schema
}

/// A configuration that was read and checked.
pub(crate) struct Config {
    pub(crate) settings: Arc<Settings>,
    /// The library that makes and verifies signatures.
    pub(crate) cryptography: Cryptography,
    pub(crate) forwarding: Forwarding,
    pub(crate) document: Document,
    /// The product whose documented tokens the server has.
    pub(crate) preset: Option<ServerPreset>,
    /// What the tokens of the server look like, in addition to the preset.
    pub(crate) server_tokens: ServerTokens,
    pub(crate) signer: Signer,
    pub(crate) published: PublishedKeys,
    main: TomlFile,
    /// The file with the records, if they are not in the main file.
    records: Option<TomlFile>,
    key_files: Vec<PathBuf>,
    /// The files that the records name.
    record_files: Vec<PathBuf>,
}

impl Config {
    /// Reads the file and the files that the file names. Every error names the file, the line and the key, and says what to do.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_with(path, None, KeyFile::read)
    }

    /// Reads the file of this configuration again, for a process that keeps the library of this configuration.
    pub(crate) fn read_again(&self) -> anyhow::Result<Self> {
        Self::read_with(self.path(), Some(self.cryptography), KeyFile::read)
    }

    /// Reads the file before its keys exist. The configuration has keys that nobody knows.
    pub(crate) fn read_before_keys(path: &Path) -> anyhow::Result<Self> {
        Self::read_with(path, None, |_, _, _, _| Ok(LocalSigner::generate(Algorithm::ES256)?))
    }

    fn read_with(
        path: &Path,
        kept: Option<Cryptography>,
        read_key: impl Fn(&KeyFile, &TomlFile, &str, Cryptography) -> anyhow::Result<LocalSigner>,
    ) -> anyhow::Result<Self> {
        let main = TomlFile::read(path)?;
        let File {
            listen,
            mut upstream,
            paths,
            fetch,
            revocations,
            replay,
            dpop,
            audit,
            limits,
            budgets,
            log,
            cryptography: library,
            keys,
            records,
            client: clients,
            target: targets,
            issuer: issuers,
            rule: rules,
            federated_subjects_only,
            fapi,
        } = parse(&main)?;
        let has_records = clients.len() + targets.len() + issuers.len() + rules.len() > 0;
        let (document, records) = match records.map(|path| main.beside(path)) {
            None => {
                let mut own = Document::default();
                (own.clients, own.targets, own.issuers, own.rules) = (clients, targets, issuers, Some(rules));
                own.federated_subjects_only = federated_subjects_only;
                own.fapi = fapi;
                (own, None)
            }
            Some(_) if has_records => {
                let help = "there are records in this file too; keep all records in one of the two files";
                return Err(wrong(&main, "records", help));
            }
            Some(path) => {
                let file = TomlFile::read(path).map_err(|error| wrong(&main, "records", error))?;
                (parse(&file)?, Some(file))
            }
        };

        let mut document = document;
        let records_file = records.as_ref().unwrap_or(&main);
        let record_files = document.files().map(|path| records_file.beside(path)).collect();
        document
            .read_files(records_file.beside(""))
            .map_err(|error| anyhow!(records_file.locate(&error).to_string()))?;

        let named = library
            .signatures
            .find_in(Cryptography::ALL)
            .map_err(|help| wrong(&main, "cryptography.signatures", help))?;
        let cryptography = kept.unwrap_or(named);
        let active = read_key(&keys.active, &main, "keys.active", cryptography)?;
        let mut others = PublishedKeys::default();
        for (index, key) in keys.published.iter().enumerate() {
            let key = read_key(key, &main, &format!("keys.published[{index}]"), cryptography)?;
            others = others.and(key.published_keys());
        }
        let published = active.published_keys().and(others.clone());
        if let Some(kid) = published.key_id_collision() {
            let help = format!("two keys have the `kid` `{kid}`; give each key its own `kid`, or leave `kid` out");
            return Err(wrong(&main, "keys", help));
        }
        let signer = Signer::from(active).also_accept(others.key_set());
        let key_files = keys.published.iter().chain([&keys.active]).map(|key| main.beside(&key.file)).collect();

        let forwarding = Forwarding::builder().server(&upstream.url).public_url(&upstream.issuer);
        let forwarding = forwarding.hosts(&listen.hosts).behind_proxy(listen.behind_proxy).build();
        let forwarding = forwarding.map_err(|error| match error {
            ForwardingError::PublicUrl(_) => wrong(&main, "upstream.issuer", error),
            _ => wrong(&main, "upstream.url", error),
        })?;
        // A description of tokens is a part of the records, whose changes count without a restart.
        let (preset, server_tokens) = (upstream.preset.take(), std::mem::take(&mut upstream.tokens));
        let settings = Settings {
            listen,
            upstream,
            paths,
            fetch,
            revocations,
            replay,
            dpop,
            audit,
            limits,
            budgets,
            log,
            cryptography: library,
        };
        let config = Self {
            settings: Arc::new(settings),
            cryptography,
            forwarding,
            document,
            preset,
            server_tokens,
            signer,
            published,
            main,
            records,
            key_files,
            record_files,
        };
        config.check()?;
        Ok(config)
    }

    /// Checks the rules that the types cannot express.
    fn check(&self) -> anyhow::Result<()> {
        let Settings { listen, paths, limits, log, audit, replay, .. } = &*self.settings;
        if listen.admin == listen.address && listen.admin.port() != 0 {
            return Err(self.wrong("listen.admin", "this is `listen.address` too; give another address"));
        }
        if log.level.as_ref().is_some_and(|level| level.parse::<LevelFilter>().is_err()) {
            return Err(self.wrong("log.level", "unknown level; give `error`, `warn`, `info` or `debug`"));
        }
        match (&audit.file, audit.max_size, audit.keep) {
            (None, Some(_), _) => {
                let help = "the audit goes to standard output, which has no size; give `audit.file`, or remove the key";
                return Err(self.wrong("audit.max_size", help));
            }
            (_, Some(_), None) => {
                let help = "the number of older files is missing; give `audit.keep`, such as `keep = 10`";
                return Err(self.wrong("audit.max_size", help));
            }
            (_, None, Some(_)) => {
                return Err(
                    self.wrong("audit.keep", "one file of any size; give `audit.max_size` too, or remove the key")
                );
            }
            _ => {}
        }
        match (&replay.redis, &replay.file, replay.capacity) {
            (Some(_), Some(_), _) => {
                return Err(
                    self.wrong("replay.file", "the store is in Redis; remove `replay.file` or `[replay.redis]`")
                );
            }
            (Some(_), _, Some(_)) => {
                return Err(self.wrong("replay.capacity", "the memory of Redis is the limit; remove the key"));
            }
            _ => {}
        }
        if !(1..=8).contains(&limits.max_targets) {
            return Err(self.wrong("limits.max_targets", "out of range; give 1 to 8"));
        }
        if self.document.rules.is_none() {
            let help = "there are no rules; add a `[[rule]]`, or `rule = []` to allow no exchange";
            return Err(self.wrong_record("rule", help));
        }
        if self.settings.upstream.authenticate_clients_by == ClientAuthentication::Records {
            let lacks_method = |client: &Client| client.may_exchange() && !client.has_authentication();
            if let Some(position) = self.document.clients.iter().position(lacks_method) {
                let help = "no secret and no key, and `upstream.authenticate_clients_by` is \"records\"; add `secret_sha256`, \
                            `jwks_uri` or another method";
                return Err(anyhow!(self.at_record(&format!("client[{position}].id"), help)));
            }
        }
        let upstream = &self.settings.upstream.issuer;
        if let Some(position) = self.document.issuers.iter().position(|issuer| issuer.id() == upstream) {
            let help = "this is `upstream.issuer`, whose tokens `[upstream.tokens]` describes; move the keys of `tokens` \
                        there, use `[upstream.introspection]`, and remove this record";
            return Err(self.wrong_record(&format!("issuer[{position}].issuer"), help));
        }
        let Paths { token, jwks, introspection, revocation, metadata } = paths;
        for (name, paths) in [
            ("token", token),
            ("jwks", jwks),
            ("introspection", introspection),
            ("revocation", revocation),
            ("metadata", metadata),
        ] {
            if paths.iter().flat_map(PathList::iter).any(|path| !is_path(path)) {
                let help = "not a path; start with `/`, without host and query";
                return Err(self.wrong(&format!("paths.{name}"), help));
            }
        }
        if token.as_ref().is_some_and(|paths| paths.iter().next().is_none()) {
            return Err(self.wrong("paths.token", "no path; give the path of the token endpoint, or remove the key"));
        }
        self.check_issuers()
    }

    /// Checks that clients can present the tokens of the other issuers, and that the gateway may ever fetch their keys and
    /// introspection answers.
    fn check_issuers(&self) -> anyhow::Result<()> {
        for (position, issuer) in self.document.issuers.iter().enumerate() {
            if !issuer.can_be_presented() {
                let help = "no client can present a token of this issuer; list clients in `presenters`, or map the names that \
                            the issuer gives to clients with `client_names`";
                return Err(self.wrong_record(&format!("issuer[{position}]"), help));
            }
            for (key, url) in issuer.fetched_urls() {
                let Ok(uri) = url.parse::<Uri>() else { continue };
                let is_loopback = uri.host().is_some_and(is_loopback);
                let is_allowed = is_loopback && self.settings.fetch.allow_loopback_http;
                if uri.scheme_str() == Some("http") && !is_allowed {
                    let help = match is_loopback {
                        true => "the gateway fetches nothing without TLS; set `fetch.allow_loopback_http`",
                        false => "the gateway fetches nothing without TLS; give an `https` URL",
                    };
                    return Err(self.wrong_record(&format!("issuer[{position}].{key}"), help));
                }
            }
        }
        Ok(())
    }

    /// The file with the records.
    fn records_file(&self) -> &TomlFile {
        self.records.as_ref().unwrap_or(&self.main)
    }

    /// An error at a key of the records, with its line.
    fn wrong_record(&self, key: &str, help: impl Display) -> anyhow::Error {
        wrong(self.records_file(), key, help)
    }

    /// The same configuration, with the settings of a process that runs already, and with what was made from these settings.
    pub(crate) fn with_settings_of(self, running: &Self) -> anyhow::Result<Self> {
        let (settings, forwarding) = (Arc::clone(&running.settings), running.forwarding.clone());
        let config = Self { settings, forwarding, ..self };
        config.check()?;
        Ok(config)
    }

    /// The public URL of a path.
    pub(crate) fn public_url(&self, path: &str) -> String {
        let (scheme, host) = self.forwarding.public_origin();
        format!("{scheme}://{host}{path}")
    }

    pub(crate) fn path(&self) -> &Path {
        self.main.path()
    }

    /// A path as the configuration means it: relative paths start at the folder of the file.
    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        self.main.beside(path)
    }

    /// The text of a file that a key names.
    pub(crate) fn text_of(&self, key: &str, path: &Path) -> anyhow::Result<String> {
        let path = self.beside(path);
        fs::read_to_string(&path).map_err(|error| self.wrong(key, format!("{}: {error}", path.display())))
    }

    /// The content of a file with a secret that a key names.
    pub(crate) fn bytes_of(&self, key: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
        let path = self.beside(path);
        fs::read(&path).map_err(|error| self.wrong(key, format!("{}: {error}", path.display())))
    }

    /// The certificates in a file that a key names.
    pub(crate) fn certificates(&self, key: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let pem = self.text_of(key, path)?;
        let certificates =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        if certificates.is_empty() {
            return Err(self.wrong(key, "the file has no certificate; give a file with certificates in PEM"));
        }
        Ok(certificates)
    }

    /// The revocation lists in a file that a key names, in PEM or DER.
    pub(crate) fn revocation_lists(
        &self,
        key: &str,
        path: &Path,
    ) -> anyhow::Result<Vec<CertificateRevocationListDer<'static>>> {
        let path = self.beside(path);
        let bytes = fs::read(&path).map_err(|error| self.wrong(key, format!("{}: {error}", path.display())))?;
        if !bytes.starts_with(b"-----BEGIN") {
            return Ok(vec![CertificateRevocationListDer::from(bytes)]);
        }
        match CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
            Ok(lists) if !lists.is_empty() => Ok(lists),
            _ => Err(self.wrong(key, "the file has no revocation list; give a file with X509 CRLs in PEM or DER")),
        }
    }

    /// The certificates of authorities in a file that a key names.
    pub(crate) fn roots(&self, key: &str, path: &Path) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        // The bundle of an operating system may hold certificates that are too old to be read.
        if roots.add_parsable_certificates(self.certificates(key, path)?).0 == 0 {
            return Err(self.wrong(key, "the file has no certificate of an authority; give one in PEM"));
        }
        Ok(roots)
    }

    /// An error at a key of the main file, with its line.
    pub(crate) fn wrong(&self, key: &str, help: impl Display) -> anyhow::Error {
        wrong(&self.main, key, help)
    }

    /// The mistakes that the layer found in the records, one per line.
    pub(crate) fn wrong_records(&self, error: &ConfigError) -> anyhow::Error {
        let file = self.records_file();
        // The record of the authorization server comes after the issuers of the document.
        let server = format!("issuer[{}].", self.document.issuers.len());
        let lines = error.problems().iter().map(|problem| {
            let located = match problem.place() {
                Some(place) => match place.strip_prefix(&server) {
                    Some(key) => self.main.wrong(&upstream_key(key), problem.help()).to_string(),
                    None => file.wrong(place, problem.help()).to_string(),
                },
                None => format!("{}: {problem}", file.path().display()),
            };
            in_toml_words(&located)
        });
        anyhow!(lines.collect::<Vec<_>>().join("\n"))
    }

    /// A text about a record, with its file and line.
    pub(crate) fn at_record(&self, place: &str, text: &str) -> String {
        self.records_file().wrong(place, in_toml_words(text)).to_string()
    }

    /// The files whose changes count without a restart.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Settings { listen, upstream, .. } = &*self.settings;
        let of_tls = |tls: &'_ Tls| {
            let clients = tls.client_ca.iter().chain(&tls.client_crls).cloned();
            [tls.certificate.clone(), tls.key.clone()].into_iter().chain(clients).collect::<Vec<_>>()
        };
        let tls = listen.tls.iter().flat_map(of_tls);
        let secret = upstream.introspection.iter().map(|introspection| introspection.client_secret_file.clone());
        let named = tls.chain(secret).map(|path| self.beside(&path));
        let records = self.records.as_ref().map(|file| file.path().to_owned());
        let others = self.key_files.iter().chain(&self.record_files).cloned();
        [self.path().to_owned()].into_iter().chain(records).chain(named).chain(others).collect()
    }
}

/// The key of `[upstream]` for a key in the record of the authorization server. One description of tokens is usual, and has
/// no number.
fn upstream_key(key: &str) -> String {
    format!("upstream.{}", key.replacen("tokens[0]", "tokens", 1))
}

/// Whether a host in a URL is a loopback address.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn wrong(file: &TomlFile, key: &str, help: impl Display) -> anyhow::Error {
    anyhow!(file.wrong(key, help).to_string())
}

/// Parses a file. The messages of serde become messages for the author of the file.
fn parse<T: DeserializeOwned>(file: &TomlFile) -> anyhow::Result<T> {
    file.parse().map_err(|error: LocateError| anyhow!("{}", words::of_parser(&error, file.path())))
}

impl KeyFile {
    fn read(&self, main: &TomlFile, key: &str, cryptography: Cryptography) -> anyhow::Result<LocalSigner> {
        let path = main.beside(&self.file);
        let wrong_file =
            |problem: String| wrong(main, &format!("{key}.file"), format!("{}: {problem}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| {
            wrong_file(format!("{error}; correct the name, or make a key with `token-exchange-gateway keygen`"))
        })?;
        let algorithm = self.algorithm.as_deref().map(str::parse).transpose();
        let algorithm = algorithm.map_err(|error: AlgorithmError| wrong(main, &format!("{key}.algorithm"), error))?;
        let signer = LocalSigner::builder().cryptography(cryptography).read_text(&text, algorithm);
        let signer = signer.map_err(|error| wrong_file(in_toml_words(&format!("{:#}", anyhow::Error::from(error)))))?;
        Ok(match &self.kid {
            Some(kid) => {
                let kid = KeyId::try_from(kid.as_str()).map_err(|error| wrong(main, &format!("{key}.kid"), error))?;
                signer.with_key_id(kid)
            }
            None => signer,
        })
    }
}
