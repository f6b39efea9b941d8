//! The files that the gateway writes.

use crate::config::Config;
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};
use tower_token_exchange::{
    audit::JsonLinesSink,
    revocation::{FileRevocations, MemoryRevocations, RevocationQuestion, RevocationState},
};

/// How many revocations are kept if the configuration has no `revocations.capacity`.
pub(crate) const DEFAULT_CAPACITY: usize = 100_000;

/// The audit file and the revocations.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) audit: JsonLinesSink,
    pub(crate) revocations: BoxCloneSyncService<RevocationQuestion, RevocationState, BoxError>,
}

impl Stores {
    /// Opens the files that the configuration names.
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
            None => memory(capacity),
        };
        Ok(Self { audit, revocations })
    }

    /// Stores that keep nothing, to check a configuration while another process has the files open.
    pub(crate) fn none() -> Self {
        Self { audit: JsonLinesSink::writer(std::io::sink()), revocations: memory(0) }
    }
}

fn memory(capacity: usize) -> BoxCloneSyncService<RevocationQuestion, RevocationState, BoxError> {
    BoxCloneSyncService::new(MemoryRevocations::new(capacity).map_err(Into::into))
}
