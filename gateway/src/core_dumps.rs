//! No core dumps: a core dump would write tokens, secrets and private keys to a disk.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;

/// Switches core dumps of this process off.
///
/// On Linux, the process also becomes *not dumpable*: neither a collector of crash reports nor another process of the same
/// user can read its memory.
pub(crate) fn switch_off() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
