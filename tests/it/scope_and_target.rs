//! The scope, the lifetime, the audience and the claims of an issued token are within every limit: of the subject token,
//! the client, the target, the records and the rules. The answer states the granted scope.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tower_token_exchange::{
    Client, Issuer, Reason, Target, TokenExchangeBuilder, TokenType,
    policy::{Decision, Names, Query, Rule, Subjects},
    records::SubjectMapping,
};

type Change<T> = fn(T) -> T;

/// `orders` requests tokens for `billing`, and for `ledger` too if the case has two targets.
struct Case {
    name: &'static str,
    client: Change<Client>,
    billing: Change<Target>,
    ledger: Change<Target>,
    builder: Change<TokenExchangeBuilder>,
    /// The `scope` of the subject token. `null` means no scope.
    subject: Value,
    asked: Option<&'static str>,
    at_both: bool,
    expected: Result<&'static str, Reason>,
}

fn case(name: &'static str, subject: &'static str, expected: Result<&'static str, Reason>) -> Case {
    Case {
        name,
        client: |client| client,
        billing: |target| target,
        ledger: |target| target,
        builder: |builder| builder,
        subject: json!(subject),
        asked: None,
        at_both: false,
        expected,
    }
}

impl Case {
    fn asks(self, scope: &'static str) -> Self {
        Self { asked: Some(scope), ..self }
    }

    fn claim(self, scope: Value) -> Self {
        Self { subject: scope, ..self }
    }

    fn client(self, client: Change<Client>) -> Self {
        Self { client, ..self }
    }

    fn billing(self, billing: Change<Target>) -> Self {
        Self { billing, ..self }
    }

    fn both(self, ledger: Change<Target>) -> Self {
        Self { ledger, at_both: true, ..self }
    }

    fn builder(self, builder: Change<TokenExchangeBuilder>) -> Self {
        Self { builder, ..self }
    }

    async fn check(self) {
        let name = self.name;
        let client = |record: Client| if record.id() == "orders" { (self.client)(record) } else { record };
        let target = |record: Target| match record.id().as_str() {
            "billing" => (self.billing)(record),
            "ledger" => (self.ledger)(record.allow_clients(["orders"])),
            _ => record,
        };
        let most = if self.at_both { 2 } else { 1 };
        let plan = plan_with(
            |clients| clients.into_iter().map(client).collect(),
            |targets| targets.into_iter().map(target).collect(),
        );
        let mut world = plan.with(|builder| (self.builder)(builder.max_targets(most))).start().await;
        let token = world.own.access_token(json!({ "scope": self.subject }));
        let mut form = exchange_form(&token, &[]);
        form.extend(self.asked.map(|scope| ("scope", scope)));
        form.extend(self.at_both.then_some(("audience", "ledger")));
        let reply = world.post_as("orders", &form).await;
        let event = world.event().await;
        match self.expected {
            Ok(granted) => {
                assert_eq!(reply.status, StatusCode::OK, "{name}: {} {:?}", reply.text, event.detail);
                let told = reply.json()["scope"].clone();
                assert_eq!(words(&told), words(&json!(granted)), "{name}");
                assert_eq!(reply.claims()["scope"], told, "{name}: the token says what the answer says");
                assert_eq!(json!(event.granted.unwrap().scope), told, "{name}");
            }
            Err(refused) => {
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}: {}", reply.text);
                assert_eq!(event.reason, Some(refused), "{name}: {:?}", event.detail);
                assert_eq!(reply.error(), refused.error().as_str(), "{name}");
            }
        }
    }
}

fn words(scope: &Value) -> BTreeSet<&str> {
    let words: Vec<&str> = scope.as_str().expect("scope is a string").split(' ').collect();
    let set: BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(set.len(), words.len(), "each scope once: {scope}");
    set
}

const EMPTY: Result<&str, Reason> = Err(Reason::ScopeEmpty);
const EXCEEDED: Result<&str, Reason> = Err(Reason::ScopeExceeded);

fn strict(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    builder.strict_scope()
}

fn reads(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    builder.rules([Rule::allow("orders", Subjects::any(), Names::any()).scopes(["read"])])
}

fn translates(target: Target) -> Target {
    target
        .translate("orders:read", ["read"])
        .translate("orders:all", ["read", "write"])
        .translate("orders:ping", Vec::<String>::new())
}

