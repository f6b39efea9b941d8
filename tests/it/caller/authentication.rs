//! How the client authenticates at the token endpoint, against the layer over HTTP.

use super::*;
use crate::in_process::plan_of;
use axum::{Router, body::Body};
use data_encoding::HEXLOWER;
use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use tower_token_exchange::{
    Client, Issuer, TokenType,
    client_auth::{AuthenticationMethod, PeerCertificates},
    fetch::in_process,
    records::FederatedCredential,
    signing::{Algorithm, LocalSigner},
};

/// A file with a text, which is removed at the end of the test.
pub(crate) struct TextFile(pub(crate) std::path::PathBuf);

impl TextFile {
    pub(crate) fn new(text: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("caller-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn assert_exchanges(mut world: World, credentials: ClientAuthentication, method: AuthenticationMethod) {
    let client = ExchangeClient::builder(ENDPOINT, credentials)
        .http(served_by(&world))
        .clock(TestClock::new().source())
        .build()
        .unwrap();
    let subject = world.own.access_token(json!({}));
    let token = client.exchange(&*subject).target("billing").scope("read").await.unwrap();
    let claims = claims_of(token.expose());
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["act"], &claims["scope"]),
        (&json!("alice"), &json!("https://billing.example"), &json!({ "sub": "orders" }), &json!("read")),
        "{method}"
    );
    assert_eq!(token.authorization(), *format!("Bearer {}", token.expose()));
    assert!(token.authorization().is_sensitive() && !token.is_dpop_bound());
    assert_eq!(token.expires_at(), Some(UNIX_EPOCH + Duration::from_secs(NOW + 300)));
    assert_eq!(token.scope(), Some(&"read".parse().unwrap()));
    assert_eq!(world.event().await.auth_method, Some(method));
}

#[tokio::test]
async fn a_secret_authenticates_in_both_places() {
    for secret in [&*secret_of("orders"), "s+e%c:r t/é&=\"x-long-enough-for-a-secret"] {
        let record = || Client::new("orders").secret(secret);
        let basic = ClientAuthentication::secret_basic("orders", secret);
        assert_exchanges(plan_of(record()).start().await, basic, AuthenticationMethod::ClientSecretBasic).await;
        let post = ClientAuthentication::secret_post("orders", secret);
        assert_exchanges(plan_of(record()).start().await, post, AuthenticationMethod::ClientSecretPost).await;
    }
}

#[tokio::test]
async fn a_key_signs_an_assertion_for_each_request() {
    let rsa = LocalSigner::from_pem(Algorithm::PS256, include_str!("../../data/rsa.pem")).unwrap();
    let generated = [Algorithm::ES256, Algorithm::EdDSA].map(|algorithm| LocalSigner::generate(algorithm).unwrap());
    for key in generated.into_iter().chain([rsa]) {
        let record = Client::new("orders").keys(key.published_keys().key_set());
        let credentials = ClientAuthentication::private_key_jwt("orders", AS, key);
        let world = plan_of(record).start().await;
        let client = ExchangeClient::builder(ENDPOINT, credentials.clone())
            .http(served_by(&world))
            .clock(TestClock::new().source())
            .cache_entries(0)
            .build()
            .unwrap();
        // The layer accepts an assertion once, so a second request needs another one.
        let subject = world.own.access_token(json!({}));
        for _ in 0..2 {
            client.exchange(&*subject).target("billing").await.unwrap();
        }
        assert!(!format!("{credentials:?}").contains("key:"));
    }
}

