//! The wrapped service, its handlers, and layers inside of layers.

use super::*;
use axum::{body::Body, routing::post};
use http::Response;
use http_body_util::BodyExt;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::{Layer, Service as _, service_fn};
use tower_token_exchange::Reason::*;

#[tokio::test]
async fn a_handler_can_do_without_a_token() {
    let own = issuer();
    let mut service = Service::start(builder(&own).allow_anonymous().rules(everybody())).await;
    assert_eq!(service.get("/maybe", &[]).await.json(), json!({ "sub": null }));
    let good = format!("Bearer {}", token(&own, json!({})));
    assert_eq!(service.get("/maybe", &[("authorization", &good)]).await.json(), json!({ "sub": "alice" }));
    assert!(service.no_event());
    // A token that is not acceptable is worse than none.
    assert_eq!(service.refused("eyJhbGciOiJub25lIn0.e30.", "bad").await, Some(TokenIssuerMissing));
    // A handler that needs a token answers as the layer does.
    let reply = service.get("/who", &[]).await;
    assert_eq!((reply.status, challenges(&reply.headers)), (StatusCode::UNAUTHORIZED, vec!["Bearer".to_owned()]));
}

#[tokio::test]
async fn a_handler_without_the_layer_fails_closed() {
    for path in ["/who", "/maybe"] {
        let app = Router::new().route("/who", get(who)).route("/maybe", get(maybe));
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_eq!(response.extensions().get::<Reason>(), Some(&AccessLayerMissing));
    }
}

/// An outer layer cannot pass a token of its own to the handlers, also not by mistake.
#[tokio::test]
async fn a_token_in_the_extensions_is_removed() {
    let own = issuer();
    let layer = builder(&own).allow_anonymous().rules(everybody()).build().unwrap();
    let claims = json!({ "iss": AS, "sub": "mallory", "exp": NOW + 600 }).to_string().parse().unwrap();
    let mut request = Request::get("/maybe").body(Body::empty()).unwrap();
    request.extensions_mut().insert(AccessToken::from_claims(claims).unwrap());
    let app = Router::new().route("/maybe", get(maybe)).layer(layer);
    let body = app.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "sub": null }));
}

#[tokio::test]
async fn an_inner_layer_adds_rules() {
    let own = issuer();
    let layer = builder(&own).rules([AccessRule::any_actor().scopes(["read"])]).build().unwrap();
    let pay = layer.with_rules([AccessRule::without_actor().scopes(["pay"])]).unwrap();
    let app = Router::new().route("/pay", post(who).layer(pay)).route("/who", get(who)).layer(layer);
    let status = |method: &str, path: &str, changes: Value| {
        let token = format!("Bearer {}", token(&own, changes));
        let request = Request::builder().method(method).uri(path).header("authorization", token);
        let app = app.clone();
        async move { app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16() }
    };
    assert_eq!(status("GET", "/who", json!({})).await, 200);
    assert_eq!(status("POST", "/pay", json!({ "scope": "read pay" })).await, 200);
    assert_eq!(status("POST", "/pay", json!({})).await, 403);
    assert_eq!(status("POST", "/pay", json!({ "scope": "pay" })).await, 403);
    assert_eq!(status("POST", "/pay", json!({ "scope": "read pay", "act": { "sub": "orders" } })).await, 403);
}

/// A DPoP proof works once, so the inner layer must not check the proof again.
#[tokio::test]
async fn an_inner_layer_uses_no_proof_again() {
    use crate::proof::Prover;
    use data_encoding::BASE64URL_NOPAD;
    use ring::digest::{SHA256, digest};
    let (own, prover) = (issuer(), Prover::new());
    let layer = builder(&own).dpop(tower_token_exchange::proof::Dpop::new(BILLING)).rules(everybody()).build().unwrap();
    let inner = layer.with_rules(everybody()).unwrap();
    let app = Router::new().route("/who", get(who).layer(inner)).layer(layer);
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    let ath = BASE64URL_NOPAD.encode(digest(&SHA256, bound.as_bytes()).as_ref());
    let proof = prover.proof_with(json!({ "htm": "GET", "htu": "https://billing.example/who", "ath": ath }));
    let request = Request::get("/who").header("authorization", format!("DPoP {bound}")).header("dpop", proof);
    assert_eq!(app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status(), StatusCode::OK);
}

/// A request body that is neither `Unpin` nor readable, and a response body of another type.
struct Opaque(std::marker::PhantomPinned);

#[tokio::test]
async fn the_request_and_the_error_pass_unchanged() {
    let own = issuer();
    let layer = builder(&own).rules(everybody()).build().unwrap();
    let inner = service_fn(|request: Request<Opaque>| async move {
        assert!(request.headers().contains_key("authorization") && request.uri() == "/who?x=1");
        assert!(request.extensions().get::<u8>() == Some(&7) && request.extensions().get::<AccessToken>().is_some());
        let _: Opaque = request.into_body();
        Err::<Response<String>, &'static str>("the error of the service")
    });
    let mut request = Request::get("/who?x=1").header("authorization", format!("Bearer {}", token(&own, json!({}))));
    request.extensions_mut().unwrap().insert(7_u8);
    let request = request.body(Opaque(std::marker::PhantomPinned)).unwrap();
    assert_eq!(layer.layer(inner).oneshot(request).await.err(), Some("the error of the service"));
}

/// A service whose readiness a test decides.
#[derive(Clone)]
struct Busy(bool);

impl tower::Service<Request<Body>> for Busy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn the_readiness_is_that_of_the_service() {
    let own = issuer();
    let layer = builder(&own).rules(everybody()).build().unwrap();
    for is_busy in [false, true] {
        let mut service = layer.layer(Busy(is_busy));
        let poll = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_pending())).await;
        assert_eq!(poll, is_busy);
    }
}
