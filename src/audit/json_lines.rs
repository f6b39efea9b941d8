use super::AuditEvent;
use crate::locks;
use futures_util::future::BoxFuture;
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tower::Service;

/// A sink that writes each event as a line of JSON, with the fields of [`AuditEvent`], to a file, the standard output
/// or anything else.
///
/// A token is released when its line was written and flushed: handed to the operating system, which is not yet the
/// disk. Where that fails, as it does when the disk is full, the token is withheld and the client gets 503; the next
/// event is tried anew. What was written of a line until then stays, with a line end behind it before the next event:
/// a reader skips what is not JSON, and empty lines, and finds every event that was taken.
///
/// A line that comes too late, after five seconds, may be written all the same. Of each token that was withheld there is
/// an event of [`TracingSink`](crate::audit::TracingSink) that says so.
///
/// It writes in threads of tokio's for what blocks, one at a time, so that a slow disk stops no other request.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     audit::JsonLinesSink,
///     policy::{Rule, Subjects},
///     signing::{Algorithm, LocalSigner},
/// };
///
/// # let directory = std::env::temp_dir().join(format!("json-lines-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("audit.jsonl");
/// let audit = JsonLinesSink::file(&path)?;
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .audit(audit.clone())
///     .build()?;
/// # let _ = layer;
///
/// // When the file was moved away, on SIGHUP say:
/// audit.reopen()?;
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JsonLinesSink(Arc<Shared>);

struct Shared {
    /// Where the file is, if it is one.
    path: Option<PathBuf>,
    /// One event at a time gets as far as a thread: behind a disk that hangs, the others can still give up.
    turn: Arc<Semaphore>,
    output: Mutex<Output>,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// Whether it may have ended in the middle of a line.
    torn: bool,
}

impl JsonLinesSink {
    /// Appends to this file, and creates it if it is not there, on Unix for this user alone (mode 0600). A relative path
    /// is one from where the process is at each opening.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let output = Output::open(&path)?;
        Ok(Self::new(Some(path), output))
    }

    /// Writes to the standard output.
    pub fn stdout() -> Self {
        Self::writer(io::stdout())
    }

    /// Writes to this writer. Each event is one `write_all`, its line end included, and one `flush`.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(None, Output { writer: Box::new(writer), torn: false })
    }

    fn new(path: Option<PathBuf>, output: Output) -> Self {
        Self(Arc::new(Shared { path, turn: Arc::new(Semaphore::new(1)), output: Mutex::new(output) }))
    }

    /// Opens the path anew, for log rotation: call it when the file was renamed. It does so for all clones. Once it has
    /// returned, nothing more is written to the old file, and what was written before is in there. Does nothing for a
    /// sink that has no path.
    ///
    /// It blocks while a line is being written; in an async task, call it in [`spawn_blocking`].
    ///
    /// # Errors
    /// The path cannot be opened. The old file then stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let Some(path) = &self.0.path else { return Ok(()) };
        let output = Output::open(path)?;
        *locks::lock(&self.0.output) = output;
        Ok(())
    }
}

impl Output {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        // A process that ended in the middle of a line may have left it so.
        let metadata = file.metadata()?;
        let torn = metadata.is_file() && metadata.len() > 0 && !ends_with_a_line(path).unwrap_or(false);
        Ok(Self { writer: Box::new(file), torn })
    }

    fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        if self.torn {
            line.insert(0, b'\n');
        }
        // Even if the writer panics.
        self.torn = true;
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        self.torn = false;
        Ok(())
    }
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

impl Service<AuditEvent> for JsonLinesSink {
    type Response = ();
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: AuditEvent) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let mut line = serde_json::to_vec(&event)?;
            line.push(b'\n');
            let turn = Arc::clone(&shared.turn).acquire_owned().await.map_err(io::Error::other)?;
            let written = spawn_blocking(move || {
                let written = locks::lock(&shared.output).write(line);
                drop(turn);
                written
            });
            written.await?
        })
    }
}

impl fmt::Debug for JsonLinesSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLinesSink").field("path", &self.0.path).finish_non_exhaustive()
    }
}
