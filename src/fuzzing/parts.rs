//! Parts that read what anybody can send: credentials, actor chains, addresses and documents.

use crate::{
    authority::ActChain,
    client_auth::{decode_base64, plain_reading, readings},
    jose::Claims,
    policy::{Decision, Query, Rule, Table},
    records::{IssuerId, Party},
};
use serde_json::Value;

/// Checks the credentials of `Authorization: Basic`.
pub fn basic(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(bytes) = decode_base64(text) {
        assert_eq!(bytes.len(), text.trim_end_matches('=').len() * 3 / 4, "the whole text was decoded");
        credentials(&bytes);
    }
    // A fuzzer finds credentials faster without base64.
    credentials(data);
}

fn credentials(bytes: &[u8]) {
    let plain = plain_reading(bytes);
    let Some(readings) = readings(bytes) else {
        assert!(plain.is_none());
        return assert!(bytes.first().is_none_or(|first| *first == b':') || !bytes.contains(&b':'));
    };
    assert!((1..=2).contains(&readings.len()));
    if let Some((id, secret)) = plain {
        assert!(readings.len() == 1 && (id, secret) == (&*readings[0].0, readings[0].1.expose()));
    }
    for (id, secret) in &readings {
        assert!(!id.is_empty());
        // A client that follows RFC 6749 section 2.3.1 is read as it means.
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let sent = format!("{}:{}", encode(id), encode(secret.expose()));
        let again = self::readings(sent.as_bytes()).expect("credentials");
        assert_eq!((&again[0].0, again[0].1.expose()), (id, secret.expose()));
    }
}

/// Checks the claim `act` in the claims of a token.
pub fn act_chain(data: &[u8]) {
    let Ok(claims) = Claims::from_json(data) else { return };
    let Some(act) = claims.get("act") else { return };
    let [issuer, other] = ["https://idp.example", "https://as.example"].map(IssuerId::from);
    let Ok(chain) = ActChain::from_claim(act, &issuer) else { return };
    let mut depth = 0;
    let mut next = Some(act);
    while let Some(act) = next {
        assert!(act["sub"].is_string() && act.get("iss").is_none_or(Value::is_string));
        depth += 1;
        next = act.get("act");
    }
    assert_eq!(chain.depth(), depth, "no actor is lost");
    assert_eq!(chain.is_empty(), depth == 0);
    // An issued token of either issuer names the same actors.
    for issuer in [issuer, other] {
        let written = chain.to_claim(&issuer).expect("a chain that is not empty");
        let written = serde_json::to_value(written).expect("JSON");
        let again = ActChain::from_claim(&written, &issuer).expect("a chain that the layer wrote");
        assert_eq!(again, chain);
        assert!(again.parties().eq(chain.parties()));
    }
}

/// Checks a document of rules, in JSON or, with the feature `toml`, in TOML.
pub fn rules(data: &[u8]) {
    let document = serde_json::from_slice::<Value>(data).ok();
    #[cfg(feature = "toml")]
    let document = document.or_else(|| toml::from_str(std::str::from_utf8(data).ok()?).ok());
    let Some(document) = document else { return };
    let rules = document.get("rules").cloned().unwrap_or(document);
    let Ok(rules) = serde_json::from_value::<Vec<Rule>>(rules) else { return };
    for rule in &rules {
        let text = rule.to_string();
        assert!(text.starts_with("allow ") || text.starts_with("deny "), "{text}");
    }
    let is_empty = rules.is_empty();
    let Ok(table) = Table::new(rules) else { return };
    let mut query = Query::new("orders", Party::new("https://idp.example", "alice"), "billing");
    query.max_scope = "read".parse().expect("a scope");
    if let Decision::Allow(grant) = table.decide(&query) {
        assert!(!is_empty && grant.scope.is_none_or(|scope| scope.is_subset(&query.max_scope)));
    }
}
