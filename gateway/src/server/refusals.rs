use super::share::Full;
use crate::rare_line::RareLine;
use std::time::Duration;
use tower_token_exchange::limits::Peer;

/// The shortest time between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reports what was refused because a limit was reached. The metrics count each refusal; the log has one line for all
/// refusals of 10 s, so that an attacker cannot fill a disk.
#[derive(Debug)]
pub(super) struct Refusals {
    what: &'static str,
    metric: &'static str,
    line: RareLine,
}

impl Refusals {
    pub(super) fn of_connections() -> Self {
        Self { what: "connections", metric: "gateway_connections_refused_total", line: RareLine::new(INTERVAL) }
    }

    pub(super) fn of_requests() -> Self {
        Self { what: "requests", metric: "gateway_requests_refused_total", line: RareLine::new(INTERVAL) }
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
        self.line.due().map(|left_out| left_out + 1)
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
