//! Log lines that anybody can cause: one in an interval, with the number of lines that were left out.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A log line that is written at most once in an interval.
#[derive(Debug)]
pub(crate) struct RareLine {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl RareLine {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::new(State { last: None, left_out: 0 }) }
    }

    /// Returns the number of lines that were left out since the last line, if the line is to be written.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.duration_since(last) < self.interval) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_counts_the_others() {
        let (line, start) = (RareLine::new(Duration::from_secs(1)), Instant::now());
        let due = |milliseconds| line.due_at(start + Duration::from_millis(milliseconds));
        let found: Vec<_> = [0, 1, 999, 1000, 1500, 2500].into_iter().map(due).collect();
        assert_eq!(found, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
