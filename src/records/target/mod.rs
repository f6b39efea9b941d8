//! The records of targets.

mod checked;
mod serde;

pub(crate) use checked::TargetRecord;

use super::{
    ClientId, TargetId, collected,
    place::{Field, Wording},
};
use std::time::Duration;

/// The key and the method of each field that has two names.
const RESOURCES: Field = Field::new("resources", "resource");
const NAMES: Field = Field::new("audiences", "name");
const AUDIENCE_CLAIM: Field = Field::new("aud", "audience_claim");
const SERVED_BY: Field = Field::new("owner", "served_by");
pub(crate) const CALLERS: Field = Field::new("callers", "allow_clients");

/// A service that issued tokens are for: the names in requests, the `aud` claim, the scopes, and the clients that may
/// request a token for the service.
///
/// A new record lists no client and no scope, so nobody gets a token for the target.
///
/// ```
/// use tower_token_exchange::Target;
///
/// let billing = Target::new("billing")                    // audience=billing
///     .resource("https://billing.example/api")            // resource=https://billing.example/api
///     .audience_claim("https://billing.example")          // "aud": "https://billing.example"
///     .served_by("billing")                               // the client `billing` is this service
///     .allow_clients(["orders"])
///     .scopes(["invoices:read", "invoices:write"])
///     .translate("orders:read", ["invoices:read"]);
/// assert_eq!(billing.id(), "billing");
/// ```
///
/// # In a document
///
/// The keys are the names of the methods, with these exceptions:
///
/// | key | method |
/// |---|---|
/// | `id` | [`new`](Self::new) |
/// | `resources` | [`resource`](Self::resource) |
/// | `audiences` | [`name`](Self::name) |
/// | `aud` | [`audience_claim`](Self::audience_claim) |
/// | `owner` | [`served_by`](Self::served_by) |
/// | `callers` | [`allow_clients`](Self::allow_clients) |
///
/// `translate` is a table: `translate = { "orders:read" = ["invoices:read"] }`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Target {
    pub(super) id: TargetId,
    wording: Wording,
    resources: Vec<String>,
    /// The first is the id.
    names: Vec<String>,
    audience_claim: String,
    owner: Option<ClientId>,
    pub(super) callers: Vec<ClientId>,
    scopes: Vec<String>,
    translation: Option<Vec<(String, Vec<String>)>>,
    claims: Vec<String>,
    max_lifetime: Option<Duration>,
    token_typ: Option<String>,
    requires_sender_constraint: bool,
    bearer_only: bool,
}

impl Target {
    /// Creates a record with an id.
    ///
    /// The id is also a name: `audience=<id>` requests the target. The `aud` claim of issued tokens is the id, unless
    /// [`audience_claim`](Self::audience_claim) sets another value.
    pub fn new(id: impl Into<TargetId>) -> Self {
        let id = id.into();
        Self {
            names: vec![id.to_string()],
            audience_claim: id.to_string(),
            id,
            wording: Wording::Methods,
            resources: Vec::new(),
            owner: None,
            callers: Vec::new(),
            scopes: Vec::new(),
            translation: None,
            claims: Vec::new(),
            max_lifetime: None,
            token_typ: None,
            requires_sender_constraint: false,
            bearer_only: false,
        }
    }

    /// Adds a URI: `resource=<uri>` requests the target (RFC 8707 section 2).
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// Adds a logical name: `audience=<name>` requests the target (RFC 8693 section 2.1).
    ///
    /// A name appears in requests only. [`audience_claim`](Self::audience_claim) sets the claim in issued tokens.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Sets the `aud` claim of tokens for the target (RFC 9068 section 3). Every target has a different `aud`.
    ///
    /// The value is never the id of a client. An ID token for a client has the id of the client as `aud`, and OpenID libraries
    /// do not look at the header `typ`, so such a client would take an issued token for an ID token and log the subject in.
    /// This also holds for clients without a record that trust the keys of this authorization server. A service that is a
    /// client and a target has a different `aud`, such as its URL, and is [served by](Self::served_by) its client.
    ///
    /// Default: the id.
    pub fn audience_claim(mut self, aud: impl Into<String>) -> Self {
        self.audience_claim = aud.into();
        self
    }

    /// Names the client that is this service. The client may exchange the tokens that the target receives.
    pub fn served_by(mut self, client_id: impl Into<ClientId>) -> Self {
        self.owner = Some(client_id.into());
        self
    }

    /// Sets the clients that may request tokens for the target. Default: none.
    pub fn allow_clients<T: Into<ClientId>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
        self.callers = collected(client_ids);
        self
    }

    /// Sets the scopes of the target. A token for the target has no other scopes.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = collected(scopes);
        self
    }

    /// Translates a scope of the subject token into scopes of the target. Each call adds a translation.
    ///
    /// Without a translation, scopes keep their names. With at least one, a scope that has none is dropped.
    pub fn translate<T: Into<String>>(
        mut self,
        subject_scope: impl Into<String>,
        target_scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.translation.get_or_insert_default().push((subject_scope.into(), collected(target_scopes)));
        self
    }

    /// Sets the claims of the subject token that issued tokens repeat. Default: none.
    ///
    /// Claims that this crate writes or interprets, such as `sub` or `act`, cannot be named. A claim of a foreign
    /// issuer is repeated only if the issuer's record names the claim, too ([`Issuer::claims`](super::Issuer::claims)).
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = collected(claims);
        self
    }

    /// Limits the lifetime of tokens for the target, in whole seconds, at least 1 s.
    ///
    /// Default: the limit of the layer ([`max_lifetime`](crate::TokenExchangeBuilder::max_lifetime)).
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Sets the header `typ` of access tokens for the target: `at+jwt` or `JWT`. Upper and lower case make no difference.
    ///
    /// Some services refuse the `at+jwt` of RFC 9068 section 2.1. A token for several targets has `JWT` only if every
    /// target has. With such a target, no client can have
    /// [`allow_jwt_output`](super::Client::allow_jwt_output), because nothing in a token would distinguish the two types.
    ///
    /// Default: `at+jwt`.
    pub fn token_typ(mut self, typ: impl Into<String>) -> Self {
        self.token_typ = Some(typ.into());
        self
    }

    /// Issues only bound tokens for the target: tokens that are bound to a key (RFC 9449) or to a certificate (RFC 8705). An
    /// exchange whose token would be a bearer token is refused.
    ///
    /// Default: bound tokens and bearer tokens.
    pub fn require_sender_constraint(mut self) -> Self {
        self.requires_sender_constraint = true;
        self
    }

    /// Issues only bearer tokens for the target, which cannot check bound tokens. An exchange whose token would be bound is
    /// refused: the layer drops no proof, and no binding of a subject token.
    ///
    /// Default: bound tokens and bearer tokens.
    pub fn bearer_only(mut self) -> Self {
        self.bearer_only = true;
        self
    }

    /// The id.
    pub fn id(&self) -> &TargetId {
        &self.id
    }
}
