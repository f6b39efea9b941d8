use serde::{Deserialize, Serialize};
use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A time in whole seconds since 1970-01-01T00:00:00Z, as claims hold times (RFC 7519 section 2).
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_token_exchange::token::NumericDate;
///
/// let date = NumericDate::from(UNIX_EPOCH + Duration::from_millis(1_999));
/// assert_eq!(date, NumericDate::from_seconds(1));
/// assert_eq!(date + Duration::from_secs(300), NumericDate::from_seconds(301));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumericDate(u64);

impl NumericDate {
    /// A time by the number of seconds since 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this time; zero if this time is the earlier one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Fractions of a second are dropped. A time before 1970 is 1970.
impl From<SystemTime> for NumericDate {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
    }
}

impl std::ops::Add<Duration> for NumericDate {
    type Output = Self;

    /// The later time, without fractions of a second. A sum beyond the range is the last time in the range.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
