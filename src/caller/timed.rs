use crate::protocol::NumericDate;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The part of a lifetime, at its end, in which a token is refreshed ahead: one fifth.
const REFRESH_PART: u32 = 5;
/// The part of a lifetime, at its end, in which a token is not used any more: one tenth, at most [`LONGEST_MARGIN`].
const MARGIN_PART: u32 = 10;
/// The time that a request with a token may take until its receiver checks the token.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);
/// The time between two attempts to refresh a token ahead.
const REFRESH_PAUSE: u64 = 5;

/// A value that is kept for a limited time.
pub(super) struct Timed<T> {
    pub(super) value: T,
    stored_at: NumericDate,
    usable_until: NumericDate,
    /// The time, in seconds since 1970, from which on the value is refreshed. [`u64::MAX`] for never.
    refresh_from: AtomicU64,
}

/// What may be done with a kept value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Usable,
    /// The value is usable, and this caller has to refresh the value.
    RefreshAhead,
    Expired,
}

impl<T> Timed<T> {
    /// Keeps a value that expires at a time. The value is not used later than `latest`, the earliest end of the tokens that led
    /// to the value. `None` if the value cannot be kept.
    pub(super) fn new(
        value: T,
        now: NumericDate,
        expires_at: NumericDate,
        latest: Option<NumericDate>,
    ) -> Option<Self> {
        let lifetime = expires_at.saturating_since(now);
        let margin = (lifetime / MARGIN_PART).min(LONGEST_MARGIN);
        let own_end = NumericDate::from_seconds(expires_at.seconds().saturating_sub(margin.as_secs()));
        let usable_until = latest.map_or(own_end, |latest| latest.min(own_end));
        // A new token would not live longer than the token that it is made from.
        let is_refreshed = latest.is_none_or(|latest| latest > expires_at);
        let ahead = (lifetime / REFRESH_PART).as_secs();
        let refresh_from = if is_refreshed { expires_at.seconds().saturating_sub(ahead) } else { u64::MAX };
        let refresh_from = AtomicU64::new(refresh_from);
        (usable_until > now).then_some(Self { value, stored_at: now, usable_until, refresh_from })
    }

    /// Returns what may be done with the value now. Only one caller is told to refresh the value, until some time has passed.
    pub(super) fn state(&self, now: NumericDate) -> State {
        if !self.is_usable(now) {
            return State::Expired;
        }
        let from = self.refresh_from.load(Ordering::Relaxed);
        if now.seconds() < from {
            return State::Usable;
        }
        let next = now.seconds().saturating_add(REFRESH_PAUSE);
        match self.refresh_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => State::RefreshAhead,
            Err(_) => State::Usable,
        }
    }

    pub(super) fn is_usable(&self, now: NumericDate) -> bool {
        // If the clock was set back, the time that has passed is unknown.
        (self.stored_at..self.usable_until).contains(&now)
    }

    pub(super) fn usable_until(&self) -> NumericDate {
        self.usable_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> NumericDate {
        NumericDate::from_seconds(seconds)
    }

    #[test]
    fn a_kept_token_ends_before_its_receiver_refuses_it() {
        use State::{Expired, RefreshAhead, Usable};
        let day = 86_400;
        for (lifetime, latest, states) in [
            (300, None, &[(0, Usable), (239, Usable), (240, RefreshAhead), (289, RefreshAhead), (290, Expired)][..]),
            // The tokens before are the end of the new token.
            (300, Some(100), &[(0, Usable), (99, Usable), (100, Expired)]),
            (300, Some(300), &[(240, Usable), (289, Usable), (290, Expired)]),
            (300, Some(301), &[(240, RefreshAhead), (290, Expired)]),
            (day, None, &[(day - 11, RefreshAhead), (day - 10, Expired)]),
            (10, None, &[(7, Usable), (8, RefreshAhead), (9, Expired)]),
            (1, None, &[(0, Usable), (1, Expired)]),
        ] {
            let start = 1_000_000;
            for (passed, state) in states {
                let timed = Timed::new((), at(start), at(start + lifetime), latest.map(|end| at(start + end))).unwrap();
                assert_eq!(timed.state(at(start + passed)), *state, "{lifetime} {latest:?} {passed}");
                assert_eq!(timed.state(at(start - 1)), Expired, "the clock was set back");
            }
        }
        for (lifetime, latest) in [(0, None), (300, Some(0))] {
            assert!(Timed::new((), at(50), at(50 + lifetime), latest.map(|end| at(50 + end))).is_none());
        }
    }

    #[test]
    fn one_caller_refreshes_at_a_time() {
        let timed = Timed::new((), at(0), at(300), None).unwrap();
        let states = [240, 240, 244, 245, 245].map(|now| timed.state(at(now)));
        use State::{RefreshAhead, Usable};
        assert_eq!(states, [RefreshAhead, Usable, Usable, RefreshAhead, Usable]);
    }
}
