use super::{
    KeyFingerprint, Revocation, RevocationKey, RevocationQuestion, RevocationState, RevocationsFull,
    entries::{Entries, Room},
};
use crate::{locks::lock, protocol::NumericDate};
use futures_util::future::BoxFuture;
use redb::{Database, DatabaseError, Durability, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::SystemTime,
};
use tower::{BoxError, Service};

/// The revocations, with the moment before which a token must have been issued, with the time until which the revocation is
/// remembered, both in seconds since 1970, and with the client that revoked the token.
const REVOCATIONS: TableDefinition<'_, [u8; 8], (u64, u64, &str)> = TableDefinition::new("revocations");
/// The fingerprint of the key that made the hashes.
const KEY: TableDefinition<'_, (), [u8; 8]> = TableDefinition::new("ancestry_key");
/// The table of a file that an earlier version of the store wrote.
const OLD: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("revoked");

/// A [`RevocationStore`](super::RevocationStore) in a file. The revocations are kept when the process restarts.
///
/// The store confirms a revocation as soon as the revocation is on the disk. The store also has every revocation in
/// memory, so that an exchange never waits for the disk. The capacity and the shares of the clients are limited as in
/// [`MemoryRevocations`](super::MemoryRevocations), also after a restart. Only one process at a time can open the file.
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
    entries: Arc<Mutex<Entries>>,
    /// The key that made the hashes in the file. `None` until the layer says which key the layer has.
    made_with: Arc<Mutex<Option<KeyFingerprint>>>,
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
        let mut entries = Entries::new(capacity);
        let transaction = file.begin_write()?;
        if transaction.list_tables()?.any(|table| table.name() == OLD.name()) {
            return Err("an earlier version wrote the file; remove the file when its tokens have expired".into());
        }
        let made_with = transaction.open_table(KEY)?.get(())?.map(|key| KeyFingerprint::from_bytes(key.value()));
        {
            let mut table = transaction.open_table(REVOCATIONS)?;
            // As in memory: a clock that runs ahead must not lose a revocation.
            if table.len()? > capacity as u64 {
                table.retain(|_, (_, until, _)| until > now.seconds())?;
            }
            if table.len()? > capacity as u64 {
                return Err(RevocationsFull { capacity }.into());
            }
            for entry in table.iter()? {
                let (key, value) = entry?;
                let (issued_before, until, holder) = value.value();
                let key =
                    RevocationKey::from_bytes(key.value()).ok_or("the file has a revocation of an unknown kind")?;
                let [issued_before, until] = [issued_before, until].map(NumericDate::from_seconds);
                let holder = (!holder.is_empty()).then(|| holder.into());
                entries.insert(&Revocation { key, issued_before, until, holder });
            }
        }
        transaction.commit()?;
        Ok(Self {
            entries: Arc::new(Mutex::new(entries)),
            made_with: Arc::new(Mutex::new(made_with)),
            file: Arc::new(Mutex::new(Some(file))),
            path: path.into(),
        })
    }

    /// Refuses a question of a layer with another key, which would recognize no revocation.
    fn check_key(&self, key: Option<KeyFingerprint>) -> Result<(), BoxError> {
        let known = *lock(&self.made_with);
        match (known, key) {
            (Some(known), Some(key)) if known != key => {
                Err("the hashes in the file are of another key; give the layer the `ancestry_key` of earlier".into())
            }
            _ => Ok(()),
        }
    }

    /// Writes to the file before writing to memory, so that the store never confirms a revocation that is not on the disk.
    fn revoke(
        &self,
        revocation: &Revocation,
        now: NumericDate,
        made_with: Option<KeyFingerprint>,
    ) -> Result<RevocationState, BoxError> {
        let mut file = lock(&self.file);
        if !lock(&self.entries).is_new(revocation) {
            return Ok(RevocationState::Revoked);
        }
        let Room { is_free, state, forgotten } = lock(&self.entries).make_room(revocation, now);
        if is_free || !forgotten.is_empty() {
            // After a write that failed, for example because the disk was full, redb has to open the file again.
            let database = match file.take() {
                Some(database) => database,
                None => Database::open(&self.path)?,
            };
            Self::write(&database, forgotten, is_free.then_some(revocation), made_with)?;
            *file = Some(database);
        }
        if is_free {
            lock(&self.entries).insert(revocation);
            let mut known = lock(&self.made_with);
            *known = known.or(made_with);
        }
        Ok(state?)
    }

    /// Removes the revocations of expired tokens from the file, and adds a revocation.
    fn write(
        file: &Database,
        forgotten: Vec<RevocationKey>,
        new: Option<&Revocation>,
        made_with: Option<KeyFingerprint>,
    ) -> Result<(), BoxError> {
        let mut transaction = file.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(REVOCATIONS)?;
            for key in forgotten {
                table.remove(key.to_bytes())?;
            }
            if let Some(Revocation { key, issued_before, holder, until }) = new {
                let (before, known_until) = match table.get(key.to_bytes())? {
                    Some(known) => (known.value().0, known.value().1),
                    None => (0, 0),
                };
                let holder = holder.as_ref().map_or("", |holder| holder.as_str());
                let value = (before.max(issued_before.seconds()), known_until.max(until.seconds()), holder);
                table.insert(key.to_bytes(), value)?;
            }
            if let Some(made_with) = made_with {
                transaction.open_table(KEY)?.insert((), made_with.to_bytes())?;
            }
        }
        Ok(transaction.commit()?)
    }
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
                RevocationQuestion::Find { keys, made_with } => {
                    this.check_key(made_with)?;
                    Ok(RevocationState::Found(lock(&this.entries).find(&keys)))
                }
                RevocationQuestion::Revoke { revocation, now, made_with } => {
                    this.check_key(made_with)?;
                    // A known revocation needs no write to the disk.
                    if !lock(&this.entries).is_new(&revocation) {
                        return Ok(RevocationState::Revoked);
                    }
                    tokio::task::spawn_blocking(move || this.revoke(&revocation, now, made_with)).await?
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
    use crate::revocation::RevocationKind;
    use redb::ReadableDatabase;

    const FAR: u64 = u64::MAX;

    fn at(seconds: u64) -> NumericDate {
        NumericDate::from_seconds(seconds)
    }

    fn token(name: &str) -> RevocationKey {
        RevocationKey::new(RevocationKind::Token, [name.as_bytes()[0]; 8])
    }

    /// The path of a file for one test.
    fn in_folder<T>(name: &str, test: impl FnOnce(&Path) -> T) -> T {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let result = test(&folder.join("revocations.redb"));
        std::fs::remove_dir_all(&folder).unwrap();
        result
    }

    fn revoke(
        store: &FileRevocations,
        holder: &str,
        name: &str,
        now: u64,
        until: u64,
    ) -> Result<RevocationState, BoxError> {
        store.revoke(&Revocation::of_token(token(name), at(until)).by(holder), at(now), None)
    }

    fn is_revoked(store: &FileRevocations, name: &str) -> bool {
        !lock(&store.entries).find(&[token(name)]).is_empty()
    }

    #[test]
    fn the_file_has_the_revocations_in_memory() {
        in_folder("revocation-file", |path| {
            let store = FileRevocations::open_at(path, 2, at(10)).unwrap();
            // Each token is of another client.
            revoke(&store, "a", "a", 10, 20).unwrap();
            revoke(&store, "b", "b", 10, FAR).unwrap();
            revoke(&store, "b", "b", 10, FAR).unwrap();
            let full = revoke(&store, "c", "c", 19, FAR).unwrap_err();
            assert!(full.to_string().contains("2 revocations"));
            // The revocation of an expired token needs no place.
            revoke(&store, "o", "o", 19, 19).unwrap();
            // The token `a` has expired, so `c` takes its place, in the file too.
            revoke(&store, "c", "c", 20, FAR).unwrap();
            let table = lock(&store.file).as_ref().unwrap().begin_read().unwrap().open_table(REVOCATIONS).unwrap();
            let keys: Vec<_> = table.iter().unwrap().map(|entry| entry.unwrap().0.value()).collect();
            assert_eq!(keys, ["b", "c"].map(|name| token(name).to_bytes()));
            let in_use = FileRevocations::open(path, 2).unwrap_err();
            assert!(matches!(in_use, RevocationFileError::InUse { .. }), "{in_use}");
            drop((table, store));

            let again = FileRevocations::open(path, 2).unwrap();
            assert!(is_revoked(&again, "b") && is_revoked(&again, "c") && !is_revoked(&again, "a"));
            drop(again);
            let full = FileRevocations::open(path, 1).unwrap_err();
            assert!(matches!(full, RevocationFileError::Full { .. }), "{full}");
            assert!(full.to_string().contains("1 revocations"), "{full}");
            std::fs::write(path, "not a database").unwrap();
            let unusable = FileRevocations::open(path, 1).unwrap_err();
            assert!(matches!(unusable, RevocationFileError::Unusable { .. }), "{unusable}");
        });
    }

    #[test]
    fn a_share_survives_a_restart() {
        in_folder("revocation-shares", |path| {
            let open = || FileRevocations::open_at(path, 4, at(10)).unwrap();
            let share_used = RevocationState::ShareUsed { retry_at: at(100) };
            let store = open();
            let states = ["a", "b", "c"].map(|name| revoke(&store, "orders", name, 10, 100).unwrap());
            assert_eq!(states[1..], [RevocationState::Revoked, share_used.clone()]);
            drop(store);
            let again = open();
            assert_eq!(revoke(&again, "orders", "c", 10, 100).unwrap(), share_used);
            assert_eq!(revoke(&again, "billing", "d", 10, 100).unwrap(), RevocationState::Revoked);
        });
    }

    #[test]
    fn the_store_works_again_after_a_failed_write() {
        in_folder("revocation-failed-write", |path| {
            let open = || FileRevocations::open_at(path, 4, at(10)).unwrap();
            let store = open();
            revoke(&store, "orders", "before", 10, 100).unwrap();
            // This is the state after a write that failed.
            *lock(&store.file) = None;
            revoke(&store, "orders", "after", 10, 100).unwrap();
            drop(store);
            let again = open();
            assert!(is_revoked(&again, "before") && is_revoked(&again, "after"));
        });
    }

    #[tokio::test]
    async fn a_file_of_another_key_is_refused() {
        use tower::ServiceExt;

        let folder = std::env::temp_dir().join(format!("revocation-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("revocations.redb");
        let [own, other] = [[1; 8], [2; 8]].map(KeyFingerprint::from_bytes);
        let revocation = Revocation::of_token(token("a"), at(FAR));
        let revoke = RevocationQuestion::revoke(revocation, at(10));
        let store = FileRevocations::open(&path, 4).unwrap();
        store.clone().oneshot(revoke.clone().made_with(own)).await.unwrap();
        for is_restarted in [false, true] {
            let store = if is_restarted { FileRevocations::open(&path, 4).unwrap() } else { store.clone() };
            let find = RevocationQuestion::find([token("a")]);
            assert!(store.clone().oneshot(find.clone().made_with(own)).await.is_ok());
            for question in [find.made_with(other), revoke.clone().made_with(other)] {
                let refused = store.clone().oneshot(question).await.unwrap_err().to_string();
                assert!(refused.contains("`ancestry_key`"), "{refused}");
            }
            if !is_restarted {
                // Only one store at a time can open the file.
                *lock(&store.file) = None;
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_old_file_is_refused() {
        in_folder("revocation-old-file", |path| {
            let old = Database::create(path).unwrap();
            let transaction = old.begin_write().unwrap();
            transaction.open_table(OLD).unwrap().insert("a", (100, "orders")).unwrap();
            transaction.commit().unwrap();
            drop(old);
            let refused = FileRevocations::open(path, 4).unwrap_err().to_string();
            assert!(refused.contains("remove the file"), "{refused}");
        });
    }
}
