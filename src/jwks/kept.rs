use super::is_within;
use crate::jose::KeySet;
use std::time::{Duration, SystemTime};

/// How long after it was fresh a set still serves while no new one can be had.
const STALE: Duration = Duration::from_secs(60 * 60);

/// A key set as it was fetched, and which fetch brought it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) keys: KeySet,
    pub(super) fetch: u64,
}

/// A key set that is kept.
pub(super) struct Kept {
    known: Known,
    fetched: SystemTime,
    fresh: Duration,
}

/// What may be done with a kept set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Use it.
    Fresh,
    /// Use it, and fetch the next one meanwhile: four fifths of its time have passed.
    Ageing,
    /// Use it only if there is no other.
    Stale,
}

impl Kept {
    pub(super) fn new(known: Known, fetched: SystemTime, fresh: Duration) -> Self {
        Self { known, fetched, fresh }
    }

    /// The set, unless it is too old for anything.
    pub(super) fn usable(&mut self, now: SystemTime) -> Option<(&Known, Age)> {
        if now < self.fetched {
            // The clock was set back, so nobody knows how old it is. The time that is left to it begins now: else it
            // would serve until the clock has caught up.
            (self.fetched, self.fresh) = (now, Duration::ZERO);
        }
        let younger_than = |limit| is_within(limit, Some(self.fetched), now);
        let age = if younger_than(self.fresh * 4 / 5) {
            Age::Fresh
        } else if younger_than(self.fresh) {
            Age::Ageing
        } else if younger_than(self.fresh + STALE) {
            Age::Stale
        } else {
            return None;
        };
        Some((&self.known, age))
    }

    /// How long ago it was fetched.
    pub(super) fn since(&self, now: SystemTime) -> Duration {
        now.duration_since(self.fetched).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_set_ages_and_a_clock_that_is_set_back_makes_it_stale() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
        let kept = || Kept::new(Known { keys: KeySet::empty(), fetch: 1 }, at(0), Duration::from_secs(600));
        let age = |kept: &mut Kept, seconds| kept.usable(at(seconds)).map(|(_, age)| age);
        for (seconds, expected) in [
            (0, Some(Age::Fresh)),
            (479, Some(Age::Fresh)),
            (480, Some(Age::Ageing)),
            (599, Some(Age::Ageing)),
            (600, Some(Age::Stale)),
            (4199, Some(Age::Stale)),
            (4200, None),
        ] {
            assert_eq!(age(&mut kept(), seconds), expected, "{seconds}");
        }
        let mut ahead = Kept::new(Known { keys: KeySet::empty(), fetch: 1 }, at(1_000_000), Duration::from_secs(600));
        assert_eq!(age(&mut ahead, 0), Some(Age::Stale));
        assert_eq!(age(&mut ahead, 3599), Some(Age::Stale));
        assert_eq!(age(&mut ahead, 3600), None);
    }
}
