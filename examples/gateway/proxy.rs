//! The way to the legacy server: whatever is not ours goes there as it came, but for what a proxy must change.

use crate::config::Config;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::RootCertStore;
use std::{sync::Arc, time::Duration};
use tower::{ServiceExt, util::BoxCloneSyncService};
use tower_http::timeout::TimeoutBody;
use tower_token_exchange::forward;

/// Shorter than the 5 s after which the server of Node.js closes a connection: one that closes as a request comes costs a
/// 502.
const IDLE: Duration = Duration::from_secs(4);

pub(crate) type Proxy = forward::Proxy<BoxCloneSyncService<Request<Body>, Response<Incoming>, legacy::Error>>;

pub(crate) fn proxy(config: &Config) -> Result<Proxy, String> {
    let upstream = &config.settings.upstream;
    let roots = match &upstream.ca {
        Some(path) => config.roots("upstream.ca", path)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(upstream.connect_timeout));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_preserve_header_case(true)
        .build(connector);
    let patience = config.settings.limits.body_timeout;
    let client = client
        .map_request(move |request: Request<Body>| request.map(|body| Body::new(TimeoutBody::new(patience, body))));
    Ok(Proxy::new(BoxCloneSyncService::new(client), config.forwarding.clone())
        .response_timeout(upstream.response_timeout))
}