#[tokio::test]
async fn the_scope_is_never_widened() {
    for case in [
        case("nothing asked: all there is", "read write", Ok("read write")),
        case("nothing asked: what the target knows", "read admin", Ok("read")),
        case("nothing asked: what the subject has", "write", Ok("write")),
        case("an empty wish is none", "read write", Ok("read write")).asks(""),
        case("a part", "read write", Ok("write")).asks("write"),
        case("all, in another order", "read write", Ok("read write")).asks("write read"),
        case("twice the same", "read write", Ok("read")).asks("read read"),
        case("more than there is", "read", Ok("read")).asks("read write"),
        case("more than the target knows", "read admin", Ok("read")).asks("read admin"),
        case("only what the subject lacks", "read", EMPTY).asks("write"),
        case("only what the target lacks", "read admin", EMPTY).asks("admin"),
        case("a subject worth nothing here", "admin", EMPTY),
        case("the start of a scope is another", "read:all write", Ok("write")),
        case("a scope in another case is another", "Read write", Ok("write")),
        case("the client's cap", "read write", Ok("read")).client(|client| client.scopes(["read"])),
        case("the client's cap, asked", "read write", Ok("read")).client(|c| c.scopes(["read"])).asks("read write"),
        case("beyond the client's cap", "read write", EMPTY).client(|client| client.scopes(["read"])).asks("write"),
        case("a client's cap widens nothing", "read", Ok("read")).client(|c| c.scopes(["read", "write", "admin"])),
        case("a client's cap of nothing", "read write", EMPTY).client(|client| client.scopes(Vec::<String>::new())),
        case("the rule", "read write", Ok("read")).builder(reads),
        case("the rule, asked", "read write", Ok("read")).builder(reads).asks("read write"),
        case("beyond the rule", "read write", EMPTY).builder(reads).asks("write"),
        case("a rule for what the subject lacks", "write", EMPTY).builder(reads),
        case("a scopeless subjects' set is not for others", "read", Ok("read"))
            .client(|client| client.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["write"])),
    ] {
        case.check().await;
    }
}

#[tokio::test]
async fn strict_mode_refuses_a_partial_scope() {
    for case in [
        case("all there is", "read write", Ok("read write")).asks("read write"),
        case("a part", "read write", Ok("read")).asks("read"),
        case("nothing asked", "read admin", Ok("read")),
        case("more than the subject has", "read", EXCEEDED).asks("read write"),
        case("more than the target knows", "read admin", EXCEEDED).asks("read admin"),
        case("more than the client's cap", "read write", EXCEEDED)
            .client(|client| client.scopes(["read"]))
            .asks("read write"),
        case("nothing left", "read", EMPTY).asks("admin"),
    ] {
        case.builder(strict).check().await;
    }
    let strict_rule = |builder| reads(strict(builder));
    for case in [
        case("more than the rule", "read write", EXCEEDED).asks("read write"),
        case("what the rule allows", "read write", Ok("read")).asks("read"),
        case("nothing asked of the rule", "read write", Ok("read")),
    ] {
        case.builder(strict_rule).check().await;
    }
}

/// A remote policy is not asked without need.
#[tokio::test]
async fn an_empty_ceiling_asks_no_policy() {
    let leave: Change<TokenExchangeBuilder> = |builder| builder;
    for (mode, scope, expected) in [
        (leave, "admin", Reason::ScopeEmpty),
        (strict, "admin", Reason::ScopeEmpty),
        (strict, "read admin", Reason::ScopeExceeded),
        (leave, "read admin", Reason::PolicyUnavailable),
        (strict, "read write", Reason::PolicyUnavailable),
    ] {
        let away = tower::service_fn(|_: Query| async { Err::<Decision, _>("away") });
        let mut world = plan().with(|builder| mode(builder.policy(away))).start().await;
        let token = world.own.access_token(json!({}));
        world.post_as("orders", &exchange_form(&token, &[("scope", scope)])).await;
        assert_eq!(world.reason().await, Some(expected), "{scope}");
    }
}

