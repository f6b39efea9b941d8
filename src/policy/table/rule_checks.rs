use crate::{
    policy::{Names, Rule},
    protocol::{Scope, TokenType},
    records::{
        ClientRecord, ConfigError, Party, Place, Problems, Registry, SubjectMapping, TargetRecord, Wording, unknown,
    },
};
use std::{collections::HashSet, sync::Arc};

/// A rule about somebody that nobody registered, or one that could never match, is a mistake that would refuse in
/// silence.
pub(crate) fn check_rules(rules: &[Rule], registry: &Registry) -> Result<(), ConfigError> {
    let carried = registry.clients().flat_map(|client| &client.carries).collect();
    let mut problems = Problems::default();
    for (position, rule) in rules.iter().enumerate() {
        let name = rule.name_at(position + 1);
        let record = Place::new("rule", position, &name, Wording::Methods);
        // The other checks depend on the names.
        if problems.check(check_names(rule, &record, registry)).is_none() {
            continue;
        }
        problems.check(check_subjects(rule, &record, registry));
        problems.check(check_actors(rule, &record, registry, &carried));
        if rule.allows {
            problems.check(check_consent(rule, &record, registry));
            problems.check(check_scopes(rule, &record, registry));
            problems.check(check_limits(rule, &record));
        } else {
            problems.check(check_lasting(rule, &record, registry));
        }
    }
    problems.or(())
}

/// The names in a list; none for any.
fn listed(names: &Names) -> &[Arc<str>] {
    names.listed().unwrap_or_default()
}

fn check_names(rule: &Rule, record: &Place<'_>, registry: &Registry) -> Result<(), ConfigError> {
    for (index, client) in listed(&rule.clients).iter().enumerate() {
        if registry.client(client).is_none() {
            return Err(record.wrong_member("clients", index, unknown("client", client)));
        }
    }
    for (index, target) in listed(&rule.targets).iter().enumerate() {
        if registry.target_by_id(target).is_none() {
            return Err(record.wrong_member("targets", index, unknown("target", target)));
        }
    }
    if let Some(issuer) = rule.subjects.issuer.as_deref().filter(|issuer| registry.issuer(issuer).is_none()) {
        return Err(record.wrong_at("subjects", "subjects.issuer", unknown("issuer", issuer)));
    }
    for (index, party) in rule.parties().iter().enumerate() {
        if registry.issuer(&party.iss).is_none() {
            return Err(record.wrong_at("actors", &format!("actors[{index}].iss"), unknown("issuer", &party.iss)));
        }
    }
    Ok(())
}

/// Consent has two sides: a target lists its callers, and a client may list its targets. What they do not agree on, no
/// rule can allow.
fn check_consent(rule: &Rule, record: &Place<'_>, registry: &Registry) -> Result<(), ConfigError> {
    let (clients, targets) = (listed(&rule.clients), listed(&rule.targets));
    let agree = |client: &str, target: &TargetRecord| {
        let narrowed = registry.client(client).and_then(|client| client.targets.as_ref());
        target.is_called_by(client) && narrowed.is_none_or(|targets| targets.contains(&target.id))
    };
    for (index, id) in targets.iter().enumerate() {
        let Some(target) = registry.target_by_id(id) else { continue };
        let agrees = match clients {
            [] => target.is_called_by_any(),
            clients => clients.iter().any(|client| agree(client, target)),
        };
        if !agrees {
            let help = match clients {
                [client] if target.is_called_by(client) => {
                    format!(
                        "client `{client}` does not list `{id}` in its `targets`, so this never matches: list it there"
                    )
                }
                [client] => {
                    format!(
                        "target `{id}` does not list `{client}` in its `callers`, so this never matches: list it there"
                    )
                }
                _ => format!("none of the rule's clients is among the `callers` of target `{id}`: list one there"),
            };
            return Err(record.wrong_member("targets", index, help));
        }
    }
    for (index, id) in clients.iter().enumerate().filter(|_| !targets.is_empty()) {
        let mut known = targets.iter().filter_map(|target| registry.target_by_id(target));
        if !known.any(|target| agree(id, target)) {
            let help =
                format!("none of the rule's targets lists `{id}` in its `callers`, so this never matches for it");
            return Err(record.wrong_member("clients", index, help));
        }
    }
    Ok(())
}

