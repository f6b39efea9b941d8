use crate::{
    jose::{Claims, Compact},
    protocol::{NumericDate, Sensitive, TokenType},
};
use std::{fmt, time::SystemTime};

/// Defines a token that a request presents to the authorization server.
macro_rules! presented {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Presented);

        impl $name {
            /// A token of this type (RFC 8693 section 3).
            pub fn new(token: impl Into<String>, token_type: TokenType) -> Self {
                Self(Presented { text: Sensitive::new(token.into()), token_type, expires_at: None })
            }

            /// An OAuth access token. The conversions from texts also make access tokens.
            pub fn access_token(token: impl Into<String>) -> Self {
                Self::new(token, TokenType::ACCESS_TOKEN)
            }

            /// States when the token expires. A JWT needs no statement, because its claim `exp` is read. If both are known, the
            /// earlier time counts.
            ///
            /// No exchanged token is kept longer than this.
            #[must_use]
            pub fn expires_at(mut self, time: SystemTime) -> Self {
                self.0.expires_at = Some(time.into());
                self
            }

            /// The declared type of the token.
            pub fn token_type(&self) -> &TokenType {
                &self.0.token_type
            }

            pub(in crate::caller) fn presented(&self) -> &Presented {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(token: String) -> Self {
                Self::access_token(token)
            }
        }

        impl From<&str> for $name {
            fn from(token: &str) -> Self {
                Self::access_token(token)
            }
        }

        impl From<&$name> for $name {
            fn from(token: &$name) -> Self {
                token.clone()
            }
        }

        // The token stays secret.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("token_type", &self.0.token_type).finish_non_exhaustive()
            }
        }
    };
}

presented! {
    /// The token that is exchanged: the token of the party for which the new token is used (RFC 8693 section 2.1).
    ///
    /// `Debug` does not show the token.
    ///
    /// ```
    /// use tower_token_exchange::{TokenType, caller::SubjectToken};
    ///
    /// let of_a_user = SubjectToken::from("eyJ0eXAiOiJhdCtqd3Qi");
    /// assert_eq!(*of_a_user.token_type(), TokenType::ACCESS_TOKEN);
    /// let of_another_issuer = SubjectToken::new("eyJ0eXAiOiJKV1QiLC", TokenType::JWT);
    /// assert!(!format!("{of_another_issuer:?}").contains("eyJ0"));
    /// ```
    SubjectToken
}

presented! {
    /// The token of the party that acts for the subject (RFC 8693 section 2.1).
    ///
    /// Without an actor token, the authorization server takes the client as the actor.
    ///
    /// ```
    /// use tower_token_exchange::{TokenType, caller::ActorToken};
    ///
    /// let of_an_agent = ActorToken::new("eyJ0eXAiOiJKV1QiLC", TokenType::JWT);
    /// assert_eq!(*of_an_agent.token_type(), TokenType::JWT);
    /// ```
    ActorToken
}

/// A token with what is known about it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) text: Sensitive,
    pub(super) token_type: TokenType,
    expires_at: Option<NumericDate>,
}

impl Presented {
    /// The time at which the token expires, as far as known: the statement of the application, and the `exp` of a JWT. The
    /// signature is not checked, because the time only shortens how long a token is kept.
    pub(super) fn expiry(&self) -> Option<NumericDate> {
        let of_jwt = || {
            let jwt = Compact::parse(self.text.expose())?;
            let claims = Claims::from_json(jwt.payload()).ok()?;
            claims.seconds("exp").ok().flatten().map(NumericDate::from_seconds)
        };
        self.expires_at.into_iter().chain(of_jwt()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::base64url;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_earlier_expiry_counts() {
        let jwt = |claims: &str| format!("{}.{}.AA", base64url(b"{}"), base64url(claims.as_bytes()));
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (token, stated, expiry) in [
            ("opaque".to_owned(), None, None),
            ("opaque".to_owned(), Some(5), Some(5)),
            (jwt(r#"{"exp":7}"#), None, Some(7)),
            (jwt(r#"{"exp":7}"#), Some(5), Some(5)),
            (jwt(r#"{"exp":7}"#), Some(9), Some(7)),
            (jwt(r#"{"exp":"7"}"#), None, None),
            (jwt("{}"), Some(9), Some(9)),
        ] {
            let subject = SubjectToken::from(token);
            let subject = match stated {
                Some(seconds) => subject.expires_at(at(seconds)),
                None => subject,
            };
            assert_eq!(subject.presented().expiry(), expiry.map(NumericDate::from_seconds), "{stated:?}");
        }
    }
}
