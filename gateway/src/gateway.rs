//! The layers of the gateway, made from one configuration.

use crate::{
    client_authentication,
    config::Config,
    documents::DocumentsLayer,
    dpop, own_endpoints,
    server_record::records,
    stores::Stores,
    upstream::{
        Endpoints, OWN_INTROSPECTION, OWN_KEY_SET, OWN_REVOCATION, Proxy, http_client, metadata_paths, proxy,
        server_client,
    },
};
use axum::body::Body;
use http::{Request, Response};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_token_exchange::{
    Client, TokenExchangeLayer,
    audit::JsonLinesSink,
    client_auth::{ProbeError, ProxyCertificatesLayer, ServerAuthenticator},
    metadata::Additions,
    proof::Dpop,
    replay::RedisReplayStore,
};

/// The service that answers every request, from the exchange to the reverse proxy.
pub(crate) type App = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The layers, and what watches them.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) exchange: TokenExchangeLayer,
    pub(crate) documents: DocumentsLayer,
    /// `None` if the records have the secrets of all clients.
    pub(crate) authenticator: Option<ServerAuthenticator>,
    pub(crate) audit: JsonLinesSink,
    redis: Option<RedisReplayStore>,
    pub(crate) endpoints: Endpoints,
    dpop: Option<Dpop>,
    proxy: Proxy,
    behind_proxy: bool,
    proxy_certificates: ProxyCertificatesLayer,
    upstream_is_up: Arc<AtomicBool>,
}

impl Gateway {
    /// Checks a configuration without asking the authorization server, and without opening a file for writing.
    pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
        Self::new(config, Endpoints::assumed(config), Stores::without_files(config)?).map(drop)
    }

    /// Builds the layers. Every error names the file, the line and the key, and says what to do.
    pub(crate) fn new(config: &Config, endpoints: Endpoints, stores: Stores) -> anyhow::Result<Self> {
        let proxy = proxy(config)?;
        let settings = &config.settings;
        let http = http_client(config, &proxy, &endpoints)?;
        let authenticator = client_authentication::authenticator(config, &endpoints, server_client(&proxy))?;
        let mut builder = TokenExchangeLayer::builder(&settings.upstream.issuer)
            .guard()
            .document(records(config, &endpoints)?)
            .record_secrets_first()
            .http(http)
            .signer(config.signer.clone())
            .cryptography(config.cryptography)
            .max_lifetime(settings.limits.max_lifetime)
            .signature_memo(settings.limits.signature_memo)
            .max_targets(settings.limits.max_targets)
            .limits(settings.budgets.limits())
            .revocations(stores.revocations)
            .ancestry_key(stores.ancestry_key)
            .replay_store(stores.replays)
            .audit(stores.audit.clone());
        if let Some(authenticator) = &authenticator {
            builder = builder.client_authenticator(authenticator.clone());
        }
        if settings.audit.optional {
            builder = builder.best_effort_audit();
        }
        if settings.limits.strict_scope {
            builder = builder.strict_scope();
        }
        if settings.limits.require_sender_constraint {
            builder = builder.require_sender_constraint();
        }
        let dpop = dpop::settings(config, &endpoints)?;
        if let Some(dpop) = dpop.clone() {
            builder = builder.dpop(dpop);
        }
        for path in endpoints.token() {
            builder = builder.endpoint(path);
        }
        for path in or_own(endpoints.introspection(), OWN_INTROSPECTION) {
            builder = builder.introspection_endpoint(path);
        }
        for path in or_own(endpoints.revocation(), OWN_REVOCATION) {
            builder = builder.revocation_endpoint(path);
        }
        let exchange = builder.build().map_err(|error| config.wrong_records(&error))?;
        let documents = documents(config, &endpoints, dpop.as_ref())?;
        Ok(Self {
            exchange,
            documents,
            authenticator,
            audit: stores.audit,
            redis: stores.redis,
            endpoints,
            dpop,
            proxy,
            behind_proxy: settings.listen.behind_proxy,
            proxy_certificates: client_authentication::proxy_certificates(config),
            upstream_is_up: Arc::default(),
        })
    }

    /// The whole service: the exchange around the documents around the reverse proxy.
    pub(crate) fn app(&self) -> App {
        // The exchange clones this service for each request, and does not need most of the clones.
        let server = Arc::new((self.documents.layer(self.proxy.clone()), self.endpoints.clone()));
        let server = service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                let (server, endpoints) = &*server;
                match own_endpoints::answer(endpoints, &request) {
                    Some(answer) => Ok(answer),
                    None => server.clone().oneshot(request).await,
                }
            }
        });
        let (service, behind_proxy) = (self.proxy_certificates.layer(self.exchange.layer(server)), self.behind_proxy);
        let service = service.map_request(move |request| client_authentication::with_address(request, behind_proxy));
        App::new(service.map_response(|response| response.map(Body::new)))
    }

    /// Takes over the records and the keys of another configuration, or nothing of it.
    pub(crate) fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let records = records(config, &self.endpoints)?;
        let prepared = self.exchange.prepare_reload(records, config.signer.clone());
        let prepared = prepared.map_err(|error| config.wrong_records(&error))?;
        // Verifiers must find the new key before the first token that the key signs.
        self.documents.publish(config.published.clone()).map_err(|error| config.wrong("keys", error))?;
        self.documents.replace_additions(additions(config, &self.endpoints, self.dpop.as_ref()));
        prepared.apply();
        Ok(())
    }

    /// Why no client can be authenticated.
    pub(crate) async fn client_problem(&self) -> Option<ProbeError> {
        self.authenticator.as_ref()?.probe().await.err()
    }

    /// Why Redis may not remember what was used once. `None` without Redis, and if all is well.
    pub(crate) async fn replay_problem(&self) -> Option<String> {
        match self.redis.as_ref()?.risks().await {
            Ok(risks) if risks.is_empty() => None,
            Ok(risks) => Some(risks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            Err(error) => Some(format!("Redis does not answer: {error}; start Redis, or correct `[replay.redis]`")),
        }
    }

    /// Whether the replay store is in Redis.
    pub(crate) fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    /// Whether the authorization server answered the latest question for its documents.
    pub(crate) fn upstream_is_up(&self) -> bool {
        self.upstream_is_up.load(Ordering::Relaxed)
    }

    /// Asks the authorization server for its documents, as a client does. Afterwards there is a last good document, and a
    /// key of the server with the `kid` of a key of the gateway is known.
    pub(crate) async fn ask_upstream(&self, config: &Config) {
        let is_up = self.documents.refresh(self.proxy.clone(), &config.public_url("")).await;
        let was_up = self.upstream_is_up.swap(is_up, Ordering::Relaxed);
        match (was_up, is_up) {
            (false, true) => tracing::info!("the authorization server answers"),
            (true, false) => tracing::warn!("the authorization server does not answer"),
            _ => {}
        }
    }
}

