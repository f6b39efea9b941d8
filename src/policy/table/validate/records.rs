use crate::{
    policy::{Effect, Rule, Semantics},
    protocol::{Scope, TokenType},
    records::{
        ClientRecord,
        ConfigErrorKind::{Conflict, Invalid, Unknown},
        Field, Party, Place, Problems, Registry, SubjectMapping, TargetRecord,
    },
};
use std::{collections::HashSet, sync::Arc};

const ACTORS_OF_CLIENT: Field = Field::new("carries", "allow_actor");
const CALLERS: Field = Field::new("callers", "allow_clients");

/// Checks a rule against the records. `actors` are the parties that any client may present as an actor.
pub(super) fn check(
    rule: &Rule,
    place: &Place<'_>,
    registry: &Registry,
    actors: &HashSet<&Party>,
    problems: &mut Problems,
) {
    // The other checks read the records that the rule names.
    if !names_are_known(rule, place, registry, problems) {
        return;
    }
    check_subjects(rule, place, registry, problems);
    check_actors(rule, place, registry, actors, problems);
    match rule.effect {
        Effect::Allow => {
            check_consent(rule, place, registry, problems);
            check_scopes(rule, place, registry, problems);
            check_limits(rule, place, problems);
        }
        Effect::Deny => check_renamed_actors(rule, place, registry, problems),
    }
}

fn clients(rule: &Rule) -> &[Arc<str>] {
    rule.clients.listed().unwrap_or_default()
}

fn targets(rule: &Rule) -> &[Arc<str>] {
    rule.targets.listed().unwrap_or_default()
}

fn names_are_known(rule: &Rule, place: &Place<'_>, registry: &Registry, problems: &mut Problems) -> bool {
    let mut errors = Vec::new();
    for (index, client) in clients(rule).iter().enumerate() {
        if registry.client(client).is_none() {
            errors.push(place.wrong_member("clients", index, registry.unknown_client(client)));
        }
    }
    for (index, target) in targets(rule).iter().enumerate() {
        if registry.target_by_id(target).is_none() {
            errors.push(place.wrong_member("targets", index, registry.unknown_target(target)));
        }
    }
    if let Some(issuer) = rule.subjects.issuer.as_deref().filter(|issuer| registry.issuer(issuer).is_none()) {
        errors.push(place.wrong_at("subjects", "subjects.issuer", registry.unknown_issuer(issuer)));
    }
    for (index, party) in rule.actors.listed().iter().enumerate() {
        if registry.issuer(&party.iss).is_none() {
            errors.push(place.wrong_at("actors", &format!("actors[{index}].iss"), registry.unknown_issuer(&party.iss)));
        }
    }
    let are_known = errors.is_empty();
    errors.into_iter().for_each(|error| problems.add(error.of_kind(Unknown)));
    are_known
}

/// Checks that the issuer of the subjects has tokens of the types that the rule requires.
fn check_subjects(rule: &Rule, place: &Place<'_>, registry: &Registry, problems: &mut Problems) {
    let issuer = rule.subjects.issuer.as_deref().and_then(|issuer| registry.issuer(issuer));
    let accepts = |token_type: &TokenType| match issuer {
        Some(issuer) if issuer.own && registry.issued().is_some_and(|issued| issued.accepts(token_type)) => true,
        Some(issuer) => issuer.accepts(token_type),
        None => registry.accepts(token_type),
    };
    let [first, ..] = rule.subjects.types() else { return };
    if !rule.subjects.types().iter().any(accepts) {
        let help = format!(
            "no issuer of the subjects has tokens of type `{first}`, so the rule never matches: correct the type, or \
             accept the type in the record of the issuer"
        );
        problems.add(place.wrong_at("subjects", "subjects.type", help).of_kind(Conflict));
    }
}

/// Checks that every actor is a client of the rule, or a party that such a client may present.
///
/// A deny rule also matches earlier actors, so another client may have presented the actor. If the record of a foreign issuer
/// trusts `act`, the issuer may name any earlier actor.
fn check_actors(
    rule: &Rule,
    place: &Place<'_>,
    registry: &Registry,
    actors: &HashSet<&Party>,
    problems: &mut Problems,
) {
    if rule.is_deny() && registry.issuers().any(|issuer| !issuer.own && issuer.act) {
        return;
    }
    let may_present = |client: &ClientRecord, party: &Party| {
        client.carries.contains(party) || (registry.is_own(&party.iss) && *client.id == *party.sub)
    };
    let any_may_present = |party: &Party| {
        actors.contains(party) || (registry.is_own(&party.iss) && registry.client(&party.sub).is_some())
    };
    for (index, party) in rule.actors.listed().iter().enumerate() {
        let can_act = match rule.clients.listed() {
            _ if rule.is_deny() => registry.names_of([party.clone()]).iter().any(any_may_present),
            None => any_may_present(party),
            Some(ids) => ids.iter().filter_map(|id| registry.client(id)).any(|client| may_present(client, party)),
        };
        if !can_act {
            let help = format!(
                "no client of the rule may present the actor `{}` of `{}`, so the rule never matches: add the actor to \
                 `{}` of a client",
                party.sub,
                party.iss,
                place.word(ACTORS_OF_CLIENT),
            );
            problems.add(place.wrong_member("actors", index, help).of_kind(Conflict));
        }
    }
}

