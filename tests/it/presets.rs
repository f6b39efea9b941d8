//! Each preset accepts the vendor's tokens as the vendor documents them, and refuses similar tokens: ID tokens, refresh
//! tokens and logout tokens, and tokens of another tenant, for another API, or from a server with a similar name. The
//! tests use no network.

use crate::support::*;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, convert::Infallible, time::Duration};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    plug::Plug,
    policy::{Names, Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

const RSA_PEM: &[u8] = include_bytes!("../data/rsa.pem");
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const OURS: &str = "https://exchange.acme.example";

/// The documents that can be fetched, by their URL.
type Site = BTreeMap<String, Value>;

fn fetch(site: Site) -> impl Plug<Request<Bytes>, Response<Bytes>> {
    tower::service_fn(move |request: Request<Bytes>| {
        let document = site.get(&request.uri().to_string()).map(|document| Bytes::from(document.to_string()));
        async move {
            let status = if document.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            let response = Response::builder().status(status).header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(document.unwrap_or_default()).unwrap())
        }
    })
}

/// A vendor: the record of the preset, its documents, its key and a good token.
struct Vendor {
    record: Issuer,
    site: Site,
    key: LocalSigner,
    /// The header, the claims and the declared type of a good token.
    header: Value,
    claims: Value,
    declared: &'static str,
}

impl Vendor {
    /// A vendor whose keys are found by discovery.
    fn discovered(record: Issuer, iss: &str, jwks_uri: &str, header: Value, claims: Value) -> Self {
        let key = rsa();
        let metadata = json!({
            "issuer": iss, "jwks_uri": jwks_uri, "response_types_supported": ["code"], "subject_types_supported":
            ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        });
        let well_known = format!("{}/.well-known/openid-configuration", iss.trim_end_matches('/'));
        let site = Site::from([(well_known, metadata), (jwks_uri.to_owned(), json!({ "keys": [jwk(&key)] }))]);
        let record = record.allow_presenters(["orders"]);
        let own = json!({ "alg": "RS256", "kid": key.key_id() });
        Self { record, site, key, header: changed(own, header), claims: dated(iss, claims), declared: JWT }
    }

    fn token(&self, header: Value, claims: Value) -> String {
        self.signed_by(&self.key, header, claims)
    }

    fn signed_by(&self, key: &LocalSigner, header: Value, claims: Value) -> String {
        let minter = Minter { iss: "", key: key.clone() };
        minter.sign(&changed(self.header.clone(), header), &changed(self.claims.clone(), claims))
    }

