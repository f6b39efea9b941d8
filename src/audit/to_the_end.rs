use futures_util::future::BoxFuture;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

/// A future that nobody can cancel: if this value is dropped, the rest of the future runs in a task of its own.
///
/// A future that ends within the request needs no task, and no change between threads.
pub(super) struct ToTheEnd<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> ToTheEnd<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A future that panics is not put back: nothing may poll such a future again.
        let Some(mut future) = self.0.take() else { return Poll::Pending };
        let progress = future.as_mut().poll(context);
        if progress.is_pending() {
            self.0 = Some(future);
        }
        progress
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_dropped_future_runs_to_its_end() {
        for polls_first in [false, true] {
            let ((go, gate), (done, ended)) = (oneshot::channel::<()>(), oneshot::channel());
            let mut future = ToTheEnd::new(async move {
                let _ = gate.await;
                let _ = done.send(());
            });
            assert!(!polls_first || (&mut future).now_or_never().is_none());
            drop(future);
            go.send(()).unwrap();
            ended.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_future_that_ends_starts_no_task() {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        assert_eq!(ToTheEnd::new(async { 7 }).await, 7);
        assert_eq!(tasks(), before);
    }
}
