//! The allocations of each scenario, and their budgets.
//!
//! `cargo bench --bench allocations` prints a table, and fails if a number exceeds its budget in `benches/budgets.toml` by more
//! than 3 %. With `-- --update`, the measured numbers become the budgets. With `-- --json`, the numbers are printed as JSON. A buffer that grows counts as a new allocation.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]

mod memory;

use allocation_counter::measure;
use std::{collections::BTreeMap, env, error::Error, process::ExitCode};
use tower_token_exchange::signing::Algorithm;
use tower_token_exchange_benches::{Budget, Budgets, IDLE_LAYER, Scenario, World, scenarios};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let has = |wanted: &str| env::args().any(|argument| argument == wanted);
    let all = scenarios();
    let measured = all
        .iter()
        .filter(|scenario| !is_cryptography(scenario))
        .map(|scenario| (scenario.name.clone(), memory::measured(scenario)));
    let measured: BTreeMap<String, Budget> = measured.chain([idle()]).collect();
    if has("--json") {
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut budgets = Budgets::read()?;
    let mut excesses = Vec::new();
    println!("{:<44} {:>11} {:>9} {:>9}", "scenario", "allocations", "bytes", "in flight");
    for (name, costs) in &measured {
        let [allocations, bytes, in_flight] = [costs.allocations, costs.bytes, costs.in_flight]
            .map(|cost| cost.map_or(String::new(), |cost| cost.to_string()));
        println!("{name:<44} {allocations:>11} {bytes:>9} {in_flight:>9}");
        excesses.extend(budgets.excesses(name, costs).into_iter().map(|excess| format!("{name}: {excess}")));
        if has("--update") {
            budgets.update(name, costs);
        }
    }
    if has("--update") {
        budgets.write()?;
        return Ok(ExitCode::SUCCESS);
    }
    for excess in &excesses {
        println!("EXCEEDED: {excess}");
    }
    if excesses.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("If the cost is intended: cargo bench --bench allocations -- --update");
    Ok(ExitCode::FAILURE)
}

/// The raw cryptography is not a part of this library.
fn is_cryptography(scenario: &Scenario) -> bool {
    scenario.cryptography == [scenario.name.as_str()]
}

fn idle() -> (String, Budget) {
    let world = World::new(Algorithm::ES256);
    let mut layer = None;
    let info = measure(|| layer = world.builder().build().ok());
    assert!(layer.is_some(), "the layer is built");
    (IDLE_LAYER.to_owned(), Budget { in_flight: Some(info.bytes_current.unsigned_abs()), ..Budget::default() })
}
