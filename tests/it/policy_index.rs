//! A table with an index decides like a table that reads every rule.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use tower_token_exchange::{
    Scope, TokenType,
    policy::{Actors, Decision, Denial, Grant, Names, Query, Rule, Semantics, ShadowOutcome, Subjects, Table},
    records::Party,
};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const ISSUERS: [&str; 2] = ["https://as.example", "https://idp.example"];
const SCOPES: [&str; 3] = ["read", "write", "admin"];

/// The description of a rule, from which the test builds the rule and an expected decision.
#[derive(Clone, Debug)]
struct Description {
    allows: bool,
    clients: Option<Vec<&'static str>>,
    targets: Option<Vec<&'static str>>,
    issuer: Option<&'static str>,
    subs: Option<Vec<&'static str>>,
    or_clients: bool,
    claims: Vec<(&'static str, Value)>,
    id_tokens: bool,
    any_actor: bool,
    requires_actor_token: bool,
    requires_strong_login: bool,
    shadow: bool,
    impersonation: bool,
    scopes: Option<Vec<&'static str>>,
}

fn names(list: &Option<Vec<&'static str>>) -> Names {
    list.as_ref().map_or(Names::any(), |list| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().into())
}

impl Description {
    fn rule(&self) -> Rule {
        let mut subjects = self.issuer.map_or(Subjects::any(), Subjects::of_issuer);
        if let Some(subs) = &self.subs {
            subjects = subjects.named(subs.iter().copied());
        }
        if self.or_clients {
            subjects = subjects.or_clients();
        }
        if self.id_tokens {
            subjects = subjects.of_type(TokenType::ID_TOKEN);
        }
        for (name, value) in &self.claims {
            subjects = subjects.with_claim(*name, value.clone());
        }
        let (clients, targets) = (names(&self.clients), names(&self.targets));
        let actors = if self.any_actor { Actors::any() } else { Actors::client() };
        let mut rule = match self.allows {
            true => Rule::allow(clients, subjects, targets).scopes(names(&self.scopes)),
            false => Rule::deny(clients, subjects, targets),
        };
        rule = rule.actors(actors);
        for (is_set, setter) in [
            (self.requires_actor_token, Rule::require_actor_token as fn(Rule) -> Rule),
            (self.impersonation, Rule::impersonation),
            (self.requires_strong_login, |rule| rule.require_acr(["strong"])),
            (self.shadow, Rule::shadow),
        ] {
            rule = if is_set { setter(rule) } else { rule };
        }
        rule
    }

    fn matches(&self, query: &Query) -> bool {
        let lists = |list: &Option<Vec<&str>>, name: &str| list.as_ref().is_none_or(|list| list.contains(&name));
        let names = |party: &Party| self.issuer.is_none_or(|iss| iss == party.iss) && lists(&self.subs, &party.sub);
        let mut targets = query.targets.iter().map(|target| lists(&self.targets, target.as_str()));
        lists(&self.clients, query.client_id.as_str())
            && (names(&query.subject.party) || !self.allows && query.subject.other_names.iter().any(names))
            && self.claims.iter().all(|(name, wanted)| match query.subject.claims.get(name) {
                Some(Value::Array(held)) => held.contains(wanted),
                held => held == Some(wanted),
            })
            && (!self.allows || self.or_clients || !query.subject.is_client)
            && (self.any_actor || query.actor.is_client)
            && (!self.requires_actor_token || query.actor.by_token)
            && (!self.id_tokens
                || query.subject.token_type == TokenType::ID_TOKEN
                || !self.allows && query.subject.earlier_token_types.contains(&TokenType::ID_TOKEN))
            && if self.allows { targets.all(|fits| fits) } else { targets.any(|fits| fits) }
    }

