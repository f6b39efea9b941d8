//! The access token in a handler of axum or tonic.

use super::server::Core;
use std::sync::Arc;
#[cfg(any(feature = "axum", feature = "tonic"))]
use {
    super::{AccessRefusal, AccessToken, challenge::Scheme},
    crate::protocol::{Reason, refuse},
    http::{Extensions, HeaderMap},
};

/// States that the layer has admitted a request without an access token.
#[derive(Clone)]
pub(super) struct Anonymous(
    #[cfg_attr(
        not(any(feature = "axum", feature = "tonic")),
        expect(dead_code, reason = "only an extractor reads the field")
    )]
    pub(super) Arc<Core>,
);

/// The access token of a request, or the refusal of a handler that needs one.
#[cfg(any(feature = "axum", feature = "tonic"))]
fn required(extensions: &Extensions, headers: &HeaderMap) -> Result<AccessToken, AccessRefusal> {
    match (extensions.get::<AccessToken>(), extensions.get::<Anonymous>()) {
        (Some(token), _) => Ok(token.clone()),
        (None, Some(Anonymous(core))) => Err(core.refusal(refuse(Reason::AccessTokenMissing), Scheme::Bearer, headers)),
        (None, None) => {
            tracing::error!("a handler needs an access token, and its route has no `ResourceServerLayer`");
            Err(AccessRefusal::new(refuse(Reason::AccessLayerMissing)))
        }
    }
}

/// The access token of the request. If the layer [allows anonymous](super::ResourceServerBuilder::allow_anonymous) requests and
/// the request is one, the handler answers 401 with a challenge. An `Option` of the token accepts such a request.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for AccessToken {
    type Rejection = AccessRefusal;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, AccessRefusal> {
        required(&parts.extensions, &parts.headers)
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::OptionalFromRequestParts<S> for AccessToken {
    type Rejection = AccessRefusal;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Option<Self>, AccessRefusal> {
        match required(&parts.extensions, &parts.headers) {
            Ok(token) => Ok(Some(token)),
            Err(refusal) if refusal.reason() == Reason::AccessTokenMissing => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for AccessRefusal {
    fn into_response(self) -> axum_core::response::Response {
        self.into_response().map(axum_core::body::Body::from)
    }
}

/// Returns the access token of a tonic request.
///
/// ```
/// use tonic::{Request, Response, Status};
/// use tower_token_exchange::resource::access_token;
///
/// async fn read_invoices(request: Request<()>) -> Result<Response<String>, Status> {
///     let token = access_token(&request)?;
///     Ok(Response::new(format!("the invoices of {}", token.subject().sub)))
/// }
/// # let _ = read_invoices;
/// ```
///
/// # Errors
/// A `Status` with the code `UNAUTHENTICATED` if the layer has admitted the request without a token, and `INTERNAL` if the
/// service has no [`ResourceServerLayer`](super::ResourceServerLayer).
#[cfg(feature = "tonic")]
pub fn access_token<T>(request: &tonic::Request<T>) -> Result<AccessToken, tonic::Status> {
    required(request.extensions(), &HeaderMap::new()).map_err(tonic::Status::from)
}

#[cfg(feature = "tonic")]
impl From<AccessRefusal> for tonic::Status {
    fn from(refusal: AccessRefusal) -> Self {
        let code = super::answer::grpc_code(refusal.status());
        let mut status = Self::new(i32::from(code).into(), refusal.rejection().reason().description());
        for challenge in refusal.challenges() {
            if let Ok(text) = challenge.to_str()
                && let Ok(value) = text.parse()
            {
                status.metadata_mut().append("www-authenticate", value);
            }
        }
        status
    }
}
