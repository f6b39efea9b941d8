//! The memory of the replay store, as the system counts the memory of this process.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::{
    fs,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tower::Service;
use tower_token_exchange::{
    replay::{MemoryReplayStore, UseKey, UseKind, UseOnce, Used},
    token::NumericDate,
};

const MIB: u64 = 1024 * 1024;

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn ask(store: &mut MemoryReplayStore, number: usize) -> Used {
    // The keys of 300 clients expire within 300 seconds.
    let key = UseKey::new(UseKind::DpopProof, "thumbprint", number.to_string());
    let client = format!("client-{}", number % 300);
    let expires = NumericDate::from_seconds(1000 + (number as u64 * 7) % 300);
    let answer = pin!(store.call(UseOnce::new(key, client, NumericDate::from_seconds(900), expires)));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(used)) => used,
        other => panic!("{other:?}"),
    }
}

/// Fills a store, and returns the bytes that the store took, with the memory for growing.
fn fill(keys: usize) -> u64 {
    let mut store = MemoryReplayStore::new(2 * keys);
    let before = peak();
    for number in 0..keys {
        assert_eq!(ask(&mut store, number), Used::First, "{number}");
    }
    let bytes = peak() - before;
    assert_eq!(ask(&mut store, 0), Used::Again);
    println!("{keys} keys: {:.1} MiB, {} bytes each", bytes as f64 / MIB as f64, bytes / keys as u64);
    bytes
}

#[test]
fn a_hundred_thousand_keys_need_little_memory() {
    assert!(fill(100_000) <= 10 * MIB);
}

#[test]
#[ignore = "takes a while, and must be the only test of the process"]
fn a_million_keys_need_at_most_100_mib() {
    assert!(fill(1_000_000) <= 100 * MIB);
}
