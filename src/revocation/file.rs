use super::{
    MemoryRevocations, RevocationQuestion, RevocationState, RevocationsFull,
    memory::{Revocation, Room},
};
use crate::{
    locks::lock,
    protocol::{NumericDate, TokenId},
};
use futures_util::future::BoxFuture;
use redb::{
    Database, DatabaseError, Durability, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    WriteTransaction,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::SystemTime,
};
use tower::{BoxError, Service};

/// The names of the revoked tokens, with their expiry times in seconds since 1970 and with the clients that had the tokens.
const REVOKED: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("revoked");
/// The same table in an old file, which does not name the clients. The tables have one name, so that a version of the store
/// that does not know the clients refuses the file, and does not take it for a file without revocations.
const WITHOUT_HOLDERS: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked");

/// A [`RevocationStore`](super::RevocationStore) in a file. The revocations are kept when the process restarts.
///
/// The store confirms a revocation as soon as the revocation is on the disk. The store also has every revocation in
/// memory, so that an exchange never waits for the disk. The capacity and the shares of the clients are limited as in
/// [`MemoryRevocations`], also after a restart. Only one process at a time can open the file.
///
/// ```
/// use tower_token_exchange::revocation::FileRevocations;
///
/// # let folder = std::env::temp_dir().join(format!("revocations-of-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let store = FileRevocations::open(folder.join("revocations.redb"), 100_000)?;
/// # drop(store);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FileRevocations {
    memory: MemoryRevocations,
    /// `None` after a write that failed. The lock is held from the check for room to the end of the write.
    file: Arc<Mutex<Option<Database>>>,
    path: Arc<Path>,
}

/// A file that [`FileRevocations`] cannot use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationFileError {
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
    /// The file has more revocations than the capacity of the store.
    #[error("{}: {source}", path.display())]
    #[non_exhaustive]
    Full {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: RevocationsFull,
    },
}

impl RevocationFileError {
    fn new(path: PathBuf, source: BoxError) -> Self {
        let source = match source.downcast::<DatabaseError>().map(|error| *error) {
            Ok(DatabaseError::DatabaseAlreadyOpen) => return Self::InUse { path },
            Ok(other) => BoxError::from(other),
            Err(other) => other,
        };
        match source.downcast::<RevocationsFull>() {
            Ok(full) => Self::Full { path, source: *full },
            Err(source) => Self::Unusable { path, source },
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        let (Self::InUse { path } | Self::Unusable { path, .. } | Self::Full { path, .. }) = self;
        path
    }
}

impl FileRevocations {
    /// Opens or creates the file of a store with room for `capacity` revocations. The call blocks while the file is read.
    ///
    /// # Errors
    /// [`RevocationFileError`] if the file is in use, cannot be opened, or has more than `capacity` revocations.
    pub fn open(path: impl Into<PathBuf>, capacity: usize) -> Result<Self, RevocationFileError> {
        Self::open_at(path, capacity, SystemTime::now().into())
    }

    /// Does the same as [`open`](Self::open), for a layer with a [`clock`](crate::TokenExchangeBuilder::clock) of its own:
    /// `now` decides which tokens have expired.
    ///
    /// # Errors
    /// [`RevocationFileError`], as [`open`](Self::open).
    pub fn open_at(path: impl Into<PathBuf>, capacity: usize, now: NumericDate) -> Result<Self, RevocationFileError> {
        let path = path.into();
        Self::read(&path, capacity, now).map_err(|source| RevocationFileError::new(path, source))
    }

    fn read(path: &Path, capacity: usize, now: NumericDate) -> Result<Self, BoxError> {
        let file = Database::create(path)?;
        let memory = MemoryRevocations::new(capacity);
        let transaction = file.begin_write()?;
        add_holders(&transaction)?;
        {
            let mut table = transaction.open_table(REVOKED)?;
            // As in memory: a clock that runs ahead must not lose a revocation.
            if table.len()? > capacity as u64 {
                table.retain(|_, (until, _)| until > now.seconds())?;
            }
            for entry in table.iter()? {
                let (jti, value) = entry?;
                let (until, holder) = value.value();
                let until = NumericDate::from_seconds(until);
                memory.insert(Revocation { jti: jti.value().into(), holder: holder.into(), until })?;
            }
        }
        transaction.commit()?;
        Ok(Self { memory, file: Arc::new(Mutex::new(Some(file))), path: path.into() })
    }

