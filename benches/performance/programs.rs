//! The programs that the measurement starts.

use crate::Arguments;
use std::{
    error::Error,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Where the programs are.
pub(crate) struct Programs {
    pub(crate) load: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) gateway: PathBuf,
    pub(crate) old_server: Option<PathBuf>,
    pub(crate) old_gateway: Option<PathBuf>,
    /// A folder for files that the programs write.
    pub(crate) folder: PathBuf,
}

impl Programs {
    pub(crate) fn build(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        if !arguments.no_load {
            cargo(["build", "--release", "-p", "tower-token-exchange-benches", "--examples"])?;
            cargo(["build", "--release", "-p", "token-exchange-gateway"])?;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let release = folder.with_file_name("release");
        let folder = folder.join("performance");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            load: release.join("examples/load"),
            server: release.join("examples/load_server"),
            gateway: release.join("token-exchange-gateway"),
            old_server: arguments.old_server.clone(),
            old_gateway: arguments.old_gateway.clone(),
            folder,
        })
    }
}

/// Runs cargo, and returns what it printed.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Result<String, Box<dyn Error>> {
    eprintln!("cargo {}", arguments.join(" "));
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo {}: {}", arguments.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The processors that a program may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processors {
    All,
    Only(usize),
}

/// A command that runs on some processors only.
pub(crate) fn on(processors: Processors, program: &Path) -> Command {
    match processors {
        Processors::All => Command::new(program),
        Processors::Only(number) => {
            let mut command = Command::new("taskset");
            command.args([OsStr::new("-c"), number.to_string().as_ref(), program.as_ref()]);
            command
        }
    }
}

/// A program that runs until it is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    /// The process id. `taskset` becomes the program, with the same id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
