use super::ShadowOutcome;
use crate::protocol::StepUp;
use std::time::Duration;

/// Why a policy refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(crate) why: String,
    pub(crate) kind: DenialKind,
    pub(crate) shadow: Option<ShadowOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DenialKind {
    /// Something spoke against it.
    Denied,
    /// Something spoke against one of the targets.
    Target,
    /// Nothing spoke for it.
    NoRule,
    /// It would be allowed if the subject logged in like this.
    StepUp(StepUp),
}

impl DenialKind {
    /// Whether the client is told the same.
    pub(super) fn tells_as(&self, other: &Self) -> bool {
        // By default nobody learns whether something spoke against it or nothing for it.
        let is_silent = |kind: &Self| matches!(kind, Self::Denied | Self::NoRule);
        self == other || (is_silent(self) && is_silent(other))
    }
}

impl Denial {
    /// Nothing spoke for it.
    pub fn no_rule(why: impl Into<String>) -> Self {
        Self::of(DenialKind::NoRule, why)
    }

    /// The client may not have this target, or not for this subject: it is told `invalid_target`, as where its record
    /// does not allow the target.
    ///
    /// ```
    /// use tower_token_exchange::policy::{Decision, Denial, Query};
    ///
    /// fn decide(query: &Query) -> Decision {
    ///     match query.targets.iter().find(|target| *target == "payroll") {
    ///         Some(closed) => Decision::Deny(Denial::target(format!("`{closed}` is closed until Monday"))),
    ///         None => Decision::delegate(),
    ///     }
    /// }
    /// # let _ = decide;
    /// ```
    pub fn target(why: impl Into<String>) -> Self {
        Self::of(DenialKind::Target, why)
    }

    /// The subject must log in again, or more strongly (RFC 9470): with one of these `acr` values, the best first, and
    /// no longer ago than `max_age`, in whole seconds.
    ///
    /// The client gets 400 and `insufficient_user_authentication` with `acr_values` and `max_age`, each where it is
    /// given, so that it can send its user through a login that will do. It is the one denial of which the client is
    /// told more than that there was one: give the policy's own values, never those of the request, and none with a
    /// space in it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_token_exchange::policy::{Decision, Denial, Query};
    ///
    /// fn decide(query: &Query) -> Decision {
    ///     match query.subject.acr.as_deref() {
    ///         Some("phr" | "phrh") => Decision::delegate(),
    ///         _ => Decision::Deny(Denial::step_up(["phr", "phrh"], Some(Duration::from_secs(300))).because("rule 7")),
    ///     }
    /// }
    /// # let _ = decide;
    /// ```
    pub fn step_up<T: Into<String>>(acr_values: impl IntoIterator<Item = T>, max_age: Option<Duration>) -> Self {
        let acr_values = acr_values.into_iter().map(Into::into).collect();
        let step_up = StepUp { acr_values, max_age: max_age.map(|age| age.as_secs()) };
        Self::of(DenialKind::StepUp(step_up), "")
    }

    pub(super) fn of(kind: DenialKind, why: impl Into<String>) -> Self {
        Self { why: why.into(), kind, shadow: None }
    }

    /// Says, for the audit, what refused it; never to the client.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }
}
