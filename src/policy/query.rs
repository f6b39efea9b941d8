use crate::{
    clock::Clock,
    jose::Claims,
    proof::{Outcome, Permission},
    protocol::{ClientId, NumericDate, Scope, TargetId, TokenType},
    records::{Party, SubjectId},
};
use std::time::Duration;

/// The question to a [`Policy`](super::Policy): the validated facts of one exchange, and the ceiling, which is the most
/// that the records allow.
///
/// A query holds no token and no secret.
///
/// [`Query::new`] makes a query for a unit test of a policy. The test then sets the fields that the policy reads:
///
/// ```
/// use tower_token_exchange::{policy::Query, records::Party};
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// query.max_scope = "invoices:read".parse()?;
/// assert!(query.actor.is_client);
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The authenticated client.
    pub client_id: ClientId,
    /// The party on whose behalf the client asks.
    pub subject: Subject,
    /// The party that acts if the policy allows a delegation.
    pub actor: Actor,
    /// The earlier actors of the subject token, the latest first. A policy must not allow because of an earlier actor: by
    /// RFC 8693 section 4.1 only the current actor has a part in access control. A policy may refuse because of one.
    pub prior_actors: Vec<Party>,
    /// The other names of the earlier actors. A policy may refuse because of these names, and must not allow because of one.
    pub prior_actor_other_names: Vec<Party>,
    /// The ids of the target records.
    pub targets: Vec<TargetId>,
    /// The scope that the client requests. `None` if the request has no `scope` parameter.
    pub requested_scope: Option<Scope>,
    /// The ceiling of the scope. A decision that grants more is a defect of the policy.
    pub max_scope: Scope,
    /// The ceiling of the lifetime. A decision that grants more is a defect of the policy.
    pub max_lifetime: Duration,
    /// The type of the token that the client requests.
    pub requested_token_type: TokenType,
    /// The time of the question by the clock of the layer.
    pub now: NumericDate,
    /// Whether the issued token will be bound to its sender, if the policy permits no change of the binding: `true` if
    /// `bindings.unchanged` [is bound](Outcome::is_bound).
    pub sender_constrained: bool,
    /// What becomes of the binding of the subject token, for each permission of the policy.
    pub bindings: Bindings,
    /// Whether the rules for actors and chains permit a delegation.
    pub delegation_possible: bool,
    /// Whether the layer can issue an impersonation. An actor token or an earlier actor rules an impersonation out.
    pub impersonation_possible: bool,
}

/// The subject of a [`Query`]: the party on whose behalf the client asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subject {
    /// The party, under the name that the issuer of the subject token uses.
    pub party: Party,
    /// The `sub` claim of the issued token.
    pub issued_sub: SubjectId,
    /// The other names of the party: the name that an issued token has or will have here, the name that the party has at
    /// its foreign issuer, and the names of the client that the party is. A party has the same names in every exchange.
    ///
    /// A policy may refuse because of these names. A policy must not allow because of one.
    pub other_names: Vec<Party>,
    /// Whether the subject is a client that acts for itself: no user is behind the subject token.
    pub is_client: bool,
    /// The declared type of the subject token.
    pub token_type: TokenType,
    /// The types of the subject tokens of the earlier exchanges that led to the subject token, the first first. A policy may
    /// refuse because of these types. A policy must not allow because of one.
    pub earlier_token_types: Vec<TokenType>,
    /// The authentication context class (`acr`) that the issued token will have. For a token of a foreign issuer this
    /// is the translation by the issuer's record ([`Issuer::map_acr`](crate::Issuer::map_acr)).
    pub acr: Option<String>,
    /// The time of the login (`auth_time`) that the issued token will have, rounded down.
    pub auth_time: Option<NumericDate>,
    /// All claims of the subject token.
    pub claims: Claims,
}

/// The actor of a [`Query`]: the party that acts for the subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Actor {
    /// The party.
    pub party: Party,
    /// The other names of the party, as in [`Subject::other_names`].
    pub other_names: Vec<Party>,
    /// Whether the party is the authenticated client itself.
    pub is_client: bool,
    /// Whether an actor token proves the party. Without an actor token, the client is the actor.
    pub by_token: bool,
    /// The declared type of the actor token. `None` without an actor token.
    pub token_type: Option<TokenType>,
}

/// What becomes of the binding of the subject token ([`MATRIX`](crate::proof::MATRIX)), in a [`Query`].
///
/// An outcome is [`Refused`](Outcome::Refused) too if a record demands something else, such as a bound token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bindings {
    /// The outcome if the policy permits no change.
    pub unchanged: Outcome,
    /// The outcome if the policy permits to rebind ([`Grant::rebind`](super::Grant::rebind)).
    pub rebind: Outcome,
    /// The outcome if the policy permits to release ([`Grant::release`](super::Grant::release)).
    pub release: Outcome,
}

/// A bearer token for a bearer token.
impl Default for Bindings {
    fn default() -> Self {
        Self::of(|_| Outcome::Bearer)
    }
}

impl Bindings {
    pub(crate) fn of(outcome: impl Fn(Permission) -> Outcome) -> Self {
        Self {
            unchanged: outcome(Permission::Unchanged),
            rebind: outcome(Permission::Rebind),
            release: outcome(Permission::Release),
        }
    }

    /// The outcome for a permission.
    pub fn outcome(&self, permission: Permission) -> Outcome {
        match permission {
            Permission::Unchanged => self.unchanged,
            Permission::Rebind => self.rebind,
            Permission::Release => self.release,
        }
    }
}

impl Query {
    /// Creates a query for a test. The client is the actor, there is no actor token, delegation and impersonation are
    /// possible, the scope ceiling is empty, the lifetime ceiling is 300 s, and the time is the system's time.
    pub fn new(client_id: impl Into<ClientId>, subject: Party, target: impl Into<TargetId>) -> Self {
        let client_id = client_id.into();
        Self {
            actor: Actor {
                party: Party::new(&subject.iss, &client_id),
                other_names: Vec::new(),
                is_client: true,
                by_token: false,
                token_type: None,
            },
            subject: Subject {
                issued_sub: subject.sub.clone(),
                other_names: Vec::new(),
                is_client: false,
                party: subject,
                token_type: TokenType::ACCESS_TOKEN,
                earlier_token_types: Vec::new(),
                acr: None,
                auth_time: None,
                claims: Claims::new(),
            },
            client_id,
            prior_actors: Vec::new(),
            prior_actor_other_names: Vec::new(),
            targets: vec![target.into()],
            requested_scope: None,
            max_scope: Scope::empty(),
            max_lifetime: Duration::from_secs(300),
            requested_token_type: TokenType::ACCESS_TOKEN,
            now: NumericDate::from_seconds(Clock::default().seconds()),
            sender_constrained: false,
            bindings: Bindings::default(),
            delegation_possible: true,
            impersonation_possible: true,
        }
    }
}
