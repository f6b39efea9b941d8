use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr, sync::Arc};

/// The longest key id in bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// Defines an identifier: a text that is cheap to clone and that no other kind of identifier can be confused with.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        $(#[$doc])*
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
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

        impl PartialEq<$name> for str {
            fn eq(&self, other: &$name) -> bool {
                self == &*other.0
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                *self == &*other.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

/// Makes an identifier from any text. The records check the text where its form matters.
macro_rules! id_from_any_text {
    ($name:ident) => {
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                Self(text.as_str().into())
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }
    };
}

id! {
    /// The `client_id` of a client of the token endpoint (RFC 6749 section 2.2).
    ///
    /// ```
    /// use tower_token_exchange::records::ClientId;
    ///
    /// let orders = ClientId::from("orders");
    /// assert_eq!(orders, "orders");
    /// ```
    ClientId
}
id_from_any_text!(ClientId);

id! {
    /// The id of a [`Target`](crate::Target) record.
    ///
    /// The id names the record in rules, audit events and the `audience` parameter. The id is not the `aud` claim of
    /// issued tokens.
    TargetId
}
id_from_any_text!(TargetId);

id! {
    /// The identifier of an issuer, as tokens name the issuer in `iss` (RFC 7519 section 4.1.1).
    ///
    /// Issuer identifiers are compared character by character (RFC 8414 section 3.3).
    IssuerId
}
id_from_any_text!(IssuerId);

id! {
    /// The name of a party at its issuer, as tokens give the name in `sub` (RFC 7519 section 4.1.2).
    ///
    /// ```
    /// use tower_token_exchange::records::SubjectId;
    ///
    /// let alice = SubjectId::from("alice");
    /// assert_eq!(alice, "alice");
    /// ```
    SubjectId
}
id_from_any_text!(SubjectId);

/// The name of a client as a party: the `sub` of a token for which no user stands.
impl From<&ClientId> for SubjectId {
    fn from(id: &ClientId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

id! {
    /// The name of a token, as the token gives the name in `jti` (RFC 7519 section 4.1.7).
    TokenId
}
id_from_any_text!(TokenId);

id! {
    /// The name of a key, as token headers and key sets give the name in `kid` (RFC 7515 section 4.1.4): 1 to 256 bytes
    /// without control characters.
    ///
    /// ```
    /// use tower_token_exchange::jwks::KeyId;
    ///
    /// assert!(KeyId::try_from("2026-01").is_ok());
    /// assert!(KeyId::try_from("k".repeat(257).as_str()).is_err());
    /// ```
    #[serde(try_from = "String")]
    KeyId
}

/// A key id that is empty, longer than 256 bytes, or has control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: use 1 to 256 bytes without control characters")]
#[non_exhaustive]
pub struct KeyIdError;

impl TryFrom<&str> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: &str) -> Result<Self, KeyIdError> {
        let is_valid = (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if is_valid { Ok(Self(text.into())) } else { Err(KeyIdError) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        Self::try_from(text)
    }
}
