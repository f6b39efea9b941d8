use super::AuthenticationMethod;
use crate::protocol::ClientId;
use std::time::Duration;

/// A client that proved its identity, with the method that it used.
pub(super) type Authenticated = (ClientId, AuthenticationMethod);

/// The answer of a [`ClientAuthenticator`](super::ClientAuthenticator).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// The credentials are right, and the request is from this client. The client used the method of the credentials
    /// ([`Credentials::method`](super::Credentials::method)).
    ///
    /// With the method [`None`](AuthenticationMethod::None), the record of the client must permit a public client.
    Client(ClientId),
    /// The credentials are right, and the client used this method.
    ///
    /// A method of the application, such as one that reads a header, is [`Other`](AuthenticationMethod::Other).
    ClientBy(ClientId, AuthenticationMethod),
    /// The credentials are wrong.
    Rejected,
    /// There were too many attempts, so the credentials were not checked. The request is answered with 429 (RFC 6585
    /// section 4).
    TooManyAttempts {
        /// The time after which the client may try again, for the header `Retry-After`.
        retry_after: Duration,
    },
    /// No client can be authenticated until somebody changes the configuration. The request is answered with 500.
    Misconfigured {
        /// What is wrong and what to do, for the audit. The text contains no secret.
        problem: String,
    },
}
