//! The endpoints that the gateway has and the authorization server has not. The exchange answers there for issued tokens;
//! this module answers for all other tokens.

use crate::{
    answer,
    upstream::{Endpoints, OWN_INTROSPECTION, OWN_REVOCATION},
};
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tower_token_exchange::service::is_same_path;

/// The answer about a token that was not issued here, if the request is for an endpoint of the gateway.
pub(crate) fn answer(endpoints: &Endpoints, request: &Request<Body>) -> Option<Response<Body>> {
    let is_for = |own: &str, of_server: &[String]| of_server.is_empty() && is_same_path(own, request.uri().path());
    let answer = if is_for(OWN_INTROSPECTION, endpoints.introspection()) {
        answer::json(StatusCode::OK, &json!({ "active": false }))
    } else if is_for(OWN_REVOCATION, endpoints.revocation()) {
        let description = "only tokens of a token exchange can be revoked here";
        answer::error(StatusCode::BAD_REQUEST, "unsupported_token_type", description)
    } else {
        return None;
    };
    Some(if request.method() == Method::POST { answer } else { answer::plain(StatusCode::METHOD_NOT_ALLOWED) })
}
