//! The functions that the targets in `fuzz/` call. Each function reads bytes as a parser of this crate does, and checks what
//! must hold for the result.
//!
//! This module is built for tests and by `cargo fuzz` only. Unit tests replay the seeds in `fuzz/seeds/`. The command
//! `cargo +nightly fuzz run token corpus/token seeds/token`, in the folder `fuzz/`, searches for more inputs and keeps them in
//! the folder `corpus/token`.

mod guard;
mod parts;

#[cfg(feature = "fetch")]
pub use crate::fetch::check_public_address as address;
pub use guard::guard;
pub use parts::{act_chain, basic, rules};

use crate::{
    jose::{Algorithm, Claims, Compact, Cryptography, Header, KeySet, KeyUse, base64url},
    metadata::ServerMetadata,
    protocol::{Detail, GRANT_TYPE, Reason, Rejection, Scope, Sender, TokenRequest},
    service::{form_contains_exchange_grant, json_contains_exchange_grant},
};
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};

/// Checks a token in compact serialization, with the header and the claims. The input is also read as claims alone, because a
/// fuzzer cannot change claims inside of base64url.
pub fn token(data: &[u8]) {
    claims(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(jws) = Compact::parse(text) else { return };
    let segments = [jws.header(), jws.payload(), jws.signature()].map(base64url);
    assert_eq!(segments.join("."), text, "a token has one encoding");
    assert_eq!(jws.signing_input, segments[..2].join("."));
    header(jws.header());
    claims(jws.payload());
}

/// Checks the header of a token.
pub fn header(data: &[u8]) {
    let header = match Header::parse(data) {
        Ok(header) => header,
        Err(rejection) => return assert_one_line(&rejection),
    };
    assert!(data.len() <= 8192);
    let members = object(data);
    for refused in ["crit", "b64", "enc", "zip", "cty"] {
        assert!(!members.contains_key(refused), "{refused}");
    }
    let alg = members.get("alg").and_then(Value::as_str);
    assert!(Algorithm::ALL.contains(&header.algorithm));
    assert!(alg == Some(header.algorithm.as_str()) || (alg, header.algorithm) == (Some("Ed25519"), Algorithm::EdDSA));
    assert_eq!(members.get("kid").and_then(Value::as_str), header.kid.as_deref());
    assert!(header.kid.is_none_or(|kid| kid.len() <= 256 && !kid.chars().any(char::is_control)));
    assert_eq!(members.contains_key("typ"), header.typ.is_some());
    assert!(header.typ.is_none_or(|typ| !typ.bytes().any(|byte| byte.is_ascii_uppercase())));
}

/// Checks the claims of a token. Each claim is read as every kind of claim.
fn claims(data: &[u8]) {
    let Ok(claims) = Claims::from_json(data) else { return };
    let members = object(data);
    assert_eq!(claims.to_members(), members, "equal to the result of a plain parser");
    assert!(depth(&Value::Object(members.clone())) <= 16);
    for name in ["exp", "iat", "nbf", "auth_time", "iss", "sub", "aud", "scope", "jti", "client_id"] {
        let raw = members.get(name);
        let (down, up) = (claims.seconds(name), claims.seconds_rounded_up(name));
        assert_eq!(down.is_ok(), up.is_ok());
        if let (Ok(Some(down)), Ok(Some(up)), Some(date)) = (down, up, raw.and_then(Value::as_f64)) {
            assert!(down as f64 <= date && date <= up as f64 && up - down <= 1, "{down} {date} {up}");
            assert!(date >= 0.0 && up <= 1 << 53);
        } else {
            assert!(down.is_err() || raw.is_none());
        }
        if let Ok(text) = claims.text(name) {
            assert_eq!(text, raw.and_then(Value::as_str));
            assert_ne!(text, Some(""));
        }
    }
    if let Ok(audience) = claims.audience() {
        let raw = members.get("aud").map(|aud| aud.as_array().cloned().unwrap_or_else(|| vec![aud.clone()]));
        assert!(audience.eq(raw.iter().flatten().filter_map(Value::as_str)));
    }
    if let Ok(Some(scope)) = claims.scope() {
        assert_round_trip(&scope);
    }
}

/// Checks a key set.
pub fn jwks(data: &[u8]) {
    let (Ok(keys), Ok(again)) = (KeySet::from_json(data), KeySet::from_json(data)) else { return };
    assert_eq!((keys.len(), keys.ignored()), (again.len(), again.ignored()));
    let document = object(data);
    let members = document.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    assert_eq!(keys.len() + keys.ignored().len(), members.len().min(101));
    assert!(keys.ignored().iter().map(|key| key.position).is_sorted());

    let ignored = |position| keys.ignored().iter().any(|key| key.position == position);
    let used = members.iter().enumerate().take(100).filter(|(position, _)| !ignored(*position));
    for (_, jwk) in used {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            assert_eq!(jwk.get(private), None);
        }
        if jwk["use"] == "x509-svid" {
            assert!(jwk["x5c"].as_array().is_some_and(|certificates| certificates.len() == 1));
            continue;
        }
        assert!(["EC", "OKP", "RSA"].iter().any(|kty| jwk["kty"] == *kty));
        assert!([Value::Null, "sig".into(), "jwt-svid".into()].contains(&jwk["use"]));
        let kid = jwk.get("kid").and_then(Value::as_str);
        let purpose = if jwk["use"] == "jwt-svid" { KeyUse::JwtSvid } else { KeyUse::Signature };
        let candidates = |algorithm| keys.candidates(algorithm, kid, purpose);
        assert!(
            Algorithm::ALL.iter().any(|algorithm| candidates(*algorithm).next().is_some()),
            "the key is a candidate for an algorithm"
        );
        for key in Algorithm::ALL.iter().flat_map(|algorithm| candidates(*algorithm)) {
            assert!(kid.is_none() || key.kid.as_deref() == kid);
            for algorithm in Algorithm::ALL {
                let verified = key.verify(*algorithm, b"signed", &[0; 64], Cryptography::default());
                assert!(!verified || key.fits(*algorithm));
            }
        }
    }
}

