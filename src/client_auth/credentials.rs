use super::basic;
use crate::protocol::{Identification, Reason, Rejection, Sensitive, basic_header, refuse};
use http::HeaderValue;
use std::fmt;

/// How a client proved who it is, by its name in the registry of RFC 7591 section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthenticationMethod {
    /// An id and a secret in the `Authorization` header.
    ClientSecretBasic,
    /// An id and a secret in the body.
    ClientSecretPost,
}

impl AuthenticationMethod {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

impl fmt::Display for AuthenticationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for AuthenticationMethod {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a request presented to say which client it comes from (RFC 6749 section 2.3): the question that a
/// [`ClientAuthenticator`](super::ClientAuthenticator) answers.
///
/// Basic credentials can be read in more than one way, because deployed clients encode them differently. All
/// readings are equally valid; a client is authenticated if one of them is right.
#[derive(Clone)]
pub struct Credentials {
    method: AuthenticationMethod,
    readings: Vec<(String, Sensitive)>,
    /// The header as it came, of Basic, but for its spelling.
    #[cfg_attr(not(feature = "server-authenticator"), allow(dead_code, reason = "for another server to read"))]
    authorization: Option<HeaderValue>,
}

impl Credentials {
    /// The method.
    pub fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// The pairs of `client_id` and `client_secret` that were presented, in the order in which to try them.
    pub fn readings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.readings.iter().map(|(id, secret)| (&**id, secret.expose()))
    }

    #[cfg(feature = "server-authenticator")]
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Finds the one method that the request used.
    pub(crate) fn of(identification: &Identification) -> Result<Self, Rejection> {
        let Identification { authorization, client_id, client_secret, client_assertion, .. } = identification;
        if *client_assertion {
            let rejection = refuse(Reason::ClientAssertionUnsupported);
            return Err(if authorization.is_some() { rejection.with_challenge() } else { rejection });
        }
        let Some(header) = authorization else {
            let (Some(id), Some(secret)) = (client_id, client_secret) else {
                return Err(refuse(Reason::ClientCredentialsMissing));
            };
            let readings = vec![(id.clone(), secret.clone())];
            return Ok(Self { method: AuthenticationMethod::ClientSecretPost, readings, authorization: None });
        };
        if client_secret.is_some() {
            return Err(refuse(Reason::SeveralClientCredentials));
        }
        let header = header.to_str().map_err(|_| refuse(Reason::ClientCredentialsMalformed).with_challenge())?;
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(refuse(Reason::ClientSchemeUnsupported).with_challenge());
        }
        let malformed = || refuse(Reason::ClientCredentialsMalformed).with_challenge();
        let pair = basic::decode(token.trim_matches(' ')).ok_or_else(malformed)?;
        let readings = basic::readings(&pair).ok_or_else(malformed)?;
        // In one spelling: what a server cannot read, it may take for nothing.
        let authorization = basic_header(&pair).ok();
        Ok(Self { method: AuthenticationMethod::ClientSecretBasic, readings, authorization })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.readings.iter().map(|(id, _)| id).collect();
        f.debug_struct("Credentials").field("method", &self.method).field("client_ids", &ids).finish_non_exhaustive()
    }
}
