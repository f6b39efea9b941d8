//! Workloads without a secret: tokens of their platform, and SPIFFE IDs. The name of a test has the number of the fact that it
//! proves.

use crate::{
    in_process::{InProcess, plan_of},
    support::*,
};
use data_encoding::BASE64;
use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use serde_json::{Value, json};
use tower_token_exchange::{
    Client, Issuer, Reason,
    client_auth::PeerCertificates,
    jwks::KeySet,
    records::{FederatedCredential, SubjectMapping},
    signing::{Algorithm, Cryptography, LocalSigner},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const ACCOUNT: &str = "system:serviceaccount:shop:orders";
const SVID: &str = "spiffe://shop.example/ns/shop/orders";

/// A service-account token as a Kubernetes cluster issues one, with changes.
fn account_token(cluster: &Minter, changes: Value) -> String {
    let claims = json!({
        "aud": [AS], "exp": NOW + 3607, "iat": NOW, "iss": CLUSTER, "jti": "00000000-0000-4000-8000-000000000001",
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "orders", "uid": "1" } },
        "nbf": NOW, "sub": ACCOUNT,
    });
    let header = json!({ "alg": cluster.key.algorithm().as_str(), "kid": cluster.key.key_id() });
    cluster.sign(&header, &changed(claims, changes))
}

/// Presents an assertion. Returns the method, or the reason of the refusal.
async fn present(
    world: &mut InProcess,
    client_id: Option<&str>,
    kind: &str,
    assertion: &str,
) -> Result<&'static str, Reason> {
    let mut more = vec![("client_assertion_type", kind), ("client_assertion", assertion)];
    more.extend(client_id.map(|id| ("client_id", id)));
    let (status, error, event) = world.post(&more, |_| ()).await;
    match event.reason {
        None => {
            assert_eq!((status, event.client_id), (StatusCode::OK, Some("orders".into())));
            Ok(event.auth_method.unwrap().as_str())
        }
        Some(reason) => {
            assert_eq!((status.as_u16(), &*error), (400, "invalid_client"), "{reason}");
            Err(reason)
        }
    }
}

fn with_issuers(plan: Plan, issuers: impl IntoIterator<Item = Issuer>) -> InProcess {
    InProcess::new(plan.with(|builder| builder.issuers(issuers)))
}

#[tokio::test]
async fn a_service_account_authenticates_as_its_client() {
    use Reason::*;
    let key = LocalSigner::from_pem(Algorithm::RS256, include_str!("../data/rsa.pem")).unwrap();
    let (cluster, other) = (Minter { iss: CLUSTER, key }, Minter::new(CLUSTER, Algorithm::ES256));
    let credential = FederatedCredential::new(CLUSTER, ACCOUNT);
    let issuer = || Issuer::new(CLUSTER).keys(cluster.keys()).for_clients_only();
    let mut world = with_issuers(plan_of(Client::new("orders").federated_credential(credential.clone())), [issuer()]);
    let token = account_token(&cluster, json!({}));
    // The workload uses one token until the token expires.
    for _ in 0..2 {
        assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &token).await, Ok("federated_jwt"));
    }
    for (name, changes, reason) in [
        ("another account", json!({ "sub": "system:serviceaccount:shop:billing" }), ClientAssertionOfAnother),
        ("an account that begins alike", json!({ "sub": format!("{ACCOUNT}2") }), ClientAssertionOfAnother),
        ("another issuer", json!({ "iss": IDP }), ClientAssertionOfAnother),
        ("no issuer", json!({ "iss": null }), ClientAssertionMalformed),
        ("the audience of the cluster", json!({ "aud": [CLUSTER] }), ClientAssertionAudienceRefused),
        ("a second audience", json!({ "aud": [AS, CLUSTER] }), ClientAssertionAudienceRefused),
        ("no audience", json!({ "aud": null }), ClientAssertionAudienceRefused),
        ("no expiry", json!({ "exp": null }), ClientAssertionMalformed),
        ("expired", json!({ "exp": NOW }), ClientAssertionExpired),
        ("not yet valid", json!({ "nbf": NOW + 61 }), ClientAssertionNotYetValid),
    ] {
        let token = account_token(&cluster, changes);
        assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &token).await, Err(reason), "{name}");
    }
    let forged = account_token(&other, json!({}));
    assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &forged).await, Err(ClientAssertionKeyUnknown));
    let typed =
        cluster.sign(&cluster.header("at+jwt"), &json!({ "iss": CLUSTER, "sub": ACCOUNT, "aud": AS, "exp": NOW + 60 }));
    assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &typed).await, Err(ClientAssertionTypRefused));
    // The token does not name a client, and other clients have no such credential.
    for id in [None, Some("billing"), Some("nobody")] {
        assert_eq!(present(&mut world, id, JWT_BEARER, &token).await, Err(ClientAssertionOfAnother), "{id:?}");
    }
    // The record may name another audience.
    let named = Client::new("orders").federated_credential(credential.audience("https://workloads.example"));
    let mut world = with_issuers(plan_of(named), [issuer()]);
    assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &token).await, Err(ClientAssertionAudienceRefused));
    let token = account_token(&cluster, json!({ "aud": ["https://workloads.example"] }));
    assert_eq!(present(&mut world, Some("orders"), JWT_BEARER, &token).await, Ok("federated_jwt"));
}

