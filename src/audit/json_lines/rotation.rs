use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// When a file is put aside, and how many older files stay.
pub(super) struct Rotation {
    limit: u64,
    keep: usize,
    /// Whether the latest attempt failed. Only the first failure of a series is logged.
    is_failing: bool,
}

impl Rotation {
    pub(super) fn new(limit: u64, keep: usize) -> Self {
        Self { limit, keep: keep.max(1), is_failing: false }
    }

    /// The largest size of a file in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Renames the file to the first older file, and older files before. Returns whether the path is free.
    ///
    /// If a file cannot be renamed, the lines stay in the file that is too large: a line in a large file is better than no
    /// token, and no line is lost.
    pub(super) fn put_aside(&mut self, path: &Path) -> bool {
        let renamed = self.rename(path);
        if let Err(error) = &renamed
            && !self.is_failing
        {
            tracing::error!(
                target: "token_exchange::audit",
                path = %path.display(), %error,
                "the audit file cannot be renamed and grows beyond its limit; make the directory writable"
            );
        }
        self.is_failing = renamed.is_err();
        renamed.is_ok()
    }

    /// Each rename is atomic. After a crash between two renames, a number is free, and the next rotation ends there.
    fn rename(&self, path: &Path) -> io::Result<()> {
        let free = (1..self.keep).find(|number| !older(path, *number).exists()).unwrap_or(self.keep);
        for number in (1..free).rev() {
            fs::rename(older(path, number), older(path, number + 1))?;
        }
        match fs::rename(path, older(path, 1)) {
            // Somebody else has moved the file away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    }
}

/// The path of an older file: `audit.jsonl.1` is the latest.
fn older(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
