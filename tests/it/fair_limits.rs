//! Fair limits: no client, no peer and no subject takes the service away from the others.

use crate::support::*;
use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use serde_json::json;
use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_token_exchange::{
    Reason, TokenExchangeBuilder, TokenExchangeLayer,
    audit::{AuditEvent, Outcome, Stage},
    client_auth::{ClientAddress, Credentials},
    limits::{Limiter, Limits, PeerLimitLayer, Rate},
    revocation::MemoryRevocations,
};

/// A clock in seconds that a test moves.
#[derive(Clone)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn of(&self, builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
        let clock = self.clone();
        builder.clock(move || UNIX_EPOCH + Duration::from_secs(clock.0.load(Ordering::Relaxed)))
    }
}

/// The whole seconds in `Retry-After`.
fn retry_after(reply: &Reply) -> u64 {
    reply.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_client_cannot_fill_the_revocation_store() {
    let clock = TestClock::new();
    let mut world = plan()
        .with(|builder| clock.of(builder).revocation_endpoint("/revoke").revocations(MemoryRevocations::new(8)))
        .start()
        .await;
    let revoke = async |world: &mut World, client: &str, jti: &str, expires_in: u64| {
        let token = world.own.access_token(json!({ "client_id": client, "jti": jti, "exp": NOW + expires_in }));
        let form = encode(&[("token", &token)]);
        let reply = world.post_to("/revoke", Some(&basic(client, &secret_of(client))), form).await;
        (reply, world.event().await.reason)
    };
    for number in 0..4 {
        assert_eq!(
            revoke(&mut world, "orders", &format!("greedy-{number}"), 100 + number).await.0.status,
            StatusCode::OK
        );
    }
    let (refused, reason) = revoke(&mut world, "orders", "greedy-4", 600).await;
    assert_eq!(reason, Some(Reason::RevocationShareUsed));
    assert_eq!((refused.status, refused.error()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable".into()));
    assert_eq!(retry_after(&refused), 100);
    for client in ["billing", "reports"] {
        assert_eq!(revoke(&mut world, client, client, 600).await.0.status, StatusCode::OK, "{client}");
    }
    // A repeated revocation needs no room.
    assert_eq!(revoke(&mut world, "orders", "greedy-0", 100).await.0.status, StatusCode::OK);
    // Two revocations of others came meanwhile, so the client waits for the second of its own to expire.
    let (refused, _) = revoke(&mut world, "orders", "greedy-4", 600).await;
    assert_eq!(retry_after(&refused), 101);
    clock.advance(101);
    assert_eq!(revoke(&mut world, "orders", "greedy-4", 600).await.0.status, StatusCode::OK);
}

/// A server behind the layer, without a network between a test and the layer.
struct Edge {
    layer: TokenExchangeLayer,
    own: Minter,
    clock: TestClock,
    events: mpsc::UnboundedReceiver<AuditEvent>,
    /// The number of secrets that were checked.
    checked: Arc<AtomicU64>,
    /// The number of tokens that were sent. Each token has a name of its own.
    tokens: AtomicU64,
}

/// The layer with these limits and with all endpoints. The secret of each client is [`secret_of`] its name.
fn edge(limits: Limits) -> Edge {
    let (clock, checked) = (TestClock::new(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&checked);
    let authenticator = service_fn(move |credentials: Credentials| {
        counter.fetch_add(1, Ordering::Relaxed);
        let answer = credentials.authenticate(|client_id, secret| secret == secret_of(client_id));
        async move { Ok::<_, Infallible>(answer) }
    });
    let (sender, events) = mpsc::unbounded_channel();
    let Plan { own, builder, .. } = plan();
    let builder = clock.of(builder).limits(limits).client_authenticator(authenticator).audit(recorder(sender));
    let builder = builder.introspection_endpoint("/introspect").revocation_endpoint("/revoke");
    let layer = builder.revocations(MemoryRevocations::new(10_000)).build().unwrap();
    Edge { layer, own, clock, events, checked, tokens: AtomicU64::new(0) }
}

const PATHS: [&str; 3] = ["/token", "/introspect", "/revoke"];
const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

impl Edge {
    /// Sends a request that succeeds with the right secret: to exchange, to introspect or to revoke a token.
    async fn send(&self, peer: &str, path: &str, client: &str, secret: &str) -> Reply {
        self.send_for("alice", peer, path, client, secret).await
    }

    async fn send_for(&self, subject: &str, peer: &str, path: &str, client: &str, secret: &str) -> Reply {
        let aud = format!("https://{client}.example");
        let now = self.clock.0.load(Ordering::Relaxed);
        let claims = json!({
            "client_id": client, "sub": subject, "aud": aud, "exp": now + 600, "iat": now,
            "jti": format!("token-{}", self.tokens.fetch_add(1, Ordering::Relaxed)),
        });
        let token = self.own.access_token(claims);
        let mut form = if path == "/token" { exchange_form(&token, &[]) } else { vec![("token", &*token)] };
        if client == "billing" && path == "/token" {
            form[3].1 = "ledger";
        }
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(client, secret))
            .body(Body::from(encode(&form)))
            .unwrap();
        if let Ok(address) = peer.parse::<IpAddr>() {
            request.extensions_mut().insert(ClientAddress::new(address));
        }
        let server = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let (parts, body) = self.layer.layer(server).oneshot(request).await.unwrap().into_parts();
        let text = axum::body::to_bytes(Body::new(body), 1 << 20).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(text.to_vec()).unwrap() }
    }

    async fn right(&self, peer: &str, path: &str, client: &str) -> StatusCode {
        self.send(peer, path, client, &secret_of(client)).await.status
    }

    /// Sends a wrong secret that differs for each number.
    async fn guess(&self, peer: &str, client: &str, number: usize) -> Reply {
        self.send(peer, PATHS[number % 3], client, &format!("guess-{number}-of-the-secret")).await
    }

    async fn event(&mut self) -> AuditEvent {
        self.events.recv().await.unwrap()
    }
}

fn assert_limited(reply: &Reply, seconds: u64) {
    assert_eq!((reply.status, reply.error()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable".into()));
    assert_eq!(retry_after(reply), seconds);
}

#[tokio::test]
async fn guessed_secrets_are_refused_before_the_check() {
    let mut edge = edge(Limits::default());
    for number in 0..10 {
        assert_eq!(edge.guess(HERE, "orders", number).await.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    let checked = edge.checked.load(Ordering::Relaxed);
    for number in 10..100 {
        assert_limited(&edge.guess(HERE, "orders", number).await, 6);
    }
    // The right secret looks like a guess.
    assert_limited(&edge.send(HERE, "/token", "orders", &secret_of("orders")).await, 6);
    assert_eq!(edge.checked.load(Ordering::Relaxed), checked);
    // Neither the client at another peer nor another client at this peer has to wait.
    for path in PATHS {
        assert_eq!(edge.right(THERE, path, "orders").await, StatusCode::OK, "{path}");
        assert_eq!(edge.right(HERE, path, "billing").await, StatusCode::OK, "{path}");
    }
    edge.clock.advance(6);
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    assert_eq!(edge.guess(HERE, "orders", 100).await.status, StatusCode::UNAUTHORIZED);
    assert_limited(&edge.guess(HERE, "orders", 101).await, 6);

    while !edge.events.is_empty() {
        let event = edge.event().await;
        if event.reason == Some(Reason::AuthenticationRateLimited) {
            assert_eq!((event.outcome, event.stage), (Outcome::Denied, Stage::Client));
            assert_eq!(event.claimed_client_id.as_deref(), Some("orders"));
            assert_eq!(event.detail.as_deref(), Some("this client id at 192.0.2.1"));
            return;
        }
    }
    panic!("no event of a refused guess");
}

#[tokio::test]
async fn a_repeated_wrong_secret_counts_once() {
    let edge = edge(Limits::default());
    for attempt in 0..200 {
        assert_eq!(edge.guess(HERE, "orders", 0).await.status, StatusCode::UNAUTHORIZED, "{attempt}");
        edge.clock.advance(attempt % 7);
    }
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    // Nine more guesses are left, and at most one came back.
    let admitted = async |number| edge.guess(HERE, "orders", number).await.status == StatusCode::UNAUTHORIZED;
    let mut number = 3;
    while admitted(number).await {
        number += 3;
    }
    assert!((30..=33).contains(&number), "{number}");
}

#[tokio::test]
async fn guesses_for_many_clients_spend_a_peer() {
    let edge = edge(Limits::default());
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    for number in 0..100 {
        let client = format!("guessed-{number}");
        assert_eq!(edge.guess(HERE, &client, number).await.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    assert_limited(&edge.guess(HERE, "another", 100).await, 1);
    // An honest client behind the same address goes on, but a client that nobody knows there has to wait.
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    assert_eq!(edge.right(HERE, "/token", "billing").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(edge.right(THERE, "/token", "billing").await, StatusCode::OK);
    // The client that is known has its own budget still.
    for number in 0..10 {
        assert_eq!(edge.guess(HERE, "orders", number).await.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    assert_limited(&edge.guess(HERE, "orders", 10).await, 6);
}

#[tokio::test]
async fn encodings_of_a_client_id_share_a_budget() {
    let edge = edge(Limits::default());
    // Each of these is the client `orders` after form decoding.
    for (number, id) in
        ["orders", "%6Frders", "o%72ders", "or%64ers", "ord%65rs"].into_iter().cycle().take(10).enumerate()
    {
        assert_eq!(edge.guess(HERE, id, number).await.status, StatusCode::UNAUTHORIZED, "{id}");
    }
    assert_limited(&edge.guess(HERE, "orders", 10).await, 6);
    assert_limited(&edge.guess(HERE, "%6frders", 11).await, 6);
}

#[tokio::test]
async fn a_request_without_an_address_has_no_peer() {
    let edge = edge(Limits::default().attempts_per_peer(Rate::per_minute(1)));
    for number in 0..300 {
        assert_eq!(edge.guess("unknown", "orders", number).await.status, StatusCode::UNAUTHORIZED, "{number}");
    }
    assert_eq!(edge.right("unknown", "/token", "orders").await, StatusCode::OK);
}

#[tokio::test]
async fn nobody_notices_the_defaults() {
    let edge = edge(Limits::default());
    for number in 0..500 {
        assert_eq!(edge.right(HERE, PATHS[number % 3], "orders").await, StatusCode::OK, "{number}");
    }
}

/// Each budget, with the endpoints to which it applies.
#[tokio::test]
async fn each_budget_limits_its_own_party() {
    let rate = Rate::per_minute(6);
    let (peer, client, subject) = (Reason::PeerRateLimited, Reason::ClientRateLimited, Reason::SubjectRateLimited);
    for (name, limits, paths, reason) in [
        ("attempts_per_peer", Limits::none().attempts_per_peer(rate), &PATHS[..], peer),
        ("exchanges_per_client", Limits::none().exchanges_per_client(rate), &PATHS[..1], client),
        ("introspections_per_client", Limits::none().introspections_per_client(rate), &PATHS[1..2], client),
        ("revocations_per_client", Limits::none().revocations_per_client(rate), &PATHS[2..], client),
        ("exchanges_per_subject", Limits::none().exchanges_per_subject(rate), &PATHS[..1], subject),
    ] {
        let edge = edge(limits);
        let send = async |subject: &str, peer: &str, path: &str, client: &str| {
            edge.send_for(subject, peer, path, client, &secret_of(client)).await
        };
        for number in 0..6 {
            let reply = send("alice", HERE, paths[number % paths.len()], "orders").await;
            assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        }
        for path in PATHS {
            let reply = send("alice", HERE, path, "orders").await;
            if paths.contains(&path) {
                assert_limited(&reply, 10);
            } else {
                assert_eq!(reply.status, StatusCode::OK, "{name} {path}");
            }
            // The other parties go on.
            let (other_subject, other_peer, other_client) = match reason {
                Reason::PeerRateLimited => ("alice", THERE, "orders"),
                Reason::ClientRateLimited => ("alice", HERE, "billing"),
                _ => ("bob", HERE, "orders"),
            };
            assert_eq!(
                send(other_subject, other_peer, path, other_client).await.status,
                StatusCode::OK,
                "{name} {path}"
            );
        }
        edge.clock.advance(10);
        assert_eq!(send("alice", HERE, paths[0], "orders").await.status, StatusCode::OK, "{name}");
        assert_limited(&send("alice", HERE, paths[0], "orders").await, 10);
    }
}

#[tokio::test]
async fn a_refused_attempt_is_in_the_audit() {
    let rate = Rate::per_minute(1);
    for (limits, reason, stage, names_client, names_subject) in [
        (Limits::none().attempts_per_peer(rate), Reason::PeerRateLimited, Stage::Request, false, false),
        (Limits::none().exchanges_per_client(rate), Reason::ClientRateLimited, Stage::Proof, true, false),
        (Limits::none().exchanges_per_subject(rate), Reason::SubjectRateLimited, Stage::Authority, true, true),
    ] {
        let mut edge = edge(limits);
        assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
        edge.event().await;
        assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::TOO_MANY_REQUESTS);
        let event = edge.event().await;
        assert_eq!((event.reason, event.outcome, event.stage), (Some(reason), Outcome::Denied, stage));
        assert_eq!((event.client_id.is_some(), event.subject.is_some()), (names_client, names_subject), "{reason}");
        assert!(event.detail.unwrap().ends_with("more than 1/min"), "{reason}");
    }
}

#[tokio::test]
async fn an_ipv6_network_is_one_peer() {
    let edge = edge(Limits::none().attempts_per_peer(Rate::per_minute(2)));
    for address in ["2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"] {
        assert_eq!(edge.right(address, "/token", "orders").await, StatusCode::OK);
    }
    assert_eq!(edge.right("2001:db8::2", "/token", "orders").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(edge.right("2001:db8:0:1::1", "/token", "orders").await, StatusCode::OK);
}

#[tokio::test]
async fn a_reload_keeps_budgets() {
    let edge = edge(Limits::default().exchanges_per_client(Rate::per_minute(2)));
    for number in 0..11 {
        edge.guess(HERE, "billing", number).await;
    }
    for _ in 0..2 {
        assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    }
    let records = json!({
        "client": [
            { "id": "orders", "secret": secret_of("orders") },
            { "id": "reports", "secret": secret_of("reports"), "max_exchanges": "5/min" },
        ],
        "target": [
            { "id": "orders", "aud": "https://orders.example", "owner": "orders", "scopes": ["read"] },
            { "id": "reports", "aud": "https://reports.example", "owner": "reports", "scopes": ["read"] },
            { "id": "billing", "callers": ["orders", "reports"], "scopes": ["read"] },
        ],
        "rule": [{ "clients": "any", "subjects": "any", "targets": "billing", "scopes": ["read"] }],
    });
    edge.layer.reload(serde_json::from_value(records).unwrap()).unwrap();
    assert_limited(&edge.send(HERE, "/token", "orders", &secret_of("orders")).await, 30);
    assert_limited(&edge.guess(HERE, "billing", 12).await, 6);
    // The record of a client can say more or less than the limit of all clients.
    for _ in 0..5 {
        assert_eq!(edge.right(HERE, "/token", "reports").await, StatusCode::OK);
    }
    assert_limited(&edge.send(HERE, "/token", "reports", &secret_of("reports")).await, 12);
}

#[tokio::test]
async fn an_explanation_takes_nothing() {
    let edge = edge(Limits::none().exchanges_per_client(Rate::per_hour(1)).exchanges_per_subject(Rate::per_hour(1)));
    let token = edge.own.access_token(json!({}));
    for _ in 0..3 {
        let explanation = edge.layer.explain("orders", encode(&exchange_form(&token, &[])).as_bytes()).await;
        assert_eq!(explanation.outcome, Outcome::Issued);
    }
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
}

#[tokio::test]
async fn a_flood_of_peers_leaves_honest_clients_alone() {
    let edge = edge(Limits::default().attempts_per_peer(Rate::per_minute(600)).capacity(500));
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    for number in 0..10 {
        edge.guess(HERE, "billing", number).await;
    }
    for number in 0..2_000_u32 {
        let peer = IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(number) << 64).to_be_bytes()).to_string();
        edge.send(&peer, "/introspect", &format!("client-{number}"), "a-guess-at-the-secret").await;
    }
    assert_eq!(edge.right(HERE, "/token", "orders").await, StatusCode::OK);
    assert_eq!(edge.right(THERE, "/token", "billing").await, StatusCode::OK);
    // The flood does not give the guesser its budget back.
    assert_limited(&edge.guess(HERE, "billing", 11).await, 6);
}

#[tokio::test]
async fn a_layer_limits_peers_at_any_service() {
    let server = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let server = ConcurrencyLimit::new(server, 1);
    let limiter = Limiter::new(Rate::per_minute(2)).clock(|| UNIX_EPOCH + Duration::from_secs(NOW));
    let mut service = PeerLimitLayer::new(limiter).layer(server.clone());
    let mut send = async |peer: Option<&str>| {
        let mut request = Request::new(Body::empty());
        if let Some(peer) = peer {
            request.extensions_mut().insert(ClientAddress::new(peer.parse().unwrap()));
        }
        service.ready().await.unwrap().call(request).await.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(send(Some(HERE)).await.status(), StatusCode::OK);
    }
    let limited = send(Some(HERE)).await;
    assert_eq!(
        (limited.status(), &limited.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"30".parse().unwrap())
    );
    assert_eq!(limited.extensions().get(), Some(&Reason::PeerRateLimited));
    // The refused request gave its place at the server back.
    let given_back = tokio::time::timeout(Duration::from_secs(5), server.oneshot(Request::new(Body::empty()))).await;
    assert!(given_back.is_ok());
    for peer in [Some(THERE), None, None, None] {
        assert_eq!(send(peer).await.status(), StatusCode::OK, "{peer:?}");
    }
}
