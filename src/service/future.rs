use crate::body::ResponseBody;
use http::Response;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

type Boxed<R, E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, E>> + Send>>;

pin_project! {
    /// The response future of [`TokenExchange`](crate::TokenExchange).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, R, E> {
        #[pin]
        arm: Arm<F, R, E>,
    }
}

pin_project! {
    #[project = ArmProjection]
    enum Arm<F, R, E> {
        Pass { #[pin] future: F },
        Answer { future: Boxed<R, E> },
    }
}

impl<F, R, E> ResponseFuture<F, R, E> {
    pub(super) fn pass(future: F) -> Self {
        Self { arm: Arm::Pass { future } }
    }

    pub(crate) fn answer(future: impl Future<Output = Result<Response<ResponseBody<R>>, E>> + Send + 'static) -> Self {
        Self { arm: Arm::Answer { future: Box::pin(future) } }
    }
}

impl<F, R, E> Future for ResponseFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().arm.project() {
            ArmProjection::Pass { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(|r| r.map(ResponseBody::wrapped)))
            }
            ArmProjection::Answer { future } => future.as_mut().poll(cx),
        }
    }
}
