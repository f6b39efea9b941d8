//! The trait of every replaceable part: a tower service that answers a question.
//!
//! A *plug* is any [`tower::Service`] from a question type to an answer type. An async closure in
//! [`tower::service_fn`], a [`tower::ServiceBuilder`] stack around a remote service and a service type of your own all
//! fit. Each plug of the layer has a trait alias of its own, such as [`Policy`](crate::policy::Policy) or
//! [`AuditSink`](crate::audit::AuditSink). The alias only carries the bounds: every service that fits implements the
//! alias.
//!
//! ```
//! use tower_token_exchange::{
//!     plug::{BoxPlug, boxed},
//!     policy::{Decision, Query},
//! };
//!
//! let office_hours = tower::service_fn(|_: Query| async { Ok::<_, std::io::Error>(Decision::delegate()) });
//! let policy: BoxPlug<Query, Decision> = boxed(office_hours);
//! # let _ = policy;
//! ```
//!
//! # Failures
//!
//! A refusal is an answer, so a plug returns a refusal as `Ok`. An `Err` means that the plug could not answer: the exchange
//! fails closed with the status 503 and `Retry-After`. If a plug panics, only that request fails, with the status 500. An
//! HTTP service or an audit sink that panics counts as a plug that could not answer.

use crate::protocol::{Reason, Rejection, refuse};
use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tower::{BoxError, Service, ServiceExt};

/// A [`tower::Service`] that answers a `Question` with an `Answer`.
///
/// Every service that fits implements this trait. The service and its clones are used from several tasks at a time, and
/// each question goes to a fresh clone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service that answers `{Question}` with `{Answer}`",
    label = "not a `tower::Service<{Question}, Response = {Answer}>`",
    note = "wrap an async closure: `tower::service_fn(|question: {Question}| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait Plug<Question, Answer>:
    Service<Question, Response = Answer, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S, Question, Answer> Plug<Question, Answer> for S where
    S: Service<Question, Response = Answer, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static
{
}

/// A service that answers an HTTP request with an HTTP response: an HTTP client such as
/// [`HttpFetch`](crate::fetch::HttpFetch), or a server in the same process.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use tower_token_exchange::plug::HttpService;
///
/// fn assert_http_service<S: HttpService>(_: &S) {}
///
/// // A fake server for a test.
/// let server = tower::service_fn(|request: Request<Bytes>| async move {
///     Ok::<_, std::io::Error>(Response::new(Bytes::from(format!("you asked for {}", request.uri()))))
/// });
/// assert_http_service(&server);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an HTTP service",
    label = "not a `tower::Service<http::Request<Bytes>, Response = http::Response<Bytes>>`",
    note = "wrap an async closure: `tower::service_fn(|request: http::Request<Bytes>| async move {{ Ok::<_, BoxError>(response) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait HttpService: Plug<Request<Bytes>, Response<Bytes>> {}

impl<S: Plug<Request<Bytes>, Response<Bytes>>> HttpService for S {}

/// A plug whose type is erased. Clones share the plug, and each question goes to a fresh clone of the plug.
pub struct BoxPlug<Question, Answer>(Arc<dyn Ask<Question, Answer>>);

/// Erases the type of a plug.
pub fn boxed<Question, Answer>(plug: impl Plug<Question, Answer>) -> BoxPlug<Question, Answer>
where
    Question: Send + 'static,
    Answer: 'static,
{
    BoxPlug(Arc::new(plug))
}

/// The future answer of a plug.
type BoxAnswer<Answer> = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

trait Ask<Question, Answer>: Send + Sync {
    fn ask(&self, question: Question) -> BoxAnswer<Answer>;
}

impl<Question: Send + 'static, Answer: 'static, S: Plug<Question, Answer>> Ask<Question, Answer> for S {
    fn ask(&self, question: Question) -> BoxAnswer<Answer> {
        let mut plug = self.clone();
        // Most plugs are ready at once. Then the memory of the answer has no room for the question.
        match plug.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Box::pin(plug.call(question).map_err(Into::into)),
            Poll::Ready(Err(error)) => {
                let error = error.into();
                Box::pin(async { Err(error) })
            }
            // This future asks again whether the plug is ready, and is woken then.
            Poll::Pending => Box::pin(plug.oneshot(question).map_err(Into::into)),
        }
    }
}

impl<Question, Answer> Service<Question> for BoxPlug<Question, Answer> {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    /// The plug becomes ready after the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: Question) -> Self::Future {
        self.0.ask(question)
    }
}

impl<Question, Answer> Clone for BoxPlug<Question, Answer> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Question, Answer> fmt::Debug for BoxPlug<Question, Answer> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxPlug")
    }
}

/// An [`HttpService`] whose type is erased.
pub(crate) type BoxHttpService = BoxPlug<Request<Bytes>, Response<Bytes>>;

/// The reasons for which an exchange is refused if a plug fails.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) unavailable: Reason,
    pub(crate) panicked: Reason,
}

/// Asks a plug one question. An error or a panic of the plug becomes a refusal of this request.
// Not an `async fn`, which would keep the room of the question while it waits for the answer.
pub(crate) fn ask<Question, Answer>(
    plug: &BoxPlug<Question, Answer>,
    question: Question,
    failing: Failing,
) -> impl Future<Output = Result<Answer, Rejection>> + Send + use<Question, Answer>
where
    Question: Send + 'static,
    Answer: 'static,
{
    let answer = catch_unwind(AssertUnwindSafe(|| plug.0.ask(question)));
    async move {
        let answer = match answer {
            Ok(answer) => catch_panic(answer).await,
            Err(panic) => Err(panic),
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refuse(failing.unavailable).with_detail(error)),
            Err(_) => Err(refuse(failing.panicked)),
        }
    }
}

/// Runs a future, and returns a panic of the future as an error.
pub(crate) fn catch_panic<F: Future>(future: F) -> CatchPanic<F> {
    CatchPanic { future }
}

pin_project! {
    /// The future of [`catch_panic`]. An `async fn` would hold the future twice.
    pub(crate) struct CatchPanic<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // A future is never polled again after a panic, so nothing can observe a half-changed state.
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
