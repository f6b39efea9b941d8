use super::{
    batch::{Batch, Line, write},
    output::Output,
};
use crate::locks;
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};
use tokio::{sync::oneshot::Receiver, task::spawn_blocking};

/// The largest write in bytes, unless one line is larger.
const MAX_BATCH: usize = 64 * 1024;
/// How many writes a request makes for other requests, before another thread goes on.
const MAX_TURNS: usize = 4;

/// The lines that wait, and the output that they wait for.
///
/// One thread writes at a time. If nobody writes and the output is quick, a request writes its own line in its own thread.
/// All other lines wait. The next write has all lines of issued and revoked tokens that wait, or one other line.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    pub(super) output: Mutex<Output>,
}

#[derive(Default)]
struct Waiting {
    /// The lines of issued and revoked tokens. They come before all other lines.
    needed: VecDeque<Line>,
    others: VecDeque<Line>,
    /// Whether a [`Writer`] exists. Without a writer, no line waits.
    has_writer: bool,
}

/// The right to write. A queue has one at most.
struct Writer {
    queue: Arc<Queue>,
    /// The lines of the next write.
    batch: Batch,
    /// Whether no line waits for this writer any more.
    is_done: bool,
}

/// A line that was written, or was not, or that waits.
pub(super) enum Progress {
    Ended(io::Result<()>),
    Waits(Receiver<io::Result<()>>),
}

impl Progress {
    /// Waits until the line is written.
    pub(super) async fn end(self) -> io::Result<()> {
        match self {
            Self::Ended(written) => written,
            Self::Waits(written) => written.await.unwrap_or_else(|_| Err(io::Error::other("the runtime shut down"))),
        }
    }
}

impl Queue {
    pub(super) fn new(output: Output) -> Self {
        Self { waiting: Mutex::default(), output: Mutex::new(output) }
    }

    /// Writes a line, or lets the line wait. If the result is dropped, a line that waits is not written.
    pub(super) fn add(self: &Arc<Self>, line: &[u8], is_needed: bool) -> Progress {
        let mut writer = {
            let mut waiting = locks::lock(&self.waiting);
            if waiting.has_writer {
                return Progress::Waits(waiting.add(line, is_needed));
            }
            waiting.has_writer = true;
            Writer { queue: Arc::clone(self), batch: Batch::default(), is_done: false }
        };
        let output = locks::try_lock(&self.output).filter(|output| output.is_quick(line.len()));
        let Some(mut output) = output else {
            let written = locks::lock(&self.waiting).add(line, is_needed);
            writer.move_to_other_thread();
            return Progress::Waits(written);
        };
        let written = write(&mut output, line).result;
        for _ in 0..MAX_TURNS {
            if !writer.has_batch(&output) {
                return Progress::Ended(written);
            }
            if !output.is_quick(writer.batch.len()) {
                break;
            }
            writer.batch.write_to(&mut output);
        }
        drop(output);
        writer.move_to_other_thread();
        Progress::Ended(written)
    }
}

impl Waiting {
    fn add(&mut self, line: &[u8], is_needed: bool) -> Receiver<io::Result<()>> {
        let (line, written) = Line::new(line);
        if is_needed {
            self.needed.push_back(line)
        } else {
            self.others.push_back(line)
        }
        written
    }

    /// Moves the lines of the next write into an empty batch.
    fn fill(&mut self, batch: &mut Batch, output: &Output) {
        // A line of an issued token can come at any time, and must not wait for many other lines.
        for (lines, most) in [(&mut self.needed, MAX_BATCH), (&mut self.others, 0)] {
            let mut room = 0;
            while let Some(line) = lines.pop_front() {
                if line.is_abandoned() {
                    continue;
                }
                if batch.is_empty() {
                    room = output.room(line.len()).min(most);
                } else if batch.len() + line.len() > room {
                    lines.push_front(line);
                    break;
                }
                batch.push(line);
            }
            if !batch.is_empty() {
                return;
            }
        }
    }
}

impl Writer {
    /// Prepares the next write. If no line waits, the right to write is given back.
    fn has_batch(&mut self, output: &Output) -> bool {
        let mut waiting = locks::lock(&self.queue.waiting);
        waiting.fill(&mut self.batch, output);
        waiting.has_writer = !self.batch.is_empty();
        self.is_done = self.batch.is_empty();
        !self.is_done
    }

