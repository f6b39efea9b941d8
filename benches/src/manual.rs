//! The measured parts of the manual.

use std::{fs, io, path::PathBuf};

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../src/manual").join(name)
}

/// Writes a file of the manual.
///
/// # Errors
/// The file cannot be written.
pub fn write(name: &str, text: &str) -> io::Result<()> {
    fs::write(path(name), text)
}

/// Replaces the part of a manual page between two marks.
///
/// # Errors
/// The file cannot be read or written, or does not have the marks.
pub fn replace_measured(name: &str, measured: &str) -> io::Result<()> {
    let page = fs::read_to_string(path(name))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.ok_or_else(|| io::Error::other(format!("{name} does not have the marks {BEGIN}{END}")))?;
    write(name, &format!("{before}{BEGIN}\n{}\n\n{END}{after}", measured.trim()))
}
