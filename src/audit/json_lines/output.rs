use super::{local::is_local, rotation::Rotation};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long a quick write takes at most. One longer write can also mean that the system gave the thread no time.
const QUICK: Duration = Duration::from_millis(10);
/// How many slow writes in a row make an output slow, and for how long.
const SLOW_WRITES: u32 = 2;
const SLOW_TIME: Duration = Duration::from_secs(10);

/// Where the lines go.
pub(super) struct Output {
    /// The path, if the output is a file.
    path: Option<PathBuf>,
    rotation: Option<Rotation>,
    opened: Opened,
    /// The slow writes since the latest quick one, and when writes can be expected to be quick again.
    slow_writes: u32,
    slow_until: Option<Instant>,
}

/// What was opened, and what is known about it.
struct Opened {
    writer: Box<dyn Write + Send>,
    /// Whether the output may end in the middle of a line.
    is_torn: bool,
    /// The size in bytes, if the output is a regular file.
    size: Option<u64>,
    /// Whether the output is a regular file on this machine, so that a write is usually a copy to memory.
    is_local: bool,
}

/// What an output took of the lines that were given to it.
pub(super) struct Taken {
    /// The first bytes, which the operating system has.
    pub(super) bytes: usize,
    /// Why the output took no more.
    pub(super) result: io::Result<()>,
}

impl Output {
    pub(super) fn writer(writer: Box<dyn Write + Send>) -> Self {
        let opened = Opened { writer, is_torn: false, size: None, is_local: false };
        Self { path: None, rotation: None, opened, slow_writes: 0, slow_until: None }
    }

    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        let opened = Opened::file(&path)?;
        Ok(Self { path: Some(path), rotation: None, opened, slow_writes: 0, slow_until: None })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(super) fn rotate(&mut self, rotation: Rotation) {
        self.rotation = Some(rotation);
    }

    /// Opens the path again. If the path cannot be opened, the output stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.opened = Opened::file(path)?;
        }
        Ok(())
    }

    /// Whether a write of this many bytes is expected to be quick. Neither a new file nor a slow disk is.
    pub(super) fn is_quick(&self, bytes: usize) -> bool {
        let is_slow = || self.slow_until.is_some_and(|until| Instant::now() < until);
        self.opened.is_local && !self.is_full(bytes) && !is_slow()
    }

    /// How many bytes of lines one write may have, if the first line has this many bytes. All of them are in one file.
    pub(super) fn room(&self, first_line: usize) -> usize {
        let (Some(size), Some(rotation)) = (self.opened.size, &self.rotation) else { return usize::MAX };
        let size = if self.is_full(first_line) { 0 } else { size };
        usize::try_from(rotation.limit().saturating_sub(size)).unwrap_or(usize::MAX)
    }

    /// Writes whole lines. A full file is put aside first.
    pub(super) fn write(&mut self, lines: &[u8]) -> Taken {
        let started = Instant::now();
        let taken = self.put_aside_if_full(lines.len()).map(|()| self.opened.write(lines));
        self.note(started.elapsed());
        taken.unwrap_or_else(|error| Taken { bytes: 0, result: Err(error) })
    }

    /// Notes how long a write took.
    fn note(&mut self, duration: Duration) {
        self.slow_writes = if duration > QUICK { self.slow_writes.saturating_add(1) } else { 0 };
        if self.slow_writes >= SLOW_WRITES {
            self.slow_until = Some(Instant::now() + SLOW_TIME);
        }
    }

    fn put_aside_if_full(&mut self, added: usize) -> io::Result<()> {
        if self.is_full(added)
            && let (Some(path), Some(rotation)) = (&self.path, &mut self.rotation)
            && rotation.put_aside(path)
        {
            self.reopen()?;
        }
        Ok(())
    }

    fn is_full(&self, added: usize) -> bool {
        let (Some(size), Some(rotation)) = (self.opened.size, &self.rotation) else { return false };
        let added = added as u64 + u64::from(self.opened.is_torn);
        size > 0 && size.saturating_add(added) > rotation.limit()
    }
}

impl Opened {
    /// Opens a file for appending.
    fn file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        // A process that was killed may have left half a line.
        let metadata = file.metadata()?;
        let size = metadata.is_file().then_some(metadata.len());
        let is_torn = size.is_some_and(|size| size > 0) && !ends_with_a_line(path).unwrap_or(false);
        let is_local = metadata.is_file() && is_local(&file);
        Ok(Self { writer: Box::new(file), is_torn, size, is_local })
    }

    fn write(&mut self, lines: &[u8]) -> Taken {
        if self.is_torn {
            let Taken { result, .. } = self.append(b"\n");
            if result.is_err() {
                return Taken { bytes: 0, result };
            }
        }
        // The output counts as torn if the writer panics.
        self.is_torn = true;
        let Taken { mut bytes, mut result } = self.append(lines);
        if let Err(error) = self.writer.flush() {
            (bytes, result) = (0, result.and(Err(error)));
        }
        self.is_torn = result.is_err();
        Taken { bytes, result }
    }

    /// Does what `write_all` does, and counts.
    fn append(&mut self, text: &[u8]) -> Taken {
        let mut bytes = 0;
        let mut result = Ok(());
        while bytes < text.len() && result.is_ok() {
            match self.writer.write(&text[bytes..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => bytes += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        if let Some(size) = &mut self.size {
            *size += bytes as u64;
        }
        Taken { bytes, result }
    }
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
impl Output {
    /// An output that counts as a file on this machine.
    pub(super) fn local(writer: impl Write + Send + 'static) -> Self {
        let opened = Opened { writer: Box::new(writer), is_torn: false, size: None, is_local: true };
        Self { path: None, rotation: None, opened, slow_writes: 0, slow_until: None }
    }

    /// Makes the output slow.
    pub(super) fn slow_down(&mut self) {
        (0..SLOW_WRITES).for_each(|_| self.note(2 * QUICK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slow_writes_make_an_output_slow() {
        let mut output = Output::local(io::sink());
        for (milliseconds, is_quick) in [(1, true), (20, true), (1, true), (20, true), (20, false), (1, false)] {
            output.note(Duration::from_millis(milliseconds));
            assert_eq!(output.is_quick(100), is_quick, "{milliseconds}");
        }
        assert!(!Output::writer(Box::new(io::sink())).is_quick(100), "nobody knows whether a writer blocks");
    }
}
