//! The time and the memory that a budget adds to an attempt.
//!
//! Run `cargo bench --bench limits`.

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use std::{cell::Cell, net::IpAddr};
use tower_token_exchange::limits::{Limiter, Peer, Rate};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn peer(number: u128) -> Peer {
    IpAddr::from((0x2001_0db8_u128 << 96 | number << 64).to_be_bytes()).into()
}

/// A limiter that has room for all of its keys, and has been used.
fn used() -> Limiter {
    let limiter = Limiter::new(Rate::per_second(u32::MAX));
    let _ = limiter.take(&peer(0));
    limiter
}

#[divan::bench]
fn one_peer(bencher: Bencher) {
    let limiter = used();
    bencher.counter(ItemsCount::new(1_u32)).bench(|| limiter.take(&peer(0)));
}

/// Each attempt has a key that is new, as in a flood from many addresses.
#[divan::bench]
fn a_new_peer_each_time(bencher: Bencher) {
    let (limiter, next) = (used(), Cell::new(1));
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        next.set(next.get() + 1);
        limiter.take(&peer(next.get()))
    });
}

/// The first attempt makes the table, whose size does not depend on the keys.
#[divan::bench]
fn the_first_attempt(bencher: Bencher) {
    bencher.with_inputs(|| Limiter::new(Rate::per_minute(10))).bench_refs(|limiter| limiter.take(&peer(0)));
}
