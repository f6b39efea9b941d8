use super::{
    AccessRefusal, AccessRule, AccessToken,
    challenge::{Context, Scheme},
    rule::ActorCondition,
};
use crate::{
    protocol::{NumericDate, Reason, Rejection, Scope, StepUp, refuse},
    records::{ConfigError, ConfigErrorKind, Problems},
};
use std::time::{Duration, SystemTime};

/// The tolerance for an `auth_time` in the future: the clocks of two servers differ.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// Rules of who may use a resource. A token is allowed if one rule allows the token.
///
/// [`decide`](Self::decide) needs no HTTP, so a handler, a consumer of a message queue and a test can call the function.
///
/// ```
/// use std::time::SystemTime;
/// use tower_token_exchange::{
///     Reason,
///     resource::{AccessRule, AccessRules, AccessToken, PartySet},
///     token::Claims,
/// };
///
/// let orders = PartySet::of("https://as.example", ["orders"]);
/// let rules = AccessRules::new([AccessRule::with_actor(orders)])?;
/// let token = |act: &str| {
///     let claims = format!(r#"{{"iss":"https://as.example","sub":"alice","exp":1800000600,"act":{act}}}"#);
///     AccessToken::from_claims(claims.parse()?).map_err(Box::<dyn std::error::Error>::from)
/// };
/// let now = SystemTime::now();
/// assert!(rules.decide(&token(r#"{"sub":"orders"}"#)?, now).is_ok());
/// // The earlier actor does not decide.
/// let other = rules.decide(&token(r#"{"sub":"web","act":{"sub":"orders"}}"#)?, now);
/// assert_eq!(other.unwrap_err().reason(), Reason::AccessActorRefused);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccessRules(Vec<Checked>);

/// A rule without mistakes.
#[derive(Clone, Debug)]
struct Checked {
    rule: AccessRule,
    scope: Scope,
}

impl AccessRules {
    /// Checks the rules.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake: no rule, a rule that allows nothing, or a text that is not a scope token or an `acr`
    /// value.
    pub fn new(rules: impl IntoIterator<Item = AccessRule>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let checked: Vec<_> =
            rules.into_iter().enumerate().filter_map(|(at, rule)| check(rule, at, &mut problems)).collect();
        let rules = problems.or(checked)?;
        if rules.is_empty() {
            let help = "none: give at least one `AccessRule`; without rules, every request is refused";
            return Err(ConfigError::new("rules", help).of_kind(ConfigErrorKind::Missing));
        }
        Ok(Self(rules))
    }

    /// Decides whether a verified token may use the resource at this time.
    ///
    /// # Errors
    /// [`AccessRefusal`] of the rule that came closest. The conditions of a rule are checked in this order: subject, client, actor,
    /// earlier actors, possession, scope, login.
    pub fn decide(&self, token: &AccessToken, now: SystemTime) -> Result<(), AccessRefusal> {
        self.check(token, now.into()).map_err(|rejection| {
            let accepts_dpop = token.binding().key.is_some();
            let scheme = if accepts_dpop { Scheme::Dpop } else { Scheme::Bearer };
            let context = Context { scheme, accepts_bearer: !accepts_dpop, accepts_dpop, ..Context::default() };
            AccessRefusal::with_context(rejection, &context)
        })
    }

    pub(super) fn check(&self, token: &AccessToken, now: NumericDate) -> Result<(), Rejection> {
        let mut closest: Option<(usize, Rejection)> = None;
        for (number, rule) in self.0.iter().enumerate() {
            let Err((step, rejection)) = rule.check(token, now) else { return Ok(()) };
            if closest.as_ref().is_none_or(|(before, _)| step > *before) {
                let detail = format!("rule {} came closest", number + 1);
                closest = Some((step, rejection.with_detail(detail)));
            }
        }
        Err(closest.map_or_else(|| refuse(Reason::AccessActorRefused), |(_, rejection)| rejection))
    }

    /// The scope tokens of all rules, each once.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|rule| rule.scope.iter())
    }
}

