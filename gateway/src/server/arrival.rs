//! The first bytes of a request body.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::coop;

/// How much of a body must be there before the request is worked on.
const ENOUGH: usize = 64 * 1024;

/// Waits until the first 64 KiB of the body are there, or the whole body. The body then starts with what was received.
pub(super) async fn arrived(request: Request<Body>) -> Request<Body> {
    if request.body().is_end_stream() {
        return request;
    }
    let (parts, mut body) = request.into_parts();
    let has_length = body.size_hint().exact().is_some();
    let (mut received, mut next) = (Received::default(), None);
    while received.len() < ENOUGH && next.is_none() && !body.is_end_stream() {
        // A body that is always ready would block the deadline and every other task.
        coop::consume_budget().await;
        match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
            None => break,
            Some(Ok(Ok(data))) => received.push(data),
            Some(Ok(Err(frame))) => next = Some(Ok(frame)),
            Some(Err(error)) => next = Some(Err(error)),
        }
    }
    let body = Arrived { received: received.into_bytes(), next, rest: body, has_length };
    Request::from_parts(parts, Body::new(body))
}

/// The received data. A single piece is not copied.
#[derive(Default)]
struct Received {
    first: Bytes,
    joined: BytesMut,
}

impl Received {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
        } else {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            self.joined.extend_from_slice(&data);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

/// A body whose beginning was received.
struct Arrived {
    received: Bytes,
    /// Trailers or an error, after the received data.
    next: Option<Result<Frame<Bytes>, axum::Error>>,
    rest: Body,
    /// A body whose length the client did not say goes to the server without a length, too.
    has_length: bool,
}

impl http_body::Body for Arrived {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.received.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.received)))));
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        if self.rest.is_end_stream() {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.rest).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = Body::empty();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.received.is_empty() && self.next.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (received, rest) = (self.received.len() as u64, self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(received + rest.lower());
        if let Some(upper) = rest.upper().filter(|_| self.has_length) {
            hint.set_upper(received + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream};
    use http::HeaderMap;
    use http_body_util::{Full, StreamBody};

    fn data(bytes: usize) -> Frame<Bytes> {
        Frame::data(Bytes::from(vec![b'x'; bytes]))
    }

    async fn read(request: Request<Body>) -> (Vec<usize>, bool) {
        let mut body = request.into_body();
        let (mut pieces, mut has_trailers) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => pieces.push(data.len()),
                Err(_) => has_trailers = true,
            }
        }
        assert!(body.is_end_stream());
        (pieces, has_trailers)
    }

    #[tokio::test]
    async fn a_request_waits_for_its_body() {
        for (first, has_arrived) in [(0, false), (1, false), (ENOUGH - 1, false), (ENOUGH, true), (ENOUGH + 1, true)] {
            let silent = stream::iter([Ok::<_, axum::Error>(data(first))]).chain(stream::pending());
            let request = Request::new(Body::new(StreamBody::new(silent)));
            assert_eq!(arrived(request).now_or_never().is_some(), has_arrived, "{first} bytes");
        }
        assert!(arrived(Request::new(Body::empty())).now_or_never().is_some());
        assert!(arrived(Request::new(Body::from("whole"))).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_body_is_the_same_afterwards() {
        let trailers = || Frame::trailers(HeaderMap::new());
        for (frames, pieces, has_trailers) in [
            (vec![data(3), data(4), trailers()], vec![7], true),
            (vec![data(3)], vec![3], false),
            (vec![data(ENOUGH), data(5), trailers()], vec![ENOUGH, 5], true),
            (vec![], vec![], false),
        ] {
            let body = StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, axum::Error>)));
            let request = arrived(Request::new(Body::new(body))).await;
            assert_eq!(request.body().size_hint().exact(), None, "the client did not say the length");
            assert_eq!(read(request).await, (pieces, has_trailers));
        }
        let request = arrived(Request::new(Body::new(Full::new(Bytes::from_static(b"four"))))).await;
        assert_eq!(request.body().size_hint().exact(), Some(4));
        assert_eq!(read(request).await, (vec![4], false));
    }

    #[tokio::test]
    async fn an_error_comes_after_the_data() {
        let frames = [Ok(data(3)), Err(axum::Error::new(std::io::Error::other("cut")))];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let mut body = arrived(Request::new(body)).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 3);
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    }
}
