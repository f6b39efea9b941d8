//! The measured part of the manual page.

use crate::{
    in_process::InProcess,
    load::{Loads, Run},
    rows::Row,
};
use std::{fmt::Write, fs, thread};

/// The assumed price of one processor, as the manual page `scale` states it.
const EURO_PER_PROCESSOR_HOUR: f64 = 0.04;

pub(crate) fn report(rows: &[Row], in_process: &InProcess, loads: Option<&Loads>) -> String {
    let mut text = String::new();
    let unit = in_process.verify_and_sign.as_secs_f64() * 1e6;
    let _ =
        writeln!(text, "Measured on {}. One verification and one signature with ES256 take {unit:.0} µs.\n", machine());
    let _ = writeln!(text, "| measure | target | measured | met |\n|---|---|---|---|");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    let _ = writeln!(
        text,
        "\n| in process | instructions | ÷ (verify + sign) | time | ÷ (verify + sign) | allocations | bytes |\n|---|---|---|---|---|---|---|"
    );
    for cost in &in_process.costs {
        let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {:.3} | {:.1} µs | {:.2} | {} | {} |",
            cost.name,
            cost.instructions,
            cost.instruction_ratio,
            cost.time.as_secs_f64() * 1e6,
            cost.time_ratio,
            number(cost.budget.allocations),
            number(cost.budget.bytes),
        );
    }
    if let Some(loads) = loads {
        let _ = writeln!(
            text,
            "\n| over HTTP/1.1, audit to a file | exchanges/s | CPU time each | median | p99 | memory |\n|---|---|---|---|---|---|"
        );
        for (name, run) in runs(loads) {
            let Run { exchanges_per_second, p50_us, p99_us, .. } = *run;
            let [median, p99] = [p50_us, p99_us].map(|time| time as f64 / 1000.0);
            let (cpu, memory) = (run.cpu(), run.memory() >> 20);
            let _ = writeln!(
                text,
                "| {name} | {exchanges_per_second:.0} | {cpu:.0} µs | {median:.2} ms | {p99:.2} ms | {memory} MiB |"
            );
        }
        capacity(&mut text, loads);
    }
    text
}

/// The exchanges that one processor does, by the CPU time of each exchange.
fn capacity(text: &mut String, loads: &Loads) {
    let _ = writeln!(text, "\n| one processor | exchanges/s | million exchanges for one euro |\n|---|---|---|");
    for (name, run) in [
        ("server", &loads.server.connections_16),
        ("server, repeated subject token", &loads.server.repeated),
        ("gateway", &loads.gateway.connections_16),
    ] {
        let per_second = 1e6 / run.cpu();
        let per_euro = per_second * 3600.0 / EURO_PER_PROCESSOR_HOUR / 1e6;
        let _ = writeln!(text, "| {name} | {per_second:.0} | {per_euro:.0} |");
    }
}

fn runs(loads: &Loads) -> Vec<(&'static str, &Run)> {
    let mut runs = vec![
        ("server, 16 connections", &loads.server.connections_16),
        ("server, 1 connection", &loads.server.connection_1),
        ("server, 16 connections, repeated subject token", &loads.server.repeated),
        ("server with one processor, load generator with another", &loads.one_processor),
        ("the same, open loop at 70 % of this rate", &loads.open_loop),
        ("gateway, 16 connections", &loads.gateway.connections_16),
        ("gateway, 1 connection", &loads.gateway.connection_1),
        ("gateway, 16 connections, repeated subject token", &loads.gateway.repeated),
    ];
    if let Some(old) = &loads.old_server {
        runs.push(("server of 591bb34, 16 connections", &old.connections_16));
        runs.push(("server of 591bb34, 1 connection", &old.connection_1));
    }
    if let Some(old) = &loads.old_gateway {
        runs.push(("gateway of 591bb34, 16 connections", &old.connections_16));
        runs.push(("gateway of 591bb34, 1 connection", &old.connection_1));
    }
    runs
}

/// The processor, and the number of processors.
fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let processors = thread::available_parallelism().map_or(1, |number| number.get());
    format!("{processors} shared processors ({})", model.unwrap_or(std::env::consts::ARCH))
}
