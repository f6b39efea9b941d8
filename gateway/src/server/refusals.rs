use super::share::Full;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tower_token_exchange::limits::Peer;

/// The shortest time between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reports what was refused because a limit was reached. The metrics count each refusal; the log has one line for all
/// refusals of 10 s, so that an attacker cannot fill a disk.
#[derive(Debug)]
pub(super) struct Refusals {
    what: &'static str,
    metric: &'static str,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    latest: Option<Instant>,
    unreported: u64,
}

impl Refusals {
    pub(super) fn of_connections() -> Self {
        Self { what: "connections", metric: "gateway_connections_refused_total", log: Mutex::default() }
    }

    pub(super) fn of_requests() -> Self {
        Self { what: "requests", metric: "gateway_requests_refused_total", log: Mutex::default() }
    }

    pub(super) fn report(&self, full: Full, peer: Option<Peer>) {
        metrics::counter!(self.metric, "limit" => full.as_str()).increment(1);
        let Some(refused) = self.to_log() else { return };
        let (what, limit) = (self.what, full.as_str());
        let peer = peer.map(tracing::field::display);
        tracing::warn!(refused, what, limit, peer, "a limit is reached; the line names the latest peer");
    }

    /// Counts a refusal. Returns the number for the log if it is time for a line.
    fn to_log(&self) -> Option<u64> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.unreported += 1;
        if log.latest.is_some_and(|latest| latest.elapsed() < INTERVAL) {
            return None;
        }
        log.latest = Some(Instant::now());
        Some(std::mem::take(&mut log.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn many_refusals_are_one_line() {
        let refusals = Refusals::of_requests();
        assert_eq!(refusals.to_log(), Some(1));
        for _ in 0..1000 {
            assert_eq!(refusals.to_log(), None);
        }
        advance(INTERVAL).await;
        assert_eq!(refusals.to_log(), Some(1001));
    }
}
