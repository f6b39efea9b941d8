use super::{
    UseOnce, Used,
    uses::{ShortKey, Uses},
};
use crate::{
    locks::lock,
    protocol::{ClientId, NumericDate},
};
use futures_util::future::BoxFuture;
use redb::{Database, DatabaseError, Durability, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    fmt, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    thread,
    time::SystemTime,
};
use tokio::sync::oneshot;
use tower::{BoxError, Service};

/// The keys, with the time until which each is remembered in seconds since 1970, and with the client that used the key.
const USED: TableDefinition<'_, &ShortKey, (u64, &str)> = TableDefinition::new("used");

/// A [`ReplayStore`](super::ReplayStore) in a file, for one process. The keys are kept when the process restarts or is
/// killed.
///
/// The store answers [`Used::First`] when the key is on the disk. The keys of all requests that wait at the same time are
/// written together, so that a busy store does not wait for the disk once for each request. If a key cannot be written, the
/// store returns an error, and the key counts as new.
///
/// The store also has every key in memory. The capacity and the shares of the clients are limited as in
/// [`MemoryReplayStore`](super::MemoryReplayStore), also after a restart. Expired keys leave the file when another key needs
/// their room. Only one process at a time can open the file.
///
/// ```
/// use tower_token_exchange::replay::FileReplayStore;
///
/// # let folder = std::env::temp_dir().join(format!("replays-of-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let store = FileReplayStore::open(folder.join("replays.redb"), 100_000)?;
/// # drop(store);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FileReplayStore {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// `None` after a write that failed. Only the writer holds the lock.
    file: Mutex<Option<Database>>,
    path: PathBuf,
}

struct State {
    uses: Uses,
    /// The changes that wait for the writer.
    waiting: Batch,
    is_writing: bool,
}

/// The changes that are written together.
#[derive(Default)]
struct Batch {
    forgotten: Vec<ShortKey>,
    new: Vec<NewKey>,
}

impl Batch {
    /// Tells each request the result of the write.
    fn answer(self, result: &Result<(), String>) {
        for new in self.new {
            // A request that is gone does not need the result.
            let _ = new.written.send(result.clone());
        }
    }
}

struct NewKey {
    key: ShortKey,
    until: u64,
    client_id: ClientId,
    /// Receives the result of the write.
    written: oneshot::Sender<Result<(), String>>,
}

/// A file that [`FileReplayStore`] cannot use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayFileError {
    /// Another store has the file open, in this process or in another process.
    #[error("{}: the file is already open; use one store for each file", path.display())]
    #[non_exhaustive]
    InUse {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file cannot be created, read or written, or the file is not a file of this store.
    #[error("{}: the file cannot be opened: {source}; check the path and the permissions", path.display())]
    #[non_exhaustive]
    Unusable {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: BoxError,
    },
    /// The file has more keys that have not expired than the capacity of the store.
    #[error("{}: the file has more than {capacity} keys that have not expired; give a larger capacity", path.display())]
    #[non_exhaustive]
    Full {
        /// The path of the file.
        path: PathBuf,
        /// The capacity of the store.
        capacity: usize,
    },
}

impl ReplayFileError {
    fn new(path: PathBuf, source: BoxError) -> Self {
        match source.downcast::<DatabaseError>().map(|error| *error) {
            Ok(DatabaseError::DatabaseAlreadyOpen) => Self::InUse { path },
            Ok(other) => Self::Unusable { path, source: other.into() },
            Err(source) => Self::Unusable { path, source },
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        let (Self::InUse { path } | Self::Unusable { path, .. } | Self::Full { path, .. }) = self;
        path
    }
}

impl FileReplayStore {
    /// Opens or creates the file of a store with room for `capacity` keys. The call blocks while the file is read.
    ///
    /// # Errors
    /// [`ReplayFileError`] if the file is in use, cannot be opened, or has more than `capacity` keys that have not expired.
    pub fn open(path: impl Into<PathBuf>, capacity: usize) -> Result<Self, ReplayFileError> {
        Self::open_at(path, capacity, SystemTime::now().into())
    }

    /// Does the same as [`open`](Self::open), for a layer with a [`clock`](crate::TokenExchangeBuilder::clock) of its own:
    /// `now` decides which keys have expired.
    ///
    /// # Errors
    /// [`ReplayFileError`], as [`open`](Self::open).
    pub fn open_at(path: impl Into<PathBuf>, capacity: usize, now: NumericDate) -> Result<Self, ReplayFileError> {
        let path = path.into();
        let mut uses = Uses::new(capacity);
        let file = match read(&path, &mut uses, now) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(ReplayFileError::Full { path, capacity }),
            Err(source) => return Err(ReplayFileError::new(path, source)),
        };
        let state = Mutex::new(State { uses, waiting: Batch::default(), is_writing: false });
        Ok(Self { shared: Arc::new(Shared { state, file: Mutex::new(Some(file)), path }) })
    }
}

