//! The outermost layers: the limits of each peer, request id, trace, log line, panics, and host.

use super::{
    answer_body::AnswerBody,
    requests::RequestLimits,
    trace_context::{TraceContext, check_request_id, continue_trace, is_number},
};
use crate::{
    answer,
    config::Config,
    forward::{Forwarding, Peer, ServerAnswer},
    gateway::App,
    rare_line::RareLine,
};
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use std::{any::Any, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::watch;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
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
    let limits = Arc::new(RequestLimits::new(&config.settings));
    let (forwarding, placed) = (Arc::new(config.forwarding.clone()), Arc::clone(&limits));
    let checked = service_fn(move |request: Request<Body>| {
        let refusal = refusal(&forwarding, &request);
        let (app, limits) = (app.borrow().clone(), Arc::clone(&placed));
        async move {
            Ok::<_, Infallible>(match refusal {
                Some(status) => answer::plain(status),
                None => limits.answer(request, app).await,
            })
        }
    });
    let traced = ServiceBuilder::new()
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
        .service(checked);
    let traced = App::new(traced);
    // The log has no line for each request over the limit of its peer.
    service_fn(move |mut request: Request<Body>| {
        let opened = limits.open(&mut request).map(|open| (open, traced.clone().oneshot(request)));
        async move {
            match opened {
                Ok((open, answered)) => {
                    let response = answered.await?;
                    Ok(response.map(|body| Body::new(AnswerBody::new(body, open))))
                }
                Err(status) => Ok(answer::later(status)),
            }
        }
    })
}

/// The status for a request that does not reach the app.
fn refusal(forwarding: &Forwarding, request: &Request<Body>) -> Option<StatusCode> {
    if request.method() == Method::CONNECT {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !forwarding.accepts_host_of(request) {
        static LINE: RareLine = RareLine::new(Duration::from_secs(1));
        if let Some(left_out) = LINE.due() {
            tracing::warn!(
                left_out,
                "the request is for an unknown host; add the host to `listen.hosts` if the gateway has this name"
            );
        }
        return Some(StatusCode::MISDIRECTED_REQUEST);
    }
    None
}

/// The span of a request. The query is left out: it may hold secrets. For the same reason, the request id is left out if it
/// is not a number, and a long piece of the path is replaced by its length.
fn span<B>(request: &Request<B>) -> Span {
    let extensions = request.extensions();
    let request_id = extensions.get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let request_id = request_id.filter(|id| is_number(id));
    let trace = extensions.get::<TraceContext>();
    tracing::info_span!(
        "request",
        request_id,
        trace_id = trace.map(|trace| trace.trace_id.as_str()),
        span_id = trace.map(|trace| trace.span_id.as_str()),
        method = %request.method(),
        path = without_secrets(request.uri().path()),
        peer = extensions.get::<Peer>().map(|peer| tracing::field::display(peer.address)),
    )
}

/// A path for a log line: at most 256 characters, in which a piece of more than 32 characters is replaced by its length.
fn without_secrets(path: &str) -> String {
    let piece = |piece: &str| match piece.len() {
        0..=32 => piece.to_owned(),
        length => format!("[{length} characters]"),
    };
    let shown = path.split('/').map(piece).collect::<Vec<_>>().join("/");
    shown.chars().take(256).collect()
}

fn log_answer<B>(response: &Response<B>, latency: Duration, _: &Span) {
    let (status, reason) = (response.status().as_u16(), response.extensions().get::<Reason>());
    let (code, ms) = (reason.map(|reason| reason.code()), latency.as_millis() as u64);
    // The audit has the exchanges. A request that reaches no server must not fill the log.
    if response.extensions().get::<ServerAnswer>().is_some() {
        tracing::info!(status, ms, "answered");
    } else {
        tracing::debug!(status, reason = code, ms, "answered");
    }
    metrics::counter!("gateway_requests_total", "status" => class(status)).increment(1);
}

fn class(status: u16) -> &'static str {
    match status {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

fn answer_panic(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request made the gateway panic; standard error has the message of the panic");
    answer::plain(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_log_has_no_secret() {
        let secret = "x".repeat(43);
        for (path, shown) in [
            ("/realms/a/token", "/realms/a/token".to_owned()),
            (&*format!("/reset/{secret}"), "/reset/[43 characters]".to_owned()),
            ("//", "//".to_owned()),
        ] {
            assert_eq!(without_secrets(path), shown);
        }
        assert_eq!(without_secrets(&"/a".repeat(4000)).len(), 256);
    }
}
