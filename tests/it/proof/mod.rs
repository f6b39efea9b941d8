//! Proofs of possession: what a proof has to be, and what becomes of tokens that are bound to a key or a certificate.

mod certificates;
mod dpop;
mod hostile;
mod matrix;
mod nonces;
mod output;
mod rules;

use crate::support::*;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tower::{Layer, ServiceExt};
use tower_token_exchange::{
    Client, Reason, Target, TokenExchangeLayer,
    audit::AuditEvent,
    client_auth::PeerCertificates,
    policy::{Actors, Names, Rule, Subjects},
    proof::{Dpop, Thumbprint},
    signing::{Algorithm, Cryptography, LocalSigner},
};

pub(crate) const URL: &str = "https://as.example/token";

/// A key that signs DPoP proofs.
#[derive(Clone)]
pub(crate) struct Prover(LocalSigner);

impl Prover {
    pub(crate) fn new() -> Self {
        Self::with(Algorithm::ES256)
    }

    pub(crate) fn with(algorithm: Algorithm) -> Self {
        Self(LocalSigner::generate(algorithm).unwrap())
    }

    /// The public key, with the members `alg`, `kid` and `use` that no thumbprint has.
    fn jwk(&self) -> Value {
        let keys: Value = serde_json::from_str(&self.0.published_keys().to_json()).unwrap();
        keys["keys"][0].clone()
    }

    /// The thumbprint of the key, which is the default id of a key.
    pub(crate) fn jkt(&self) -> String {
        self.jwk()["kid"].as_str().unwrap().to_owned()
    }

    fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": self.0.algorithm().as_str(), "jwk": self.jwk() })
    }

    fn claims() -> Value {
        let jti: u128 = rand();
        json!({ "jti": format!("proof-{jti}"), "htm": "POST", "htu": URL, "iat": NOW })
    }

    /// A good proof.
    pub(crate) fn proof(&self) -> String {
        self.proof_with(json!({}))
    }

    /// A proof with changed claims. `null` removes a claim.
    pub(crate) fn proof_with(&self, changes: Value) -> String {
        self.sign(&self.header(), &changed(Self::claims(), changes))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        Minter { iss: "", key: self.0.clone() }.sign(header, claims)
    }
}

/// A number that no other test of this process has.
fn rand() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).into()
}

/// A token server in the process, to which a test can give the certificate of a client.
struct Place {
    layer: TokenExchangeLayer,
    own: Minter,
    now: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<AuditEvent>>>,
}

/// The parts of a request that a test changes.
#[derive(Clone, Default)]
struct Ask<'a> {
    proofs: Vec<String>,
    certificate: Option<&'a [u8]>,
    more: Vec<(&'a str, String)>,
}

impl<'a> Ask<'a> {
    fn proof(mut self, proof: impl Into<String>) -> Self {
        self.proofs.push(proof.into());
        self
    }

    fn certificate(mut self, der: &'a [u8]) -> Self {
        self.certificate = Some(der);
        self
    }

    fn set(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.more.retain(|(known, _)| *known != name);
        self.more.push((name, value.into()));
        self
    }
}

/// The plan of a place: the client `orders` may exchange for `billing`, and the rule allows every actor.
fn plan_of(rule: impl FnOnce(Rule) -> Rule) -> Plan {
    plan_with_records(rule, |client| client, |target| target)
}

fn plan_with_records(
    rule: impl FnOnce(Rule) -> Rule,
    client: impl FnOnce(Client) -> Client,
    target: impl FnOnce(Target) -> Target,
) -> Plan {
    let own = Minter::new(AS, Algorithm::ES256);
    let allow = Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any()).scopes(Names::any());
    let of = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read", "write"]);
    let builder = TokenExchangeLayer::builder(AS)
        .clients([
            client(Client::new("orders").secret(secret_of("orders")).allow_jwt_output()),
            Client::new("billing").secret(secret_of("billing")),
        ])
        .targets([
            of("orders").served_by("orders"),
            target(of("billing").served_by("billing").allow_clients(["orders"])),
        ])
        .rules([rule(allow.actors(Actors::any()))])
        .dpop(Dpop::new(URL))
        .introspection_endpoint("/introspect")
        .signer(own.key.clone());
    Plan { idp: own.clone(), own, builder }
}

impl Place {
    fn new(plan: Plan) -> Self {
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let sink = tower::service_fn(move |event: AuditEvent| {
            seen.lock().unwrap().push(event);
            std::future::ready(Ok::<_, Infallible>(()))
        });
        let Plan { own, builder, .. } = plan;
        let builder = builder.clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)));
        let layer = builder.audit(sink).audit_budget(tower_token_exchange::audit::AuditBudget::unlimited());
        Self { layer: layer.build().unwrap(), own, now, events }
    }

    fn at(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// The client `orders` exchanges a subject token with these changed claims.
    async fn exchange(&self, claims: Value, ask: Ask<'_>) -> Reply {
        self.exchange_token(&self.own.access_token(claims), ask).await
    }

    async fn exchange_token(&self, token: &str, ask: Ask<'_>) -> Reply {
        let more: Vec<(&str, &str)> = ask.more.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let form = encode(&exchange_form(token, &more));
        self.post("/token", "orders", form, &ask).await
    }

    async fn introspect(&self, token: &str) -> Value {
        self.post("/introspect", "orders", encode(&[("token", token)]), &Ask::default()).await.json()
    }

    async fn post(&self, path: &str, client: &str, form: String, ask: &Ask<'_>) -> Reply {
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(client, &secret_of(client)))
            .body(Body::from(form))
            .unwrap();
        for proof in &ask.proofs {
            request.headers_mut().append("DPoP", HeaderValue::from_bytes(proof.as_bytes()).unwrap());
        }
        if let Some(der) = ask.certificate {
            request.extensions_mut().insert(certificates(der));
        }
        let inner = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let response = self.layer.layer(inner).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(text.to_vec()).unwrap() }
    }

    /// The last audit event.
    fn event(&self) -> AuditEvent {
        self.events.lock().unwrap().last().unwrap().clone()
    }

    fn reason(&self) -> Option<Reason> {
        self.event().reason
    }
}

/// The extension that a TLS server sets for a client with this certificate.
fn certificates(der: &[u8]) -> PeerCertificates {
    PeerCertificates::new([der.to_vec()])
}

fn thumbprint(der: &[u8]) -> String {
    Thumbprint::of_certificate(der).to_string()
}

/// The values of a header.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}
