use std::{borrow::Cow, fmt};

/// A token type identifier (RFC 8693 section 3): an absolute URI, compared byte for byte.
///
/// ```
/// use tower_token_exchange::TokenType;
///
/// let vendor = TokenType::new("urn:example:token-type:badge");
/// assert_ne!(vendor, TokenType::JWT);
/// assert_eq!(TokenType::JWT.as_str(), "urn:ietf:params:oauth:token-type:jwt");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenType(Cow<'static, str>);

impl TokenType {
    /// An OAuth access token issued by this authorization server.
    pub const ACCESS_TOKEN: Self = Self::constant("urn:ietf:params:oauth:token-type:access_token");
    /// A refresh token issued by this authorization server.
    pub const REFRESH_TOKEN: Self = Self::constant("urn:ietf:params:oauth:token-type:refresh_token");
    /// An OpenID Connect ID Token.
    pub const ID_TOKEN: Self = Self::constant("urn:ietf:params:oauth:token-type:id_token");
    /// A JWT as such; the type of a foreign authorization server's JWT access token.
    pub const JWT: Self = Self::constant("urn:ietf:params:oauth:token-type:jwt");

    const fn constant(uri: &'static str) -> Self {
        Self(Cow::Borrowed(uri))
    }

    /// A token type by its URI.
    pub fn new(uri: impl Into<Cow<'static, str>>) -> Self {
        Self(uri.into())
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for TokenType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Debug for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
