//! The tokens of stock issuers are accepted by configuration alone.

use super::*;
use tower_token_exchange::{Reason::*, jwks::KeySet, records::Introspection, signing::LocalSigner};

const RSA_PEM: &[u8] = include_bytes!("../../data/rsa.pem");
const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";

fn rsa() -> LocalSigner {
    LocalSigner::from_pem(Algorithm::RS256, RSA_PEM).unwrap()
}

fn keys(key: &LocalSigner) -> KeySet {
    key.published_keys().key_set()
}

/// A token of a stock issuer, and what the handler sees of it.
struct Stock {
    name: &'static str,
    record: Issuer,
    header: Value,
    claims: Value,
    client: Option<&'static str>,
    scope: &'static str,
    /// Claims that make an ID token or another token of the same issuer.
    others: Vec<(Value, Reason)>,
}

fn stock() -> Vec<Stock> {
    let plain = || json!({ "typ": "JWT" });
    vec![
        Stock {
            name: "Keycloak",
            record: Issuer::keycloak("https://login.example", "staff"),
            header: plain(),
            claims: json!({
                "iss": "https://login.example/realms/staff", "sub": "f:7b1c:alice", "typ": "Bearer", "azp": "web-frontend",
                "scope": "openid email read", "aud": [BILLING, "account"], "realm_access": { "roles": ["offline_access"] },
            }),
            client: Some("web-frontend"),
            scope: "openid email read",
            others: vec![(json!({ "typ": "ID" }), TokenTypeConfused), (json!({ "typ": "Refresh" }), TokenTypeConfused)],
        },
        Stock {
            name: "Entra ID",
            record: Issuer::entra_id(TENANT).accepted_audiences(["6e74172b-be56-4843-9ff4-e66a39bb12e3"]),
            header: plain(),
            claims: json!({
                "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "sub": "HKZpfaHyWadeOouYlit",
                "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "azp": "a1b2c3d4", "scp": "read write", "tid": TENANT,
                "ver": "2.0", "oid": "690222be",
            }),
            client: Some("a1b2c3d4"),
            scope: "read write",
            others: vec![
                (json!({ "scp": null }), TokenClaimRequired),
                (json!({ "nonce": "n" }), TokenClaimForbidden),
                (json!({ "tid": "11111111-604b-40ac-a9d7-9fd97c0b779f" }), TokenTenantRefused),
            ],
        },
        Stock {
            name: "Okta",
            record: Issuer::okta("https://acme.okta.com/oauth2/default"),
            header: json!({}),
            claims: json!({
                "iss": "https://acme.okta.com/oauth2/default", "sub": "alice@acme.example", "cid": "0oa4ytd",
                "scp": ["read", "offline_access"], "uid": "00ukzt", "ver": 1,
            }),
            client: Some("0oa4ytd"),
            scope: "read offline_access",
            others: vec![(json!({ "cid": null, "scp": null }), TokenClaimRequired)],
        },
        Stock {
            name: "Auth0",
            record: Issuer::auth0("acme.eu.auth0.com"),
            header: plain(),
            claims: json!({
                "iss": "https://acme.eu.auth0.com/", "sub": "auth0|alice", "azp": "Cx8", "scope": "openid read",
                "aud": [BILLING, "https://acme.eu.auth0.com/userinfo"],
            }),
            client: Some("Cx8"),
            scope: "openid read",
            others: vec![
                (json!({ "scope": null }), TokenClaimRequired),
                (json!({ "nonce": "n" }), TokenClaimForbidden),
            ],
        },
        Stock {
            name: "Kubernetes",
            record: Issuer::kubernetes("https://kubernetes.default.svc.cluster.local", BILLING),
            header: json!({}),
            claims: json!({
                "iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:shop:orders",
                "aud": [BILLING], "nbf": NOW, "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "orders" } },
            }),
            client: None,
            scope: "",
            others: vec![(json!({ "kubernetes.io": null }), TokenClaimRequired)],
        },
        Stock {
            name: "oidc-provider",
            record: Issuer::new("https://op.example"),
            header: json!({ "typ": "at+jwt" }),
            claims: json!({
                "iss": "https://op.example", "sub": "alice", "client_id": "app", "scope": "read", "jti": "r7PsKNwq",
            }),
            client: Some("app"),
            scope: "read",
            others: vec![(json!({ "client_id": null }), TokenTypeConfused)],
        },
    ]
}

