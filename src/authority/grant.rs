use super::{ActChain, Bounds};
use crate::{
    policy::{Grant, Semantics},
    proof::IssuedBinding,
    protocol::{NumericDate, Reason, Rejection, Scope, refuse},
};
use std::time::Duration;

/// The grant of the policy, checked against the bounds of the request.
#[derive(Debug)]
pub(crate) struct EffectiveGrant {
    semantics: Semantics,
    scope: Scope,
    lifetime: Duration,
    /// The time at which the first of the received tokens expires.
    not_after: NumericDate,
    chain: ActChain,
    policy_id: Option<String>,
    binding: IssuedBinding,
}

impl EffectiveGrant {
    /// Accepts a grant that is within the ceiling. A grant that exceeds the ceiling is a defect of the policy, and is
    /// refused.
    pub(crate) fn checked(
        bounds: &Bounds,
        grant: Grant,
        requested: Option<&Scope>,
        strict_scope: bool,
    ) -> Result<Self, Rejection> {
        let ceiling = &bounds.ceiling;
        let allowed = grant.scope.as_ref().unwrap_or(&ceiling.scope);
        let lifetime = grant.max_lifetime.unwrap_or(ceiling.lifetime);
        if grant.exceeds(&ceiling.scope, ceiling.lifetime) {
            let (scope, longest) = (&ceiling.scope, ceiling.lifetime.as_secs());
            let detail =
                format!("the policy granted `{allowed}` for {lifetime:?}; the ceiling is `{scope}` for {longest}s");
            return Err(refuse(Reason::PolicyWidened).with_detail(detail));
        }
        let scope = requested.map_or_else(|| allowed.clone(), |requested| requested.intersection(allowed));
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::PolicyDenied).with_detail("the policy granted a lifetime under 1 s"));
        }
        if scope.is_empty() {
            return Err(refuse(Reason::ScopeEmpty).with_detail("the policy granted no part of the scope"));
        }
        if strict_scope && requested.is_some_and(|requested| !requested.is_subset(&scope)) {
            return Err(
                refuse(Reason::ScopeExceeded).with_detail("the policy granted only a part of the requested scope")
            );
        }
        let chain = bounds.semantics.chain_for(grant.semantics)?;
        if let Some(max_depth) = grant.max_depth.filter(|max_depth| chain.depth() > *max_depth) {
            let policy = grant.policy_id.as_deref().unwrap_or("the policy");
            let detail = format!("{} actors, and `max_depth` of {policy} is {max_depth}", chain.depth());
            return Err(refuse(Reason::ChainTooDeep).with_detail(detail));
        }
        let binding = bounds.binding.decide(grant.binding)?;
        let Grant { semantics, policy_id, .. } = grant;
        Ok(Self { semantics, scope, lifetime, not_after: ceiling.not_after, chain, policy_id, binding })
    }

    pub(crate) fn semantics(&self) -> Semantics {
        self.semantics
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The actors that the issued token names. The chain of an impersonation is empty.
    pub(crate) fn chain(&self) -> &ActChain {
        &self.chain
    }

    /// What the issued token is bound to.
    pub(crate) fn binding(&self) -> &IssuedBinding {
        &self.binding
    }

    /// The text by which the policy identifies the rule that allowed the exchange.
    pub(crate) fn policy_id(&self) -> Option<&str> {
        self.policy_id.as_deref()
    }

    /// The expiry time of a token that is issued at this time.
    pub(crate) fn expires_at(&self, issued_at: NumericDate) -> NumericDate {
        (issued_at + self.lifetime).min(self.not_after)
    }
}
