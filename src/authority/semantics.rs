use super::{ActChain, Facts, Parties};
use crate::{
    policy::Semantics,
    protocol::{Reason, Rejection, refuse},
};

/// The semantics that can be issued. At least one of the two is possible.
#[derive(Debug)]
pub(crate) struct PossibleSemantics {
    /// The actor chain of a delegation, or the reason why a delegation is impossible.
    pub(crate) delegation: Result<ActChain, Rejection>,
    /// `Ok`, or the reason why an impersonation is impossible.
    pub(crate) impersonation: Result<(), Rejection>,
}

impl PossibleSemantics {
    /// Finds the semantics that the parties and the actor chain of the subject token allow. The exchange is refused if
    /// neither is possible.
    pub(super) fn find(
        facts: &Facts<'_>,
        parties: &Parties,
        prior_actors: &ActChain,
        max_depth: usize,
    ) -> Result<Self, Rejection> {
        let delegation = if parties.actor_is_subject {
            Err(refuse(Reason::ActorIsSubject))
        } else {
            let may_repeat = facts.client.repeated_actors;
            prior_actors.clone().extended(facts.registry, &parties.actor, may_repeat, max_depth)
        };
        // An issued token without `act` must not hide an actor.
        let impersonation = if prior_actors.is_empty() && facts.actor_token.is_none() {
            Ok(())
        } else {
            Err(refuse(Reason::ImpersonationImpossible))
        };
        match (delegation, impersonation) {
            (Err(reason), Err(_)) => Err(reason),
            (delegation, impersonation) => Ok(Self { delegation, impersonation }),
        }
    }

    /// The actor chain of the issued token. The chain of an impersonation is empty.
    pub(super) fn chain_for(&self, semantics: Semantics) -> Result<ActChain, Rejection> {
        match semantics {
            Semantics::Delegation => self.delegation.clone(),
            Semantics::Impersonation => self.impersonation.clone().map(|()| ActChain::default()),
        }
    }
}
