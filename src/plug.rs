//! The one shape of everything that can be plugged in: a question goes in, an answer comes out.

use crate::protocol::{Reason, Rejection, refuse};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

/// What can be plugged in where `Question` is asked: any [`tower::Service`] that answers it.
///
/// Implemented for everything that fits, so it is never implemented by hand: an async closure in
/// [`tower::service_fn`], a [`ServiceBuilder`](tower::ServiceBuilder) stack, a service of your own.
///
/// An `Ok` answer is an answer, a refusal too. An `Err` means that the question could not be put: the exchange
/// fails closed with 503 and `Retry-After`. A panic becomes a 500 for that request alone; a fetch or an audit sink that
/// panics counts as one that could not be asked.
pub trait Plug<Question, Answer>:
    Service<Question, Response = Answer, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S, Question, Answer> Plug<Question, Answer> for S where
    S: Service<Question, Response = Answer, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static
{
}

/// A plugged-in service with its type erased.
pub(crate) type BoxPlug<Question, Answer> = BoxCloneSyncService<Question, Answer, BoxError>;

pub(crate) fn box_plug<Question: 'static, Answer: 'static>(
    service: impl Plug<Question, Answer>,
) -> BoxPlug<Question, Answer> {
    BoxPlug::new(service.map_err(Into::into))
}

/// How a part can fail to answer.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) unavailable: Reason,
    pub(crate) panicked: Reason,
}

/// Puts one question to a part. Neither its error nor its panic gets any further than this request.
pub(crate) async fn ask<Question, Answer>(
    part: &BoxPlug<Question, Answer>,
    question: Question,
    failing: Failing,
) -> Result<Answer, Rejection>
where
    Question: Send + 'static,
    Answer: 'static,
{
    let answer = async { part.clone().oneshot(question).await };
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(refuse(failing.unavailable).because(error)),
        Err(_) => Err(refuse(failing.panicked)),
    }
}