    async fn world(&self, more: impl IntoIterator<Item = Issuer>) -> World {
        let (own, idp) = (Minter::new(AS, Algorithm::ES256), Minter::new(IDP, Algorithm::ES256));
        let client = Client::new("orders")
            .secret(secret_of("orders"))
            .scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"])
            .scopes_for_scopeless_subjects(TokenType::JWT, ["read"]);
        let builder = TokenExchangeLayer::builder(AS)
            .clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW))
            .clients([client])
            .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read", "write"])])
            .issuers([self.record.clone()].into_iter().chain(more))
            .http(fetch(self.site.clone()))
            .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())])
            .signer(own.key.clone());
        Plan { own, idp, builder }.start().await
    }

    /// Checks that a good token is exchanged with this `sub` and scope, and that every similar token is refused.
    async fn accepts_only_good_tokens(&self, sub: &str, scope: &str, neighbours: Vec<Neighbour>) {
        let mut world = self.world([]).await;
        let good = self.token(json!({}), json!({}));
        let expected = Ok((sub.to_owned(), scope.to_owned()));
        assert_eq!(exchanged(&mut world, &good, self.declared).await, expected);
        let common = [
            at("without an issuer", Reason::TokenIssuerMissing, json!({ "iss": null })),
            at("of a server in front of it", Reason::TokenIssuerUnknown, json!({ "iss": "https://evil.example" })),
            at("that has expired", Reason::TokenExpired, json!({ "exp": NOW })),
            at("without an end", Reason::TokenExpiryMissing, json!({ "exp": null })),
            at("without a subject", Reason::TokenSubjectInvalid, json!({ "sub": null })),
            at("for nobody", Reason::TokenNotForUs, json!({ "aud": null })),
            at("for us among nobody", Reason::TokenNotForUs, json!({ "aud": [] })),
            at("for us, nearly", Reason::TokenNotForUs, json!({ "aud": format!("{OURS}/") })),
        ];
        for neighbour in common.into_iter().chain(neighbours) {
            let Neighbour { name, reason, header, claims, token, declared } = neighbour;
            // A JWT-SVID names its issuer in `sub`.
            let reason = match (name, self.claims.get("iss")) {
                ("without an issuer", None) => continue,
                ("without a subject", None) => Reason::TokenIssuerMissing,
                _ => reason,
            };
            let token = token.unwrap_or_else(|| self.token(header, claims));
            let declared = declared.unwrap_or(self.declared);
            assert_eq!(exchanged(&mut world, &token, declared).await, Err(reason), "a token {name}");
        }
        let stranger = LocalSigner::from_pem(Algorithm::RS256, RSA_PEM).unwrap();
        let under_its_name = Minter::new(AS, Algorithm::ES256).key.with_key_id(self.key.key_id().clone());
        for (key, header, reasons) in [
            (&stranger, json!({ "kid": "another" }), &[Reason::TokenKeyUnknown][..]),
            (&under_its_name, json!({}), &[Reason::TokenSignatureInvalid]),
            (&self.key, json!({ "alg": "none" }), &[Reason::TokenAlgorithmRefused]),
            (&self.key, json!({ "alg": "HS256" }), &[Reason::TokenAlgorithmRefused]),
            // Keycloak can sign with this algorithm, but the realm has no such key.
            (&self.key, json!({ "alg": "EdDSA" }), &[Reason::TokenAlgorithmRefused, Reason::TokenKeyUnknown]),
        ] {
            let token = self.signed_by(key, header.clone(), json!({}));
            let found = exchanged(&mut world, &token, self.declared).await.unwrap_err();
            assert!(reasons.contains(&found), "{header}: {found}");
        }
        for other in [ACCESS_TOKEN, ID_TOKEN, JWT, SAML2].iter().filter(|other| **other != self.declared) {
            let found = exchanged(&mut world, &good, other).await;
            let fits = [Reason::SubjectTokenTypeUnsupported, Reason::TokenTypeNotAccepted];
            assert!(found.is_err_and(|reason| fits.contains(&reason)), "as {other}");
        }
        assert_eq!(exchanged(&mut world, &good, self.declared).await, expected);
    }
}

/// A token that is similar to the good token and has to be refused.
struct Neighbour {
    name: &'static str,
    reason: Reason,
    header: Value,
    claims: Value,
    token: Option<String>,
    declared: Option<&'static str>,
}

/// A token with other claims.
fn at(name: &'static str, reason: Reason, claims: Value) -> Neighbour {
    Neighbour { name, reason, header: json!({}), claims, token: None, declared: None }
}

/// A token with another header and other claims.
fn under(name: &'static str, reason: Reason, header: Value, claims: Value) -> Neighbour {
    Neighbour { header, ..at(name, reason, claims) }
}

/// A token that is not a JWT.
fn opaque(name: &'static str, token: &str) -> Neighbour {
    Neighbour { token: Some(token.to_owned()), ..at(name, Reason::TokenMalformed, json!({})) }
}

fn rsa() -> LocalSigner {
    LocalSigner::from_pem(Algorithm::RS256, RSA_PEM).unwrap().with_key_id(key_id("vendor-1"))
}

/// A JWK with the members that vendors publish.
fn jwk(key: &LocalSigner) -> Value {
    let document: Value = serde_json::from_str(&key.published_keys().to_json()).unwrap();
    changed(document["keys"][0].clone(), json!({ "use": "sig" }))
}

fn dated(iss: &str, claims: Value) -> Value {
    changed(json!({ "iss": iss, "exp": NOW + 600, "iat": NOW - 60, "nbf": NOW - 60, "aud": OURS }), claims)
}

