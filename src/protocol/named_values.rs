use super::escaped;

/// A text that is not the name of any value of a type, such as an unknown reason code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not {expected}")]
#[non_exhaustive]
pub struct UnknownNameError {
    /// The text, with unprintable characters escaped and cut off after 256 characters.
    pub name: String,
    /// The kind of name that is expected, with its article, such as `a reason code`.
    pub expected: &'static str,
}

impl UnknownNameError {
    pub(crate) fn new(name: &str, expected: &'static str) -> Self {
        Self { name: escaped(name), expected }
    }
}

/// Implements `Display`, `FromStr`, `Serialize` and `Deserialize` for an enum whose every value has one name.
///
/// The enum has a constant `ALL` and a method that returns the name.
macro_rules! named_values {
    ($type:ident, $name:ident, $expected:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.$name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::protocol::UnknownNameError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|value| value.$name() == name);
                found.copied().ok_or_else(|| $crate::protocol::UnknownNameError::new(name, $expected))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use named_values;
