//! A table finds its rules through an index, and decides as if it had read them one after the other.

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

/// A rule as the test sees it.
#[derive(Clone, Debug)]
struct Said {
    allows: bool,
    clients: Option<Vec<&'static str>>,
    targets: Option<Vec<&'static str>>,
    issuer: Option<&'static str>,
    subs: Option<Vec<&'static str>>,
    or_clients: bool,
    claims: Vec<(&'static str, Value)>,
    id_tokens: bool,
    any_actor: bool,
    by_token: bool,
    strong: bool,
    shadow: bool,
    impersonation: bool,
    scopes: Option<Vec<&'static str>>,
}

fn names(list: &Option<Vec<&'static str>>) -> Names {
    list.as_ref().map_or(Names::any(), |list| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().into())
}

impl Said {
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
        for (said, builder) in [
            (self.by_token, Rule::require_actor_token as fn(Rule) -> Rule),
            (self.impersonation, Rule::impersonation),
            (self.strong, |rule| rule.require_acr(["strong"])),
            (self.shadow, Rule::shadow),
        ] {
            rule = if said { builder(rule) } else { rule };
        }
        rule
    }

    fn matches(&self, query: &Query) -> bool {
        let lists = |list: &Option<Vec<&str>>, name: &str| list.as_ref().is_none_or(|list| list.contains(&name));
        let names = |party: &Party| self.issuer.is_none_or(|iss| iss == party.iss) && lists(&self.subs, &party.sub);
        let mut targets = query.targets.iter().map(|target| lists(&self.targets, target.as_str()));
        lists(&self.clients, query.client_id.as_str())
            && (names(&query.subject.party) || !self.allows && query.subject.origin.as_ref().is_some_and(names))
            && self.claims.iter().all(|(name, wanted)| match query.subject.claims.get(*name) {
                Some(Value::Array(held)) => held.contains(wanted),
                held => held == Some(wanted),
            })
            && (!self.allows || self.or_clients || !query.subject.is_client)
            && (self.any_actor || query.actor.is_client)
            && (!self.by_token || query.actor.by_token)
            && (!self.id_tokens || query.subject.token_type == TokenType::ID_TOKEN)
            && if self.allows { targets.all(|fits| fits) } else { targets.any(|fits| fits) }
    }

    fn granted(&self, query: &Query) -> Scope {
        let here = |scope: &&str| self.scopes.as_ref().is_none_or(|list| list.contains(scope));
        Scope::from_tokens(query.max_scope.iter().filter(here)).unwrap()
    }
}

