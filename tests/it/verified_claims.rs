//! A claim that users enter themselves names a subject only if the issuer has verified the value.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tower_token_exchange::{
    Client, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    policy::{Names, Rule, Subjects},
    records::{SubjectMapping, TokenRules},
    signing::Algorithm,
};

/// How a claim of a foreign token becomes the name of the subject.
#[derive(Clone, Copy, Debug)]
enum Named {
    ByMapping,
    /// The token has no `sub`.
    ByStatement,
}

const BOTH: [Named; 2] = [Named::ByMapping, Named::ByStatement];

/// A world that names the subjects of the foreign issuer by a claim, with these further rules for the tokens.
async fn world(claim: &str, named: Named, rules: impl FnOnce(TokenRules) -> TokenRules) -> World {
    let (own, idp) = (Minter::new(AS, Algorithm::ES256), Minter::new(IDP, Algorithm::ES256));
    let rules = rules(TokenRules::new(TokenType::JWT));
    let issuer = Issuer::new(IDP).keys(idp.keys()).allow_presenters(["orders"]);
    let issuer = match named {
        Named::ByMapping => issuer.accept(rules).map_subjects(SubjectMapping::Claim(claim.into())),
        Named::ByStatement => {
            issuer.accept(rules.subject_claim(claim)).map_subjects(SubjectMapping::Prefix("idp|".into()))
        }
    };
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients([Client::new("orders").secret(secret_of("orders"))])
        .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
        .issuers([issuer])
        .federated_subjects_only()
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())])
        .signer(own.key.clone());
    Plan { own, idp, builder }.start().await
}

/// Exchanges a token of the foreign issuer with these claims. Returns the subject of the issued token.
async fn exchanged(world: &mut World, named: Named, changes: Value) -> Result<String, Reason> {
    let sub = match named {
        Named::ByMapping => json!({}),
        Named::ByStatement => json!({ "sub": null }),
    };
    let claims = changed(segment(&world.idp.foreign(sub), 1), changes);
    let token = world.idp.sign(&world.idp.header("JWT"), &claims);
    let mut form = exchange_form(&token, &[]);
    form[2].1 = JWT;
    let reply = world.post_as("orders", &form).await;
    match world.reason().await {
        Some(reason) => {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
            Err(reason)
        }
        None => Ok(reply.claims()["sub"].as_str().unwrap().trim_start_matches("idp|").to_owned()),
    }
}

#[tokio::test]
async fn a_subject_named_by_email_is_verified() {
    let unverified = Err(Reason::SubjectClaimUnverified);
    for named in BOTH {
        for (claim, value) in [("email", "bob@example.com"), ("phone_number", "+31-20-5550100")] {
            let mut world = world(claim, named, |rules| rules).await;
            let statement = format!("{claim}_verified");
            let good = Ok(value.to_owned());
            for (verified, expected) in [
                (json!(true), &good),
                (json!("true"), &good),
                (json!(null), &unverified),
                (json!(false), &unverified),
                (json!("false"), &unverified),
                (json!("True"), &unverified),
                (json!(""), &unverified),
                (json!(1), &unverified),
                (json!([true]), &unverified),
                (json!({ "verified": true }), &unverified),
            ] {
                let found = exchanged(&mut world, named, json!({ claim: value, &statement: verified })).await;
                assert_eq!(found, *expected, "{named:?} {claim} {verified}");
            }
            // The statement about another claim says nothing.
            let other = json!({ claim: value, "email_verified ": true, "verified": true, "sub_verified": true });
            assert_eq!(exchanged(&mut world, named, other).await, unverified, "{named:?} {claim}");
        }
    }
}

#[tokio::test]
async fn a_record_says_that_emails_are_verified() {
    for named in BOTH {
        let mut world = world("email", named, |rules| rules.always_verified(["email"])).await;
        let email = "bob@example.com";
        for (verified, expected) in [
            (json!(null), Ok(email.to_owned())),
            (json!(true), Ok(email.to_owned())),
            // The issuer itself contradicts the record.
            (json!(false), Err(Reason::SubjectClaimUnverified)),
        ] {
            let found = exchanged(&mut world, named, json!({ "email": email, "email_verified": verified })).await;
            assert_eq!(found, expected, "{named:?} {verified}");
        }
    }
}

#[tokio::test]
async fn a_claim_that_is_not_entered_needs_no_statement() {
    for named in BOTH {
        let mut world = world("login", named, |rules| rules).await;
        for (verified, expected) in
            [(json!(null), Ok("bob".to_owned())), (json!(false), Err(Reason::SubjectClaimUnverified))]
        {
            let found = exchanged(&mut world, named, json!({ "login": "bob", "login_verified": verified })).await;
            assert_eq!(found, expected, "{named:?} {verified}");
        }
    }
}