fn check_scopes(rule: &Rule, record: &Place<'_>, registry: &Registry) -> Result<(), ConfigError> {
    let targets = listed(&rule.targets);
    for (index, scope) in rule.listed_scopes().iter().enumerate() {
        // What is no scope at all has a mistake of its own, which the table tells.
        let is_scope = Scope::from_tokens([scope]).is_ok();
        let has = |target: &TargetRecord| !is_scope || target.scopes.contains(scope);
        let known = match targets {
            [] => registry.targets().iter().any(|target| has(target)),
            targets => targets.iter().filter_map(|id| registry.target_by_id(id)).any(|target| has(target)),
        };
        if !known {
            let help =
                format!("no target of the rule has a scope `{scope}`: list it in the target's `scopes`, or correct it");
            return Err(record.wrong_member("scopes", index, help));
        }
    }
    Ok(())
}

/// What a subject's issuer does not issue cannot be asked of its tokens.
fn check_subjects(rule: &Rule, record: &Place<'_>, registry: &Registry) -> Result<(), ConfigError> {
    let of_one = rule.subjects.issuer.as_deref().and_then(|issuer| registry.issuer(issuer));
    let accepts = |token_type: &TokenType| match of_one {
        Some(issuer) => issuer.accepts(token_type),
        None => registry.accepts(token_type),
    };
    match rule.subjects.types() {
        [] => Ok(()),
        types if types.iter().any(accepts) => Ok(()),
        [first, ..] => {
            let help = format!("no issuer of the rule's subjects has tokens of type `{first}`, so this never matches");
            Err(record.wrong_at("subjects", "subjects.type", help))
        }
    }
}

/// Who acts is the client, or one that it carries.
fn check_actors(
    rule: &Rule,
    record: &Place<'_>,
    registry: &Registry,
    carried: &HashSet<&Party>,
) -> Result<(), ConfigError> {
    let is_actor = |client: &ClientRecord, party: &Party| {
        client.carries.contains(party) || (registry.is_own(&party.iss) && client.id == party.sub)
    };
    for (index, party) in rule.parties().iter().enumerate() {
        let can_act = match rule.clients.listed() {
            None => carried.contains(party) || (registry.is_own(&party.iss) && registry.client(&party.sub).is_some()),
            Some(ids) => ids.iter().filter_map(|id| registry.client(id)).any(|client| is_actor(client, party)),
        };
        if !can_act {
            let help = format!(
                "none of the rule's clients carries `{}` of `{}`, so this never matches: list it in the `carries` of one",
                party.sub, party.iss,
            );
            return Err(record.wrong_member("actors", index, help));
        }
    }
    Ok(())
}

fn check_limits(rule: &Rule, record: &Place<'_>) -> Result<(), ConfigError> {
    if rule.has_no_room() {
        return Err(record.wrong("max_depth", "give 1 or more: a delegation names at least one actor"));
    }
    if rule.wants_sender_constraint() {
        let help = "nothing that this version issues is bound to its sender, so this never matches: leave it out";
        return Err(record.wrong("require_sender_constraint", help));
    }
    Ok(())
}

/// A deny must still find its subjects after they were exchanged once.
fn check_lasting(rule: &Rule, record: &Place<'_>, registry: &Registry) -> Result<(), ConfigError> {
    let issuer = rule.subjects.issuer.as_deref().and_then(|issuer| registry.issuer(issuer));
    let renamed = issuer.is_some_and(|issuer| matches!(issuer.subjects, Some(SubjectMapping::Claim(_))));
    if renamed && rule.subjects.subs.listed().is_some() {
        let help =
            "its subjects lose these names in their first exchange, and the deny with them: deny by issuer or claim";
        return Err(record.wrong_at("subjects", "subjects.names", help));
    }
    Ok(())
}
