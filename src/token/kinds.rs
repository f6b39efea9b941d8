//! The kinds of tokens, and how a token shows that it is of another kind than the declared one.

use super::TokenRole;
use crate::{
    jose::Claims,
    protocol::{Reason, Rejection, TokenType, refuse},
    records::{IssuerRecord, Kind, is_other_kind},
};
use std::borrow::Cow;

/// The media type of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typ {
    /// The `typ` in the header of the token, if the header has one.
    Header(Option<Cow<'static, str>>),
    /// The token has no header that this crate has read. A verifier or an introspection endpoint read the token.
    None,
}

impl Typ {
    /// Whether the header says that the token is an access token (RFC 9068 section 2.1).
    pub(super) fn says_access_token(&self) -> bool {
        matches!(self, Self::Header(Some(typ)) if typ == "at+jwt")
    }
}

/// Claims that show that a token is never a subject token or an actor token, and what the token is.
const OTHER_KINDS: [(&str, &str); 5] = [
    ("events", "a security event or logout token"),
    ("token_introspection", "an introspection response"),
    ("htm", "a DPoP proof"),
    ("req_wl", "a transaction token"),
    ("wth", "a workload proof"),
];

/// Values of a claim `typ` that no subject token and no actor token has. An ID token may have the value `ID`.
const OTHER_TYPES: [&str; 5] = ["ID", "Refresh", "Offline", "Logout", "Serialized-ID"];

/// Checks that a token is of the declared kind, so that no token passes as another kind (RFC 8725 section 3.12).
///
/// No ID token passes as an access token or as a `jwt`, and no own token passes as two kinds.
pub(super) fn check_kind(
    declared: &TokenType,
    own: bool,
    issuer: &IssuerRecord,
    typ: &Typ,
    claims: &Claims,
) -> Result<(), Rejection> {
    let kind = Kind::of(declared);
    let typed_access_token = typ.says_access_token();
    if let Typ::Header(typ) = typ {
        check_typ(declared, own, issuer, typ.as_deref())?;
    }
    if let Some((claim, what)) = OTHER_KINDS.iter().find(|(claim, _)| claims.contains(claim)) {
        return confused(format_args!("claim `{claim}`: the token is {what}"));
    }
    // Some issuers put the type among the claims instead of the header.
    if let Some(typ) = claims.string("typ")
        && OTHER_TYPES.iter().any(|other| typ.eq_ignore_ascii_case(other))
        && !(kind == Kind::IdToken && typ.eq_ignore_ascii_case("ID"))
    {
        return confused(format_args!("claim `typ` says `{typ}`"));
    }
    // Only an ID token has hashes of other tokens, and no ID token has the claims that an access token needs.
    let telltale: &[&str] = match kind {
        Kind::AccessToken | Kind::Jwt => &["at_hash", "c_hash", "s_hash"],
        Kind::IdToken => &["client_id", "scope"],
    };
    if let Some(claim) = telltale.iter().find(|claim| claims.contains(claim)) {
        return confused(format_args!("claim `{claim}` in what was declared as `{declared}`"));
    }
    // A token that was issued to a client or for a scope is not an ID token.
    let has_client = claims.contains("client_id");
    let has_scope = claims.contains("scope") || issuer.scope_claims(declared).iter().any(|own| claims.contains(own));
    let is_clear = match kind {
        Kind::AccessToken => has_client || (has_scope && !typed_access_token),
        Kind::Jwt => has_client || has_scope || !own,
        Kind::IdToken => true,
    };
    if !is_clear {
        return confused("no claim `client_id` (RFC 9068 section 2.2)");
    }
    Ok(())
}

fn check_typ(declared: &TokenType, own: bool, issuer: &IssuerRecord, typ: Option<&str>) -> Result<(), Rejection> {
    let untyped = matches!(typ, None | Some("jwt")) || (issuer.spiffe && typ == Some("jose"));
    let required = issuer.rules_for(declared).is_some_and(|rules| !rules.typ.is_empty());
    let fits = match Kind::of(declared) {
        Kind::AccessToken => typ == Some("at+jwt") || (untyped && issuer.untyped_access_tokens),
        Kind::IdToken => untyped,
        // An access token of a foreign authorization server is declared as `jwt` (RFC 8693 section 3), unless the record
        // of the issuer accepts access tokens.
        Kind::Jwt if typ == Some("at+jwt") => !own && !issuer.accepts(&TokenType::ACCESS_TOKEN),
        // A record may require any other media type. `check_token_rules` checks that requirement.
        Kind::Jwt => untyped || required,
    };
    match typ {
        Some(typ) if is_other_kind(typ) => confused(format_args!("typ `{typ}` is not for subject or actor tokens")),
        _ if fits => Ok(()),
        _ => {
            let hint = if issuer.rules_for(declared).is_some() && Kind::of(declared) == Kind::AccessToken {
                "; the record of the issuer can have `allow_untyped`"
            } else {
                ""
            };
            confused(format_args!("typ `{}` in what was declared as `{declared}`{hint}", typ.unwrap_or_default()))
        }
    }
}

fn confused(detail: impl std::fmt::Display) -> Result<(), Rejection> {
    Err(refuse(Reason::TokenTypeConfused).with_detail(detail))
}

/// Checks that a subject token or an access token is not a client assertion, in which `iss` and `sub` are equal (RFC 7523 section 3).
pub(super) fn check_not_client_assertion(role: TokenRole, claims: &Claims) -> Result<(), Rejection> {
    let iss = claims.string("iss");
    if role != TokenRole::Actor && iss.is_some() && iss == claims.string("sub") {
        return confused("`iss` is equal to `sub`: this is a client assertion");
    }
    Ok(())
}
