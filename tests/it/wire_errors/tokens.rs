//! Refused tokens, one for each reason.

use super::*;
use crate::proof::{Prover, URL as TOKEN_ENDPOINT};
use std::sync::LazyLock;
use tower_token_exchange::{
    TokenType,
    proof::Dpop,
    records::{Introspection, TokenRules},
    replay::{UseOnce, Used},
    revocation::{FoundRevocation, RevocationKey, RevocationKind, RevocationQuestion, RevocationState},
    status::{Status, StatusQuery},
    token::{NumericDate, TokenToVerify, Verification},
};

/// The key of a client.
static PROVER: LazyLock<Prover> = LazyLock::new(Prover::new);

fn own(name: &'static str, reason: Reason, token: fn(&World) -> String) -> Row {
    bad_token(name, reason, ask().token(token))
}

fn foreign(name: &'static str, reason: Reason, token: fn(&World) -> String) -> Row {
    bad_token(name, reason, ask().token(token).set("subject_token_type", JWT))
}

/// A valid own access token with a changed header.
fn headed(world: &World, changes: Value) -> String {
    let header = changed(world.own.header("at+jwt"), changes);
    world.own.sign(&header, &segment(&world.own.access_token(json!({})), 1))
}

/// A plan with this record for the own issuer.
fn with_own(change: impl FnOnce(Issuer) -> Issuer) -> Plan {
    plan().with(|builder| builder.issuers([change(Issuer::new(AS))]))
}

fn of_access_tokens() -> TokenRules {
    TokenRules::new(TokenType::ACCESS_TOKEN)
}

