//! The files of the configuration while the gateway runs: changed files are read again.

use crate::{admin::Health, config::Config, gateway::Gateway, server, server::tls::Acceptor};
use anyhow::bail;
use notify::{EventHandler, RecommendedWatcher, RecursiveMode, Watcher};
use std::{
    cell::Cell,
    collections::BTreeSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};

/// How long changes are collected. One change of a configuration often writes several files.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// How long events of the folders are handled without a pause, and how long the pause is.
const AWAKE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(100);

/// How many times the configuration is read, if its files change in the meantime.
const READ_ATTEMPTS: usize = 5;

/// The configuration that counts, and the means to replace it.
pub(crate) struct Reloader {
    config: watch::Sender<Arc<Config>>,
    versions: Vec<Option<FileVersion>>,
    tls: watch::Sender<Option<Acceptor>>,
    health: Arc<Health>,
    watcher: FileWatcher,
}

/// Which version of a file is at a path: its inode and the time of its latest change.
type FileVersion = (u64, i64, i64);

/// A configuration, with the versions of the files that it was read from.
pub(crate) struct ReadConfig {
    pub(crate) config: Arc<Config>,
    versions: Vec<Option<FileVersion>>,
}

impl ReadConfig {
    /// Reads the configuration at the start of the process.
    pub(crate) fn first(path: &Path) -> anyhow::Result<Self> {
        Self::read(|| Config::read(path))
    }

    /// Reads the configuration again. The settings that need a restart stay as they are, and the other parts must fit them.
    fn again(before: &Config) -> anyhow::Result<Self> {
        let needs_restart = Cell::new(false);
        let read = Self::read(|| {
            let config = before.read_again()?;
            needs_restart.set(config.settings != before.settings);
            config.with_settings_of(before)
        })?;
        if needs_restart.get() {
            tracing::warn!("some changed settings count only after a restart: all but keys, certificates and records");
        }
        Ok(read)
    }

    /// Reads until the files have the same versions before and after. The names of the files are known only after the first
    /// read.
    fn read(read: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<Self> {
        let mut config = read()?;
        for _ in 0..READ_ATTEMPTS {
            let versions = versions(&config.files());
            config = read()?;
            if self::versions(&config.files()) == versions {
                return Ok(Self { config: Arc::new(config), versions });
            }
        }
        bail!("{}: the files change while they are read; write each file once", config.path().display());
    }
}

fn versions(files: &[PathBuf]) -> Vec<Option<FileVersion>> {
    let version =
        |path: &PathBuf| std::fs::metadata(path).map(|file| (file.ino(), file.ctime(), file.ctime_nsec())).ok();
    files.iter().map(version).collect()
}

impl Reloader {
    pub(crate) fn new(read: ReadConfig, tls: watch::Sender<Option<Acceptor>>, health: Arc<Health>) -> Self {
        let ReadConfig { config, versions } = read;
        let mut watcher = FileWatcher::new();
        watcher.watch(&config.files());
        let config = watch::Sender::new(config);
        Self { config, versions, tls, health, watcher }
    }

    /// The configuration that counts, also after a later change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.config.borrow().files()
    }

    /// Waits until something changed beside the files, and until the changes settled.
    pub(crate) async fn changed(&self) {
        self.watcher.changed.notified().await;
        tokio::time::sleep(SETTLE_TIME).await;
    }

    /// Reads everything again, if a file has another version.
    pub(crate) fn reload_if_changed(&mut self) {
        if versions(&self.files()) != self.versions {
            self.reload();
        }
    }

    /// Reads everything again. A change is taken over as a whole, or not at all.
    pub(crate) fn reload(&mut self) {
        let health = Arc::clone(&self.health);
        let _guard = health.replacing();
        self.versions = versions(&self.files());
        let result = self.take_over();
        self.health.reload.send_replace(result.as_ref().err().map(|error| format!("{error:#}")));
        let label = match result {
            Ok(read) => {
                tracing::info!("the configuration was read again and counts from now on");
                self.versions = read.versions;
                self.config.send_replace(read.config);
                let files = self.files();
                self.watcher.watch(&files);
                "taken"
            }
            Err(error) => {
                let problem = format!("{error:#}");
                tracing::error!(
                    problem,
                    "a change of the configuration was refused; the configuration before still counts"
                );
                "refused"
            }
        };
        metrics::counter!("gateway_reloads_total", "result" => label).increment(1);
    }

    fn take_over(&self) -> anyhow::Result<ReadConfig> {
        let before = Arc::clone(&self.config.borrow());
        let read = ReadConfig::again(&before)?;
        let acceptor = server::tls::acceptor(&read.config)?;
        // The gateway is built anew from this configuration when the endpoints of the server change.
        Gateway::check(&read.config)?;
        if let Some(gateway) = self.health.gateway() {
            gateway.reload(&read.config)?;
        }
        self.tls.send_replace(acceptor);
        Ok(read)
    }
}

/// Watches the folders of files. A file that is replaced by another file of the same name has no watch of its own any more, and
/// tools that deploy configurations replace files and links.
struct FileWatcher {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl FileWatcher {
    fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let watcher =
            notify::recommended_watcher(Wake { changed: Arc::clone(&changed), rested: None }).inspect_err(warn).ok();
        Self { watcher, folders: BTreeSet::new(), changed }
    }

    /// Watches the folders of these files, and no others.
    fn watch(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let folder = |path: &Path| match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // A link and the file behind the link can change.
        let targets = files.iter().filter_map(|path| path.canonicalize().ok());
        let folders: BTreeSet<PathBuf> = files.iter().cloned().chain(targets).map(|path| folder(&path)).collect();
        for old in self.folders.difference(&folders) {
            let _ = watcher.unwatch(old);
        }
        for new in folders.difference(&self.folders) {
            let _ = watcher.watch(new, RecursiveMode::NonRecursive).inspect_err(warn);
        }
        self.folders = folders;
    }
}

fn warn(error: &notify::Error) {
    tracing::warn!(%error, "changes of files are not noticed; send SIGHUP after a change");
}

/// Wakes whoever waits for a change.
struct Wake {
    changed: Arc<Notify>,
    /// The end of the latest pause.
    rested: Option<Instant>,
}

impl EventHandler for Wake {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            self.changed.notify_one();
        }
        // The audit file can be beside the configuration. The system joins equal events that nobody has read yet, so a pause
        // makes many written lines one event.
        if self.rested.is_none_or(|rested| rested.elapsed() > AWAKE) {
            thread::sleep(PAUSE);
            self.rested = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::Write,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// Counts the events on their way to the other handler.
    struct Counting(Arc<AtomicUsize>, Wake);

    impl EventHandler for Counting {
        fn handle_event(&mut self, event: notify::Result<notify::Event>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.handle_event(event);
        }
    }

    #[tokio::test]
    async fn many_written_lines_are_few_events() {
        let folder = std::env::temp_dir().join(format!("watched-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (count, changed) = (Arc::<AtomicUsize>::default(), Arc::new(Notify::new()));
        let wake = Wake { changed: Arc::clone(&changed), rested: None };
        let mut watcher = notify::recommended_watcher(Counting(Arc::clone(&count), wake)).unwrap();
        watcher.watch(&folder, RecursiveMode::NonRecursive).unwrap();
        let mut audit = fs::File::create(folder.join("audit.jsonl")).unwrap();
        for _ in 0..500 {
            audit.write_all(b"{}\n").unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        changed.notified().await;
        let events = count.load(Ordering::Relaxed);
        assert!(events < 250, "{events} events");
        fs::remove_dir_all(folder).unwrap();
    }
}
