//! The endpoints for operators: health, readiness and metrics.

use crate::{diagnosis::Finding, gateway::Gateway};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::watch, time::sleep};

/// The buckets of the histograms in seconds, up to the deadline of an exchange.
const BUCKETS: [f64; 11] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0];

/// How often the samples of the histograms are counted. Until then, each sample needs memory.
const COUNTING: Duration = Duration::from_secs(1);

/// What the endpoints for operators show.
pub(crate) struct Health {
    gateway: RwLock<Option<Gateway>>,
    /// Held while the gateway or its configuration is replaced.
    replacing: Mutex<()>,
    /// Why the gateway does not exchange tokens yet.
    pub(crate) start: Problem,
    /// Why the latest change of the files was refused.
    pub(crate) reload: Problem,
    /// Why no client can be authenticated.
    pub(crate) clients: Problem,
    /// Why Redis may not remember what was used once.
    pub(crate) replay_store: Problem,
    /// What the latest diagnosis found to be wrong.
    pub(crate) problems: watch::Sender<Vec<Finding>>,
    metrics: PrometheusHandle,
}

/// The text of a problem, for as long as the problem lasts.
pub(crate) type Problem = watch::Sender<Option<String>>;

impl Health {
    /// Installs the recorder of metrics for the whole process.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS);
        let recorder = builder?.build_recorder();
        let metrics = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        let unknown = || Problem::new(Some("not checked yet".to_owned()));
        let (start, clients) = (unknown(), unknown());
        Ok(Self {
            gateway: RwLock::default(),
            replacing: Mutex::default(),
            start,
            reload: Problem::default(),
            clients,
            replay_store: Problem::default(),
            problems: watch::Sender::default(),
            metrics,
        })
    }

    /// Counts the samples of the histograms, as long as the result is polled. Without this, the metrics would need more and more
    /// memory until somebody asks for them.
    pub(crate) fn count_samples(&self) -> impl Future<Output = ()> + use<> {
        count_samples(self.metrics.clone())
    }

    /// Keeps others from replacing the gateway or its configuration, until the guard is dropped.
    pub(crate) fn replacing(&self) -> MutexGuard<'_, ()> {
        self.replacing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway, as soon as the endpoints of the authorization server are known.
    pub(crate) fn gateway(&self) -> Option<Gateway> {
        self.gateway.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the gateway, and returns the gateway before.
    pub(crate) fn set_gateway(&self, gateway: Gateway) -> Option<Gateway> {
        self.gateway.write().unwrap_or_else(PoisonError::into_inner).replace(gateway)
    }
}

async fn count_samples(metrics: PrometheusHandle) {
    loop {
        sleep(COUNTING).await;
        metrics.run_upkeep();
    }
}

pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let gateway = health.gateway();
    let keys = gateway.as_ref().map(|gateway| gateway.exchange.readiness());
    let is_up = gateway.as_ref().is_some_and(Gateway::upstream_is_up);
    let collision = gateway.as_ref().and_then(|gateway| gateway.documents.key_id_collision());
    let clients = health.clients.borrow().clone();
    let problems = health.problems.borrow().clone();
    let problems: Vec<_> = problems.iter().filter_map(|finding| Some((finding.about, finding.problem()?))).collect();
    let is_possible = problems.iter().all(|(_, problem)| !problem.is_fatal);
    let is_ready = is_possible && is_up && clients.is_none() && keys.as_ref().is_some_and(|keys| keys.is_ready());
    let answer = json!({
        "ready": is_ready,
        "upstream_is_up": is_up,
        "waiting_for": health.start.borrow().clone(),
        "client_authentication": clients,
        // These three do not take the gateway out of service, because that would take the authorization server out of service
        // too: the tokens of the server are still good, exchanges that need no replay store go on, and the configuration before a
        // refused change still counts.
        "key_id_collision": collision,
        "replay_store": health.replay_store.borrow().clone(),
        "problems": problems.iter().map(|(about, problem)| format!("{about}: {}", problem.text)).collect::<Vec<_>>(),
        "refused_change": health.reload.borrow().clone(),
        "issuers": keys.map(|keys| keys.issuers),
    });
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(answer))
}

async fn render(State(health): State<Arc<Health>>) -> String {
    let gateway = health.gateway();
    if let Some(gateway) = &gateway {
        gateway.exchange.readiness().record_metrics();
    }
    let is_up = gateway.as_ref().is_some_and(Gateway::upstream_is_up);
    metrics::gauge!("gateway_upstream_up").set(f64::from(u8::from(is_up)));
    if gateway.as_ref().is_some_and(Gateway::has_redis) {
        let has_problem = health.replay_store.borrow().is_some();
        metrics::gauge!("gateway_replay_store_ok").set(f64::from(u8::from(!has_problem)));
    }
    health.metrics.run_upkeep();
    health.metrics.render()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::time::advance;

    /// The memory of the process in bytes.
    fn memory() -> Option<u64> {
        let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
        Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_that_nobody_reads_stay_small() {
        const ROUNDS: u64 = 40;
        const SAMPLES: u64 = 200_000;
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS);
        let recorder = builder.unwrap().build_recorder();
        let handle = recorder.handle();
        let counting = tokio::spawn(count_samples(handle.clone()));
        let histogram = metrics::with_local_recorder(&recorder, || metrics::histogram!("waiting_seconds"));
        let before = memory().unwrap();
        for _ in 0..ROUNDS {
            (0..SAMPLES).for_each(|_| histogram.record(0.001));
            tokio::task::yield_now().await;
            advance(COUNTING).await;
            tokio::task::yield_now().await;
        }
        let grown = memory().unwrap().saturating_sub(before);
        let all = ROUNDS * SAMPLES * 8;
        assert!(grown < all / 2, "{grown} bytes, and all samples have {all}");
        counting.abort();
        assert!(handle.render().contains(&format!("waiting_seconds_count {}", ROUNDS * SAMPLES)));
    }
}