#[tokio::test]
async fn a_target_translates_scopes_by_its_record() {
    for case in [
        case("one for one", "orders:read", Ok("read")),
        case("one for two", "orders:all", Ok("read write")),
        case("overlapping", "orders:read orders:all", Ok("read write")),
        case("one without an entry vanishes", "orders:read orders:write", Ok("read")),
        case("the target's own names vanish too", "read write", EMPTY),
        case("beside one with an entry", "orders:read write", Ok("read")),
        case("one that is worth nothing", "orders:ping", EMPTY),
        case("a wish is by the target's names", "orders:all", Ok("write")).asks("write"),
        case("a wish by the upstream name", "orders:all", EMPTY).asks("orders:all"),
        case("a wish beyond the translation", "orders:read", EMPTY).asks("write"),
        case("the client's cap counts behind it", "orders:all", Ok("write")).client(|c| c.scopes(["write"])),
        case("the client's cap by the upstream name", "orders:all", EMPTY).client(|c| c.scopes(["orders:all"])),
        case("the rule counts behind it", "orders:all", Ok("read")).builder(reads),
        case("strict mode counts behind it", "orders:read", EXCEEDED).builder(strict).asks("read write"),
        case("strict mode with all of it", "orders:all", Ok("read write")).builder(strict).asks("read write"),
    ] {
        case.billing(translates).check().await;
    }
}

#[tokio::test]
async fn a_scopeless_subject_gets_scopes_of_the_client() {
    let set = |client: Client| client.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["read", "admin"]);
    let none = || json!(null);
    for case in [
        case("no set", "", EMPTY).claim(none()),
        case("a set", "", Ok("read")).claim(none()).client(set),
        case("a set and a wish", "", Ok("read")).claim(none()).client(set).asks("read write"),
        case("a wish beyond the set", "", EMPTY).claim(none()).client(set).asks("write"),
        case("a wish for what the set has and the target has not", "", EMPTY).claim(none()).client(set).asks("admin"),
        case("a set that means nothing here", "", EMPTY)
            .claim(none())
            .client(|client| client.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["admin"])),
        case("a set and a cap", "", EMPTY)
            .claim(none())
            .client(|client| client.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["read"]).scopes(["write"])),
        case("a set is by the target's names", "", Ok("read")).claim(none()).client(set).billing(translates),
        case("a set and a rule", "", Ok("read")).claim(none()).client(set).builder(reads),
        case("a set, in strict mode", "", EXCEEDED).claim(none()).client(set).builder(strict).asks("read write"),
    ] {
        case.check().await;
    }
}

/// A missing scope counts by the type of the token: what a client may do with ID tokens says nothing about access tokens.
#[tokio::test]
async fn a_missing_scope_counts_by_token_type() {
    const SETS: [TokenType; 3] = [TokenType::ID_TOKEN, TokenType::JWT, TokenType::ACCESS_TOKEN];
    for set in SETS {
        let client = |record: Client| record.scopes_for_scopeless_subjects(set.clone(), ["read"]);
        let mut plan = plan_with(|clients| clients.into_iter().map(client).collect(), |targets| targets);
        plan.idp.iss = "https://op.example";
        let foreign = Issuer::new(plan.idp.iss)
            .keys(plan.idp.keys())
            .accept_types([TokenType::ID_TOKEN, TokenType::JWT])
            .map_client("orders-there", "orders")
            .allow_presenters(["orders"])
            .map_subjects(SubjectMapping::Prefix("op|".into()));
        let mut world = plan.with(|builder| builder.issuers([foreign])).start().await;
        let foreign = world.idp.foreign(json!({ "scope": null, "azp": "orders-there" }));
        let access_token = world.idp.sign(&world.idp.header("at+jwt"), &segment(&foreign, 1));
        let id_token = world.idp.foreign(json!({ "scope": null, "aud": "orders-there" }));
        let own = world.own.access_token(json!({ "scope": null }));
        for (declared, token, counts_as) in [
            (ACCESS_TOKEN, own, TokenType::ACCESS_TOKEN),
            (JWT, foreign, TokenType::JWT),
            (JWT, access_token, TokenType::ACCESS_TOKEN),
            (ID_TOKEN, id_token, TokenType::ID_TOKEN),
        ] {
            let mut form = exchange_form(&token, &[]);
            form[2].1 = declared;
            let reply = world.post_as("orders", &form).await;
            let reason = world.reason().await;
            let expected = (set != counts_as).then_some(Reason::ScopeEmpty);
            assert_eq!(reason, expected, "{set}: a scopeless {counts_as} as {declared}: {}", reply.text);
            if expected.is_none() {
                assert_eq!(reply.json()["scope"], "read");
            }
        }
    }
}

