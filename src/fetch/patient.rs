use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tower::BoxError;

/// A body that fails when it is waited for too long. Length and end are those of the body inside, which the timeout body
/// of tower-http hides.
pub(super) struct PatientBody<B> {
    inner: B,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> PatientBody<B> {
    pub(super) fn new(inner: B, patience: Duration) -> Self {
        Self { inner, patience, waiting: None }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for PatientBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(this.patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(format!("no more of the body for {:?}", this.patience).into())))
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
    async fn it_waits_for_every_piece_anew() {
        let piece = |seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x")))
        };
        let pieces = stream::iter([9, 9, 9, 11]).then(piece);
        let mut body = PatientBody::new(StreamBody::new(Box::pin(pieces)), Duration::from_secs(10));
        for _ in 0..3 {
            assert!(body.frame().await.unwrap().is_ok());
            // However long it takes to be wanted.
            sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "no more of the body for 10s");
    }

    #[test]
    fn length_and_end_are_those_of_the_body_inside() {
        for (text, ends) in [("", true), ("four", false)] {
            let body = PatientBody::new(Full::new(Bytes::from_static(text.as_bytes())), Duration::from_secs(1));
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(text.len() as u64), ends));
        }
    }
}
