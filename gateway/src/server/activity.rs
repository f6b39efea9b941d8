use super::registry::Admission;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A connection and its requests. The connection is idle while no request is worked on; a request that waits for its body is
/// not worked on.
#[derive(Debug)]
pub(super) struct Activity {
    admission: Admission,
    requests: Mutex<Requests>,
}

#[derive(Debug, Default)]
struct Requests {
    /// The requests whose answer has not ended.
    open: usize,
    /// Those among them that do not wait for their body.
    busy: usize,
}

impl Activity {
    pub(super) fn new(admission: Admission) -> Arc<Self> {
        Arc::new(Self { admission, requests: Mutex::default() })
    }

    /// Waits until the connection must end, because others need its room.
    pub(super) async fn ended(&self) {
        self.admission.ended().await;
    }

    /// Waits until the connection is idle for this time.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let idle = self.admission.idle_since().map(|since| since.elapsed()).unwrap_or_default();
            if idle >= time {
                return;
            }
            sleep(time - idle).await;
        }
    }

    pub(super) fn has_requests(&self) -> bool {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).open > 0
    }

    fn change(&self, change: impl FnOnce(&mut Requests)) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut requests);
        self.admission.set_idle_since((requests.busy == 0).then(Instant::now));
    }

    /// Counts a request until the result is dropped.
    pub(super) fn request(self: &Arc<Self>) -> ActiveRequest {
        self.change(|requests| requests.open += 1);
        ActiveRequest { activity: Arc::clone(self), is_busy: Mutex::new(false) }
    }
}

/// A request whose answer has not ended.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    activity: Arc<Activity>,
    is_busy: Mutex<bool>,
}

impl ActiveRequest {
    /// Declares that the request does not wait for its body any more.
    pub(super) fn body_arrived(&self) {
        let mut is_busy = self.is_busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_busy, true) {
            self.activity.change(|requests| requests.busy += 1);
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let was_busy = *self.is_busy.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.activity.change(|requests| {
            requests.open -= 1;
            requests.busy -= usize::from(was_busy);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::registry::Registry;
    use futures_util::FutureExt;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn only_requests_keep_a_connection_busy() {
        let activity = Activity::new(Registry::new(1, 1, "connections").admit(None).unwrap());
        let limit = Duration::from_secs(30);
        let is_idle = || activity.idle_for(limit).now_or_never().is_some();
        advance(Duration::from_secs(29)).await;
        assert!(!is_idle());
        let request = activity.request();
        request.body_arrived();
        advance(Duration::from_secs(100)).await;
        assert!(!is_idle(), "a request is worked on");
        drop(request);
        let waiting = activity.request();
        advance(limit).await;
        assert!(is_idle(), "a request waits for its body");
        assert!(activity.has_requests());
        drop(waiting);
        assert!(!activity.has_requests());
    }
}
