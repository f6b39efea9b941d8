//! The documents layer: nothing of a document is lost, the additions are there, and the last good document stands in for a
//! server that fails.

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use token_exchange_gateway::documents::{DocumentsError, DocumentsLayer};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    GRANT_TYPE,
    signing::{Algorithm, LocalSigner, PublishedKeys},
};

const METADATA: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/jwks";

/// The wrapped server: its answer, and the requests that it received.
#[derive(Clone)]
struct Upstream {
    /// `None` while the server is down.
    answer: Arc<Mutex<Option<(StatusCode, HeaderMap, String)>>>,
    asked: Arc<Mutex<Vec<(Method, HeaderMap)>>>,
    layer: DocumentsLayer,
    own: LocalSigner,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Upstream {
    fn new() -> Self {
        let own = LocalSigner::generate(Algorithm::ES256).unwrap();
        let layer =
            DocumentsLayer::builder().metadata(METADATA).key_set(KEYS).own_keys(own.published_keys()).build().unwrap();
        let answer = Arc::new(Mutex::new(None));
        Self { answer, asked: Arc::default(), layer, own }
    }

    fn answers(&self, status: u16, headers: &[(&'static str, &str)], body: impl Into<String>) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        *self.answer.lock().unwrap() = Some((StatusCode::from_u16(status).unwrap(), headers, body.into()));
    }

    fn is_down(&self) {
        *self.answer.lock().unwrap() = None;
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let upstream = self.clone();
        let inner = service_fn(move |request: Request| {
            let (method, headers) = (request.method().clone(), request.headers().clone());
            upstream.asked.lock().unwrap().push((method, headers));
            let answer = upstream.answer.lock().unwrap().clone();
            async move {
                Ok::<Response, Infallible>(match answer {
                    Some((status, headers, body)) => (status, headers, body).into_response(),
                    None => StatusCode::BAD_GATEWAY.into_response(),
                })
            }
        });
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.layer.layer(inner).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

fn metadata() -> String {
    json!({ "issuer": "https://as.example", "grant_types_supported": ["authorization_code"], "x": 1 }).to_string()
}

fn keys(keys: &PublishedKeys) -> String {
    keys.to_json()
}

#[tokio::test]
async fn headers_describe_the_extended_document() {
    let upstream = Upstream::new();
    let theirs = [
        ("content-type", "application/json; charset=utf-8"),
        ("etag", "\"theirs\""),
        ("last-modified", "Mon, 23 Nov 2026 10:00:00 GMT"),
        ("accept-ranges", "bytes"),
        ("content-digest", "sha-256=:AA==:"),
        ("cache-control", "public, max-age=60"),
        ("vary", "Origin"),
        ("x-other", "kept"),
    ];
    upstream.answers(200, &theirs, metadata());
    let full = upstream.send("GET", METADATA, &[("accept-encoding", "gzip, br"), ("range", "bytes=0-3")]).await;
    assert_eq!(full.status, StatusCode::OK);
    assert_eq!(full.json()["grant_types_supported"], json!(["authorization_code", GRANT_TYPE]));
    assert_eq!(full.json()["x"], 1);
    assert_eq!(full.headers["content-length"], full.body.len().to_string());
    assert_eq!(full.headers["content-type"], theirs[0].1);
    assert_eq!(full.headers["x-other"], "kept");
    for gone in ["etag", "last-modified", "accept-ranges", "content-digest", "content-encoding"] {
        assert!(!full.headers.contains_key(gone), "{gone}");
    }
    let (_, asked) = upstream.asked.lock().unwrap()[0].clone();
    assert_eq!(asked["accept-encoding"], "identity");
    assert!(!asked.contains_key("range"));

    // A condition is about the bytes of the server's document: the answer is the whole document.
    for known in ["\"theirs\"", "W/\"theirs\"", "*"] {
        let whole = upstream.send("GET", METADATA, &[("if-none-match", known)]).await;
        assert_eq!((whole.status, &whole.body), (StatusCode::OK, &full.body), "{known}");
        let (_, asked) = upstream.asked.lock().unwrap().pop().unwrap();
        assert!(!asked.contains_key("if-none-match"), "{known}");
    }
    let head = upstream.send("HEAD", METADATA, &[]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.headers, full.headers);
}

#[tokio::test]
async fn other_requests_and_answers_pass_unchanged() {
    let upstream = Upstream::new();
    let sent = [("accept-encoding", "gzip"), ("if-none-match", "\"theirs\"")];
    upstream.answers(200, &[("etag", "\"theirs\"")], metadata());
    for (method, path) in [("POST", METADATA), ("GET", "/.well-known/OpenID-configuration"), ("GET", "/token")] {
        let passed = upstream.send(method, path, &sent).await;
        assert_eq!((passed.headers["etag"].as_bytes(), passed.body), (&b"\"theirs\""[..], metadata().into_bytes()));
        let (_, asked) = upstream.asked.lock().unwrap().pop().unwrap();
        assert!(sent.iter().all(|(name, value)| asked[*name] == *value), "{method} {path}");
    }
    for (status, headers, body) in [
        (404, &[("etag", "\"theirs\"")][..], "not here"),
        (301, &[("location", "/elsewhere")], ""),
        (200, &[("content-encoding", "gzip")], "\u{1f}compressed"),
        (200, &[("content-type", "text/html")], "<html>"),
    ] {
        upstream.answers(status, headers, body);
        let passed = upstream.send("GET", METADATA, &[]).await;
        assert_eq!((passed.status.as_u16(), &*passed.body), (status, body.as_bytes()));
        assert!(headers.iter().all(|(name, value)| passed.headers[*name] == *value));
    }
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(300_000));
    upstream.answers(200, &[], &*large);
    assert_eq!(upstream.send("GET", METADATA, &[]).await.body, large.into_bytes());
}

#[tokio::test]
async fn documents_have_every_spelling_of_their_path() {
    let upstream = Upstream::new();
    upstream.answers(200, &[], metadata());
    let spellings = [
        "/.well-known/openid-configuration/",
        "//.well-known//openid-configuration",
        "/x/%2e%2E/.well%2Dknown/./openid-configuration",
    ];
    for path in spellings {
        let extended = upstream.send("GET", path, &[]).await.json();
        assert_eq!(extended["grant_types_supported"], json!(["authorization_code", GRANT_TYPE]), "{path}");
    }
    // The server may have another document at another spelling.
    upstream.is_down();
    assert_eq!(upstream.send("GET", METADATA, &[]).await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_server_without_a_key_set_gets_one() {
    let upstream = Upstream::new();
    let own = keys(&upstream.own.published_keys()).into_bytes();
    for (status, body) in [(404, "not here"), (200, "<html>"), (200, "{}")] {
        upstream.answers(status, &[("content-type", "text/html")], body);
        let answer = upstream.send("GET", KEYS, &[]).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &own), "{status} {body}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["content-length"], own.len().to_string());
        assert_eq!(upstream.send("HEAD", KEYS, &[]).await.headers, answer.headers);
    }
    // A key set that disappears is not replaced while the last good one counts.
    let theirs = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    upstream.answers(200, &[], keys(&theirs.published_keys()));
    let both = upstream.send("GET", KEYS, &[]).await.json();
    upstream.answers(404, &[], "not here");
    assert_eq!(upstream.send("GET", KEYS, &[]).await.json(), both);
    upstream.answers(410, &[], "gone");
    assert_eq!(upstream.send("GET", KEYS, &[]).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn own_keys_are_added_and_rotate() {
    let upstream = Upstream::new();
    let theirs = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    upstream.answers(200, &[], keys(&theirs.published_keys()));
    let kids = async || {
        let json = upstream.send("GET", KEYS, &[]).await.json();
        let kids = json["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
        kids.collect::<Vec<_>>()
    };
    assert_eq!(kids().await, [theirs.key_id().as_str(), upstream.own.key_id().as_str()]);
    let new = LocalSigner::generate(Algorithm::ES384).unwrap();
    upstream.layer.publish(new.published_keys().and(upstream.own.published_keys())).unwrap();
    assert_eq!(kids().await, [theirs.key_id().as_str(), new.key_id().as_str(), upstream.own.key_id().as_str()]);

    // While two keys have the same `kid`, only the key of the server is published.
    let namesake = theirs.clone().with_key_id(new.key_id().clone()).published_keys();
    upstream.answers(200, &[], keys(&namesake));
    for _ in 0..2 {
        assert_eq!(kids().await, [new.key_id().as_str()]);
        assert_eq!(upstream.layer.key_id_collision().as_deref(), Some(new.key_id().as_str()));
    }
    upstream.is_down();
    assert_eq!(kids().await, [new.key_id().as_str()]);
    upstream.answers(200, &[], keys(&theirs.published_keys()));
    assert_eq!(kids().await.len(), 3);
    assert_eq!(upstream.layer.key_id_collision(), None);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_document_expires() {
    let upstream = Upstream::new();
    assert_eq!(
        upstream.send("GET", METADATA, &[]).await.status,
        StatusCode::BAD_GATEWAY,
        "there is no last good document yet"
    );
    upstream.answers(200, &[("set-cookie", "of=somebody")], metadata());
    let host = [("host", "as.example")];
    let with_token = [("host", "as.example"), ("authorization", "Bearer x")];
    let mut good = upstream.send("GET", METADATA, &host).await;
    assert_eq!(good.headers.remove("set-cookie").unwrap(), "of=somebody");
    upstream.is_down();
    advance(Duration::from_secs(3599)).await;
    for failing in [None, Some(500), Some(503)] {
        if let Some(status) = failing {
            upstream.answers(status, &[], "a bad day");
        }
        let kept = upstream.send("GET", METADATA, &host).await;
        assert_eq!((kept.status, &kept.body, &kept.headers), (StatusCode::OK, &good.body, &good.headers));
    }
    // Another host, scheme, query or credential may mean another document.
    for (path, headers) in [
        (METADATA, &[("host", "evil.example")][..]),
        (METADATA, &[("host", "as.example"), ("x-forwarded-host", "evil.example")]),
        ("/.well-known/openid-configuration?p=other", &host),
        (METADATA, &with_token),
        (KEYS, &host),
    ] {
        assert_eq!(upstream.send("GET", path, headers).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(upstream.send("GET", METADATA, &host).await.status, StatusCode::SERVICE_UNAVAILABLE, "after one hour");

    // A private document is not kept.
    for private in ["no-store", "max-age=60, Private"] {
        upstream.answers(200, &[("cache-control", private)], metadata());
        assert_eq!(upstream.send("GET", METADATA, &host).await.status, StatusCode::OK);
        upstream.is_down();
        assert_eq!(upstream.send("GET", METADATA, &host).await.status, StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn an_influenced_document_is_not_kept() {
    let upstream = Upstream::new();
    let host = ("host", "AS.example");
    upstream.answers(200, &[], metadata());
    upstream.send("GET", METADATA, &[host]).await;
    let evil = json!({ "issuer": "https://as.example", "token_endpoint": "https://evil.example/token" }).to_string();
    upstream.answers(200, &[], &*evil);
    for header in [
        ("x-forwarded-port", "1337"),
        ("x_forwarded_host", "evil.example"),
        ("x-original-host", "evil.example"),
        ("x-host", "evil.example"),
        ("cookie", "tenant=evil"),
        ("authorization", "Bearer x"),
    ] {
        assert!(upstream.send("GET", METADATA, &[host, header]).await.json()["token_endpoint"].is_string());
    }
    upstream.answers(200, &[("vary", "*")], &*evil);
    upstream.send("GET", METADATA, &[host]).await;
    upstream.is_down();
    let kept = upstream.send("GET", METADATA, &[("host", "as.example"), ("cookie", "a=1"), ("x-forwarded-for", "::1")]);
    assert_eq!(kept.await.json()["token_endpoint"], Value::Null);

    // The CORS headers for one origin are not kept for other origins.
    for (origin, is_kept) in [("https://app.example", false), ("*", true)] {
        upstream.answers(200, &[("access-control-allow-origin", origin), ("vary", "Origin")], metadata());
        upstream.send("GET", METADATA, &[host]).await;
        upstream.is_down();
        let kept = upstream.send("GET", METADATA, &[host]).await;
        assert_eq!(kept.headers.contains_key("access-control-allow-origin"), is_kept, "{origin}");
    }
}

#[tokio::test]
async fn documents_are_kept_per_host_and_scheme() {
    let upstream = Upstream::new();
    upstream.answers(200, &[], metadata());
    let asked = [("host", "as.example"), ("forwarded", "for=192.0.2.1;host=as.example;proto=https;by=10.0.0.1")];
    upstream.send("GET", METADATA, &asked).await;
    upstream.is_down();
    let host = asked[0];
    for (headers, is_kept) in [
        (&[host, ("forwarded", "For=\"[2001:db8::1]:80\", for=10.0.0.2; host=as.example;proto=https")][..], true),
        (&[host, ("forwarded", "host=as.example"), ("forwarded", "proto=https")], true),
        (&[host, ("forwarded", "host=as.example;proto=http")], false),
        (&[host, ("forwarded", "host=evil.example;proto=https")], false),
        // Some servers split at separators inside of quotes.
        (&[host, ("forwarded", "for=\"a;host=evil.example\";host=as.example;proto=https")], false),
        (&[host, asked[1], ("x-forwarded-proto", "https")], false),
        (&[host], false),
        (&[("host", "evil.example"), asked[1]], false),
    ] {
        let status = upstream.send("GET", METADATA, headers).await.status;
        assert_eq!(status == StatusCode::OK, is_kept, "{headers:?}");
    }

    // The latest eight documents are kept.
    upstream.answers(200, &[], metadata());
    for number in 0..8 {
        upstream.send("GET", METADATA, &[("host", &format!("{number}.example"))]).await;
    }
    upstream.send("GET", METADATA, &[("host", "0.example")]).await;
    upstream.send("GET", METADATA, &[("host", "8.example")]).await;
    upstream.is_down();
    for (name, is_kept) in [("as", false), ("0", true), ("1", false), ("2", true), ("8", true)] {
        let headers = [("host", &*format!("{name}.example")), asked[1]];
        let status = upstream.send("GET", METADATA, if name == "as" { &headers } else { &headers[..1] }).await.status;
        assert_eq!(status == StatusCode::OK, is_kept, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_and_broken_bodies_are_failures() {
    let own = LocalSigner::generate(Algorithm::ES256).unwrap();
    let layer = DocumentsLayer::builder().key_set(KEYS).own_keys(own.published_keys()).build().unwrap();
    let ask = async |inner: Router| {
        let request = http::Request::get(KEYS).body(Body::empty()).unwrap();
        layer.layer(inner).oneshot(request).await.unwrap().status()
    };
    let silent = || Router::new().route(KEYS, axum::routing::get(std::future::pending::<StatusCode>));
    let broken = || {
        let body = || async {
            let pieces = [Ok("{\"keys\":["), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures_util::stream::iter(pieces))
        };
        Router::new().route(KEYS, axum::routing::get(body))
    };
    assert_eq!(ask(silent()).await, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(ask(broken()).await, StatusCode::BAD_GATEWAY);
    let good = Router::new().route(KEYS, axum::routing::get(|| async { "{\"keys\":[]}" }));
    for inner in [good, silent(), broken()] {
        assert_eq!(ask(inner).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_refresh_keeps_a_good_document() {
    let own = LocalSigner::generate(Algorithm::ES256).unwrap();
    let builder = DocumentsLayer::builder().metadata(METADATA).key_set(KEYS).metadata("/elsewhere");
    let layer = builder.own_keys(own.published_keys()).build().unwrap();
    let good = |keys: String| {
        let keys = axum::routing::get(|| async { keys });
        Router::new().route(METADATA, axum::routing::get(|| async { metadata() })).route(KEYS, keys)
    };
    let refresh = async |router: Router| layer.refresh(router, "https://as.example").await;
    let down = || Router::new().fallback(|| async { StatusCode::BAD_GATEWAY });
    assert!(!refresh(down()).await);
    // A status 404 is an answer.
    assert!(refresh(good("{\"keys\":[]}".to_owned())).await);
    // Requests of other clients do not remove the document.
    for number in 0..10 {
        let request = http::Request::get(METADATA).header("host", format!("{number}.example"));
        layer.layer(good(String::new())).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    }
    let half = Router::new().route("/elsewhere", axum::routing::get(|| async { "no metadata" }));
    assert!(refresh(half.fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR })).await, "the server can be reached");
    assert!(!refresh(down()).await);
    for (path, status) in [(METADATA, StatusCode::OK), (KEYS, StatusCode::OK), ("/elsewhere", StatusCode::BAD_GATEWAY)]
    {
        let request = http::Request::get(path).header("host", "as.example").body(Body::empty()).unwrap();
        assert_eq!(layer.layer(down()).oneshot(request).await.unwrap().status(), status, "{path}");
    }
    let other = LocalSigner::generate(Algorithm::ES256).unwrap().with_key_id(own.key_id().clone());
    assert!(refresh(good(keys(&other.published_keys()))).await);
    assert_eq!(layer.key_id_collision().as_deref(), Some(own.key_id().as_str()));
}

#[test]
fn wrong_settings_are_errors() {
    let keys = LocalSigner::generate(Algorithm::ES256).unwrap().published_keys();
    let builder = DocumentsLayer::builder;
    for (error, builder) in [
        (DocumentsError::Path("well-known".into()), builder().metadata("well-known")),
        (
            DocumentsError::Path("https://as.example/jwks".into()),
            builder().key_set("https://as.example/jwks").own_keys(keys),
        ),
        (DocumentsError::NoOwnKeys, builder().key_set("/jwks")),
        (DocumentsError::KeptTooLong, builder().keep_for(Duration::from_secs(86_401))),
    ] {
        assert_eq!(builder.build().unwrap_err(), error);
    }
    assert!(builder().metadata("/a").build().is_ok());
}
