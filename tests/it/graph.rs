//! The delegation graph: its edges, its pictures, the changes between two graphs, and the tokens that can be reached.

use crate::support::*;
use proptest::{collection::vec, prelude::*, sample::subsequence, test_runner::TestRunner};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    ConfigError, Document, TokenExchangeLayer,
    graph::DelegationGraph,
    signing::{Algorithm, LocalSigner},
    token::Claims,
};

fn layer_of(document: Value, key: LocalSigner) -> Result<TokenExchangeLayer, ConfigError> {
    let document: Document = serde_json::from_value(document).unwrap();
    TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .document(document)
        .signer(key)
        .build()
}

fn graph_of(clients: Value, targets: Value, rules: Value) -> DelegationGraph {
    let document = json!({ "client": clients, "target": targets, "rule": rules });
    layer_of(document, LocalSigner::generate(Algorithm::ES256).unwrap()).unwrap().delegation_graph()
}

fn record_of(id: &str, changes: Value) -> Value {
    changed(json!({ "id": id, "secret": secret_of(id) }), changes)
}

/// The graph of two clients and two targets with these rules.
fn small_graph(rules: Value) -> DelegationGraph {
    let clients = json!([record_of("orders", json!({})), record_of("web", json!({ "targets": ["billing"] }))]);
    let targets = json!([
        { "id": "billing", "aud": "https://billing.example", "owner": "web", "callers": ["orders", "web"],
          "scopes": ["read", "write"] },
        { "id": "ledger", "callers": ["orders", "web"], "scopes": ["audit", "read"], "max_lifetime": "30s" },
    ]);
    graph_of(clients, targets, rules)
}

fn allow(changes: Value) -> Value {
    changed(json!({ "clients": "any", "subjects": "any", "targets": "any", "scopes": "any" }), changes)
}

