use super::{Authentication, ClientAddress, basic};
use crate::protocol::{Identification, Reason, Rejection, Sensitive, form_encode, named_values, refuse};
use std::fmt;
use zeroize::Zeroizing;

/// A method of client authentication, by its registered name (RFC 7591 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthenticationMethod {
    /// The client sends its id and its secret in the `Authorization` header.
    ClientSecretBasic,
    /// The client sends its id and its secret in the form.
    ClientSecretPost,
}

impl AuthenticationMethod {
    /// Every method.
    pub const ALL: &'static [Self] = &[Self::ClientSecretBasic, Self::ClientSecretPost];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

named_values!(AuthenticationMethod, as_str, "a client authentication method");

/// The credentials of a request (RFC 6749 section 2.3): the question to a
/// [`ClientAuthenticator`](super::ClientAuthenticator).
///
/// The credentials of an `Authorization: Basic` header can have more than one reading, because deployed clients encode
/// the header in different ways. Each reading is a pair of a client id and a secret. A client is authenticated if one of
/// the readings is right. [`authenticate`](Self::authenticate) tries all readings.
///
/// ```
/// use tower_token_exchange::client_auth::{Authentication, AuthenticationMethod, Credentials};
///
/// let credentials = Credentials::new(AuthenticationMethod::ClientSecretBasic, "orders", "s3cret+");
/// let answer = credentials.authenticate(|client_id, secret| (client_id, secret) == ("orders", "s3cret+"));
/// assert_eq!(answer, Authentication::Client("orders".into()));
/// ```
#[derive(Clone)]
pub struct Credentials {
    method: AuthenticationMethod,
    /// At least one pair of a client id and a secret.
    readings: Vec<(String, Sensitive)>,
    /// The decoded `Authorization: Basic` credentials of the request.
    #[cfg_attr(
        not(feature = "server-authenticator"),
        allow(dead_code, reason = "only the server authenticator reads it")
    )]
    basic: Option<Zeroizing<Vec<u8>>>,
    address: Option<ClientAddress>,
}

impl Credentials {
    /// The credentials of a client that sends this id and this secret with this method. For tests of an authenticator.
    ///
    /// With [`ClientSecretBasic`](AuthenticationMethod::ClientSecretBasic), the credentials have the readings of a header
    /// that is encoded as RFC 6749 section 2.3.1 says.
    pub fn new(method: AuthenticationMethod, client_id: &str, secret: &str) -> Self {
        let plain = || vec![(client_id.to_owned(), Sensitive::new(secret.to_owned()))];
        match method {
            AuthenticationMethod::ClientSecretPost => Self { method, readings: plain(), basic: None, address: None },
            AuthenticationMethod::ClientSecretBasic => {
                let (id, secret) = (form_encode(client_id), Zeroizing::new(form_encode(secret)));
                let pair = Zeroizing::new([id.as_bytes(), b":", secret.as_bytes()].concat());
                let readings = basic::readings(&pair).unwrap_or_else(plain);
                Self { method, readings, basic: Some(pair), address: None }
            }
        }
    }

    /// The same credentials from a client with this network address.
    #[must_use]
    pub fn with_client_address(mut self, address: ClientAddress) -> Self {
        self.address = Some(address);
        self
    }

    /// The network address of the client, if an outer layer put the address into the extensions of the request.
    pub fn client_address(&self) -> Option<&ClientAddress> {
        self.address.as_ref()
    }

    /// The method of the client.
    pub fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// The client id of the standard reading (RFC 6749 section 2.3.1).
    ///
    /// The client is not authenticated yet. Another reading can have another client id.
    pub fn client_id(&self) -> &str {
        self.readings.first().map_or("", |(client_id, _)| client_id)
    }

    /// Tries all readings with a function that says whether a client id and a secret are right.
    ///
    /// The answer is the client of the first reading for which the function returned true. The function is called for
    /// every reading, so that the time does not show which reading was right.
    pub fn authenticate(&self, mut is_right: impl FnMut(&str, &str) -> bool) -> Authentication {
        let mut answer = Authentication::Rejected;
        for (client_id, secret) in self.readings() {
            if is_right(client_id, secret) && answer == Authentication::Rejected {
                answer = Authentication::Client(client_id.into());
            }
        }
        answer
    }

    /// The readings: pairs of a client id and a secret, the standard reading first. There is at least one reading.
    ///
    /// For an authenticator that is asynchronous; such an authenticator must try all readings.
    pub fn readings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.readings.iter().map(|(client_id, secret)| (&**client_id, secret.expose()))
    }

    #[cfg(feature = "server-authenticator")]
    pub(super) fn basic(&self) -> Option<&[u8]> {
        self.basic.as_ref().map(|pair| pair.as_slice())
    }

    /// Reads the credentials of a request, which must use exactly one method.
    pub(crate) fn read(identification: &Identification) -> Result<Self, Rejection> {
        let Identification { authorization, client_id, client_secret, client_assertion, address, .. } = identification;
        let address = address.clone();
        if *client_assertion {
            let rejection = refuse(Reason::ClientAssertionUnsupported);
            return Err(if authorization.is_some() { rejection.with_challenge() } else { rejection });
        }
        let Some(header) = authorization else {
            let (Some(id), Some(secret)) = (client_id, client_secret) else {
                return Err(refuse(Reason::ClientCredentialsMissing));
            };
            let readings = vec![(id.clone(), secret.clone())];
            return Ok(Self { method: AuthenticationMethod::ClientSecretPost, readings, basic: None, address });
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
        let pair = basic::decode_base64(token.trim_matches(' ')).ok_or_else(malformed)?;
        let readings = basic::readings(&pair).ok_or_else(malformed)?;
        Ok(Self { method: AuthenticationMethod::ClientSecretBasic, readings, basic: Some(pair), address })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.readings.iter().map(|(id, _)| id).collect();
        f.debug_struct("Credentials").field("method", &self.method).field("client_ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_for_a_test_authenticate() {
        for method in AuthenticationMethod::ALL {
            for (client_id, secret) in [("orders", "s3cret"), ("a b", "s+e%c:r t"), ("", "x"), ("a", "")] {
                let credentials = Credentials::new(*method, client_id, secret);
                assert_eq!((credentials.method(), credentials.client_id()), (*method, client_id));
                let answer = credentials.authenticate(|id, other| (id, other) == (client_id, secret));
                assert_eq!(answer, Authentication::Client(client_id.into()), "{credentials:?}");
                assert_eq!(credentials.authenticate(|_, _| false), Authentication::Rejected);
            }
        }
    }
}
