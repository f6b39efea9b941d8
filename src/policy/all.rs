use crate::{
    plug::{self, BoxPlug},
    policy::{Decision, Grant, Policy, Query},
};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{BoxError, Service, ServiceExt};

/// A policy with its type erased, so that different ones fit into one list.
///
/// See [`all`].
pub type BoxPolicy = BoxPlug<Query, Decision>;

/// Erases the type of a policy.
///
/// ```
/// use tower_token_exchange::policy::{BoxPolicy, Table, boxed};
///
/// let policies: Vec<BoxPolicy> = vec![boxed(Table::new([])?)];
/// # Ok::<(), tower_token_exchange::ConfigError>(())
/// ```
pub fn boxed(policy: impl Policy) -> BoxPolicy {
    plug::boxed(policy)
}

/// A policy that allows what all of these allow.
///
/// Each is asked the same, one after the other. The first denial is the answer, and those behind it are not asked. If
/// all allow, the grants are intersected: what is in every scope, for the shortest lifetime, with the fewest actors. If
/// they do not agree on the [`Semantics`](crate::policy::Semantics), that is a denial. Of what they would have decided with
/// rules on trial, the first is kept. One that grants more than can be granted is answered with at once, so that the
/// others do not hide its defect from the layer. One that cannot be asked makes the whole one that cannot, and the
/// exchange fails closed; a list with nothing in it denies.
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use tower_token_exchange::{
///     policy::{Decision, Names, Query, Rule, Subjects, Table, all, boxed},
///     records::Party,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let table = Table::new([Rule::allow("orders", Subjects::any(), Names::any()).scopes(["read", "write"])])?;
/// let not_at_night = service_fn(|query: Query| async move {
///     Ok::<_, std::io::Error>(match query.now / 3600 % 24 {
///         6..22 => Decision::delegate(),
///         _ => Decision::deny("it is night"),
///     })
/// });
/// let policy = all([boxed(table), boxed(not_at_night)]);
///
/// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
/// query.now = 12 * 3600;
/// assert!(matches!(policy.clone().oneshot(query.clone()).await?, Decision::Allow(_)));
/// query.now = 23 * 3600;
/// assert_eq!(policy.oneshot(query).await?, Decision::deny("it is night"));
/// # Ok(())
/// # }
/// ```
pub fn all<P: Policy>(policies: impl IntoIterator<Item = P>) -> All {
    All(policies.into_iter().map(boxed).collect())
}

/// The policy that [`all`] makes.
#[derive(Clone)]
pub struct All(Arc<[BoxPolicy]>);

impl Service<Query> for All {
    type Response = Decision;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Decision, BoxError>>;

    // Each of them is waited for when it is asked.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, query: Query) -> Self::Future {
        let policies = Arc::clone(&self.0);
        Box::pin(async move {
            let mut agreed: Option<Grant> = None;
            for policy in policies.iter() {
                let grant = match policy.clone().oneshot(query.clone()).await? {
                    // What the others allow must not hide a defect: the layer is to see it.
                    Decision::Allow(grant) if grant.exceeds(&query.ceiling, query.max_lifetime) => {
                        return Ok(Decision::Allow(grant));
                    }
                    Decision::Allow(grant) => grant,
                    denied @ Decision::Deny(_) => return Ok(denied),
                };
                agreed = Some(match agreed {
                    None => grant,
                    Some(before) => match both(before, grant) {
                        Ok(grant) => grant,
                        Err(why) => return Ok(Decision::deny(why)),
                    },
                });
            }
            Ok(agreed.map_or_else(|| Decision::deny("none of no policies"), Decision::Allow))
        })
    }
}

/// What two policies allow together, or why that is nothing.
fn both(one: Grant, other: Grant) -> Result<Grant, String> {
    let whose = |grant: &Grant| grant.because.clone().unwrap_or_else(|| "a policy".to_owned());
    if one.semantics != other.semantics {
        let (by, here, there) = (whose(&one), one.semantics, other.semantics);
        return Err(format!("{by} allows {here}, {} {there}", whose(&other)));
    }
    let mut grant = one;
    grant = other.scope.into_iter().fold(grant, Grant::scope);
    grant = other.max_lifetime.into_iter().fold(grant, Grant::max_lifetime);
    grant = other.max_depth.into_iter().fold(grant, Grant::max_depth);
    grant.because = match (grant.because, other.because) {
        (Some(one), Some(other)) => Some(format!("{one}, {other}")),
        (one, other) => one.or(other),
    };
    grant.shadow = grant.shadow.or(other.shadow);
    Ok(grant)
}

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").field("policies", &self.0.len()).finish()
    }
}
