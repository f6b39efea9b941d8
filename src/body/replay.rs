use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;

pin_project! {
    /// A body that was read in part or in full. The body yields the frames that were read, and then the rest.
    ///
    /// A reader cannot distinguish a replay from the original body: the replay yields the same frames, including empty
    /// frames and trailers, and the same transport error at the same place. At every frame,
    /// [`size_hint`](Body::size_hint) and [`is_end_stream`](Body::is_end_stream) return the values of the original body.
    /// As soon as an end or an error was read, the original body is dropped, and nothing follows.
    ///
    /// # Examples
    ///
    /// [`Replay::new`] makes any body usable for the middleware:
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body::Body;
    /// use http_body_util::{BodyExt, Full};
    /// use tower_token_exchange::body::Replay;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), std::convert::Infallible> {
    /// let body = Replay::new(Full::new(Bytes::from_static(b"scope=read")));
    /// assert_eq!(body.size_hint().exact(), Some(10));
    /// assert_eq!(body.collect().await?.to_bytes(), "scope=read");
    /// # Ok(())
    /// # }
    /// ```
    pub struct Replay<B: Body> {
        front: VecDeque<Step<B::Data, B::Error>>,
        #[pin]
        tail: Tail<B>,
    }
}

/// The state of a body before a poll, and the result of the poll.
struct Step<D, E> {
    hints: Hints,
    outcome: Option<Result<Frame<D>, E>>,
}

#[derive(Clone, Copy)]
struct Hints {
    size_hint: SizeHint,
    is_end_stream: bool,
}

pin_project! {
    #[project = TailProj]
    enum Tail<B> {
        Rest {
            #[pin]
            body: B,
        },
        // The body is dropped at its end. Otherwise the wrapped service could get frames that a faulty body yields after
        // its end, and the layer would not have read these frames.
        Ended {
            hints: Hints,
        },
    }
}

/// The result of [`Replay::read_frame`].
pub(super) enum ReadOutcome {
    /// A frame with so many bytes of data. Trailers have no data.
    Frame(usize),
    Error,
    End,
}

impl Hints {
    fn new(body: &impl Body) -> Self {
        Self { size_hint: body.size_hint(), is_end_stream: body.is_end_stream() }
    }
}

impl<B: Body> Replay<B> {
    /// Wraps a body from which no frame was read. This function does not allocate.
    pub fn new(body: B) -> Self {
        Self { front: VecDeque::new(), tail: Tail::Rest { body } }
    }

    /// Reads and keeps one frame of the rest. The future can be dropped at any time without losing a frame.
    pub(super) async fn read_frame(&mut self) -> ReadOutcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Tail::Rest { body } = &mut self.tail else {
            return ReadOutcome::End;
        };
        let hints = Hints::new(body);
        let outcome = body.frame().await;
        let read = match &outcome {
            Some(Ok(frame)) => ReadOutcome::Frame(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => ReadOutcome::Error,
            None => ReadOutcome::End,
        };
        if !matches!(read, ReadOutcome::Frame(_)) {
            self.tail = Tail::Ended { hints: Hints::new(body) };
        }
        if self.front.is_empty() {
            // Most bodies have one frame and an end.
            self.front.reserve_exact(2);
        }
        self.front.push_back(Step { hints, outcome });
        read
    }

    /// The data of the frames that were read.
    pub(super) fn data(&self) -> impl Iterator<Item = &Bytes> + Clone
    where
        B: Body<Data = Bytes>,
    {
        self.front.iter().filter_map(|step| step.outcome.as_ref()?.as_ref().ok()?.data_ref())
    }

    /// Returns the original body if no frame was read, and otherwise the result of `wrap`.
    pub(super) fn unread_or(self, wrap: impl FnOnce(Self) -> B) -> B {
        match self.tail {
            Tail::Rest { body } if self.front.is_empty() => body,
            tail => wrap(Self { front: self.front, tail }),
        }
    }

    fn hints(&self) -> Hints {
        match (self.front.front(), &self.tail) {
            (Some(step), _) => step.hints,
            (None, Tail::Rest { body }) => Hints::new(body),
            (None, Tail::Ended { hints }) => *hints,
        }
    }
}

impl<B: Body> Replay<Replay<B>> {
    /// Merges two replays into one, so that stacked layers do not nest replays.
    pub(super) fn flatten(self) -> Replay<B> {
        let Self { mut front, tail } = self;
        match tail {
            Tail::Rest { body: mut inner } => {
                front.append(&mut inner.front);
                Replay { front, tail: inner.tail }
            }
            Tail::Ended { hints } => Replay { front, tail: Tail::Ended { hints } },
        }
    }
}

impl<B: Body> Body for Replay<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if let Some(step) = this.front.pop_front() {
            return Poll::Ready(step.outcome);
        }
        match this.tail.project() {
            TailProj::Rest { body } => body.poll_frame(cx),
            TailProj::Ended { .. } => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.hints().is_end_stream
    }

    fn size_hint(&self) -> SizeHint {
        self.hints().size_hint
    }
}

impl<B: Body> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("read", &self.front.len())
            .field("ended", &matches!(self.tail, Tail::Ended { .. }))
            .finish_non_exhaustive()
    }
}
