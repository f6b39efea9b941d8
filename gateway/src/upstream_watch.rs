//! The authorization server while the gateway runs: its endpoints, its documents, and whether clients can be authenticated.

use crate::{
    admin::Health,
    client_authentication,
    config::Config,
    diagnosis::{Depth, diagnose_gateway},
    gateway::{App, Gateway},
    stores::Stores,
    upstream::Endpoints,
    waiting::waiting,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long the gateway waits before it asks again for endpoints that it does not know: the first time, and at most. Each
/// failure doubles the time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// How often the gateway asks the authorization server again.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long the gateway waits between two diagnoses of the server: without a problem, after the first diagnosis with a problem,
/// and after many.
const WHILE_ALL_IS_WELL: Duration = Duration::from_secs(600);
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Watches the authorization server, and replaces the app if the endpoints of the server change.
pub(crate) struct UpstreamWatch {
    config: watch::Receiver<Arc<Config>>,
    stores: Stores,
    app: watch::Sender<App>,
    health: Arc<Health>,
    /// Why the latest endpoints cannot be used.
    problem: Option<String>,
    diagnosis: Schedule,
}

/// When the server is diagnosed next. The questions of a diagnosis count against the server's limits for failed logins.
struct Schedule {
    next: Instant,
    /// The time until the next diagnosis, if one finds a problem again.
    wait: Duration,
}

impl Schedule {
    fn now() -> Self {
        Self { next: Instant::now(), wait: FIRST_WAIT }
    }

    /// Plans the next diagnosis.
    fn plan(&mut self, has_problem: bool) {
        let wait = if has_problem { self.wait } else { WHILE_ALL_IS_WELL };
        self.next = Instant::now() + wait;
        self.wait = if has_problem { (self.wait * 2).min(LONGEST_WAIT) } else { FIRST_WAIT };
    }
}

impl UpstreamWatch {
    pub(crate) fn new(
        config: watch::Receiver<Arc<Config>>,
        stores: Stores,
        app: watch::Sender<App>,
        health: Arc<Health>,
    ) -> Self {
        Self { config, stores, app, health, problem: None, diagnosis: Schedule::now() }
    }

    /// Asks the server from time to time, and after a change of the configuration.
    pub(crate) async fn run(mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let config = Arc::clone(&self.config.borrow_and_update());
            self.find_endpoints(&config).await;
            let pause = match self.health.gateway() {
                Some(gateway) => {
                    self.ask(&config, &gateway).await;
                    INTERVAL
                }
                None => retry,
            };
            retry = (retry * 2).min(LONGEST_RETRY);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.diagnosis = Schedule::now();
                    retry = FIRST_RETRY;
                }
            }
        }
    }

    /// Looks for the endpoints of the server. If the endpoints changed, another gateway takes over.
    async fn find_endpoints(&mut self, config: &Config) {
        let before = self.health.gateway();
        let known = before.as_ref().map(|gateway| &gateway.endpoints);
        let problem = match Endpoints::find(config, known).await {
            Ok(found) if known == Some(&found) => None,
            Ok(found) => match self.take_over(found) {
                Ok(None) => None,
                Ok(Some(before)) => {
                    before.exchange.flush_audit().await;
                    None
                }
                Err(error) => Some(error),
            },
            Err(error) => Some(error),
        };
        let problem = problem.map(|error| format!("{error:#}"));
        let is_new = problem != self.problem;
        self.problem.clone_from(&problem);
        if before.is_some() {
            if let Some(problem) = problem.filter(|_| is_new) {
                tracing::warn!(problem, "the endpoints of the server cannot be read; the endpoints before still count");
            }
        } else if self.health.gateway().is_none() {
            if let Some(problem) = problem.as_ref().filter(|_| is_new) {
                tracing::warn!(problem, "token exchange waits for the authorization server; all other requests pass");
            }
            self.health.start.send_replace(problem);
            // The keys may have changed, by which the service recognizes tokens of the gateway.
            if let Ok(waiting) = waiting(config) {
                self.app.send_replace(waiting);
            }
        }
    }

    /// Starts a gateway with these endpoints, and returns the gateway before.
    fn take_over(&self, endpoints: Endpoints) -> anyhow::Result<Option<Gateway>> {
        let _guard = self.health.replacing();
        // The configuration may have changed since the endpoints were asked for.
        let config = Arc::clone(&self.config.borrow());
        let gateway = Gateway::new(&config, endpoints, self.stores.clone())?;
        tracing::info!(endpoints = %gateway.endpoints, "token exchange is available");
        self.app.send_replace(gateway.app());
        let before = self.health.set_gateway(gateway);
        self.health.clients.send_replace(Some("not checked yet".to_owned()));
        self.health.start.send_replace(None);
        Ok(before)
    }

    /// Asks the server for its documents, and whether clients can be authenticated.
    async fn ask(&mut self, config: &Config, gateway: &Gateway) {
        gateway.ask_upstream(config).await;
        // Looking at the keys starts a fetch of keys that are too old.
        gateway.exchange.readiness();
        if self.health.clients.borrow().is_some() {
            let problem = gateway.client_problem().await;
            self.health.clients.send_replace(problem.as_ref().map(client_authentication::in_words));
        }
        self.ask_replay_store(gateway).await;
        if gateway.upstream_is_up() && self.diagnosis.next <= Instant::now() {
            self.diagnose(config, gateway).await;
        }
    }

    /// Asks whether Redis remembers what was used once. The log has each new problem.
    async fn ask_replay_store(&self, gateway: &Gateway) {
        let problem = gateway.replay_problem().await;
        let before = self.health.replay_store.send_replace(problem.clone());
        match problem {
            Some(problem) if before.as_ref() != Some(&problem) => {
                tracing::warn!(problem, "the replay store has a problem")
            }
            None if before.is_some() => tracing::info!("the replay store has no problem"),
            _ => {}
        }
    }

    /// Looks for problems that keep exchanges from succeeding. The log has each new problem.
    async fn diagnose(&mut self, config: &Config, gateway: &Gateway) {
        let Ok(findings) = diagnose_gateway(config, gateway, Depth::TokenEndpoint).await else { return };
        let found: Vec<_> = findings.into_iter().filter(|finding| finding.problem().is_some()).collect();
        let before = self.health.problems.borrow().clone();
        for finding in found.iter().filter(|finding| !before.contains(finding)) {
            let problem = finding.problem().map_or("", |problem| &problem.text);
            tracing::warn!(about = finding.about, problem, "a check of the authorization server failed");
        }
        self.diagnosis.plan(!found.is_empty());
        self.health.problems.send_replace(found);
    }
}
