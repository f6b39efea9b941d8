use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt, str::FromStr};

/// A token type identifier (RFC 8693 section 3): an absolute URI, compared byte for byte.
///
/// ```
/// use tower_token_exchange::TokenType;
///
/// const BADGE: TokenType = TokenType::from_static("urn:example:token-type:badge");
///
/// assert_eq!("urn:example:token-type:badge".parse::<TokenType>()?, BADGE);
/// assert_eq!(TokenType::JWT.as_str(), "urn:ietf:params:oauth:token-type:jwt");
/// assert!(TokenType::new("acces_token").is_err());
/// # Ok::<(), tower_token_exchange::error::TokenTypeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenType(Cow<'static, str>);

/// A text that is not a token type identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token type: use an absolute URI, such as `urn:ietf:params:oauth:token-type:jwt`")]
#[non_exhaustive]
pub struct TokenTypeError;

impl TokenType {
    /// An OAuth access token that this authorization server issued.
    pub const ACCESS_TOKEN: Self = Self::from_static("urn:ietf:params:oauth:token-type:access_token");
    /// A refresh token that this authorization server issued.
    pub const REFRESH_TOKEN: Self = Self::from_static("urn:ietf:params:oauth:token-type:refresh_token");
    /// An OpenID Connect ID token.
    pub const ID_TOKEN: Self = Self::from_static("urn:ietf:params:oauth:token-type:id_token");
    /// A JWT of any kind. A JWT access token of a foreign authorization server has this type.
    pub const JWT: Self = Self::from_static("urn:ietf:params:oauth:token-type:jwt");

    /// A token type by its URI.
    ///
    /// # Errors
    /// [`TokenTypeError`] if the text is not an absolute URI.
    pub fn new(uri: impl Into<String>) -> Result<Self, TokenTypeError> {
        let uri = uri.into();
        if is_absolute_uri(uri.as_bytes()) { Ok(Self(Cow::Owned(uri))) } else { Err(TokenTypeError) }
    }

    /// A token type by a URI that is known at compile time.
    ///
    /// # Panics
    /// If the text is not an absolute URI. In a constant, that is a compile error.
    pub const fn from_static(uri: &'static str) -> Self {
        assert!(is_absolute_uri(uri.as_bytes()), "a token type is an absolute URI");
        Self(Cow::Borrowed(uri))
    }

    /// A token type as a client declares it. A text that is not a URI equals no token type of a record.
    pub(crate) fn declared(text: &str) -> Self {
        let registered = Self::REGISTERED.into_iter().find(|registered| registered.as_str() == text);
        registered.unwrap_or_else(|| Self(Cow::Owned(text.to_owned())))
    }

    /// The token types in the registry of IANA (RFC 8693 section 7.1).
    const REGISTERED: [Self; 6] = [
        Self::ACCESS_TOKEN,
        Self::REFRESH_TOKEN,
        Self::ID_TOKEN,
        Self::JWT,
        Self::from_static("urn:ietf:params:oauth:token-type:saml1"),
        Self::from_static("urn:ietf:params:oauth:token-type:saml2"),
    ];

    /// Whether a token of this type can be a JWT.
    pub(crate) fn is_jwt(&self) -> bool {
        [Self::ACCESS_TOKEN, Self::JWT, Self::ID_TOKEN].contains(self)
    }

    /// Whether the token type is in the registry of IANA (RFC 8693 section 7.1).
    pub(crate) fn is_registered(&self) -> bool {
        Self::REGISTERED.contains(self)
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the text has a scheme, a colon and a rest, and neither spaces nor control characters.
const fn is_absolute_uri(text: &[u8]) -> bool {
    let mut colon = None;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if !byte.is_ascii_graphic() {
            return false;
        }
        if colon.is_none() && byte == b':' {
            colon = Some(at);
        }
        if colon.is_none() && !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
            return false;
        }
        at += 1;
    }
    match colon {
        Some(colon) => colon > 0 && colon + 1 < text.len() && text[0].is_ascii_alphabetic(),
        None => false,
    }
}

impl FromStr for TokenType {
    type Err = TokenTypeError;

    fn from_str(uri: &str) -> Result<Self, TokenTypeError> {
        Self::new(uri)
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for TokenType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TokenType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_type_is_an_absolute_uri() {
        for good in ["urn:ietf:params:oauth:token-type:jwt", "https://example.com/types/badge", "urn:x:y"] {
            assert_eq!(TokenType::new(good).map(|token_type| token_type.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "acces_token", ":x", "urn:", "1urn:x", "ur_n:x", "urn:x y", "urn:\u{e9}", "urn:x\n"] {
            assert_eq!(TokenType::new(bad), Err(TokenTypeError), "{bad:?}");
        }
    }
}
