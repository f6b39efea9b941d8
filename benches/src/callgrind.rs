//! Counts of instructions by callgrind.
//!
//! Each scenario runs in a process of its own under valgrind. Callgrind counts only while the function
//! [`counted_by_callgrind`] runs.

use crate::{Work, scenarios};
use std::{
    env, fs,
    hint::black_box,
    io,
    path::Path,
    process::{Command, Stdio},
};

/// The times that the work is done before the count begins, so that tables have their size and random numbers their seed.
const WARM_UP: usize = 3;
/// The times that the work is counted. The result is the average.
const COUNTED: usize = 10;
const CHILD: &str = "--run-under-callgrind";

/// The reason why instructions cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Valgrind is not installed.
    #[error("valgrind is not installed; install the package `valgrind`")]
    NoValgrind,
    /// Valgrind or the scenario failed.
    #[error("{0}")]
    Failed(String),
}

/// Does the work of a scenario if this process was started by [`count_instructions`]. Returns whether this was the case.
/// The first line of `main` of every program that counts instructions calls this function.
pub fn run_child() -> bool {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(CHILD) {
        return false;
    }
    let name = arguments.next().unwrap_or_default();
    let scenario = scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario with this name");
    let mut work = scenario.work();
    for turn in 0..WARM_UP + COUNTED {
        work.prepare();
        if turn < WARM_UP {
            work.run();
        } else {
            counted_by_callgrind(&mut work);
        }
        work.check();
    }
    true
}

/// The name of this function is in the arguments of valgrind.
#[inline(never)]
fn counted_by_callgrind(work: &mut Work) {
    work.run();
    // The call above must not be the last instruction, because a jump would leave this function.
    black_box(());
}

/// Counts the instructions of a scenario, for doing its work once.
///
/// # Errors
/// Valgrind is not installed, or the scenario fails.
pub fn count_instructions(scenario: &str, folder: &Path) -> Result<u64, Unavailable> {
    let failed = |error: io::Error| Unavailable::Failed(format!("{scenario}: {error}"));
    fs::create_dir_all(folder).map_err(failed)?;
    let file = folder.join(scenario.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_by_callgrind*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe().map_err(failed)?)
        .args([CHILD, scenario])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unavailable::NoValgrind),
        output => output.map_err(failed)?,
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Unavailable::Failed(format!("{scenario}: {}\n{text}", output.status)));
    }
    let profile = fs::read_to_string(&file).map_err(failed)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok());
    match total {
        Some(total) if total > 0 => Ok(total / COUNTED as u64),
        _ => Err(Unavailable::Failed(format!("{scenario}: callgrind counted nothing"))),
    }
}