    /// Writes to the file before writing to memory, so that the store never confirms a revocation that is not on the disk.
    fn revoke(&self, revocation: Revocation, now: NumericDate) -> Result<RevocationState, BoxError> {
        let mut file = lock(&self.file);
        if !self.memory.is_new(&revocation) {
            return Ok(RevocationState::Revoked);
        }
        let Room { is_free, state, forgotten } = self.memory.make_room(&revocation, now);
        if is_free || !forgotten.is_empty() {
            // After a write that failed, for example because the disk was full, redb has to open the file again.
            let database = match file.take() {
                Some(database) => database,
                None => Database::open(&self.path)?,
            };
            Self::write(&database, forgotten, is_free.then_some(&revocation))?;
            *file = Some(database);
        }
        if is_free {
            self.memory.insert(revocation)?;
        }
        Ok(state?)
    }

    /// Removes the revocations of expired tokens from the file, and adds a revocation.
    fn write(file: &Database, forgotten: Vec<TokenId>, new: Option<&Revocation>) -> Result<(), BoxError> {
        let mut transaction = file.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(REVOKED)?;
            for jti in forgotten {
                table.remove(jti.as_str())?;
            }
            if let Some(Revocation { jti, holder, until }) = new {
                table.insert(jti.as_str(), (until.seconds(), holder.as_str()))?;
            }
        }
        Ok(transaction.commit()?)
    }
}

/// Turns the table of an old file into a table with clients. Nobody knows the client of an old revocation, so the revocation
/// counts for no client.
fn add_holders(transaction: &WriteTransaction) -> Result<(), BoxError> {
    match transaction.open_table(REVOKED) {
        Ok(_) => return Ok(()),
        Err(TableError::TableTypeMismatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut revocations = Vec::new();
    for entry in transaction.open_table(WITHOUT_HOLDERS)?.iter()? {
        let (jti, until) = entry?;
        revocations.push((jti.value().to_owned(), until.value()));
    }
    transaction.delete_table(WITHOUT_HOLDERS)?;
    let mut table = transaction.open_table(REVOKED)?;
    for (jti, until) in &revocations {
        table.insert(jti.as_str(), (*until, ""))?;
    }
    Ok(())
}

impl Service<RevocationQuestion> for FileRevocations {
    type Response = RevocationState;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<RevocationState, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: RevocationQuestion) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match question {
                RevocationQuestion::IsRevoked { jti } if this.memory.is_revoked(&jti) => Ok(RevocationState::Revoked),
                RevocationQuestion::IsRevoked { .. } => Ok(RevocationState::NotRevoked),
                RevocationQuestion::Revoke { jti, holder, now, until } => {
                    let revocation = Revocation { jti, holder, until };
                    // A known revocation needs no write to the disk.
                    if !this.memory.is_new(&revocation) {
                        return Ok(RevocationState::Revoked);
                    }
                    tokio::task::spawn_blocking(move || this.revoke(revocation, now)).await?
                }
            }
        })
    }
}

