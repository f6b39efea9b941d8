mod batch;
mod local;
mod output;
mod queue;
mod rotation;

use super::AuditEvent;
use crate::locks;
use futures_util::future::BoxFuture;
use output::Output;
use queue::{Progress, Queue};
use rotation::Rotation;
use std::{
    cell::RefCell,
    fmt,
    io::{self, Write},
    num::NonZeroU64,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// How much memory for a line a thread keeps, in bytes. Only the line of an unusual event is longer.
const MAX_SPARE: usize = 16 * 1024;

/// A sink that writes each event as one line of JSON to a file, to the standard output, or to another writer.
///
/// The fields are the fields of [`AuditEvent`].
///
/// A token is released after the line of the token was written and flushed. The operating system then has the line; the
/// disk may not have the line yet. If writing fails, for example because the disk is full, the token is withheld and the
/// client receives 503. The sink tries again with the next event, and writes that event on a new line. A reader that
/// skips empty lines and lines that are not JSON therefore finds every event that the sink took.
///
/// A line whose writing takes longer than the limit of five seconds may belong to a token that was withheld. For each
/// withheld token, an event of [`TracingSink`](super::TracingSink) says so.
///
/// # Many events, slow disks
///
/// The lines of issued and revoked tokens that wait at the same time are one write, of 64 KiB at most. If a write fails in
/// the middle, the complete lines before the fault count as written. The lines of issued and revoked tokens come first: such
/// a line never waits for more than one other line.
///
/// On Linux, a line for a regular file on a local file system (ext4, XFS, Btrfs, tmpfs, overlayfs and similar) is written in
/// the thread of its request: such a write is a copy to the page cache. While a write takes longer than expected, one thread
/// of the runtime waits. After two writes in a row of more than 10 ms each, the sink makes all writes of the next 10 s in a
/// blocking thread of tokio. Every other write is always made in a blocking thread: to NFS and other network file systems, to pipes,
/// to the standard output and to other writers, and if a file is rotated. There, a slow disk makes only those requests wait
/// that the layer answers.
///
/// # Rotation
///
/// [`rotate_at`](Self::rotate_at) starts a new file when the file has reached a size. With
/// [`reopen`](Self::reopen), another program can rotate the file.
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
pub struct JsonLinesSink(Arc<Queue>);

impl JsonLinesSink {
    /// Returns a sink that appends to a file. If the file does not exist, the sink creates the file; on Unix, only the
    /// user of the process can read and write the file (mode 0600).
    ///
    /// A relative path starts at the working directory at the time when the file is opened.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        Output::file(path.into()).map(Self::new)
    }

    /// Returns a sink that writes to the standard output.
    pub fn stdout() -> Self {
        Self::writer(io::stdout())
    }

    /// Returns a sink that writes to a writer. The sink writes one or more whole lines, and then flushes.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(Output::writer(Box::new(writer)))
    }

    fn new(output: Output) -> Self {
        Self(Arc::new(Queue::new(output)))
    }

    /// Starts a new file before a line would make the file larger than `bytes`, for this sink and all its clones.
    /// Default: one file of any size.
    ///
    /// The full file gets the name of the file and the end `.1`, an older file `.1` becomes `.2`, and so on. Each change of
    /// a name is atomic, and no line is divided between two files. The sink keeps `keep` older files, at least one, and
    /// deletes the oldest. Copy the older files to another place before they are deleted.
    ///
    /// If a file cannot be renamed, for example because the directory is read-only, the sink logs an error and writes to the
    /// file that is too large. The sink tries again with every line. If the file cannot be opened after the renaming,
    /// the line fails, and its token is withheld.
    ///
    /// Only a regular file is rotated. Only one process may write to the file.
    ///
    /// ```
    /// use std::num::NonZeroU64;
    /// use tower_token_exchange::audit::JsonLinesSink;
    ///
    /// # let path = std::env::temp_dir().join(format!("rotated-{}.jsonl", std::process::id()));
    /// const MAX_SIZE: NonZeroU64 = NonZeroU64::new(100 * 1024 * 1024).unwrap();
    /// let audit = JsonLinesSink::file(&path)?.rotate_at(MAX_SIZE, 10);
    /// # drop(audit);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn rotate_at(self, bytes: NonZeroU64, keep: usize) -> Self {
        locks::lock(&self.0.output).rotate(Rotation::new(bytes.get(), keep));
        self
    }

    /// Opens the path again, for this sink and all its clones. Call this method after log rotation has renamed the file.
    /// A sink without a path does nothing.
    ///
    /// When the method returns, the old file is complete, and no line is written to the old file any more.
    ///
    /// The method blocks while a line is being written. In async code, call the method in
    /// [`spawn_blocking`](tokio::task::spawn_blocking).
    ///
    /// # Errors
    /// The path cannot be opened. The sink then keeps writing to the old file.
    pub fn reopen(&self) -> io::Result<()> {
        locks::lock(&self.0.output).reopen()
    }
}

impl Service<AuditEvent> for JsonLinesSink {
    type Response = ();
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: AuditEvent) -> Self::Future {
        let queue = Arc::clone(&self.0);
        Box::pin(async move { add(&queue, &event)?.end().await })
    }
}

thread_local! {
    /// The memory for a line. Each event of the thread uses the same memory.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn add(queue: &Arc<Queue>, event: &AuditEvent) -> io::Result<Progress> {
    LINE.with_borrow_mut(|line| {
        line.clear();
        line.shrink_to(MAX_SPARE);
        serde_json::to_writer(&mut *line, event)?;
        line.push(b'\n');
        Ok(queue.add(line, event.outcome.needs_audit()))
    })
}

impl fmt::Debug for JsonLinesSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line that is being written would make a lock wait.
        let path = self.0.output.try_lock().ok().and_then(|output| output.path().map(std::path::Path::to_owned));
        f.debug_struct("JsonLinesSink").field("path", &path).finish_non_exhaustive()
    }
}
