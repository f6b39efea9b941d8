use super::{Decision, Grant, Policy, PolicyPart, Query, ShadowOutcome};
use crate::plug::boxed;
use futures_util::future::BoxFuture;
use std::{
    fmt, iter,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{BoxError, Service, ServiceExt};

/// Combines policies that must all allow an exchange.
///
/// The policies are asked one after the other, with the same query:
///
/// * The first denial is the answer, and the remaining policies are not asked.
/// * If every policy allows, the answer is the intersection of the grants: the scope tokens that every grant has, the
///   shortest lifetime, the smallest number of actors, and the permission about the binding that every grant has.
/// * If the policies allow different [`Semantics`](super::Semantics), the answer is a denial.
/// * If a policy grants more than the ceiling, the answer is that grant, and not an intersection. So the layer finds
///   the defect, and refuses the exchange with the reason `policy_widened`.
/// * If a policy returns an error, the combined policy returns that error, and the layer issues no token.
/// * An empty list denies.
///
/// The first shadow outcome is kept. [`plug::boxed`](crate::plug::boxed) gives policies of different types one type, so
/// that they fit into one list.
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use tower_token_exchange::{
///     plug::boxed,
///     policy::{Decision, Names, Query, Rule, Subjects, Table, all},
///     records::Party,
///     token::NumericDate,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let table = Table::new([Rule::allow("orders", Subjects::any(), Names::any()).scopes(["read", "write"])])?;
/// let not_at_night = service_fn(|query: Query| async move {
///     Ok::<_, std::io::Error>(match query.now.seconds() / 3600 % 24 {
///         6..22 => Decision::delegate(),
///         _ => Decision::deny("no exchange at night"),
///     })
/// });
/// let policy = all([boxed(table), boxed(not_at_night)]);
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// query.now = NumericDate::from_seconds(12 * 3600);
/// assert!(matches!(policy.clone().oneshot(query.clone()).await?, Decision::Allow(_)));
/// query.now = NumericDate::from_seconds(23 * 3600);
/// assert_eq!(policy.oneshot(query).await?, Decision::deny("no exchange at night"));
/// # Ok(())
/// # }
/// ```
pub fn all<P: Policy>(policies: impl IntoIterator<Item = P>) -> Combined {
    Combined { mode: Mode::All, policies: policies.into_iter().map(boxed).collect() }
}

/// Combines a policy that decides with guards. A *guard* is a policy that can only refuse: its grants have no effect.
///
/// The policy is asked first. If the policy allows, the guards are asked one after the other, with the same query:
///
/// * The first denial is the answer, and the remaining guards are not asked.
/// * If every guard allows, the answer is the decision of the policy.
/// * If the policy or a guard returns an error, the combined policy returns that error, and the layer issues no token.
///
/// If a shadow rule of a guard would refuse, the decision carries that shadow outcome.
/// [`plug::boxed`](crate::plug::boxed) gives guards of different types one type, so that they fit into one list.
///
/// ```
/// use std::convert::Infallible;
/// use tower::{ServiceExt, service_fn};
/// use tower_token_exchange::{
///     policy::{Decision, Names, Query, Rule, Subjects, Table, any_deny},
///     records::Party,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let table = Table::new([Rule::allow("orders", Subjects::any(), Names::any()).scopes(["read"])])?;
/// let no_robots = service_fn(|query: Query| async move {
///     Ok::<_, Infallible>(match query.subject.claims.get("robot") {
///         Some(_) => Decision::deny("robots may not exchange tokens"),
///         None => Decision::delegate(),
///     })
/// });
/// let policy = any_deny(table.clone(), [no_robots]);
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// assert_eq!(policy.clone().oneshot(query.clone()).await?, table.decide(&query));
/// query.subject.claims.insert("robot", true);
/// assert_eq!(policy.oneshot(query).await?, Decision::deny("robots may not exchange tokens"));
/// # Ok(())
/// # }
/// ```
pub fn any_deny<G: Policy>(policy: impl Policy, guards: impl IntoIterator<Item = G>) -> Combined {
    let policies = iter::once(boxed(policy)).chain(guards.into_iter().map(boxed)).collect();
    Combined { mode: Mode::AnyDeny, policies }
}

/// Several policies that decide as one. [`all`] and [`any_deny`] return this policy.
#[derive(Clone)]
pub struct Combined {
    mode: Mode,
    policies: Arc<[PolicyPart]>,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    All,
    AnyDeny,
}

impl Service<Query> for Combined {
    type Response = Decision;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Decision, BoxError>>;

    // `call` waits until each policy is ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, query: Query) -> Self::Future {
        let Self { mode, policies } = self.clone();
        Box::pin(async move {
            let mut combined: Option<Grant> = None;
            for policy in policies.iter() {
                let grant = match policy.clone().oneshot(query.clone()).await? {
                    Decision::Allow(grant) => grant,
                    denied @ Decision::Deny(_) => return Ok(denied),
                };
                combined = Some(match (mode, combined) {
                    (Mode::All, _) if grant.exceeds(&query.max_scope, query.max_lifetime) => return Ok(grant.into()),
                    (_, None) => grant,
                    (Mode::AnyDeny, Some(decided)) => with_shadow_of_guard(decided, grant),
                    (Mode::All, Some(before)) => match intersection(before, grant) {
                        Ok(grant) => grant,
                        Err(reason) => return Ok(Decision::deny(reason)),
                    },
                });
            }
            Ok(combined.map_or_else(|| Decision::deny("`all` has no policies"), Decision::Allow))
        })
    }
}

/// What both grants allow, or the reason why they allow nothing together.
fn intersection(one: Grant, other: Grant) -> Result<Grant, String> {
    if one.semantics != other.semantics {
        let name = |grant: &Grant| grant.policy_id.clone().unwrap_or_else(|| "a policy".to_owned());
        let (one_name, other_name) = (name(&one), name(&other));
        return Err(format!("{one_name} allows {}, {other_name} {}", one.semantics, other.semantics));
    }
    let mut grant = one;
    grant = other.scope.into_iter().fold(grant, Grant::scope);
    grant = other.max_lifetime.into_iter().fold(grant, Grant::max_lifetime);
    grant = other.max_depth.into_iter().fold(grant, Grant::max_depth);
    grant.binding = grant.binding.min(other.binding);
    grant.policy_id = match (grant.policy_id, other.policy_id) {
        (Some(one), Some(other)) => Some(format!("{one}, {other}")),
        (one, other) => one.or(other),
    };
    grant.shadow = grant.shadow.or(other.shadow);
    Ok(grant)
}

/// The grant of the deciding policy. A guard adds its shadow outcome only if that outcome is a refusal.
fn with_shadow_of_guard(mut decided: Grant, guard: Grant) -> Grant {
    let refusal = guard.shadow.filter(|outcome| !matches!(outcome, ShadowOutcome::WouldAllow { .. }));
    decided.shadow = decided.shadow.or(refusal);
    decided
}

impl fmt::Debug for Combined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combined").field("mode", &self.mode).field("policies", &self.policies.len()).finish()
    }
}
