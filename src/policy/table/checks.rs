use super::Rule;
use crate::{
    policy::Semantics,
    protocol::Scope,
    records::{ConfigError, Place, Wording},
};

/// Refuses a rule that says what cannot be meant.
pub(super) fn check(rule: &Rule) -> Result<(), ConfigError> {
    let contradiction =
        about_lists(rule).or_else(|| about_scopes(rule)).or_else(|| about_effect(rule)).or_else(|| about_login(rule));
    match contradiction {
        None => Ok(()),
        Some((field, help)) => {
            let name = rule.name();
            Err(Place::new("rule", rule.number() - 1, &name, Wording::Methods).wrong(field, help))
        }
    }
}

/// A field, and the way out.
type Contradiction = Option<(&'static str, &'static str)>;

fn about_lists(rule: &Rule) -> Contradiction {
    const NEVER: &str = "a deny with an empty list never matches: name some, or any";
    let lists = [("clients", &rule.clients), ("targets", &rule.targets), ("subjects", &rule.subjects.subs)];
    if !rule.allows {
        let empty = lists.into_iter().find(|(_, list)| list.are_none());
        return match empty {
            Some((field, _)) => Some((field, NEVER)),
            None => rule.actors.are_none().then_some(("actors", NEVER)),
        };
    }
    let same_name = rule.subjects.subs.listed().is_some() && rule.subjects.issuer.is_none();
    same_name.then_some(("subjects", "the same name means somebody else at each issuer: begin with `of_issuer`"))
}

fn about_scopes(rule: &Rule) -> Contradiction {
    match (&rule.scopes, rule.allows) {
        (None, true) => Some(("scopes", "none: name those that it allows, or `Names::any()`")),
        (Some(_), false) => Some(("scopes", "a deny refuses the whole request: leave them out")),
        (Some(names), _) if names.are_none() || Scope::from_tokens(names.listed().unwrap_or_default()).is_err() => {
            Some(("scopes", "not a list of scope tokens"))
        }
        _ => None,
    }
}

fn about_effect(rule: &Rule) -> Contradiction {
    if !rule.allows && (rule.limits.is_some() || rule.delegation || rule.impersonation) {
        return Some(("semantics or limits", "a deny refuses the whole request: leave them out"));
    }
    if rule.allows && rule.by_token && rule.semantics() == Semantics::Impersonation {
        let help = "an actor token never ends in a token without `act`: allow `delegation` too, or leave it out";
        return Some(("require_actor_token", help));
    }
    if !rule.allows && rule.bound {
        return Some(("require_sender_constraint", "a deny refuses however a token is bound: give it to the allows"));
    }
    let no_time =
        rule.limits.as_ref().and_then(|limits| limits.lifetime).is_some_and(|lifetime| lifetime.as_secs() == 0);
    no_time.then_some(("max_lifetime", "give 1 s or more"))
}

fn about_login(rule: &Rule) -> Contradiction {
    let login = rule.login.as_deref()?;
    if !rule.allows {
        return Some(("require_acr or max_auth_age", "a deny refuses however they logged in: give it to the allows"));
    }
    // In the answer they stand in one text, with a space between (RFC 9470 section 3).
    let is_value = |value: &String| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    match (&login.acr_values, login.max_age) {
        (Some(values), _) if values.is_empty() => {
            Some(("require_acr", "an empty list never matches: name some, or leave it out"))
        }
        (Some(values), _) if !values.iter().all(is_value) => {
            Some(("require_acr", "give each value by itself, in printable ASCII without spaces"))
        }
        (_, Some(age)) if age.as_secs() == 0 => Some(("max_auth_age", "give 1 s or more: nobody logs in sooner")),
        _ => None,
    }
}
