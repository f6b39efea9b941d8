//! Attacks with stolen tokens.

use super::*;
use crate::support::*;
use http::header;
use serde_json::json;
use tower_token_exchange::{
    Issuer, TokenType,
    policy::{Actors, Decision, Query},
};

/// Attack: alice's token for `orders` leaks from a log. Only `orders` can exchange the token.
#[tokio::test]
async fn th_01_a_stolen_token_cannot_be_exchanged() {
    use Reason::*;
    let more_clients = |mut clients: Vec<Client>| {
        clients.push(client("dormant").deny_exchange());
        clients
    };
    let mut world = plan_with(more_clients, open_billing).start().await;
    let stolen = world.own.access_token(json!({}));
    let bearer = format!("Bearer {stolen}");
    let dpop = format!("DPoP {stolen}");
    let as_client = |id: &str| basic(id, &secret_of(id));
    let (guess, nobody) = (basic("orders", "a-guess-at-the-secret"), basic("nobody", &secret_of("nobody")));
    let empty = basic("orders", "");
    let (dormant, reports) = (as_client("dormant"), as_client("reports"));
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    type Case<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a str)], (u16, &'a str), Reason);
    let cases: [Case<'_>; 12] = [
        ("as nobody", None, &[], (400, "invalid_client"), ClientCredentialsMissing),
        ("by a name", None, &[("client_id", "orders")], (400, "invalid_client"), ClientCredentialsMissing),
        (
            "by a name and an empty secret",
            None,
            &[("client_id", "orders"), ("client_secret", "")],
            (400, "invalid_client"),
            ClientCredentialsMissing,
        ),
        ("with a guess", Some(&guess), &[], (401, "invalid_client"), ClientRejected),
        ("with no secret", Some(&empty), &[], (401, "invalid_client"), ClientRejected),
        ("as a client that nobody knows", Some(&nobody), &[], (401, "invalid_client"), ClientRejected),
        ("the token as its own proof", Some(&bearer), &[], (401, "invalid_client"), ClientSchemeUnsupported),
        ("the token as a bound one", Some(&dpop), &[], (401, "invalid_client"), ClientSchemeUnsupported),
        (
            "the token as an assertion",
            None,
            &[("client_assertion", &stolen), ("client_assertion_type", jwt_bearer)],
            (400, "invalid_client"),
            ClientAssertionOfAnother,
        ),
        ("another client's secret", Some(&reports), &[], (400, "invalid_request"), PresenterUnrelated),
        (
            "another client's secret and the right name",
            Some(&reports),
            &[("client_id", "orders")],
            (400, "invalid_request"),
            ClientIdMismatch,
        ),
        ("a client without this grant", Some(&dormant), &[], (400, "unauthorized_client"), GrantNotAllowed),
    ];
    for (why, authorization, more, told, reason) in cases {
        let reply = world.post(authorization, encode(&exchange_form(&stolen, more))).await;
        assert_eq!(reply.headers.contains_key(header::WWW_AUTHENTICATE), told.0 == 401, "{why}");
        assert_refused(&mut world, &reply, told, reason, why).await;
    }
    ask("orders", &stolen).token(&mut world, "the one that it was sent to").await;

    // The presenter needs a rule, too.
    let mut world = plan().with(|builder| builder.rules([])).start().await;
    let stolen = world.own.access_token(json!({}));
    ask("orders", &stolen).refused(&mut world, PolicyNoRule, "no rule").await;
}

