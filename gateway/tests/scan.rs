//! A search through the memory of a process.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "two test binaries use this file")]

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::Mutex,
};

/// The mask that keeps a remembered text different from the text.
const MASK: u8 = 0xa5;
const PIECE: usize = 1 << 20;

/// A text whose bytes are masked, so that the text itself is not in memory.
pub struct Remembered {
    pub name: &'static str,
    masked: Vec<u8>,
}

impl Remembered {
    /// Remembers the middle of a text, because an allocator writes over the beginning of memory that is freed.
    pub fn new(name: &'static str, text: &str) -> Self {
        Self::of_bytes(name, &text.as_bytes()[8..text.len() - 4])
    }

    pub fn of_bytes(name: &'static str, bytes: &[u8]) -> Self {
        Self { name, masked: bytes.iter().map(|byte| byte ^ MASK).collect() }
    }

    fn is_at_start_of(&self, memory: &[u8]) -> bool {
        memory.len() >= self.masked.len() && memory.iter().zip(&self.masked).all(|(is, masked)| is ^ MASK == *masked)
    }
}

/// Counts the copies of each text in the memory of a process that can be written to. `process` is a process id or `self`.
///
/// Returns only texts with copies. Fails if this process may not read that memory.
pub fn copies(process: &str, texts: &[Remembered]) -> io::Result<Vec<(&'static str, usize)>> {
    // One search at a time, so that no search finds what another search has just read.
    static SEARCH: Mutex<()> = Mutex::new(());
    let _guard = SEARCH.lock().unwrap();
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let longest = texts.iter().map(|text| text.masked.len()).max().unwrap_or(0);
    let mut starts = [false; 256];
    texts.iter().for_each(|text| starts[usize::from(text.masked[0] ^ MASK)] = true);

    let mut piece = vec![0; PIECE + longest];
    let buffer = piece.as_ptr() as usize..piece.as_ptr() as usize + piece.len();
    let is_own = |address: usize| process == "self" && buffer.contains(&address);
    let mut counts = vec![0; texts.len()];
    for (start, end) in writable_regions(process)? {
        for at in (start..end).step_by(PIECE) {
            let length = (end - at).min(piece.len());
            // Some regions cannot be read, such as those of devices.
            let Ok(read) = memory.read_at(&mut piece[..length], at as u64) else { continue };
            for offset in 0..read.min(PIECE) {
                if !starts[usize::from(piece[offset])] || is_own(at + offset) {
                    continue;
                }
                for (text, count) in texts.iter().zip(&mut counts) {
                    *count += usize::from(text.is_at_start_of(&piece[offset..read]));
                }
            }
            piece[..read].fill(0);
        }
    }
    Ok(texts.iter().map(|text| text.name).zip(counts).filter(|(_, count)| *count > 0).collect())
}

fn writable_regions(process: &str) -> io::Result<Vec<(usize, usize)>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let writable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|flags| flags.starts_with("rw")));
    let range = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    };
    Ok(writable.filter_map(range).collect())
}
