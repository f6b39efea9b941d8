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

/// A sink that writes each event as one line of JSON to a file, to the standard output, or to another writer.
///
/// The fields are the fields of [`AuditEvent`].
///
/// A token is released after the line of the token was written and flushed. The operating system then has the line; the
/// disk may not have the line yet. If writing fails, for example because the disk is full, the token is withheld and the
/// client receives 503. The sink tries again with the next event, and writes that event on a new line. A reader that
/// skips empty lines and lines that are not JSON therefore finds every event that the sink took.
///
/// A line that is written after the limit of five seconds may belong to a token that was withheld. For each withheld
/// token, an event of [`TracingSink`](super::TracingSink) says so.
///
/// The sink writes one line at a time, in a blocking thread of tokio. If the disk is slow, only exchanges wait.
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
/// // After the file was moved away, for example on SIGHUP:
/// audit.reopen()?;
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JsonLinesSink(Arc<Shared>);

struct Shared {
    /// The path of the file, if the output is a file.
    path: Option<PathBuf>,
    /// Lets one event at a time into a blocking thread. The other events wait in async code, where they can time out.
    turn: Arc<Semaphore>,
    output: Mutex<Output>,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// Whether the output may end in the middle of a line.
    is_torn: bool,
}

impl JsonLinesSink {
    /// Returns a sink that appends to a file. If the file does not exist, the sink creates the file; on Unix, only the
    /// user of the process can read and write the file (mode 0600).
    ///
    /// A relative path starts at the working directory at the time when the file is opened.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let output = Output::open(&path)?;
        Ok(Self::new(Some(path), output))
    }

    /// Returns a sink that writes to the standard output.
    pub fn stdout() -> Self {
        Self::writer(io::stdout())
    }

    /// Returns a sink that writes to a writer: for each event one `write_all`, with the line end, and one `flush`.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(None, Output { writer: Box::new(writer), is_torn: false })
    }

    fn new(path: Option<PathBuf>, output: Output) -> Self {
        Self(Arc::new(Shared { path, turn: Arc::new(Semaphore::new(1)), output: Mutex::new(output) }))
    }

    /// Opens the path again, for this sink and all its clones. Call this method after log rotation has renamed the file.
    /// A sink without a path does nothing.
    ///
    /// When the method returns, the old file is complete, and no line is written to the old file any more.
    ///
    /// The method blocks while a line is being written. In async code, call the method in [`spawn_blocking`].
    ///
    /// # Errors
    /// The path cannot be opened. The sink then keeps writing to the old file.
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
        // A process that was killed may have left half a line.
        let metadata = file.metadata()?;
        let is_torn = metadata.is_file() && metadata.len() > 0 && !ends_with_a_line(path).unwrap_or(false);
        Ok(Self { writer: Box::new(file), is_torn })
    }

    fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        if self.is_torn {
            line.insert(0, b'\n');
        }
        // The output counts as torn if the writer panics.
        self.is_torn = true;
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        self.is_torn = false;
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
