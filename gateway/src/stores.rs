//! What the gateway writes and remembers: the audit, the revocations, and what may be used once.

use crate::config::Config;
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};
use tower_token_exchange::{
    audit::JsonLinesSink,
    replay::{FileReplayStore, MemoryReplayStore, RedisReplayStore, UseOnce, Used},
    revocation::{AncestryKey, FileRevocations, MemoryRevocations, RevocationQuestion, RevocationState},
};

/// How many revocations are kept if the configuration has no `revocations.capacity`.
pub(crate) const DEFAULT_CAPACITY: usize = 100_000;
/// How many keys of what was used once are kept if the configuration has no `replay.capacity`.
pub(crate) const DEFAULT_REPLAY_CAPACITY: usize = 1_000_000;

/// The audit file and the stores. A gateway that takes over from another gateway of the process has the same stores.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) audit: JsonLinesSink,
    pub(crate) revocations: BoxCloneSyncService<RevocationQuestion, RevocationState, BoxError>,
    /// The key of the hashes in the store of revocations.
    pub(crate) ancestry_key: AncestryKey,
    pub(crate) replays: BoxCloneSyncService<UseOnce, Used, BoxError>,
    /// The replay store, if it is in Redis.
    pub(crate) redis: Option<RedisReplayStore>,
}

impl Stores {
    /// Opens the files that the configuration names. Redis is connected later.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let settings = &config.settings;
        let audit = match &settings.audit.file {
            Some(path) => JsonLinesSink::file(config.beside(path))
                .map_err(|error| config.wrong("audit.file", format!("the file cannot be written: {error}")))?,
            None => JsonLinesSink::stdout(),
        };
        let audit = match (settings.audit.max_size, settings.audit.keep) {
            (Some(max_size), Some(keep)) => audit.rotate_at(max_size, keep.get()),
            _ => audit,
        };
        let capacity = settings.revocations.capacity.unwrap_or(DEFAULT_CAPACITY);
        let revocations = match &settings.revocations.file {
            Some(path) => {
                let file = FileRevocations::open(config.beside(path), capacity);
                BoxCloneSyncService::new(file.map_err(|error| config.wrong("revocations.file", error))?)
            }
            None => revocations_in_memory(capacity),
        };
        let redis = redis(config)?;
        let capacity = settings.replay.capacity.unwrap_or(DEFAULT_REPLAY_CAPACITY);
        let replays = match (&redis, &settings.replay.file) {
            (Some(redis), _) => BoxCloneSyncService::new(redis.clone()),
            (None, Some(path)) => {
                let file = FileReplayStore::open(config.beside(path), capacity);
                BoxCloneSyncService::new(file.map_err(|error| config.wrong("replay.file", error))?)
            }
            (None, None) => replays_in_memory(capacity),
        };
        Ok(Self { audit, revocations, ancestry_key: ancestry_key(config)?, replays, redis })
    }

    /// Stores that keep nothing, to check a configuration while another process has the files open. Redis can be asked.
    pub(crate) fn without_files(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            audit: JsonLinesSink::writer(std::io::sink()),
            revocations: revocations_in_memory(0),
            ancestry_key: ancestry_key(config)?,
            replays: replays_in_memory(0),
            redis: redis(config)?,
        })
    }
}

/// The key in the file that the configuration names, or a random key for a store in memory.
fn ancestry_key(config: &Config) -> anyhow::Result<AncestryKey> {
    const KEY: &str = "revocations.key_file";
    let settings = &config.settings.revocations;
    let key = match &settings.key_file {
        Some(path) => AncestryKey::new(config.bytes_of(KEY, path)?.trim_ascii_end()),
        None if settings.file.is_some() => {
            let help = "the file of revocations outlives the gateway, and so has to do the key of its hashes; give a file \
                        with 32 random bytes or more";
            return Err(config.wrong(KEY, help));
        }
        None => AncestryKey::random(),
    };
    key.map_err(|error| config.wrong(KEY, error))
}

fn revocations_in_memory(capacity: usize) -> BoxCloneSyncService<RevocationQuestion, RevocationState, BoxError> {
    BoxCloneSyncService::new(MemoryRevocations::new(capacity).map_err(Into::into))
}

fn replays_in_memory(capacity: usize) -> BoxCloneSyncService<UseOnce, Used, BoxError> {
    BoxCloneSyncService::new(MemoryReplayStore::new(capacity).map_err(Into::into))
}

/// The replay store in Redis, if the configuration has one. The store is not connected.
fn redis(config: &Config) -> anyhow::Result<Option<RedisReplayStore>> {
    let Some(redis) = &config.settings.replay.redis else { return Ok(None) };
    // The scheme has a colon too.
    if redis.url.rsplit_once('@').is_some_and(|(user, _)| user.matches(':').count() > 1) {
        let help = "the URL has a password; write the password to a file, and give `password_file`";
        return Err(config.wrong("replay.redis.url", help));
    }
    let mut builder = RedisReplayStore::builder(&redis.url)
        .connect_timeout(redis.connect_timeout)
        .response_timeout(redis.response_timeout);
    if let Some(path) = &redis.password_file {
        builder = builder.password(config.text_of("replay.redis.password_file", path)?.trim());
    }
    if let Some(path) = &redis.ca {
        builder = builder.root_certificates_pem(config.text_of("replay.redis.ca", path)?);
    }
    if let Some(name) = &redis.tls_server_name {
        builder = builder.tls_server_name(name);
    }
    if let Some(prefix) = &redis.key_prefix {
        builder = builder.key_prefix(prefix);
    }
    builder.build().map(Some).map_err(|error| config.wrong("replay.redis", error))
}