/// Opens the file and reads the keys. `None` if there is no room for the keys.
fn read(path: &Path, uses: &mut Uses, now: NumericDate) -> Result<Option<Database>, BoxError> {
    let file = Database::create(path)?;
    let transaction = file.begin_write()?;
    {
        let mut table = transaction.open_table(USED)?;
        // As in memory: a clock that runs ahead must not lose a key.
        if table.len()? > uses.capacity() as u64 {
            table.retain(|_, (until, _)| until > now.seconds())?;
        }
        if table.len()? > uses.capacity() as u64 {
            return Ok(None);
        }
        for entry in table.iter()? {
            let (key, value) = entry?;
            let (until, client_id) = value.value();
            uses.restore(*key.value(), &client_id.into(), NumericDate::from_seconds(until));
        }
    }
    transaction.commit()?;
    Ok(Some(file))
}

impl Shared {
    /// Remembers a key in memory. Returns the channel on which the result of the write comes, if the key is new.
    fn begin(self: &Arc<Self>, question: &UseOnce) -> Result<oneshot::Receiver<Result<(), String>>, Used> {
        let mut state = lock(&self.state);
        let State { uses, waiting, is_writing } = &mut *state;
        let used = uses.use_once(question, |key| waiting.forgotten.push(key));
        if used != Used::First {
            return Err(used);
        }
        let (written, result) = oneshot::channel();
        waiting.new.push(NewKey {
            key: question.key.short(),
            until: question.remember_until.seconds(),
            client_id: question.client_id.clone(),
            written,
        });
        if !mem::replace(is_writing, true) {
            let writer = Writer(Arc::clone(self));
            tokio::task::spawn_blocking(move || writer.run());
        }
        Ok(result)
    }

    /// Writes a batch. After a write that failed, for example because the disk was full, redb has to open the file again.
    fn write(&self, batch: &Batch) -> Result<(), BoxError> {
        let mut file = lock(&self.file);
        let database = match file.take() {
            Some(database) => database,
            None => Database::open(&self.path)?,
        };
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(USED)?;
            for key in &batch.forgotten {
                table.remove(key)?;
            }
            for NewKey { key, until, client_id, .. } in &batch.new {
                table.insert(key, (*until, client_id.as_str()))?;
            }
        }
        transaction.commit()?;
        *file = Some(database);
        Ok(())
    }
}

/// The writer of a file, as long as there is something to write.
struct Writer(Arc<Shared>);

impl Writer {
    fn run(self) {
        let mut next = self.next();
        while let Some(batch) = next {
            let result = self.0.write(&batch).map_err(|error| error.to_string());
            if result.is_err() {
                // No request was told that its key is the first, so the same request can be made again.
                let mut state = lock(&self.0.state);
                batch.new.iter().for_each(|new| state.uses.forget(&new.key));
            }
            next = self.next();
            if next.is_none() {
                // Whoever drops the store after the last answer can open the file again.
                drop(self);
                return batch.answer(&result);
            }
            batch.answer(&result);
        }
    }

    /// The changes that came while the writer wrote. `None` ends the writer.
    fn next(&self) -> Option<Batch> {
        let mut state = lock(&self.0.state);
        state.is_writing = !state.waiting.new.is_empty();
        state.is_writing.then(|| mem::take(&mut state.waiting))
    }
}

impl Drop for Writer {
    /// After a panic, the next key starts another writer.
    fn drop(&mut self) {
        if thread::panicking() {
            lock(&self.0.state).is_writing = false;
        }
    }
}

impl Service<UseOnce> for FileReplayStore {
    type Response = Used;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Used, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: UseOnce) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            match shared.begin(&question) {
                Ok(written) => match written.await? {
                    Ok(()) => Ok(Used::First),
                    Err(problem) => Err(format!("{}: {problem}", shared.path.display()).into()),
                },
                Err(used) => Ok(used),
            }
        })
    }
}

