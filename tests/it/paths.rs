//! Which requests are looked at: the exact raw path of each token endpoint, or whatever a predicate says.

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
use tower_token_exchange::{Reason, TokenExchangeBuilder, TokenExchangeLayer};

/// Whether an exchange at each path was answered by the layer. The old endpoint would answer 418.
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
async fn the_path_is_compared_as_it_came() {
    let paths = ["/token", "/token?x=y", "/token/", "/Token", "/%74oken", "//token", "/a/../token", "/token;x"];
    let answers = answered(|builder| builder, everywhere, paths).await;
    assert_eq!(answers, [true, true, false, false, false, false, false, false], "`/token` is the default");
}

#[tokio::test]
async fn several_endpoints() {
    let configure = |builder: TokenExchangeBuilder| builder.endpoint("/oauth/token").endpoint("/v2/token");
    let answers = answered(configure, everywhere, ["/oauth/token", "/v2/token", "/token"]).await;
    assert_eq!(answers, [true, true, false], "the default is gone once an endpoint is named");
}

#[tokio::test]
async fn a_predicate_for_the_unusual() {
    let configure = |builder: TokenExchangeBuilder| {
        builder.endpoint_when(|request| {
            request.uri.path().starts_with("/tenants/") && request.uri.path().ends_with("/token")
        })
    };
    let answers = answered(configure, everywhere, ["/tenants/a/token", "/tenants/b/token", "/token"]).await;
    assert_eq!(answers, [true, true, false]);
}

#[tokio::test]
async fn inside_a_nested_router_the_prefix_is_gone() {
    let nested = |layer: TokenExchangeLayer| {
        Router::new().nest("/oauth", Router::new().route("/token", post(old)).layer(layer)).fallback(old)
    };
    let answers = answered(|builder| builder.endpoint("/token"), nested, ["/oauth/token", "/token"]).await;
    assert_eq!(answers, [true, false]);
    let answers = answered(|builder| builder.endpoint("/oauth/token"), nested, ["/oauth/token"]).await;
    assert_eq!(answers, [false], "the layer does not see the prefix");

    let whole_path = |builder: TokenExchangeBuilder| {
        builder.endpoint_when(|request| {
            request.extensions.get::<OriginalUri>().is_some_and(|uri| uri.path() == "/oauth/token")
        })
    };
    let answers = answered(whole_path, nested, ["/oauth/token"]).await;
    assert_eq!(answers, [true], "the whole path is in the extensions");
}

#[tokio::test]
async fn around_the_whole_application_the_prefix_is_there() {
    let nested = |layer: TokenExchangeLayer| {
        Router::new().nest("/oauth", Router::new().route("/token", post(old))).fallback(old).layer(layer)
    };
    let answers = answered(|builder| builder.endpoint("/oauth/token"), nested, ["/oauth/token", "/token"]).await;
    assert_eq!(answers, [true, false]);
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_the_extensions_for_outer_layers() {
    let app = everywhere(plan().builder.build().unwrap());
    let request = Request::get("/token?grant_type=urn:ietf:params:oauth:grant-type:token-exchange");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.extensions().get::<Reason>(), Some(&Reason::GrantInQuery));
}
