use super::{MemoryRevocations, RevocationQuestion, RevocationState};
use futures_util::future::BoxFuture;
use redb::{Database, Durability, ReadableTable, TableDefinition};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::UNIX_EPOCH,
};
use tower::{BoxError, Service};

/// The names of revoked tokens, and when each expires.
const REVOKED: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked");

/// A [`RevocationStore`](super::RevocationStore) in a file: what was revoked stays so after a restart.
///
/// A revocation is answered when it is on the disk. All that the file holds is in memory too, so that no exchange waits
/// for the disk; the number is bounded as that of [`MemoryRevocations`]. One process at a time can have the file open.
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
    file: Arc<Database>,
    path: Arc<Path>,
    /// Held from the look whether there is room until it is taken.
    writing: Arc<Mutex<()>>,
}

/// A file that cannot be a [`FileRevocations`].
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
#[non_exhaustive]
pub struct RevocationFileError {
    /// Which.
    pub path: PathBuf,
    /// Why: it is open elsewhere, no such file, or holds more than is allowed.
    pub problem: String,
}

impl FileRevocations {
    /// Opens the file, or makes it, for so many revocations at a time. It blocks while it reads.
    ///
    /// # Errors
    /// [`RevocationFileError`] says why.
    pub fn open(path: impl Into<PathBuf>, capacity: usize) -> Result<Self, RevocationFileError> {
        let path = path.into();
        Self::read(&path, capacity).map_err(|problem| RevocationFileError { path, problem: problem.to_string() })
    }

    fn read(path: &Path, capacity: usize) -> Result<Self, BoxError> {
        let file = Database::create(path)?;
        let memory = MemoryRevocations::new(capacity);
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let transaction = file.begin_write()?;
        {
            let mut table = transaction.open_table(REVOKED)?;
            table.retain(|_, until| until > now)?;
            for entry in table.iter()? {
                let (jti, until) = entry?;
                memory.revoke(jti.value(), now, until.value())?;
            }
        }
        transaction.commit()?;
        Ok(Self { memory, file: Arc::new(file), path: path.into(), writing: Arc::default() })
    }

    /// Writes first, so that memory never promises what the disk does not hold.
    fn revoke(&self, jti: &str, now: u64, until: u64) -> Result<(), BoxError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.memory.is_news(jti, now, until) {
            return Ok(());
        }
        let forgotten = self.memory.make_room(jti, now)?;
        let mut transaction = self.file.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(REVOKED)?;
            for jti in forgotten {
                table.remove(&*jti)?;
            }
            table.insert(jti, until)?;
        }
        transaction.commit()?;
        self.memory.revoke(jti, now, until)?;
        Ok(())
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
                RevocationQuestion::IsRevoked { jti } if this.memory.is_revoked(&jti) => Ok(RevocationState::Revoked),
                RevocationQuestion::IsRevoked { .. } => Ok(RevocationState::NotRevoked),
                // Nothing that waits for the disk is had for saying the same again.
                RevocationQuestion::Revoke { jti, now, until } if !this.memory.is_news(&jti, now, until) => {
                    Ok(RevocationState::Revoked)
                }
                RevocationQuestion::Revoke { jti, now, until } => {
                    tokio::task::spawn_blocking(move || this.revoke(&jti, now, until)).await??;
                    Ok(RevocationState::Revoked)
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
    fn the_file_holds_what_memory_holds_and_no_more_than_its_bound() {
        let folder = std::env::temp_dir().join(format!("revocation-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("revocations.redb");
        let far = u64::MAX;
        let store = FileRevocations::open(&path, 2).unwrap();
        store.revoke("a", 10, 20).unwrap();
        store.revoke("b", 10, far).unwrap();
        store.revoke("b", 10, far).unwrap();
        assert!(store.revoke("c", 19, far).unwrap_err().to_string().contains("2 revocations"));
        // One that has expired takes no place, and makes room, in the file too.
        store.revoke("over", 19, 19).unwrap();
        store.revoke("c", 20, far).unwrap();
        let file = store.file.begin_read().unwrap().open_table(REVOKED).unwrap();
        let names: Vec<_> = file.iter().unwrap().map(|entry| entry.unwrap().0.value().to_owned()).collect();
        assert_eq!(names, ["b", "c"]);
        drop((file, store));

        let again = FileRevocations::open(&path, 2).unwrap();
        assert!(again.memory.is_revoked("b") && again.memory.is_revoked("c") && !again.memory.is_revoked("a"));
        drop(again);
        let small = FileRevocations::open(&path, 1).unwrap_err().to_string();
        assert!(small.contains("1 revocations are remembered"), "{small}");
        std::fs::write(&path, "not a database").unwrap();
        assert!(FileRevocations::open(&path, 1).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