#[test]
fn scopes_without_a_token_type_are_refused() {
    let client = |sets: Value| {
        let record = json!({ "id": "orders", "scopes_for_scopeless_subjects": sets });
        serde_json::from_value::<Client>(record).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(client(json!({ "id_token": ["read"], "urn:x:badge": ["read"] })), Ok(()));
    for (sets, problem) in [
        (json!(["read"]), "expected a table with a list for each token type, such as `{ id_token = [\"read\"] }`"),
        (
            json!({ "id-token": ["read"] }),
            "`id-token` is not a token type: write a URI, `jwt`, `access_token` or `id_token`",
        ),
        (json!({ "jwt": ["read"], JWT: [] }), "occurs twice: keep one list"),
    ] {
        let refused = client(sets.clone()).unwrap_err();
        assert!(refused.contains(problem), "{sets}: {refused}");
    }
}

/// An empty or malformed scope is not an absent scope. The scopes that the client has for scopeless subjects do not apply.
#[tokio::test]
async fn a_malformed_scope_is_not_an_absent_scope() {
    for scope in
        [json!(""), json!(" "), json!(["read"]), json!([]), json!({}), json!(7), json!(true), json!("read  write")]
    {
        let client = |record: Client| record.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["read", "write"]);
        let plan = plan_with(|clients| clients.into_iter().map(client).collect(), |targets| targets);
        let mut world = plan.start().await;
        let reply = world.exchange(&world.own.access_token(json!({ "scope": scope }))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{scope}: {}", reply.text);
        assert!(world.reason().await.is_some(), "{scope}");
    }
}

#[tokio::test]
async fn an_id_token_gets_scopes_of_the_client() {
    for (set, expected) in [(&[][..], None), (&["read"], Some("read")), (&["read", "admin"], Some("read"))] {
        let client = |record: Client| record.scopes_for_scopeless_subjects(TokenType::ID_TOKEN, set.iter().copied());
        let plan = plan_with(|clients| clients.into_iter().map(client).collect(), |targets| targets);
        let op = Issuer::new("https://op.example")
            .keys(plan.idp.keys())
            .accept_types([TokenType::ID_TOKEN])
            .map_client("orders-at-op", "orders")
            .map_subjects(SubjectMapping::Prefix("op|".into()));
        let mut plan = plan.with(|builder| builder.issuers([op]));
        plan.idp.iss = "https://op.example";
        let mut world = plan.start().await;
        let token = world.idp.foreign(json!({ "aud": "orders-at-op", "scope": null, "nonce": "n" }));
        let mut form = exchange_form(&token, &[]);
        form[2].1 = ID_TOKEN;
        let reply = world.post_as("orders", &form).await;
        match expected {
            Some(scope) => {
                assert_eq!(reply.status, StatusCode::OK, "{set:?}: {}", reply.text);
                assert_eq!(reply.json()["scope"], scope, "{set:?}");
                assert_eq!(reply.claims()["sub"], "op|bob");
                assert!(reply.claims().get("nonce").is_none());
            }
            None => {
                assert_eq!(reply.error(), "invalid_scope", "{}", reply.text);
                assert_eq!(world.reason().await, Some(Reason::ScopeEmpty));
            }
        }
    }
}

#[tokio::test]
async fn several_targets_share_their_common_scope() {
    for case in [
        case("the same at both", "read write", Ok("read write")).both(|target| target),
        case("what both know", "read write audit", Ok("read")).both(|target| target.scopes(["read", "audit"])),
        case("a wish that one knows", "read write audit", EMPTY)
            .both(|target| target.scopes(["read", "audit"]))
            .asks("audit"),
        case("a wish that both know", "read write", Ok("read"))
            .both(|t| t.scopes(["read", "audit"]))
            .asks("read write"),
        case("nothing in common", "read write audit", EMPTY).both(|target| target.scopes(["audit"])),
        case("strict: more than both know", "read write", EXCEEDED)
            .both(|target| target.scopes(["read"]))
            .asks("read write")
            .builder(strict),
        case("one translates", "orders:read read write", Ok("read")).billing(translates).both(|target| target),
        case("one translates, and the other knows nothing of it", "orders:all", EMPTY)
            .billing(translates)
            .both(|target| target),
        case("both translate", "orders:all", Ok("read"))
            .billing(translates)
            .both(|target| target.translate("orders:all", ["read"])),
        case("a scopeless subject", "", Ok("read"))
            .claim(json!(null))
            .client(|client| client.scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, ["read", "write"]))
            .both(|target| target.scopes(["read", "audit"])),
    ] {
        case.check().await;
    }
}

