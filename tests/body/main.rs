//! The promise of `src/body`: the wrapped service cannot tell that its request body was read.
//!
//! The code that reads bodies is private, and its property tests need a crate that the library does not build for its
//! own tests. So this test compiles the folder itself; the folder imports nothing from the rest of the library.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[allow(dead_code, unreachable_pub, unused_imports, reason = "only a part of the folder is tested here")]
#[path = "../../src/body/mod.rs"]
mod body;
mod limits;
mod script;

use std::{error::Error, pin::pin, time::Duration};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{
    BodyExt, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};
use proptest::{collection::vec, prelude::*};

use self::script::{Says, Wait, ready_or_yielding, script};
use crate::body::{Limits, Read, Replay, RequestBody, read};

fn limits() -> impl Strategy<Value = Limits> {
    (0..48_usize, 0..12_usize, 0..40_u64).prop_map(|(bytes, frames, millis)| Limits {
        bytes,
        frames,
        deadline: Duration::from_millis(millis),
    })
}

/// Everything a consumer can see, up to the end or the first error and what is said after it.
async fn seen<B>(body: B) -> Vec<(Says, String)>
where
    B: Body<Data = Bytes, Error: Error + 'static>,
{
    let mut body = pin!(body);
    let (mut seen, mut over) = (Vec::new(), false);
    loop {
        let hint = body.size_hint();
        let says = Says { lower: hint.lower(), upper: hint.upper(), end: body.is_end_stream() };
        if over {
            seen.push((says, String::new()));
            return seen;
        }
        let frame = match body.frame().await {
            Some(Ok(frame)) => format!("{frame:?}"),
            Some(Err(error)) => {
                over = true;
                // The whole chain: an error that was wrapped once more is another error.
                let chain = std::iter::successors(Some(&error as &(dyn Error + 'static)), |&error| error.source());
                chain.map(|error| format!("{error} {error:?}; ")).collect()
            }
            None => {
                over = true;
                "end".into()
            }
        };
        seen.push((says, frame));
    }
}

fn outcome<B: Body>(read: Read<B>) -> (String, Replay<B>) {
    match read {
        Read::Complete { bytes, replay } => (format!("{bytes:?}"), replay),
        Read::Broken { replay } => ("broken".into(), replay),
        Read::TooLarge { replay } => ("too large".into(), replay),
        Read::TooManyFrames { replay } => ("too many frames".into(), replay),
        Read::TooSlow { replay } => ("too slow".into(), replay),
    }
}

/// Reads a body once for each of the limits, as stacked layers would, and gives it back every time.
async fn given_back<B: RequestBody>(mut body: B, layers: &[Limits]) -> B {
    for limits in layers {
        body = B::from_replay(outcome(read(body, limits).await).1);
    }
    body
}

async fn same<B>(original: impl Fn() -> B, layers: &[Limits]) -> Result<(), TestCaseError>
where
    B: RequestBody<Error: Error + 'static>,
{
    prop_assert_eq!(seen(given_back(original(), layers).await).await, seen(original()).await);

    // A body that an extractor or another middleware has begun to read.
    let begun = async || {
        let mut body = original();
        let _ = body.frame().await;
        body
    };
    prop_assert_eq!(seen(given_back(begun().await, layers).await).await, seen(begun().await).await);
    Ok(())
}

#[test]
fn a_replay_keeps_auto_traits_and_hides_bytes() {
    fn fits(_: &(impl Send + Sync + Unpin)) {}
    let limits = Limits { bytes: 99, frames: 9, deadline: Duration::from_secs(1) };
    let body = Full::new(Bytes::from_static(b"client_secret=hush"));
    let (_, replay) = outcome(on_paused_clock(read(body, &limits)));
    fits(&replay);
    assert_eq!(format!("{replay:?}"), "Replay { read: 2, ended: true, .. }");
}

fn on_paused_clock<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

proptest! {
    #[test]
    fn what_was_read_is_shown_again(
        script in script(prop_oneof![
            4 => ready_or_yielding(),
            1 => (1..30_u64).prop_map(Wait::Sleep),
        ]),
        layers in vec(limits(), 1..4),
    ) {
        on_paused_clock(async {
            same(|| Replay::new(script.body()), &layers).await?;
            same(|| BoxBody::new(script.body()), &layers).await?;
            same(|| UnsyncBoxBody::new(script.body()), &layers).await?;
            #[cfg(feature = "axum")]
            same(|| axum_core::body::Body::new(script.body()), &layers).await?;
            Ok::<_, TestCaseError>(())
        })?;
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn tonic_bodies_too(mut script in script(ready_or_yielding()), layers in vec(limits(), 1..4)) {
        // Only its own constructor decides what tonic's body is when it begins at its end.
        for (says, ..) in script.events.iter_mut().take(2) {
            says.end = false;
        }
        script.before_end.end &= script.events.len() >= 2;
        script.after.end &= !script.events.is_empty();
        on_paused_clock(same(|| tonic::body::Body::new(script.body()), &layers))?;
    }

    #[test]
    fn the_outcome_is_that_of_the_limits(script in script(ready_or_yielding()), limits in limits()) {
        let limits = Limits { deadline: Duration::from_secs(1), ..limits };
        let read = on_paused_clock(read(script.body(), &limits));
        prop_assert_eq!(outcome(read).0, script.expected(&limits));
    }
}
