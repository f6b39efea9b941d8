//! What every request meets first: its name in the logs, whether it is for this host, and whether there is room for it.

use crate::{config::Config, proxy::refusal};
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};
use tower_token_exchange::{
    Reason,
    forward::{Peer, TraceContext},
};
use tracing::Instrument;

pub(crate) type App = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The first service.
#[derive(Clone)]
pub(crate) struct Front(Arc<Shared>);

struct Shared {
    /// Not there before the legacy server has said where its endpoints are.
    app: Arc<OnceLock<App>>,
    hosts: Vec<String>,
    places: Arc<Semaphore>,
}

impl Front {
    pub(crate) fn new(config: &Config, app: Arc<OnceLock<App>>) -> Self {
        let mut hosts = config.settings.listen.hosts.clone();
        hosts.push(config.forwarding.public_origin().1.to_owned());
        let places = Arc::new(Semaphore::new(config.settings.limits.concurrent_requests.get() as usize));
        Self(Arc::new(Shared { app, hosts, places }))
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if request.method() == Method::CONNECT {
            return refusal(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !self.is_for_us(&request) {
            tracing::warn!("a request for a host that is not ours: `listen.hosts` names those that are");
            return refusal(StatusCode::MISDIRECTED_REQUEST);
        }
        let (Ok(_place), Some(app)) = (self.places.try_acquire(), self.app.get()) else {
            return refusal(StatusCode::SERVICE_UNAVAILABLE);
        };
        let Ok(response) = app.clone().oneshot(request).await;
        response
    }

    fn is_for_us(&self, request: &Request<Body>) -> bool {
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok()).unwrap_or_default();
        self.hosts.iter().any(|ours| ours == "*" || ours.eq_ignore_ascii_case(host))
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        let trace = TraceContext::go_on(request.headers_mut());
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
        let span = tracing::info_span!(
            "request",
            request_id = trace.request_id,
            trace_id = trace.trace_id,
            span_id = trace.span_id,
            method = %request.method(),
            // Without its query, which may hold what no log should.
            path = request.uri().path(),
            peer = peer.map(tracing::field::display),
        );
        let log = async move {
            let started = Instant::now();
            let response = shared.answer(request).await;
            let (status, reason) = (response.status().as_u16(), response.extensions().get::<Reason>());
            tracing::info!(
                status,
                reason = reason.map(|reason| reason.code()),
                ms = started.elapsed().as_millis() as u64
            );
            metrics::counter!("gateway_requests_total", "status" => class(status)).increment(1);
            Ok(response)
        };
        Box::pin(log.instrument(span))
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