/// The `sub` and the scope of the token that `orders` gets in exchange.
async fn exchanged(world: &mut World, token: &str, declared: &str) -> Result<(String, String), Reason> {
    let form = [
        ("grant_type", GRANT_TYPE),
        ("subject_token", token),
        ("subject_token_type", declared),
        ("audience", "billing"),
    ];
    let reply = world.post_as("orders", &form).await;
    let event = world.event().await;
    let Some(reason) = event.reason else {
        let claims = reply.claims();
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        return Ok((text("sub"), text("scope")));
    };
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reason}: {:?}", event.detail);
    assert_eq!(reply.error(), "invalid_request", "{reason}");
    Err(reason)
}

#[tokio::test]
async fn keycloak_access_tokens_are_accepted() {
    let iss = "https://login.example/realms/staff";
    let keycloak = Vendor::discovered(
        Issuer::keycloak("https://login.example/", "staff").accepted_audiences([OURS]),
        iss,
        "https://login.example/realms/staff/protocol/openid-connect/certs",
        json!({ "typ": "JWT" }),
        json!({
            "auth_time": NOW - 90, "jti": "onrtac:e8b3d3ce", "sub": "f:7b1c:alice", "typ": "Bearer",
            "azp": "web-frontend", "sid": "1f3a", "acr": "1", "allowed-origins": ["https://app.example"],
            "realm_access": { "roles": ["offline_access"] }, "scope": "openid email read write", "nbf": null,
            "email_verified": true, "preferred_username": "alice", "email": "alice@acme.example",
        }),
    );
    let confused = Reason::TokenTypeConfused;
    let events = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let neighbours = vec![
        at("to log in with", confused, json!({ "typ": "ID", "at_hash": "x", "aud": "web-frontend", "scope": null })),
        at("to log in with, without a hash", confused, json!({ "typ": "ID" })),
        at("to refresh with", confused, json!({ "typ": "Refresh", "aud": iss })),
        at("to refresh with later", confused, json!({ "typ": "Offline" })),
        under("to refresh with, as it is signed", Reason::TokenAlgorithmRefused, json!({ "alg": "HS512" }), json!({})),
        at("to log out with", confused, json!({ "typ": "Logout", "events": events.clone() })),
        under("to log out with, typed", confused, json!({ "typ": "logout+jwt" }), json!({ "events": events })),
        at("without a type", Reason::TokenClaimRequired, json!({ "typ": null })),
        at("of a type in another case", Reason::TokenClaimRequired, json!({ "typ": "bearer" })),
        at("for a proof", Reason::TokenClaimRequired, json!({ "typ": "DPoP", "cnf": { "jkt": "x" } })),
        at("that is bound", Reason::TokenSenderConstrained, json!({ "cnf": { "x5t#S256": "x" } })),
        at("without the audience mapper", Reason::TokenNotForUs, json!({ "aud": "account" })),
        at("for us and the account console", Reason::SeveralAudiences, json!({ "aud": [OURS, "account"] })),
        at("of another realm", Reason::TokenIssuerUnknown, json!({ "iss": "https://login.example/realms/guests" })),
        at("of a realm within", Reason::TokenIssuerUnknown, json!({ "iss": format!("{iss}/x") })),
        at("of the realm, in full", Reason::TokenIssuerUnknown, json!({ "iss": format!("{iss}/") })),
        under("that is typed otherwise", Reason::TokenTypRefused, json!({ "typ": "JOSE" }), json!({})),
        under("that is not typed", Reason::TokenTypRefused, json!({ "typ": null }), json!({})),
        opaque("in its light form", "eyJhbGciOiJkaXIifQ"),
    ];
    keycloak.accepts_only_good_tokens(&format!("{iss}|f:7b1c:alice"), "read write", neighbours).await;
    // The tokens of the RFC 9068 profile.
    let mut world = keycloak.world([]).await;
    let typed = keycloak.token(json!({ "typ": "at+jwt" }), json!({ "client_id": "web-frontend" }));
    assert!(exchanged(&mut world, &typed, JWT).await.is_ok());
}