/// One token for each reason. `hostile_tokens` has further cases.
pub(super) fn tokens() -> Vec<Row> {
    vec![
        own("no JWT", Reason::TokenMalformed, |_| HIDDEN.to_owned()),
        own("a token with an empty signature", Reason::TokenSignatureInvalid, |world| {
            let token = world.own.access_token(json!({}));
            let (signed, _) = token.rsplit_once('.').unwrap();
            format!("{signed}.{}", BASE64URL_NOPAD.encode(&[0; 64]))
        }),
        own("a critical header", Reason::TokenHeaderCritical, |world| {
            let header = changed(world.own.header("at+jwt"), json!({ "crit": ["b64"], "b64": false }));
            world.own.sign(&header, &segment(&world.own.access_token(json!({})), 1))
        }),
        own("alg none", Reason::TokenAlgorithmRefused, |world| {
            let header = changed(world.own.header("at+jwt"), json!({ "alg": "none" }));
            world.own.sign(&header, &segment(&world.own.access_token(json!({})), 1))
        }),
        own("a kid that is no text", Reason::TokenHeaderMalformed, |world| headed(world, json!({ "kid": [CANARY] }))),
        own("an encrypted token", Reason::TokenEncrypted, |world| headed(world, json!({ "enc": CANARY }))),
        own("a token in a token", Reason::TokenNested, |world| headed(world, json!({ "cty": CANARY }))),
        own("claims that are no object", Reason::TokenClaimsMalformed, |world| {
            world.own.sign_text(&world.own.header("at+jwt").to_string(), CANARY)
        }),
        own("no issuer", Reason::TokenIssuerMissing, |world| world.own.access_token(json!({ "iss": null }))),
        own("no subject", Reason::TokenSubjectInvalid, |world| world.own.access_token(json!({ "sub": [CANARY] }))),
        own("a name of a foreign subject", Reason::TokenOriginMissing, |world| {
            world.own.access_token(json!({ "sub": "idp|zq9canary" }))
        }),
        own("an origin of a stranger", Reason::TokenOriginInvalid, |world| {
            world.own.access_token(json!({ "exchanged_from": { "iss": CANARY, "token_types": [JWT] } }))
        }),
        own("a client that is no text", Reason::TokenClaimsInvalid, |world| {
            world.own.access_token(json!({ "client_id": [CANARY] }))
        }),
        own("an unknown issuer", Reason::TokenIssuerUnknown, |world| {
            world.own.access_token(json!({ "iss": "https://zq9canary.example" }))
        }),
        own("an unknown key", Reason::TokenKeyUnknown, |world| {
            let header = changed(world.own.header("at+jwt"), json!({ "kid": CANARY }));
            world.own.sign(&header, &segment(&world.own.access_token(json!({})), 1))
        }),
        own("a signature of somebody else", Reason::TokenSignatureInvalid, |world| {
            let header = changed(world.idp.header("at+jwt"), json!({ "kid": world.own.key.key_id() }));
            world.idp.sign(&header, &segment(&world.own.access_token(json!({})), 1))
        }),
        own("no exp", Reason::TokenExpiryMissing, |world| world.own.access_token(json!({ "exp": null }))),
        own("exp has passed", Reason::TokenExpired, |world| world.own.access_token(json!({ "exp": NOW }))),
        own("nbf is to come", Reason::TokenNotYetValid, |world| world.own.access_token(json!({ "nbf": NOW + 61 }))),
        own("iat is to come", Reason::TokenIssuedInFuture, |world| world.own.access_token(json!({ "iat": NOW + 61 }))),
        own("a JWT as access token", Reason::TokenTypeConfused, |world| {
            world.own.sign(&world.own.header("JWT"), &segment(&world.own.access_token(json!({})), 1))
        }),
        foreign("a token for somebody else", Reason::TokenNotForUs, |world| {
            world.idp.foreign(json!({ "aud": "https://zq9canary.example" }))
        }),
        own("a bound token", Reason::TokenSenderConstrained, |world| {
            world.own.access_token(json!({ "cnf": { "jkt": CANARY } }))
        }),
        own("a token of a key that is not proven", Reason::BindingNotProven, |world| {
            world.own.access_token(json!({ "client_id": "orders", "cnf": { "jkt": PROVER.jkt() } }))
        }),
        bad_token(
            "a bound token of another client",
            Reason::BindingOfOtherClient,
            ask()
                .header(HeaderName::from_static("dpop"), &PROVER.proof())
                .token(|world| world.own.access_token(json!({ "cnf": { "jkt": PROVER.jkt() } }))),
        )
        .in_world(|| plan().with(|builder| builder.dpop(Dpop::new(TOKEN_ENDPOINT)))),
        own("authorization_details", Reason::AuthorizationDetailsUnsupported, |world| {
            world.own.access_token(json!({ "authorization_details": [{ "type": CANARY }] }))
        }),
        own("no audience", Reason::PresenterUnknown, |world| world.own.access_token(json!({ "aud": [] }))),
        own("a stranger's token", Reason::PresenterUnrelated, |world| {
            world.own.access_token(json!({ "aud": "https://billing.example" }))
        }),
        own("several audiences", Reason::SeveralAudiences, |world| {
            world.own.access_token(json!({ "aud": ["https://orders.example", "https://billing.example"] }))
        }),
        foreign("a subject that is called like a client", Reason::SubjectNotMapped, |world| {
            world.idp.foreign(json!({ "sub": "shadow" }))
        })
        .in_world(|| {
            let shadow = |mut clients: Vec<Client>| {
                clients.push(Client::new("idp|shadow").secret(secret_of("shadow")));
                clients
            };
            plan_with(shadow, |targets| targets)
        }),
        own("a subject that nobody verified", Reason::SubjectClaimUnverified, |world| {
            world.own.access_token(json!({ "sub": null, "email": CANARY, "email_verified": false }))
        })
        .in_world(|| with_own(|issuer| issuer.accept(of_access_tokens().subject_claim("email")))),
        own("the client as its own subject", Reason::ActorIsSubject, |world| {
            world.own.access_token(json!({ "sub": "orders" }))
        }),
        own("an act that is no object", Reason::ChainMalformed, |world| {
            world.own.access_token(json!({ "act": CANARY }))
        }),
        foreign("an act of an issuer that is not believed", Reason::ChainNotTrusted, |world| {
            world.idp.foreign(json!({ "act": { "sub": CANARY } }))
        }),
        own("an actor that stands deeper", Reason::ActorRepeated, |world| {
            world.own.access_token(json!({ "act": { "sub": CANARY, "act": { "sub": "orders" } } }))
        }),
        own("a chain of four", Reason::ChainTooDeep, |world| {
            world.own.access_token(
                json!({ "act": { "sub": "a", "act": { "sub": "b", "act": { "sub": "c", "act": { "sub": "d" } } } } }),
            )
        }),
        own("a may_act that is no object", Reason::MayActMalformed, |world| {
            world.own.access_token(json!({ "may_act": [CANARY] }))
        }),
        own("a may_act of somebody else", Reason::MayActMismatch, |world| {
            world.own.access_token(json!({ "may_act": { "sub": CANARY } }))
        }),
        own("an impersonation of a delegated subject", Reason::ImpersonationImpossible, |world| {
            world.own.access_token(json!({ "act": { "sub": CANARY } }))
        })
        .in_world(|| plan().with(|builder| builder.policy(decides(|_| Decision::impersonate())))),
    ]
}

