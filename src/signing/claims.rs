use crate::{
    authority::{EffectiveGrant, Login},
    protocol::{ClientId, EXCHANGED_FROM, IssuerId, NumericDate, TokenType},
    records::TargetRecord,
    token::VerifiedToken,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The facts that an issued token states.
#[derive(Clone)]
pub(crate) struct TokenContents<'a> {
    /// The issuer identifier of this authorization server.
    pub(crate) issuer: &'a IssuerId,
    pub(crate) sub: &'a str,
    pub(crate) client_id: &'a ClientId,
    pub(crate) targets: &'a [Arc<TargetRecord>],
    pub(crate) grant: &'a EffectiveGrant,
    pub(crate) login: &'a Login,
    /// The subject token, from which listed claims are copied.
    pub(crate) subject: &'a VerifiedToken,
    /// The claim that states what the token was exchanged from, if the token needs the claim.
    pub(crate) exchanged_from: Option<Value>,
    pub(crate) token_type: &'a TokenType,
}

/// The time of issue, the expiry time and the name of a token.
pub(super) struct Stamp<'a> {
    pub(super) issued_at: NumericDate,
    pub(super) expires_at: NumericDate,
    pub(super) jti: &'a str,
}

/// The media type in the header (RFC 9068 section 2.1, RFC 7519 section 5.1).
pub(super) fn typ(token_type: &TokenType, targets: &[Arc<TargetRecord>]) -> &'static str {
    let all_plain = !targets.is_empty() && targets.iter().all(|target| target.plain_typ);
    let is_plain = *token_type != TokenType::ACCESS_TOKEN || all_plain;
    if is_plain { "JWT" } else { "at+jwt" }
}

/// Builds the claims of the issued token (RFC 9068 section 2.2, RFC 8693 section 4). Every claim is named in this
/// function or in the record of a target; no claim is copied only because the subject token has it.
pub(super) fn build(contents: &TokenContents<'_>, stamp: &Stamp<'_>) -> Map<String, Value> {
    let audiences: Vec<&str> = contents.targets.iter().map(|target| target.aud.as_str()).collect();
    let aud = match audiences[..] {
        [one] => json!(one),
        _ => json!(audiences),
    };
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", contents.issuer.as_str().into());
    put("sub", contents.sub.into());
    put("aud", aud);
    put("exp", stamp.expires_at.seconds().into());
    put("iat", stamp.issued_at.seconds().into());
    put("jti", stamp.jti.into());
    put("client_id", contents.client_id.as_str().into());
    put("scope", contents.grant.scope().to_string().into());
    if let Some(exchanged_from) = contents.exchanged_from.clone() {
        put(EXCHANGED_FROM, exchanged_from);
    }
    if let Some(act) = contents.grant.chain().to_json(contents.issuer) {
        put("act", act);
    }
    let Login { auth_time, acr, amr } = contents.login.clone();
    for (name, value) in [("auth_time", auth_time), ("acr", acr.map(Value::from)), ("amr", amr)] {
        value.map(|value| put(name, value));
    }
    for name in copied_claims(contents) {
        if let Some(value) = contents.subject.claims.get(name) {
            put(name, value.clone());
        }
    }
    claims
}

/// The names of the claims that are copied from the subject token: the claims that the record of every target lists. If
/// the subject token is foreign, the record of its issuer must list the claims too.
fn copied_claims<'a>(contents: &TokenContents<'a>) -> impl Iterator<Item = &'a str> {
    let TokenContents { targets, subject, .. } = *contents;
    let everywhere = move |name: &&String| {
        targets.iter().all(|target| target.claims.contains(name))
            && (subject.own || subject.issuer.claims.contains(name))
    };
    targets.first().into_iter().flat_map(|target| &target.claims).filter(everywhere).map(String::as_str)
}