/// Checks that the records allow what the rule allows: a target lists its callers, and a client may list its targets. A
/// rule cannot allow an exchange that one of the two records does not allow.
fn check_consent(rule: &Rule, place: &Place<'_>, registry: &Registry, problems: &mut Problems) {
    let (clients, targets) = (clients(rule), targets(rule));
    let callers = place.word(CALLERS);
    let allow_each_other = |client: &str, target: &TargetRecord| {
        let listed = registry.client(client).and_then(|client| client.targets.as_ref());
        target.is_called_by(client) && listed.is_none_or(|targets| targets.contains(&target.id))
    };
    let mut all_reachable = true;
    for (index, id) in targets.iter().enumerate() {
        let Some(target) = registry.target_by_id(id) else { continue };
        let is_reachable = match clients {
            [] => target.is_called_by_any(),
            clients => clients.iter().any(|client| allow_each_other(client, target)),
        };
        if !is_reachable {
            all_reachable = false;
            let help = match clients {
                [client] if target.is_called_by(client) => format!(
                    "client `{client}` does not list `{id}` in `targets`, so the rule never matches: add `{id}` there"
                ),
                [client] => format!(
                    "target `{id}` does not list `{client}` in `{callers}`, so the rule never matches: add `{client}` \
                     there"
                ),
                _ => format!("target `{id}` lists no client of the rule in `{callers}`: add a client there"),
            };
            problems.add(place.wrong_member("targets", index, help).of_kind(Conflict));
        }
    }
    if targets.is_empty() || !all_reachable {
        return;
    }
    for (index, id) in clients.iter().enumerate() {
        let mut records = targets.iter().filter_map(|target| registry.target_by_id(target));
        if !records.any(|target| allow_each_other(id, target)) {
            let help = format!(
                "no target of the rule lists `{id}` in `{callers}`, so the rule never matches for this client: add `{id}` \
                 there, or remove the client from the rule"
            );
            problems.add(place.wrong_member("clients", index, help).of_kind(Conflict));
        }
    }
}

/// Checks that every scope of the rule is a scope of a target.
fn check_scopes(rule: &Rule, place: &Place<'_>, registry: &Registry, problems: &mut Problems) {
    let scopes = rule.scopes.as_ref().and_then(|scopes| scopes.listed()).unwrap_or_default();
    // A text that is not a scope token is a mistake of the rule alone, which has already been reported.
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| Scope::from_tokens([scope]).is_ok()) {
        let is_known = match targets(rule) {
            [] => registry.targets().iter().any(|target| target.scopes.contains(scope)),
            targets => {
                let mut records = targets.iter().filter_map(|id| registry.target_by_id(id));
                records.any(|target| target.scopes.contains(scope))
            }
        };
        if !is_known {
            let help = format!(
                "no target of the rule has a scope `{scope}`: add the scope to `scopes` of a target, or correct the name"
            );
            problems.add(place.wrong_member("scopes", index, help).of_kind(Unknown));
        }
    }
}

/// Checks that the layer can issue what the rule allows.
fn check_limits(rule: &Rule, place: &Place<'_>, problems: &mut Problems) {
    if rule.max_depth == Some(0) && rule.semantics() == Semantics::Delegation {
        let help = "0 actors: give 1 or more, because a delegation names at least one actor";
        problems.add(place.wrong("max_depth", help).of_kind(Invalid));
    }
}

/// Checks that a deny rule names each actor by a name that `act` shows. A name that comes from a claim of the actor's own
/// issuer is not in `act`.
fn check_renamed_actors(rule: &Rule, place: &Place<'_>, registry: &Registry, problems: &mut Problems) {
    for (index, party) in rule.actors.listed().iter().enumerate().filter(|(_, party)| registry.is_own(&party.iss)) {
        let Some(issuer) = registry.issuer_of_foreign_name(&party.sub) else { continue };
        if matches!(issuer.subjects, Some(SubjectMapping::Claim(_))) {
            let help = format!(
                "`{}` comes from a claim of `{}`, and an earlier actor has no such name: name the actor by the `sub` \
                 that the issuer uses",
                party.sub, issuer.id,
            );
            problems.add(place.wrong_member("actors", index, help).of_kind(Conflict));
        }
    }
}
