//! A target can ask for access tokens with `typ: JWT`. The layer accepts both types from its own keys.

use super::*;
use tower_token_exchange::Target;

fn targets(plain: &'static [&'static str]) -> impl FnOnce(Vec<Target>) -> Vec<Target> {
    move |targets| {
        let change = |target: Target| {
            let is_plain = plain.iter().any(|id| target.id() == id);
            if is_plain { target.token_typ("jwt") } else { target }
        };
        let mut all: Vec<_> = targets.into_iter().map(change).collect();
        all.push(change(Target::new("archive").allow_clients(["orders"]).scopes(["read"])));
        all
    }
}

fn planned(plain: &'static [&'static str], issuers: impl IntoIterator<Item = Issuer>) -> Plan {
    plan_with(|clients| clients, targets(plain))
        .with(|builder| builder.issuers(issuers).max_targets(2).introspection_endpoint("/introspect"))
}

/// The token that `orders` gets for these targets.
async fn issued(world: &World, subject: &str, audiences: &[&str]) -> String {
    let mut form = vec![
        ("grant_type", tower_token_exchange::GRANT_TYPE),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    form.extend(audiences.iter().map(|audience| ("audience", *audience)));
    let reply = world.post_as("orders", &form).await;
    reply.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.text)).to_owned()
}

#[tokio::test]
async fn a_target_chooses_the_typ_of_its_tokens() {
    let world = planned(&["billing"], []).start().await;
    let subject = world.own.access_token(json!({}));
    for (audiences, typ) in [
        (&["billing"][..], "JWT"),
        (&["archive"], "at+jwt"),
        // Each service of a token for several services has to accept the token.
        (&["billing", "archive"], "at+jwt"),
    ] {
        let token = issued(&world, &subject, audiences).await;
        assert_eq!(segment(&token, 0)["typ"], typ, "{audiences:?}");
    }
    let world = planned(&["billing", "archive"], []).start().await;
    let subject = world.own.access_token(json!({}));
    assert_eq!(segment(&issued(&world, &subject, &["billing", "archive"]).await, 0)["typ"], "JWT");
}

#[tokio::test]
async fn issued_tokens_of_both_types_pass_a_second_hop() {
    let server = server();
    let record = || Issuer::new(AS).keys(server.keys());
    for issuers in [vec![], vec![Issuer::new(AS)], vec![record()]] {
        for plain in [&["billing"][..], &[]] {
            let mut world = planned(plain, issuers.clone()).start().await;
            let subject = world.own.access_token(json!({}));
            let token = issued(&world, &subject, &["billing"]).await;
            world.event().await;
            let second = exchanged_by(&mut world, "billing", "ledger", &token).await.unwrap();
            assert_eq!(second["sub"], "alice");
            let introspected = world
                .post_to("/introspect", Some(&basic("billing", &secret_of("billing"))), encode(&[("token", &token)]))
                .await;
            assert_eq!(introspected.json()["token_type"], "Bearer", "{plain:?}");
        }
    }
}

/// The statement is about issued tokens. It says nothing about the tokens of the server, or of a foreign issuer.
#[tokio::test]
async fn tokens_of_the_server_still_need_their_typ() {
    let server = server();
    let mut world = planned(&["billing"], [Issuer::new(AS).keys(server.keys())]).start().await;
    let claims = segment(&server.access_token(json!({})), 1);
    let untyped = server.sign(&server.header("JWT"), &claims);
    assert_eq!(exchanged(&mut world, &untyped).await, Err(Reason::TokenTypeConfused));
    let typed = server.sign(&server.header("at+jwt"), &claims);
    assert!(exchanged(&mut world, &typed).await.is_ok());
    // An ID token with the key of the layer is no access token.
    let id_token = json!({ "client_id": null, "scope": null, "nonce": "n", "aud": "https://orders.example" });
    let id_token = world.own.sign(&world.own.header("JWT"), &changed(claims, id_token));
    assert_eq!(exchanged(&mut world, &id_token).await, Err(Reason::TokenTypeConfused));
}

#[test]
fn a_typ_that_hides_the_type_is_refused() {
    let jwt_output = |clients: Vec<Client>| clients.into_iter().map(Client::allow_jwt_output).collect();
    let build = |clients: bool, typ: &'static str| {
        let targets = move |targets: Vec<Target>| targets.into_iter().map(|target| target.token_typ(typ)).collect();
        let plan = if clients { plan_with(jwt_output, targets) } else { plan_with(|clients| clients, targets) };
        plan.builder.issuers([Issuer::new(AS)]).build().map(drop).map_err(|error| error.to_string())
    };
    for (clients, typ, mistake) in [
        (false, "JWT", None),
        (false, "AT+JWT", None),
        (true, "at+jwt", None),
        (true, "JWT", Some("looks like a JWT that client `orders` may request")),
        (false, "logout+jwt", Some("give `at+jwt` or `JWT`")),
        (false, "", Some("give `at+jwt` or `JWT`")),
    ] {
        let result = build(clients, typ);
        match mistake {
            None => assert_eq!(result, Ok(()), "{typ}"),
            Some(words) => assert!(result.as_ref().is_err_and(|error| error.contains(words)), "{typ}: {result:?}"),
        }
    }
}