#[tokio::test]
async fn entra_id_access_tokens_are_accepted() {
    let tenant = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";
    let other = "11111111-604b-40ac-a9d7-9fd97c0b779f";
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let api = "6e74172b-be56-4843-9ff4-e66a39bb12e3";
    let iss = of(tenant);
    let entra = Vendor::discovered(
        Issuer::entra_id(tenant).accepted_audiences([api]),
        &iss,
        &format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"),
        json!({ "typ": "JWT" }),
        json!({
            "aud": api, "aio": "AXQAi/8IAAAA", "azp": "a1b2c3d4", "azpacr": "1", "name": "Alice", "oid": "690222be",
            "preferred_username": "alice@acme.example", "rh": "I", "scp": "read write", "sub": "HKZpfaHyWadeOouYlit",
            "tid": tenant, "uti": "fqiBqXLPj0eQa82S", "ver": "2.0",
        }),
    );
    let (required, unknown) = (Reason::TokenClaimRequired, Reason::TokenIssuerUnknown);
    let id_token = json!({ "aud": "a1b2c3d4", "azp": null, "azpacr": null, "scp": null });
    let neighbours = vec![
        at("to log in with", required, id_token.clone()),
        at("to log in with, as it may be", required, also(&id_token, json!({ "nonce": "n" }))),
        at("to log in with, beside a code", Reason::TokenTypeConfused, json!({ "at_hash": "x", "scp": null })),
        at("of a login that asked for a scope too", Reason::TokenClaimForbidden, json!({ "nonce": "n" })),
        at("of no user", required, json!({ "scp": null, "azp": "a1b2c3d4", "idtyp": "app", "roles": ["All"] })),
        at(
            "of the first version",
            unknown,
            json!({ "iss": format!("https://sts.windows.net/{tenant}/"), "ver": "1.0" }),
        ),
        at("that says it is of the first version", required, json!({ "ver": "1.0" })),
        at("whose version is a number", required, json!({ "ver": 2.0 })),
        at("of another tenant", unknown, json!({ "iss": of(other), "tid": other })),
        at("of another tenant behind the issuer of ours", Reason::TokenTenantRefused, json!({ "tid": other })),
        at("of no tenant", Reason::TokenTenantRefused, json!({ "tid": null })),
        at("of any tenant", unknown, json!({ "iss": of("common") })),
        at("of the template", unknown, json!({ "iss": of("{tenantid}") })),
        at("of another cloud", unknown, json!({ "iss": iss.replace(".com/", ".us/") })),
        at("for the graph", Reason::TokenNotForUs, json!({ "aud": "00000003-0000-0000-c000-000000000000" })),
        at("for us by another name", Reason::TokenNotForUs, json!({ "aud": format!("api://{api}") })),
        at("for us in capitals", Reason::TokenNotForUs, json!({ "aud": api.to_uppercase() })),
        at("that is bound", Reason::TokenSenderConstrained, json!({ "cnf": { "kid": "x" } })),
        under("signed otherwise", Reason::TokenAlgorithmRefused, json!({ "alg": "PS256" }), json!({})),
        under("of a device", Reason::TokenTypeConfused, json!({ "typ": "pop" }), json!({})),
        opaque("to refresh with", "1.AXoAr-1.AgABAwEAAADW6jl31mB3T7ugrWTT8pFe"),
    ];
    entra.accepts_only_good_tokens(&format!("{iss}|HKZpfaHyWadeOouYlit"), "read write", neighbours).await;
}

