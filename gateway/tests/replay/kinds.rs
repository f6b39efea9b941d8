//! What may be used once, one row for each kind.

use super::world::Keys;
use serde_json::json;

/// A kind of things that may be used once.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Makes a request with a new thing.
    pub(crate) request: fn(&Keys, jti: &str) -> Request,
    /// The status of the answer if the thing was used before.
    pub(crate) status_when_used: u16,
}

/// The parts of a request that differ between the kinds.
pub(crate) struct Request {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) form: Vec<(&'static str, String)>,
}

pub(crate) const KINDS: &[Kind] = &[Kind { name: "subject token", request: subject_token, status_when_used: 400 }];

fn subject_token(keys: &Keys, jti: &str) -> Request {
    // The secret of `orders`.
    let authorization = "Basic b3JkZXJzOmEtc2VjcmV0LW9mLW9yZGVycw==";
    Request {
        headers: vec![("authorization", authorization.to_owned())],
        form: vec![("subject_token", keys.access_token(json!({ "jti": jti })))],
    }
}
