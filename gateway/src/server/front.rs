//! What every request meets first: its name in the logs, whether it is for this host, and whether there is room for it.

use super::trace_context::TraceContext;
use crate::{config::Config, forward::Forwarding, upstream::App};
use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt, service_fn};
use tower_token_exchange::Reason;
use tracing::Instrument;

struct Front {
    /// Not there before the legacy server has said where its endpoints are.
    app: Arc<OnceLock<App>>,
    forwarding: Forwarding,
    places: Semaphore,
}

/// The first service.
pub(crate) fn front(
    config: &Config,
    app: Arc<OnceLock<App>>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let places = Semaphore::new(config.settings.limits.concurrent_requests.get() as usize);
    let front = Arc::new(Front { app, forwarding: config.forwarding.clone(), places });
    service_fn(move |mut request: Request<Body>| {
        let trace = TraceContext::go_on(request.headers_mut());
        let span = trace.span(&request);
        Arc::clone(&front).told(request).instrument(span)
    })
}

impl Front {
    async fn told(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let started = Instant::now();
        let response = self.answer(request).await.unwrap_or_else(refusal);
        let (status, reason) = (response.status().as_u16(), response.extensions().get::<Reason>());
        tracing::info!(status, reason = reason.map(|reason| reason.code()), ms = started.elapsed().as_millis() as u64);
        metrics::counter!("gateway_requests_total", "status" => format!("{}xx", status / 100)).increment(1);
        Ok(response)
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, StatusCode> {
        if request.method() == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !self.forwarding.accepts_host_of(&request) {
            tracing::warn!("a request for a host that is not ours: `listen.hosts` names those that are");
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        let _place = self.places.try_acquire().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let app = self.app.get().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        let Ok(response) = app.clone().oneshot(request).await;
        Ok(response)
    }
}

/// An answer of the gateway's own.
fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
