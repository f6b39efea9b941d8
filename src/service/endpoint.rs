use super::{is_same_path, similar};
use http::{Extensions, HeaderMap, Method, Request, Uri};
use std::fmt;

/// A token endpoint that the layer answers.
pub(crate) enum Endpoint {
    /// An exact path.
    Path(String),
    /// A function of the application.
    When(Box<dyn Fn(&RequestHead<'_>) -> EndpointMatch + Send + Sync>),
}

/// Whether a request is for a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointMatch {
    /// The request is not for a token endpoint. The layer passes the request to the wrapped service.
    Elsewhere,
    /// A lenient server could take the request for a request to the token endpoint, such as `/Token.json` or `/token/x` for
    /// `/token`.
    ///
    /// Without [`guard`](crate::TokenExchangeBuilder::guard), the layer passes the request to the wrapped service. With
    /// `guard`, the layer refuses a token exchange in the request.
    Similar,
    /// The request is for the token endpoint.
    TokenEndpoint,
}

impl EndpointMatch {
    /// Compares the path of a token endpoint with the path of a request.
    ///
    /// The answer is [`TokenEndpoint`](Self::TokenEndpoint) if both paths name the same place ([`is_same_path`]), and
    /// [`Similar`](Self::Similar) if a lenient server could take one path for the other.
    ///
    /// ```
    /// use tower_token_exchange::service::EndpointMatch;
    ///
    /// assert_eq!(EndpointMatch::from_paths("/token", "//token/"), EndpointMatch::TokenEndpoint);
    /// assert_eq!(EndpointMatch::from_paths("/token", "//Token.json"), EndpointMatch::Similar);
    /// assert_eq!(EndpointMatch::from_paths("/token", "/userinfo"), EndpointMatch::Elsewhere);
    /// ```
    pub fn from_paths(endpoint: &str, path: &str) -> Self {
        if is_same_path(endpoint, path) {
            Self::TokenEndpoint
        } else if similar::are_similar(endpoint, path) {
            Self::Similar
        } else {
            Self::Elsewhere
        }
    }
}

/// The parts of a request other than its body.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target, as the layer sees the target.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The extensions of the server and of outer layers, such as `OriginalUri` of axum.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    fn new<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Compares the path of a token endpoint with the path of this request; see [`EndpointMatch::from_paths`].
    pub fn match_path(&self, endpoint: &str) -> EndpointMatch {
        EndpointMatch::from_paths(endpoint, self.uri.path())
    }
}

impl Endpoint {
    /// Compares a request with this endpoint. Without `guard`, a path has one spelling.
    pub(super) fn matches<B>(&self, request: &Request<B>, guard: bool) -> EndpointMatch {
        match self {
            Self::Path(path) => match_path(path, request.uri().path(), guard),
            Self::When(matches) => matches(&RequestHead::new(request)),
        }
    }

    /// Whether a lenient server could take a request with this path for a request to this endpoint.
    ///
    /// A function is asked about each plain spelling of the path. A path with too many spellings is similar.
    pub(super) fn is_similar<B>(&self, request: &Request<B>, path: &str) -> bool {
        match self {
            Self::Path(endpoint) => EndpointMatch::from_paths(endpoint, path) != EndpointMatch::Elsewhere,
            Self::When(matches) => {
                let head = RequestHead::new(request);
                let is_similar = |uri: &Uri| matches(&RequestHead { uri, ..head }) != EndpointMatch::Elsewhere;
                similar::plain_spellings(path).is_none_or(|spellings| spellings.iter().any(is_similar))
            }
        }
    }
}

/// Compares the path of an endpoint with the path of a request. Without `guard`, a path has one spelling.
pub(super) fn match_path(endpoint: &str, path: &str, guard: bool) -> EndpointMatch {
    match guard {
        true => EndpointMatch::from_paths(endpoint, path),
        false if endpoint == path => EndpointMatch::TokenEndpoint,
        false => EndpointMatch::Elsewhere,
    }
}

// The headers and the query can have credentials.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
