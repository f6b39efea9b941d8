//! The memo of verified signatures saves arithmetic and nothing else. Each test presents a good token first, so that its
//! signature is in the memo, and then changes one thing.

use crate::jwks::*;
use crate::support::*;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde_json::json;
use tower_token_exchange::{
    Client, Document, Issuer, Reason, Target,
    policy::{Names, Rule, Subjects},
    records::SubjectMapping,
    revocation::MemoryRevocations,
    signing::{Algorithm, LocalSigner, Signer},
};

/// The token with one bit of the bytes in a segment changed.
fn flipped(token: &str, segment: usize, bit: usize) -> String {
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut bytes = BASE64URL_NOPAD.decode(segments[segment].as_bytes()).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    segments[segment] = BASE64URL_NOPAD.encode(&bytes);
    segments.join(".")
}

/// The number of bits in a segment.
fn bits(token: &str, segment: usize) -> usize {
    8 * BASE64URL_NOPAD.decode(token.split('.').nth(segment).unwrap().as_bytes()).unwrap().len()
}

#[tokio::test]
async fn every_changed_bit_is_noticed() {
    let mut world = plan().with(|builder| builder.issuers([])).start().await;
    let token = world.idp.foreign(json!({}));
    assert_good(&mut world, &token, "the token itself").await;
    for segment in 0..3 {
        let step = if segment == 2 { 1 } else { 7 };
        for bit in (0..bits(&token, segment)).step_by(step) {
            let (reply, reason) = exchange(&mut world, &flipped(&token, segment, bit)).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "segment {segment}, bit {bit}: {}", reply.text);
            if segment == 2 {
                assert_eq!(reason, Some(Reason::TokenSignatureInvalid), "bit {bit}");
            }
        }
    }
    assert_good(&mut world, &token, "the token itself, again").await;
}

#[tokio::test]
async fn parts_of_known_tokens_make_no_token() {
    let mut world = plan().start().await;
    let [one, other] = ["1", "2"].map(|jti| world.idp.foreign(json!({ "jti": jti })));
    let relabelled = world.idp.sign(&world.idp.header("at+jwt"), &segment(&one, 1));
    for token in [&one, &other, &relabelled] {
        exchange(&mut world, token).await;
    }
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let [a, b, c] = [&one, &other, &relabelled].map(|token| parts(token));
    for mixed in [[&a[0], &a[1], &b[2]], [&a[0], &b[1], &a[2]], [&c[0], &a[1], &a[2]], [&a[0], &a[1], &c[2]]] {
        let mixed = mixed.map(String::as_str).join(".");
        assert_refused(&mut world, &mixed, Reason::TokenSignatureInvalid, &mixed).await;
    }
}

#[tokio::test]
async fn a_failed_verification_is_not_remembered() {
    let mut world = plan().start().await;
    let stranger =
        Minter { key: Minter::new(IDP, Algorithm::ES256).key.with_key_id(world.idp.key.key_id().clone()), iss: IDP };
    let forged = stranger.foreign(json!({}));
    for _ in 0..3 {
        assert_refused(&mut world, &forged, Reason::TokenSignatureInvalid, "forged").await;
    }
    let good = world.idp.foreign(json!({}));
    assert_good(&mut world, &good, "good").await;
    assert_refused(&mut world, &forged, Reason::TokenSignatureInvalid, "forged, after a good one").await;
}

