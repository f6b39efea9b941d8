use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tower::BoxError;

/// A body that fails if the next frame takes too long.
///
/// The `TimeoutBody` of tower-http hides the length and the end of the wrapped body: every request would become a chunked one.
pub(super) struct BodyTimeout<B> {
    inner: B,
    timeout: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> BodyTimeout<B> {
    pub(super) fn new(inner: B, timeout: Duration) -> Self {
        Self { inner, timeout, waiting: None }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for BodyTimeout<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(this.timeout)));
        ready!(waiting.as_mut().poll(cx));
        let timeout = humantime::format_duration(this.timeout);
        Poll::Ready(Some(Err(format!("the client sent no more of the body for {timeout}").into())))
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
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    #[tokio::test(start_paused = true)]
    async fn each_frame_has_the_full_time() {
        let piece = |seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x")))
        };
        let pieces = stream::iter([9, 9, 9, 11]).then(piece);
        let mut body = BodyTimeout::new(StreamBody::new(Box::pin(pieces)), Duration::from_secs(10));
        for _ in 0..3 {
            assert!(body.frame().await.unwrap().is_ok());
            // The time between two polls does not count.
            sleep(Duration::from_secs(60)).await;
        }
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the client sent no more of the body for 10s");
    }

    #[test]
    fn length_and_end_of_the_wrapped_body_are_visible() {
        for (text, ends) in [("", true), ("four", false)] {
            let body = BodyTimeout::new(Full::new(Bytes::from_static(text.as_bytes())), Duration::from_secs(1));
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(text.len() as u64), ends));
        }
    }
}
