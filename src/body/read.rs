use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::{task::coop, time};

use super::replay::{Met, Replay};

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of data; exactly this many are allowed.
    pub(crate) bytes: usize,
    /// Frames, empty ones and trailers included; exactly this many are allowed.
    pub(crate) frames: usize,
    /// For the whole reading, not for each frame.
    pub(crate) deadline: Duration,
}

/// How the reading of a body went. Every arm can give the body back.
pub(crate) enum Read<B: Body> {
    /// The body was read to its end, and these are its data in one piece.
    Complete { bytes: Bytes, replay: Replay<B> },
    /// The transport failed midway; the replay ends with its error.
    Broken { replay: Replay<B> },
    /// The body has, or says it has, more than [`Limits::bytes`].
    TooLarge { replay: Replay<B> },
    /// The body has more than [`Limits::frames`].
    TooManyFrames { replay: Replay<B> },
    /// The end had not come after [`Limits::deadline`].
    TooSlow { replay: Replay<B> },
}

impl<B: Body> Read<B> {
    /// Gives the body back.
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

/// Reads a body to its end, to an error or to a limit, and keeps every frame as it was received.
///
/// A body that says at the start that it is over the limit is not read at all. What it says is believed for nothing
/// else: neither memory nor the end of the reading depends on it.
///
/// Dropping the future drops the body.
///
/// # Panics
///
/// Outside of a Tokio runtime with time enabled.
pub(crate) async fn read<B>(body: B, limits: &Limits) -> Read<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    let over_limit = usize::try_from(body.size_hint().lower()).map_or(true, |lower| lower > limits.bytes);
    let mut replay = Replay::new(body);
    if over_limit {
        return Read::TooLarge { replay };
    }
    match time::timeout(limits.deadline, fill(&mut replay, limits)).await {
        Ok(Stop::End(bytes)) => Read::Complete { bytes, replay },
        Ok(Stop::Error) => Read::Broken { replay },
        Ok(Stop::Bytes) => Read::TooLarge { replay },
        Ok(Stop::Frames) => Read::TooManyFrames { replay },
        Err(_elapsed) => Read::TooSlow { replay },
    }
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
    let mut pieces = Vec::new();
    let (mut bytes, mut frames) = (0_usize, 0_usize);
    loop {
        // A body that is always ready would otherwise keep the deadline, and every other task, waiting.
        coop::consume_budget().await;
        let data = match replay.read_on().await {
            Met::Frame(data) => data,
            Met::Error => return Stop::Error,
            Met::End => return Stop::End(join(&pieces)),
        };
        bytes = bytes.saturating_add(data.len());
        frames += 1;
        if bytes > limits.bytes {
            return Stop::Bytes;
        }
        if frames > limits.frames {
            return Stop::Frames;
        }
        if !data.is_empty() {
            pieces.push(data);
        }
    }
}

fn join(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [piece] => piece.clone(),
        pieces => pieces.concat().into(),
    }
}
