use super::ShadowOutcome;
use crate::protocol::{Reason, Rejection, StepUp, refuse};
use std::time::Duration;

/// The reason why a policy refuses an exchange.
///
/// | constructor | the client gets | reason code in the audit |
/// |---|---|---|
/// | [`Denial::new`] | `invalid_request` | `policy_denied` |
/// | [`Denial::no_rule`] | `invalid_request` | `policy_no_rule` |
/// | [`Denial::target`] | `invalid_target` | `policy_target_denied` |
/// | [`Denial::step_up`] | `insufficient_user_authentication` | `step_up_required` |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Denial {
    pub(crate) reason: String,
    pub(crate) kind: DenialKind,
    pub(crate) shadow: Option<ShadowOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DenialKind {
    Denied,
    NoRule,
    Target,
    StepUp(StepUp),
}

impl Denial {
    /// The refusal of an exchange that the policy denies.
    pub(crate) fn into_rejection(self) -> Rejection {
        let rejection = match self.kind {
            DenialKind::Denied => refuse(Reason::PolicyDenied),
            DenialKind::Target => refuse(Reason::PolicyTargetDenied),
            DenialKind::NoRule => refuse(Reason::PolicyNoRule),
            DenialKind::StepUp(step_up) => refuse(Reason::StepUpRequired).with_step_up(step_up),
        };
        if self.reason.is_empty() { rejection } else { rejection.with_detail(self.reason) }
    }

    /// Refuses the exchange. The audit event quotes the reason; the client never sees it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: DenialKind::Denied, shadow: None }
    }

    /// Refuses the exchange because no rule allows it. The client cannot tell this denial from [`Denial::new`].
    pub fn no_rule(reason: impl Into<String>) -> Self {
        Self { kind: DenialKind::NoRule, ..Self::new(reason) }
    }

    /// Refuses one of the targets, for this client or for this subject. The client gets `invalid_target`, the same
    /// error as for a target that does not list the client among its callers.
    ///
    /// ```
    /// use tower_token_exchange::policy::{Decision, Denial, Query};
    ///
    /// fn decide(query: &Query) -> Decision {
    ///     match query.targets.iter().find(|target| *target == "payroll") {
    ///         Some(closed) => Denial::target(format!("`{closed}` is closed until Monday")).into(),
    ///         None => Decision::delegate(),
    ///     }
    /// }
    /// # let _ = decide;
    /// ```
    pub fn target(reason: impl Into<String>) -> Self {
        Self { kind: DenialKind::Target, ..Self::new(reason) }
    }

    /// Asks for a stronger or a more recent login of the subject (RFC 9470). The login must have one of the `acr` values,
    /// the preferred value first, and must be at most `max_age` old, in whole seconds.
    ///
    /// The client gets 400 and `insufficient_user_authentication` with `acr_values` and `max_age`, so that the client
    /// can send the user to a sufficient login. This is the only denial that reveals its details to the client: use the
    /// policy's own values and never values from the request. An `acr` value must not contain a space.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_token_exchange::policy::{Decision, Denial, Query};
    ///
    /// fn decide(query: &Query) -> Decision {
    ///     match query.subject.acr.as_deref() {
    ///         Some("phr" | "phrh") => Decision::delegate(),
    ///         _ => Denial::step_up(["phr", "phrh"], Some(Duration::from_secs(300))).reason("rule 7").into(),
    ///     }
    /// }
    /// # let _ = decide;
    /// ```
    pub fn step_up<T: Into<String>>(acr_values: impl IntoIterator<Item = T>, max_age: Option<Duration>) -> Self {
        let acr_values = acr_values.into_iter().map(Into::into).collect();
        let step_up = StepUp { acr_values, max_age: max_age.map(|age| age.as_secs()) };
        Self { kind: DenialKind::StepUp(step_up), ..Self::new("") }
    }

    /// Replaces the reason that the audit event quotes.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Whether the client gets the same error for both denials.
    pub(super) fn has_same_effect(&self, other: &Self) -> bool {
        // By default the client cannot tell an explicit denial from a missing rule.
        let is_unexplained = |denial: &Self| matches!(denial.kind, DenialKind::Denied | DenialKind::NoRule);
        self.kind == other.kind || (is_unexplained(self) && is_unexplained(other))
    }
}