    fn granted(&self, query: &Query) -> Scope {
        let here = |scope: &&str| self.scopes.as_ref().is_none_or(|list| list.contains(scope));
        Scope::from_tokens(query.max_scope.iter().filter(here)).unwrap()
    }
}

/// The decision of a table that reads every rule, with or without its shadow rules.
fn expected_of(rules: &[Description], with_shadow: bool, query: &Query) -> Decision {
    let name = |position: usize| format!("rule {}", position + 1);
    // Whether the login is sufficient, whether the layer can issue the token, how much the rule grants, and the position.
    let mut best: Option<(bool, bool, usize, usize)> = None;
    let in_force = |rule: &Description| with_shadow || !rule.shadow;
    for (position, rule) in rules.iter().enumerate().filter(|(_, rule)| in_force(rule) && rule.matches(query)) {
        if !rule.allows {
            return Decision::deny(name(position));
        }
        let possible = if rule.impersonation { query.impersonation_possible } else { query.delegation_possible };
        let granted = rule.granted(query);
        let count = query.requested_scope.as_ref().map_or(granted.len(), |asked| asked.intersection(&granted).len());
        let ready = !rule.requires_strong_login || query.subject.acr.as_deref() == Some("strong");
        if best.is_none_or(|(best_ready, best_possible, most, _)| {
            (ready, possible, count) > (best_ready, best_possible, most)
        }) {
            best = Some((ready, possible, count, position));
        }
    }
    let no_rule = Decision::Deny(Denial::no_rule(""));
    let Some((ready, possible, _, position)) = best else { return no_rule };
    let rule = &rules[position];
    match (ready, possible) {
        (true, _) => {}
        (false, true) => {
            let why = format!("{}: logged in at an unknown time, with acr `weak`", name(position));
            return Denial::step_up(["strong"], None).reason(why).into();
        }
        (false, false) => return no_rule,
    }
    let semantics = if rule.impersonation { Semantics::Impersonation } else { Semantics::Delegation };
    Decision::Allow(Grant::new(semantics).scope(rule.granted(query)).policy_id(name(position)))
}

fn some_names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![4 => vec(select(&NAMES[..4]), 1..3), 1 => vec(select(&NAMES[..]), 9..20)]
}

fn description() -> impl Strategy<Value = Description> {
    let claim =
        (select(&["groups", "level"][..]), prop_oneof![select(&NAMES[..4]).prop_map(Value::from), Just(json!(3))]);
    let who = (option::of(select(&ISSUERS[..])), option::of(some_names()), any::<bool>(), vec(claim, 0..2));
    let seldom = || prop::bool::weighted(0.2);
    let what =
        (any::<bool>(), seldom(), option::of(vec(select(&SCOPES[..]), 1..3)), [seldom(), seldom(), seldom(), seldom()]);
    let lists = (option::weighted(0.8, some_names()), option::weighted(0.8, some_names()));
    // A tenth are deny rules. With more, too few queries would be allowed.
    (prop::bool::weighted(0.9), lists, who, what).prop_map(|(allows, lists, who, what)| Description {
        allows,
        clients: lists.0,
        targets: lists.1,
        // An allow rule that names subjects must name their issuer.
        issuer: who.0.or((allows && who.1.is_some()).then_some(ISSUERS[0])),
        subs: who.1,
        or_clients: who.2,
        claims: who.3,
        any_actor: what.0,
        // An actor token never leads to an impersonation, and a deny rule sets no conditions on the issued token.
        impersonation: allows && what.1 && !what.3[1],
        id_tokens: what.3[0],
        requires_actor_token: what.3[1],
        requires_strong_login: allows && what.3[2],
        shadow: what.3[3],
        scopes: what.2,
    })
}

