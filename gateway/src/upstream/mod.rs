//! The way to the authorization server behind the gateway.

mod body_timeout;
mod by_url;
mod client;
mod endpoints;
mod server_keys;

pub use by_url::{ByUrl, OriginError};
pub use client::{PooledClient, PooledClientBuilder};

pub(crate) use endpoints::{Endpoints, OWN_INTROSPECTION, OWN_KEY_SET, OWN_REVOCATION, metadata_paths};
pub(crate) use server_keys::ServerKeys;

use crate::{
    config::{Config, Settings},
    forward,
};
use anyhow::{Context, anyhow};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustls::pki_types::ServerName;
use std::time::Duration;
use tower::ServiceExt;
use tower_token_exchange::{
    fetch::{FetchConfigError, HttpFetch, in_process},
    metadata::{DiscoveryError, ServerMetadata},
    plug::HttpService,
};

/// The reverse proxy to the authorization server.
pub(crate) type Proxy = forward::Proxy<PooledClient>;

/// Makes the reverse proxy.
pub(crate) fn proxy(config: &Config) -> anyhow::Result<Proxy> {
    let client = pooled_client(config)?;
    let timeout = config.settings.upstream.response_timeout;
    Ok(forward::Proxy::new(client, config.forwarding.clone()).response_timeout(timeout))
}

/// Makes the client of the reverse proxy.
pub(crate) fn pooled_client(config: &Config) -> anyhow::Result<PooledClient> {
    let Settings { upstream, limits, .. } = &*config.settings;
    let mut client = PooledClient::builder().connect_timeout(upstream.connect_timeout);
    if let Some(path) = &upstream.ca {
        client = client.roots(config.roots("upstream.ca", path)?);
    }
    if let Some(name) = &upstream.tls_server_name {
        if !config.forwarding.server_has_tls() {
            let help = "`upstream.url` is not https; write an https URL, or remove this key";
            return Err(config.wrong("upstream.tls_server_name", help));
        }
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            let help = "not a host name; give the name in the certificate of the server, such as `as.example`";
            config.wrong("upstream.tls_server_name", help)
        })?;
        client = client.server_name(name);
    }
    Ok(client.body_timeout(limits.body_timeout).build()?)
}

/// The time within which the server must answer a question of the gateway.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a question of the gateway to the server. An error names the URL.
pub(crate) async fn ask(http: &impl HttpService, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
    let url = request.uri().to_string();
    let response = tokio::time::timeout(TIMEOUT, http.clone().oneshot(request)).await;
    let response = response.with_context(|| format!("{url}: no answer within {} s", TIMEOUT.as_secs()))?;
    response.map_err(|error| anyhow!("{url}: {}", error.into()))
}

/// Fetches the first metadata document of the server.
pub(crate) async fn metadata(config: &Config, http: &impl HttpService) -> Result<ServerMetadata, DiscoveryError> {
    let places = metadata_paths(config).into_iter().map(|path| config.public_url(&path));
    ServerMetadata::fetch_from(&config.settings.upstream.issuer, places, http.clone()).await
}

/// Makes the client for the questions of the gateway to the authorization server. Every request goes to that server, so the
/// caller builds the URLs from paths.
pub(crate) fn server_client(proxy: &Proxy) -> impl HttpService + Clone + use<> {
    in_process(proxy.clone().map_request(|request: Request<Full<Bytes>>| request.map(Body::new)))
}

/// Makes the HTTP client of the exchange. Requests for the endpoints of the authorization server go to that server, all
/// others go out into the network, as `[fetch]` permits.
pub(crate) fn http_client(
    config: &Config,
    proxy: &Proxy,
    endpoints: &Endpoints,
) -> anyhow::Result<impl HttpService + Clone + use<>> {
    let fetch = &config.settings.fetch;
    let mut network = HttpFetch::builder();
    if fetch.allow_private_addresses {
        network = network.allow_private_addresses();
    }
    if fetch.allow_loopback_http {
        network = network.allow_loopback_http();
    }
    if let Some(path) = &fetch.ca {
        network = network.root_certificate_pem(config.text_of("fetch.ca", path)?.as_bytes());
    }
    for token in &fetch.bearer_tokens {
        network = network.bearer_token_file(&token.origin, config.beside(&token.file));
    }
    let network = network.build().map_err(|error| {
        let key =
            if matches!(error, FetchConfigError::NotAnOrigin { .. }) { "fetch.bearer_tokens" } else { "fetch.ca" };
        config.wrong(key, error)
    })?;
    let upstream = &config.settings.upstream;
    ByUrl::new(&upstream.issuer, endpoints.asked_by_exchange().cloned(), server_client(proxy), network)
        .map_err(|error| config.wrong("upstream.issuer", error))?
        .deny(&upstream.url)
        .map_err(|error| config.wrong("upstream.url", error))
}
