//! The parts that the benchmarks share: a layer with its tokens and requests, the [scenarios](scenario) that are measured,
//! and the [budgets](Budgets) of their costs.

mod budgets;
mod callgrind;
pub mod manual;
pub mod scenario;
mod world;

pub use budgets::{Budget, Budgets, Excess, IDLE_LAYER};
pub use callgrind::{Unavailable, count_instructions, run_child};
pub use scenario::{Scenario, Work, kept_token, scenarios};
pub use world::{Bare, ISSUER, SECRET, Tokens, World, local_signer, private_key};
