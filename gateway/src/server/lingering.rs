use bytes::Bytes;
use http::{Request, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};

/// How much of a body is read that nobody needs, and for how long.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);

/// A request body whose rest is read and thrown away when the body is dropped.
///
/// If a connection with unread data ends, the client may lose the answer, such as 413 for a body that is too large.
pub(super) struct Lingering<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    /// The result of the poll in [`wrap`](Self::wrap).
    first: Option<Result<Frame<Bytes>, B::Error>>,
    /// `None` after the end.
    body: Option<B>,
    can_linger: bool,
    lingers: bool,
}

// Nothing is pinned in this type, whatever the error of the body is.
impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Unpin for Lingering<B> {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Lingering<B> {
    pub(super) fn wrap(request: Request<B>) -> Request<Self> {
        // HTTP/2 ends one request without the connection.
        let can_linger = request.version() < Version::HTTP_2;
        // A client that expects 100 sends its body when the first piece is read.
        let lingers = can_linger && !request.headers().contains_key(header::EXPECT);
        request.map(|body| {
            let mut body = Self { first: None, body: Some(body), can_linger, lingers };
            if lingers {
                body.announce_reader();
            }
            body
        })
    }

    /// Polls the body once. hyper gives a body to its reader only after the first poll. If this poll comes with the call of the
    /// service, a body that arrived together with its head is there when the service starts, and the task of the connection
    /// runs once instead of twice.
    fn announce_reader(&mut self) {
        let Some(body) = self.body.as_mut().filter(|body| !body.is_end_stream()) else { return };
        // Whoever reads the body polls again with a waker.
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(None) => self.body = None,
            Poll::Ready(first) => self.first = first,
        }
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = match (self.first.take(), self.body.as_mut()) {
            (Some(first), _) => Some(first),
            (None, Some(body)) => ready!(Pin::new(body).poll_frame(cx)),
            (None, None) => None,
        };
        match frame {
            Some(Ok(_)) => self.lingers = self.can_linger,
            _ => self.body = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let first = self.first.iter().flatten().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
        let mut hint = SizeHint::new();
        hint.set_lower(first + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(first + upper);
        }
        hint
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Lingering<B> {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| self.lingers && !body.is_end_stream()) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(DEADLINE, discard(body)));
        }
    }
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > MAX_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    #[tokio::test]
    async fn the_reader_is_announced_at_once() {
        for (version, expects, is_ready, polls) in [
            (Version::HTTP_11, false, false, 1),
            (Version::HTTP_11, false, true, 1),
            // The poll would send 100 before anything is decided about the request.
            (Version::HTTP_11, true, false, 0),
            (Version::HTTP_2, false, false, 0),
        ] {
            let (counted, mut frames) = (Arc::<AtomicUsize>::default(), vec!["body"]);
            let counter = Arc::clone(&counted);
            let body = StreamBody::new(stream::poll_fn(move |_| {
                if counter.fetch_add(1, Ordering::Relaxed) == 0 && !is_ready {
                    return Poll::Pending;
                }
                Poll::Ready(frames.pop().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece)))))
            }));
            let mut request = Request::builder().version(version).body(body).unwrap();
            if expects {
                request.headers_mut().insert(header::EXPECT, "100-continue".parse().unwrap());
            }
            let mut body = Lingering::wrap(request).into_body();
            assert_eq!(counted.load(Ordering::Relaxed), polls);
            assert_eq!((body.size_hint().lower(), body.is_end_stream()), (if is_ready { 4 } else { 0 }, false));
            if polls == 0 {
                assert!(std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await);
            }
            assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
        }
    }
}