/// The paths of an endpoint of the server, or the path of the endpoint that the gateway has instead.
fn or_own<'a>(of_server: &'a [String], own: &'a str) -> Vec<&'a str> {
    if of_server.is_empty() { vec![own] } else { of_server.iter().map(String::as_str).collect() }
}

/// What the metadata of the server do not say: the endpoints of the gateway, the methods of its records, and the proofs that the
/// gateway accepts.
fn additions(config: &Config, endpoints: &Endpoints, dpop: Option<&Dpop>) -> Additions {
    let url_of = |of_server: &[String], own: &str| config.public_url(or_own(of_server, own)[0]);
    let clients = &config.document.clients;
    let additions = Additions::new()
        .authentication_methods(clients.iter().flat_map(Client::authentication_methods))
        .assertion_algorithms(clients.iter().flat_map(Client::assertion_algorithms))
        .jwks_uri(url_of(endpoints.jwks(), OWN_KEY_SET))
        .introspection_endpoint(url_of(endpoints.introspection(), OWN_INTROSPECTION))
        .revocation_endpoint(url_of(endpoints.revocation(), OWN_REVOCATION))
        .dpop_algorithms(dpop.into_iter().flat_map(Dpop::algorithms).copied());
    if config.settings.listen.takes_client_certificates() { additions.certificate_bound_tokens() } else { additions }
}

/// The layer that completes the documents of the server.
fn documents(config: &Config, endpoints: &Endpoints, dpop: Option<&Dpop>) -> anyhow::Result<DocumentsLayer> {
    let additions = additions(config, endpoints, dpop);
    let mut builder = DocumentsLayer::builder().additions(additions).own_keys(config.published.clone());
    for path in metadata_paths(config) {
        builder = builder.metadata(path);
    }
    for path in endpoints.jwks() {
        builder = builder.key_set(path);
    }
    if endpoints.jwks().is_empty() {
        builder = builder.own_key_set(OWN_KEY_SET);
    }
    builder.build().map_err(|error| config.wrong("paths.jwks", error))
}
