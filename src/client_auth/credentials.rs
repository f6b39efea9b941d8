use super::{Authentication, AuthenticationMethod, ClientAddress, PeerCertificates, basic};
use crate::protocol::{Identification, Reason, Rejection, Sensitive, form_encode, refuse};
use http::HeaderMap;
use std::fmt;
use zeroize::Zeroizing;

/// The `client_assertion_type` of a signed JWT (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The `client_assertion_type` of a JWT-SVID.
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// The credentials of a request (RFC 6749 section 2.3): the question to a
/// [`ClientAuthenticator`](super::ClientAuthenticator).
///
/// A request has the credentials of one method. [`method`](Self::method) says which one, and where the credentials are:
///
/// | method | credentials |
/// |---|---|
/// | `client_secret_basic`, `client_secret_post` | [`readings`](Self::readings) |
/// | `private_key_jwt`, `spiffe_jwt` | [`client_assertion`](Self::client_assertion) |
/// | `tls_client_auth` | [`certificates`](Self::certificates): the request has a client id and no other credentials |
/// | `other` | a `client_assertion` of a type that the layer does not know |
/// | `none` | only a client id; an authenticator can look for more in [`headers`](Self::headers) |
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
    /// Pairs of a client id and a secret, other than the plain reading of `basic`.
    readings: Vec<(String, Sensitive)>,
    /// The decoded `Authorization: Basic` credentials of the request.
    basic: Option<Zeroizing<Vec<u8>>>,
    /// The parameter `client_id`.
    client_id: Option<String>,
    assertion: Option<(String, Sensitive)>,
    certificates: Option<PeerCertificates>,
    headers: HeaderMap,
    address: Option<ClientAddress>,
}

impl Credentials {
    /// The credentials of a client that sends this id and this secret with this method. For tests of an authenticator.
    ///
    /// With [`ClientSecretBasic`](AuthenticationMethod::ClientSecretBasic), the credentials have the readings of a header
    /// that is encoded as RFC 6749 section 2.3.1 says. A method without a secret ignores the secret.
    pub fn new(method: AuthenticationMethod, client_id: &str, secret: &str) -> Self {
        let mut credentials = Self::without_secret(method, Some(client_id));
        let plain = || vec![(client_id.to_owned(), Sensitive::new(secret.to_owned()))];
        match method {
            AuthenticationMethod::ClientSecretPost => credentials.readings = plain(),
            AuthenticationMethod::ClientSecretBasic => {
                let (id, secret) = (form_encode(client_id), Zeroizing::new(form_encode(secret)));
                let pair = Zeroizing::new([id.as_bytes(), b":", secret.as_bytes()].concat());
                if basic::plain_reading(&pair).is_none() {
                    credentials.readings = basic::readings(&pair).unwrap_or_else(plain);
                }
                credentials.basic = Some(pair);
                credentials.client_id = None;
            }
            _ => {}
        }
        credentials
    }

    /// The credentials of a client that sends this `client_assertion` (RFC 7521 section 4.2). For tests of an authenticator.
    ///
    /// ```
    /// use tower_token_exchange::client_auth::{AuthenticationMethod, Credentials};
    ///
    /// let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    /// let credentials = Credentials::with_assertion(Some("orders"), jwt_bearer, "e30.e30.AA");
    /// assert_eq!(credentials.method(), AuthenticationMethod::PrivateKeyJwt);
    /// assert_eq!(credentials.client_assertion(), Some((jwt_bearer, "e30.e30.AA")));
    /// ```
    pub fn with_assertion(client_id: Option<&str>, assertion_type: &str, assertion: &str) -> Self {
        let mut credentials = Self::without_secret(method_of(assertion_type), client_id);
        credentials.assertion = Some((assertion_type.to_owned(), Sensitive::new(assertion.to_owned())));
        credentials
    }

