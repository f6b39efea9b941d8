//! The guard against real parsers: no request that the guard passes is a token exchange for any of them.
//!
//! The recorded candidates are tests without parsers. `CONTRIBUTING.md` has the command for a run with the parsers.

mod bodies;
mod candidate;
mod generator;
mod guard;
mod parser;
mod random;
mod run;
mod shrink;
mod words;

use candidate::Candidate;
use guard::Guard;
use std::{env, fs, path::Path};

/// The recorded candidates: requests that a parser once read as an exchange although the guard passed them, and one request
/// for each kind of parser. The fuzz target `guard` starts from them too.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/guard");

fn recorded() -> Vec<(String, Candidate)> {
    let files = fs::read_dir(RECORDED).expect("a folder").map(|file| file.expect("a file").path());
    let named = files.map(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let candidate = Candidate::from_bytes(&fs::read(&path).expect("a file"));
        (name.clone(), candidate.unwrap_or_else(|| panic!("{name} is not a request")))
    });
    named.collect()
}

#[test]
fn the_guard_refuses_every_recorded_candidate() {
    let guard = Guard::new();
    let recorded = recorded();
    assert!(recorded.len() >= 20, "{} candidates", recorded.len());
    for (name, candidate) in recorded {
        assert_eq!(guard.passes(&candidate), Some(name.starts_with("passed_")), "{name}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the counters of a run are its result")]
#[ignore = "needs the parsers that tests/differential/install.sh installs, in DIFFERENTIAL_DIR"]
fn no_parser_sees_a_grant_that_passes() {
    let folder = env::var("DIFFERENTIAL_DIR").expect("DIFFERENTIAL_DIR is the folder of the parsers");
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")));
    let limit = match (number("DIFFERENTIAL_CANDIDATES"), number("DIFFERENTIAL_SECONDS")) {
        (Some(candidates), _) => run::Limit::Candidates(candidates),
        (None, seconds) => run::Limit::Seconds(seconds.unwrap_or(60)),
    };
    let recorded = recorded().into_iter().map(|(_, candidate)| candidate).collect();
    let report = run::run(Path::new(&folder), number("DIFFERENTIAL_SEED").unwrap_or(1), limit, recorded);
    println!("{report}");
    assert!(report.differences.is_empty(), "a parser sees the grant in a request that the guard passes");
    assert!(report.parsers.iter().all(|parser| parser.saw > 0), "a parser that never sees the grant tests nothing");
}
