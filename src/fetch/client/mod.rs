//! The HTTP client of the feature `fetch`.

mod address;
mod bearer;
mod builder;
mod connect;
mod error;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod tls;

#[cfg(test)]
mod tests;

pub use builder::HttpFetchBuilder;
pub use error::{FetchConfigError, FetchError};
#[cfg(any(test, fuzzing))]
pub use fuzzing::check_public_address;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri, Version, uri::Scheme};
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;

use super::{
    body::{self, Unread},
    uri::host_of,
};
use bearer::BearerTokens;
use connect::Connector;

/// The limits of one request.
#[derive(Clone, Copy)]
struct Limits {
    timeout: Duration,
    /// In bytes.
    body: usize,
}

/// An HTTP client with limits on addresses, time and size.
///
/// By default, the client connects to public addresses over `https` only, takes at most 5 seconds for a request, and reads
/// bodies of at most 256 KiB. [`builder`](Self::builder) has options for these limits.
///
/// The URI of a request must be absolute. The response is returned with any status: **redirects are not followed**. Bodies
/// are not decompressed, and trailers are dropped. Clones share one small pool of connections. The client needs a tokio
/// runtime with I/O and time.
///
/// # Errors
/// [`FetchError`] names the limit or the failure. A status is never an error.
///
/// ```
/// use bytes::Bytes;
/// use tower::ServiceExt;
/// use tower_token_exchange::fetch::{FetchError, HttpFetch};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let fetch = HttpFetch::new();
///
/// let metadata = http::Request::get("https://169.254.169.254/latest/meta-data").body(Bytes::new()).unwrap();
/// let refused = fetch.oneshot(metadata).await.unwrap_err();
/// assert!(matches!(refused, FetchError::RefusedAddress { .. }));
/// # }
/// ```
#[derive(Clone)]
pub struct HttpFetch {
    client: Client<Connector, Full<Bytes>>,
    loopback_http: bool,
    tokens: BearerTokens,
    limits: Limits,
}

impl HttpFetch {
    fn with(connector: Connector, loopback_http: bool, tokens: BearerTokens, limits: Limits) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .http1_max_buf_size(64 * 1024)
            .build(connector);
        Self { client, loopback_http, tokens, limits }
    }

    async fn fetch(self, request: Request<Bytes>, host: &str) -> Result<Response<Bytes>, FetchError> {
        let Limits { timeout, body: limit } = self.limits;
        let (parts, body) = request.into_parts();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.uri_mut() = parts.uri;
        *request.headers_mut() = parts.headers;
        *request.version_mut() = Version::HTTP_11;
        let uri = request.uri().clone();
        let added = self.tokens.add(&uri, request.headers_mut()).await;
        added.map_err(|source| FetchError::BearerToken { host: host.to_owned(), source })?;

        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| FetchError::transport(host, timeout, error.is_connect(), error.into()))?;
        let (mut parts, body) = answer.into_parts();
        // The extensions describe the connection of hyper.
        parts.extensions.clear();
        match body::read(body, limit).await {
            Ok(body) => Ok(Response::from_parts(parts, body)),
            Err(Unread::TooLarge) => Err(FetchError::TooLarge { host: host.to_owned(), limit }),
            Err(Unread::Broken(error)) => Err(FetchError::transport(host, timeout, false, error.into())),
        }
    }
}

impl Service<Request<Bytes>> for HttpFetch {
    type Response = Response<Bytes>;
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let host = checked_host(request.uri(), this.loopback_http)?.to_owned();
            let timeout = this.limits.timeout;
            match tokio::time::timeout(timeout, this.fetch(request, &host)).await {
                Ok(fetched) => fetched,
                Err(_) => Err(FetchError::TimedOut { host, timeout }),
            }
        })
    }
}

/// Returns the host of a URI that may be fetched. The addresses behind the host are checked on connecting.
fn checked_host(uri: &Uri, loopback_http: bool) -> Result<&str, FetchError> {
    let host = host_of(uri).map_err(|problem| FetchError::InvalidUri { problem })?;
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP && loopback_http => Ok(host),
        scheme => {
            let scheme = scheme.map(Scheme::to_string).unwrap_or_default();
            Err(FetchError::RefusedScheme { host: host.to_owned(), scheme })
        }
    }
}

impl Default for HttpFetch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetch")
            .field("allow_loopback_http", &self.loopback_http)
            .field("timeout", &self.limits.timeout)
            .field("body_limit", &self.limits.body)
            .finish_non_exhaustive()
    }
}
