use super::{answer::answered, challenge};
use crate::protocol::{ErrorCode, Reason, Rejection};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use std::fmt;

/// The refusal of a request to a resource server.
///
/// [`into_response`](Self::into_response) makes the answer to the client: a challenge (RFC 6750 section 3, RFC 9449 section 7.1,
/// RFC 9470 section 3), and a fixed text. The [`reason`](Self::reason) and the [`detail`](Self::detail) are for the operator. A
/// handler can return a refusal: the type is a response of axum (feature `axum`), and becomes a `tonic::Status` (feature
/// `tonic`).
///
/// ```
/// use serde_json::json;
/// use std::time::SystemTime;
/// use tower_token_exchange::{
///     Reason,
///     resource::{AccessRule, AccessRules, AccessToken},
///     token::Claims,
/// };
///
/// let rules = AccessRules::new([AccessRule::any_actor().scopes(["invoices:write"])])?;
/// let claims = Claims::from_json(r#"{"iss":"https://as.example","sub":"alice","exp":1800000600,"scope":"invoices:read"}"#)?;
/// let refusal = rules.decide(&AccessToken::from_claims(claims)?, SystemTime::now()).unwrap_err();
/// assert_eq!(refusal.reason(), Reason::AccessScopeInsufficient);
/// let response = refusal.into_response();
/// assert_eq!(response.status(), 403);
/// assert_eq!(
///     response.headers()["www-authenticate"],
///     r#"Bearer error="insufficient_scope", error_description="the access token lacks a scope", scope="invoices:write""#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AccessRefusal {
    rejection: Rejection,
    challenges: Vec<HeaderValue>,
    is_grpc: bool,
}

impl AccessRefusal {
    /// The refusal with a `Bearer` challenge.
    pub(super) fn new(rejection: Rejection) -> Self {
        Self::with_context(rejection, &challenge::Context::default())
    }

    pub(super) fn with_context(rejection: Rejection, context: &challenge::Context<'_>) -> Self {
        let rejection = answered(rejection);
        let challenges = challenge::challenges(&rejection, context);
        Self { rejection, challenges, is_grpc: context.is_grpc }
    }

    /// The reason, with a stable code.
    pub fn reason(&self) -> Reason {
        self.rejection.reason()
    }

    /// The particulars of the reason for the operator, such as the name of a claim. The text may contain what the sender wrote.
    pub fn detail(&self) -> Option<String> {
        self.rejection.detail().map(|detail| detail.in_clear())
    }

    /// The `error` in the answer.
    pub fn error(&self) -> ErrorCode {
        self.rejection.error()
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.rejection.status()
    }

    /// The values of the header `WWW-Authenticate`, one for each challenge.
    pub fn challenges(&self) -> &[HeaderValue] {
        &self.challenges
    }

    /// Makes the answer. The extensions of the answer have the [`Reason`].
    ///
    /// A refusal of a gRPC request has the status 200 and the code in `grpc-status`, as gRPC demands.
    pub fn into_response(self) -> Response<Bytes> {
        super::answer::response(&self.rejection, &self.challenges, self.is_grpc)
    }

    pub(super) fn rejection(&self) -> &Rejection {
        &self.rejection
    }
}

// A detail can have a text of the sender.
impl fmt::Debug for AccessRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRefusal").field("reason", &self.reason()).finish_non_exhaustive()
    }
}

impl fmt::Display for AccessRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rejection.reason().description(), self.reason())
    }
}

impl std::error::Error for AccessRefusal {}
