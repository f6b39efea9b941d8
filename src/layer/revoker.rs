//! Revocations by the application or by an operator.

use super::TokenExchangeLayer;
use crate::{
    audit::Operation,
    exchange::Exchange,
    issued::{IssuedTokens, LONGEST},
    protocol::{NumericDate, Reason, Rejection, Sender},
    records::Party,
    revocation::{CutOff, Revocation, Revocations},
    service::ServiceState,
};
use http::HeaderMap;
use std::{fmt, sync::Arc, time::Duration};

/// Revokes tokens for the application or for an operator. Made by [`TokenExchangeLayer::revoker`].
///
/// Every revocation has an audit event, whose detail says what was revoked. `Ok` means that the store has the revocation, and that
/// the sink took the event.
#[derive(Clone)]
pub struct Revoker {
    state: Arc<ServiceState>,
    opaque_tokens_for: Duration,
}

/// A revocation that the store did not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not revoked ({reason}): {detail}")]
#[non_exhaustive]
pub struct RevokeError {
    /// The reason.
    pub reason: Reason,
    /// The particulars for an operator.
    pub detail: String,
}

impl TokenExchangeLayer {
    /// The part that revokes tokens for the application. `None` if the layer has no store of
    /// [`revocations`](crate::TokenExchangeBuilder::revocations).
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     revocation::{CutOff, MemoryRevocations},
    ///     signing::{Algorithm, LocalSigner},
    ///     token::NumericDate,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .revocations(MemoryRevocations::new(100_000))
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    /// #     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     // …
    ///     .build()?;
    /// let revoker = layer.revoker().expect("the layer has a store");
    /// // The account of Alice was taken over an hour ago.
    /// let an_hour_ago = NumericDate::from_seconds(1_800_000_000);
    /// revoker.cut_off(&CutOff::subject("https://idp.example", "alice"), an_hour_ago).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn revoker(&self) -> Option<Revoker> {
        self.state.current.exchange().status.revocations.as_ref()?;
        Some(Revoker { state: Arc::clone(&self.state), opaque_tokens_for: Duration::from_secs(24 * 60 * 60) })
    }
}

impl Revoker {
    /// Sets how long the revocation of a token that is not a JWT is remembered, because nobody here knows when the token expires.
    /// Default: 24 hours.
    #[must_use]
    pub fn opaque_tokens_for(mut self, time: Duration) -> Self {
        self.opaque_tokens_for = time;
        self
    }

    /// Revokes a token, and everything that was exchanged for the token. The token can be of any issuer.
    ///
    /// The revocation is remembered until the `exp` of a JWT, but for 31 days at most.
    ///
    /// # Errors
    /// [`RevokeError`] if the store did not take the revocation, or if the audit sink did not take the event.
    pub async fn revoke_token(&self, token: impl AsRef<str>) -> Result<(), RevokeError> {
        let token = token.as_ref();
        let revocation = |exchange: &Exchange, revocations: &Revocations| {
            let tokens = IssuedTokens::new(exchange);
            vec![tokens.revocation_of(revocations.key(), token, self.opaque_tokens_for)]
        };
        self.revoke("a token".to_owned(), revocation).await
    }

    /// Revokes everything in a cut-off that was issued before a moment. Times of issue are in whole seconds, so a token of the
    /// same second as the moment is not revoked.
    ///
    /// The cut-off is remembered for 31 days after the moment or after now, whichever is later. A token with a longer lifetime is
    /// valid again after that time.
    ///
    /// # Errors
    /// [`RevokeError`] if the store did not take the cut-off, or if the audit sink did not take the event.
    pub async fn cut_off(&self, cut_off: &CutOff, issued_before: NumericDate) -> Result<(), RevokeError> {
        let revocations = |exchange: &Exchange, revocations: &Revocations| {
            let until = exchange.settings.now().max(issued_before) + LONGEST;
            let key = |cut_off: &CutOff| Revocation::cut_off(cut_off.key(revocations.key()), issued_before, until);
            let subject = cut_off.subject_name().map(|(iss, sub)| Party::new(iss, sub));
            let other_names = exchange.registry.names_of(subject).into_iter().skip(1);
            let others = other_names.map(|name| CutOff::subject(name.iss, name.sub.as_str()));
            [cut_off.clone()].into_iter().chain(others).map(|cut_off| key(&cut_off)).collect()
        };
        self.revoke(format!("{}: everything issued before {issued_before}", cut_off.kind()), revocations).await
    }

    async fn revoke(
        &self,
        described: String,
        revocations: impl FnOnce(&Exchange, &Revocations) -> Vec<Revocation>,
    ) -> Result<(), RevokeError> {
        let exchange = self.state.current.exchange();
        let headers = HeaderMap::new();
        let sender = Sender::without_extensions(&headers);
        let mut attempt =
            self.state.audit.start_attempt(Operation::Revocation, Arc::clone(&exchange.registry), sender, [b"", b""]);
        attempt.revokes(described);
        let work = async {
            let Some(check) = &exchange.status.revocations else { return Ok(()) };
            for revocation in revocations(&exchange, &check.store) {
                check.store.revoke(revocation, exchange.settings.now()).await?;
            }
            Ok(())
        };
        let outcome = exchange.settings.in_time(work).await;
        attempt.finish(outcome).await.map_err(RevokeError::new)
    }
}

impl RevokeError {
    fn new(rejection: Rejection) -> Self {
        let detail = rejection.detail().map(|detail| detail.in_clear()).unwrap_or_default();
        Self { reason: rejection.reason(), detail }
    }
}

impl fmt::Debug for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoker").finish_non_exhaustive()
    }
}
