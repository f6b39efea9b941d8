use super::{ActChain, Actor, Ceiling, Facts, Login, Parties, PossibleSemantics, binding, presenter};
use crate::{
    proof::BindingBounds,
    protocol::{NumericDate, Rejection},
    records::Party,
    settings::Settings,
};

/// The ceiling of a request, and the parties, the earlier actors and the possible semantics.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) parties: Parties,
    /// The actors that the subject token names.
    pub(crate) prior_actors: ActChain,
    /// The other names of the actors that the subject token names.
    pub(crate) prior_actor_other_names: Vec<Party>,
    pub(crate) semantics: PossibleSemantics,
    pub(crate) ceiling: Ceiling,
    pub(crate) login: Login,
    /// What decides the binding of the issued token.
    pub(crate) binding: BindingBounds,
    /// The time of the request, from which the ceiling was computed.
    pub(crate) found_at: NumericDate,
}

impl Bounds {
    /// Finds the bounds of a request. Refuses the request if the records and the tokens allow no exchange.
    pub(crate) fn find(facts: &Facts<'_>, settings: &Settings) -> Result<Self, Rejection> {
        let Facts { registry, client, subject, actor_token, .. } = *facts;
        let actor = Actor::identify(registry, client, actor_token)?;
        let named_by_may_act = actor.check_may_act(registry, client, subject, actor_token)?;
        presenter::check(registry, client, subject, named_by_may_act && actor.is_client)?;
        presenter::check_tenants(registry, client, subject, actor_token)?;
        let binding = binding::find(facts, settings);
        binding.check_possible()?;
        let parties = Parties::new(registry, subject, actor)?;
        let prior_actors = ActChain::read(subject)?;
        let semantics = PossibleSemantics::find(facts, &parties, &prior_actors, settings.max_chain_depth)?;
        let now = settings.now();
        let ceiling = Ceiling::compute(facts, settings.max_lifetime, now, |_| {})?;
        ceiling.check_requested(facts.requested_scope, settings.strict_scope)?;
        Ok(Self {
            login: Login::read(subject, now),
            prior_actor_other_names: prior_actors.other_names(registry),
            parties,
            prior_actors,
            semantics,
            ceiling,
            binding,
            found_at: now,
        })
    }
}
