use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use tokio::{
    task::coop,
    time::{Instant, timeout},
};
use zeroize::Zeroizing;

use super::replay::{ReadOutcome, Replay};

/// The limits for reading a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest number of data bytes.
    pub(crate) bytes: usize,
    /// The largest number of frames, including empty frames and trailers.
    pub(crate) frames: usize,
    /// The time for reading the whole body.
    pub(crate) deadline: Duration,
}

/// The result of reading a body. Every variant can give the body back.
pub(crate) enum Read<B: Body> {
    /// The body was read to its end. `bytes` has the data in one piece.
    Complete { bytes: Bytes, replay: Replay<B> },
    /// The transport failed. The replay ends with the error.
    Broken { replay: Replay<B> },
    /// The body has, or announces, more data than [`Limits::bytes`].
    TooLarge { replay: Replay<B> },
    /// The body has more frames than [`Limits::frames`].
    TooManyFrames { replay: Replay<B> },
    /// The body was not complete after [`Limits::deadline`].
    TooSlow { replay: Replay<B> },
}

impl<B: Body> Read<B> {
    /// Returns the body, with the frames that were read.
    pub(crate) fn into_replay(self) -> Replay<B> {
        match self {
            Self::Complete { replay, .. }
            | Self::Broken { replay }
            | Self::TooLarge { replay }
            | Self::TooManyFrames { replay }
            | Self::TooSlow { replay } => replay,
        }
    }
}

/// Reads a body until its end, an error or a limit, and keeps every frame as received.
///
/// A body whose size hint exceeds the limit is not read at all. The size hint has no other effect: the memory that is used
/// and the end of the reading do not depend on the size hint.
///
/// Dropping the future drops the body.
///
/// # Panics
///
/// Panics if the body is not ready outside of a Tokio runtime with time enabled.
pub(crate) async fn read<B>(body: B, limits: &Limits) -> Read<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    let over_limit = usize::try_from(body.size_hint().lower()).map_or(true, |lower| lower > limits.bytes);
    let mut replay = Replay::new(body);
    if over_limit {
        return Read::TooLarge { replay };
    }
    let started = Instant::now();
    let stop = {
        let mut filling = pin!(fill(&mut replay, limits));
        match in_two_polls(filling.as_mut()).await {
            Some(stop) => Some(stop),
            None => timeout(limits.deadline.saturating_sub(started.elapsed()), filling).await.ok(),
        }
    };
    match stop {
        Some(Stop::End(bytes)) => Read::Complete { bytes, replay },
        Some(Stop::Error) => Read::Broken { replay },
        Some(Stop::Bytes) => Read::TooLarge { replay },
        Some(Stop::Frames) => Read::TooManyFrames { replay },
        None => Read::TooSlow { replay },
    }
}

/// The output of a future that is ready after at most two polls.
///
/// hyper gives a body to its reader only after the first poll, also if the body came together with the head. Without this
/// function, each of these bodies would set a timer, and wake the thread that waits for timers.
async fn in_two_polls<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut is_first = true;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if is_first => {
            is_first = false;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

enum Stop {
    End(Bytes),
    Error,
    Bytes,
    Frames,
}

async fn fill<B>(replay: &mut Replay<B>, limits: &Limits) -> Stop
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut bytes, mut frames) = (0_usize, 0_usize);
    loop {
        // Without this line, a body that is always ready would block the deadline and every other task.
        coop::consume_budget().await;
        let data = match replay.read_frame().await {
            ReadOutcome::Frame(data) => data,
            ReadOutcome::Error => return Stop::Error,
            ReadOutcome::End => return Stop::End(join(replay.data())),
        };
        bytes = bytes.saturating_add(data);
        frames += 1;
        if bytes > limits.bytes {
            return Stop::Bytes;
        }
        if frames > limits.frames {
            return Stop::Frames;
        }
    }
}

fn join<'a>(pieces: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let mut pieces = pieces.filter(|piece| !piece.is_empty());
    let others = pieces.clone().skip(1);
    match pieces.next() {
        None => Bytes::new(),
        Some(piece) if others.clone().next().is_none() => piece.clone(),
        // The data can have a token or a secret, and a buffer that grows leaves a copy.
        Some(piece) => {
            let length = others.clone().map(Bytes::len).sum::<usize>();
            let mut whole = Zeroizing::new(Vec::with_capacity(piece.len() + length));
            [piece].into_iter().chain(others).for_each(|piece| whole.extend_from_slice(piece));
            Bytes::from_owner(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use tokio::runtime::Builder;

    #[test]
    fn a_body_that_is_there_sets_no_timer() {
        // A timer panics in this runtime.
        let runtime = Builder::new_current_thread().build().unwrap();
        let limits = Limits { bytes: 100, frames: 10, deadline: Duration::MAX };
        for late in [false, true] {
            let (mut waits, mut pieces) = (late, vec![Bytes::from_static(b"b"), Bytes::from_static(b"a")]);
            let body = StreamBody::new(stream::poll_fn(move |_| match std::mem::take(&mut waits) {
                true => Poll::Pending,
                false => Poll::Ready(pieces.pop().map(|piece| Ok::<_, Infallible>(Frame::data(piece)))),
            }));
            let Read::Complete { bytes, .. } = runtime.block_on(read(body, &limits)) else { panic!("not complete") };
            assert_eq!(bytes, "ab");
        }
    }
}