impl fmt::Debug for FileRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRevocations").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::ReadableDatabase;

    #[test]
    fn the_file_has_the_revocations_in_memory() {
        let folder = std::env::temp_dir().join(format!("revocation-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("revocations.redb");
        let far = NumericDate::from_seconds(u64::MAX);
        let at = NumericDate::from_seconds;
        let store = FileRevocations::open_at(&path, 2, at(10)).unwrap();
        // Each token is of another client.
        let revoke =
            |jti: &str, now, until| store.revoke(Revocation { jti: jti.into(), holder: jti.into(), until }, at(now));
        revoke("a", 10, at(20)).unwrap();
        revoke("b", 10, far).unwrap();
        revoke("b", 10, far).unwrap();
        assert!(revoke("c", 19, far).unwrap_err().to_string().contains("2 revocations"));
        // The revocation of an expired token needs no place.
        revoke("over", 19, at(19)).unwrap();
        // The token `a` has expired, so `c` takes its place, in the file too.
        revoke("c", 20, far).unwrap();
        let file = lock(&store.file).as_ref().unwrap().begin_read().unwrap().open_table(REVOKED).unwrap();
        let names: Vec<_> = file.iter().unwrap().map(|entry| entry.unwrap().0.value().to_owned()).collect();
        assert_eq!(names, ["b", "c"]);
        let in_use = FileRevocations::open(&path, 2).unwrap_err();
        assert!(matches!(in_use, RevocationFileError::InUse { .. }), "{in_use}");
        drop((file, store));

        let again = FileRevocations::open(&path, 2).unwrap();
        let is_revoked = |jti: &str| again.memory.is_revoked(&jti.into());
        assert!(is_revoked("b") && is_revoked("c") && !is_revoked("a"));
        drop(again);
        let full = FileRevocations::open(&path, 1).unwrap_err();
        assert!(matches!(full, RevocationFileError::Full { .. }), "{full}");
        assert!(full.to_string().contains("1 revocations"), "{full}");
        std::fs::write(&path, "not a database").unwrap();
        let unusable = FileRevocations::open(&path, 1).unwrap_err();
        assert!(matches!(unusable, RevocationFileError::Unusable { .. }), "{unusable}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// The path of a file for one test.
    fn in_folder<T>(name: &str, test: impl FnOnce(&Path) -> T) -> T {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let result = test(&folder.join("revocations.redb"));
        std::fs::remove_dir_all(&folder).unwrap();
        result
    }

    fn revoke(store: &FileRevocations, holder: &str, jti: &str) -> RevocationState {
        let until = NumericDate::from_seconds(100);
        let revocation = Revocation { jti: jti.into(), holder: holder.into(), until };
        store.revoke(revocation, NumericDate::from_seconds(10)).unwrap()
    }

    #[test]
    fn a_share_survives_a_restart() {
        in_folder("revocation-shares", |path| {
            let open = || FileRevocations::open_at(path, 4, NumericDate::from_seconds(10)).unwrap();
            let share_used = RevocationState::ShareUsed { retry_at: NumericDate::from_seconds(100) };
            let store = open();
            assert_eq!(
                ["a", "b", "c"].map(|jti| revoke(&store, "orders", jti))[1..],
                [RevocationState::Revoked, share_used]
            );
            drop(store);
            let again = open();
            assert_eq!(revoke(&again, "orders", "c"), share_used);
            assert_eq!(revoke(&again, "billing", "d"), RevocationState::Revoked);
        });
    }

    #[test]
    fn the_store_works_again_after_a_failed_write() {
        in_folder("revocation-failed-write", |path| {
            let open = || FileRevocations::open_at(path, 4, NumericDate::from_seconds(10)).unwrap();
            let store = open();
            revoke(&store, "orders", "before");
            // This is the state after a write that failed.
            *lock(&store.file) = None;
            revoke(&store, "orders", "after");
            drop(store);
            let again = open();
            assert!(["before", "after"].iter().all(|jti| again.memory.is_revoked(&(*jti).into())));
        });
    }

    #[test]
    fn an_old_file_is_read() {
        in_folder("revocation-old-file", |path| {
            let old = Database::create(path).unwrap();
            let transaction = old.begin_write().unwrap();
            for (jti, until) in [("a", 100), ("b", 200)] {
                transaction.open_table(WITHOUT_HOLDERS).unwrap().insert(jti, until).unwrap();
            }
            transaction.commit().unwrap();
            drop(old);
            // The second start reads the file that the first start changed.
            for _ in 0..2 {
                let store = FileRevocations::open_at(path, 4, NumericDate::from_seconds(10)).unwrap();
                let is_revoked = |jti: &str| store.memory.is_revoked(&jti.into());
                assert!(is_revoked("a") && is_revoked("b"));
            }
            let store = FileRevocations::open_at(path, 4, NumericDate::from_seconds(10)).unwrap();
            assert_eq!(revoke(&store, "orders", "c"), RevocationState::Revoked, "an old revocation is of no client");
        });
    }
}
