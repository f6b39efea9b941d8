//! One run: every candidate goes through the guard and through the parsers, in batches.

use crate::{candidate::Candidate, generator::candidate, guard::Guard, parser::Parser, shrink::shrink};
use std::{
    fmt, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

const BATCH: usize = 500;
/// The parsers that get every batch. The others are whole servers, which need more time, and get one batch of [`SERVERS`].
const FAST: [&str; 5] = ["aspnet", "go", "php", "qs", "rack"];
const SERVERS: usize = 40;

/// How often a run tells how far it is.
const PROGRESS: Duration = Duration::from_secs(60);

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Candidates(u64),
    Seconds(u64),
}

/// A batch of candidates, each with its bytes and whether the guard passes it.
struct Batch {
    candidates: Vec<(Candidate, bool)>,
    bytes: Vec<Vec<u8>>,
}

/// What happened at one parser.
pub(crate) struct ParserReport {
    version: String,
    candidates: u64,
    /// The number of candidates in which the parser saw the grant.
    pub(crate) saw: u64,
}

pub(crate) struct Report {
    seed: u64,
    seconds: u64,
    candidates: u64,
    not_requests: u64,
    passed: u64,
    pub(crate) parsers: Vec<ParserReport>,
    /// The shrunk candidates, each with the parser that sees the grant.
    pub(crate) differences: Vec<(String, Candidate)>,
}

/// Runs until the limit, or until a batch has a difference. The recorded candidates are the first batch.
#[expect(clippy::print_stdout, reason = "a long run tells how far it is")]
pub(crate) fn run(folder: &Path, seed: u64, limit: Limit, recorded: Vec<Candidate>) -> Report {
    let mut names: Vec<String> = fs::read_dir(folder.join("bin"))
        .expect("DIFFERENTIAL_DIR has the folder bin; run install.sh")
        .map(|program| program.expect("a program").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let (mut queues, mut threads) = (Vec::new(), Vec::new());
    for name in names {
        let (queue, batches) = sync_channel::<Arc<Batch>>(4);
        let (parser, stop) = (Parser::start(folder, &name), Arc::clone(&stop));
        let every = if FAST.contains(&name.as_str()) { 1 } else { SERVERS };
        queues.push((every, queue));
        threads.push(thread::spawn(move || compare(parser, &batches, &stop)));
    }

    let guard = Guard::new();
    let mut report = Report {
        seed,
        seconds: 0,
        candidates: 0,
        not_requests: 0,
        passed: 0,
        parsers: Vec::new(),
        differences: Vec::new(),
    };
    let mut number = 0;
    let mut told = start;
    let mut next = recorded;
    let is_done = |report: &Report| match limit {
        Limit::Candidates(candidates) => report.candidates >= candidates,
        Limit::Seconds(seconds) => start.elapsed() >= Duration::from_secs(seconds),
    };
    for round in 0_usize.. {
        let batch = Arc::new(judge(&guard, next, &mut report));
        for (_, queue) in queues.iter().filter(|(every, _)| round == 0 || (round - 1) % every == 0) {
            // A parser that failed has ended its thread, which tells of the failure below.
            let _ = queue.send(Arc::clone(&batch));
        }
        if stop.load(Ordering::Relaxed) || is_done(&report) {
            break;
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            println!("{} candidates in {} s, no difference", report.candidates, start.elapsed().as_secs());
        }
        next = (number..number + BATCH as u64).map(|number| candidate(seed, number)).collect();
        number += BATCH as u64;
    }
    drop(queues);
    for thread in threads {
        let (parser, difference) = thread.join().expect("a parser failed");
        report.differences.extend(difference.map(|candidate| (parser.version.clone(), candidate)));
        report.parsers.push(parser);
    }
    report.seconds = start.elapsed().as_secs();
    report
}

/// Asks the guard about each candidate.
fn judge(guard: &Guard, candidates: Vec<Candidate>, report: &mut Report) -> Batch {
    let mut batch = Batch { candidates: Vec::new(), bytes: Vec::new() };
    for candidate in candidates {
        let Some(passes) = guard.passes(&candidate) else {
            report.not_requests += 1;
            continue;
        };
        report.candidates += 1;
        report.passed += u64::from(passes);
        batch.bytes.push(candidate.to_bytes());
        batch.candidates.push((candidate, passes));
    }
    batch
}

/// Asks one parser about each batch. Returns the first difference.
fn compare(mut parser: Parser, batches: &Receiver<Arc<Batch>>, stop: &AtomicBool) -> (ParserReport, Option<Candidate>) {
    let mut report = ParserReport { version: parser.version.clone(), candidates: 0, saw: 0 };
    let mut difference = None;
    for batch in batches {
        let answers = parser.see_grant(&batch.bytes);
        report.candidates += answers.len() as u64;
        report.saw += answers.iter().filter(|saw| **saw).count() as u64;
        let found = batch.candidates.iter().zip(answers).find(|((_, passes), saw)| *passes && *saw);
        if let Some(((candidate, _), _)) = found {
            stop.store(true, Ordering::Relaxed);
            let guard = Guard::new();
            let is_difference = |candidate: &Candidate| {
                guard.passes(candidate) == Some(true) && parser.see_grant(&[candidate.to_bytes()]) == [true]
            };
            difference = Some(shrink(candidate.clone(), is_difference));
            break;
        }
    }
    (report, difference)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.candidates - self.passed;
        writeln!(
            f,
            "{} candidates of seed {} in {} s: the guard refused {refused} and passed {}. {} more were no requests.",
            self.candidates, self.seed, self.seconds, self.passed, self.not_requests,
        )?;
        for ParserReport { version, candidates, saw } in &self.parsers {
            writeln!(f, "{version}: {candidates} candidates, saw the grant in {saw}")?;
        }
        writeln!(f, "{} differences", self.differences.len())?;
        for (version, candidate) in &self.differences {
            writeln!(f, "{version} sees the grant in\n{}", candidate.to_bytes().escape_ascii())?;
        }
        Ok(())
    }
}