    fn move_to_other_thread(self) {
        spawn_blocking(move || self.run());
    }

    /// Writes until no line waits.
    fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        loop {
            // `reopen` can have the output between two writes.
            let mut output = locks::lock(&queue.output);
            if self.batch.is_empty() && !self.has_batch(&output) {
                return;
            }
            self.batch.write_to(&mut output);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The runtime may drop the thread before it starts. The lines that wait for it then fail.
        if !self.is_done {
            *locks::lock(&self.queue.waiting) = Waiting::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rotation::Rotation, *};
    use std::{fs, io::Write, thread};

    /// A writer that notes the thread of each write.
    #[derive(Clone, Default)]
    struct Noting(Arc<Mutex<Vec<thread::ThreadId>>>);

    impl Noting {
        fn threads(&self) -> Vec<thread::ThreadId> {
            locks::lock(&self.0).clone()
        }
    }

    impl Write for Noting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            locks::lock(&self.0).push(thread::current().id());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_slow_output_is_written_by_another_thread() {
        for is_slow in [false, true] {
            let writer = Noting::default();
            let mut output = Output::local(writer.clone());
            if is_slow {
                output.slow_down();
            }
            Arc::new(Queue::new(output)).add(b"line\n", true).end().await.unwrap();
            assert_eq!(writer.threads()[0] != thread::current().id(), is_slow);
        }
    }

    /// Fills a queue while nothing can be written. Returns what each line waits for.
    fn add_while_busy(queue: &Arc<Queue>, is_needed: bool, lines: impl Iterator<Item = String>) -> Vec<Progress> {
        let _busy = locks::lock(&queue.output);
        lines.map(|line| queue.add(line.as_bytes(), is_needed)).collect()
    }

    #[tokio::test]
    async fn needed_lines_that_wait_are_one_write() {
        for (is_needed, writes) in [(true, 1), (false, 50)] {
            let writer = Noting::default();
            let queue = Arc::new(Queue::new(Output::writer(Box::new(writer.clone()))));
            for progress in add_while_busy(&queue, is_needed, (0..50).map(|n| format!("{n}\n"))) {
                progress.end().await.unwrap();
            }
            assert_eq!(writer.threads().len(), writes);
        }
    }

    #[tokio::test]
    async fn one_write_has_a_bounded_size() {
        let writer = Noting::default();
        let queue = Arc::new(Queue::new(Output::writer(Box::new(writer.clone()))));
        let line = "x".repeat(MAX_BATCH / 2);
        for progress in add_while_busy(&queue, true, (0..5).map(|_| line.clone())) {
            progress.end().await.unwrap();
        }
        assert_eq!(writer.threads().len(), 3);
    }

    #[tokio::test]
    async fn lines_of_one_batch_go_to_several_files() {
        let directory = std::env::temp_dir().join(format!("batch-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("audit.jsonl");
        let mut output = Output::file(path.clone()).unwrap();
        output.rotate(Rotation::new(100, 10));
        let queue = Arc::new(Queue::new(output));
        for progress in add_while_busy(&queue, true, (0..50).map(|n| format!("line {n:03}\n"))) {
            progress.end().await.unwrap();
        }
        let older = (1..).map(|n| directory.join(format!("audit.jsonl.{n}"))).take_while(|path| path.exists());
        let mut texts: Vec<_> = older.map(|path| fs::read_to_string(path).unwrap()).collect();
        texts.reverse();
        texts.push(fs::read_to_string(&path).unwrap());
        fs::remove_dir_all(directory).unwrap();
        assert!(texts.iter().all(|text| text.len() <= 100 && text.ends_with('\n')), "{texts:?}");
        assert_eq!(texts.concat(), (0..50).map(|n| format!("line {n:03}\n")).collect::<String>());
    }

    #[test]
    fn a_runtime_that_ends_fails_the_lines() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let queue = Arc::new(Queue::new(Output::writer(Box::new(Noting::default()))));
        let handle = runtime.handle().clone();
        drop(runtime);
        let progress = {
            let _context = handle.enter();
            queue.add(b"line\n", true)
        };
        let next = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(next.block_on(progress.end()).is_err());
        assert!(next.block_on(async { queue.add(b"line\n", true).end().await }).is_ok());
    }
}