#[tokio::test]
async fn tokens_of_a_platform_are_no_subject_tokens() {
    let cluster = Minter::new(CLUSTER, Algorithm::ES256);
    let client = Client::new("orders").secret(secret_of("orders"));
    let client = client.federated_credential(FederatedCredential::new(CLUSTER, ACCOUNT));
    let issuer = Issuer::new(CLUSTER).keys(cluster.keys()).for_clients_only();
    let mut world = plan_of(client).with(|builder| builder.issuers([issuer])).start().await;
    let token = account_token(&cluster, json!({}));
    for token_type in [JWT, ACCESS_TOKEN, ID_TOKEN] {
        let mut form = exchange_form(&token, &[("subject_token_type", token_type)]);
        form.remove(2);
        let reply = world.post_as("orders", &form).await;
        assert_eq!((reply.status.as_u16(), &*reply.error()), (400, "invalid_request"), "{token_type}");
        assert!(world.reason().await.is_some());
    }
    let form = [("actor_token", &*token), ("actor_token_type", JWT)];
    let subject = world.own.access_token(json!({}));
    let reply = world.post_as("orders", &exchange_form(&subject, &form)).await;
    assert_eq!(reply.error(), "invalid_request", "an actor token");
}

/// The bundle of a trust domain, whose keys verify JWT-SVIDs.
fn bundle(domain: &Minter) -> KeySet {
    let mut bundle: Value = serde_json::from_str(&domain.key.published_keys().to_json()).unwrap();
    bundle["keys"][0]["use"] = json!("jwt-svid");
    KeySet::from_json(bundle.to_string()).unwrap()
}

fn domain_of(name: &str, keys: &Minter) -> Issuer {
    Issuer::spiffe(name, "https://spire.example/bundle").keys(bundle(keys)).for_clients_only()
}

fn svid(domain: &Minter, changes: Value) -> String {
    domain.sign(&domain.header("JWT"), &changed(json!({ "sub": SVID, "aud": [AS], "exp": NOW + 300 }), changes))
}

