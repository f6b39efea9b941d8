//! Log lines that anybody can cause: one per second, with the number of lines that were left out.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(1);

/// A log line that is written at most once per second.
pub(crate) struct RareLine(Mutex<State>);

struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl RareLine {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { last: None, left_out: 0 }))
    }

    /// Returns the number of lines that were left out since the last line, if the line is to be written.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
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
        let (line, start) = (RareLine::new(), Instant::now());
        let due = |milliseconds| line.due_at(start + Duration::from_millis(milliseconds));
        let found: Vec<_> = [0, 1, 999, 1000, 1500, 2500].into_iter().map(due).collect();
        assert_eq!(found, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
