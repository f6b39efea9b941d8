//! What operators see: whether it lives, whether it is ready, and what it counted.

use crate::upstream::Gateway;
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use std::sync::{Arc, OnceLock, atomic::Ordering};
use tokio::sync::watch;

/// From a tenth of a millisecond to the deadline of an exchange.
const SECONDS: [f64; 11] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0];

/// How things stand, for all that ask.
pub(crate) struct Standing {
    pub(crate) gateway: OnceLock<Gateway>,
    /// Why there is none yet, why the last change was refused, and why no client can be authenticated.
    pub(crate) start: Note,
    pub(crate) reload: Note,
    pub(crate) clients: Note,
    metrics: PrometheusHandle,
}

/// A problem, while there is one.
pub(crate) type Note = watch::Sender<Option<String>>;

impl Standing {
    pub(crate) fn new() -> Result<Self, String> {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let recorder = builder.map_err(|error| error.to_string())?.build_recorder();
        let metrics = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
        let unknown = || Note::new(Some("not asked yet".to_owned()));
        Ok(Self { gateway: OnceLock::new(), start: unknown(), reload: Note::default(), clients: unknown(), metrics })
    }
}

pub(crate) fn router(standing: Arc<Standing>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(standing)
}

async fn ready(State(standing): State<Arc<Standing>>) -> impl IntoResponse {
    let gateway = standing.gateway.get();
    let keys = gateway.map(|gateway| gateway.exchange.readiness());
    let up = gateway.is_some_and(|gateway| gateway.upstream_is_up.load(Ordering::Relaxed));
    let collision = gateway.and_then(|gateway| gateway.documents.key_id_collision());
    let clients = standing.clients.borrow().clone();
    let ready = up && clients.is_none() && keys.as_ref().is_some_and(|keys| keys.is_ready());
    let answer = json!({
        "ready": ready,
        "upstream_is_up": up,
        "waiting_for": standing.start.borrow().clone(),
        "client_authentication": clients,
        // No reason to take the gateway out of service, which the legacy server would be with it: its own tokens are good,
        // and what counted before a change was refused still counts.
        "key_id_collision": collision,
        "refused_change": standing.reload.borrow().clone(),
        "issuers": keys.map(|keys| keys.issuers),
    });
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(answer))
}

async fn render(State(standing): State<Arc<Standing>>) -> String {
    let gateway = standing.gateway.get();
    if let Some(gateway) = gateway {
        gateway.exchange.readiness().record_metrics();
    }
    let up = gateway.is_some_and(|gateway| gateway.upstream_is_up.load(Ordering::Relaxed));
    metrics::gauge!("gateway_upstream_up").set(f64::from(u8::from(up)));
    standing.metrics.run_upkeep();
    standing.metrics.render()
}