impl Checked {
    /// Returns the refusal of the first condition that the token does not meet, and the number of the condition.
    fn check(&self, token: &AccessToken, now: NumericDate) -> Result<(), (usize, Rejection)> {
        let rule = &self.rule;
        let earlier = token.earlier_actors();
        let is_chain = rule.max_actors.is_none_or(|max| token.actors().len() <= max)
            && rule.earlier_actors.as_ref().is_none_or(|allowed| earlier.iter().all(|party| allowed.contains(party)));
        let is_subject = rule.subjects.as_ref().is_none_or(|allowed| allowed.contains(token.subject()))
            && !(rule.users_only && token.is_for_client_itself());
        let is_client =
            rule.clients.as_ref().is_none_or(|allowed| token.client().is_some_and(|client| allowed.contains(&client)));
        let is_actor = match (&rule.actor, token.actor()) {
            (ActorCondition::Any, _) | (ActorCondition::Nobody, None) => true,
            (ActorCondition::OneOf(allowed), Some(actor)) => allowed.contains(actor),
            (ActorCondition::Nobody, Some(_)) | (ActorCondition::OneOf(_), None) => false,
        };
        let conditions = [
            (is_subject, Reason::AccessSubjectRefused),
            (is_client, Reason::AccessClientRefused),
            (is_actor, Reason::AccessActorRefused),
            (is_chain, Reason::AccessChainRefused),
            (!rule.requires_sender_constraint || !token.binding().is_none(), Reason::AccessBindingRequired),
            (self.scope.is_subset(token.scope()), Reason::AccessScopeInsufficient),
            (self.is_login_sufficient(token, now), Reason::StepUpRequired),
        ];
        let Some((step, (_, reason))) = conditions.into_iter().enumerate().find(|(_, (is_met, _))| !is_met) else {
            return Ok(());
        };
        let rejection = refuse(reason);
        Err((
            step,
            match reason {
                Reason::AccessScopeInsufficient => rejection.with_needed_scope(self.scope.clone()),
                Reason::StepUpRequired => rejection.with_step_up(StepUp {
                    acr_values: rule.acr_values.clone().unwrap_or_default(),
                    max_age: rule.max_auth_age.map(|age| age.as_secs()),
                }),
                _ => rejection,
            },
        ))
    }

    fn is_login_sufficient(&self, token: &AccessToken, now: NumericDate) -> bool {
        let AccessRule { acr_values, max_auth_age, .. } = &self.rule;
        let is_acr = |values: &Vec<String>| token.acr().is_some_and(|acr| values.iter().any(|value| value == acr));
        let is_recent =
            |age: Duration| token.auth_time().is_some_and(|time| time <= now + CLOCK_DIFFERENCE && now <= time + age);
        acr_values.as_ref().is_none_or(is_acr) && max_auth_age.is_none_or(is_recent)
    }
}

/// Checks one rule. A mistake names the rule by its place in a document.
fn check(rule: AccessRule, position: usize, problems: &mut Problems) -> Option<Checked> {
    let wrong = |field: &str, help: &str| ConfigError::new(format!("rule {}: {field}", position + 1), help);
    let scope = match rule.scopes.as_slice() {
        [] => Some(Scope::empty()),
        tokens => Scope::from_tokens(tokens).ok(),
    };
    if scope.is_none() {
        problems.add(wrong("scopes", "not scope tokens: give texts without spaces, `\"` and `\\`"));
    }
    let actors = match &rule.actor {
        ActorCondition::OneOf(parties) => Some(parties),
        ActorCondition::Nobody | ActorCondition::Any => None,
    };
    for (field, parties) in
        [("actor", actors), ("subjects", rule.subjects.as_ref()), ("clients", rule.clients.as_ref())]
    {
        if parties.is_some_and(|parties| parties.is_empty()) {
            problems.add(wrong(field, "no party, so the rule allows nothing: name a party, or remove the rule"));
        }
    }
    if rule.max_actors == Some(0) && rule.actor != ActorCondition::Nobody {
        problems.add(wrong("max_actors", "no actor is allowed: use `AccessRule::without_actor` instead"));
    }
    let is_value = |value: &String| {
        !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    match &rule.acr_values {
        Some(values) if values.is_empty() => {
            problems.add(wrong(
                "require_acr",
                "no value, so the rule allows nothing: name a value, or remove this condition",
            ));
        }
        Some(values) if !values.iter().all(is_value) => {
            problems.add(wrong("require_acr", "not an `acr` value: give a text without spaces, `\"` and `\\`"));
        }
        _ => {}
    }
    if rule.max_auth_age.is_some_and(|age| age.as_secs() == 0) {
        problems.add(wrong("max_auth_age", "shorter than a second: give 1 s or more"));
    }
    Some(Checked { scope: scope?, rule })
}
