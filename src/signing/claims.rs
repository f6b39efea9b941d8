use crate::{
    authority::{EffectiveGrant, Login},
    protocol::{ANCESTRY, ClientId, EXCHANGED_FROM, IssuerId, NumericDate, TokenType},
    records::TargetRecord,
    token::{Claims, VerifiedToken},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use std::sync::Arc;

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

/// The claims of an issued token (RFC 9068 section 2.2, RFC 8693 section 4). Every claim is named in the code of this type or
/// in the record of a target; no claim is copied only because the subject token has it.
pub(super) struct IssuedClaims<'a> {
    pub(super) contents: &'a TokenContents<'a>,
    pub(super) stamp: &'a Stamp<'a>,
}

impl Serialize for IssuedClaims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { contents, stamp } = self;
        let TokenContents { grant, login, subject, .. } = contents;
        let cnf = grant.binding().binding();
        let mut claims = serializer.serialize_map(None)?;
        put_some(&mut claims, "acr", login.acr.as_deref())?;
        put_some(&mut claims, "act", grant.chain().to_claim(contents.issuer).as_ref())?;
        put_some(&mut claims, "amr", login.amr.as_ref())?;
        claims.serialize_entry("aud", &Audiences(contents.targets))?;
        put_some(&mut claims, "auth_time", login.auth_time.as_ref())?;
        claims.serialize_entry("client_id", contents.client_id)?;
        put_some(&mut claims, "cnf", Some(&cnf).filter(|cnf| !cnf.is_none()))?;
        put_some(&mut claims, ANCESTRY, contents.ancestry.as_deref())?;
        put_some(&mut claims, EXCHANGED_FROM, contents.exchanged_from.as_ref())?;
        claims.serialize_entry("exp", &stamp.expires_at.seconds())?;
        claims.serialize_entry("iat", &stamp.issued_at.seconds())?;
        claims.serialize_entry("iss", contents.issuer)?;
        claims.serialize_entry("jti", stamp.jti)?;
        claims.serialize_entry("scope", grant.scope().as_text())?;
        claims.serialize_entry("sub", contents.sub)?;
        // No record of a target lists a claim with a name above.
        for name in copied_claims(contents) {
            put_some(&mut claims, name, subject.claims.get(name))?;
        }
        claims.end()
    }
}

/// The claims of a token that would be issued at this time, with a name that no token has.
pub(crate) fn claims_of(contents: &TokenContents<'_>, issued_at: NumericDate) -> Claims {
    let expires_at = contents.grant.expires_at(issued_at);
    let stamp = Stamp { issued_at, expires_at, jti: "a-made-up-name" };
    let claims = IssuedClaims { contents, stamp: &stamp };
    // The claims are written and read by this crate.
    serde_json::to_vec(&claims).ok().and_then(|json| Claims::from_json(json).ok()).unwrap_or_default()
}

/// Writes a claim that has a value.
fn put_some<M: SerializeMap>(
    claims: &mut M,
    name: &str,
    value: Option<&(impl Serialize + ?Sized)>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| claims.serialize_entry(name, value))
}

/// The names of the claims that are copied from the subject token: the claims that the record of every target lists. If
/// the subject token is foreign, the record of its issuer must list the claims too. No name is repeated.
fn copied_claims<'a>(contents: &TokenContents<'a>) -> impl Iterator<Item = &'a str> {
    let TokenContents { targets, subject, .. } = *contents;
    let listed = targets.first().map_or(&[][..], |target| &target.claims);
    let is_copied = move |(position, name): &(usize, &String)| {
        targets.iter().all(|target| target.claims.contains(name))
            && (subject.own || subject.issuer.claims.contains(name))
            && !listed[..*position].contains(name)
    };
    listed.iter().enumerate().filter(is_copied).map(|(_, name)| name.as_str())
}
