//! The result of a run.

use hdrhistogram::Histogram;
use serde_json::json;
use std::{fmt, time::Duration};

pub(crate) struct Report {
    /// In microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) duration: Duration,
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    /// The requests of the whole run, the warm-up included.
    pub(crate) sent: usize,
    pub(crate) different_tokens: usize,
    /// Of the server, in the measured time.
    pub(crate) cpu_time: Option<Duration>,
    /// Of the server at the end, in bytes.
    pub(crate) memory: Option<u64>,
}

impl Report {
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.duration.as_secs_f64()
    }

    /// The CPU time of the server for one exchange, in microseconds.
    fn cpu_per_exchange(&self) -> Option<f64> {
        let exchanges = self.latencies.len().max(1) as f64;
        self.cpu_time.map(|cpu_time| cpu_time.as_secs_f64() * 1e6 / exchanges)
    }

    pub(crate) fn to_json(&self) -> String {
        let at = |quantile| self.latencies.value_at_quantile(quantile);
        json!({
            "exchanges": self.latencies.len(), "failed": self.failed, "first_failure": self.first_failure,
            "exchanges_per_second": self.per_second(), "cpu_us_per_exchange": self.cpu_per_exchange(),
            "memory_bytes": self.memory, "sent": self.sent, "different_tokens": self.different_tokens,
            "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": self.latencies.max(),
        })
        .to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchanges = self.latencies.len();
        writeln!(f, "{exchanges} exchanges in {:.1?}: {:.0} per second", self.duration, self.per_second())?;
        if let Some(failure) = &self.first_failure {
            writeln!(f, "{} requests failed, the first with: {failure}", self.failed)?;
        }
        if self.sent > self.different_tokens {
            let times = self.sent.div_ceil(self.different_tokens);
            writeln!(f, "each of {} subject tokens was sent up to {times} times", self.different_tokens)?;
        }
        if let (Some(cpu), Some(memory)) = (self.cpu_per_exchange(), self.memory) {
            writeln!(f, "server: {cpu:.0} µs of CPU time for each exchange, {} MiB of memory", memory >> 20)?;
        }
        writeln!(f, "latency:")?;
        for quantile in [0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            let milliseconds = self.latencies.value_at_quantile(quantile) as f64 / 1000.0;
            writeln!(f, "{:>9.2} %  {milliseconds:>9.2} ms", quantile * 100.0)?;
        }
        Ok(())
    }
}
