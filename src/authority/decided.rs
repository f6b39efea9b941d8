use super::{ActChain, Bounded, within::EffectiveGrant};
use crate::{
    plug::{Failing, ask},
    protocol::{Reason, Rejection, refuse},
};
use crate::{
    policy::{Decision, Denial, DenialKind, Grant, PolicyPart, Semantics},
    status::StillValid,
};

const FAILING: Failing = Failing { unavailable: Reason::PolicyUnavailable, panicked: Reason::PolicyPanicked };

/// The seventh stage: what the policy chose, within the bounds.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) bounded: Bounded,
    pub(crate) semantics: Semantics,
    pub(crate) within: EffectiveGrant,
    /// Empty for an impersonation.
    pub(crate) chain: ActChain,
    pub(crate) policy_id: Option<String>,
    /// What it would have been with the rules on trial.
    pub(crate) shadow: Option<String>,
}

impl Decided {
    pub(crate) async fn by(policy: &PolicyPart, strict_scope: bool, standing: StillValid) -> Result<Self, Rejection> {
        let StillValid { bounded } = standing;
        let decision = ask(policy, bounded.query(), FAILING).await?;
        let shadow = decision.shadow().map(ToString::to_string);
        let decided = match decision {
            Decision::Allow(grant) => Self::clamped(bounded, grant, strict_scope),
            Decision::Deny(denial) => Err(refused(denial)),
        };
        match decided {
            Ok(decided) => Ok(Self { shadow, ..decided }),
            Err(rejection) => Err(rejection.with_shadow(shadow)),
        }
    }

    fn clamped(bounded: Bounded, grant: Grant, strict_scope: bool) -> Result<Self, Rejection> {
        let within = EffectiveGrant::the(&bounded.ceiling, &grant, bounded.admitted.scope.as_ref(), strict_scope)?;
        let chain = match grant.semantics {
            Semantics::Delegation => bounded.delegation.clone()?,
            Semantics::Impersonation => bounded.impersonation.clone().map(|()| ActChain::default())?,
        };
        if grant.max_depth.is_some_and(|depth| chain.depth() > depth) {
            return Err(refuse(Reason::ChainTooDeep).because(format_args!("{} actors", chain.depth())));
        }
        Ok(Self { semantics: grant.semantics, within, chain, policy_id: grant.policy_id, shadow: None, bounded })
    }
}

fn refused(denial: Denial) -> Rejection {
    let rejection = match denial.kind {
        DenialKind::Denied => refuse(Reason::PolicyDenied),
        DenialKind::Target => refuse(Reason::PolicyTargetDenied),
        DenialKind::NoRule => refuse(Reason::PolicyNoRule),
        DenialKind::StepUp(step_up) => refuse(Reason::StepUpRequired).with_step_up(step_up),
    };
    if denial.reason.is_empty() { rejection } else { rejection.because(denial.reason) }
}
