use super::{Denial, ShadowOutcome};
use crate::{
    proof::Permission,
    protocol::{Scope, named_values},
};
use std::time::Duration;

/// The answer of a [`Policy`](super::Policy).
///
/// A decision may narrow the ceiling of the [`Query`](super::Query) and must not exceed the ceiling. A decision that
/// exceeds the ceiling is a defect of the policy: the client gets `server_error` and no token, and the audit event is
/// an alarm.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::policy::{Decision, Denial, Grant, Semantics};
///
/// let grant = Grant::new(Semantics::Delegation)
///     .scope("invoices:read".parse()?)
///     .max_lifetime(Duration::from_secs(60))
///     .policy_id("rule 7");
/// let allowed = Decision::from(grant);
/// let denied = Decision::from(Denial::new("the department is closed"));
/// assert_eq!(denied, Decision::deny("the department is closed"));
/// # let _ = allowed;
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Decision {
    /// The layer may issue a token.
    Allow(Grant),
    /// The layer must not issue a token.
    Deny(Denial),
}

impl Decision {
    /// Allows a delegation up to the ceiling.
    pub fn delegate() -> Self {
        Self::Allow(Grant::new(Semantics::Delegation))
    }

    /// Allows an impersonation up to the ceiling.
    pub fn impersonate() -> Self {
        Self::Allow(Grant::new(Semantics::Impersonation))
    }

    /// Refuses the exchange. The audit event quotes the reason; the client never sees it. This is a short form of
    /// [`Denial::new`].
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny(Denial::new(reason))
    }

    /// Adds the decision that the policy would make if its shadow rules were in force
    /// ([`Rule::shadow`](super::Rule::shadow)). The audit event quotes the outcome. The decision itself does not change.
    pub fn with_shadow(mut self, outcome: ShadowOutcome) -> Self {
        match &mut self {
            Self::Allow(grant) => grant.shadow = Some(outcome),
            Self::Deny(denial) => denial.shadow = Some(outcome),
        }
        self
    }

    /// Returns the decision that the policy would make if its shadow rules were in force. `None` if that decision is
    /// the same.
    pub fn shadow(&self) -> Option<&ShadowOutcome> {
        match self {
            Self::Allow(grant) => grant.shadow.as_ref(),
            Self::Deny(denial) => denial.shadow.as_ref(),
        }
    }

    /// Whether both decisions have the same effect for the client. Names of rules do not count.
    pub(crate) fn has_same_effect(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow(one), Self::Allow(other)) => {
                let limits = |grant: &Grant| (grant.semantics, grant.max_lifetime, grant.max_depth, grant.binding);
                limits(one) == limits(other) && one.scope == other.scope
            }
            (Self::Deny(one), Self::Deny(other)) => one.has_same_effect(other),
            _ => false,
        }
    }
}

impl From<Grant> for Decision {
    fn from(grant: Grant) -> Self {
        Self::Allow(grant)
    }
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        Self::Deny(denial)
    }
}

/// The part of the ceiling that a policy allows.
///
/// A grant starts as everything up to the ceiling. Each setter narrows the grant; a second call of the same setter
/// narrows the grant further and never widens it. Two setters are different: [`rebind`](Self::rebind) and
/// [`release`](Self::release) permit to change the binding of a bound subject token, which a new grant does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Grant {
    pub(crate) semantics: Semantics,
    pub(crate) scope: Option<Scope>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_depth: Option<usize>,
    pub(crate) binding: Permission,
    pub(crate) policy_id: Option<String>,
    pub(crate) shadow: Option<ShadowOutcome>,
}

impl Grant {
    /// Creates a grant of everything up to the ceiling.
    pub fn new(semantics: Semantics) -> Self {
        Self {
            semantics,
            scope: None,
            max_lifetime: None,
            max_depth: None,
            binding: Permission::Unchanged,
            policy_id: None,
            shadow: None,
        }
    }

    /// Narrows the scope to the scope tokens in this list.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(self.scope.map_or(scope.clone(), |before| before.intersection(&scope)));
        self
    }

    /// Narrows the lifetime of the issued token.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(self.max_lifetime.map_or(lifetime, |before| before.min(lifetime)));
        self
    }

    /// Narrows the number of actors in the `act` claim of the issued token (RFC 8693 section 4.1).
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = Some(self.max_depth.map_or(depth, |before| before.min(depth)));
        self
    }

    /// Permits a token that is bound to another key or certificate than the subject token, which the client proves. The client
    /// may be another client than the one that the subject token was issued to
    /// ([`Permission::Rebind`](crate::proof::Permission::Rebind)).
    pub fn rebind(mut self) -> Self {
        self.binding = self.binding.max(Permission::Rebind);
        self
    }

    /// Permits a bearer token for a bound subject token ([`Permission::Release`](crate::proof::Permission::Release)). The audit
    /// event of such a token is an alarm. A release includes the permission to [`rebind`](Self::rebind).
    pub fn release(mut self) -> Self {
        self.binding = Permission::Release;
        self
    }

    /// Names the rule or policy that allows the exchange, for the audit event.
    pub fn policy_id(mut self, policy_id: impl Into<String>) -> Self {
        self.policy_id = Some(policy_id.into());
        self
    }

    /// Whether the grant exceeds the ceiling, which is a defect of the policy.
    pub(crate) fn exceeds(&self, max_scope: &Scope, max_lifetime: Duration) -> bool {
        self.scope.as_ref().is_some_and(|granted| !granted.is_subset(max_scope))
            || self.max_lifetime.is_some_and(|granted| granted > max_lifetime)
    }
}

/// How the issued token presents the actor (RFC 8693 section 1.1).
///
/// As text, each value has its name in lower case.
///
/// ```
/// use tower_token_exchange::policy::Semantics;
///
/// assert_eq!(Semantics::Delegation.to_string(), "delegation");
/// assert_eq!("impersonation".parse(), Ok(Semantics::Impersonation));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, rename_all = "snake_case"))]
pub enum Semantics {
    /// The token names the actor in the `act` claim.
    Delegation,
    /// The token does not name an actor. A receiver cannot tell the actor from the subject.
    Impersonation,
}

impl Semantics {
    const ALL: [Self; 2] = [Self::Delegation, Self::Impersonation];

    /// Returns the name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delegation => "delegation",
            Self::Impersonation => "impersonation",
        }
    }
}

named_values!(Semantics, as_str, "`delegation` or `impersonation`");