/// Attack: `reports` is a known client that turns malicious, and has stolen tokens for `orders`. `reports` may get tokens
/// for `billing`, so only presenter binding stops the attack.
#[tokio::test]
async fn th_02_a_client_presents_only_its_own_tokens() {
    let partner = partner();
    let record = Issuer::new(PARTNER)
        .keys(partner.keys())
        .map_subjects(SubjectMapping::Prefix("partner|".into()))
        .accept_types([TokenType::JWT, TokenType::ID_TOKEN])
        .map_client("orders-there", "orders")
        .map_client("reports-there", "reports");
    let records = |clients: Vec<Client>| {
        let scopeless = |client: Client| client.scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]);
        changing("orders", Client::allow_self_exchange)(clients.into_iter().map(scopeless).collect())
    };
    let mut world = plan_with(records, open_billing).with(|builder| builder.issuers([record])).start().await;
    let own = world.own.clone();
    let access = |changes: Value| (ACCESS_TOKEN, own.access_token(changes));
    let foreign = |changes: Value| (JWT, partner.foreign(changes));
    let id_token = |changes: Value| {
        let claims = json!({ "iss": PARTNER, "sub": "bob", "aud": "orders-there", "exp": NOW + 600, "iat": NOW });
        (ID_TOKEN, signed(&partner, "JWT", &changed(claims, changes)))
    };
    let unrelated = Reason::PresenterUnrelated;
    for (why, (declared, token)) in [
        ("a token for the resource of `orders`", access(json!({}))),
        ("a token for `orders` itself", access(json!({ "aud": "orders" }))),
        ("issued to the attacker, for somebody else", access(json!({ "client_id": "reports" }))),
        ("about the attacker", access(json!({ "sub": "reports", "azp": "reports" }))),
        ("issued to `orders`", access(json!({ "aud": "https://api.example", "client_id": "orders" }))),
        ("a foreign one issued to `orders`", foreign(json!({ "client_id": "orders-there" }))),
        ("a foreign one by `azp`", foreign(json!({ "azp": "orders-there" }))),
        ("the attacker's name here is not its name there", {
            foreign(json!({ "client_id": "orders-there", "azp": "reports" }))
        }),
        ("`client_id` outranks `azp`", foreign(json!({ "client_id": "orders-there", "azp": "reports-there" }))),
        ("an ID token of `orders`", id_token(json!({}))),
        ("an ID token asked for by the attacker, for `orders`", id_token(json!({ "azp": "reports-there" }))),
    ] {
        ask("reports", &token).typed(declared).refused(&mut world, unrelated, why).await;
        ask("orders", &token).typed(declared).token(&mut world, why).await;
    }

    // A token without an audience is refused for every client.
    for (why, (declared, token), reason) in [
        ("no `aud`", access(json!({ "aud": null, "client_id": "reports" })), Reason::PresenterUnknown),
        ("an empty `aud`", access(json!({ "aud": [], "client_id": "orders" })), Reason::PresenterUnknown),
        ("a foreign one without a client", foreign(json!({})), unrelated),
        ("a foreign one with a client of no name here", foreign(json!({ "client_id": "orders" })), unrelated),
    ] {
        for client in ["reports", "orders"] {
            ask(client, &token).typed(declared).refused(&mut world, reason, why).await;
        }
    }
}

/// Attack: a token has two audiences, so two services have the token. Each could act in place of the other.
#[tokio::test]
async fn th_40_a_token_with_several_audiences_is_refused() {
    let records = changing("orders", Client::allow_several_audiences);
    let partner = partner();
    let record = partner_record(&partner).allow_presenters(["orders", "billing"]);
    let targets = |mut targets: Vec<Target>| {
        targets.push(Target::new("archive").allow_clients(["orders", "billing"]).scopes(["read", "write"]));
        targets
    };
    let mut world = plan_with(records, targets).with(|builder| builder.issuers([record])).start().await;
    let own = world.own.clone();
    let several = Reason::SeveralAudiences;
    let named = json!({ "sub": "billing" });
    for (why, audiences) in [
        ("own first", json!([BILLING, ORDERS])),
        ("own last", json!([ORDERS, BILLING])),
        ("own among many", json!(["https://a.example", BILLING, "https://b.example"])),
        ("own twice and one more", json!([BILLING, BILLING, ORDERS])),
        ("a client's name and a resource", json!(["billing", ORDERS])),
    ] {
        let token = own.access_token(json!({ "aud": audiences }));
        ask("billing", &token).at("archive").refused(&mut world, several, why).await;
        // The client may exchange the token if `may_act` names the client.
        let meant = own.access_token(json!({ "aud": audiences, "may_act": named }));
        ask("billing", &meant).at("archive").token(&mut world, why).await;
    }
    let token = partner.foreign(json!({ "aud": [AS, "https://other-as.example"] }));
    ask_foreign("billing", &token).at("archive").refused(&mut world, several, "sent to another server too").await;

    // The client may exchange the token if its own record allows it. The record of another client does not count.
    let token = own.access_token(json!({ "aud": [BILLING, ORDERS] }));
    ask("orders", &token).at("archive").token(&mut world, "with the record for it").await;
    let token = own.access_token(json!({ "aud": [BILLING, "https://b.example"] }));
    ask("orders", &token).at("archive").refused(&mut world, Reason::PresenterUnrelated, "none of its own").await;
    let token = own.access_token(json!({ "aud": [BILLING] }));
    ask("billing", &token).at("archive").token(&mut world, "one audience only").await;
}

