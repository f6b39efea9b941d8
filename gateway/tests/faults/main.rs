//! A day of faults in a few minutes: the authorization server fails in every way, the disk is full, the clock jumps, keys and
//! records change, connections break at every byte, and the gateway is killed. Meanwhile honest clients, intruders and
//! clients that vanish keep sending requests.
//!
//! The test fails if any answer is wrong, if a revoked token is accepted, if a token left without an audit event, or if the
//! gateway needs longer to recover than [`history::recovery`] states.
//!
//! `GATEWAY_FAULT_SECONDS` sets the duration (default: 25), and `GATEWAY_FAULT_SEED` repeats a schedule. `FAKETIME_LIBRARY`
//! is the path of `libfaketimeMT.so.1`, without which the clock does not jump.

#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the test prints its counters")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod clients;
mod history;
mod http;
mod ledger;
#[path = "../process.rs"]
mod process;
mod proxy;
mod schedule;
mod server;
mod tokens;
#[allow(dead_code, reason = "another test binary uses the rest")]
#[path = "../gateway/upstream.rs"]
mod upstream;
mod world;

use std::{env, sync::Arc, time::Duration};
use world::World;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn nothing_is_lost_in_a_day_of_faults() {
    let duration = Duration::from_secs(setting("GATEWAY_FAULT_SECONDS", 25));
    let seed = setting("GATEWAY_FAULT_SEED", u64::from(std::process::id()));
    println!("GATEWAY_FAULT_SECONDS={} GATEWAY_FAULT_SEED={seed}", duration.as_secs());
    let world = Arc::new(World::start());
    if !world.has_false_clock() {
        println!("NOT CHECKED: jumps of the clock: set FAKETIME_LIBRARY");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clients = clients::start(&runtime, &world);
    schedule::run(&world, duration, seed);
    runtime.block_on(async {
        for client in clients {
            let ended = tokio::time::timeout(http::DEADLINE * 2, client).await;
            ended.expect("a client waits for ever").unwrap();
        }
    });
    runtime.block_on(world.check_calm());
    println!("{}", world.ledger.counters());
    world.check_everything(&runtime);
}
