//! The way to the legacy server: whatever is not ours goes there as it came, but for what a proxy must change.

use crate::{config::Config, server::Place};
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;
use tower_http::timeout::TimeoutBody;
use tower_token_exchange::forward::{Forwarding, remove_hop_by_hop};

/// Shorter than the 5 s after which the server of Node.js closes a connection: one that closes as a request comes costs a
/// 502.
const IDLE: Duration = Duration::from_secs(4);

/// A service that hands requests to the legacy server. It always has an answer.
#[derive(Clone)]
pub(crate) struct Proxy {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    forwarding: Arc<Forwarding>,
    response_timeout: Duration,
    body_timeout: Duration,
}

impl Proxy {
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let upstream = &config.settings.upstream;
        let mut roots = RootCertStore::empty();
        match &upstream.ca {
            Some(path) => {
                let pem = config.text_of("upstream.ca", path)?;
                let read = CertificateDer::pem_slice_iter(pem.as_bytes())
                    .flatten()
                    .filter(|der| roots.add(der.clone()).is_ok());
                if read.count() == 0 {
                    return Err(config.wrong("upstream.ca", "no certificate in it: give a PEM file with the roots"));
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(upstream.connect_timeout));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_preserve_header_case(true)
            .build(connector);
        let (response_timeout, body_timeout) = (upstream.response_timeout, config.settings.limits.body_timeout);
        Ok(Self { client, forwarding: Arc::clone(&config.forwarding), response_timeout, body_timeout })
    }

    async fn pass(self, mut request: Request<Body>) -> Response<Body> {
        let client_side = hyper::upgrade::on(&mut request);
        let place = request.extensions().get::<Place>().cloned();
        let (mut parts, body) = request.into_parts();
        let upgrading = self.forwarding.forward(&mut parts).map(|_| client_side);
        let body = Body::new(TimeoutBody::new(self.body_timeout, body));
        let request = Request::from_parts(parts, body);
        let mut response = match tokio::time::timeout(self.response_timeout, self.client.request(request)).await {
            Ok(Ok(response)) => response.map(Body::new),
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "the legacy server could not be reached");
                return refusal(StatusCode::BAD_GATEWAY);
            }
            Err(_elapsed) => {
                tracing::warn!("the legacy server did not answer in time");
                return refusal(StatusCode::GATEWAY_TIMEOUT);
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            remove_hop_by_hop(response.headers_mut());
            return response;
        }
        let Some(client_side) = upgrading else { return refusal(StatusCode::BAD_GATEWAY) };
        let server_side = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let _place = place;
            let (Ok(client), Ok(server)) = tokio::join!(client_side, server_side) else { return };
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
        response
    }
}

/// An answer of the gateway's own.
pub(crate) fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

impl Service<Request<Body>> for Proxy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.pass(request).await) })
    }
}