#[tokio::test]
async fn a_key_that_leaves_ends_its_tokens() {
    let (old, time) = (issuer(), Time::new());
    let namesake = Minter { key: issuer().key.with_key_id(old.key.key_id().clone()), ..issuer() };
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    let known = token(&old);
    for _ in 0..2 {
        assert_good(&mut world, &known, "known").await;
    }
    // The key set is fetched again after ten minutes.
    for (name, keys, expected) in [
        ("another key takes the name", Answer::keys(&namesake), Some(Reason::TokenSignatureInvalid)),
        ("the key is back", Answer::keys(&old), None),
        ("only another key is left", Answer::keys(&issuer()), Some(Reason::TokenKeyUnknown)),
        ("the key is back once more", Answer::keys(&old), None),
    ] {
        jwks.now(keys);
        time.pass(700);
        let (_, reason) = exchange(&mut world, &known).await;
        assert_eq!(reason, expected, "{name}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    let token = key.foreign(json!({ "exp": NOW + 60 }));
    assert_good(&mut world, &token, "before").await;
    time.pass(59);
    assert_good(&mut world, &token, "in its last second").await;
    time.pass(1);
    assert_refused(&mut world, &token, Reason::TokenExpired, "after").await;
    time.set(NOW);
    let early = key.foreign(json!({ "nbf": NOW + 120 }));
    time.pass(120);
    assert_good(&mut world, &early, "from its first second").await;
    time.set(NOW);
    assert_refused(&mut world, &early, Reason::TokenNotYetValid, "before its first second").await;
}

#[tokio::test]
async fn a_revoked_token_is_refused() {
    let plan = plan().with(|builder| {
        builder
            .revocation_endpoint("/revoke")
            .introspection_endpoint("/introspect")
            .revocations(MemoryRevocations::new(9))
    });
    let mut world = plan.start().await;
    let answer = world.exchange(&world.own.access_token(json!({}))).await.json();
    let issued = answer["access_token"].as_str().unwrap();
    let mut onward = exchange_form(issued, &[]);
    onward[3].1 = "ledger";
    let ask = encode(&[("token", issued)]);
    let [orders, billing] = ["orders", "billing"].map(|client| basic(client, &secret_of(client)));
    for (revoked, reason) in [(false, None), (true, Some(Reason::TokenRevoked))] {
        if revoked {
            assert_eq!(world.post_to("/revoke", Some(&orders), ask.clone()).await.status, StatusCode::OK);
        }
        while !world.no_event() {}
        for _ in 0..2 {
            world.post_as("billing", &onward).await;
            assert_eq!(world.reason().await, reason);
            let answer = world.post_to("/introspect", Some(&billing), ask.clone()).await;
            assert_eq!(answer.json()["active"], !revoked);
            world.event().await;
        }
    }
}

/// The records of the usual world, with other issuers.
fn document(issuers: impl IntoIterator<Item = Issuer>) -> Document {
    let target = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read"]);
    Document::new()
        .clients([Client::new("orders").secret(secret_of("orders"))])
        .targets([target("billing").allow_clients(["orders"])])
        .issuers(issuers)
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())])
}

fn idp_record(keys: &Minter) -> Issuer {
    Issuer::new(IDP).keys(keys.keys()).map_subjects(SubjectMapping::Prefix("idp|".into())).allow_presenters(["orders"])
}

#[tokio::test]
async fn a_reload_decides_about_known_tokens() {
    let mut world = plan().start().await;
    let idp = world.idp.clone();
    let known = idp.foreign(json!({}));
    let other = Minter::new(IDP, Algorithm::ES256);
    let namesake = Minter { key: other.key.clone().with_key_id(idp.key.key_id().clone()), ..other.clone() };
    let edwards = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let both = idp.key.published_keys().and(edwards.published_keys()).key_set();
    let changes = [
        (
            "the issuer is removed",
            document([record("https://unrelated.example").keys(other.keys())]),
            Some(Reason::TokenIssuerUnknown),
        ),
        ("the issuer is back", document([idp_record(&idp)]), None),
        ("another key", document([idp_record(&other)]), Some(Reason::TokenKeyUnknown)),
        ("another key with the name", document([idp_record(&namesake)]), Some(Reason::TokenSignatureInvalid)),
        (
            "another algorithm",
            document([idp_record(&idp).keys(both).algorithms([Algorithm::EdDSA])]),
            Some(Reason::TokenAlgorithmRefused),
        ),
        ("as at first", document([idp_record(&idp)]), None),
    ];
    assert_good(&mut world, &known, "at first").await;
    for (name, document, expected) in changes {
        world.layer.reload(document).unwrap();
        let (_, reason) = exchange(&mut world, &known).await;
        assert_eq!(reason, expected, "{name}");
    }
}

