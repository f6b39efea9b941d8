//! Requests that the layer passes to the wrapped service, which does no work.

use super::{Scenario, Work};
use crate::world::World;
use axum::body::Body;
use http::{Request, header};
use tower_token_exchange::{TokenExchangeBuilder, revocation::MemoryRevocations, signing::Algorithm};

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario =
        |name: &str, layer: fn(TokenExchangeBuilder) -> TokenExchangeBuilder, request: fn() -> Request<Body>| {
            Scenario::new(name, move || Work::requests(layer(World::new(Algorithm::ES256).builder()), None, request))
        };
    vec![
        scenario("passed, other path", plain, other_path),
        scenario("passed, JSON to the endpoint", plain, json_at_the_endpoint),
        scenario("passed, form of 300 bytes", plain, ordinary_form),
        scenario("passed with guard, other path", guarded, other_path),
        scenario("passed with guard, form of 300 bytes", guarded, ordinary_form),
    ]
}

fn plain(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    builder
}

/// The layer with guard and all endpoints, which compares each path in all spellings.
pub fn guarded(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    let builder = builder.guard().introspection_endpoint("/introspect").revocation_endpoint("/revoke");
    builder.revocations(MemoryRevocations::new(100))
}

/// A request to another path. The path shows that the request is not a token exchange.
pub fn other_path() -> Request<Body> {
    Request::get("/userinfo").header(header::AUTHORIZATION, "Bearer x").body(Body::empty()).expect("a request")
}

/// JSON to the token endpoint. The media type shows that the request is not a token exchange.
pub fn json_at_the_endpoint() -> Request<Body> {
    Request::post("/token").header(header::CONTENT_TYPE, "application/json").body(Body::empty()).expect("a request")
}

/// An ordinary grant of 300 bytes. Only the body shows that the request is not a token exchange.
pub fn ordinary_form() -> Request<Body> {
    let mut form = "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code=".to_owned();
    form.extend(std::iter::repeat_n('x', 300 - form.len()));
    Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .expect("a request")
}