#[tokio::test]
async fn the_shortest_lifetime_counts() {
    fn max(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
    fn rule(seconds: u64) -> Rule {
        Rule::allow("orders", Subjects::any(), Names::any()).scopes(Names::any()).max_lifetime(max(seconds))
    }
    fn same(target: Target) -> Target {
        target
    }
    let none: Change<TokenExchangeBuilder> = |builder| builder;
    // The subject's remaining seconds; client, billing and ledger; the layer and the rule; what is issued.
    type Caps = (Change<Client>, Change<Target>, Change<Target>, Change<TokenExchangeBuilder>);
    let plain: Change<Client> = |client| client;
    let cases: [(&str, u64, Caps, bool, u64); 14] = [
        ("the default", 600, (plain, same, same, none), false, 300),
        ("what is left", 40, (plain, same, same, none), false, 40),
        ("one second left", 1, (plain, same, same, none), false, 1),
        ("the layer", 600, (plain, same, same, |b| b.max_lifetime(max(90))), false, 90),
        ("the layer, longer", 6000, (plain, same, same, |b| b.max_lifetime(max(3600))), false, 3600),
        ("the layer, longer than what is left", 600, (plain, same, same, |b| b.max_lifetime(max(3600))), false, 600),
        ("the target", 600, (plain, |t| t.max_lifetime(max(60)), same, none), false, 60),
        ("the target, longer", 600, (plain, |t| t.max_lifetime(max(500)), same, none), false, 300),
        ("the client", 600, (|c| c.max_lifetime(max(50)), same, same, none), false, 50),
        ("the rule", 600, (plain, same, same, |b| b.rules([rule(45)])), false, 45),
        ("the rule, longer", 600, (plain, same, same, |b| b.rules([rule(5000)])), false, 300),
        ("another target's", 600, (plain, same, |t| t.max_lifetime(max(20)), none), false, 300),
        (
            "the shorter of two targets",
            600,
            (plain, |t| t.max_lifetime(max(60)), |t| t.max_lifetime(max(20)), none),
            true,
            20,
        ),
        (
            "all at once",
            100,
            (
                |c| c.max_lifetime(max(70)),
                |t| t.max_lifetime(max(60)),
                same,
                |b| b.rules([rule(65)]).max_lifetime(max(61)),
            ),
            false,
            60,
        ),
    ];
    for (name, left, (client, billing, ledger, builder), at_both, expected) in cases {
        let client = |record: Client| if record.id() == "orders" { client(record) } else { record };
        let target = |record: Target| match record.id().as_str() {
            "billing" => billing(record),
            "ledger" => ledger(record.allow_clients(["orders"])),
            _ => record,
        };
        let plan = plan_with(
            |clients| clients.into_iter().map(client).collect(),
            |targets| targets.into_iter().map(target).collect(),
        );
        let world = plan.with(|b| builder(b.max_targets(2))).start().await;
        let token = world.own.access_token(json!({ "exp": NOW + left }));
        let more = if at_both { &[("audience", "ledger")][..] } else { &[] };
        let reply = world.post_as("orders", &exchange_form(&token, more)).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        assert_eq!(reply.json()["expires_in"], expected, "{name}");
        let claims = reply.claims();
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + expected)), "{name}");
    }
}