#[tokio::test]
async fn a_record_alone_accepts_a_stock_token() {
    let key = rsa();
    for Stock { name, record, header, claims, client, scope, others } in stock() {
        let layer = ResourceServerLayer::builder(BILLING)
            .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
            .issuers([record.keys(keys(&key))])
            .rules(everybody())
            .build()
            .unwrap();
        let minter = Minter { iss: "", key: key.clone() };
        let header = changed(json!({ "alg": "RS256", "kid": key.key_id() }), header);
        let claims = changed(json!({ "exp": NOW + 600, "iat": NOW, "aud": BILLING }), claims);
        let verify = async |changes: Value| {
            let token = minter.sign(&header, &changed(claims.clone(), changes));
            layer.verify(tower_token_exchange::resource::AccessRequest::bearer(&token)).await
        };
        let token =
            verify(json!({})).await.unwrap_or_else(|refusal| panic!("{name}: {refusal} {:?}", refusal.detail()));
        assert_eq!(token.client_id().map(|id| id.as_str()), client, "{name}");
        assert_eq!(token.scope().to_string(), scope, "{name}");
        assert_eq!(token.subject().sub, claims["sub"].as_str().unwrap(), "{name}");
        let common = [
            (json!({ "aud": "https://orders.example" }), TokenNotForUs),
            (json!({ "iss": "https://evil.example" }), TokenIssuerUnknown),
            (json!({ "exp": NOW }), TokenExpired),
        ];
        for (changes, reason) in common.into_iter().chain(others) {
            let refusal = verify(changes.clone()).await.map(|_| ()).unwrap_err();
            assert_eq!(refusal.reason(), reason, "{name} {changes}: {:?}", refusal.detail());
        }
    }
}

/// A workload of SPIFFE names no issuer: the trust domain is in `sub`.
#[tokio::test]
async fn a_jwt_svid_is_accepted_beside_other_issuers() {
    let (own, spire) = (issuer(), Minter::new("spiffe://example.org", Algorithm::ES256));
    let bundle: Value = serde_json::from_str(&spire.key.published_keys().to_json()).unwrap();
    let bundle = changed(bundle["keys"][0].clone(), json!({ "use": "jwt-svid" }));
    let bundle = KeySet::from_json(json!({ "keys": [bundle] }).to_string()).unwrap();
    let record = Issuer::spiffe("example.org", "https://spire.example.org/bundle").keys(bundle);
    let mut service = Service::start(builder(&own).issuers([record]).rules(everybody())).await;
    let svid = |changes: Value| {
        let claims = json!({ "sub": "spiffe://example.org/orders", "aud": [BILLING], "exp": NOW + 300 });
        spire.sign(&spire.header("JWT"), &changed(claims, changes))
    };
    let reply = service.get_as(&svid(json!({}))).await;
    assert_eq!((reply.status, &reply.json()["sub"]), (StatusCode::OK, &json!("spiffe://example.org/orders")));
    assert_eq!(service.get_as(&token(&own, json!({}))).await.status, StatusCode::OK);
    let foreign = svid(json!({ "sub": "spiffe://evil.example/orders" }));
    assert_eq!(service.refused(&foreign, "of another trust domain").await, Some(TokenIssuerMissing));
}

/// An opaque token, and a JWT that the authorization server can revoke.
#[tokio::test]
async fn an_introspected_token_is_accepted() {
    let own = issuer();
    let answer = tower::service_fn(|request: Request<Bytes>| async move {
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        let active = json!({
            "active": true, "iss": AS, "sub": "alice", "aud": BILLING, "client_id": "web", "scope": "read",
            "exp": NOW + 600, "token_type": "Bearer", "act": { "sub": "orders" },
        });
        let answer = if form.contains("token=opaque-good") { active } else { json!({ "active": false }) };
        let response = http::Response::builder().header("content-type", "application/json");
        Ok::<_, std::convert::Infallible>(response.body(Bytes::from(answer.to_string())).unwrap())
    });
    let introspection = Introspection::basic("https://as.example/introspect", "billing", "secret");
    let record = Issuer::new(AS).introspection(introspection);
    let service = ResourceServerLayer::builder(BILLING)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .issuers([record])
        .http(answer)
        .rules(everybody());
    let mut service = Service::start(service).await;
    let reply = service.get_as("opaque-good").await;
    assert_eq!((reply.status, &reply.json()["actors"]), (StatusCode::OK, &json!(["orders"])));
    assert_eq!(service.refused("opaque-bad", "not active").await, Some(TokenInactive));
    assert_eq!(service.refused(&token(&own, json!({})), "a revoked JWT").await, Some(TokenInactive));
}
