use super::{Denial, ShadowOutcome, denial::DenialKind};
use crate::protocol::Scope;
use std::{fmt, time::Duration};

/// What the issued token says about who acts (RFC 8693 section 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// The actor keeps its own identity: the token has `act`.
    Delegation,
    /// The actor is not to be told from the subject: the token has no `act`.
    Impersonation,
}

impl Semantics {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delegation => "delegation",
            Self::Impersonation => "impersonation",
        }
    }
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Semantics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The answer of a [`Policy`](super::Policy).
///
/// A decision may only narrow what the [`Query`](super::Query) says can be granted. One that grants more is a
/// defect: the client gets a `server_error` and no token.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::policy::{Decision, Grant, Semantics};
///
/// let grant = Grant::new(Semantics::Delegation)
///     .scope("invoices:read".parse()?)
///     .max_lifetime(Duration::from_secs(60))
///     .because("rule 7");
/// let decision = Decision::Allow(grant);
/// # let _ = decision;
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A token may be issued.
    Allow(Grant),
    /// No token may be issued.
    Deny(Denial),
}

impl Decision {
    /// Allows a delegation of everything under the ceiling.
    pub fn delegate() -> Self {
        Self::Allow(Grant::new(Semantics::Delegation))
    }

    /// Allows an impersonation with everything under the ceiling.
    pub fn impersonate() -> Self {
        Self::Allow(Grant::new(Semantics::Impersonation))
    }

    /// Refuses; the words go to the audit, never to the client.
    pub fn deny(why: impl Into<String>) -> Self {
        Self::Deny(Denial::of(DenialKind::Denied, why))
    }
}

impl Decision {
    /// Says, for the audit, what it would have been if rules on trial were real
    /// ([`Rule::shadow`](crate::policy::Rule::shadow)). It changes nothing.
    #[must_use]
    pub fn with_shadow(mut self, outcome: ShadowOutcome) -> Self {
        *self.shadow_mut() = Some(outcome);
        self
    }

    /// What it would have been, if that is something else.
    pub fn shadow(&self) -> Option<&ShadowOutcome> {
        match self {
            Self::Allow(grant) => grant.shadow.as_ref(),
            Self::Deny(denial) => denial.shadow.as_ref(),
        }
    }

    fn shadow_mut(&mut self) -> &mut Option<ShadowOutcome> {
        match self {
            Self::Allow(grant) => &mut grant.shadow,
            Self::Deny(denial) => &mut denial.shadow,
        }
    }

    /// Whether the client gets the same, whoever decided it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow(one), Self::Allow(other)) => {
                let told = |grant: &Grant| (grant.semantics, grant.max_lifetime, grant.max_depth);
                told(one) == told(other) && one.scope == other.scope
            }
            (Self::Deny(one), Self::Deny(other)) => one.kind.tells_as(&other.kind),
            _ => false,
        }
    }
}

/// What a policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub(crate) semantics: Semantics,
    pub(crate) scope: Option<Scope>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_depth: Option<usize>,
    pub(crate) because: Option<String>,
    pub(crate) shadow: Option<ShadowOutcome>,
}

impl Grant {
    /// Whether it is more than can be granted: a defect of the policy.
    pub(crate) fn exceeds(&self, scope: &Scope, lifetime: Duration) -> bool {
        self.scope.as_ref().is_some_and(|granted| !granted.is_subset(scope))
            || self.max_lifetime.is_some_and(|granted| granted > lifetime)
    }

    /// A grant of everything under the ceiling.
    pub fn new(semantics: Semantics) -> Self {
        Self { semantics, scope: None, max_lifetime: None, max_depth: None, because: None, shadow: None }
    }

    /// Narrows the scope, further than it was.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(self.scope.map_or(scope.clone(), |before| before.intersection(&scope)));
        self
    }

    /// Narrows the lifetime, further than it was.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(self.max_lifetime.map_or(lifetime, |before| before.min(lifetime)));
        self
    }

    /// Narrows the number of actors that the issued token may name, further than it was.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = Some(self.max_depth.map_or(depth, |before| before.min(depth)));
        self
    }

    /// Says, for the audit, what allowed it.
    #[must_use]
    pub fn because(mut self, policy_id: impl Into<String>) -> Self {
        self.because = Some(policy_id.into());
        self
    }
}