#[tokio::test]
async fn okta_access_tokens_are_accepted() {
    let iss = "https://acme.okta.com/oauth2/default";
    let okta = Vendor::discovered(
        Issuer::okta(iss).accepted_audiences([OURS]),
        iss,
        "https://acme.okta.com/oauth2/default/v1/keys",
        json!({}),
        json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "cid": "0oa4ytd", "uid": "00ukzt",
            "scp": ["read", "write", "offline_access"], "sub": "alice@acme.example", "auth_time": NOW - 90, "nbf": null,
        }),
    );
    let id_token = json!({ "jti": "ID.x", "aud": "0oa4ytd", "cid": null, "scp": null, "amr": ["pwd"], "idp": "00o" });
    let neighbours = vec![
        at("to log in with", Reason::TokenClaimRequired, id_token.clone()),
        at("to log in with, beside a code", Reason::TokenTypeConfused, also(&id_token, json!({ "at_hash": "x" }))),
        at("of a login", Reason::TokenClaimForbidden, json!({ "nonce": "n" })),
        at("of the organization", Reason::TokenIssuerUnknown, json!({ "iss": "https://acme.okta.com" })),
        at("of another server", Reason::TokenIssuerUnknown, json!({ "iss": "https://acme.okta.com/oauth2/aus2" })),
        at("of the preview", Reason::TokenIssuerUnknown, json!({ "iss": iss.replace("okta.com", "oktapreview.com") })),
        at("for another API", Reason::TokenNotForUs, json!({ "aud": "api://default" })),
        at("whose scope is none", Reason::TokenClaimsInvalid, json!({ "scp": [7] })),
        under(
            "of the organization, as it is typed",
            Reason::TokenTypeConfused,
            json!({ "typ": "application/okta-internal-at+jwt" }),
            json!({}),
        ),
        under("signed otherwise", Reason::TokenAlgorithmRefused, json!({ "alg": "RS512" }), json!({})),
        opaque("to refresh with", "HfCbK8dOYAAUTcZfPzUA1MtYcXdPRuSeAdArqKWzFnM"),
    ];
    okta.accepts_only_good_tokens(&format!("{iss}|alice@acme.example"), "read write", neighbours).await;
}

