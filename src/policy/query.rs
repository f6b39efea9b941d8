use crate::{
    clock::Clock,
    protocol::{Scope, TokenType},
    records::Party,
};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};

/// What a policy is asked: facts that have been validated, and the ceiling that the records set.
///
/// No token and no secret is in it. Make one with [`Query::new`] to test a policy of your own, and set the fields
/// that matter to it.
///
/// ```
/// use tower_token_exchange::{Scope, policy::Query, records::Party};
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// query.ceiling = "invoices:read".parse()?;
/// assert!(query.actor.is_client);
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The authenticated client.
    pub client_id: String,
    /// On whose behalf.
    pub subject: QueriedSubject,
    /// Who acts if it becomes a delegation.
    pub actor: QueriedActor,
    /// The actors of the subject token before that, the latest first. For information: RFC 8693 section 4.1
    /// forbids basing access control on any but the current one.
    pub prior_actors: Vec<Party>,
    /// The ids of the targets' records.
    pub targets: Vec<String>,
    /// The scope that was asked for, if any was.
    pub asked: Option<Scope>,
    /// The most that can be granted.
    pub ceiling: Scope,
    /// The longest lifetime that can be granted.
    pub max_lifetime: Duration,
    /// What the issued token will be.
    pub issue_as: TokenType,
    /// The time by the layer's clock, in seconds since 1970.
    pub now: u64,
    /// Whether what is issued will be bound to its sender. In this version it never is.
    pub sender_constrained: bool,
    /// Whether a delegation can be issued, by the rules for actors and chains.
    pub delegation_possible: bool,
    /// Whether an impersonation can be issued: not where a chain or an actor token is.
    pub impersonation_possible: bool,
}

/// The subject of a [`Query`].
#[derive(Clone)]
#[non_exhaustive]
pub struct QueriedSubject {
    /// The party, as the issuer of the subject token names it.
    pub party: Party,
    /// The `sub` that the issued token will have.
    pub issued_sub: String,
    /// The party that it probably was at a foreign issuer, before an earlier exchange made it ours: good enough to
    /// refuse by, never to allow by.
    pub origin: Option<Party>,
    /// Whether it is one of our clients by itself: a token that no user stands behind.
    pub is_client: bool,
    /// The declared type of the subject token.
    pub token_type: TokenType,
    /// How it was authenticated (`acr`), as the issued token will say: an own token's, or what the issuer's record
    /// makes of a foreign one's ([`Issuer::acr`](crate::Issuer::acr)).
    pub acr: Option<String>,
    /// When it was authenticated (`auth_time`), in seconds since 1970, rounded down; what the issued token will say.
    pub auth_time: Option<u64>,
    /// All claims of the subject token.
    pub claims: Map<String, Value>,
}

/// The actor of a [`Query`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueriedActor {
    /// The party.
    pub party: Party,
    /// Whether that is the authenticated client itself.
    pub is_client: bool,
    /// Whether an actor token says so. Without one, the client acts.
    pub by_token: bool,
    /// The declared type of the actor token, if there is one.
    pub token_type: Option<TokenType>,
}

impl Query {
    /// A query as for a client that acts itself, without an actor token, with an empty ceiling, a lifetime of 300 s,
    /// the system's time and everything possible.
    pub fn new(client_id: impl Into<String>, subject: Party, target: impl Into<String>) -> Self {
        let client_id = client_id.into();
        Self {
            actor: QueriedActor {
                party: Party::new(&subject.iss, &client_id),
                is_client: true,
                by_token: false,
                token_type: None,
            },
            subject: QueriedSubject {
                issued_sub: subject.sub.clone(),
                origin: None,
                is_client: false,
                party: subject,
                token_type: TokenType::ACCESS_TOKEN,
                acr: None,
                auth_time: None,
                claims: Map::new(),
            },
            client_id,
            prior_actors: Vec::new(),
            targets: vec![target.into()],
            asked: None,
            ceiling: Scope::empty(),
            max_lifetime: Duration::from_secs(300),
            issue_as: TokenType::ACCESS_TOKEN,
            now: Clock::default().seconds(),
            sender_constrained: false,
            delegation_possible: true,
            impersonation_possible: true,
        }
    }
}

// The claims may hold what does not belong into a log.
impl fmt::Debug for QueriedSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueriedSubject")
            .field("party", &self.party)
            .field("issued_sub", &self.issued_sub)
            .field("origin", &self.origin)
            .field("is_client", &self.is_client)
            .field("token_type", &self.token_type)
            .field("acr", &self.acr)
            .field("auth_time", &self.auth_time)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}