    fn without_secret(method: AuthenticationMethod, client_id: Option<&str>) -> Self {
        Self {
            method,
            readings: Vec::new(),
            basic: None,
            client_id: client_id.map(str::to_owned),
            assertion: None,
            certificates: None,
            headers: HeaderMap::new(),
            address: None,
        }
    }

    /// The same credentials from a client with this network address.
    #[must_use]
    pub fn with_client_address(mut self, address: ClientAddress) -> Self {
        self.address = Some(address);
        self
    }

    /// The same credentials in a request with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The same credentials on a connection whose peer has these certificates.
    #[must_use]
    pub fn with_certificates(mut self, certificates: PeerCertificates) -> Self {
        self.certificates = Some(certificates);
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

    /// The client id of the standard reading (RFC 6749 section 2.3.1), or the parameter `client_id`. Empty if a client with
    /// an assertion sends no `client_id`.
    ///
    /// The client is not authenticated yet. Another reading can have another client id.
    pub fn client_id(&self) -> &str {
        self.readings().next().map(|(client_id, _)| client_id).or(self.client_id.as_deref()).unwrap_or_default()
    }

    /// Tries all readings with a function that says whether a client id and a secret are right.
    ///
    /// The answer is the client of the first reading for which the function returned true. The function is called for
    /// every reading, so that the time does not show which reading was right. Credentials without a secret are rejected.
    pub fn authenticate(&self, mut is_right: impl FnMut(&str, &str) -> bool) -> Authentication {
        let mut answer = Authentication::Rejected;
        for (client_id, secret) in self.readings() {
            if is_right(client_id, secret) && answer == Authentication::Rejected {
                answer = Authentication::Client(client_id.into());
            }
        }
        answer
    }

    /// The readings: pairs of a client id and a secret, the standard reading first. There is at least one reading if the
    /// method has a secret, and none otherwise.
    ///
    /// For an authenticator that is asynchronous; such an authenticator must try all readings.
    pub fn readings(&self) -> impl Iterator<Item = (&str, &str)> {
        let plain = self.basic.as_deref().and_then(|pair| basic::plain_reading(pair));
        plain.into_iter().chain(self.readings.iter().map(|(client_id, secret)| (&**client_id, secret.expose())))
    }

    /// The `client_assertion_type` and the `client_assertion` (RFC 7521 section 4.2). Nothing in the assertion is verified.
    pub fn client_assertion(&self) -> Option<(&str, &str)> {
        self.assertion.as_ref().map(|(assertion_type, assertion)| (&**assertion_type, assertion.expose()))
    }

    /// The certificates of the peer, if an outer layer put [`PeerCertificates`] into the extensions of the request.
    pub fn certificates(&self) -> Option<&PeerCertificates> {
        self.certificates.as_ref()
    }

    /// The headers of the request. They can have secrets.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    #[cfg(feature = "server-authenticator")]
    pub(super) fn basic(&self) -> Option<&[u8]> {
        self.basic.as_ref().map(|pair| pair.as_slice())
    }

    /// What names the client and proves its identity, for the budgets of wrong credentials: pairs of a client id and a
    /// secret or an assertion.
    pub(super) fn proofs(&self) -> impl Iterator<Item = (&str, &str)> {
        let other = self.readings().next().is_none().then(|| {
            let assertion = self.assertion.as_ref().map_or("", |(_, assertion)| assertion.expose());
            (self.client_id(), assertion)
        });
        self.readings().chain(other)
    }

    /// Takes the credentials of a request, which must use exactly one method. The headers are left out.
    pub(super) fn take(identification: &mut Identification<'_>) -> Result<Self, Rejection> {
        let Identification { sender, authorization, client_id, client_secret, client_assertion, client_assertion_type } =
            identification;
        let mut credentials = Self::without_secret(AuthenticationMethod::None, client_id.as_deref());
        credentials.address = sender.address.cloned();
        credentials.certificates = sender.extension().cloned();
        match (*authorization, client_secret.take(), client_assertion.take(), client_assertion_type.take()) {
            (None, None, Some(assertion), Some(assertion_type)) => {
                credentials.method = method_of(&assertion_type);
                credentials.assertion = Some((assertion_type, assertion));
            }
            // RFC 7521 section 4.2.1 wants another answer than for two secrets.
            (_, _, Some(_), _) | (_, _, _, Some(_)) => {
                let rejection = refuse(Reason::ClientAssertionNotAlone);
                return Err(if authorization.is_some() { rejection.with_challenge() } else { rejection });
            }
            (Some(_), Some(_), None, None) => return Err(refuse(Reason::SeveralClientCredentials)),
            (Some(header), None, None, None) => {
                let malformed = || refuse(Reason::ClientCredentialsMalformed).with_challenge();
                let header = header.to_str().map_err(|_| malformed())?;
                let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
                if !scheme.eq_ignore_ascii_case("basic") {
                    return Err(refuse(Reason::ClientSchemeUnsupported).with_challenge());
                }
                let pair = basic::decode_base64(token.trim_matches(' ')).ok_or_else(malformed)?;
                if basic::plain_reading(&pair).is_none() {
                    credentials.readings = basic::readings(&pair).ok_or_else(malformed)?;
                }
                credentials.method = AuthenticationMethod::ClientSecretBasic;
                credentials.basic = Some(pair);
            }
            (None, secret, None, None) => {
                let Some(id) = &credentials.client_id else { return Err(refuse(Reason::ClientCredentialsMissing)) };
                credentials.method = match secret {
                    Some(secret) => {
                        credentials.readings = vec![(id.clone(), secret)];
                        AuthenticationMethod::ClientSecretPost
                    }
                    None if credentials.certificates.is_some() => AuthenticationMethod::TlsClientAuth,
                    None => AuthenticationMethod::None,
                };
            }
        }
        Ok(credentials)
    }
}

/// The method of a client that sends an assertion of this type.
fn method_of(assertion_type: &str) -> AuthenticationMethod {
    match assertion_type {
        JWT_BEARER => AuthenticationMethod::PrivateKeyJwt,
        JWT_SPIFFE => AuthenticationMethod::SpiffeJwt,
        _ => AuthenticationMethod::Other,
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.readings().map(|(id, _)| id).chain(self.client_id.as_deref()).collect();
        f.debug_struct("Credentials").field("method", &self.method).field("client_ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_for_a_test_authenticate() {
        for method in [AuthenticationMethod::ClientSecretBasic, AuthenticationMethod::ClientSecretPost] {
            for (client_id, secret) in [("orders", "s3cret"), ("a b", "s+e%c:r t"), ("", "x"), ("a", "")] {
                let credentials = Credentials::new(method, client_id, secret);
                assert_eq!((credentials.method(), credentials.client_id()), (method, client_id));
                let answer = credentials.authenticate(|id, other| (id, other) == (client_id, secret));
                assert_eq!(answer, Authentication::Client(client_id.into()), "{credentials:?}");
                assert_eq!(credentials.authenticate(|_, _| false), Authentication::Rejected);
            }
        }
    }

    #[test]
    fn credentials_without_a_secret_have_no_reading() {
        for credentials in [
            Credentials::new(AuthenticationMethod::None, "orders", "ignored"),
            Credentials::new(AuthenticationMethod::TlsClientAuth, "orders", "ignored"),
            Credentials::with_assertion(Some("orders"), JWT_BEARER, "e30.e30.AA"),
            Credentials::with_assertion(Some("orders"), "urn:example:other", "e30.e30.AA"),
        ] {
            assert_eq!(credentials.readings().count(), 0);
            assert_eq!(credentials.client_id(), "orders");
            assert_eq!(credentials.authenticate(|_, _| true), Authentication::Rejected, "{credentials:?}");
            let shown = format!("{credentials:?}");
            assert!(!shown.contains("e30") && !shown.contains("ignored"), "{shown}");
        }
    }
}