#[tokio::test]
async fn auth0_access_tokens_are_accepted() {
    let iss = "https://acme.eu.auth0.com/";
    let auth0 = Vendor::discovered(
        Issuer::auth0("acme.eu.auth0.com").accepted_audiences([OURS]),
        iss,
        "https://acme.eu.auth0.com/.well-known/jwks.json",
        json!({ "typ": "JWT" }),
        json!({ "sub": "auth0|507f1f77bcf86cd799439011", "azp": "my_client", "scope": "openid read write", "nbf": null }),
    );
    let id_token = json!({ "aud": "my_client", "azp": null, "scope": null, "sid": "x", "name": "Alice" });
    let neighbours = vec![
        at("to log in with", Reason::TokenClaimRequired, id_token.clone()),
        at("to log in with, beside a code", Reason::TokenTypeConfused, also(&id_token, json!({ "c_hash": "x" }))),
        at("of a login", Reason::TokenClaimForbidden, json!({ "nonce": "n" })),
        at("without a scope", Reason::TokenClaimRequired, json!({ "scope": null })),
        at("for its own API", Reason::TokenNotForUs, json!({ "aud": format!("{iss}userinfo") })),
        at("for management", Reason::TokenNotForUs, json!({ "aud": format!("{iss}api/v2/") })),
        at("for us and its own API", Reason::SeveralAudiences, json!({ "aud": [OURS, format!("{iss}userinfo")] })),
        at("without the slash", Reason::TokenIssuerUnknown, json!({ "iss": iss.trim_end_matches('/') })),
        at("of another tenant", Reason::TokenIssuerUnknown, json!({ "iss": "https://acme2.eu.auth0.com/" })),
        at("of another region", Reason::TokenIssuerUnknown, json!({ "iss": "https://acme.us.auth0.com/" })),
        at("that is bound", Reason::TokenSenderConstrained, json!({ "cnf": { "jkt": "x" } })),
        under("signed otherwise", Reason::TokenAlgorithmRefused, json!({ "alg": "RS384" }), json!({})),
        under("that is not typed", Reason::TokenTypRefused, json!({ "typ": null }), json!({})),
        under("to log out with", Reason::TokenTypeConfused, json!({ "typ": "logout+jwt" }), json!({})),
        opaque("for nobody else", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..RVbA.aXY.dGFn"),
        opaque("to refresh with", "v1.MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"),
    ];
    auth0.accepts_only_good_tokens(&format!("{iss}|auth0|507f1f77bcf86cd799439011"), "read write", neighbours).await;
    let mut world = auth0.world([]).await;
    let typed = auth0.token(json!({ "typ": "at+jwt" }), json!({ "client_id": "my_client", "jti": "x" }));
    assert!(exchanged(&mut world, &typed, JWT).await.is_ok(), "the RFC 9068 profile");
}

#[tokio::test]
async fn google_id_tokens_are_accepted() {
    let (iss, client) = ("https://accounts.google.com", "32555940559.apps.googleusercontent.com");
    let mut google = Vendor::discovered(
        Issuer::google()
            .accept_tenants("hd", ["acme.example"])
            .map_client(client, "orders")
            .map_client("other", "orders"),
        iss,
        "https://www.googleapis.com/oauth2/v3/certs",
        json!({ "typ": "JWT" }),
        json!({
            "aud": client, "azp": client, "sub": "110169484474386276334", "hd": "acme.example", "nbf": null,
            "email": "alice@acme.example", "email_verified": true, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "name": "Alice",
        }),
    );
    google.declared = ID_TOKEN;
    let events = json!({ "https://schemas.openid.net/secevent/risc/event-type/account-disabled": {} });
    let neighbours = vec![
        at("of the old name", Reason::TokenIssuerUnknown, json!({ "iss": "accounts.google.com" })),
        at("of a project", Reason::TokenIssuerUnknown, json!({ "iss": "https://securetoken.google.com/project" })),
        at(
            "of a service account by itself",
            Reason::TokenIssuerUnknown,
            json!({ "iss": "x@p.iam.gserviceaccount.com" }),
        ),
        at("for another client", Reason::TokenNotForUs, json!({ "aud": "99.apps.googleusercontent.com" })),
        at("for us, which only a client is", Reason::TokenNotForUs, json!({ "aud": AS })),
        at("for a client of ours by our name", Reason::TokenNotForUs, json!({ "aud": "orders" })),
        at("for two clients of ours", Reason::SeveralAudiences, json!({ "aud": [client, "other"] })),
        at("of another organization", Reason::TokenTenantRefused, json!({ "hd": "evil.example" })),
        at("of an organization that ends alike", Reason::TokenTenantRefused, json!({ "hd": "x.acme.example" })),
        at("of nobody's organization", Reason::TokenTenantRefused, json!({ "hd": null, "email": "x@acme.example" })),
        at("of no age", Reason::TokenClaimRequired, json!({ "iat": null })),
        at("of an event", Reason::TokenTypeConfused, json!({ "events": events })),
        at("with a scope", Reason::TokenTypeConfused, json!({ "scope": "read write" })),
        at("with a client", Reason::TokenTypeConfused, json!({ "client_id": client })),
        under("of an API", Reason::TokenTypeConfused, json!({ "typ": "at+jwt" }), json!({})),
        under("signed otherwise", Reason::TokenAlgorithmRefused, json!({ "alg": "ES256" }), json!({})),
        opaque("for its APIs", "ya29.a0AfH6SMBx"),
        Neighbour { declared: Some(ACCESS_TOKEN), ..opaque("for its APIs, declared as such", "ya29.a0AfH6SMBx") },
        opaque("to refresh with", "1//0gYx"),
    ];
    google.accepts_only_good_tokens(&format!("{iss}|110169484474386276334"), "read", neighbours).await;
}

#[tokio::test]
async fn kubernetes_service_account_tokens_are_accepted() {
    let iss = "https://kubernetes.default.svc.cluster.local";
    let sub = "system:serviceaccount:shop:orders";
    let bound = json!({
        "namespace": "shop", "node": { "name": "n1", "uid": "1" }, "pod": { "name": "orders-1", "uid": "2" },
        "serviceaccount": { "name": "orders", "uid": "3" }, "warnafter": NOW + 300,
    });
    let cluster = Vendor::discovered(
        Issuer::kubernetes(iss, OURS).key_origins(["https://10.0.0.1:6443"]),
        iss,
        "https://10.0.0.1:6443/openid/v1/jwks",
        json!({}),
        json!({ "aud": [OURS], "kubernetes.io": bound, "jti": "2b9d", "sub": sub }),
    );
    let legacy = json!({
        "iss": "kubernetes/serviceaccount", "aud": null, "exp": null, "iat": null, "nbf": null, "kubernetes.io": null,
        "kubernetes.io/serviceaccount/namespace": "shop", "kubernetes.io/serviceaccount/secret.name": "orders-token",
    });
    let neighbours = vec![
        at("from a secret", Reason::TokenIssuerUnknown, legacy.clone()),
        at("from a secret, of the cluster", Reason::TokenClaimRequired, also(&legacy, json!({ "iss": iss }))),
        at("that is bound to nothing", Reason::TokenClaimRequired, json!({ "kubernetes.io": null })),
        at("of no age", Reason::TokenClaimRequired, json!({ "iat": null })),
        at("of no beginning", Reason::TokenClaimRequired, json!({ "nbf": null })),
        at("that begins later", Reason::TokenNotYetValid, json!({ "nbf": NOW + 60 })),
        at("for the API server", Reason::TokenNotForUs, json!({ "aud": [iss] })),
        at("for us by the name that others have for us", Reason::TokenNotForUs, json!({ "aud": [AS] })),
        at("for us and the API server", Reason::SeveralAudiences, json!({ "aud": [OURS, iss] })),
        at(
            "of another cluster",
            Reason::TokenIssuerUnknown,
            json!({ "iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/X" }),
        ),
        under("signed otherwise", Reason::TokenAlgorithmRefused, json!({ "alg": "RS512" }), json!({})),
        opaque("of a node", "abcdef.0123456789abcdef"),
    ];
    cluster.accepts_only_good_tokens(&format!("{iss}|{sub}"), "read", neighbours).await;
}

const BUNDLE: &str = "https://spire.example.org/bundle";
const PARTNERS_BUNDLE: &str = "https://spire.partner.example/bundle";

/// A trust domain. Its bundle has a key for JWT-SVIDs, a key for certificates, and two keys without a clear use.
fn trust_domain() -> (Vendor, [LocalSigner; 3]) {
    let key = rsa();
    let others = ["certificates", "signatures", "unsaid"]
        .map(|kid| LocalSigner::generate(Algorithm::ES256).unwrap().with_key_id(key_id(kid)));
    let [of_certificates, of_signatures, unsaid] = &others;
    let bundle = json!({ "spiffe_sequence": 12, "spiffe_refresh_hint": 2_419_200, "keys": [
        changed(jwk(of_certificates), json!({ "use": "x509-svid", "x5c": ["MIIB"] })),
        changed(jwk(&key), json!({ "use": "jwt-svid", "alg": null })),
        jwk(of_signatures),
        changed(jwk(unsaid), json!({ "use": null })),
    ] });
    let site = Site::from([(BUNDLE.to_owned(), bundle)]);
    let record = Issuer::spiffe("example.org", BUNDLE).accepted_audiences([OURS]).allow_presenters(["orders"]);
    let header = json!({ "alg": "RS256", "kid": "vendor-1", "typ": "JWT" });
    let claims =
        json!({ "sub": "spiffe://example.org/ns/shop/sa/orders", "aud": [OURS], "exp": NOW + 300, "iat": NOW });
    (Vendor { record, site, key, header, claims, declared: JWT }, others)
}

#[tokio::test]
async fn jwt_svids_are_accepted() {
    let (workloads, others) = trust_domain();
    let (missing, unknown, invalid) =
        (Reason::TokenIssuerMissing, Reason::TokenIssuerUnknown, Reason::TokenSubjectInvalid);
    let mut neighbours = vec![
        at("of a server that signs for it", unknown, json!({ "iss": "https://oidc.example.org" })),
        at("of no trust domain", missing, json!({ "sub": "orders", "iss": null })),
        at("for another workload", Reason::TokenNotForUs, json!({ "aud": ["spiffe://example.org/billing"] })),
        at("for us and another workload", Reason::SeveralAudiences, json!({ "aud": [OURS, "x"] })),
        under("that is a WIT-SVID", Reason::TokenTypeConfused, json!({ "typ": "wit+jwt" }), json!({ "aud": null })),
        under("of another type", Reason::TokenTypeConfused, json!({ "typ": "jws" }), json!({})),
    ];
    let look_alikes = [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org//orders",
        "spiffe://example.org/orders/",
        "spiffe://example.org/./orders",
        "spiffe://example.org/ns/../orders",
        "spiffe://example.org/%6frders",
        "spiffe://example.org/orders?x",
        "spiffe://example.org/orders#x",
        "spiffe://example.org/ördern",
        "spiffe://example.org:443/orders",
        "spiffe://orders@example.org/orders",
        "spiffe://EXAMPLE.org/orders",
        "spiffe://example.org./orders",
        "spiffe://example.org.evil.example/orders",
        "spiffe://example.or/g/orders",
        "spiffe://evil.example/example.org/orders",
        "spiffe:///example.org/orders",
        "spiffe:example.org/orders",
        "SPIFFE://example.org/orders",
        "https://example.org/orders",
        " spiffe://example.org/orders",
    ];
    for sub in look_alikes {
        neighbours.push(at("of a name that looks alike", missing, json!({ "sub": sub })));
        // The trust domain itself is not a workload (SPIFFE JWT-SVID section 3).
        neighbours.push(at("of no workload", invalid, json!({ "sub": sub, "iss": "spiffe://example.org" })));
    }
    for sub in ["orders", "spiffe://partner.example/orders"] {
        neighbours.push(at("of no workload of it", invalid, json!({ "sub": sub, "iss": "spiffe://example.org" })));
    }
    let sub = "spiffe://example.org|spiffe://example.org/ns/shop/sa/orders";
    workloads.accepts_only_good_tokens(sub, "read", neighbours).await;

    let mut world = workloads.world([]).await;
    for (header, claims) in [
        (json!({ "typ": null }), json!({})),
        (json!({ "typ": "JOSE" }), json!({})),
        (json!({}), json!({ "iss": "spiffe://example.org" })),
        (json!({}), json!({ "aud": OURS, "iat": null })),
    ] {
        let token = workloads.token(header.clone(), claims.clone());
        assert_eq!(exchanged(&mut world, &token, JWT).await, Ok((sub.into(), "read".into())), "{header} {claims}");
    }
    for key in &others {
        let token = workloads.signed_by(key, json!({ "alg": "ES256", "kid": key.key_id() }), json!({}));
        assert_eq!(exchanged(&mut world, &token, JWT).await, Err(Reason::TokenKeyUnknown), "{}", key.key_id());
    }
}

#[tokio::test]
async fn a_trust_domain_names_only_its_own_workloads() {
    let (mut workloads, _) = trust_domain();
    let partners = LocalSigner::generate(Algorithm::ES256).unwrap().with_key_id(key_id("vendor-1"));
    let bundle = json!({ "keys": [changed(jwk(&partners), json!({ "use": "jwt-svid" }))] });
    workloads.site.insert(PARTNERS_BUNDLE.to_owned(), bundle);
    let partner =
        Issuer::spiffe("partner.example", PARTNERS_BUNDLE).accepted_audiences([OURS]).allow_presenters(["orders"]);
    let mut world = workloads.world([partner]).await;
    let own_key = workloads.key.clone();
    let (ours, theirs) = ("spiffe://example.org", "spiffe://partner.example");
    let (es256, rs256) = (json!({ "alg": "ES256" }), json!({ "alg": "RS256" }));
    for (name, key, header, domain, iss, expected) in [
        ("ours", &own_key, &rs256, ours, None, Ok(ours)),
        ("theirs", &partners, &es256, theirs, None, Ok(theirs)),
        ("theirs, and says so", &partners, &es256, theirs, Some(theirs), Ok(theirs)),
        ("theirs under our key", &own_key, &rs256, theirs, None, Err(Reason::TokenKeyUnknown)),
        ("ours under their key", &partners, &es256, ours, None, Err(Reason::TokenKeyUnknown)),
        ("theirs in our name", &own_key, &rs256, theirs, Some(ours), Err(Reason::TokenSubjectInvalid)),
        ("ours in their name", &partners, &es256, ours, Some(theirs), Err(Reason::TokenSubjectInvalid)),
        ("ours in their name under our key", &own_key, &rs256, ours, Some(theirs), Err(Reason::TokenKeyUnknown)),
    ] {
        let token = workloads.signed_by(key, header.clone(), json!({ "sub": format!("{domain}/x"), "iss": iss }));
        let expected = expected.map(|domain| (format!("{domain}|{domain}/x"), "read".to_owned()));
        assert_eq!(exchanged(&mut world, &token, JWT).await, expected, "{name}");
    }
}

/// Adds changes after these.
fn also(changes: &Value, more: Value) -> Value {
    let mut all = changes.clone();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}