/// Attack: a client registers with the name of a user, and tries to be treated as the user.
#[tokio::test]
async fn th_42_a_client_is_not_a_user_of_equal_name() {
    let partner = partner();
    let record = partner_record(&partner);
    let clients = |mut clients: Vec<Client>| {
        clients.push(client("alice").allow_self_exchange());
        clients.push(client("partner|alice"));
        clients
    };
    let targets = |mut targets: Vec<Target>| {
        targets.push(Target::new("open").allow_clients(["alice", "orders"]).scopes(["read", "write"]));
        targets
    };
    let rules = || [anything().actors(Actors::any())];
    let mut world = plan_with(clients, targets).with(|builder| builder.issuers([record]).rules(rules())).start().await;
    let own = world.own.clone();
    let user = own.access_token(json!({}));
    let other_user = own.access_token(json!({ "sub": "bob", "aud": "alice" }));

    // A user's token does not prove the client, and the client's name is not the presenter of a user's token.
    ask("alice", &user).at("open").refused(&mut world, Reason::PresenterUnrelated, "the user's token").await;
    let by_user = ask("alice", &other_user).at("open").actor(&user, ACCESS_TOKEN);
    by_user.refused(&mut world, Reason::ActorNotCarried, "the user's token as the client's").await;
    let itself = own.access_token(json!({ "sub": "alice", "client_id": "alice" }));
    let by_itself = ask("alice", &other_user).at("open").actor(&itself, ACCESS_TOKEN);
    let act = by_itself.claims(&mut world, "the client's own token").await["act"].clone();
    assert_eq!(act, json!({ "sub": "alice" }));
    ask("orders", &user).token(&mut world, "the user's token where it belongs").await;

    // A foreign user cannot get the name of one of our clients.
    let token = partner.foreign(json!({ "sub": "alice" }));
    ask_foreign("orders", &token).refused(&mut world, Reason::SubjectNotMapped, "mapped to a client's name").await;
    let token = partner.foreign(json!({ "sub": "carol" }));
    ask_foreign("orders", &token).token(&mut world, "mapped to a user's name").await;
}

/// The query to a custom policy says whether the subject is a client.
#[tokio::test]
async fn th_42_a_policy_can_tell_a_client_from_a_user() {
    let users_only = tower::service_fn(|query: Query| async move {
        let decision = if query.subject.is_client { Decision::deny("not a user") } else { Decision::delegate() };
        Ok::<_, std::io::Error>(decision)
    });
    let clients = |mut clients: Vec<Client>| {
        clients.push(client("alice"));
        clients
    };
    let mut world = plan_with(clients, same).with(|builder| builder.policy(users_only)).start().await;
    let own = world.own.clone();
    let credentials = own.access_token(json!({ "client_id": "alice" }));
    ask("orders", &credentials).refused(&mut world, Reason::PolicyDenied, "the client").await;
    ask("orders", &own.access_token(json!({}))).token(&mut world, "the user").await;
}

/// A rule for the user alice does not allow a client with the name alice and a token for itself.
#[tokio::test]
async fn th_42_client_credentials_are_no_user() {
    let clients = |mut clients: Vec<Client>| {
        clients.push(client("alice"));
        clients
    };
    let for_alice = || Rule::allow("orders", Subjects::of_issuer(AS).named(["alice"]), "billing").scopes(Names::any());
    let mut world = plan_with(clients, same).with(|builder| builder.rules([for_alice()])).start().await;
    let user = world.own.access_token(json!({}));
    ask("orders", &user).token(&mut world, "the user").await;
    let credentials = world.own.access_token(json!({ "client_id": "alice" }));
    ask("orders", &credentials).refused(&mut world, Reason::PolicyNoRule, "a client of that name").await;
}
