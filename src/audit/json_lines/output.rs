use super::rotation::Rotation;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Where the lines go.
pub(super) struct Output {
    /// The path, if the output is a file.
    path: Option<PathBuf>,
    rotation: Option<Rotation>,
    writer: Box<dyn Write + Send>,
    /// Whether the output may end in the middle of a line.
    is_torn: bool,
    /// The size in bytes, if the output is a regular file.
    size: Option<u64>,
}

impl Output {
    pub(super) fn writer(writer: Box<dyn Write + Send>) -> Self {
        Self { path: None, rotation: None, writer, is_torn: false, size: None }
    }

    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        let (file, is_torn, size) = open(&path)?;
        Ok(Self { path: Some(path), rotation: None, writer: Box::new(file), is_torn, size })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(super) fn rotate(&mut self, rotation: Rotation) {
        self.rotation = Some(rotation);
    }

    /// Opens the path again. If the path cannot be opened, the output stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let (file, is_torn, size) = open(path)?;
        self.writer = Box::new(file);
        (self.is_torn, self.size) = (is_torn, size);
        Ok(())
    }

    /// Writes one line. A full file is put aside first.
    pub(super) fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        if self.is_full(line.len() as u64)
            && let (Some(path), Some(rotation)) = (&self.path, &mut self.rotation)
            && rotation.put_aside(path)
        {
            self.reopen()?;
        }
        if self.is_torn {
            line.insert(0, b'\n');
        }
        // The output counts as torn if the writer panics.
        self.is_torn = true;
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        self.is_torn = false;
        if let Some(size) = &mut self.size {
            *size += line.len() as u64;
        }
        Ok(())
    }

    fn is_full(&self, added: u64) -> bool {
        let (Some(size), Some(rotation)) = (self.size, &self.rotation) else { return false };
        size > 0 && size.saturating_add(added) > rotation.limit()
    }
}

/// Opens a file for appending. Returns whether the file ends in the middle of a line, and the size of a regular file.
fn open(path: &Path) -> io::Result<(File, bool, Option<u64>)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // A process that was killed may have left half a line.
    let metadata = file.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    let is_torn = size.is_some_and(|size| size > 0) && !ends_with_a_line(path).unwrap_or(false);
    Ok((file, is_torn, size))
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
