//! Limits are reached but not passed.

use std::{convert::Infallible, iter, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time;

use super::outcome;
use crate::body::{Limits, Read, read};

const LIMITS: Limits = Limits { bytes: 8, frames: 4, deadline: Duration::from_secs(1) };

fn frames(frames: &[&'static str]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
    let frames: Vec<_> = frames.iter().map(|data| Ok(Frame::data(Bytes::from_static(data.as_bytes())))).collect();
    StreamBody::new(stream::iter(frames))
}

#[tokio::test]
async fn a_limit_is_reached_but_not_passed() {
    let cases: [(&[&str], &str); 9] = [
        (&[], r#"b"""#),
        (&[""], r#"b"""#),
        (&["abcdefgh"], r#"b"abcdefgh""#),
        (&["abcd", "", "efgh"], r#"b"abcdefgh""#),
        (&["abcd", "efghi"], "too large"),
        (&["abcdefghi"], "too large"),
        (&["a", "b", "c", "d"], r#"b"abcd""#),
        (&["a", "b", "c", "d", ""], "too many frames"),
        (&["a", "b", "c", "d", "efghi"], "too large"),
    ];
    for (body, expected) in cases {
        assert_eq!(outcome(read(frames(body), &LIMITS).await).0, expected, "{body:?}");
    }
}

#[tokio::test]
async fn trailers_count_as_a_frame() {
    let with_trailers = |n| frames(&["a"; 4][..n]).with_trailers(async { Some(Ok(http::HeaderMap::new())) });
    let read_3 = read(Box::pin(with_trailers(3)), &LIMITS).await;
    assert_eq!(outcome(read_3).0, r#"b"aaa""#);
    let read_4 = read(Box::pin(with_trailers(4)), &LIMITS).await;
    assert_eq!(outcome(read_4).0, "too many frames");
}

#[tokio::test]
async fn one_data_frame_is_not_copied() {
    let data = Bytes::from(b"scope=a".to_vec());
    let Read::Complete { bytes, replay } = read(Full::new(data.clone()), &LIMITS).await else { panic!("not complete") };
    let Ok(replayed) = replay.collect().await;
    assert_eq!(bytes.as_ptr(), data.as_ptr());
    assert_eq!(replayed.to_bytes().as_ptr(), data.as_ptr());
}

/// Must not be read.
struct Claims(u64);

impl Body for Claims {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(self.0 <= 8, "was read");
        std::task::Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn a_body_announced_too_large_is_not_read() {
    for (claimed, expected) in [(8, r#"b"""#), (9, "too large"), (u64::MAX, "too large")] {
        assert_eq!(outcome(read(Claims(claimed), &LIMITS).await).0, expected, "{claimed}");
    }
    let everything = Limits { bytes: usize::MAX, ..LIMITS };
    assert_eq!(outcome(read(frames(&["a"]), &everything).await).0, r#"b"a""#);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_for_the_whole_body() {
    let drip = |every| {
        let frames = stream::unfold(3_u32, move |left| async move {
            time::sleep(Duration::from_millis(every)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"a"))), left.checked_sub(1)?))
        });
        StreamBody::new(Box::pin(frames))
    };
    assert_eq!(outcome(read(drip(200), &LIMITS).await).0, r#"b"aaa""#);
    assert_eq!(outcome(read(drip(400), &LIMITS).await).0, "too slow");
}

#[tokio::test]
async fn an_always_ready_body_obeys_the_deadline() {
    let endless = StreamBody::new(stream::iter(iter::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::new())))));
    let limits = Limits { frames: usize::MAX, deadline: Duration::from_millis(5), ..LIMITS };
    assert_eq!(outcome(read(endless, &limits).await).0, "too slow");
}