/// The meaning of a table, read from its first rule to its last.
fn read_through(said: &[Said], with_shadow: bool, query: &Query) -> Decision {
    let name = |position: usize| format!("rule {}", position + 1);
    // Ready or not, possible or not, how much: what sorts before decides, the first of equals.
    let mut best: Option<(bool, bool, usize, usize)> = None;
    let real = |rule: &Said| with_shadow || !rule.shadow;
    for (position, rule) in said.iter().enumerate().filter(|(_, rule)| real(rule) && rule.matches(query)) {
        if !rule.allows {
            return Decision::deny(name(position));
        }
        let possible = if rule.impersonation { query.impersonation_possible } else { query.delegation_possible };
        let granted = rule.granted(query);
        let worth = query.requested_scope.as_ref().map_or(granted.len(), |asked| asked.intersection(&granted).len());
        let ready = !rule.strong || query.subject.acr.as_deref() == Some("strong");
        if best.is_none_or(|(was, could, most, _)| (ready, possible, worth) > (was, could, most)) {
            best = Some((ready, possible, worth, position));
        }
    }
    let no_rule = Decision::Deny(Denial::no_rule(""));
    let Some((ready, possible, _, position)) = best else { return no_rule };
    let rule = &said[position];
    match (ready, possible) {
        (true, _) => {}
        (false, true) => {
            let why = format!("{}: logged in nobody knows when, with acr `weak`", name(position));
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

fn said() -> impl Strategy<Value = Said> {
    let claim =
        (select(&["groups", "level"][..]), prop_oneof![select(&NAMES[..4]).prop_map(Value::from), Just(json!(3))]);
    let who = (option::of(select(&ISSUERS[..])), option::of(some_names()), any::<bool>(), vec(claim, 0..2));
    let seldom = || prop::bool::weighted(0.2);
    let what =
        (any::<bool>(), seldom(), option::of(vec(select(&SCOPES[..]), 1..3)), [seldom(), seldom(), seldom(), seldom()]);
    let lists = (option::weighted(0.8, some_names()), option::weighted(0.8, some_names()));
    // Few denies, so that something is left to allow.
    (prop::bool::weighted(0.9), lists, who, what).prop_map(|(allows, lists, who, what)| Said {
        allows,
        clients: lists.0,
        targets: lists.1,
        // An allow that names subjects must say whose.
        issuer: who.0.or((allows && who.1.is_some()).then_some(ISSUERS[0])),
        subs: who.1,
        or_clients: who.2,
        claims: who.3,
        any_actor: what.0,
        // An actor token never ends in an impersonation, and a deny says nothing of what it refuses.
        impersonation: allows && what.1 && !what.3[1],
        id_tokens: what.3[0],
        by_token: what.3[1],
        strong: allows && what.3[2],
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
    let subject = (party(), option::of(party()), any::<bool>(), groups, option::of(2..4));
    let scope = || vec(select(&SCOPES[..]), 0..3).prop_map(|list| Scope::from_tokens(list).unwrap());
    let rest = (vec(name(), 0..3), scope(), option::of(scope()), any::<[bool; 6]>());
    (name(), subject, rest).prop_map(|(client, (party, origin, is_client, groups, level), rest)| {
        let mut query = Query::new(client, party, "a");
        query.subject.origin = origin;
        query.subject.is_client = is_client;
        query.subject.claims.extend(groups.map(|groups| ("groups".to_owned(), groups)));
        query.subject.claims.extend(level.map(|level| ("level".to_owned(), json!(level))));
        (query.targets, query.max_scope, query.requested_scope) =
            (rest.0.into_iter().map(Into::into).collect(), rest.1, rest.2);
        let strong;
        let id_token;
        [
            query.actor.is_client,
            query.delegation_possible,
            query.impersonation_possible,
            query.actor.by_token,
            strong,
            id_token,
        ] = rest.3;
        query.subject.acr = Some(if strong { "strong" } else { "weak" }.to_owned());
        query.subject.token_type = if id_token { TokenType::ID_TOKEN } else { TokenType::ACCESS_TOKEN };
        query
    })
}

/// The same, with what it would be if the rules on trial were real.
fn read_twice(said: &[Said], query: &Query) -> Decision {
    let (decided, would) = (read_through(said, false, query), read_through(said, true, query));
    let told = |decision: &Decision| match decision {
        Decision::Allow(grant) => Decision::Allow(grant.clone().policy_id("")),
        Decision::Deny(denial) if is_step_up(denial) => Decision::Deny(denial.clone().reason("")),
        Decision::Deny(_) => Decision::deny(""),
    };
    if told(&decided) == told(&would) {
        return decided;
    }
    let text = format!("{would:?}");
    let rule = text.split('"').nth(1).unwrap().split(':').next().unwrap().to_owned();
    decided.with_shadow(match &would {
        Decision::Allow(_) => ShadowOutcome::WouldAllow { rule },
        Decision::Deny(denial) if is_step_up(denial) => ShadowOutcome::WouldStepUp { rule },
        Decision::Deny(_) => ShadowOutcome::WouldDeny { rule },
    })
}

fn is_step_up(denial: &Denial) -> bool {
    denial.clone().reason("") == Denial::step_up(["strong"], None)
}

/// No rule is said in words of its own.
fn in_our_words(decision: Decision) -> Decision {
    match decision {
        Decision::Deny(denial) if format!("{denial:?}").contains("NoRule") => Decision::Deny(denial.reason("")),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_reading_would(said in vec(said(), 0..150), queries in vec(query(), 8)) {
        let table = Table::new(said.iter().map(Said::rule)).unwrap();
        for query in queries {
            prop_assert_eq!(in_our_words(table.decide(&query)), read_twice(&said, &query), "{:?}", query);
        }
    }
}

/// What the cases above see of a table is worth something only if its rules do match now and then.
#[test]
fn the_cases_come_to_every_kind_of_an_end() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut ends = [0; 5];
    for _ in 0..500 {
        let said = vec(said(), 25).new_tree(&mut runner).unwrap().current();
        let query = query().new_tree(&mut runner).unwrap().current();
        let decision = read_twice(&said, &query);
        ends[4] += usize::from(decision.shadow().is_some());
        let end = match read_through(&said, false, &query) {
            Decision::Allow(_) => 0,
            Decision::Deny(denial) if denial == Denial::no_rule("") => 1,
            Decision::Deny(denial) if is_step_up(&denial) => 2,
            Decision::Deny(_) => 3,
        };
        ends[end] += 1;
    }
    assert!(ends.iter().all(|count| *count > 10), "{ends:?}");
}
