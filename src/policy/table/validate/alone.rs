use crate::{
    policy::{Effect, Rule, Semantics},
    proof::Permission,
    protocol::Scope,
    records::{
        ConfigErrorKind::{self, Conflict, Invalid, Missing},
        Field, Place, Problems,
    },
};
use std::time::Duration;

/// How a document and how code write a list that contains everything.
const ANY_NAME: Field = Field::new("any", "Names::any()");
const ANY_SUBJECT: Field = Field::new("any", "Subjects::any()");
const ANY_ACTOR: Field = Field::new("any", "Actors::any()");
const ISSUER: Field = Field::new("issuer", "Subjects::of_issuer");
const DELEGATION: Field = Field::new("grant", "delegation");
const IMPERSONATION: Field = Field::new("grant", "impersonation");

/// Checks that a rule does not contradict itself.
pub(super) fn check(rule: &Rule, place: &Place<'_>, problems: &mut Problems) {
    let mut report = |field: Field, kind: ConfigErrorKind, help: &str| {
        problems.add(place.wrong(field, help).of_kind(kind));
    };
    match rule.effect {
        Effect::Allow => check_allow(rule, place, &mut report),
        Effect::Deny => check_deny(rule, place, &mut report),
    }
}

fn check_allow(rule: &Rule, place: &Place<'_>, report: &mut impl FnMut(Field, ConfigErrorKind, &str)) {
    if rule.subjects.names.listed().is_some() && rule.subjects.issuer.is_none() {
        let help = format!(
            "names without an issuer: the same name can be a different user at each issuer; add `{}`",
            place.word(ISSUER)
        );
        report("subjects".into(), Missing, &help);
    }
    match &rule.scopes {
        None => {
            let help = format!("no scopes: list the scopes that the rule allows, or write `{}`", place.word(ANY_NAME));
            report("scopes".into(), Missing, &help);
        }
        Some(scopes) if scopes.is_empty() || Scope::from_tokens(scopes.listed().unwrap_or_default()).is_err() => {
            let help =
                "not a list of scope tokens: list one or more scopes, each without spaces (RFC 6749 section 3.3)";
            report("scopes".into(), Invalid, help);
        }
        Some(_) => {}
    }
    if rule.requires_actor_token && rule.semantics() == Semantics::Impersonation {
        let help = "an exchange with an actor token always issues a token with `act`: allow delegation too, or do not \
                    require an actor token";
        report("require_actor_token".into(), Conflict, help);
    }
    if rule.max_lifetime.is_some_and(is_shorter_than_a_second) {
        report("max_lifetime".into(), Invalid, "shorter than a second: give 1 s or more");
    }
    let Some(login) = &rule.login else { return };
    // The client gets the values as one text, separated by spaces (RFC 9470 section 3).
    let is_acr = |value: &String| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    match &login.acr_values {
        Some(values) if values.is_empty() => {
            report("require_acr".into(), Invalid, "an empty list never matches: list a value, or remove the condition");
        }
        Some(values) if !values.iter().all(is_acr) => {
            let help = "not a list of `acr` values: list each value alone, in printable ASCII without spaces";
            report("require_acr".into(), Invalid, help);
        }
        Some(_) | None => {}
    }
    if login.max_age.is_some_and(is_shorter_than_a_second) {
        report("max_auth_age".into(), Invalid, "shorter than a second: give 1 s or more");
    }
}

fn check_deny(rule: &Rule, place: &Place<'_>, report: &mut impl FnMut(Field, ConfigErrorKind, &str)) {
    let lists = [
        ("clients", ANY_NAME, rule.clients.is_empty()),
        ("targets", ANY_NAME, rule.targets.is_empty()),
        ("subjects", ANY_SUBJECT, rule.subjects.names.is_empty()),
        ("actors", ANY_ACTOR, rule.actors.is_empty()),
    ];
    for (field, any, _) in lists.into_iter().filter(|(_, _, is_empty)| *is_empty) {
        let help = format!("a deny rule with an empty list never matches: list a name, or write `{}`", place.word(any));
        report(field.into(), Invalid, &help);
    }
    let login = rule.login.as_deref();
    let settings_of_allow_rules = [
        (Field::from("scopes"), rule.scopes.is_some()),
        (DELEGATION, rule.delegation),
        (IMPERSONATION, rule.impersonation),
        ("max_lifetime".into(), rule.max_lifetime.is_some()),
        ("max_depth".into(), rule.max_depth.is_some()),
        ("require_sender_constraint".into(), rule.requires_sender_constraint),
        ("rebind".into(), rule.binding == Permission::Rebind),
        ("release".into(), rule.binding == Permission::Release),
        ("require_acr".into(), login.is_some_and(|login| login.acr_values.is_some())),
        ("max_auth_age".into(), login.is_some_and(|login| login.max_age.is_some())),
    ];
    for (field, _) in settings_of_allow_rules.into_iter().filter(|(_, is_set)| *is_set) {
        report(field, Conflict, "a deny rule refuses the whole request: move this setting to an allow rule");
    }
}

fn is_shorter_than_a_second(duration: Duration) -> bool {
    duration.as_secs() == 0
}
