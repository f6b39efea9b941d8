//! The records of clients.

mod authentication;
#[cfg(feature = "client-certificates")]
mod certificates;
mod checked;
#[cfg(feature = "argon2")]
mod chosen_secret;
#[cfg(feature = "client-certificates")]
mod distinguished_name;
mod method_checks;
mod methods;
mod secret;
mod serde;
mod workloads;

#[cfg(feature = "client-certificates")]
pub use certificates::CertificateName;
#[cfg(feature = "argon2")]
pub use chosen_secret::hash_chosen_secret;
pub use workloads::FederatedCredential;

#[cfg(feature = "client-certificates")]
pub(crate) use certificates::ClientCertificates;
pub(crate) use checked::ClientRecord;
#[cfg(feature = "argon2")]
pub(crate) use chosen_secret::ChosenSecret;
#[cfg(feature = "client-certificates")]
pub(crate) use distinguished_name::DistinguishedName;
pub(crate) use methods::{ClientKeySource, ClientMethods};
pub(crate) use secret::SecretHash;

use super::{
    ClientId, Party, TargetId, collected,
    place::{Field, Wording},
};
use crate::{limits::Rate, protocol::TokenType};
use std::time::Duration;

/// The key and the method of each field that has two names.
const ACTORS: Field = Field::new("carries", "allow_actor");

/// A client of the token endpoint: how the client authenticates, and the most that its tokens can become.
///
/// A new record has no way to authenticate and permits nothing beyond an ordinary exchange. A client reaches a target only if the
/// [`Target`](super::Target) record lists the client, and gets a token for a subject only if the policy grants the
/// token.
///
/// Every `allow_…` method permits something more. The other methods set a value or lower a limit.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::Client;
///
/// let orders = Client::new("orders")
///     .secret("pX7mQ2vL9rT4wK8sB3nH6jD1")
///     .default_target("billing")
///     .max_lifetime(Duration::from_secs(60));
/// assert_eq!(orders.id(), "orders");
/// ```
///
/// # In a document
///
/// The keys are the names of the methods, with these exceptions:
///
/// | key | method |
/// |---|---|
/// | `id` | [`new`](Self::new) |
/// | `jwks` | [`keys`](Self::keys) |
/// | `federated_credential = [{ issuer = "…", subject = "…" }]` | [`federated_credential`](Self::federated_credential) |
/// | `tls_client_auth_san_dns` and four others | [`tls_client_auth`](Self::tls_client_auth) |
/// | `without_exchange = true` | [`deny_exchange`](Self::deny_exchange) |
/// | `carries = [{ iss = "…", sub = "…" }]` | [`allow_actor`](Self::allow_actor) |
/// | `tenants` | [`allow_tenants`](Self::allow_tenants) |
///
/// `secret`, `secret_sha256`, `secret_argon2`, `certificate_sha256` and `spiffe_id` are one text or a list of texts. The keys
/// for a name in a certificate are those of RFC 8705 section 2.1.2: `tls_client_auth_subject_dn`, `tls_client_auth_san_dns`,
/// `tls_client_auth_san_uri`, `tls_client_auth_san_ip` and `tls_client_auth_san_email`. `allow_assertion_audience` is a URL.
/// `fapi`, `self_signed_tls_client_auth`, `one_time_subject_tokens` and every other `allow_…` key are `true` or `false`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Client {
    pub(super) id: ClientId,
    methods: ClientMethods,
    /// The mistakes of the setters, which the layer reports when the layer is built.
    mistakes: Vec<(&'static str, &'static str)>,
    pub(super) wording: Wording,
    may_exchange: bool,
    targets: Option<Vec<TargetId>>,
    scopes: Option<Vec<String>>,
    default_target: Option<TargetId>,
    scopeless_subject_scopes: Vec<(TokenType, Vec<String>)>,
    ignored_scopes: Vec<String>,
    max_lifetime: Option<Duration>,
    max_exchanges: Option<Rate>,
    self_exchange: bool,
    several_audiences: bool,
    repeated_actors: bool,
    jwt_output: bool,
    one_time_subject_tokens: bool,
    dpop_bound: bool,
    certificate_bound: bool,
    requires_sender_constraint: bool,
    actors: Vec<Party>,
    tenants: Vec<String>,
}

