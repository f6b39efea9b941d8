use super::{BoxPolicy, boxed};
use crate::policy::{Decision, Policy, Query, ShadowOutcome};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{BoxError, Service, ServiceExt};

/// A policy that decides, and guards that can only refuse what it allowed.
///
/// The policy is asked first; if it allows, the guards are, one after the other. The first denial is the answer, and
/// those behind it are not asked. What a guard grants counts for nothing, whatever it says: the grant is the policy's.
/// What a guard on trial would refuse is said of the decision.
/// One that cannot be asked makes the whole one that cannot, and the exchange fails closed.
///
/// For guards of different types see [`boxed`].
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
///     Ok::<_, Infallible>(match query.subject.claims.contains_key("robot") {
///         true => Decision::deny("robots may not"),
///         false => Decision::delegate(),
///     })
/// });
/// let policy = any_deny(table.clone(), [no_robots]);
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// assert_eq!(policy.clone().oneshot(query.clone()).await?, table.decide(&query));
/// query.subject.claims.insert("robot".into(), true.into());
/// assert_eq!(policy.oneshot(query).await?, Decision::deny("robots may not"));
/// # Ok(())
/// # }
/// ```
pub fn any_deny<G: Policy>(policy: impl Policy, guards: impl IntoIterator<Item = G>) -> AnyDeny {
    AnyDeny { policy: boxed(policy), guards: guards.into_iter().map(boxed).collect() }
}

/// The policy that [`any_deny`] makes.
#[derive(Clone)]
pub struct AnyDeny {
    policy: BoxPolicy,
    guards: Arc<[BoxPolicy]>,
}

impl Service<Query> for AnyDeny {
    type Response = Decision;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Decision, BoxError>>;

    // Each of them is waited for when it is asked.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, query: Query) -> Self::Future {
        let Self { policy, guards } = self.clone();
        Box::pin(async move {
            let mut decision = policy.oneshot(query.clone()).await?;
            if let Decision::Deny(_) = decision {
                return Ok(decision);
            }
            for guard in guards.iter() {
                let guarded = guard.clone().oneshot(query.clone()).await?;
                match guarded.shadow() {
                    _ if matches!(guarded, Decision::Deny(_)) => return Ok(guarded),
                    None | Some(ShadowOutcome::WouldAllow { .. }) => {}
                    Some(refusal) if decision.shadow().is_none() => decision = decision.with_shadow(refusal.clone()),
                    Some(_) => {}
                }
            }
            Ok(decision)
        })
    }
}

impl fmt::Debug for AnyDeny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyDeny").field("guards", &self.guards.len()).finish_non_exhaustive()
    }
}
