use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

pin_project! {
    /// The response body of the middleware: the body of the wrapped service, or the bytes of an answer of the middleware.
    ///
    /// Only the body of the wrapped service can fail. The default is the default of the wrapped body.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body::Body;
    /// use http_body_util::Full;
    /// use tower_token_exchange::body::ResponseBody;
    ///
    /// let body = ResponseBody::<Full<Bytes>>::default();
    /// assert!(body.is_end_stream());
    /// ```
    pub struct ResponseBody<R> {
        #[pin]
        arm: Arm<R>,
    }
}

pin_project! {
    #[project = ArmProj]
    enum Arm<R> {
        Wrapped {
            #[pin]
            body: R,
        },
        Ours {
            #[pin]
            body: Full<Bytes>,
        },
    }
}

impl<R> ResponseBody<R> {
    pub(crate) fn wrapped(body: R) -> Self {
        Self { arm: Arm::Wrapped { body } }
    }

    pub(crate) fn ours(bytes: Bytes) -> Self {
        Self { arm: Arm::Ours { body: Full::new(bytes) } }
    }
}

/// Makes a response body from a body of the wrapped service's type, for an outer middleware that makes an answer.
impl<R> From<R> for ResponseBody<R> {
    fn from(body: R) -> Self {
        Self::wrapped(body)
    }
}

impl<R: Default> Default for ResponseBody<R> {
    fn default() -> Self {
        Self::wrapped(R::default())
    }
}

impl<R: Body<Data = Bytes>> Body for ResponseBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().arm.project() {
            ArmProj::Wrapped { body } => body.poll_frame(cx),
            ArmProj::Ours { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.arm {
            Arm::Wrapped { body } => body.is_end_stream(),
            Arm::Ours { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.arm {
            Arm::Wrapped { body } => body.size_hint(),
            Arm::Ours { body } => body.size_hint(),
        }
    }
}

// The bytes of the middleware contain tokens, and `Debug` of the wrapped body may show its contents.
impl<R> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.arm {
            Arm::Wrapped { .. } => "ResponseBody::Wrapped(..)",
            Arm::Ours { .. } => "ResponseBody::Ours(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;

    #[tokio::test]
    async fn each_variant_yields_its_own_body() {
        let wrapped = ResponseBody::wrapped(Full::new(Bytes::from_static(b"theirs")));
        let ours = ResponseBody::<Full<Bytes>>::ours(Bytes::from_static(b"our answer"));
        for (body, expected) in [(wrapped, "theirs"), (ours, "our answer")] {
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert!(!body.is_end_stream());
            let Ok(collected) = body.collect().await;
            assert_eq!(collected.to_bytes(), expected);
        }
        let empty = ResponseBody::<Empty<Bytes>>::ours(Bytes::new());
        assert!(empty.is_end_stream());
    }

    #[test]
    fn debug_shows_no_bytes() {
        let ours = ResponseBody::<Full<Bytes>>::ours(Bytes::from_static(b"secret"));
        assert_eq!(format!("{ours:?}"), "ResponseBody::Ours(..)");
        let wrapped = ResponseBody::wrapped(Full::new(Bytes::from_static(b"secret")));
        assert_eq!(format!("{wrapped:?}"), "ResponseBody::Wrapped(..)");
    }
}
