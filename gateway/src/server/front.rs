//! The outermost layers: request id, trace, log line, panics, host, and the number of concurrent requests.

use super::trace_context::{TraceContext, check_request_id, continue_trace};
use crate::{
    answer,
    config::Config,
    forward::{Forwarding, Peer},
    gateway::App,
};
use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::{any::Any, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::watch;
use tower::{Service, ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use tower_token_exchange::Reason;
use tracing::Span;

/// Makes the service for all connections. The latest app answers.
pub(crate) fn front(
    config: &Config,
    app: watch::Receiver<App>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let app = service_fn(move |request: Request<Body>| {
        let app = app.borrow().clone();
        app.oneshot(request)
    });
    let requests = config.settings.limits.concurrent_requests.get() as usize;
    let limited = ServiceBuilder::new().load_shed().layer(GlobalConcurrencyLimitLayer::new(requests)).service(app);
    let forwarding = Arc::new(config.forwarding.clone());
    let checked = service_fn(move |request: Request<Body>| {
        let refusal = refusal(&forwarding, &request);
        let limited = limited.clone();
        async move {
            match refusal {
                Some(status) => Ok(answer::plain(status)),
                None => Ok::<_, Infallible>(limited.oneshot(request).await.unwrap_or_else(|_overloaded| unavailable())),
            }
        }
    });
    ServiceBuilder::new()
        .map_request(check_request_id)
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .map_request(continue_trace)
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_response(log_answer)
                .on_body_chunk(())
                .on_eos(())
                .on_failure(()),
        )
        .layer(CatchPanicLayer::custom(answer_panic))
        .service(checked)
}

/// The status for a request that does not reach the app.
fn refusal(forwarding: &Forwarding, request: &Request<Body>) -> Option<StatusCode> {
    if request.method() == Method::CONNECT {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !forwarding.accepts_host_of(request) {
        tracing::warn!(
            "the request is for an unknown host; add the host to `listen.hosts` if the gateway has this name"
        );
        return Some(StatusCode::MISDIRECTED_REQUEST);
    }
    None
}

/// The span of a request. The query is left out: it may hold secrets.
fn span<B>(request: &Request<B>) -> Span {
    let extensions = request.extensions();
    let request_id = extensions.get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let trace = extensions.get::<TraceContext>();
    tracing::info_span!(
        "request",
        request_id,
        trace_id = trace.map(|trace| trace.trace_id.as_str()),
        span_id = trace.map(|trace| trace.span_id.as_str()),
        method = %request.method(),
        path = request.uri().path(),
        peer = extensions.get::<Peer>().map(|peer| tracing::field::display(peer.address)),
    )
}

fn log_answer<B>(response: &Response<B>, latency: Duration, _: &Span) {
    let (status, reason) = (response.status().as_u16(), response.extensions().get::<Reason>());
    tracing::info!(status, reason = reason.map(|reason| reason.code()), ms = latency.as_millis() as u64, "answered");
    metrics::counter!("gateway_requests_total", "status" => format!("{}xx", status / 100)).increment(1);
}

fn answer_panic(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request made the gateway panic; standard error has the message of the panic");
    answer::plain(StatusCode::INTERNAL_SERVER_ERROR)
}

/// 503, with the request to try again.
fn unavailable() -> Response<Body> {
    let mut response = answer::plain(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
