//! The memory that one exchange needs. The numbers do not depend on the machine, so this test runs with all other tests.

#[path = "../memory.rs"]
mod memory;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use tower_token_exchange::signing::Algorithm;
use tower_token_exchange_benches::{Budget, World, scenarios};

/// What the metrics of an exchange allocate: allocations and bytes.
const METRICS: [u64; 2] = [30, 4 * 1024];

#[test]
fn an_exchange_needs_little_memory() {
    let scenarios = scenarios();
    let exchange = scenarios.iter().find(|scenario| scenario.name == "exchange ES256").expect("a scenario");
    let Budget { allocations, bytes, in_flight, .. } = memory::measured(exchange);
    let token = World::new(Algorithm::ES256).own.next(&json!({})).len() as u64;
    let [more_allocations, more_bytes] = if has_metrics() { METRICS } else { [0, 0] };
    let measured = [
        ("allocations", allocations, 60 + more_allocations),
        ("allocated bytes", bytes, 12 * 1024 + more_bytes),
        ("bytes in flight", in_flight, 3 * token + 8 * 1024 + more_bytes),
    ];
    assert!(measured.iter().all(|(_, cost, limit)| cost.is_some_and(|cost| cost <= *limit)), "{measured:?}");
}

/// Whether another package of the same build switched on the feature `metrics` of the library.
fn has_metrics() -> bool {
    let described = Described::default();
    metrics::with_local_recorder(&described, || World::new(Algorithm::ES256).builder().build().expect("a layer"));
    described.0.into_inner()
}

/// A recorder that notes whether a metric was described.
#[derive(Default)]
struct Described(AtomicBool);

impl Recorder for Described {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