#[tokio::test]
async fn no_issuer_uses_the_entries_of_another() {
    const RIVAL: &str = "https://rival.example";
    let mut world = plan().start().await;
    let idp = world.idp.clone();
    // The rival has a key with the same name. Tokens of the rival name the rival as their issuer.
    let rival =
        Minter { iss: RIVAL, key: Minter::new(RIVAL, Algorithm::ES256).key.with_key_id(idp.key.key_id().clone()) };
    world.layer.reload(document([idp_record(&idp), record(RIVAL).keys(rival.keys())])).unwrap();
    let (of_idp, of_rival) = (idp.foreign(json!({})), rival.foreign(json!({})));
    for _ in 0..2 {
        assert_good(&mut world, &of_idp, "of the issuer").await;
        assert_good(&mut world, &of_rival, "of the rival").await;
    }
    let claims_rival = Minter { iss: RIVAL, ..idp.clone() }.foreign(json!({}));
    let claims_idp = Minter { iss: IDP, ..rival.clone() }.foreign(json!({}));
    for (name, forged) in [("as the rival", claims_rival), ("as the issuer", claims_idp)] {
        for _ in 0..2 {
            assert_refused(&mut world, &forged, Reason::TokenSignatureInvalid, name).await;
        }
    }
    // The same token under the record of another issuer: the records exchange their keys.
    world.layer.reload(document([idp_record(&rival), record(RIVAL).keys(idp.keys())])).unwrap();
    assert_refused(&mut world, &of_idp, Reason::TokenSignatureInvalid, "the key belongs to the rival").await;
    assert_refused(&mut world, &of_rival, Reason::TokenSignatureInvalid, "the key belongs to the issuer").await;
}

#[tokio::test]
async fn a_retired_signer_ends_its_tokens() {
    let mut world = plan().start().await;
    let own = world.own.access_token(json!({}));
    let new = LocalSigner::generate(Algorithm::ES256).unwrap();
    let namesake = LocalSigner::generate(Algorithm::ES256).unwrap().with_key_id(world.own.key.key_id().clone());
    for (name, signer, expected) in [
        ("still accepted", Signer::from(new.clone()).also_accept(world.own.keys()), None),
        ("retired", Signer::from(new), Some(Reason::TokenKeyUnknown)),
        ("another key with the name", Signer::from(namesake), Some(Reason::TokenSignatureInvalid)),
        ("accepted again", Signer::from(world.own.key.clone()), None),
    ] {
        world.layer.rotate_signer(signer).unwrap();
        for _ in 0..2 {
            world.exchange(&own).await;
            assert_eq!(world.reason().await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn a_known_subject_token_is_no_actor_token() {
    let mut world = plan().start().await;
    let known = world.idp.foreign(json!({}));
    assert_good(&mut world, &known, "as subject token").await;
    let as_itself = [form(&known), vec![("actor_token", &*known), ("actor_token_type", JWT)]].concat();
    let refused = world.post_as("orders", &as_itself).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
}

#[tokio::test]
async fn every_size_gives_the_same_answers() {
    for entries in [0, 1, 16, 100_000] {
        let mut world = plan().with(|builder| builder.signature_memo(entries)).start().await;
        let good: Vec<_> = (0..40).map(|jti| world.idp.foreign(json!({ "jti": jti.to_string() }))).collect();
        for token in good.iter().chain(&good) {
            assert_good(&mut world, token, &format!("{entries} entries")).await;
            assert_refused(&mut world, &flipped(token, 2, 0), Reason::TokenSignatureInvalid, "forged").await;
        }
    }
}
