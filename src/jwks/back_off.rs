use crate::clock::is_within;
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{Duration, SystemTime};

/// The longest wait after the first of several failures in a row.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait after any number of failures in a row.
const LONGEST: Duration = Duration::from_secs(60);

/// The wait after a failure, until the failing server is asked again.
///
/// The longest wait is 1 second after the first failure in a row, and doubles with every further failure up to 60 seconds.
/// The wait is a random time between half of the longest wait and all of it, so that many processes do not ask at the
/// same moment.
#[derive(Default)]
pub(super) struct BackOff {
    failures: u32,
    last: Option<SystemTime>,
    wait: Duration,
}

impl BackOff {
    pub(super) fn failed(&mut self, now: SystemTime) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
        self.wait = wait(self.failures, jitter());
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether the server may be asked now.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        !is_within(self.wait, self.last, now)
    }
}

fn wait(failures: u32, jitter: u16) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
    whole / 2 + (whole / 2).mul_f64(f64::from(jitter) / f64::from(u16::MAX))
}

/// Returns a random number, or the largest number if the system has no randomness.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    SystemRandom::new().fill(&mut bytes).map_or(u16::MAX, |()| u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_wait_doubles_up_to_a_minute() {
        for (failures, seconds) in
            [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (33, 60), (u32::MAX, 60)]
        {
            let whole = Duration::from_secs(seconds);
            assert_eq!(wait(failures, u16::MAX), whole, "{failures}");
            assert_eq!(wait(failures, 0), whole / 2, "{failures}");
            let middle = wait(failures, u16::MAX / 2);
            assert!(whole / 2 < middle && middle < whole, "{failures}: {middle:?}");
        }
    }

    #[test]
    fn a_success_or_an_earlier_clock_ends_waiting() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut back_off = BackOff::default();
        assert!(back_off.is_over(now) && !back_off.is_failing());
        for _ in 0..100 {
            back_off.failed(now);
        }
        assert!(back_off.is_failing());
        assert!(!back_off.is_over(now + Duration::from_millis(29_999)));
        assert!(back_off.is_over(now + LONGEST));
        assert!(back_off.is_over(now - Duration::from_secs(1)), "the time since the failure is unknown");
        back_off.succeeded();
        assert!(back_off.is_over(now) && !back_off.is_failing());
        back_off.failed(now);
        assert!(back_off.is_over(now + FIRST), "the wait starts again at its shortest");
    }

    #[test]
    fn waits_are_spread_at_random() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| wait(7, jitter())).collect();
        assert!(waits.len() > 25, "{waits:?}");
    }
}