/// Checks the body of a token request.
pub fn form(data: &[u8]) {
    let lenient = |wanted: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(data).filter(|(name, value)| name == wanted && !value.is_empty());
        pairs.map(|(_, value)| value.into_owned()).collect()
    };
    let grants = lenient("grant_type");
    assert!(!grants.iter().any(|grant| grant == GRANT_TYPE) || form_contains_exchange_grant(data));
    if let Ok(json) = serde_json::from_slice::<Value>(data) {
        assert!(json_contains_exchange_grant(data).is_some_and(|carries| carries || !holds_exchange_grant(&json)));
    }
    let requested = match TokenRequest::read(Sender::without_extensions(&HeaderMap::new()), data) {
        Ok(request) => {
            assert_eq!(grants, [GRANT_TYPE]);
            request.requested
        }
        Err(rejection) => {
            match rejection.reason() {
                Reason::GrantTypeMissing => assert!(grants.is_empty()),
                Reason::UnsupportedGrantType => assert!(grants.len() == 1 && grants[0] != GRANT_TYPE),
                _ => {}
            }
            return assert_one_line(&rejection);
        }
    };
    assert_eq!(requested.resources, lenient("resource"));
    assert_eq!(requested.audiences, lenient("audience"));
    let token = requested.subject_token.map(|token| token.expose().to_owned());
    assert_eq!(Vec::from_iter(token), lenient("subject_token"));
    if let Some(Ok(scope)) = requested.scope.map(|scope| scope.parse()) {
        assert_round_trip(&scope);
    }
}

