use super::is_within;
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{Duration, SystemTime};

/// The longest wait after the first failure in a row, and after many.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How long not to ask somebody who failed: 1 s at most after the first failure in a row, twice that after each more,
/// 60 s at most; of that between the half and the whole, at random, so that many servers do not come back together.
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

    /// Whether it failed the last time.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether it may be asked now.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        !is_within(self.wait, self.last, now)
    }
}

fn wait(failures: u32, jitter: u16) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
    whole / 2 + (whole / 2).mul_f64(f64::from(jitter) / f64::from(u16::MAX))
}

/// The whole wait where nothing random can be had.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    SystemRandom::new().fill(&mut bytes).map_or(u16::MAX, |()| u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn twice_as_long_each_time_up_to_a_minute_and_never_less_than_half() {
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
    fn a_success_and_a_clock_that_is_set_back_end_it() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut back_off = BackOff::default();
        assert!(back_off.is_over(now) && !back_off.is_failing());
        for _ in 0..100 {
            back_off.failed(now);
        }
        assert!(back_off.is_failing());
        assert!(!back_off.is_over(now + Duration::from_millis(29_999)));
        assert!(back_off.is_over(now + LONGEST));
        assert!(back_off.is_over(now - Duration::from_secs(1)), "nobody knows how long it has been");
        back_off.succeeded();
        assert!(back_off.is_over(now) && !back_off.is_failing());
        back_off.failed(now);
        assert!(back_off.is_over(now + FIRST), "it begins anew");
    }

    #[test]
    fn servers_that_failed_together_come_back_one_by_one() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| wait(7, jitter())).collect();
        assert!(waits.len() > 25, "{waits:?}");
    }
}