/// Actor tokens, with a valid subject token.
pub(super) fn actors() -> Vec<Row> {
    fn actor(name: &'static str, reason: Reason, actor: fn(&World) -> String) -> Row {
        let ask = ask().token(actor).set("subject_token", GOOD).set("actor_token", SUBJECT);
        bad_token(name, reason, ask.set("actor_token_type", ACCESS_TOKEN))
    }
    vec![
        actor("an actor token of somebody else", Reason::ActorNotCarried, |world| {
            world.own.access_token(json!({ "sub": "billing", "client_id": "billing" }))
        }),
        actor("an actor token that is delegated", Reason::ActorDelegated, |world| {
            world.own.access_token(json!({ "sub": "orders", "client_id": "orders", "act": { "sub": "billing" } }))
        }),
        Row {
            ask: ask()
                .token(|world| world.idp.foreign(json!({ "sub": "orders" })))
                .set("subject_token", GOOD)
                .set("actor_token", SUBJECT)
                .set("actor_token_type", JWT),
            ..actor("an actor token of an issuer that is not believed", Reason::ActorIssuerNotTrusted, |_| {
                String::new()
            })
        },
    ]
}

/// The requirements of an issuer's record.
pub(super) fn records() -> Vec<Row> {
    vec![
        own("iat is too long ago", Reason::TokenTooOld, |world| world.own.access_token(json!({ "iat": NOW - 61 })))
            .in_world(|| with_own(|own| own.max_age(Duration::from_secs(60)))),
        own("another typ than is demanded", Reason::TokenTypRefused, |world| headed(world, json!({ "typ": "JWT" })))
            .in_world(|| with_own(|own| own.allow_untyped_access_tokens().accept(of_access_tokens().typ(["at+jwt"])))),
        own("without a claim that is demanded", Reason::TokenClaimRequired, |world| {
            world.own.access_token(json!({ "ver": CANARY }))
        })
        .in_world(|| with_own(|own| own.accept(of_access_tokens().require_value("ver", "2.0")))),
        own("with a claim that is forbidden", Reason::TokenClaimForbidden, |world| {
            world.own.access_token(json!({ "nonce": CANARY }))
        })
        .in_world(|| with_own(|own| own.accept(of_access_tokens().forbid("nonce")))),
        own("a type that is taken from others only", Reason::TokenTypeNotAccepted, |world| {
            world.idp.foreign(json!({ "client_id": CANARY }))
        }),
        foreign("another tenant than is listed", Reason::TokenTenantRefused, |world| {
            world.idp.foreign(json!({ "iss": TENANTS, "tid": CANARY }))
        })
        .in_world(with_tenants),
        foreign("another tenant than the client's", Reason::TenantMismatch, |world| {
            world.idp.foreign(json!({ "iss": TENANTS, "tid": "blue" }))
        })
        .in_world(with_tenants),
    ]
}

const TENANTS: &str = "https://tenants.example";

