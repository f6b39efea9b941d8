use crate::caller::ExchangeError;

/// An outgoing request that was not sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutgoingError {
    /// The origin of the URI is not in the table of the layer.
    #[error(
        "the request to {origin} was not sent; add a `Destination` for this origin, if tokens may be sent to the origin"
    )]
    UnknownOrigin {
        /// The origin. Not the path, which can have personal data.
        origin: String,
    },
    /// The URI has no scheme or no host, or has user information.
    #[error(
        "the request was not sent, because its URI is not absolute or has user information; give a URI with scheme and host"
    )]
    NoOrigin,
    /// The header `Host` names another host than the URI.
    #[error("the request was not sent, because its header `Host` is not the host of its URI; remove the header")]
    OtherHost,
    /// There is no token to exchange.
    #[error(
        "the request was not sent, because it has no subject token; put a `SubjectToken` into its extensions, or use \
         `with_subject_token`"
    )]
    NoSubjectToken,
    /// The URI or a header contains the subject token, which is for this service and not for the next one.
    #[error("the request was not sent, because its {place} contains the subject token; remove the token")]
    SubjectTokenInRequest {
        /// The name of the header, or `URI`.
        place: String,
    },
    /// There is no token for the destination.
    #[error("the request was not sent, because there is no token for its destination")]
    Exchange(#[source] ExchangeError),
}
