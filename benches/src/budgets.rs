//! The budgets in `budgets.toml`, and their comparison with measured costs.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    fs, io,
    path::PathBuf,
};

/// A cost may exceed its budget by this part before the gate fails.
const TOLERANCE: f64 = 0.03;

/// The name of the budget for the memory of a layer that has no request.
pub const IDLE_LAYER: &str = "idle layer";

const HEADER: &str = "\
# The largest cost of each scenario. `.ci/run` fails if a cost exceeds its budget by more than 3 %. After a change that is
# meant to cost more or less: cargo bench --bench instructions --bench allocations -- --update
#
# instructions: without the instructions of the cryptography that the scenario needs, measured in the same run, because the
#               code of the cryptography depends on the processor
# allocations:  the number of allocations
# bytes:        the bytes of all allocations together
# in_flight:    the largest number of bytes that one request held at a time, its future included
";

/// The budgets of one scenario. A cost without a budget is not limited.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The instructions beyond the cryptography.
    pub instructions: Option<u64>,
    /// The number of allocations.
    pub allocations: Option<u64>,
    /// The bytes of all allocations.
    pub bytes: Option<u64>,
    /// The bytes that a request holds at one time.
    pub in_flight: Option<u64>,
}

impl Budget {
    fn costs(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("instructions", self.instructions),
            ("allocations", self.allocations),
            ("bytes", self.bytes),
            ("in_flight", self.in_flight),
        ]
    }
}

/// A difference between a measured cost and its budget.
#[derive(Debug, PartialEq, Eq)]
pub enum Excess {
    /// There is no budget for this cost.
    NoBudget {
        /// The name of the cost.
        cost: &'static str,
    },
    /// The cost is too large.
    Exceeded {
        /// The name of the cost.
        cost: &'static str,
        /// The measured cost.
        measured: u64,
        /// The largest cost.
        budget: u64,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoBudget { cost } => write!(f, "{cost}: there is no budget"),
            Self::Exceeded { cost, measured, budget } => {
                let percent = (measured as f64 / budget.max(1) as f64 - 1.0) * 100.0;
                write!(f, "{cost}: {measured}, the budget is {budget} (+{percent:.1} %)")
            }
        }
    }
}

/// The budgets of all scenarios, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Budgets(BTreeMap<String, Budget>);

impl Budgets {
    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")
    }

    /// Reads `budgets.toml`.
    ///
    /// # Errors
    /// The file cannot be read, or is no table of budgets.
    pub fn read() -> io::Result<Self> {
        Self::parse(&fs::read_to_string(Self::path())?)
    }

    fn parse(text: &str) -> io::Result<Self> {
        toml::from_str(text).map(Self).map_err(io::Error::other)
    }

    /// Writes `budgets.toml`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self) -> io::Result<()> {
        fs::write(Self::path(), self.to_toml())
    }

    fn to_toml(&self) -> String {
        let mut text = HEADER.to_owned();
        for (name, budget) in &self.0 {
            let _ = writeln!(text, "\n[\"{name}\"]");
            for (cost, value) in budget.costs() {
                if let Some(value) = value {
                    let _ = writeln!(text, "{cost} = {value}");
                }
            }
        }
        text
    }

    /// The budgets of a scenario.
    pub fn get(&self, name: &str) -> Budget {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Makes measured costs the budgets of a scenario. A cost that was not measured keeps its budget.
    pub fn update(&mut self, name: &str, measured: &Budget) {
        let budget = self.0.entry(name.to_owned()).or_default();
        budget.instructions = measured.instructions.or(budget.instructions);
        budget.allocations = measured.allocations.or(budget.allocations);
        budget.bytes = measured.bytes.or(budget.bytes);
        budget.in_flight = measured.in_flight.or(budget.in_flight);
    }

    /// Removes the budgets of scenarios that do not exist any more.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| exists(name));
    }

    /// Compares the measured costs of a scenario with its budgets.
    pub fn excesses(&self, name: &str, measured: &Budget) -> Vec<Excess> {
        let mut excesses = Vec::new();
        for ((cost, measured), (_, budget)) in measured.costs().into_iter().zip(self.get(name).costs()) {
            match (measured, budget) {
                (Some(_), None) => excesses.push(Excess::NoBudget { cost }),
                (Some(measured), Some(budget)) if measured as f64 > budget as f64 * (1.0 + TOLERANCE) => {
                    excesses.push(Excess::Exceeded { cost, measured, budget });
                }
                _ => {}
            }
        }
        excesses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(instructions: u64) -> Budget {
        Budget { instructions: Some(instructions), ..Budget::default() }
    }

    #[test]
    fn a_cost_may_exceed_its_budget_by_three_percent() {
        let mut budgets = Budgets::default();
        budgets.update("exchange", &instructions(1000));
        for (measured, exceeds) in [(0, false), (1000, false), (1030, false), (1031, true)] {
            assert_eq!(!budgets.excesses("exchange", &instructions(measured)).is_empty(), exceeds, "{measured}");
        }
        let told = budgets.excesses("exchange", &instructions(1100))[0].to_string();
        assert_eq!(told, "instructions: 1100, the budget is 1000 (+10.0 %)");
    }

    #[test]
    fn a_scenario_without_budget_fails() {
        let found = Budgets::default().excesses("exchange", &instructions(1));
        assert_eq!(found, [Excess::NoBudget { cost: "instructions" }]);
    }

    #[test]
    fn an_update_keeps_other_costs() {
        let mut budgets = Budgets::default();
        budgets.update("exchange", &instructions(1));
        budgets.update("exchange", &Budget { bytes: Some(2), ..Budget::default() });
        assert_eq!(budgets.get("exchange"), Budget { instructions: Some(1), bytes: Some(2), ..Budget::default() });
        assert_eq!(Budgets::parse(&budgets.to_toml()).unwrap(), budgets);
    }
}
