//! The instructions of each scenario, and their budgets.
//!
//! `cargo bench --bench instructions` prints a table, and fails if the instructions of a scenario exceed their budget in
//! `benches/budgets.toml` by more than 3 %. With `-- --update`, the measured numbers become the budgets. A further argument
//! chooses the scenarios whose names contain the argument. The benchmark needs valgrind.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its results")]

use std::{collections::HashMap, env, path::PathBuf, process::ExitCode, sync::Mutex, thread};
use tower_token_exchange_benches::{
    Budget, Budgets, IDLE_LAYER, Scenario, Unavailable, count_instructions, run_child, scenarios,
};

fn main() -> ExitCode {
    if run_child() {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every scenario is within its budget.
fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let update = arguments.iter().any(|argument| argument == "--update");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(*part));
    let all = scenarios();
    // The cryptography that a wanted scenario needs is counted too.
    let needed: Vec<&String> =
        all.iter().filter(|scenario| is_wanted(&scenario.name)).flat_map(|scenario| &scenario.cryptography).collect();
    let counted: Vec<&Scenario> =
        all.iter().filter(|scenario| is_wanted(&scenario.name) || needed.contains(&&scenario.name)).collect();
    let counts = count(&counted)?;

    let mut budgets = Budgets::read()?;
    let mut excesses = Vec::new();
    println!("{:<44} {:>12} {:>12} {:>12} {:>7}", "scenario", "instructions", "beyond", "budget", "ratio");
    for scenario in counted {
        let (name, count) = (scenario.name.as_str(), counts[&scenario.name]);
        let cryptography: u64 = scenario.cryptography.iter().map(|operation| counts[operation]).sum();
        if scenario.cryptography == [name] {
            println!("{name:<44} {count:>12}");
            continue;
        }
        let beyond = count.saturating_sub(cryptography);
        let budget = budgets.get(name).instructions.map_or("none".to_owned(), |budget| budget.to_string());
        let ratio =
            if cryptography == 0 { String::new() } else { format!("{:.3}", count as f64 / cryptography as f64) };
        println!("{name:<44} {count:>12} {beyond:>12} {budget:>12} {ratio:>7}");
        let of = |instructions| Budget { instructions: Some(instructions), ..Budget::default() };
        // One signature needs more instructions than another: up to 1 %.
        let certain = of(beyond.saturating_sub(cryptography / 100));
        excesses.extend(budgets.excesses(name, &certain).into_iter().map(|excess| format!("{name}: {excess}")));
        if update {
            budgets.update(name, &of(beyond));
        }
    }
    if update {
        budgets.retain(|name| name == IDLE_LAYER || all.iter().any(|scenario| scenario.name == name));
        budgets.write()?;
        return Ok(true);
    }
    for excess in &excesses {
        println!("EXCEEDED: {excess}");
    }
    if !excesses.is_empty() {
        println!("If the cost is intended: cargo bench --bench instructions -- --update");
    }
    Ok(excesses.is_empty())
}

/// Counts the instructions of each scenario. Two processes run at a time.
fn count(scenarios: &[&Scenario]) -> Result<HashMap<String, u64>, Unavailable> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("callgrind");
    let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    let next = Mutex::new(names.iter());
    let count_some = || {
        let mut counts = Vec::new();
        loop {
            let Some(name) = next.lock().expect("no thread panics").next() else { return Ok(counts) };
            counts.push((name.clone(), count_instructions(name, &folder)?));
        }
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(count_some), scope.spawn(count_some)];
        let mut all = HashMap::new();
        for thread in threads {
            all.extend(thread.join().expect("no thread panics")?);
        }
        Ok(all)
    })
}
