use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri, uri::Parts};
use tower::{BoxError, Service, ServiceExt};

/// Asks one service what is asked of the origin (scheme, host and port) of this URL, and another what is asked of everybody
/// else: the server behind a gateway is asked by the gateway itself, without a way around through its own front door.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tower::ServiceExt;
/// use tower_token_exchange::fetch::{HttpFetch, by_origin};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
/// let server = tower::service_fn(|_: Request<Bytes>| async { Ok::<_, Infallible>(Response::new(Bytes::from("{}"))) });
/// let fetch = by_origin("https://as.example", server, HttpFetch::new());
///
/// let answer = fetch.oneshot(Request::get("https://as.example/jwks").body(Bytes::new())?).await?;
/// assert_eq!(answer.body(), "{}");
/// # Ok(())
/// # }
/// ```
pub fn by_origin<S, T>(url: &str, here: S, elsewhere: T) -> ByOrigin<S, T> {
    ByOrigin { origin: url.parse().ok().and_then(|uri| origin(&uri)), here, elsewhere }
}

/// Two services, by [`by_origin`].
#[derive(Clone, Debug)]
pub struct ByOrigin<S, T> {
    /// None is nobody's.
    origin: Option<(String, String)>,
    here: S,
    elsewhere: T,
}

fn origin(uri: &Uri) -> Option<(String, String)> {
    let Parts { scheme, authority, .. } = uri.clone().into_parts();
    Some((scheme?.to_string(), authority?.as_str().to_ascii_lowercase()))
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
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let is_here = self.origin.is_some() && origin(request.uri()) == self.origin;
        let (here, elsewhere) = (self.here.clone(), self.elsewhere.clone());
        Box::pin(async move {
            if is_here {
                here.oneshot(request).await.map_err(Into::into)
            } else {
                elsewhere.oneshot(request).await.map_err(Into::into)
            }
        })
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
            ("https://as.example/t", "https://as.example/jwks", "here"),
            ("https://as.example", "https://AS.example/", "here"),
            ("https://as.example", "http://as.example/", "elsewhere"),
            ("https://as.example", "https://as.example:8443/", "elsewhere"),
            ("https://as.example", "https://as.example.evil/", "elsewhere"),
            ("https://as.example", "https://as.example@evil.example/", "elsewhere"),
            ("as.example", "/jwks", "elsewhere"),
        ] {
            let request = Request::get(asked).body(Bytes::new()).unwrap();
            let said = by_origin(url, says("here"), says("elsewhere")).oneshot(request).await.unwrap();
            assert_eq!(said.body(), answer, "{url} {asked}");
        }
    }
}