#[tokio::test]
async fn sq_01_a_jwt_svid_names_its_client() {
    use Reason::*;
    let (shop, bank) = (Minter::new("shop", Algorithm::ES256), Minter::new("bank", Algorithm::ES256));
    let domains = || [domain_of("shop.example", &shop), domain_of("bank.example", &bank)];
    let mut world = with_issuers(plan_of(Client::new("orders").spiffe_id(SVID)), domains());
    for id in [Some("orders"), None] {
        for changes in
            [json!({}), json!({ "aud": AS }), json!({ "iss": "https://spire.example" }), json!({ "exp": NOW + 3600 })]
        {
            let found = present(&mut world, id, JWT_SPIFFE, &svid(&shop, changes.clone())).await;
            assert_eq!(found, Ok("spiffe_jwt"), "{id:?} {changes}");
        }
    }
    for (name, id, token, reason) in [
        ("another domain's keys", Some("orders"), svid(&bank, json!({})), ClientAssertionKeyUnknown),
        (
            "another domain's keys, by iss",
            None,
            svid(&bank, json!({ "iss": "spiffe://bank.example" })),
            ClientAssertionKeyUnknown,
        ),
        (
            "another domain",
            None,
            svid(&bank, json!({ "sub": "spiffe://bank.example/ns/shop/orders" })),
            ClientAssertionOfAnother,
        ),
        (
            "an unknown domain",
            None,
            svid(&shop, json!({ "sub": "spiffe://x.example/orders" })),
            ClientAssertionMalformed,
        ),
        ("another workload", None, svid(&shop, json!({ "sub": format!("{SVID}/x") })), ClientAssertionOfAnother),
        ("another client", Some("billing"), svid(&shop, json!({})), ClientAssertionOfAnother),
        ("no SPIFFE ID", None, svid(&shop, json!({ "sub": "orders" })), ClientAssertionMalformed),
        ("two audiences", None, svid(&shop, json!({ "aud": [AS, IDP] })), ClientAssertionAudienceRefused),
        ("another audience", None, svid(&shop, json!({ "aud": [IDP] })), ClientAssertionAudienceRefused),
        ("no audience", None, svid(&shop, json!({ "aud": null })), ClientAssertionAudienceRefused),
        ("no expiry", None, svid(&shop, json!({ "exp": null })), ClientAssertionMalformed),
        ("expired", None, svid(&shop, json!({ "exp": NOW })), ClientAssertionExpired),
    ] {
        assert_eq!(present(&mut world, id, JWT_SPIFFE, &token).await, Err(reason), "{name}");
    }
    // The type of the assertion says which keys count.
    let as_bearer = present(&mut world, Some("orders"), JWT_BEARER, &svid(&shop, json!({}))).await;
    assert_eq!(as_bearer, Err(ClientAssertionMalformed), "as a signed assertion");
    let plain =
        Issuer::new("https://plain.example").keys(shop.keys()).map_subjects(SubjectMapping::Prefix("p|".into()));
    let mut world =
        with_issuers(plan_of(Client::new("orders").spiffe_id(SVID)), [domain_of("shop.example", &bank), plain]);
    let found = present(&mut world, None, JWT_SPIFFE, &svid(&shop, json!({ "iss": "https://plain.example" }))).await;
    assert_eq!(found, Err(ClientAssertionKeyUnknown), "`iss` does not choose the keys");
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A trust domain whose bundle has these authorities.
fn domain_with(name: &str, authorities: &[&Authority]) -> Issuer {
    let keys: Vec<_> = authorities
        .iter()
        .map(|authority| json!({ "use": "x509-svid", "kty": "EC", "x5c": [BASE64.encode(authority.der())] }))
        .collect();
    let bundle = KeySet::from_json(json!({ "keys": keys }).to_string()).unwrap();
    Issuer::spiffe(name, "https://spire.example/bundle").keys(bundle).for_clients_only()
}

/// The certificate of a workload with these URIs, and what else the certificate has.
fn x509_svid(authority: &Authority, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    change(&mut params);
    params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().to_vec()
}

/// Presents certificates as `orders`. Returns the method, or the reason of the refusal.
async fn present_certificates(world: &mut InProcess, certificates: PeerCertificates) -> Result<&'static str, Reason> {
    let id = [("client_id", "orders")];
    let (_, _, event) = world.post(&id, |request| _ = request.extensions_mut().insert(certificates)).await;
    event.reason.map_or_else(|| Ok(event.auth_method.unwrap().as_str()), Err)
}