impl Client {
    /// Creates a record for a `client_id`.
    pub fn new(client_id: impl Into<ClientId>) -> Self {
        Self {
            id: client_id.into(),
            methods: ClientMethods::new(),
            mistakes: Vec::new(),
            wording: Wording::Methods,
            may_exchange: true,
            targets: None,
            scopes: None,
            default_target: None,
            scopeless_subject_scopes: Vec::new(),
            ignored_scopes: Vec::new(),
            max_lifetime: None,
            max_exchanges: None,
            self_exchange: false,
            several_audiences: false,
            repeated_actors: false,
            jwt_output: false,
            one_time_subject_tokens: false,
            dpop_bound: false,
            certificate_bound: false,
            requires_sender_constraint: false,
            actors: Vec::new(),
            tenants: Vec::new(),
        }
    }

    /// Refuses every exchange of the client with `unauthorized_client`.
    ///
    /// The record then only describes a party: the client that serves a target, or a client that acts.
    pub fn deny_exchange(mut self) -> Self {
        self.may_exchange = false;
        self
    }

    /// Limits the client to these targets, given by the ids of their records.
    ///
    /// Default: every target that lists the client ([`Target::allow_clients`](super::Target::allow_clients)).
    pub fn targets<T: Into<TargetId>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        self.targets = Some(collected(targets));
        self
    }

    /// Limits the scope of every token that is issued to the client.
    ///
    /// Default: the scopes of the target.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = Some(collected(scopes));
        self
    }

    /// Sets the target of requests without `audience` and `resource`, given by the id of its record.
    ///
    /// Default: none; such a request is refused with `invalid_target`.
    pub fn default_target(mut self, target: impl Into<TargetId>) -> Self {
        self.default_target = Some(target.into());
        self
    }

    /// Sets the most that a subject token of this type without a scope can become: scopes of the target. Each call sets the
    /// scopes for one type.
    ///
    /// An ID token never has a scope. An access token without a scope usually has fewer rights than an access token with
    /// one, so name the type [`ACCESS_TOKEN`](TokenType::ACCESS_TOKEN) only if no access token of the issuers has a scope.
    /// An access token whose header says `at+jwt` has the scopes for that type, also if a client declares the token as
    /// `jwt`.
    ///
    /// Default: no scope.
    ///
    /// ```
    /// use tower_token_exchange::{Client, TokenType};
    ///
    /// let portal = Client::new("portal").scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["invoices:read"]);
    /// # let _ = portal;
    /// ```
    ///
    /// In a document, the key is a table with the scopes for each type, such as `{ id_token = ["invoices:read"] }`.
    pub fn scopes_for_scopeless_subjects<T: Into<String>>(
        mut self,
        token_type: TokenType,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.scopeless_subject_scopes.retain(|(known, _)| *known != token_type);
        self.scopeless_subject_scopes.push((token_type, collected(scopes)));
        self
    }

    /// Removes these scopes from requests of the client.
    ///
    /// The setting is for a client library that always sends certain scopes, such as `openid`.
    pub fn ignored_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.ignored_scopes = collected(scopes);
        self
    }

    /// Limits the lifetime of every token that is issued to the client, in whole seconds, at least 1 s.
    ///
    /// Default: the limit of the layer ([`max_lifetime`](crate::TokenExchangeBuilder::max_lifetime)).
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Sets the budget of the client for exchanges, whether they succeed or not.
    ///
    /// Default: the budget of every client
    /// ([`Limits::exchanges_per_client`](crate::limits::Limits::exchanges_per_client)), which is unlimited unless it is set.
    pub fn max_exchanges(mut self, rate: Rate) -> Self {
        self.max_exchanges = Some(rate);
        self
    }

    /// Permits the client to exchange tokens that were issued to the client, whatever their audience.
    pub fn allow_self_exchange(mut self) -> Self {
        self.self_exchange = true;
        self
    }

    /// Permits the client to exchange a subject token that has several audiences.
    pub fn allow_several_audiences(mut self) -> Self {
        self.several_audiences = true;
        self
    }

    /// Permits the client to act although the `act` chain of the subject token already names the client.
    pub fn allow_repeated_actors(mut self) -> Self {
        self.repeated_actors = true;
        self
    }

    /// Permits the client to request `urn:ietf:params:oauth:token-type:jwt`: a JWT that is not an access token, with
    /// `token_type` `N_A` (RFC 8693 section 2.2.1).
    pub fn allow_jwt_output(mut self) -> Self {
        self.jwt_output = true;
        self
    }

    /// Lets the client exchange each subject token once.
    ///
    /// The rules are those of [`Issuer::one_time_subject_tokens`](super::Issuer::one_time_subject_tokens). A client without this
    /// setting can exchange the same token, also after this client did.
    ///
    /// ```
    /// use tower_token_exchange::Client;
    ///
    /// let batch = Client::new("batch").one_time_subject_tokens();
    /// # let _ = batch;
    /// ```
    pub fn one_time_subject_tokens(mut self) -> Self {
        self.one_time_subject_tokens = true;
        self
    }

    /// Requires a DPoP proof in each exchange of the client, whose tokens are therefore bound to the key of the proof (RFC 9449
    /// section 5.2). Needs [`TokenExchangeBuilder::dpop`](crate::TokenExchangeBuilder::dpop).
    ///
    /// A client without this setting may send a proof, too.
    pub fn dpop_bound_access_tokens(mut self) -> Self {
        self.dpop_bound = true;
        self
    }

    /// Binds each token of the client to its certificate (RFC 8705 section 3.4), and refuses an exchange without a certificate.
    ///
    /// The certificate comes from a layer outside of the token exchange, as
    /// [`PeerCertificates`](crate::client_auth::PeerCertificates). Without this setting, the certificate of a client binds only a
    /// token for a bound subject token.
    pub fn tls_client_certificate_bound_access_tokens(mut self) -> Self {
        self.certificate_bound = true;
        self
    }

    /// Refuses each exchange of the client whose token would be a bearer token. Either a DPoP proof or a certificate is
    /// sufficient (FAPI 2.0 Security Profile section 5.3.2.1).
    pub fn require_sender_constraint(mut self) -> Self {
        self.requires_sender_constraint = true;
        self
    }

    /// Permits the client to present actor tokens of a party. Each call adds a party.
    ///
    /// A platform that runs agents presents their actor tokens, for example. Without this permission, a client
    /// presents only its own actor tokens.
    ///
    /// ```
    /// use tower_token_exchange::{Client, records::Party};
    ///
    /// let platform = Client::new("platform").allow_actor(Party::new("https://as.example", "agent-7"));
    /// # let _ = platform;
    /// ```
    pub fn allow_actor(mut self, actor: Party) -> Self {
        self.actors.push(actor);
        self
    }

    /// Permits the client to present tokens of these tenants, for issuers whose record names tenants
    /// ([`Issuer::accept_tenants`](super::Issuer::accept_tenants)).
    ///
    /// Default: no tenant of an issuer with several tenants; the tenant of an issuer with one tenant.
    pub fn allow_tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.tenants = collected(tenants);
        self
    }

    /// The `client_id`.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// Whether the client may exchange tokens: not after [`deny_exchange`](Self::deny_exchange).
    pub fn may_exchange(&self) -> bool {
        self.may_exchange
    }
}
