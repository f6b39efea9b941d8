use super::output::Output;
use crate::locks;
use std::{
    collections::VecDeque,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};
use tokio::{sync::oneshot, task::spawn_blocking};

/// The lines that wait, and the output that they wait for.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    pub(super) output: Mutex<Output>,
}

#[derive(Default)]
struct Waiting {
    /// The lines of issued and revoked tokens. They come before all other lines.
    needed: VecDeque<Line>,
    others: VecDeque<Line>,
    /// Whether a thread writes the lines.
    has_writer: bool,
}

struct Line {
    text: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

/// The thread that writes the lines, one at a time.
struct Writer {
    queue: Arc<Queue>,
    /// Whether no line waits for this thread any more.
    is_done: bool,
}

impl Queue {
    pub(super) fn new(output: Output) -> Self {
        Self { waiting: Mutex::default(), output: Mutex::new(output) }
    }

    /// Waits until a line is written. A line whose future was dropped is not written.
    pub(super) async fn write(self: &Arc<Self>, text: Vec<u8>, is_needed: bool) -> io::Result<()> {
        let (written, receiver) = oneshot::channel();
        let starts = {
            let mut waiting = locks::lock(&self.waiting);
            let line = Line { text, written };
            if is_needed {
                waiting.needed.push_back(line)
            } else {
                waiting.others.push_back(line)
            }
            !mem::replace(&mut waiting.has_writer, true)
        };
        if starts {
            let writer = Writer { queue: Arc::clone(self), is_done: false };
            spawn_blocking(move || writer.run());
        }
        receiver.await.unwrap_or_else(|_| Err(io::Error::other("the runtime shut down")))
    }
}

impl Writer {
    fn run(mut self) {
        while let Some(line) = self.next() {
            // Nobody waits for a line whose time is over.
            if line.written.is_closed() {
                continue;
            }
            let write = || locks::lock(&self.queue.output).write(line.text);
            let written = catch_unwind(AssertUnwindSafe(write));
            let _ = line.written.send(written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked"))));
        }
    }

    /// Returns the next line. Without one, the next event starts another thread.
    fn next(&mut self) -> Option<Line> {
        let mut waiting = locks::lock(&self.queue.waiting);
        let line = waiting.needed.pop_front().or_else(|| waiting.others.pop_front());
        waiting.has_writer = line.is_some();
        self.is_done = line.is_none();
        line
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