#[tokio::test]
async fn only_listed_claims_are_copied() {
    let subject = json!({
        "tenant": "acme", "groups": ["a", "b"], "address": { "country": "DE" }, "level": 7, "vip": false,
        "roles": ["admin"], "email": "alice@acme.example", "azp": "web", "nonce": "n", "sid": "s", "nbf": NOW - 5,
        "act": null,
    });
    let named = |target: Target| target.claims(["tenant", "groups", "address", "level", "vip", "absent"]);
    type Case = (&'static str, Change<Target>, Change<Target>, bool, Value);
    let cases: [Case; 6] = [
        ("none", |t| t, named, false, json!({})),
        ("one", |t| t.claims(["tenant"]), |t| t, false, json!({ "tenant": "acme" })),
        (
            "of every kind",
            named,
            |t| t,
            false,
            json!({ "tenant": "acme", "groups": ["a", "b"], "address": { "country": "DE" }, "level": 7, "vip": false }),
        ),
        ("in another case", |t| t.claims(["Tenant"]), |t| t, false, json!({})),
        (
            "at two targets, by both",
            |t| t.claims(["tenant", "level"]),
            |t| t.claims(["level", "groups"]),
            true,
            json!({ "level": 7 }),
        ),
        ("at two targets, by one", named, |t| t, true, json!({})),
    ];
    let written =
        BTreeSet::from(["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "act", "exchanged_from"]);
    for (name, billing, ledger, at_both, expected) in cases {
        let target = |record: Target| match record.id().as_str() {
            "billing" => billing(record),
            "ledger" => ledger(record.allow_clients(["orders"])),
            _ => record,
        };
        let plan = plan_with(|clients| clients, |targets| targets.into_iter().map(target).collect());
        let world = plan.with(|builder| builder.max_targets(2)).start().await;
        let more = if at_both { &[("audience", "ledger")][..] } else { &[] };
        let token = world.own.access_token(subject.clone());
        let own = world.post_as("orders", &exchange_form(&token, more)).await;
        // Claims of a foreign issuer are copied if the record of the issuer lists them too.
        let token = world.idp.foreign(subject.clone());
        let mut form = exchange_form(&token, more);
        form[2].1 = JWT;
        let foreign = world.post_as("orders", &form).await;
        for reply in [own, foreign] {
            assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
            let claims = reply.claims();
            let carried: serde_json::Map<String, Value> = claims
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| !written.contains(name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            assert_eq!(Value::Object(carried), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn a_single_aud_is_a_string() {
    let cases: [(Change<Target>, Change<Target>, bool, Value); 5] = [
        (|t| t, |t| t, false, json!("https://billing.example")),
        (|t| t.audience_claim("urn:example:billing"), |t| t, false, json!("urn:example:billing")),
        // The names in requests do not appear in the token.
        (
            |t| t.name("https://other.example").resource("https://r.example/"),
            |t| t,
            false,
            json!("https://billing.example"),
        ),
        (|t| t, |t| t, true, json!(["https://billing.example", "https://ledger.example"])),
        (|t| t.audience_claim("b"), |t| t.audience_claim("l"), true, json!(["b", "l"])),
    ];
    for (billing, ledger, at_both, expected) in cases {
        let target = |record: Target| match record.id().as_str() {
            "billing" => billing(record),
            "ledger" => ledger(record.allow_clients(["orders"])),
            _ => record,
        };
        let client = |record: Client| record.allow_several_audiences();
        let plan = plan_with(
            |clients| clients.into_iter().map(client).collect(),
            |targets| targets.into_iter().map(target).collect(),
        );
        let world = plan.with(|builder| builder.max_targets(2)).start().await;
        for aud in [json!("https://orders.example"), json!(["https://orders.example", "https://elsewhere.example"])] {
            let token = world.own.access_token(json!({ "aud": aud }));
            let more = if at_both { &[("audience", "ledger")][..] } else { &[] };
            let reply = world.post_as("orders", &exchange_form(&token, more)).await;
            assert_eq!(reply.status, StatusCode::OK, "{expected}: {}", reply.text);
            assert_eq!(reply.claims()["aud"], expected, "never the subject token's");
        }
    }
}

#[tokio::test]
async fn the_default_aud_is_the_target_id() {
    let archive = |mut targets: Vec<Target>| {
        targets.push(Target::new("urn:example:archive").allow_clients(["orders"]).scopes(["read"]));
        targets
    };
    let world = plan_with(|clients| clients, archive).start().await;
    let token = world.own.access_token(json!({}));
    let mut form = exchange_form(&token, &[]);
    form[3].1 = "urn:example:archive";
    let reply = world.post_as("orders", &form).await;
    assert_eq!(reply.claims()["aud"], "urn:example:archive");
    assert_eq!(reply.json()["scope"], "read");
    // The id is an `audience`. The id is a `resource` only if the record lists it.
    form[3].0 = "resource";
    assert_eq!(world.post_as("orders", &form).await.error(), "invalid_target");
}