fn query() -> impl Strategy<Value = Query> {
    let name = || select(&NAMES[..5]);
    let party = || (select(&ISSUERS[..]), name()).prop_map(|(iss, sub)| Party::new(iss, sub));
    let groups = prop_oneof![
        Just(None),
        name().prop_map(|name| Some(json!(name))),
        vec(name(), 0..4).prop_map(|list| Some(json!(list))),
        Just(Some(json!([3, "a", null]))),
    ];
    let subject = (party(), vec(party(), 0..2), any::<bool>(), groups, option::of(2..4));
    let scope = || vec(select(&SCOPES[..]), 0..3).prop_map(|list| Scope::from_tokens(list).unwrap());
    let rest = (vec(name(), 0..3), scope(), option::of(scope()), any::<[bool; 7]>());
    (name(), subject, rest).prop_map(|(client, (party, other_names, is_client, groups, level), rest)| {
        let mut query = Query::new(client, party, "a");
        query.subject.other_names = other_names;
        query.subject.is_client = is_client;
        query.subject.claims.extend(groups.map(|groups| ("groups".to_owned(), groups)));
        query.subject.claims.extend(level.map(|level| ("level".to_owned(), json!(level))));
        (query.targets, query.max_scope, query.requested_scope) =
            (rest.0.into_iter().map(Into::into).collect(), rest.1, rest.2);
        let strong;
        let id_token;
        let from_id_token;
        [
            query.actor.is_client,
            query.delegation_possible,
            query.impersonation_possible,
            query.actor.by_token,
            strong,
            id_token,
            from_id_token,
        ] = rest.3;
        query.subject.acr = Some(if strong { "strong" } else { "weak" }.to_owned());
        query.subject.earlier_token_types = if from_id_token { vec![TokenType::ID_TOKEN] } else { vec![] };
        query.subject.token_type = if id_token { TokenType::ID_TOKEN } else { TokenType::ACCESS_TOKEN };
        query
    })
}

/// The expected decision, with the outcome of the shadow rules.
fn expected(rules: &[Description], query: &Query) -> Decision {
    let (decided, would) = (expected_of(rules, false, query), expected_of(rules, true, query));
    let effect = |decision: &Decision| match decision {
        Decision::Allow(grant) => Decision::Allow(grant.clone().policy_id("")),
        Decision::Deny(denial) if is_step_up(denial) => Decision::Deny(denial.clone().reason("")),
        _ => Decision::deny(""),
    };
    if effect(&decided) == effect(&would) {
        return decided;
    }
    let text = format!("{would:?}");
    let rule = text.split('"').nth(1).unwrap().split(':').next().unwrap().to_owned();
    decided.with_shadow(match &would {
        Decision::Allow(_) => ShadowOutcome::WouldAllow { rule },
        Decision::Deny(denial) if is_step_up(denial) => ShadowOutcome::WouldStepUp { rule },
        _ => ShadowOutcome::WouldDeny { rule },
    })
}

fn is_step_up(denial: &Denial) -> bool {
    denial.clone().reason("") == Denial::step_up(["strong"], None)
}

/// Removes the reason of a decision without a rule. The test does not pin its text.
fn without_reason(decision: Decision) -> Decision {
    match decision {
        Decision::Deny(denial) if format!("{denial:?}").contains("NoRule") => Decision::Deny(denial.reason("")),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_table_with_an_index_decides_like_reading(rules in vec(description(), 0..60), queries in vec(query(), 16)) {
        let table = Table::new(rules.iter().map(Description::rule)).unwrap();
        for query in queries {
            prop_assert_eq!(without_reason(table.decide(&query)), expected(&rules, &query), "{:?}", query);
        }
    }
}

/// The property above is worth something only if its cases lead to every kind of decision.
#[test]
fn the_cases_lead_to_every_kind_of_decision() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts = [0; 5];
    for _ in 0..1000 {
        let rules = vec(description(), 25).new_tree(&mut runner).unwrap().current();
        let query = query().new_tree(&mut runner).unwrap().current();
        let decision = expected(&rules, &query);
        counts[4] += usize::from(decision.shadow().is_some());
        let kind = match expected_of(&rules, false, &query) {
            Decision::Allow(_) => 0,
            Decision::Deny(denial) if denial == Denial::no_rule("") => 1,
            Decision::Deny(denial) if is_step_up(&denial) => 2,
            _ => 3,
        };
        counts[kind] += 1;
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
