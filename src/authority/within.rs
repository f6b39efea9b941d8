use super::ceiling::Ceiling;
use crate::policy::Grant;
use crate::protocol::{Reason, Rejection, Scope, refuse};
use std::time::Duration;

/// What is granted. Its one constructor holds it under a ceiling, so that whoever has one need not look again.
#[derive(Debug)]
pub(crate) struct EffectiveGrant {
    scope: Scope,
    lifetime: Duration,
    /// When the first of the tokens handed in expires, in seconds since 1970.
    no_later_than: u64,
}

impl EffectiveGrant {
    /// Takes the grant at its word where it narrows, and for a defect where it widens.
    pub(super) fn the(
        ceiling: &Ceiling,
        grant: &Grant,
        asked: Option<&Scope>,
        strict_scope: bool,
    ) -> Result<Self, Rejection> {
        let allowed = grant.scope.as_ref().unwrap_or(&ceiling.scope);
        let lifetime = grant.max_lifetime.unwrap_or(ceiling.lifetime);
        if grant.exceeds(&ceiling.scope, ceiling.lifetime) {
            let (scope, longest) = (&ceiling.scope, ceiling.lifetime.as_secs());
            let detail = format!("granted `{allowed}` for {lifetime:?}, at most `{scope}` for {longest}s");
            return Err(refuse(Reason::PolicyWidened).because(detail));
        }
        let scope = asked.map_or_else(|| allowed.clone(), |asked| asked.intersection(allowed));
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::PolicyDenied).because("the policy left no lifetime"));
        }
        if scope.is_empty() {
            return Err(refuse(Reason::ScopeEmpty).because("the policy left nothing of the scope"));
        }
        if strict_scope && asked.is_some_and(|asked| !asked.is_subset(&scope)) {
            return Err(refuse(Reason::ScopeExceeded).because("the policy grants less than was asked"));
        }
        Ok(Self { scope, lifetime, no_later_than: ceiling.expires_at })
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// When a token of this time expires, in seconds since 1970.
    pub(crate) fn expires_at(&self, issued_at: u64) -> u64 {
        (issued_at + self.lifetime.as_secs()).min(self.no_later_than)
    }
}
