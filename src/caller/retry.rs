//! Which requests are repeated, and when.
//!
//! A request is repeated only if the server has certainly not issued a token: nothing was sent, or the server said that it did
//! not process the request (429 and 503). After any other failure, a subject token that may be exchanged once can be used up,
//! and a repeated request could hide that.

use super::ExchangeError;
use std::time::Duration;

/// The longest wait before the first repetition, if the server does not say how long to wait.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait that the server does not ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Returns how long to wait before a request is repeated. `None` if the request must not be repeated.
///
/// `repeated` is how often the request was repeated before, and `random` is from 0 up to 1. Without a time from the server, the
/// wait is random, so that many clients do not repeat their requests together.
pub(super) fn wait(error: &ExchangeError, repeated: u32, random: f64) -> Option<Duration> {
    let ExchangeError::Unavailable(unavailable) = error else { return None };
    if !unavailable.is_unprocessed {
        return None;
    }
    let longest = FIRST_WAIT.saturating_mul(1 << repeated.min(10)).min(LONGEST_WAIT);
    let jitter = longest.mul_f64(random);
    Some(unavailable.retry_after.unwrap_or_default().saturating_add(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::error::Unavailable;

    fn unavailable(retry_after: Option<u64>, is_unprocessed: bool) -> ExchangeError {
        let retry_after = retry_after.map(Duration::from_secs);
        ExchangeError::Unavailable(Unavailable { status: None, retry_after, problem: String::new(), is_unprocessed })
    }

    #[test]
    fn a_wait_is_random_and_bounded() {
        let millis =
            |error: &ExchangeError, repeated, random| wait(error, repeated, random).map(|wait| wait.as_millis());
        let plain = unavailable(None, true);
        for (repeated, random, expected) in
            [(0, 0.0, 0), (0, 0.5, 50), (0, 1.0, 100), (1, 1.0, 200), (4, 1.0, 1600), (5, 1.0, 2000), (99, 1.0, 2000)]
        {
            assert_eq!(millis(&plain, repeated, random), Some(expected), "{repeated} {random}");
        }
        // Nobody comes back before the time that the server asked for.
        assert_eq!(millis(&unavailable(Some(3), true), 0, 0.0), Some(3000));
        assert_eq!(millis(&unavailable(Some(3), true), 0, 0.5), Some(3050));
        assert_eq!(millis(&unavailable(Some(3), false), 0, 0.5), None);
        assert_eq!(millis(&ExchangeError::SubjectTokenExpired, 0, 0.5), None);
    }
}
