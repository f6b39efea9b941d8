//! The allocations of one scenario. The benchmark `allocations` and the test `memory` measure with this file.

use allocation_counter::measure;
use tower_token_exchange_benches::{Budget, Scenario};

/// The times that the work is done before the measurement.
const WARM_UP: usize = 20;

/// Measures a scenario, for doing its work once.
pub(crate) fn measured(scenario: &Scenario) -> Budget {
    let mut work = scenario.work();
    for _ in 0..WARM_UP {
        work.prepare();
        work.run();
        work.check();
    }
    let request = measure(|| work.prepare()).bytes_current;
    let info = measure(|| work.run());
    work.check();
    let in_flight = info.bytes_max + request.unsigned_abs() + work.future_size() as u64;
    let is_request = work.future_size() > 0;
    Budget {
        allocations: Some(info.count_total),
        bytes: Some(info.bytes_total),
        in_flight: is_request.then_some(in_flight),
        ..Budget::default()
    }
}
