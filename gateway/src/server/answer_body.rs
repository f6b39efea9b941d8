//! The body of an answer while the client reads the body, or does not.

use super::requests::OpenRequest;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::rt::Executor;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep};

tokio::task_local! {
    /// The reader of the answer of the task. Only HTTP/2 has a task for each request.
    static READER: Arc<Reader>;
}

/// Since when a client has not taken a piece of an answer that is ready.
#[derive(Debug, Default)]
struct Reader(Mutex<Option<Instant>>);

impl Reader {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Waits until the client has taken nothing for this time.
    async fn stopped(&self, time: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = since.map(|since| since.elapsed()).unwrap_or_default();
            if waiting >= time {
                return;
            }
            sleep(time - waiting).await;
        }
    }
}

/// Runs the requests of HTTP/2 connections, and ends a request whose client takes nothing of its answer.
///
/// The connection cannot do this: the client may read other answers, or only answer pings.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor(pub(super) Duration);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let (reader, time) = (Arc::<Reader>::default(), self.0);
        let watched = Arc::clone(&reader);
        tokio::spawn(READER.scope(reader, async move {
            tokio::select! {
                _ = stream => {}
                () = watched.stopped(time) => tracing::debug!("a client did not read its answer"),
            }
        }));
    }
}

/// The body of an answer. The request counts as open until this value is dropped.
#[derive(Debug)]
pub(super) struct AnswerBody {
    inner: Body,
    reader: Option<Arc<Reader>>,
    _open: Arc<OpenRequest>,
}

impl AnswerBody {
    pub(super) fn new(inner: Body, open: Arc<OpenRequest>) -> Self {
        let body = Self { inner, reader: READER.try_with(Arc::clone).ok(), _open: open };
        body.set_waiting(Some(Instant::now()));
        body
    }

    fn set_waiting(&self, since: Option<Instant>) {
        if let Some(reader) = &self.reader {
            reader.set(since);
        }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.set_waiting(None);
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.set_waiting(Some(Instant::now()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::future;
    use tokio::{sync::oneshot, time::timeout};

    const LIMIT: Duration = Duration::from_secs(30);

    fn body(inner: Body) -> AnswerBody {
        AnswerBody::new(inner, Arc::new(OpenRequest::of_test()))
    }

    /// Runs a request on the executor. Returns whether the request ended within a day by itself.
    async fn ends_itself<F: Future<Output = ()> + Send + 'static>(
        request: impl FnOnce() -> F + Send + 'static,
    ) -> bool {
        let (done, ended) = oneshot::channel();
        StreamExecutor(LIMIT).execute(async move {
            request().await;
            let _ = done.send(());
        });
        timeout(Duration::from_secs(86_400), ended).await.expect("the request ends").is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_ends() {
        let stalls = || async {
            let mut body = body(Body::from("piece"));
            assert!(body.frame().await.is_some());
            future::pending::<()>().await;
        };
        assert!(!ends_itself(stalls).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_is_no_slow_reader() {
        let waits = || async {
            sleep(LIMIT * 3).await;
            let slow = futures_util::stream::once(async {
                sleep(LIMIT * 3).await;
                Ok::<_, axum::Error>(Frame::data(Bytes::from_static(b"late")))
            });
            let mut body = body(Body::new(http_body_util::StreamBody::new(Box::pin(slow))));
            assert!(body.frame().await.is_some());
        };
        assert!(ends_itself(waits).await);
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_the_full_time() {
        let slow = || async {
            let pieces =
                futures_util::stream::iter((0..5).map(|_| Ok::<_, axum::Error>(Frame::data(Bytes::from("x")))));
            let mut body = body(Body::new(http_body_util::StreamBody::new(pieces)));
            while body.frame().await.is_some() {
                sleep(LIMIT - Duration::from_secs(1)).await;
            }
        };
        assert!(ends_itself(slow).await);
    }
}
