//! A token or a secret stands in no event, no log line, no metric and no answer, wherever a client sends it.

use crate::{audit_event::Log, support::*};
use axum::body::Body;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    GRANT_TYPE, TokenExchangeLayer,
    audit::{AuditEvent, JsonLinesSink, TracingSink},
    revocation::MemoryRevocations,
};

const PARAMETERS: [&str; 14] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "audience",
    "resource",
    "requested_token_type",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "grant_type",
    "unknown",
];
const HEADERS: [&str; 12] = [
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-correlation-id",
    "dpop",
    "cookie",
    "user-agent",
    "referer",
    "forwarded",
    "x-forwarded-for",
    "content-type",
    "accept",
];
const HEADER_MEMBERS: [&str; 6] = ["alg", "kid", "typ", "cty", "crit", "jku"];
const CLAIMS: [&str; 9] = ["iss", "sub", "aud", "jti", "client_id", "scope", "azp", "typ", "act"];

/// One place of a request in which a secret can stand.
#[derive(Clone, Debug)]
enum Place {
    Parameter(&'static str),
    /// Several values, of which the secret is one.
    Among(&'static str),
    ParameterName,
    Header(&'static str),
    HeaderName,
    Authorization(&'static str),
    BasicId,
    BasicSecret,
    Query,
    Path,
    JwtHeader(&'static str),
    JwtClaim(&'static str),
    JwtSignature,
    WholeBody,
    Json,
}

fn places() -> Vec<Place> {
    let mut places = vec![
        Place::ParameterName,
        Place::HeaderName,
        Place::BasicId,
        Place::BasicSecret,
        Place::Query,
        Place::Path,
        Place::JwtSignature,
        Place::WholeBody,
        Place::Json,
    ];
    places.extend(PARAMETERS.map(Place::Parameter));
    places.extend(["scope", "audience", "resource"].map(Place::Among));
    places.extend(HEADERS.map(Place::Header));
    places.extend(["Bearer", "Basic", "Digest", ""].map(Place::Authorization));
    places.extend(HEADER_MEMBERS.map(Place::JwtHeader));
    places.extend(CLAIMS.map(Place::JwtClaim));
    places
}

/// Returns the request for a path with a secret in one place. The JWT is not genuine.
fn request(path: &str, place: &Place, secret: &str, token: &str, is_authenticated: bool) -> Request<Body> {
    let mut form = vec![
        ("grant_type", GRANT_TYPE.to_owned()),
        ("subject_token", token.to_owned()),
        ("subject_token_type", ACCESS_TOKEN.to_owned()),
        ("audience", "billing".to_owned()),
        ("token", token.to_owned()),
    ];
    let mut authorization = is_authenticated.then(|| basic("orders", &secret_of("orders")));
    let mut target = path.to_owned();
    let mut headers: Vec<(String, String)> = vec![("content-type".into(), "application/x-www-form-urlencoded".into())];
    let mut body = None;
    let mut jwt = |change: &dyn Fn(&mut Value, &mut Value)| {
        let mut head = json!({ "alg": "ES256", "kid": "a", "typ": "at+jwt" });
        let mut claims = json!({ "iss": AS, "sub": "alice", "aud": AS, "exp": NOW + 60, "client_id": "web" });
        change(&mut head, &mut claims);
        let segment = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        form[1].1 = format!("{}.{}.{}", segment(&head), segment(&claims), BASE64URL_NOPAD.encode(&[7; 64]));
    };
    match place {
        Place::JwtHeader(name) => jwt(&|head, _| head[*name] = secret.into()),
        Place::JwtClaim("act") => jwt(&|_, claims| claims["act"] = json!({ "sub": secret })),
        Place::JwtClaim(name) => jwt(&|_, claims| claims[*name] = secret.into()),
        Place::JwtSignature => form[1].1 = format!("e30.e30.{secret}"),
        Place::Parameter(name) => match form.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value = secret.to_owned(),
            None => form.push((name, secret.to_owned())),
        },
        Place::Among("scope") => form.push(("scope", format!("read {secret} write"))),
        Place::Among(name) => form.extend([*name; 3].map(|name| (name, secret.to_owned()))),
        Place::ParameterName => body = Some(format!("{}&{secret}=1", GRANT_FORM)),
        Place::Header("traceparent") => {
            headers.push(("traceparent".into(), format!("00-{secret}-{}-01", "b".repeat(16))))
        }
        Place::Header("content-type") => headers[0].1 += &format!("; boundary={secret}"),
        Place::Header(name) => headers.push(((*name).into(), secret.into())),
        Place::HeaderName => headers.push((format!("x-{}", secret.to_ascii_lowercase()), "1".into())),
        Place::Authorization(scheme) => authorization = Some(format!("{scheme} {secret}")),
        Place::BasicId => authorization = Some(format!("Basic {}", BASE64.encode(format!("{secret}:x").as_bytes()))),
        Place::BasicSecret => {
            authorization = Some(format!("Basic {}", BASE64.encode(format!("orders:{secret}").as_bytes())));
        }
        Place::Query => target += &format!("?grant_type={GRANT_TYPE}&access_token={secret}"),
        Place::Path => target += &format!("/{secret}"),
        Place::WholeBody => body = Some(format!("{GRANT_FORM}&%zz&{secret}")),
        Place::Json => {
            headers[0].1 = "application/json".into();
            body = Some(json!({ "grant_type": GRANT_TYPE, "subject_token": secret }).to_string());
        }
    }
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut request = Request::post(target).body(Body::from(body.unwrap_or_else(|| encode(&form)))).unwrap();
    for (name, value) in headers {
        let name = header::HeaderName::try_from(name).unwrap();
        request.headers_mut().append(name, HeaderValue::try_from(value).unwrap());
    }
    if let Some(value) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap());
    }
    request
}

const GRANT_FORM: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";

async fn answer(layer: &TokenExchangeLayer, request: Request<Body>) -> String {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let (parts, body) = layer.layer(inner).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{parts:?} {}", String::from_utf8_lossy(&body))
}

/// Returns everything that the layer writes for requests with a secret in each place.
async fn written_for(secret: &str) -> String {
    let (log, _guard) = Log::start();
    #[cfg(feature = "metrics")]
    let kept = crate::metrics::Kept::default();
    #[cfg(feature = "metrics")]
    let _recorder = metrics::set_default_local_recorder(&kept);
    let (sender, mut events) = mpsc::unbounded_channel();
    let sink = service_fn(move |event: AuditEvent| {
        let _ = sender.send(format!("{event:?}"));
        async move { TracingSink.oneshot(event).await }
    });
    let plan = plan().with(|builder| {
        builder
            .guard()
            .introspection_endpoint("/introspect")
            .revocation_endpoint("/revoke")
            .revocations(MemoryRevocations::new(10_000))
            .audit(sink)
    });
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let token = own.access_token(json!({ "client_id": "orders" }));
    let mut written = Vec::new();
    for place in places() {
        for path in ["/token", "/introspect", "/revoke"] {
            for is_authenticated in [false, true] {
                written.push(answer(&layer, request(path, &place, secret, &token, is_authenticated)).await);
            }
        }
    }
    layer.flush_audit().await;
    let count = written.len();
    written.extend(std::iter::from_fn(|| events.try_recv().ok()));
    assert!(written.len() > count + 100, "most requests leave an event");
    written.push(log.text());
    #[cfg(feature = "metrics")]
    written.extend(kept.records.lock().unwrap().iter().map(|(key, _)| key.to_string()));
    written.join("\n")
}

fn assert_secret(written: &str, secret: &str) {
    // A part of a secret is a secret too.
    for at in (0..secret.len() - 12).step_by(6) {
        let part = &secret[at..at + 12];
        for part in [part.to_owned(), part.to_lowercase(), BASE64.encode(part.as_bytes())] {
            let found = written.find(&part).map(|at| &written[at.saturating_sub(300)..(at + 40).min(written.len())]);
            assert_eq!(found, None, "a part of `{secret}`");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_misplaced_secret_is_never_written(secret in "[A-Za-z0-9_-]{43}", hexadecimal in "[0-9a-f]{64}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for secret in [secret, hexadecimal] {
            // The layer writes the words `read` and `billing`, but a random text has no part of 12 characters of them.
            let written = runtime.block_on(written_for(&secret));
            assert_secret(&written, &secret);
        }
    }
}

/// A secret of the form of a UUID or of a trace id is hidden if the same request also has it as a secret.
#[tokio::test]
async fn an_id_that_is_a_secret_is_not_written() {
    let (secret, trace) = ("0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77", "0af7651916cd43dd8448eb211c80319c");
    let (sender, mut events) = mpsc::unbounded_channel();
    let plan = plan().with(|builder| builder.audit(recorder(sender)));
    let layer = plan.builder.build().unwrap();
    for place in [Place::Parameter("client_secret"), Place::Parameter("unknown"), Place::BasicSecret, Place::Query] {
        let mut request = request("/token", &place, secret, trace, false);
        request.headers_mut().insert("x-request-id", secret.parse().unwrap());
        request.headers_mut().insert("traceparent", format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap());
        answer(&layer, request).await;
        let event = events.recv().await.unwrap();
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains(secret), "{place:?}: {line}");
        assert!(event.request_id.unwrap().starts_with("[36 characters, "));
        // The body of a request with the grant in its query is not read.
        assert_eq!(line.contains(trace), matches!(place, Place::Query), "{place:?}: {line}");
    }
}

/// What the records have stays readable, so that an operator can see what a client wanted.
#[tokio::test]
async fn known_texts_stay_readable() {
    let directory = crate::audit_json_lines::Directory::new("readable");
    let path = directory.join("audit.jsonl");
    let plan = plan().with(|builder| builder.audit(JsonLinesSink::file(&path).unwrap()));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let form = [
        ("grant_type", GRANT_TYPE),
        ("subject_token", &*own.access_token(json!({}))),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "billing"),
        ("resource", "https://billing.example/api"),
        ("audience", "biling"),
        ("audience", "s3cret"),
        ("scope", "read s3cret write"),
    ];
    let mut asked = request("/token", &Place::Parameter("unknown"), "", "", true);
    *asked.body_mut() = Body::from(encode(&form));
    answer(&layer, asked).await;
    let event: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let requested = &event["requested"];
    let targets = requested["targets"].as_array().unwrap();
    assert_eq!(targets[..2], [json!("https://billing.example/api"), json!("billing")]);
    assert!(targets[2].as_str().unwrap().starts_with("[2 others, 12 characters, hash "), "{targets:?}");
    assert!(requested["scope"].as_str().unwrap().starts_with("read write [6 characters, hash "));
    assert_eq!(
        (&event["claimed_client_id"], &requested["subject_token_type"]),
        (&json!("orders"), &json!(ACCESS_TOKEN))
    );
    assert!(event["detail"].as_str().unwrap().starts_with("audience [6 characters, hash "), "{}", event["detail"]);
}