/// An issuer of two tenants, one of which `orders` serves.
fn with_tenants() -> Plan {
    let red = |clients: Vec<Client>| clients.into_iter().map(|client| client.allow_tenants(["red"])).collect();
    let plan = plan_with(red, |targets| targets);
    let tenants = Issuer::new(TENANTS)
        .keys(plan.idp.keys())
        .accept_tenants("tid", ["red", "blue"])
        .map_subjects(SubjectMapping::Prefix("tenants|".into()))
        .allow_presenters(["orders"]);
    plan.with(|builder| builder.issuers([tenants]))
}

const BADGE: &str = "urn:example:token-type:badge";

/// A plan with a token verifier for badges.
fn with_verifier<F>(verify: impl FnMut(TokenToVerify) -> F + Clone + Send + Sync + 'static) -> Plan
where
    F: Future<Output = Result<Verification, &'static str>> + Send + 'static,
{
    let desk = Issuer::new("https://desk.example")
        .accept_types([TokenType::from_static(BADGE)])
        .map_subjects(SubjectMapping::Prefix("desk|".into()))
        .one_time_subject_tokens();
    plan().with(|builder| {
        builder.issuers([desk]).token_verifier(TokenType::from_static(BADGE), tower::service_fn(verify))
    })
}

/// A plan whose own opaque tokens are introspected with this answer.
fn with_introspection(answer: fn() -> Result<Value, &'static str>) -> Plan {
    let endpoint = tower::service_fn(move |_: Request<Bytes>| async move {
        let response = http::Response::builder().header(header::CONTENT_TYPE, "application/json");
        answer().map(|answer| response.body(Bytes::from(answer.to_string())).unwrap())
    });
    let record = Introspection::basic("https://as.example/introspect", "layer", secret_of("layer")).http(endpoint);
    with_own(|own| own.introspection(record))
}

fn with_status<F>(check: impl FnMut(StatusQuery) -> F + Clone + Send + Sync + 'static) -> Plan
where
    F: Future<Output = Result<Status, &'static str>> + Send + 'static,
{
    plan().with(|builder| builder.status(tower::service_fn(check)))
}

/// Answers of plugs about a token.
pub(super) fn others_say_so() -> Vec<Row> {
    let badge = || ask().token(|_| HIDDEN.to_owned()).set("subject_token_type", BADGE);
    let opaque = || ask().token(|_| HIDDEN.to_owned());
    vec![
        bad_token("a token that its verifier rejects", Reason::TokenVerifierRejected, badge())
            .in_world(|| with_verifier(|_| async { Ok(Verification::rejected(CANARY)) })),
        Row {
            ask: badge(),
            ..unavailable("a verifier that cannot be asked", Reason::TokenVerifierUnavailable, || {
                with_verifier(|_| async { Err(CANARY) })
            })
        },
        Row {
            ask: badge(),
            ..broken("a verifier that panics", Reason::TokenVerifierPanicked, || {
                with_verifier(|question| async move {
                    assert!(question.expose().is_empty(), "{CANARY}, as the test wants");
                    Err(CANARY)
                })
            })
        },
        bad_token("a token that is not active", Reason::TokenInactive, opaque())
            .in_world(|| with_introspection(|| Ok(json!({ "active": false })))),
        Row {
            ask: opaque(),
            ..unavailable("an introspection endpoint that is away", Reason::IntrospectionUnavailable, || {
                with_introspection(|| Err(CANARY))
            })
        },
        bad_token(
            "an issued token with a malformed ancestry",
            Reason::TokenAncestryInvalid,
            ask().token(|world| world.own.access_token(json!({ "client_id": "orders", "ancestry": CANARY }))),
        )
        .in_world(|| with_revocations(|_| Ok(Vec::new()))),
        bad_token("a token with too many ancestors", Reason::TooManyAncestors, descendant())
            .in_world(|| with_revocations(|_| Ok(Vec::new())).with(|builder| builder.max_ancestors(1))),
        bad_token("a token that was revoked", Reason::TokenRevoked, ask())
            .in_world(|| with_revocations(|keys| Ok(keys.into_iter().take(1).collect()))),
        bad_token("a token whose ancestor was revoked", Reason::AncestorRevoked, descendant())
            .in_world(|| with_revocations(|keys| Ok(of_kind(keys, RevocationKind::Token).skip(1).collect()))),
        bad_token("a token of a subject that was cut off", Reason::TokenCutOff, ask())
            .in_world(|| with_revocations(|keys| Ok(of_kind(keys, RevocationKind::Subject).collect()))),
        unavailable("a revocation store that cannot be asked", Reason::RevocationsUnavailable, || {
            with_revocations(|_| Err(CANARY))
        }),
        broken("a revocation store that panics", Reason::RevocationsPanicked, || {
            with_revocations(|_| panic!("{CANARY}, as the test wants"))
        }),
        bad_token("a one-time token without a name", Reason::OneTimeTokenUnidentified, badge()).in_world(|| {
            with_verifier(|_| async {
                let claims = [("iss", "https://desk.example"), ("sub", "dora"), ("aud", AS)];
                let claims = claims.map(|(name, text)| (name, json!(text)));
                Ok(Verification::verified(claims.into_iter().chain([("exp", json!(NOW + 600))])))
            })
        }),
        bad_token(
            "a one-time token that is valid for days",
            Reason::OneTimeTokenTooLong,
            ask().token(|world| world.own.access_token(json!({ "exp": NOW + 2 * 24 * 60 * 60 }))),
        )
        .in_world(|| with_replays(|| Ok(Used::First))),
        bad_token("a one-time token that was used before", Reason::SubjectTokenUsedAgain, ask())
            .in_world(|| with_replays(|| Ok(Used::Again))),
        unavailable("a replay store that is full", Reason::ReplayStoreFull, || with_replays(|| Ok(Used::Full))),
        unavailable("a replay store that cannot be asked", Reason::ReplayStoreUnavailable, || {
            with_replays(|| Err(CANARY))
        }),
        broken("a replay store that panics", Reason::ReplayStorePanicked, || {
            with_replays(|| panic!("{CANARY}, as the test wants"))
        }),
        bad_token("a subject that was disabled", Reason::StatusRefused, ask())
            .in_world(|| with_status(|_| async { Ok(Status::refused(CANARY)) })),
        unavailable("a status check that cannot be asked", Reason::StatusUnavailable, || {
            with_status(|_| async { Err(CANARY) })
        }),
        broken("a status check that panics", Reason::StatusPanicked, || {
            with_status(|query| async move {
                assert!(query.client_id.as_str().is_empty(), "{CANARY}, as the test wants");
                Err(CANARY)
            })
        }),
    ]
}

/// A plan in which `orders` may exchange each token once.
fn with_replays(answer: fn() -> Result<Used, &'static str>) -> Plan {
    let one_time = |clients: Vec<Client>| clients.into_iter().map(Client::one_time_subject_tokens).collect();
    let store = tower::service_fn(move |_: UseOnce| async move { answer() });
    plan_with(one_time, |targets| targets).with(|builder| builder.replay_store(store))
}

type Keys = Vec<RevocationKey>;

/// A plan with a store that says which of the keys of a token are revoked.
fn with_revocations(answer: fn(Keys) -> Result<Keys, &'static str>) -> Plan {
    plan().with(|builder| {
        builder.revocations(tower::service_fn(move |question: RevocationQuestion| async move {
            let RevocationQuestion::Find { mut keys, .. } = question else { return Err("not asked for") };
            // The key of the token itself is the first of its kind.
            keys.sort_by_key(|key| key.kind());
            let ever = NumericDate::from_seconds(u64::MAX);
            let found = answer(keys)?.into_iter().map(|key| FoundRevocation::new(key, ever));
            Ok(RevocationState::Found(found.collect()))
        }))
    })
}

fn of_kind(keys: Keys, kind: RevocationKind) -> impl Iterator<Item = RevocationKey> {
    keys.into_iter().filter(move |key| key.kind() == kind)
}

/// An exchange of a token with one ancestor, which a foreign issuer issued.
fn descendant() -> Ask {
    ask().token(|world| {
        let ancestry = BASE64URL_NOPAD.encode(&[&[1, 0, 0, 0, 9][..], &[5; 10], &[0xa0, 0, 0], &[6; 10]].concat());
        world.own.access_token(json!({ "client_id": "orders", "ancestry": ancestry }))
    })
}
