//! The replacement of the records and of the signer while the layer runs.

use super::{
    Document, TokenExchangeLayer,
    check::{CheckedDocument, check_signer},
};
use crate::{records::ConfigError, signing::Signer};
use std::fmt;

impl TokenExchangeLayer {
    /// Replaces all clients, targets, issuers and rules by another document, without dropping a request.
    ///
    /// A request that has already started uses the old records, and every later request uses the new records. The layer
    /// keeps the fetched keys of every issuer that still has a record with the same source of keys. Tokens of an issuer
    /// without a record are refused at once.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake, as from [`build`](crate::TokenExchangeBuilder::build). The layer then keeps the old
    /// records and logs an error. A document with rules is a mistake if the layer has a
    /// [`policy`](crate::TokenExchangeBuilder::policy) that is not a table of rules.
    ///
    /// ```
    /// use tower_token_exchange::{Document, TokenExchangeLayer, signing::{Algorithm, LocalSigner}};
    ///
    /// let document = |scope: &str| -> Document {
    ///     serde_json::from_str(&format!(r#"{{
    ///         "client": [{{ "id": "orders", "secret": "a-long-and-random-secret" }}],
    ///         "target": [{{ "id": "billing", "callers": ["orders"], "scopes": ["read", "write"] }}],
    ///         "rule": [{{ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["{scope}"] }}]
    ///     }}"#))
    ///     .unwrap()
    /// };
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .document(document("read"))
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    ///
    /// layer.reload(document("write"))?;
    /// let refused = layer.reload(document("admin")).unwrap_err();
    /// assert_eq!(refused.place(), Some("rule[0].scopes[0]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, document: Document) -> Result<(), ConfigError> {
        let records = self.check_records(document)?;
        self.state.current.replace(|before| self.parts.exchange(records, before.signer.clone(), Some(before)));
        Ok(())
    }

    /// Replaces the signer, without dropping a request.
    ///
    /// A request that has already started uses the old signer. Tokens of the old key are accepted as long as the new
    /// signer [also accepts](Signer::also_accept) the old public key.
    ///
    /// Services that verify tokens keep a published key set for some time. Publish the new key before the new signer
    /// signs, and publish the old key until all of its tokens have expired.
    ///
    /// # Errors
    /// [`ConfigError`] as from [`build`](crate::TokenExchangeBuilder::build). The layer then keeps the old signer.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner, Signer},
    /// };
    ///
    /// let old = LocalSigner::generate(Algorithm::ES256)?;
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .signer(old.clone())
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    ///     // …
    ///     .build()?;
    ///
    /// let new = LocalSigner::generate(Algorithm::ES256)?;
    /// layer.rotate_signer(Signer::from(new).also_accept(old.published_keys().key_set()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rotate_signer(&self, signer: impl Into<Signer>) -> Result<(), ConfigError> {
        let signer = signer.into();
        check_signer(&signer, &self.state.issued_token_endpoints)?;
        self.state.current.replace(|before| self.parts.with_signer(signer, before));
        Ok(())
    }

    /// Checks another document and another signer, which [`PreparedReload::apply`] puts in place at the same time.
    ///
    /// A server that replaces more than the records checks everything first, and then applies everything. No request uses
    /// the new records with the old signer, or the other way round. Until the value is applied, nothing changes.
    ///
    /// # Errors
    /// [`ConfigError`] for the signer or with every mistake in the document, as from
    /// [`build`](crate::TokenExchangeBuilder::build).
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Document, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner, Signer},
    /// };
    ///
    /// let document = |scope: &str| {
    ///     Document::new()
    ///         .clients([Client::new("orders").secret("a-long-and-random-secret")])
    ///         .targets([Target::new("billing").allow_clients(["orders"]).scopes([scope])])
    ///         .rules([Rule::allow("orders", Subjects::any(), "billing").scopes([scope])])
    /// };
    /// let old = LocalSigner::generate(Algorithm::ES256)?;
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .document(document("read"))
    ///     .signer(old.clone())
    ///     .build()?;
    ///
    /// let new = LocalSigner::generate(Algorithm::ES256)?;
    /// let new = Signer::from(new).also_accept(old.published_keys().key_set());
    /// let prepared = layer.prepare_reload(document("write"), new)?;
    /// // Check everything else that changes, and publish the new key.
    /// prepared.apply();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prepare_reload(&self, document: Document, signer: impl Into<Signer>) -> Result<PreparedReload, ConfigError> {
        let signer = signer.into();
        check_signer(&signer, &self.state.issued_token_endpoints)?;
        let records = self.check_records(document)?;
        Ok(PreparedReload { layer: self.clone(), records, signer })
    }

    fn check_records(&self, document: Document) -> Result<CheckedDocument, ConfigError> {
        self.parts.check(document).inspect_err(|error| {
            tracing::error!(place = error.place(), %error, "the layer refused the new records and keeps the old records");
        })
    }
}

/// Records and a signer that were checked, and that can replace those of a layer. Made by
/// [`TokenExchangeLayer::prepare_reload`].
#[must_use = "nothing changes until `apply` is called"]
pub struct PreparedReload {
    layer: TokenExchangeLayer,
    records: CheckedDocument,
    signer: Signer,
}

impl PreparedReload {
    /// Replaces the records and the signer of the layer in one step, without dropping a request.
    ///
    /// A request that has already started uses the old records and the old signer. Every later request uses the new ones.
    pub fn apply(self) {
        let Self { layer, records, signer } = self;
        layer.state.current.replace(|before| layer.parts.exchange(records, signer, Some(before)));
    }
}

impl fmt::Debug for PreparedReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedReload").field("signer", &self.signer).finish_non_exhaustive()
    }
}
