use crate::{
    authority::{ActClaim, EffectiveGrant, Login},
    protocol::{ANCESTRY, ClientId, EXCHANGED_FROM, IssuerId, NumericDate, TokenType},
    records::TargetRecord,
    token::{Binding, Claims, VerifiedToken},
};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The facts that an issued token states.
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
    /// The claim that names the tokens that the token was exchanged for, if the layer has a store of revocations.
    pub(crate) ancestry: Option<String>,
    pub(crate) token_type: &'a TokenType,
}

/// The time of issue, the expiry time and the name of a token.
pub(super) struct Stamp<'a> {
    pub(super) issued_at: NumericDate,
    pub(super) expires_at: NumericDate,
    pub(super) jti: &'a str,
}

/// The media type of an access token (RFC 9068 section 2.1).
pub(super) const ACCESS_TOKEN_TYP: &str = "at+jwt";
/// The media type of any other token (RFC 7519 section 5.1), and of an access token for targets that expect this type.
pub(super) const PLAIN_TYP: &str = "JWT";

/// The media type in the header (RFC 9068 section 2.1, RFC 7519 section 5.1).
pub(super) fn typ(token_type: &TokenType, targets: &[Arc<TargetRecord>]) -> &'static str {
    let all_plain = !targets.is_empty() && targets.iter().all(|target| target.plain_typ);
    let is_plain = *token_type != TokenType::ACCESS_TOKEN || all_plain;
    if is_plain { PLAIN_TYP } else { ACCESS_TOKEN_TYP }
}

/// The value of a claim of an issued token.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Claim<'a> {
    Text(&'a str),
    Seconds(u64),
    Audiences(Audiences<'a>),
    Act(ActClaim<'a>),
    Confirmation(Binding),
    Json(&'a Value),
}

/// The claim `aud` for these targets: one string, or a list of strings.
pub(super) struct Audiences<'a>(&'a [Arc<TargetRecord>]);

impl Serialize for Audiences<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [one] => serializer.serialize_str(&one.aud),
            targets => serializer.collect_seq(targets.iter().map(|target| target.aud.as_str())),
        }
    }
}

/// Builds the claims of the issued token (RFC 9068 section 2.2, RFC 8693 section 4). Every claim is named in this
/// function or in the record of a target; no claim is copied only because the subject token has it.
pub(super) fn build<'a>(contents: &'a TokenContents<'_>, stamp: &'a Stamp<'_>) -> BTreeMap<&'a str, Claim<'a>> {
    let mut claims = BTreeMap::new();
    let mut put = |name: &'a str, value: Claim<'a>| claims.insert(name, value);
    put("iss", Claim::Text(contents.issuer));
    put("sub", Claim::Text(contents.sub));
    put("aud", Claim::Audiences(Audiences(contents.targets)));
    put("exp", Claim::Seconds(stamp.expires_at.seconds()));
    put("iat", Claim::Seconds(stamp.issued_at.seconds()));
    put("jti", Claim::Text(stamp.jti));
    put("client_id", Claim::Text(contents.client_id));
    put("scope", Claim::Text(contents.grant.scope().as_text()));
    if let Some(exchanged_from) = &contents.exchanged_from {
        put(EXCHANGED_FROM, Claim::Json(exchanged_from));
    }
    if let Some(ancestry) = &contents.ancestry {
        put(ANCESTRY, Claim::Text(ancestry));
    }
    let cnf = contents.grant.binding().binding();
    if !cnf.is_none() {
        put("cnf", Claim::Confirmation(cnf));
    }
    if let Some(act) = contents.grant.chain().to_claim(contents.issuer) {
        put("act", Claim::Act(act));
    }
    let Login { auth_time, acr, amr } = contents.login;
    if let Some(acr) = acr {
        put("acr", Claim::Text(acr));
    }
    for (name, value) in [("auth_time", auth_time), ("amr", amr)] {
        value.as_ref().map(|value| put(name, Claim::Json(value)));
    }
    for name in copied_claims(contents) {
        if let Some(value) = contents.subject.claims.get(name) {
            put(name, Claim::Json(value));
        }
    }
    claims
}

/// The claims of a token that would be issued at this time, with a name that no token has.
pub(crate) fn claims_of(contents: &TokenContents<'_>, issued_at: NumericDate) -> Claims {
    let expires_at = contents.grant.expires_at(issued_at);
    let stamp = Stamp { issued_at, expires_at, jti: "a-made-up-name" };
    let claims = build(contents, &stamp);
    // The claims are written and read by this crate.
    serde_json::to_vec(&claims).ok().and_then(|json| Claims::from_json(json).ok()).unwrap_or_default()
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
