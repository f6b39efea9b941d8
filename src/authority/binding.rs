use super::{Facts, presenter::is_presenter};
use crate::{
    proof::{BindingBounds, Demands, Presenter},
    settings::Settings,
    token::Confirmation,
};

/// Finds what decides the binding of the issued token: the received tokens, what the client possesses, and what the records
/// demand.
pub(super) fn find(facts: &Facts<'_>, settings: &Settings) -> BindingBounds {
    let Facts { registry, client, subject, actor_token, possession, .. } = *facts;
    let actor = actor_token.map_or(Confirmation::Free, |actor| actor.confirmation);
    let presenter = match is_presenter(registry, client, subject) {
        true => Presenter::SameClient,
        false => Presenter::OtherClient,
    };
    let demands = demands(facts, settings);
    let needs_key = client.dpop_bound || demands.bound.is_some();
    BindingBounds {
        subject: subject.confirmation,
        actor,
        presented: possession.for_tokens([&subject.confirmation, &actor], needs_key),
        presenter,
        demands,
    }
}

fn demands(facts: &Facts<'_>, settings: &Settings) -> Demands {
    let Facts { client, targets, .. } = *facts;
    let target = targets.iter().find(|target| target.requires_sender_constraint);
    Demands {
        certificate: client.certificate_bound,
        bound: match target {
            _ if settings.require_sender_constraint => Some("the layer".to_owned()),
            _ if client.requires_sender_constraint => Some(format!("client `{}`", client.id)),
            target => target.map(|target| format!("target `{}`", target.id)),
        },
        bearer: targets.iter().find(|target| target.bearer_only).map(|target| target.id.clone()),
    }
}
