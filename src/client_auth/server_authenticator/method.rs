use crate::protocol::named_values;

/// A question by which an authorization server shows whether the credentials of a client are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerMethod {
    /// Introspection of a token that does not exist (RFC 7662).
    Introspection,
    /// The client credentials grant (RFC 6749 section 4.4).
    ClientCredentials,
    /// The authorization code grant with a code that does not exist (RFC 6749 section 4.1.3).
    AuthorizationCode,
    /// The refresh token grant with a token that does not exist (RFC 6749 section 6).
    RefreshToken,
}

impl ServerMethod {
    /// Every method, in the order in which [`ServerAuthenticator::auto`](super::ServerAuthenticator::auto) tries the methods.
    pub const ALL: &'static [Self] =
        &[Self::Introspection, Self::ClientCredentials, Self::AuthorizationCode, Self::RefreshToken];

    /// The name, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Introspection => "introspection",
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
        }
    }
}

named_values!(ServerMethod, as_str, "a method of a server authenticator");
