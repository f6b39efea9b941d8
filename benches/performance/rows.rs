//! The rows of the table: each has a measure, a target and the measured value.

use crate::{
    in_process::InProcess,
    load::{Loads, Run, Server},
};
use std::fmt;

pub(crate) struct Row {
    pub(crate) measure: &'static str,
    target: Target,
    measured: Option<f64>,
    unit: Unit,
}

enum Target {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Copy)]
enum Unit {
    Ratio,
    Times,
    Count,
    KibiBytes,
    Microseconds,
    Milliseconds,
}

impl Row {
    /// A row whose value is at most the target.
    fn at_most(measure: &'static str, target: f64, unit: Unit, measured: impl Into<Option<f64>>) -> Self {
        Self { measure, target: Target::AtMost(target), measured: measured.into(), unit }
    }

    /// A row whose value is at least the target.
    fn at_least(measure: &'static str, target: f64, unit: Unit, measured: impl Into<Option<f64>>) -> Self {
        Self { measure, target: Target::AtLeast(target), measured: measured.into(), unit }
    }

    fn is_met(&self) -> Option<bool> {
        Some(match self.target {
            Target::AtMost(bound) => self.measured? <= bound,
            Target::AtLeast(bound) => self.measured? >= bound,
        })
    }
}

/// The row as a row of a Markdown table.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.target {
            Target::AtMost(bound) => ("≤", bound),
            Target::AtLeast(bound) => ("≥", bound),
        };
        let measured = self.measured.map_or("not measured".to_owned(), |value| self.unit.show(value));
        let met = self.is_met().map_or("", |met| if met { "yes" } else { "**no**" });
        write!(f, "| {} | {sign} {} | {measured} | {met} |", self.measure, self.unit.show(bound))
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2}"),
            Self::Times => format!("{value:.2} ×"),
            Self::Count => format!("{value:.0}"),
            Self::KibiBytes => format!("{:.1} KiB", value / 1024.0),
            Self::Microseconds => format!("{value:.1} µs"),
            Self::Milliseconds => format!("{:.1} ms", value / 1000.0),
        }
    }
}

pub(crate) fn rows(in_process: &InProcess, loads: Option<&Loads>) -> Vec<Row> {
    let es256 = in_process.cost("exchange ES256");
    let again = in_process.cost("exchange ES256, the same token again");
    let eddsa = in_process.cost("exchange EdDSA");
    let bad_secret = in_process.cost("refused when authenticated, bad secret");
    let number = |value: Option<u64>| value.map(|value| value as f64);
    let in_flight = 3.0 * in_process.token_size as f64 + 8.0 * 1024.0;

    let unit = in_process.verify_and_sign.as_secs_f64() * 1e6;
    let cpu = |run: fn(&Loads) -> f64| loads.map(|loads| run(loads) / unit);
    let server = loads.and_then(|loads| Some((&loads.server, loads.old_server.as_ref()?)));
    let gateway = loads.and_then(|loads| Some((&loads.gateway, loads.old_gateway.as_ref()?)));
    vec![
        Row::at_most("exchange ES256 ÷ (verify + sign), instructions", 1.10, Unit::Ratio, es256.instruction_ratio),
        Row::at_most("exchange ES256 ÷ (verify + sign), time", 1.10, Unit::Ratio, es256.time_ratio),
        Row::at_most(
            "the same subject token again ÷ (verify + sign), instructions",
            0.42,
            Unit::Ratio,
            again.instruction_ratio,
        ),
        Row::at_most("the same subject token again ÷ (verify + sign), time", 0.42, Unit::Ratio, again.time_ratio),
        Row::at_most("exchange EdDSA ÷ its cryptography, instructions", 1.20, Unit::Ratio, eddsa.instruction_ratio),
        Row::at_most("exchange EdDSA ÷ its cryptography, time", 1.20, Unit::Ratio, eddsa.time_ratio),
        Row::at_most(
            "cost of a DPoP proof ÷ one more verification, instructions",
            1.10,
            Unit::Ratio,
            in_process.dpop_proof.instructions,
        ),
        Row::at_most(
            "cost of a DPoP proof ÷ one more verification, time",
            1.10,
            Unit::Ratio,
            in_process.dpop_proof.time,
        ),
        Row::at_most("allocations of an exchange", 60.0, Unit::Count, number(es256.budget.allocations)),
        Row::at_most("allocated bytes of an exchange", 12.0 * 1024.0, Unit::KibiBytes, number(es256.budget.bytes)),
        Row::at_most("refusal of a bad client secret", 12.0, Unit::Microseconds, bad_secret.time.as_secs_f64() * 1e6),
        Row::at_most("memory of an idle layer", 1024.0 * 1024.0, Unit::KibiBytes, in_process.idle_layer as f64),
        Row::at_most(
            "memory of an exchange in flight (3 × token size + 8 KiB)",
            in_flight,
            Unit::KibiBytes,
            number(es256.budget.in_flight),
        ),
        against_old("server, 16 connections, against 591bb34", 1.5, server, |runs| runs.connections_16),
        against_old("server, 1 connection, against 591bb34", 1.4, server, |runs| runs.connection_1),
        against_old("server, repeated subject token, against 591bb34", 2.5, server, |runs| runs.repeated),
        against_old("gateway, 16 connections, against 591bb34", 1.5, gateway, |runs| runs.connections_16),
        against_old("gateway, repeated subject token, against 591bb34", 2.5, gateway, |runs| runs.repeated),
        Row::at_most(
            "CPU time of the server ÷ (verify + sign), 16 connections",
            1.7,
            Unit::Ratio,
            cpu(|loads| loads.server.connections_16.cpu()),
        ),
        Row::at_most(
            "CPU time of the server ÷ (verify + sign), 1 connection",
            2.2,
            Unit::Ratio,
            cpu(|loads| loads.server.connection_1.cpu()),
        ),
        Row::at_most(
            "p99 at 70 % of the highest rate, open loop",
            5000.0,
            Unit::Milliseconds,
            loads.map(|loads| loads.open_loop.p99_us as f64),
        ),
        Row::at_least(
            "throughput of two processors against one",
            1.8,
            Unit::Times,
            loads.map(|loads| {
                // The load generator shares the two processors, so the CPU time of the server counts.
                2.0 * loads.one_processor.cpu() / loads.server.connections_16.cpu()
            }),
        ),
    ]
}

/// The throughput, divided by that of the old server.
fn against_old(measure: &'static str, target: f64, runs: Option<(&Server, &Server)>, kind: fn(&Server) -> Run) -> Row {
    let throughput = |server| kind(server).exchanges_per_second;
    Row::at_least(measure, target, Unit::Times, runs.map(|(new, old)| throughput(new) / throughput(old)))
}
