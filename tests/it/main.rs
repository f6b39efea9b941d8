//! What the layer promises, one module per promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

#[path = "../support/in_process.rs"]
mod in_process;
#[path = "../support/jwks.rs"]
mod jwks;
#[path = "../support/mod.rs"]
mod support;

mod audiences;
mod audit_event;
mod audit_issued_tokens;
mod audit_json_lines;
mod audit_pressure;
mod audit_rotation;
mod audit_secrecy;
#[cfg(feature = "client")]
mod caller;
mod client_authentication;
mod client_certificates;
mod client_methods;
mod composition;
mod configuration;
mod cryptography;
mod delegation;
mod discovery;
mod documents;
mod exchange;
mod explain;
mod failing_parts;
mod fair_limits;
mod fetch_bearer;
mod fetch_tls;
mod graph;
mod hostile_tokens;
mod introspection;
mod issued_tokens;
mod issuer_document;
mod issuer_rules;
mod key_documents;
mod key_origins;
mod keys;
mod metrics;
mod names;
mod one_time_tokens;
mod paths;
mod policy_combined;
mod policy_explain;
mod policy_index;
mod policy_rules;
mod policy_shadow;
mod policy_table;
mod presets;
mod private_key_jwt;
mod private_keys;
mod proof;
mod readiness;
mod readiness_of_keys;
mod real_requests;
mod reasons;
mod reload;
#[cfg(feature = "resource-server")]
mod resource;
mod rfc8693;
mod rotation;
mod rule_reach;
mod scope_and_target;
mod server_answers;
mod server_authenticator;
mod server_limits;
mod server_tokens;
mod shutdown;
mod signature_memo;
mod slow_signatures;
mod smuggling;
mod threats;
mod verified_claims;
mod verifiers;
mod wire;
mod wire_errors;
mod workloads;
