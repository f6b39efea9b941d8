use crate::forward::without_default_port;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri, uri::Parts};
use std::task::{Context, Poll};
use tower::{BoxError, Service, ServiceExt};

/// Sends requests for the known URLs of one server to one service, and all other requests to another service.
///
/// The gateway asks the server behind it directly, and not through its own front door. The direct way is only for the URLs
/// that belong to the server. The URLs of other issuers can come from a document that somebody else wrote, so requests for
/// these URLs go the way that `outside` permits, also if the URLs have the origin of the server.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use token_exchange_gateway::upstream::ByUrl;
/// use tower::ServiceExt;
/// use tower_token_exchange::fetch::HttpFetch;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
/// let server = tower::service_fn(|_: Request<Bytes>| async { Ok::<_, Infallible>(Response::new(Bytes::from("{}"))) });
/// let fetch = ByUrl::new("https://as.example", ["/jwks"], server, HttpFetch::new())?.deny("http://10.0.0.7:3000")?;
///
/// let answer = fetch.oneshot(Request::get("https://as.example/jwks").body(Bytes::new())?).await?;
/// assert_eq!(answer.body(), "{}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ByUrl<S, T> {
    origin: Origin,
    paths: Vec<String>,
    denied: Vec<Origin>,
    inside: S,
    outside: T,
}

/// Scheme and host with the port.
type Origin = (String, String);

/// A URL has no origin: the URL is not absolute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an absolute URL; write the URL in full, such as `https://as.example`")]
pub struct OriginError(String);

impl<S, T> ByUrl<S, T> {
    /// Creates the service. `inside` answers requests without a query for these paths at the origin of the URL. `outside`
    /// answers all other requests.
    ///
    /// # Errors
    /// [`OriginError`] if the URL is not absolute.
    pub fn new<P: Into<String>>(
        url: &str,
        paths: impl IntoIterator<Item = P>,
        inside: S,
        outside: T,
    ) -> Result<Self, OriginError> {
        let paths = paths.into_iter().map(Into::into).collect();
        Ok(Self { origin: origin_of(url)?, paths, denied: Vec::new(), inside, outside })
    }

    /// Refuses every request for the origin of this URL that `inside` does not answer. Give the address at which the server
    /// itself listens.
    ///
    /// # Errors
    /// [`OriginError`] if the URL is not absolute.
    pub fn deny(mut self, url: &str) -> Result<Self, OriginError> {
        self.denied.push(origin_of(url)?);
        Ok(self)
    }

    fn is_inside(&self, uri: &Uri, asked: Option<&Origin>) -> bool {
        asked == Some(&self.origin) && uri.query().is_none() && self.paths.iter().any(|path| path == uri.path())
    }
}

fn origin_of(url: &str) -> Result<Origin, OriginError> {
    url.parse().ok().and_then(|uri| origin(&uri)).ok_or_else(|| OriginError(url.to_owned()))
}

fn origin(uri: &Uri) -> Option<Origin> {
    let Parts { scheme, authority, .. } = uri.clone().into_parts();
    let (scheme, authority) = (scheme?.to_string(), authority?.as_str().to_ascii_lowercase());
    let host = without_default_port(&scheme, &authority).to_owned();
    Some((scheme, host))
}

impl<S, T> Service<Request<Bytes>> for ByUrl<S, T>
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
        let asked = origin(request.uri());
        if self.is_inside(request.uri(), asked.as_ref()) {
            let inside = self.inside.clone();
            Box::pin(async move { inside.oneshot(request).await.map_err(Into::into) })
        } else if asked.is_some_and(|asked| self.denied.contains(&asked)) {
            let refused =
                "the URL is at the address of the authorization server; give the public URL of the other server";
            Box::pin(async move { Err(refused.into()) })
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
    async fn only_known_urls_take_the_direct_way() {
        let says = |word: &'static str| {
            tower::service_fn(
                move |_: Request<Bytes>| async move { Ok::<_, Infallible>(Response::new(Bytes::from(word))) },
            )
        };
        let (inside, outside) = (Ok("inside"), Ok("outside"));
        for (asked, expected) in [
            ("https://as.example/jwks", inside),
            ("https://AS.example/jwks", inside),
            ("https://as.example:443/jwks", inside),
            ("https://as.example/", outside),
            ("https://as.example/admin", outside),
            ("https://as.example/jwks/", outside),
            ("https://as.example/jwks?id=1", outside),
            ("https://as.example//jwks", outside),
            ("https://as.example/%6awks", outside),
            ("http://as.example/jwks", outside),
            ("https://as.example:8443/jwks", outside),
            ("https://as.example.evil/jwks", outside),
            ("https://as.example@evil.example/jwks", outside),
            ("https://elsewhere.example/jwks", outside),
            ("http://10.0.0.7:3000/jwks", Err(())),
            ("http://10.0.0.7:3000/admin", Err(())),
            ("http://10.0.0.7/jwks", outside),
            ("/jwks", outside),
        ] {
            let request = Request::get(asked).body(Bytes::new()).unwrap();
            let by_url = ByUrl::new("https://as.example/t", ["/jwks"], says("inside"), says("outside")).unwrap();
            let answer = by_url.deny("http://10.0.0.7:3000").unwrap().oneshot(request).await;
            assert_eq!(answer.map(Response::into_body).map_err(drop), expected.map(Bytes::from), "{asked}");
        }
    }

    #[test]
    fn a_url_without_an_origin_is_an_error() {
        for url in ["as.example", "/jwks", ""] {
            let error = OriginError(url.to_owned());
            assert_eq!(ByUrl::new(url, [""], (), ()).unwrap_err(), error);
            assert_eq!(ByUrl::new("https://as.example", [""], (), ()).unwrap().deny(url).unwrap_err(), error);
        }
    }
}
