//! The requests that the layer answers: by the exact path of an endpoint, or by a function.

use crate::support::*;
use axum::{
    Router,
    body::Body,
    extract::OriginalUri,
    routing::{any, post},
};
use http::{Request, header};
use serde_json::json;
use tower::ServiceExt;
use tower_token_exchange::{
    Reason, TokenExchangeBuilder, TokenExchangeLayer,
    service::{EndpointMatch, RequestHead},
};

/// Whether the layer answered an exchange at each path. The wrapped service answers 418.
async fn answered<const N: usize>(
    configure: impl FnOnce(TokenExchangeBuilder) -> TokenExchangeBuilder,
    mount: impl FnOnce(TokenExchangeLayer) -> Router,
    paths: [&str; N],
) -> [bool; N] {
    let plan = plan().with(configure);
    let form = encode(&exchange_form(&plan.own.access_token(json!({})), &[]));
    let app = mount(plan.builder.build().unwrap());
    let mut answers = [false; N];
    for (path, answer) in paths.into_iter().zip(&mut answers) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
            .body(Body::from(form.clone()))
            .unwrap();
        let status = app.clone().oneshot(request).await.unwrap().status();
        *answer = status.is_success();
        assert!(*answer || status == http::StatusCode::IM_A_TEAPOT, "{path}: {status}");
    }
    answers
}

async fn old() -> http::StatusCode {
    http::StatusCode::IM_A_TEAPOT
}

fn everywhere(layer: TokenExchangeLayer) -> Router {
    Router::new().fallback(any(old)).layer(layer)
}

#[tokio::test]
async fn the_path_is_compared_exactly() {
    let paths = ["/token", "/token?x=y", "/token/", "/Token", "/%74oken", "//token", "/a/../token", "/token;x"];
    let answers = answered(|builder| builder, everywhere, paths).await;
    assert_eq!(answers, [true, true, false, false, false, false, false, false], "`/token` is the default");
}

#[tokio::test]
async fn a_layer_has_several_endpoints() {
    let configure = |builder: TokenExchangeBuilder| builder.endpoint("/oauth/token").endpoint("/v2/token");
    let answers = answered(configure, everywhere, ["/oauth/token", "/v2/token", "/token"]).await;
    assert_eq!(answers, [true, true, false], "a named endpoint replaces the default");
}

fn tenant_endpoint(request: &RequestHead<'_>) -> EndpointMatch {
    let matches = ["/tenants/a/token", "/tenants/b/token"].map(|path| request.match_path(path));
    matches.into_iter().max().unwrap()
}

#[tokio::test]
async fn a_function_recognizes_endpoints() {
    let configure = |builder: TokenExchangeBuilder| builder.endpoint_when(tenant_endpoint);
    let paths = ["/tenants/a/token", "/tenants/b/token", "/token", "/tenants/a/Token"];
    assert_eq!(answered(configure, everywhere, paths).await, [true, true, false, false]);
}

#[tokio::test]
async fn the_guard_applies_to_a_function() {
    let app =
        everywhere(plan().with(|builder| builder.endpoint_when(tenant_endpoint).guard()).builder.build().unwrap());
    for (path, reason) in [("/tenants/a/Token", Some(Reason::GrantAtOtherPath)), ("/tenants/c/token", None)] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(&exchange_form("x", &[]))))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<Reason>().copied(), reason, "{path}");
    }
}

#[tokio::test]
async fn the_guard_covers_more_than_a_function() {
    // The function knows one spelling of each path, as many functions do.
    let plain = |request: &RequestHead<'_>| match request.uri.path() {
        "/tenants/a/token" | "/token.php" => EndpointMatch::TokenEndpoint,
        _ => EndpointMatch::Elsewhere,
    };
    let app = everywhere(plan().with(|builder| builder.endpoint_when(plain).guard()).builder.build().unwrap());
    let refused = Some(Reason::GrantAtOtherPath);
    for (path, header, reason) in [
        ("/tenants/a/Token", "/", refused),
        ("/tenants//a/./token/", "/", refused),
        ("/tenants/%2561/token", "/", refused),
        ("/tenants/a/token;x=y", "/", refused),
        ("/tenants/a/token.json", "/", refused),
        ("/tenants/a/token/x/y", "/", refused),
        ("/index.php/tenants/a/token", "/", refused),
        ("//host/tenants/a/token", "/", refused),
        ("/token.php/x", "/", refused),
        ("/other", "/tenants/a/Token", refused),
        (&"/x".repeat(1000), "/", refused),
        ("/tenants/b/token", "/", None),
        ("/tenants/a", "/tenants/b/token", None),
    ] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-original-url", header)
            .body(Body::from(encode(&exchange_form("x", &[]))))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<Reason>().copied(), reason, "{path} {header}");
    }
}

#[tokio::test]
async fn a_nested_router_hides_the_prefix() {
    let nested = |layer: TokenExchangeLayer| {
        Router::new().nest("/oauth", Router::new().route("/token", post(old)).layer(layer)).fallback(old)
    };
    let answers = answered(|builder| builder.endpoint("/token"), nested, ["/oauth/token", "/token"]).await;
    assert_eq!(answers, [true, false]);
    let answers = answered(|builder| builder.endpoint("/oauth/token"), nested, ["/oauth/token"]).await;
    assert_eq!(answers, [false], "the layer does not see the prefix");

    let whole_path = |builder: TokenExchangeBuilder| {
        builder.endpoint_when(|request| {
            let original = request.extensions.get::<OriginalUri>().unwrap();
            EndpointMatch::from_paths("/oauth/token", original.path())
        })
    };
    let answers = answered(whole_path, nested, ["/oauth/token"]).await;
    assert_eq!(answers, [true], "the whole path is in the extensions");
}

#[tokio::test]
async fn the_whole_application_shows_the_prefix() {
    let nested = |layer: TokenExchangeLayer| {
        Router::new().nest("/oauth", Router::new().route("/token", post(old))).fallback(old).layer(layer)
    };
    let answers = answered(|builder| builder.endpoint("/oauth/token"), nested, ["/oauth/token", "/token"]).await;
    assert_eq!(answers, [true, false]);
}

#[tokio::test]
async fn outer_layers_see_the_reason() {
    let app = everywhere(plan().builder.build().unwrap());
    let request = Request::get("/token?grant_type=urn:ietf:params:oauth:grant-type:token-exchange");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.extensions().get::<Reason>(), Some(&Reason::GrantInQuery));
}
