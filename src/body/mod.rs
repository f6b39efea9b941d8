//! Request bodies that can be read and given back, and the response body of the middleware.
//!
//! The middleware must read a form to find out whether the request is a token exchange. If the request is not a token
//! exchange, the wrapped service gets a body of the same type with the same frames, trailers, transport error and size
//! hints. [`RequestBody`] is the trait of a body type that can take frames back. [`Replay`] is a body that keeps the
//! frames that were read. [`ResponseBody`] is the response body of the wrapped service or of the middleware.

mod read;
mod replay;
mod response;

pub(crate) use self::read::{Limits, Read, read};
pub use self::replay::Replay;
pub use self::response::ResponseBody;

use bytes::Bytes;
use http_body::Body;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};

/// A request body that can be read and then given back as the same type.
///
/// The trait is implemented for axum's `Body` (feature `axum`, on by default), tonic's `Body` (feature `tonic`), the boxed bodies
/// of [`http_body_util`], and [`Replay`], which wraps any other body that is `Send + Unpin + 'static`.
///
/// # Examples
///
/// A plain hyper server applies [`Replay::new`] to every request in front of the middleware:
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower_token_exchange::body::{Replay, RequestBody};
///
/// fn readable(_: &impl RequestBody) {}
///
/// // `Full` takes the place of `hyper::body::Incoming`.
/// let request = http::Request::new(Full::new(Bytes::from_static(b"grant_type=refresh_token")));
/// readable(request.map(Replay::new).body());
/// ```
///
/// A body type of your own can take the frames back if the type contains a [`Replay`]. In this example, the replay is in a
/// box:
///
/// ```
/// use std::{convert::Infallible, pin::Pin, task::{Context, Poll}};
/// use bytes::Bytes;
/// use http_body::{Body, Frame, SizeHint};
/// use http_body_util::combinators::UnsyncBoxBody;
/// use tower_token_exchange::body::{Replay, RequestBody};
///
/// struct Mine(UnsyncBoxBody<Bytes, Infallible>);
///
/// impl RequestBody for Mine {
///     fn from_replay(replay: Replay<Self>) -> Self {
///         Mine(UnsyncBoxBody::new(replay))
///     }
/// }
///
/// impl Body for Mine {
///     type Data = Bytes;
///     type Error = Infallible;
///
///     fn poll_frame(
///         mut self: Pin<&mut Self>,
///         cx: &mut Context<'_>,
///     ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
///         Pin::new(&mut self.0).poll_frame(cx)
///     }
///
///     fn is_end_stream(&self) -> bool {
///         self.0.is_end_stream()
///     }
///
///     fn size_hint(&self) -> SizeHint {
///         self.0.size_hint()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read and then given back to the wrapped service",
    label = "this request body is not a `RequestBody`",
    note = "`axum::body::Body` needs the feature `axum` of tower-token-exchange, `tonic::body::Body` the feature `tonic`",
    note = "wrap any other body in front of the layer: `request.map(tower_token_exchange::body::Replay::new)`",
    note = "or box it, which a body that is not `Unpin` needs: `request.map(http_body_util::BodyExt::boxed_unsync)`"
)]
pub trait RequestBody: Body<Data = Bytes, Error: Send> + Send + Sized + Unpin + 'static {
    /// Returns a body that yields the frames that were read and then the rest of the original body.
    ///
    /// The returned body must yield the frames, errors, size hints and end of stream of `replay`.
    fn from_replay(replay: Replay<Self>) -> Self;
}

impl<B> RequestBody for Replay<B>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    fn from_replay(replay: Replay<Self>) -> Self {
        replay.flatten()
    }
}

impl<E: Send + Sync + 'static> RequestBody for BoxBody<Bytes, E> {
    fn from_replay(replay: Replay<Self>) -> Self {
        replay.unread_or(BoxBody::new)
    }
}

impl<E: Send + 'static> RequestBody for UnsyncBoxBody<Bytes, E> {
    fn from_replay(replay: Replay<Self>) -> Self {
        replay.unread_or(UnsyncBoxBody::new)
    }
}

// `Body::new` of axum and tonic unwraps an `UnsyncBoxBody`, so the error of the body is not wrapped a second time.
#[cfg(feature = "axum")]
impl RequestBody for axum_core::body::Body {
    fn from_replay(replay: Replay<Self>) -> Self {
        replay.unread_or(|replay| Self::new(UnsyncBoxBody::new(replay)))
    }
}

// `Body::new` of tonic replaces a body that is at its end by an empty body. No frame is lost, because a replay reports its
// end only where the original body reports the end.
#[cfg(feature = "tonic")]
impl RequestBody for tonic::body::Body {
    fn from_replay(replay: Replay<Self>) -> Self {
        replay.unread_or(|replay| Self::new(UnsyncBoxBody::new(replay)))
    }
}
