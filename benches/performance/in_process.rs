//! Costs in this process, without a network.

use crate::programs::{Programs, cargo};
use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};
use tower_token_exchange::signing::Algorithm;
use tower_token_exchange_benches::{
    Budget, Scenario, World, count_instructions,
    scenario::{sign, signs_on_another_thread, verify},
    scenarios,
};

/// The scenarios of the table, with the algorithm of their tokens.
const SCENARIOS: [(&str, Algorithm); 10] = [
    ("exchange ES256", Algorithm::ES256),
    ("exchange ES256, the same token again", Algorithm::ES256),
    ("exchange EdDSA", Algorithm::EdDSA),
    ("exchange RS256", Algorithm::RS256),
    ("exchange ES256, chain of 4 actors", Algorithm::ES256),
    ("exchange ES256, actor token", Algorithm::ES256),
    (WITH_PROOF, Algorithm::ES256),
    ("exchange ES256, private_key_jwt", Algorithm::ES256),
    ("exchange ES256, one-time subject token", Algorithm::ES256),
    ("refused when authenticated, bad secret", Algorithm::ES256),
];

const PLAIN: &str = "exchange ES256";
const WITH_PROOF: &str = "exchange ES256, DPoP proof";

/// Each round compares the scenario with the cryptography.
const ROUNDS: usize = 31;
const RUNS_PER_ROUND: usize = 50;
const WARM_UP: usize = 200;

/// The costs of one scenario.
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    pub(crate) instructions: u64,
    /// Instructions, divided by those of one verification and one signature.
    pub(crate) instruction_ratio: f64,
    pub(crate) time: Duration,
    /// Time, divided by that of one verification and one signature in the same run.
    pub(crate) time_ratio: f64,
    pub(crate) budget: Budget,
}

pub(crate) struct InProcess {
    pub(crate) costs: Vec<Cost>,
    /// The time of one verification and one signature with ES256.
    pub(crate) verify_and_sign: Duration,
    /// What a DPoP proof adds to an exchange.
    pub(crate) dpop_proof: Added,
    /// The memory of a layer without requests, in bytes.
    pub(crate) idle_layer: u64,
    /// The size of the subject token, in bytes.
    pub(crate) token_size: usize,
}

/// The cost that a part adds to an exchange, divided by one verification with ES256.
pub(crate) struct Added {
    pub(crate) instructions: f64,
    pub(crate) time: f64,
}

impl InProcess {
    pub(crate) fn measure(programs: &Programs) -> Result<Self, Box<dyn Error>> {
        let allocations =
            cargo(["bench", "-p", "tower-token-exchange-benches", "--bench", "allocations", "--", "--json"])?;
        let allocations: BTreeMap<String, Budget> = serde_json::from_str(&allocations)?;
        let all = scenarios();
        let find = |name: &str| all.iter().find(|scenario| scenario.name == name).expect("a scenario");
        let mut counts = BTreeMap::new();
        let mut count = |name: &str| match counts.get(name) {
            Some(count) => Ok(*count),
            None => count_instructions(name, &programs.folder).inspect(|count| {
                counts.insert(name.to_owned(), *count);
            }),
        };
        let mut costs = Vec::new();
        let mut verify_and_sign = Duration::ZERO;
        for (name, algorithm) in SCENARIOS {
            eprintln!("{name}");
            let (verify, sign) = (verify(algorithm), sign(algorithm));
            let signature = count(&sign)?;
            let cryptography = count(&verify)? + signature;
            let instructions = count(name)? + if signs_on_another_thread(algorithm) { signature } else { 0 };
            let [time, verification, signature] = medians([find(name), find(&verify), find(&sign)]);
            let unit = verification + signature;
            if name == PLAIN {
                verify_and_sign = unit;
            }
            costs.push(Cost {
                name,
                instructions,
                instruction_ratio: instructions as f64 / cryptography as f64,
                time,
                time_ratio: time.as_secs_f64() / unit.as_secs_f64(),
                budget: allocations.get(name).cloned().unwrap_or_default(),
            });
        }
        let verify = verify(Algorithm::ES256);
        let [with_proof, plain, verification] =
            [count(WITH_PROOF)?, count(PLAIN)?, count(&verify)?].map(|count| count as f64);
        let times = medians([find(WITH_PROOF), find(PLAIN), find(&verify)]).map(|time| time.as_secs_f64());
        let dpop_proof =
            Added { instructions: (with_proof - plain) / verification, time: (times[0] - times[1]) / times[2] };
        let idle_layer = allocations.get(tower_token_exchange_benches::IDLE_LAYER).and_then(|layer| layer.in_flight);
        let token_size = World::new(Algorithm::ES256).own.next(&serde_json::json!({})).len();
        Ok(Self { costs, verify_and_sign, dpop_proof, idle_layer: idle_layer.unwrap_or_default(), token_size })
    }

    pub(crate) fn cost(&self, name: &str) -> &Cost {
        self.costs.iter().find(|cost| cost.name == name).expect("a scenario of the table")
    }
}

/// The median time of each scenario. The rounds alternate, so that all are measured at the same speed of the processor. A median
/// is not affected by the runs that another program interrupts.
fn medians<const N: usize>(scenarios: [&Scenario; N]) -> [Duration; N] {
    let mut works = scenarios.map(Scenario::work);
    let mut times = [const { Vec::new() }; N];
    for round in 0..=ROUNDS {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let is_warm_up = round == 0;
            for _ in 0..if is_warm_up { WARM_UP } else { RUNS_PER_ROUND } {
                work.prepare();
                let start = Instant::now();
                work.run();
                let time = start.elapsed();
                work.check();
                if !is_warm_up {
                    times.push(time);
                }
            }
        }
    }
    times.map(median)
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}