/// Checks the metadata of an authorization server, for the issuer that the metadata names and for another issuer.
pub fn discovery(data: &[u8]) {
    let named =
        serde_json::from_slice::<Value>(data).ok().and_then(|json| Some(json.get("issuer")?.as_str()?.to_owned()));
    for issuer in named.as_deref().into_iter().chain(["https://idp.example", "http://idp.example"]) {
        let Ok(metadata) = ServerMetadata::parse(data, issuer) else { continue };
        let Ok(jwks_uri) = metadata.jwks_uri() else { continue };
        assert_eq!(
            object(data).get("issuer").and_then(Value::as_str),
            Some(issuer),
            "metadata is for its own issuer only"
        );
        let uri: Uri = jwks_uri.parse().expect("an absolute URI");
        let authority = uri.authority().expect("with a host").as_str();
        assert!(!authority.contains('@') && !jwks_uri.contains('#'));
        let scheme = uri.scheme_str();
        assert!(scheme == Some("https") || (scheme == Some("http") && !issuer.starts_with("https")), "{scheme:?}");
    }
}

fn assert_round_trip(scope: &Scope) {
    let again = if scope.is_empty() { Ok(Scope::empty()) } else { scope.to_string().parse() };
    assert_eq!(again.as_ref(), Ok(scope));
}

/// Checks that the detail of a refusal stays on one line (see [`Rejection::because`]).
fn assert_one_line(rejection: &Rejection) {
    let detail = rejection.detail().map(Detail::in_clear).unwrap_or_default();
    assert!(!detail.chars().any(char::is_control) && detail.len() < 4096, "{detail:?}");
}

fn holds_exchange_grant(json: &Value) -> bool {
    match json {
        Value::String(text) => text == GRANT_TYPE,
        Value::Array(elements) => elements.iter().any(holds_exchange_grant),
        Value::Object(members) => members.values().any(holds_exchange_grant),
        _ => false,
    }
}

/// Returns the members as a plain JSON parser reads them.
fn object(json: &[u8]) -> Map<String, Value> {
    let members: Map<String, Value> = serde_json::from_slice(json).expect("one JSON object");
    members.into_iter().map(|(name, value)| (name, with_plain_numbers(value))).collect()
}

/// Replaces numbers that keep their text, in a build with the feature `arbitrary_precision` of `serde_json`.
fn with_plain_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => number.into(),
            (_, Some(number), _) if number != 0 => number.into(),
            (.., number) => number.into(),
        },
        Value::Array(elements) => elements.into_iter().map(with_plain_numbers).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, with_plain_numbers(value))).collect(),
        other => other,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn replay(target: &str, run: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut count = 0;
        for seed in fs::read_dir(seeds).unwrap() {
            let path = seed.unwrap().path();
            // Shown with a failure only, and names the seed.
            eprintln!("{}", path.display());
            run(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count >= 10, "{count} seeds for {target}");
    }

    #[test]
    fn seeds_of_requests_pass() {
        replay("guard", super::guard);
    }

    #[test]
    fn seeds_of_basic_credentials_pass() {
        replay("basic", super::basic);
    }

    #[test]
    fn seeds_of_actor_chains_pass() {
        replay("act_chain", super::act_chain);
    }

    #[cfg(feature = "fetch")]
    #[test]
    fn seeds_of_addresses_pass() {
        replay("address", super::address);
    }

    #[test]
    fn seeds_of_rules_pass() {
        replay("rules", super::rules);
    }

    #[test]
    fn seeds_of_tokens_pass() {
        replay("token", super::token);
    }

    #[test]
    fn seeds_of_headers_pass() {
        replay("header", super::header);
    }

    #[test]
    fn seeds_of_key_sets_pass() {
        replay("jwks", super::jwks);
    }

    #[test]
    fn seeds_of_metadata_pass() {
        replay("discovery", super::discovery);
    }

    #[test]
    fn seeds_of_forms_pass() {
        replay("form", super::form);
    }
}
