use crate::{
    authority::{Decided, Login},
    protocol::TokenType,
};
use serde_json::{Map, Value, json};

/// When a token was issued, when it ends, and its name.
pub(super) struct Stamp<'a> {
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
    pub(super) jti: &'a str,
}

/// The media type that stands in the header (RFC 9068 section 2.1, RFC 7519 section 5.1).
pub(super) fn typ(issue_as: &TokenType) -> &'static str {
    if *issue_as == TokenType::ACCESS_TOKEN { "at+jwt" } else { "JWT" }
}

/// The claims of the issued token (RFC 9068 section 2.2, RFC 8693 section 4): each one named here or in a
/// target's record, none copied because it was there.
pub(super) fn build(decided: &Decided, own_issuer: &str, stamp: &Stamp<'_>) -> Map<String, Value> {
    let bounded = &decided.bounded;
    let audiences: Vec<&str> = bounded.admitted.targets.iter().map(|target| target.aud.as_str()).collect();
    let aud = match audiences[..] {
        [one] => json!(one),
        _ => json!(audiences),
    };
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", own_issuer.into());
    put("sub", bounded.issued_sub.clone().into());
    put("aud", aud);
    put("exp", stamp.expires_at.into());
    put("iat", stamp.issued_at.into());
    put("jti", stamp.jti.into());
    put("client_id", bounded.admitted.client.id.clone().into());
    put("scope", decided.within.scope().to_string().into());
    if let Some(act) = decided.chain.to_json(own_issuer) {
        put("act", act);
    }
    let Login { auth_time, acr, amr } = bounded.login.clone();
    for (name, value) in [("auth_time", auth_time), ("acr", acr.map(Value::from)), ("amr", amr)] {
        value.map(|value| put(name, value));
    }
    for name in carried(decided) {
        if let Some(value) = bounded.subject.claims.get(name) {
            put(name, value.clone());
        }
    }
    claims
}

/// The further claims that every target's record names.
fn carried(decided: &Decided) -> impl Iterator<Item = &str> {
    let targets = &decided.bounded.admitted.targets;
    let subject = &decided.bounded.subject;
    let everywhere = |name: &&String| {
        targets.iter().all(|target| target.claims.contains(name))
            && (subject.own || subject.issuer.claims.contains(name))
    };
    targets.first().into_iter().flat_map(|target| &target.claims).filter(everywhere).map(String::as_str)
}
