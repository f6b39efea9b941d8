use super::output::{Output, Taken};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tokio::sync::oneshot;

/// The answer to a line: the operating system has the line, or why not.
type Answer = io::Result<()>;

/// A line that waits.
pub(super) struct Line {
    text: Vec<u8>,
    written: oneshot::Sender<Answer>,
}

/// Lines that are written at once.
#[derive(Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    /// For each line, where it ends in the text, and who waits for it.
    lines: Vec<(usize, oneshot::Sender<Answer>)>,
}

impl Line {
    /// Returns a line, and what is told when the line is written.
    pub(super) fn new(text: &[u8]) -> (Self, oneshot::Receiver<Answer>) {
        let (written, receiver) = oneshot::channel();
        (Self { text: text.to_vec(), written }, receiver)
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nobody waits for the line any more, for example because its time is over.
    pub(super) fn is_abandoned(&self) -> bool {
        self.written.is_closed()
    }
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn push(&mut self, line: Line) {
        self.text.extend_from_slice(&line.text);
        self.lines.push((self.text.len(), line.written));
    }

    /// Writes all lines, tells each whether the line was written, and empties the batch.
    pub(super) fn write_to(&mut self, output: &mut Output) {
        let Taken { bytes, result } = write(output, &self.text);
        for (end, written) in self.lines.drain(..) {
            // The lines before the fault are complete.
            let answer = if end <= bytes { Ok(()) } else { copy_of(&result) };
            let _ = written.send(answer);
        }
        self.text.clear();
    }
}

/// Writes whole lines. A panic of the writer is an error.
pub(super) fn write(output: &mut Output, lines: &[u8]) -> Taken {
    let taken = catch_unwind(AssertUnwindSafe(|| output.write(lines)));
    taken.unwrap_or_else(|_| Taken { bytes: 0, result: Err(io::Error::other("the writer panicked")) })
}

/// An error of the system keeps its number.
fn copy_of(result: &Answer) -> Answer {
    let Err(error) = result else { return Ok(()) };
    Err(match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    })
}
