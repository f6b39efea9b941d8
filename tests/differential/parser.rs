//! A parser of another author, as a process. The programs are in `parsers/`; `install.sh` installs what they need.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

pub(crate) struct Parser {
    process: Child,
    /// `None` after the parser was told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The name and the version, as the parser states them.
    pub(crate) version: String,
}

impl Parser {
    pub(crate) fn start(folder: &Path, name: &str) -> Self {
        let mut process = Command::new(folder.join("bin").join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("the parser {name} does not start: {error}; run install.sh"));
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut version = String::new();
        output.read_line(&mut version).expect("a parser states its version");
        assert!(version.len() > 1, "the parser {name} ended; run install.sh, and then {name} by hand");
        Self { process, input, output, version: version.trim().to_owned() }
    }

    /// Whether the parser sees the exchange grant at the token endpoint in each request.
    pub(crate) fn see_grant(&mut self, requests: &[Vec<u8>]) -> Vec<bool> {
        let length = |length: usize| u32::try_from(length).expect("a small batch").to_le_bytes();
        let mut message = length(requests.len()).to_vec();
        for request in requests {
            message.extend(length(request.len()));
            message.extend(request);
        }
        let mut answers = vec![0; requests.len()];
        let input = self.input.as_mut().expect("the parser runs");
        let result = input.write_all(&message).and_then(|()| input.flush());
        result
            .and_then(|()| self.output.read_exact(&mut answers))
            .unwrap_or_else(|error| panic!("{}: {error}", self.version));
        answers.into_iter().map(|answer| answer == b'1').collect()
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // A parser ends with its input, and then ends the processes that it has started.
        drop(self.input.take());
        for _ in 0..50 {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        // The process may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
