use crate::caller::SubjectToken;

tokio::task_local! {
    static CURRENT: SubjectToken;
}

/// Runs a future with the subject token of the current request. All outgoing requests that the future makes through an
/// [`OutgoingExchangeLayer`](super::OutgoingExchangeLayer) use the token, unless a request has a [`SubjectToken`] of its own in
/// its extensions.
///
/// A task that the future spawns does not have the token.
///
/// ```
/// use tower_token_exchange::caller::{current_subject_token, with_subject_token};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let inside = with_subject_token("eyJ0eXAiOiJhdCtqd3Qi", async { current_subject_token().is_some() }).await;
/// assert!(inside && current_subject_token().is_none());
/// # }
/// ```
pub async fn with_subject_token<F: Future>(token: impl Into<SubjectToken>, future: F) -> F::Output {
    CURRENT.scope(token.into(), future).await
}

/// Returns the subject token of the current request, if the code runs inside of [`with_subject_token`].
pub fn current_subject_token() -> Option<SubjectToken> {
    CURRENT.try_with(Clone::clone).ok()
}