impl fmt::Debug for FileReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReplayStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{UseKey, UseKind};
    use futures_util::future::join_all;
    use redb::ReadableDatabase;
    use tower::ServiceExt;

    fn question(client: &str, id: &str, now: u64, until: u64) -> UseOnce {
        let at = NumericDate::from_seconds;
        let key = UseKey::new(UseKind::SubjectToken, "https://as.example", id);
        UseOnce { key, client_id: client.into(), now: at(now), remember_until: at(until) }
    }

    async fn ask(store: &FileReplayStore, client: &str, id: &str, now: u64, until: u64) -> Used {
        store.clone().oneshot(question(client, id, now, until)).await.unwrap()
    }

    /// A folder for one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("replays.redb")
        }

        fn open(&self, capacity: usize) -> FileReplayStore {
            FileReplayStore::open_at(self.file(), capacity, NumericDate::from_seconds(10)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn keys_in(store: &FileReplayStore) -> usize {
        let file = lock(&store.shared.file);
        let table = file.as_ref().unwrap().begin_read().unwrap().open_table(USED).unwrap();
        table.len().unwrap() as usize
    }

    #[tokio::test]
    async fn keys_and_shares_survive_a_restart() {
        let folder = Folder::new("replay-restart");
        let store = folder.open(4);
        assert_eq!(ask(&store, "orders", "a", 10, 100).await, Used::First);
        assert_eq!(ask(&store, "orders", "b", 10, 100).await, Used::First);
        drop(store);
        let again = folder.open(4);
        assert_eq!(ask(&again, "billing", "a", 10, 100).await, Used::Again);
        assert_eq!(ask(&again, "orders", "c", 10, 100).await, Used::ShareUsed);
        assert_eq!(ask(&again, "billing", "d", 10, 100).await, Used::First);
    }

    #[tokio::test]
    async fn expired_keys_leave_the_file() {
        let folder = Folder::new("replay-expired");
        let store = folder.open(2);
        for round in 0..10 {
            let now = 10 + round * 10;
            assert_eq!(ask(&store, "orders", &format!("a{round}"), now, now + 10).await, Used::First);
            assert_eq!(ask(&store, "billing", &format!("b{round}"), now, now + 10).await, Used::First);
            assert_eq!(ask(&store, "reports", "late", now, now + 10).await, Used::Full);
        }
        assert_eq!(keys_in(&store), 2);
        drop(store);
        let full = FileReplayStore::open_at(folder.file(), 1, NumericDate::from_seconds(10)).unwrap_err();
        assert!(matches!(full, ReplayFileError::Full { capacity: 1, .. }), "{full}");
        assert!(FileReplayStore::open_at(folder.file(), 1, NumericDate::from_seconds(1000)).is_ok());
    }

    #[tokio::test]
    #[expect(clippy::await_holding_lock, reason = "another thread writes, and waits for the lock")]
    async fn many_keys_share_one_write() {
        let folder = Folder::new("replay-group");
        let store = folder.open(10_000);
        // Nothing is written before the lock is free.
        let file = lock(&store.shared.file);
        let asked: Vec<_> = (0..100)
            .flat_map(|id| [id, id])
            .map(|id| tokio::spawn(store.clone().oneshot(question(&id.to_string(), &id.to_string(), 10, 100))))
            .collect();
        tokio::task::yield_now().await;
        drop(file);
        let answers: Vec<_> = join_all(asked).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        let first = answers.iter().filter(|answer| **answer == Used::First).count();
        assert_eq!((first, answers.len(), keys_in(&store)), (100, 200, 100));
    }

    #[tokio::test]
    async fn a_failed_write_uses_nothing_up() {
        let folder = Folder::new("replay-failed-write");
        let store = folder.open(4);
        // This is the state after a write that failed, and the file is away.
        *lock(&store.shared.file) = None;
        let away = folder.0.join("away.redb");
        std::fs::rename(folder.file(), &away).unwrap();
        let failed = store.clone().oneshot(question("orders", "a", 10, 100)).await.unwrap_err();
        assert!(failed.to_string().contains("replays.redb"), "{failed}");
        std::fs::rename(&away, folder.file()).unwrap();
        assert_eq!(ask(&store, "orders", "a", 10, 100).await, Used::First);
        assert_eq!(ask(&store, "orders", "a", 10, 100).await, Used::Again);
    }

    #[tokio::test]
    async fn a_file_of_another_kind_is_refused() {
        let folder = Folder::new("replay-other-file");
        let store = folder.open(4);
        let in_use = FileReplayStore::open(folder.file(), 4).unwrap_err();
        assert!(matches!(in_use, ReplayFileError::InUse { .. }), "{in_use}");
        drop(store);
        std::fs::write(folder.file(), "not a database").unwrap();
        let unusable = FileReplayStore::open(folder.file(), 4).unwrap_err();
        assert!(matches!(unusable, ReplayFileError::Unusable { .. }), "{unusable}");
        assert_eq!(unusable.path(), folder.file());
    }
}