#[tokio::test]
async fn a_workload_token_is_read_for_each_request() {
    let cluster = Minter::new("https://cluster.example", Algorithm::ES256);
    let workload = "system:serviceaccount:shop:orders";
    let token = |audience: &str| {
        cluster.sign(
            &cluster.header("JWT"),
            &json!({ "iss": cluster.iss, "sub": workload, "aud": [audience], "exp": NOW + 600, "iat": NOW }),
        )
    };
    let credential = FederatedCredential::new(cluster.iss, workload).audience(AS);
    let issuer = Issuer::new(cluster.iss).keys(cluster.keys()).for_clients_only();
    let plan = plan_of(Client::new("orders").federated_credential(credential));
    let world = plan.with(|builder| builder.issuers([issuer])).start().await;
    let file = TextFile::new(&format!("  {}\n", token("https://another.example")));
    let client = ExchangeClient::builder(ENDPOINT, ClientAuthentication::workload_token_file("orders", &file.0))
        .http(served_by(&world))
        .clock(TestClock::new().source())
        .build()
        .unwrap();
    let subject = world.own.access_token(json!({}));
    let error = client.exchange(&*subject).target("billing").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.as_str()), Some("invalid_client"), "{error}");
    std::fs::write(&file.0, token(AS)).unwrap();
    let exchanged = client.exchange(&*subject).target("billing").await.unwrap();
    assert_eq!(claims_of(exchanged.expose())["sub"], "alice");
    std::fs::remove_file(&file.0).unwrap();
    let error = client.exchange(&*subject).target("orders").await.unwrap_err().to_string();
    assert!(error.contains("the token file") && error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_certificate_needs_the_client_id_only() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["orders.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let fingerprint = HEXLOWER.encode(digest(&SHA256, certificate.der()).as_ref());
    let plan = plan_of(Client::new("orders").certificate_sha256(fingerprint));
    let layer = plan.builder.build().unwrap();
    let app: Router = Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(layer);
    let der = certificate.der().to_vec();
    // The TLS acceptor of a server puts the certificate of the peer into the extensions.
    let server = app.map_request(move |mut request: Request<http_body_util::Full<Bytes>>| {
        request.extensions_mut().insert(PeerCertificates::new([der.clone()]));
        request.map(Body::new)
    });
    let client = ExchangeClient::builder(ENDPOINT, ClientAuthentication::certificate("orders"))
        .http(in_process(server))
        .clock(TestClock::new().source())
        .build()
        .unwrap();
    let token = client.exchange(plan.own.access_token(json!({}))).target("billing").await.unwrap();
    assert_eq!(claims_of(token.expose())["act"], json!({ "sub": "orders" }));
}

#[tokio::test]
async fn the_form_has_what_was_asked_for() {
    let server = Server::default();
    let client = client_of(server.answering(|_, _| reply(200, issued("t", json!({}))))).build().unwrap();
    client
        .exchange("s+1")
        .target("billing")
        .target("ledger")
        .resource("https://billing.example/api")
        .scope("b a b")
        .actor_token(tower_token_exchange::caller::ActorToken::new("actor", TokenType::JWT))
        .requested_token_type(TokenType::ACCESS_TOKEN)
        .await
        .unwrap();
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!(seen.value("grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!((seen.value("subject_token"), seen.value("subject_token_type")), ("s+1", ACCESS_TOKEN));
    assert_eq!((seen.value("actor_token"), seen.value("actor_token_type")), ("actor", JWT));
    assert_eq!(seen.values("audience"), ["billing", "ledger"]);
    assert_eq!(seen.value("resource"), "https://billing.example/api");
    assert_eq!((seen.value("scope"), seen.value("requested_token_type")), ("b a", ACCESS_TOKEN));
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
}

#[test]
fn a_mistake_in_the_settings_is_reported() {
    let secret = || ClientAuthentication::secret_basic("orders", "secret");
    let built = |endpoint: &str, credentials| ExchangeClient::builder(endpoint, credentials).build().map(drop);
    for bad in ["", "as.example/token", "http://as.example/token", "https://user@as.example/", "https://a.example/#x"] {
        let error = built(bad, secret()).unwrap_err().to_string();
        assert!(error.ends_with("give an `https` URL without user information and fragment"), "{bad}: {error}");
    }
    for good in ["https://as.example/token", "http://127.0.0.1:8080/token", "http://[::1]/", "http://localhost/token"] {
        assert_eq!(built(good, secret()), Ok(()), "{good}");
    }
    for (credentials, problem) in [
        (ClientAuthentication::secret_basic("", "secret"), "the client id is empty"),
        (ClientAuthentication::secret_post("orders", ""), "the client secret is empty"),
    ] {
        assert!(built(ENDPOINT, credentials).unwrap_err().to_string().starts_with(problem), "{problem}");
    }
    let error = ExchangeClient::builder(ENDPOINT, secret()).deadline(Duration::ZERO).build().unwrap_err();
    assert!(error.to_string().contains("`deadline` is zero"), "{error}");
}
