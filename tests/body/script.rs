//! Bodies whose frames and claims are arbitrary.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use proptest::{collection::vec, option, prelude::*};
use tokio::time::Sleep;

use crate::body::Limits;

/// What a body says of itself, whether true or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Says {
    pub(super) lower: u64,
    pub(super) upper: Option<u64>,
    pub(super) end: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Wait {
    No,
    Yield,
    Sleep(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Data(Bytes),
    Trailers(u16),
    Error,
}

/// A body that plays events, and says before each of them and at its end what the script tells it to say.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) events: Vec<(Says, Wait, Event)>,
    pub(super) before_end: Says,
    pub(super) after: Says,
}

pub(super) struct Scripted {
    pub(super) events: VecDeque<(Says, Wait, Event)>,
    before_end: Option<Says>,
    after: Says,
    sleep: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
pub(super) struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reset by peer")
    }
}

impl Error for Reset {}

impl Script {
    pub(super) fn body(&self) -> Scripted {
        let Self { events, before_end, after } = self.clone();
        Scripted { events: events.into(), before_end: Some(before_end), after, sleep: None }
    }

    /// How the reading must go where nothing waits for the clock.
    pub(super) fn expected(&self, limits: &Limits) -> String {
        let first = self.events.first().map_or(&self.before_end, |(says, ..)| says);
        if first.lower > limits.bytes as u64 {
            return "too large".into();
        }
        let mut data = Vec::new();
        for (at, (_, _, event)) in self.events.iter().enumerate() {
            match event {
                Event::Data(piece) => data.extend_from_slice(piece),
                Event::Trailers(_) => {}
                Event::Error => return "broken".into(),
            }
            if data.len() > limits.bytes {
                return "too large".into();
            }
            if at == limits.frames {
                return "too many frames".into();
            }
        }
        format!("{:?}", Bytes::from(data))
    }
}

impl Scripted {
    fn says(&self) -> &Says {
        match (self.events.front(), &self.before_end) {
            (Some((says, ..)), _) | (None, Some(says)) => says,
            (None, None) => &self.after,
        }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        let Some((_, wait, _)) = self.events.front_mut() else {
            self.before_end = None;
            return Poll::Ready(None);
        };
        match std::mem::replace(wait, Wait::No) {
            Wait::No => {}
            Wait::Yield => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Wait::Sleep(millis) => {
                self.sleep = Some(Box::pin(tokio::time::sleep(Duration::from_millis(millis))));
                return self.poll_frame(cx);
            }
        }
        Poll::Ready(self.events.pop_front().map(|(_, _, event)| match event {
            Event::Data(data) => Ok(Frame::data(data)),
            Event::Trailers(value) => {
                Ok(Frame::trailers(HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from(value))])))
            }
            Event::Error => Err(Reset),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.says().end
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.says().lower);
        if let Some(upper) = self.says().upper {
            hint.set_upper(upper);
        }
        hint
    }
}

fn says() -> impl Strategy<Value = Says> {
    (0..24_u64, option::of(0..24_u64), prop::bool::weighted(0.1)).prop_map(|(lower, more, end)| Says {
        lower,
        upper: more.map(|more| lower + more / 2 * (more % 2)),
        end,
    })
}

pub(super) fn script(wait: impl Strategy<Value = Wait> + 'static) -> impl Strategy<Value = Script> {
    let event = prop_oneof![
        12 => vec(any::<u8>(), 0..8).prop_map(|data| Event::Data(data.into())),
        1 => any::<u16>().prop_map(Event::Trailers),
        1 => Just(Event::Error),
    ];
    (vec((says(), wait, event), 0..10), says(), says()).prop_map(|(events, before_end, after)| Script {
        events,
        before_end,
        after,
    })
}

pub(super) fn ready_or_yielding() -> impl Strategy<Value = Wait> {
    prop_oneof![Just(Wait::No), Just(Wait::Yield)]
}
