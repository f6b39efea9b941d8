use crate::forward::without_default_port;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri, uri::Parts};
use std::task::{Context, Poll};
use tower::{BoxError, Service, ServiceExt};

/// Sends requests for one origin (scheme, host and port) to one service, and all other requests to another service.
///
/// The gateway asks the server behind it directly, and not through its own front door.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use token_exchange_gateway::upstream::ByOrigin;
/// use tower::ServiceExt;
/// use tower_token_exchange::fetch::HttpFetch;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
/// let server = tower::service_fn(|_: Request<Bytes>| async { Ok::<_, Infallible>(Response::new(Bytes::from("{}"))) });
/// let fetch = ByOrigin::new("https://as.example", server, HttpFetch::new())?;
///
/// let answer = fetch.oneshot(Request::get("https://as.example/jwks").body(Bytes::new())?).await?;
/// assert_eq!(answer.body(), "{}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ByOrigin<S, T> {
    origin: (String, String),
    inside: S,
    outside: T,
}

/// A URL has no origin: the URL is not absolute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an absolute URL; write the URL in full, such as `https://as.example`")]
pub struct OriginError(String);

impl<S, T> ByOrigin<S, T> {
    /// Creates the service. `inside` answers requests for the origin of the URL, `outside` answers all other requests.
    ///
    /// # Errors
    /// [`OriginError`] if the URL is not absolute.
    pub fn new(url: &str, inside: S, outside: T) -> Result<Self, OriginError> {
        let origin = url.parse().ok().and_then(|uri| origin(&uri)).ok_or_else(|| OriginError(url.to_owned()))?;
        Ok(Self { origin, inside, outside })
    }
}

fn origin(uri: &Uri) -> Option<(String, String)> {
    let Parts { scheme, authority, .. } = uri.clone().into_parts();
    let (scheme, authority) = (scheme?.to_string(), authority?.as_str().to_ascii_lowercase());
    let host = without_default_port(&scheme, &authority).to_owned();
    Some((scheme, host))
}

impl<S, T> Service<Request<Bytes>> for ByOrigin<S, T>
where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    T: Service<Request<Bytes>, Response = Response<Bytes>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = Response<Bytes>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Bytes>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        if origin(request.uri()).as_ref() == Some(&self.origin) {
            let inside = self.inside.clone();
            Box::pin(async move { inside.oneshot(request).await.map_err(Into::into) })
        } else {
            let outside = self.outside.clone();
            Box::pin(async move { outside.oneshot(request).await.map_err(Into::into) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn an_origin_is_scheme_host_and_port() {
        let says = |word: &'static str| {
            tower::service_fn(
                move |_: Request<Bytes>| async move { Ok::<_, Infallible>(Response::new(Bytes::from(word))) },
            )
        };
        for (url, asked, answer) in [
            ("https://as.example/t", "https://as.example/jwks", "inside"),
            ("https://as.example", "https://AS.example/", "inside"),
            ("https://as.example", "https://as.example:443/jwks", "inside"),
            ("https://as.example", "http://as.example/", "outside"),
            ("https://as.example", "https://as.example:8443/", "outside"),
            ("https://as.example", "https://as.example.evil/", "outside"),
            ("https://as.example", "https://as.example@evil.example/", "outside"),
            ("https://as.example", "/jwks", "outside"),
        ] {
            let request = Request::get(asked).body(Bytes::new()).unwrap();
            let by_origin = ByOrigin::new(url, says("inside"), says("outside")).unwrap();
            assert_eq!(by_origin.oneshot(request).await.unwrap().body(), answer, "{url} {asked}");
        }
    }

    #[test]
    fn a_url_without_an_origin_is_an_error() {
        for url in ["as.example", "/jwks", ""] {
            assert_eq!(ByOrigin::new(url, (), ()).unwrap_err(), OriginError(url.to_owned()));
        }
    }
}
