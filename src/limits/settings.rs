use super::Rate;

/// The number of keys of each kind that are remembered, if nothing else is set.
pub(super) const DEFAULT_CAPACITY: usize = 65_536;

/// The budgets of a layer: how much one peer, one client or one subject may do.
///
/// A request that exceeds a budget is answered with 429 and `Retry-After` (RFC 6585 section 4), and leaves an audit event as
/// every refusal does. `Retry-After` says when the budget has an attempt again.
///
/// | budget | whose | default |
/// |---|---|---|
/// | [`failed_authentications_per_client`](Self::failed_authentications_per_client) | a client id at a peer | 10/min |
/// | [`failed_authentications_per_peer`](Self::failed_authentications_per_peer) | a peer | 100/min |
/// | [`attempts_per_peer`](Self::attempts_per_peer) | a peer | none |
/// | [`exchanges_per_client`](Self::exchanges_per_client) | an authenticated client | none |
/// | [`introspections_per_client`](Self::introspections_per_client) | an authenticated client | none |
/// | [`revocations_per_client`](Self::revocations_per_client) | an authenticated client | none |
/// | [`exchanges_per_subject`](Self::exchanges_per_subject) | the subject of a valid subject token | none |
///
/// Only wrong credentials have budgets by default: no client in normal use sends many different wrong secrets. The layer
/// cannot know which number of exchanges is normal: one gateway can be the only client and make thousands of exchanges each
/// second.
///
/// A [`Peer`](super::Peer) is the address in the extension [`ClientAddress`](crate::client_auth::ClientAddress) of a request.
/// A request without this extension has no budgets of a peer. Behind a proxy, the extension must have the address of the client
/// and not of the proxy ([`ClientAddress::behind_proxy`](crate::client_auth::ClientAddress::behind_proxy)): all clients
/// would otherwise share the budgets of one peer.
///
/// # Wrong credentials
///
/// When a budget for failed authentications is spent, the layer refuses further credentials before it checks the secret, so that
/// a guess is not answered. Nobody can lock a client out from another peer: the same client at another peer has a budget of
/// its own. Behind one address, a client that authenticated within the last hour does not depend on the budget of the peer,
/// but only on the budget of this client id at the peer. The same wrong credentials count once in ten minutes, because client
/// libraries repeat a request.
///
/// Credentials that are checked at the same time are counted after their checks, so that a client with the right secret never
/// takes anything from a budget.
///
/// Somebody with many addresses has many budgets. Secrets must therefore be long and random
/// ([`Client::secret`](crate::Client::secret)).
///
/// # Memory
///
/// Each budget needs a fixed amount of memory, as a [`Limiter`](super::Limiter) does, and none if it is not used. Budgets stay
/// when the records are [reloaded](crate::TokenExchangeLayer::reload), and are full after a restart. Each process has its own
/// budgets.
///
/// ```
/// use tower_token_exchange::{TokenExchangeLayer, limits::{Limits, Rate}};
///
/// let limits = Limits::default()
///     .exchanges_per_client(Rate::per_second(500))
///     .exchanges_per_subject(Rate::per_minute(600))
///     .failed_authentications_per_peer(Rate::per_minute(30));
/// let builder = TokenExchangeLayer::builder("https://as.example").limits(limits);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to `TokenExchangeBuilder::limits`"]
pub struct Limits {
    pub(super) attempts_per_peer: Option<Rate>,
    pub(super) failed_authentications_per_client: Option<Rate>,
    pub(super) failed_authentications_per_peer: Option<Rate>,
    pub(super) exchanges_per_client: Option<Rate>,
    pub(super) introspections_per_client: Option<Rate>,
    pub(super) revocations_per_client: Option<Rate>,
    pub(super) exchanges_per_subject: Option<Rate>,
    pub(super) capacity: usize,
}

impl Default for Limits {
    /// Budgets for failed authentications only.
    fn default() -> Self {
        Self::none()
            .failed_authentications_per_client(Rate::per_minute(10))
            .failed_authentications_per_peer(Rate::per_minute(100))
    }
}

impl Limits {
    /// No budgets.
    pub const fn none() -> Self {
        Self {
            attempts_per_peer: None,
            failed_authentications_per_client: None,
            failed_authentications_per_peer: None,
            exchanges_per_client: None,
            introspections_per_client: None,
            revocations_per_client: None,
            exchanges_per_subject: None,
            capacity: DEFAULT_CAPACITY,
        }
    }

    /// Sets the budget of each peer for requests that the layer answers: exchanges, and introspections and revocations of
    /// issued tokens, whether they succeed or not. `None` for no budget, which is the default.
    pub fn attempts_per_peer(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { attempts_per_peer: rate.into(), ..self }
    }

    /// Sets the budget of each client id at each peer for different wrong credentials. `None` for no budget. Default: 10 per
    /// minute.
    pub fn failed_authentications_per_client(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { failed_authentications_per_client: rate.into(), ..self }
    }

    /// Sets the budget of each peer for different wrong credentials of any clients. `None` for no budget. Default: 100 per
    /// minute.
    pub fn failed_authentications_per_peer(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { failed_authentications_per_peer: rate.into(), ..self }
    }

    /// Sets the budget of each authenticated client for exchanges, whether they succeed or not. `None` for no budget, which is
    /// the default. A client can have a budget of its own ([`Client::max_exchanges`](crate::Client::max_exchanges)).
    pub fn exchanges_per_client(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { exchanges_per_client: rate.into(), ..self }
    }

    /// Sets the budget of each authenticated client for introspections of issued tokens. `None` for no budget, which is the
    /// default.
    pub fn introspections_per_client(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { introspections_per_client: rate.into(), ..self }
    }

    /// Sets the budget of each authenticated client for revocations of issued tokens. `None` for no budget, which is the
    /// default. The store also gives each client a share
    /// ([`RevocationState::ShareUsed`](crate::revocation::RevocationState::ShareUsed)).
    pub fn revocations_per_client(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { revocations_per_client: rate.into(), ..self }
    }

    /// Sets the budget of each subject for exchanges with a valid subject token. `None` for no budget, which is the default.
    ///
    /// A subject is the pair of `iss` and `sub` in the first subject token, whichever client presents a token. The subject has
    /// the same budget in later exchanges, in which its tokens have another `iss` ([`names`](crate::manual::names)).
    pub fn exchanges_per_subject(self, rate: impl Into<Option<Rate>>) -> Self {
        Self { exchanges_per_subject: rate.into(), ..self }
    }

    /// Sets the number of peers, clients and subjects that each budget remembers. Default: 65 536.
    pub fn capacity(self, keys: usize) -> Self {
        Self { capacity: keys, ..self }
    }
}
