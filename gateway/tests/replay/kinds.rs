//! What may be used once, one row for each kind.

use super::world::Keys;
use serde_json::json;

/// A kind of things that may be used once.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Makes a request with a new thing.
    pub(crate) request: fn(&Keys, jti: &str) -> Request,
    /// The error in the answer, whose status is 400, if the thing was used before.
    pub(crate) error_when_used: &'static str,
}

/// The parts of a request that differ between the kinds.
pub(crate) struct Request {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) form: Vec<(&'static str, String)>,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind { name: "subject token", request: subject_token, error_when_used: "invalid_request" },
    Kind { name: "client assertion", request: client_assertion, error_when_used: "invalid_client" },
    Kind { name: "DPoP proof", request: dpop_proof, error_when_used: "invalid_dpop_proof" },
];

fn subject_token(keys: &Keys, jti: &str) -> Request {
    Request {
        // The secret of `orders`.
        headers: vec![("authorization", "Basic b3JkZXJzOmEtc2VjcmV0LW9mLW9yZGVycw==".to_owned())],
        form: vec![("subject_token", keys.access_token("https://orders.example", jti))],
    }
}

fn client_assertion(keys: &Keys, jti: &str) -> Request {
    Request {
        headers: Vec::new(),
        form: vec![
            ("subject_token", keys.access_token("https://signer.example", "reused")),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", keys.assertion(json!({ "iss": "signer", "sub": "signer", "jti": jti }))),
        ],
    }
}

fn dpop_proof(keys: &Keys, jti: &str) -> Request {
    Request {
        headers: vec![
            // The secret of `prover`.
            ("authorization", "Basic cHJvdmVyOmEtc2VjcmV0LW9mLXByb3Zlcg==".to_owned()),
            ("DPoP", keys.proof(json!({ "jti": jti }))),
        ],
        form: vec![("subject_token", keys.access_token("https://prover.example", "reused"))],
    }
}
