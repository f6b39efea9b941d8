use crate::protocol::escaped;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr, time::Duration};

const UNITS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("min", Duration::from_secs(60)), ("h", Duration::from_secs(3600))];

/// The size of a budget: a number of attempts for each second, minute or hour.
///
/// A party can make the whole number of attempts at once. The budget then fills up again evenly: with 10 attempts per
/// minute, one more attempt is possible every 6 s.
///
/// As text, and in a document, a rate is a number and a unit: `100/s`, `10/min` or `1000/h`.
///
/// ```
/// use tower_token_exchange::limits::Rate;
///
/// assert_eq!("10/min".parse(), Ok(Rate::per_minute(10)));
/// assert_eq!(Rate::per_second(100).to_string(), "100/s");
/// assert!("10/day".parse::<Rate>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    number: u32,
    /// The position in `UNITS`.
    unit: usize,
}

/// A text that is not a [`Rate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a rate; write a number of at least 1 and a unit, such as `100/s`, `10/min` or `1000/h`")]
#[non_exhaustive]
pub struct RateError {
    /// The text, with unprintable characters escaped and cut off after 256 characters.
    pub text: String,
}

impl Rate {
    /// A number of attempts for each second.
    ///
    /// # Panics
    /// If the number is 0. In a constant, this is an error of the compiler.
    pub const fn per_second(number: u32) -> Self {
        Self::new(number, 0)
    }

    /// A number of attempts for each minute.
    ///
    /// # Panics
    /// If the number is 0.
    pub const fn per_minute(number: u32) -> Self {
        Self::new(number, 1)
    }

    /// A number of attempts for each hour.
    ///
    /// # Panics
    /// If the number is 0.
    pub const fn per_hour(number: u32) -> Self {
        Self::new(number, 2)
    }

    const fn new(number: u32, unit: usize) -> Self {
        assert!(number > 0, "a rate allows at least one attempt; to allow none, remove what the rate is for");
        Self { number, unit }
    }

    /// The time in which one attempt comes back, in nanoseconds. It is rounded up, so that the rate is never exceeded.
    pub(super) fn interval(self) -> u64 {
        u64::try_from(UNITS[self.unit].1.as_nanos()).unwrap_or(u64::MAX).div_ceil(self.number.into())
    }

    /// The time in which the whole budget comes back, in nanoseconds.
    pub(super) fn window(self) -> u64 {
        self.interval() * u64::from(self.number)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, UNITS[self.unit].0)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let parts = text.split_once('/').and_then(|(number, unit)| {
            let unit = UNITS.iter().position(|(name, _)| *name == unit)?;
            // `parse` would take a plus sign.
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|number: &u32| is_number && *number > 0)?;
            Some(Self { number, unit })
        });
        parts.ok_or_else(|| RateError { text: escaped(text) })
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^0*[1-9][0-9]*/(s|min|h)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_and_a_unit_are_a_rate() {
        for text in ["1/s", "10/min", "1000/h", "4294967295/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in
            ["", "10", "/s", "0/s", "-1/s", "+1/s", " 1/s", "1 /s", "1/ s", "1/m", "1/S", "1.5/s", "4294967296/s"]
        {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}` is not a rate; write")), "{error}");
        }
    }

    #[test]
    fn the_whole_number_fits_in_the_window() {
        for rate in [Rate::per_second(3), Rate::per_minute(7), Rate::per_hour(u32::MAX), Rate::per_second(u32::MAX)] {
            assert!(rate.interval() > 0);
            assert_eq!(rate.window() / rate.interval(), u64::from(rate.number), "{rate}");
        }
    }
}
