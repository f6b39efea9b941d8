use super::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

const START: u64 = 1_800_000_000_000;

/// A limiter with a clock in milliseconds.
fn limiter(rate: &str, capacity: usize) -> (Limiter, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(START));
    let now = Arc::clone(&clock);
    let limiter = Limiter::new(rate.parse().unwrap())
        .capacity(capacity)
        .clock(move || UNIX_EPOCH + Duration::from_millis(now.load(Ordering::Relaxed)));
    (limiter, clock)
}

/// The attempts of a key until the first that is refused.
fn spend(limiter: &Limiter, key: &str) -> usize {
    (0..100_000).take_while(|_| limiter.take(key).is_ok()).count()
}

#[test]
fn a_budget_fills_up_evenly() {
    let (limiter, clock) = limiter("10/min", 100);
    assert_eq!(spend(&limiter, "red"), 10);
    for _ in 0..100 {
        clock.fetch_add(5_999, Ordering::Relaxed);
        assert_eq!(limiter.take("red").unwrap_err().retry_after, Duration::from_millis(1));
        clock.fetch_add(1, Ordering::Relaxed);
        assert_eq!(spend(&limiter, "red"), 1);
    }
    clock.fetch_add(30_000, Ordering::Relaxed);
    assert_eq!(spend(&limiter, "red"), 5);
    clock.fetch_add(3_600_000, Ordering::Relaxed);
    assert_eq!(spend(&limiter, "red"), 10);
}

#[test]
fn each_key_has_its_own_budget() {
    let (limiter, _) = limiter("3/s", 100);
    for key in ["red", "blue", "green"] {
        assert_eq!(spend(&limiter, key), 3, "{key}");
    }
    assert_eq!(spend(&limiter.clone(), "red"), 0, "clones share the budgets");
}

#[test]
fn the_wait_ends_when_it_says() {
    for (rate, number) in [("1/h", 1), ("7/min", 7), ("1000/s", 1000)] {
        let (limiter, clock) = limiter(rate, 100);
        assert_eq!(spend(&limiter, "red"), number);
        let wait = limiter.take("red").unwrap_err().retry_after;
        let milliseconds = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap();
        clock.fetch_add(milliseconds - 1, Ordering::Relaxed);
        assert!(limiter.take("red").is_err(), "{rate}");
        clock.fetch_add(1, Ordering::Relaxed);
        assert!(limiter.take("red").is_ok(), "{rate}");
    }
}

#[test]
fn a_look_takes_nothing() {
    let (limiter, _) = limiter("2/min", 100);
    for _ in 0..10 {
        assert_eq!(limiter.check("red"), Ok(()));
    }
    assert_eq!(spend(&limiter, "red"), 2);
    assert_eq!(limiter.check("red"), limiter.take("red"));
}

#[test]
fn a_million_keys_leave_memory_and_honest_keys_alone() {
    let (limiter, _) = limiter("5/min", 10_000);
    assert!(limiter.take("honest").is_ok());
    let spent: Vec<String> = (0..50).map(|number| format!("spent-{number}")).collect();
    for key in &spent {
        assert_eq!(spend(&limiter, key), 5);
    }
    for number in 0..1_000_000 {
        assert!(limiter.take(&number).is_ok());
    }
    // The table never grows.
    assert_eq!(format!("{:?}", limiter).split_once("Table").unwrap().1, " { capacity: 10000, .. } } }");
    assert!(limiter.take("honest").is_ok() && limiter.take("newcomer").is_ok());
    // Keys with a full budget do not push out the keys with a spent budget.
    assert_eq!(spent.iter().map(|key| spend(&limiter, key)).sum::<usize>(), 0);
}

#[test]
fn a_reset_costs_as_much_as_it_gains() {
    let (limiter, _) = limiter("5/min", 1_000);
    assert_eq!(spend(&limiter, "red"), 5);
    let mut attempts = 0;
    for other in 0.. {
        attempts += spend(&limiter, &format!("other-{other}"));
        if limiter.check("red").is_ok() {
            break;
        }
    }
    assert!(attempts > 1_000, "{attempts} attempts with other keys freed one key");
}

#[test]
fn a_clock_that_jumps_locks_nobody_out() {
    let (limiter, clock) = limiter("10/min", 100);
    for jump in [-5_000_i64, -3_600_000, -86_400_000, 86_400_000] {
        assert_eq!(spend(&limiter, "red"), 10, "{jump}");
        clock.fetch_add(jump.cast_unsigned(), Ordering::Relaxed);
        assert_eq!(spend(&limiter, "red"), 10, "{jump}");
        clock.fetch_add(60_000, Ordering::Relaxed);
    }
}

#[test]
fn no_window_has_more_than_twice_the_number() {
    // Every admitted attempt of a busy key, by time: at most the number at once and the number that came back.
    let (limiter, clock) = limiter("20/s", 100);
    let mut admitted = Vec::new();
    for step in 0..20_000_u64 {
        clock.fetch_add(step * 7919 % 13, Ordering::Relaxed);
        if limiter.take("red").is_ok() {
            admitted.push(clock.load(Ordering::Relaxed));
        }
    }
    assert!(admitted.len() > 1_000);
    for (at, start) in admitted.iter().enumerate() {
        let inside = admitted[at..].iter().take_while(|time| **time < start + 1000).count();
        assert!(inside <= 40, "{inside} attempts in one second");
    }
}