#[test]
fn edges_respect_rules_and_records() {
    let cases = [
        (
            allow(json!({})),
            "orders → billing: read write, by delegation, for users of any issuer (rule 1)\n\
             orders → ledger: audit read, by delegation, at most 30 s, for users of any issuer (rule 1)\n\
             web → billing: read write, by delegation, for users of any issuer (rule 1)\n",
        ),
        (
            allow(
                json!({ "id": "few", "targets": "ledger", "scopes": ["read"], "max_lifetime": "10s", "max_depth": 2 }),
            ),
            "orders → ledger: read, by delegation, at most 10 s, at most 2 actors in `act`, for users of any issuer (few)\n",
        ),
        (
            allow(json!({ "clients": ["orders", "web"], "targets": ["billing", "ledger"], "scopes": ["audit"] })),
            "orders → ledger: audit, by delegation, at most 30 s, for users of any issuer (rule 1)\n",
        ),
        (
            allow(json!({ "clients": "web", "targets": "billing", "grant": ["impersonation"], "require_acr": ["phr"],
                          "max_auth_age": "10m", "require_sender_constraint": true, "shadow": true })),
            "web → billing: read write, by impersonation, bound tokens only, login with acr phr, login at most 600 s ago, \
             for users of any issuer (rule 1, a shadow rule)\n",
        ),
        (
            json!({ "effect": "deny", "clients": "orders", "subjects": { "groups": ["interns"] }, "targets": "billing" }),
            "orders → billing: denied, for users of any issuer with groups = interns (rule 1)\n",
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(small_graph(json!([rule])).to_string(), expected, "{rule}");
    }
}

#[test]
fn a_graph_can_be_narrowed() {
    let graph = small_graph(json!([allow(json!({}))]));
    let only = |clients: &[&str], targets: &[&str]| {
        let clients: Vec<_> = clients.iter().map(|id| (*id).into()).collect();
        let targets: Vec<_> = targets.iter().map(|id| (*id).into()).collect();
        graph.clone().only(&clients, &targets).edges.len()
    };
    assert_eq!((only(&[], &[]), only(&["orders"], &[]), only(&[], &["billing"])), (3, 2, 2));
    assert_eq!((only(&["web"], &["ledger"]), only(&["nobody"], &[])), (0, 0));
}

#[test]
fn pictures_show_every_rule_and_party() {
    let graph = small_graph(json!([
        allow(json!({ "id": "everyday", "clients": "orders" })),
        { "id": "no interns", "effect": "deny", "clients": "any", "subjects": { "groups": ["interns"] },
          "targets": "billing" },
        allow(json!({ "id": "on trial", "clients": "web", "targets": "billing", "shadow": true })),
    ]));
    insta::assert_snapshot!("graph_mermaid", graph.to_mermaid());
    insta::assert_snapshot!("graph_dot", graph.to_dot());
    insta::assert_snapshot!("graph_svg", graph.to_svg());
}

#[test]
fn names_cannot_break_a_picture() {
    const HOSTILE: &str = "</title><script>alert(1)</script>\"]; x --> y\\\"&amp;#60;";
    let wide = "w".repeat(64 * 1024);
    let graph = graph_of(
        json!([record_of(HOSTILE, json!({})), record_of(&wide, json!({}))]),
        json!([{ "id": HOSTILE.replace(' ', ""), "aud": "https://billing.example", "callers": [HOSTILE, wide],
                 "scopes": ["read"] }]),
        json!([allow(json!({ "id": format!("{HOSTILE}\u{202e}\nrule") }))]),
    );
    let (svg, mermaid, dot) = (graph.to_svg(), graph.to_mermaid(), graph.to_dot());
    for text in [&svg, &mermaid, &dot] {
        assert!(!text.contains('\u{202e}'), "{text}");
        assert!(text.len() < 16 * 1024, "{} bytes", text.len());
    }
    assert!(!svg.contains("<script") && svg.matches("</title>").count() == svg.matches("<title>").count(), "{svg}");
    assert!(!mermaid.contains("<script") && !mermaid.contains("x -->"), "{mermaid}");
    // In every line, the quotes of a label are a pair.
    let quotes = |line: &str| line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
    assert!(dot.lines().all(|line| quotes(line) % 2 == 0), "{dot}");
}

#[test]
fn large_documents_make_readable_pictures() {
    let clients: Vec<_> = (0..1_000).map(|number| record_of(&format!("client-{number}"), json!({}))).collect();
    let callers: Vec<_> = (0..1_000).map(|number| format!("client-{number}")).collect();
    let targets: Vec<_> = (0..50)
        .map(|number| {
            let callers: Vec<_> = callers.iter().skip(number % 10).step_by(10).collect();
            json!({ "id": format!("target-{number}"), "callers": callers, "scopes": ["read", "write"] })
        })
        .collect();
    let rules: Vec<_> = (0..10_000)
        .map(|number| {
            let subjects = json!({ "groups": [format!("group-{}", number / 50)] });
            let client = format!("client-{}", (number / 50) % 100 * 10 + number % 10);
            allow(json!({ "clients": client, "subjects": subjects, "targets": format!("target-{}", number % 50) }))
        })
        .collect();
    let graph = graph_of(json!(clients), json!(targets), json!(rules));
    assert_eq!((graph.edges.len(), graph.omitted), (10_000, 0));
    for picture in [graph.to_svg(), graph.to_mermaid(), graph.to_dot()] {
        assert!(picture.len() < 100_000, "{} bytes", picture.len());
    }
    // One client is drawn in full.
    let one = graph.only(&["client-0".into()], &[]).to_mermaid();
    assert!(one.contains("target-10") && one.contains("group-0"), "{one}");
}

#[test]
fn changes_say_what_opens_and_closes() {
    let deny =
        json!({ "effect": "deny", "clients": "orders", "subjects": { "groups": ["interns"] }, "targets": "billing" });
    let orders = |changes: Value| allow(changed(json!({ "clients": "orders", "targets": "billing" }), changes));
    let nothing = json!([]);
    // The old rules, the new rules, and what opens and closes: effects, and differences.
    let cases = [
        (json!([orders(json!({}))]), json!([orders(json!({ "id": "another name" }))]), vec![], vec![]),
        (nothing.clone(), json!([orders(json!({}))]), vec!["allow"], vec![]),
        (json!([orders(json!({}))]), nothing.clone(), vec![], vec!["allow"]),
        (json!([orders(json!({ "shadow": true }))]), json!([orders(json!({}))]), vec!["allow"], vec![]),
        (json!([orders(json!({}))]), json!([orders(json!({})), deny]), vec![], vec!["deny"]),
        (json!([orders(json!({})), deny]), json!([orders(json!({}))]), vec!["deny"], vec![]),
        (
            json!([orders(json!({ "scopes": ["read"] }))]),
            json!([orders(json!({}))]),
            vec!["allow adds the scope write"],
            vec![],
        ),
        (
            json!([orders(json!({ "scopes": ["read"], "max_lifetime": "60s" }))]),
            json!([orders(json!({ "scopes": ["write"], "max_lifetime": "30s" }))]),
            vec!["allow adds the scope write"],
            vec!["allow adds the scope read, has the lifetime limit 60 s instead of 30 s"],
        ),
        (
            json!([orders(json!({ "max_depth": 1 }))]),
            json!([orders(json!({}))]),
            vec!["allow has no limit of actors instead of 1"],
            vec![],
        ),
        (
            json!([orders(json!({ "require_sender_constraint": true }))]),
            json!([orders(json!({}))]),
            vec!["allow has the conditions: none instead of: bound tokens only"],
            vec!["allow has the conditions: bound tokens only instead of: none"],
        ),
        (
            json!([orders(json!({}))]),
            json!([orders(json!({ "grant": ["impersonation"] }))]),
            vec!["allow"],
            vec!["allow"],
        ),
    ];
    for (old, new, opens, closes) in cases {
        let changes = small_graph(old.clone()).changes_to(&small_graph(new.clone()));
        let told = |changes: &[tower_token_exchange::graph::Change]| -> Vec<String> {
            let told = changes.iter().map(|change| format!("{} {}", change.edge.effect, change.differences.join(", ")));
            told.map(|text| text.trim().to_owned()).collect()
        };
        assert_eq!((told(&changes.opens), told(&changes.closes)), (owned(&opens), owned(&closes)), "{old} to {new}");
        assert_eq!(changes.is_empty(), opens.is_empty() && closes.is_empty());
        assert!(opens.is_empty() || changes.to_svg().contains("rule opens"), "{}", changes.to_svg());
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const SCOPES: [&str; 2] = ["read", "write"];
const HOPS: usize = 3;

/// A document of three clients and the three targets that they serve.
fn documents() -> impl Strategy<Value = Value> {
    let names = || subsequence(NAMES.to_vec(), 1..=3);
    let scopes = || subsequence(SCOPES.to_vec(), 1..=2);
    let client = (any::<bool>(), any::<bool>(), prop::option::weighted(0.2, scopes()));
    let target = (subsequence(NAMES.to_vec(), 1..=3), prop::option::weighted(0.3, Just("30s")));
    let subjects = prop_oneof![
        3 => Just(json!("any")),
        1 => Just(json!({ "issuer": AS, "names": ["alice"] })),
        1 => Just(json!({ "issuer": AS, "names": ["bob"] })),
    ];
    let limits = (prop::option::weighted(0.3, 1_usize..4), prop::bool::weighted(0.3), prop::bool::weighted(0.1));
    let rule = (prop::bool::weighted(0.15), names(), subjects, names(), scopes(), limits);
    (vec(client, 3), vec(target, 3), vec(rule, 1..6)).prop_map(|(clients, targets, rules)| {
        let clients = NAMES.iter().zip(clients).map(|(id, (itself, repeated, scopes))| {
            let mut record = record_of(id, json!({ "allow_self_exchange": itself, "allow_repeated_actors": repeated }));
            if let Some(scopes) = scopes {
                record["scopes"] = json!(scopes);
            }
            record
        });
        let targets = NAMES.iter().zip(targets).map(|(id, (callers, lifetime))| {
            let mut record = json!({ "id": id, "aud": format!("https://{id}.example"), "owner": id, "callers": callers,
                                     "scopes": SCOPES });
            if let Some(lifetime) = lifetime {
                record["max_lifetime"] = json!(lifetime);
            }
            record
        });
        let rules = rules.into_iter().map(|(denies, clients, subjects, targets, scopes, limits)| {
            let mut rule = json!({ "clients": clients, "subjects": subjects, "targets": targets });
            let (depth, impersonates, shadow) = limits;
            if shadow {
                rule["shadow"] = json!(true);
            }
            if denies {
                rule["effect"] = json!("deny");
                return rule;
            }
            rule["scopes"] = json!(scopes);
            if impersonates {
                rule["grant"] = json!(["impersonation"]);
            } else if let Some(depth) = depth {
                rule["max_depth"] = json!(depth);
            }
            rule
        });
        let (clients, targets, rules): (Vec<_>, Vec<_>, Vec<_>) =
            (clients.collect(), targets.collect(), rules.collect());
        json!({ "client": clients, "target": targets, "rule": rules })
    })
}

/// What a token names: the target, the subject and the actors, and for each the scopes of the tokens.
type Reached = BTreeMap<(String, String, Vec<String>), BTreeSet<String>>;

/// Tries each client, each target and each scope with each token, by real exchanges.
async fn tried(layer: &TokenExchangeLayer, first: String) -> Reached {
    let mut reached = Reached::new();
    let mut tokens = vec![first];
    for _ in 0..HOPS {
        let mut next = Vec::new();
        for token in &tokens {
            for (client, target, scope) in questions() {
                let Some(token) = exchanged(layer, token, client, target, scope).await else { continue };
                let claims = segment(&token, 1);
                let mut actors = Vec::new();
                let mut act = &claims["act"];
                while let Some(sub) = act["sub"].as_str() {
                    actors.push(sub.to_owned());
                    act = &act["act"];
                }
                let text = |name: &str| claims[name].as_str().unwrap().to_owned();
                let key = (text("aud"), format!("{} of {}", text("sub"), text("client_id")), actors);
                if reached.entry(key).or_default().insert(text("scope")) {
                    next.push(token);
                }
            }
        }
        tokens = next;
    }
    reached
}

fn questions() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    NAMES.into_iter().flat_map(|client| {
        NAMES
            .into_iter()
            .flat_map(move |target| ["", "read", "write", "read write"].map(|scope| (client, target, scope)))
    })
}

async fn exchanged(
    layer: &TokenExchangeLayer,
    subject: &str,
    client: &str,
    target: &str,
    scope: &str,
) -> Option<String> {
    let mut form = exchange_form(subject, &[]);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", target));
    if !scope.is_empty() {
        form.push(("scope", scope));
    }
    let wrapped = service_fn(|_| async { Ok::<_, Infallible>(http::Response::new(axum::body::Body::empty())) });
    let request = http::Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", basic(client, &secret_of(client)))
        .body(axum::body::Body::from(encode(&form)))
        .unwrap();
    let response = layer.layer(wrapped).oneshot(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    Some(answer["access_token"].as_str()?.to_owned())
}

/// What the library says that can be reached.
async fn told(layer: &TokenExchangeLayer, first: &str) -> Reached {
    let claims = Claims::from_json(segment(first, 1).to_string()).unwrap();
    let reach = layer.reach(claims, HOPS).await;
    assert!(reach.is_complete);
    let mut reached = Reached::new();
    for hop in &reach.hops {
        let actors = hop.actors.iter().map(|actor| actor.sub.as_str().to_owned()).collect();
        let target = format!("https://{}.example", hop.target);
        let key = (target, format!("{} of {}", hop.subject, hop.client), actors);
        reached.entry(key).or_default().insert(hop.scope.to_string());
        assert!(reach.shortest_way(&hop.target).unwrap().len() <= hop.number);
    }
    reached
}

/// The layer of a document. Leaves out each rule that has no effect, because such a rule is an error.
fn layer_with_effective_rules(document: &Value, key: &LocalSigner) -> Option<TokenExchangeLayer> {
    let with_rules = |rules: &[Value]| layer_of(changed(document.clone(), json!({ "rule": rules })), key.clone());
    let mut kept = Vec::new();
    for rule in document["rule"].as_array().unwrap() {
        kept.push(rule.clone());
        if with_rules(&kept).is_err() {
            kept.pop();
        }
    }
    with_rules(&kept).ok()
}

#[test]
fn reach_agrees_with_trying_everything() {
    let runtime = Runtime::new().unwrap();
    let own = Minter::new(AS, Algorithm::EdDSA);
    let (built, reached_far) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig { cases: 80, ..ProptestConfig::default() });
    let result = runner.run(&documents(), |document| {
        let Some(layer) = layer_with_effective_rules(&document, &own.key) else { return Ok(()) };
        built.set(built.get() + 1);
        let changes = json!({ "aud": "https://a.example", "client_id": "c" });
        let first = own.access_token(changes);
        let (tried, told) =
            runtime.block_on(async { (tried(&layer, first.clone()).await, told(&layer, &first).await) });
        prop_assert_eq!(tried.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>(), "{}", document);
        for (key, scopes) in &tried {
            for scope in scopes {
                let is_covered = told[key].iter().any(|most| scope.split(' ').all(|one| most.contains(one)));
                prop_assert!(is_covered, "{:?} {} in {}", key, scope, document);
            }
        }
        for (key, scopes) in &told {
            prop_assert!(scopes.is_subset(&tried[key]), "{:?} {:?} in {}", key, scopes, document);
        }
        let is_far = told.keys().any(|(_, _, actors)| actors.len() == HOPS);
        reached_far.set(reached_far.get() + usize::from(is_far));
        Ok(())
    });
    result.unwrap();
    let (built, reached_far) = (built.get(), reached_far.get());
    assert!(built >= 40 && reached_far >= 5, "{built} documents, {reached_far} with long ways");
}

/// Set `UPDATE_MANUAL=1` to write the text and the picture again.
#[test]
fn the_manual_shows_the_current_graph() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let records = fs::read_to_string(folder.join("examples/policy/records.toml")).unwrap();
    let layer = TokenExchangeLayer::builder(AS)
        .document(toml::from_str(&records).unwrap())
        .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
        .build();
    let graph = layer.unwrap().delegation_graph();
    let (page, picture) = (folder.join("src/manual/graph.md"), folder.join("src/manual/graph.svg"));
    let shown = fs::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- text: begin -->\n", "<!-- text: end -->");
    let (before, rest) = shown.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let current = format!("{before}{begin}\n```text\n{graph}```\n\n{end}{after}");
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        fs::write(&page, &current).unwrap();
        fs::write(&picture, graph.to_svg()).unwrap();
    }
    assert_eq!(shown, current, "the text is not current: set UPDATE_MANUAL=1");
    assert_eq!(
        fs::read_to_string(&picture).unwrap(),
        graph.to_svg(),
        "the picture is not current: set UPDATE_MANUAL=1"
    );
}
