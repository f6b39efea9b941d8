use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The longest key id in bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// An identifier that does not have the form of its kind.
///
/// ```
/// use tower_token_exchange::records::ClientId;
///
/// let error = ClientId::try_from("").unwrap_err();
/// assert_eq!(error.to_string(), "not a client id: use 1 or more printable ASCII characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {kind}: use {form}")]
pub struct IdError {
    kind: &'static str,
    form: &'static str,
}

/// Defines an identifier: a shared text of a checked form.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $form:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn parse(text: &str) -> Result<(), IdError> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(text) { Ok(()) } else { Err(IdError { kind: $kind, form: $form }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                Self::parse(text).map(|()| Self(text.into()))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                &*self.0 == other.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// The `client_id` of a client of the token endpoint (RFC 6749 section 2.2): printable ASCII, at least one character.
    ///
    /// ```
    /// use tower_token_exchange::records::ClientId;
    ///
    /// let orders: ClientId = "orders".parse()?;
    /// assert_eq!(orders, "orders");
    /// # Ok::<(), tower_token_exchange::error::IdError>(())
    /// ```
    ClientId, "a client id", "1 or more printable ASCII characters",
    |text| !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

id! {
    /// The id of a [`Target`](crate::Target) record: at least one character.
    ///
    /// The id names the record in rules, audit events and the `audience` parameter. It is not the `aud` claim of issued
    /// tokens.
    TargetId, "a target id", "1 or more characters", |text| !text.is_empty()
}

id! {
    /// The identifier of an issuer, as tokens name the issuer in `iss` (RFC 7519 section 4.1.1): at least one character.
    ///
    /// Issuer identifiers are compared character by character (RFC 8414 section 3.3).
    IssuerId, "an issuer identifier", "1 or more characters", |text| !text.is_empty()
}

id! {
    /// The name of a key, as token headers and key sets give the name in `kid` (RFC 7515 section 4.1.4): 1 to 256 bytes
    /// without control characters.
    ///
    /// ```
    /// use tower_token_exchange::jwks::KeyId;
    ///
    /// assert!(KeyId::try_from("2026-01").is_ok());
    /// assert!(KeyId::try_from("k".repeat(257)).is_err());
    /// ```
    KeyId, "a key id", "1 to 256 bytes without control characters",
    |text| (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

id! {
    /// The name of a token, as the token gives the name in `jti` (RFC 7519 section 4.1.7): at least one character.
    TokenId, "a token id", "1 or more characters", |text| !text.is_empty()
}