#[tokio::test]
async fn sq_02_an_x509_svid_names_its_client() {
    use Reason::{ClientCertificateMismatch as Mismatch, ClientCertificateUntrusted as Untrusted};
    let (shop, bank) = (authority(), authority());
    let domains = [domain_with("shop.example", &[&shop]), domain_with("bank.example", &[&bank])];
    let mut world = with_issuers(plan_of(Client::new("orders").spiffe_id(SVID)), domains);
    let plain = |_: &mut CertificateParams| ();
    let with_usage = |usage: KeyUsagePurpose| move |params: &mut CertificateParams| params.key_usages = vec![usage];
    for (name, certificate, expected) in [
        ("the ID", x509_svid(&shop, &[SVID], plain), Ok("spiffe_x509")),
        ("a usual key", x509_svid(&shop, &[SVID], with_usage(KeyUsagePurpose::DigitalSignature)), Ok("spiffe_x509")),
        ("another domain's authority", x509_svid(&bank, &[SVID], plain), Err(Untrusted)),
        ("an unknown authority", x509_svid(&authority(), &[SVID], plain), Err(Untrusted)),
        ("two URIs", x509_svid(&shop, &[SVID, "spiffe://shop.example/other"], plain), Err(Mismatch)),
        ("another ID", x509_svid(&shop, &["spiffe://shop.example/ns/shop/billing"], plain), Err(Mismatch)),
        ("an ID of another domain", x509_svid(&bank, &["spiffe://bank.example/orders"], plain), Err(Mismatch)),
        ("no ID", x509_svid(&shop, &[], plain), Err(Mismatch)),
        ("a key that signs", x509_svid(&shop, &[SVID], with_usage(KeyUsagePurpose::KeyCertSign)), Err(Mismatch)),
        (
            "an authority",
            x509_svid(&shop, &[SVID], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Err(Mismatch),
        ),
        ("expired", x509_svid(&shop, &[SVID], |params| params.not_after = date_time_ymd(2001, 1, 1)), Err(Untrusted)),
        (
            "for servers only",
            x509_svid(&shop, &[SVID], |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            Err(Untrusted),
        ),
    ] {
        // What the TLS acceptor says about the chain does not matter.
        let certificates = PeerCertificates::new([certificate]);
        for certificates in [certificates.clone(), certificates.with_valid_chain()] {
            assert_eq!(present_certificates(&mut world, certificates).await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn sq_02_a_chain_ends_in_the_bundle() {
    let (shop, bank) = (authority(), authority());
    let below = |authority: &Authority| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), authority).unwrap()
    };
    let (of_shop, of_bank) = (below(&shop), below(&bank));
    let mut world =
        with_issuers(plan_of(Client::new("orders").spiffe_id(SVID)), [domain_with("shop.example", &[&shop])]);
    for (name, issuer, others, expected) in [
        ("the whole chain", &of_shop, vec![&of_shop], Ok("spiffe_x509")),
        ("a chain with the root", &of_shop, vec![&of_shop, &shop], Ok("spiffe_x509")),
        ("no intermediate", &of_shop, vec![], Err(Reason::ClientCertificateUntrusted)),
        ("another domain's chain", &of_bank, vec![&of_bank, &bank], Err(Reason::ClientCertificateUntrusted)),
        ("a foreign intermediate", &of_shop, vec![&of_bank], Err(Reason::ClientCertificateUntrusted)),
    ] {
        let others = others.into_iter().map(|authority| authority.der().to_vec());
        let leaf = x509_svid(issuer, &[SVID], |_| ());
        let certificates = PeerCertificates::new([leaf].into_iter().chain(others));
        assert_eq!(present_certificates(&mut world, certificates).await, expected, "{name}");
    }
}

/// A bundle without authorities, such as one for JWT-SVIDs alone, lets no certificate in.
#[tokio::test]
async fn sq_02_a_bundle_without_authorities_trusts_nobody() {
    let (shop, keys) = (authority(), Minter::new("shop", Algorithm::ES256));
    let mut world = with_issuers(plan_of(Client::new("orders").spiffe_id(SVID)), [domain_of("shop.example", &keys)]);
    let certificates = PeerCertificates::new([x509_svid(&shop, &[SVID], |_| ())]).with_valid_chain();
    let found = present_certificates(&mut world, certificates).await;
    assert_eq!(found, Err(Reason::ClientCertificateUntrusted));
}

#[tokio::test]
async fn sq_03_an_id_may_end_with_any_segment() {
    let shop = Minter::new("shop", Algorithm::ES256);
    let client = Client::new("orders").spiffe_id("spiffe://shop.example/ns/shop/*");
    let mut world = with_issuers(plan_of(client), [domain_of("shop.example", &shop)]);
    for (id, let_in) in [
        ("spiffe://shop.example/ns/shop/orders", true),
        ("spiffe://shop.example/ns/shop/orders/v2", true),
        ("spiffe://shop.example/ns/shop", false),
        ("spiffe://shop.example/ns/shopping/orders", false),
        ("spiffe://shop.example/ns/other/orders", false),
        ("spiffe://shop.example/ns/shop/../bank/orders", false),
        ("spiffe://shop.example/ns/shop/", false),
        ("spiffe://shop.example/ns/shop/*", false),
    ] {
        // An SVID has no `jti` that counts: workloads use one SVID several times.
        let token = svid(&shop, json!({ "sub": id, "jti": "always-the-same" }));
        for _ in 0..2 {
            assert_eq!(present(&mut world, None, JWT_SPIFFE, &token).await.is_ok(), let_in, "{id}");
        }
    }
}

#[test]
fn mistakes_in_workloads_of_records_are_reported() {
    let federated = |issuer: &str, subject: &str| {
        Client::new("orders").federated_credential(FederatedCredential::new(issuer, subject))
    };
    for (client, field, help) in [
        (federated("https://nobody.example", ACCOUNT), "federated_credential", "issuer"),
        (federated(AS, ACCOUNT), "federated_credential", "the platform"),
        (federated(IDP, ""), "federated_credential", "exact value"),
        (federated(IDP, ACCOUNT).fapi(), "federated_credential", "remove `fapi`"),
        (Client::new("orders").spiffe_id("shop.example/orders"), "spiffe_id", "not a SPIFFE ID"),
        (Client::new("orders").spiffe_id("spiffe://shop.example/*/orders"), "spiffe_id", "not a SPIFFE ID"),
        (Client::new("orders").spiffe_id(SVID), "spiffe_id", "issuer"),
    ] {
        let error = plan_of(client).builder.build().unwrap_err();
        assert_eq!(error.field(), format!("client `orders`: {field}"), "{error}");
        assert!(error.help().contains(help), "{error}");
    }
    let keyless = Issuer::new(CLUSTER).for_clients_only();
    let plan = plan().with(|builder| builder.issuers([keyless]));
    assert!(plan.builder.build().unwrap_err().help().contains("no source of keys"));
}

#[tokio::test]
async fn each_library_verifies_tokens_of_platforms() {
    let key = LocalSigner::from_pem(Algorithm::RS256, include_str!("../data/rsa.pem")).unwrap();
    let (cluster, shop) = (Minter { iss: CLUSTER, key }, Minter::new("shop", Algorithm::ES256));
    let client =
        || Client::new("orders").federated_credential(FederatedCredential::new(CLUSTER, ACCOUNT)).spiffe_id(SVID);
    for cryptography in Cryptography::ALL {
        let plan = plan_of(client()).with(|builder| builder.cryptography(*cryptography));
        let issuers = [Issuer::new(CLUSTER).keys(cluster.keys()).for_clients_only(), domain_of("shop.example", &shop)];
        let mut world = with_issuers(plan, issuers);
        for (kind, method, [token, other]) in [
            (JWT_BEARER, "federated_jwt", [60, 61].map(|more| account_token(&cluster, json!({ "exp": NOW + more })))),
            (JWT_SPIFFE, "spiffe_jwt", [60, 61].map(|more| svid(&shop, json!({ "exp": NOW + more })))),
        ] {
            let forged = [token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1].join(".");
            let found = present(&mut world, Some("orders"), kind, &forged).await;
            assert_eq!(found, Err(Reason::ClientAssertionSignatureInvalid), "{method}, {cryptography:?}");
            let found = present(&mut world, Some("orders"), kind, &token).await;
            assert_eq!(found, Ok(method), "{cryptography:?}");
        }
    }
}
