//! The memory of the stores that keep everything in memory, as the system counts the memory of this process.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::{
    fmt::Debug,
    fs,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tower::Service;
use tower_token_exchange::{
    replay::{MemoryReplayStore, UseKey, UseKind, UseOnce, Used},
    revocation::{
        AncestryKey, CutOff, MemoryRevocations, Revocation, RevocationKey, RevocationQuestion, RevocationState,
    },
    token::NumericDate,
};

const MIB: u64 = 1024 * 1024;

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The answer of a store that answers at once.
fn answer<Question, Store>(store: &mut Store, question: Question) -> Store::Response
where
    Store: Service<Question>,
    Store::Error: Debug,
{
    match pin!(store.call(question)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("the store waits"),
    }
}

/// The entries of 300 clients expire within 300 seconds.
fn client_and_expiry(number: usize) -> (String, NumericDate) {
    (format!("client-{}", number % 300), NumericDate::from_seconds(1000 + (number as u64 * 7) % 300))
}

const NOW: NumericDate = NumericDate::from_seconds(900);

fn used(number: usize) -> UseOnce {
    let key = UseKey::new(UseKind::DpopProof, "thumbprint", number.to_string());
    let (client, expires) = client_and_expiry(number);
    UseOnce::new(key, client, NOW, expires)
}

/// The hash that the revocation is found by has the same size for every kind.
fn key_of(number: usize) -> RevocationKey {
    CutOff::subject("https://as.example", number.to_string()).key(&AncestryKey::new([7; 32]).unwrap())
}

fn revoked(number: usize) -> RevocationQuestion {
    let (client, expires) = client_and_expiry(number);
    RevocationQuestion::revoke(Revocation::of_token(key_of(number), expires).by(client), NOW)
}

/// Fills a store, and returns the bytes that the store took, with the memory for growing.
fn fill<Question, Store: Service<Question>>(
    mut store: Store,
    entries: usize,
    question: impl Fn(usize) -> Question,
    expected: &Store::Response,
) -> (Store, u64)
where
    Store::Response: Debug + PartialEq,
    Store::Error: Debug,
{
    let before = peak();
    for number in 0..entries {
        assert_eq!(answer(&mut store, question(number)), *expected, "{number}");
    }
    let bytes = peak() - before;
    println!("{entries} entries: {:.1} MiB, {} bytes each", bytes as f64 / MIB as f64, bytes / entries as u64);
    (store, bytes)
}

fn fill_replays(keys: usize) -> u64 {
    let (mut store, bytes) = fill(MemoryReplayStore::new(2 * keys), keys, used, &Used::First);
    assert_eq!(answer(&mut store, used(0)), Used::Again);
    bytes
}

fn fill_revocations(revocations: usize) -> u64 {
    let (mut store, bytes) =
        fill(MemoryRevocations::new(2 * revocations), revocations, revoked, &RevocationState::Revoked);
    let found = answer(&mut store, RevocationQuestion::find([key_of(0), key_of(revocations)]));
    assert!(matches!(&found, RevocationState::Found(found) if found.len() == 1), "{found:?}");
    bytes
}

#[test]
fn a_hundred_thousand_keys_need_little_memory() {
    assert!(fill_replays(100_000) <= 10 * MIB);
}

#[test]
#[ignore = "takes a while, and must be the only test of the process"]
fn a_million_used_keys_need_100_mib() {
    assert!(fill_replays(1_000_000) <= 100 * MIB);
}

#[test]
#[ignore = "takes a while, and must be the only test of the process"]
fn a_million_revocations_need_100_mib() {
    assert!(fill_revocations(1_000_000) <= 100 * MIB);
}
