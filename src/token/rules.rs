use super::{TokenRole, VerifiedToken};
use crate::{
    jose::Claims,
    protocol::{Reason, Rejection, TokenType, refuse},
    records::{IssuerRecord, Kind, is_other_kind},
};

/// What the header says the token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typ {
    /// The media type, if it names one.
    Header(Option<String>),
    /// There is no header: somebody else looked at the token and vouches for it.
    None,
}

/// Claims by which a token gives itself away as something that is never a subject or actor token.
const OTHER_KINDS: [(&str, &str); 5] = [
    ("events", "a security event or logout token"),
    ("token_introspection", "an introspection response"),
    ("htm", "a DPoP proof"),
    ("req_wl", "a transaction token"),
    ("wth", "a workload proof"),
];

/// Values of a claim `typ` that are never those of a subject or actor token, but for an ID token's own.
const OTHER_TYPES: [&str; 5] = ["ID", "Refresh", "Offline", "Logout", "Serialized-ID"];

/// Whether a token is of the kind that was declared, so that none can be passed off as another: no ID token is an access
/// token or a `jwt`, and none of our own tokens is of two kinds (RFC 8725 section 3.12).
pub(super) fn check_kind(
    declared: &TokenType,
    own: bool,
    issuer: &IssuerRecord,
    typ: &Typ,
    claims: &Claims,
) -> Result<(), Rejection> {
    let kind = Kind::of(declared);
    let typed_access_token = matches!(typ, Typ::Header(Some(typ)) if typ == "at+jwt");
    if let Typ::Header(typ) = typ {
        check_typ(declared, own, issuer, typ.as_deref())?;
    }
    if let Some((claim, what)) = OTHER_KINDS.iter().find(|(claim, _)| claims.contains(claim)) {
        return confused(format_args!("claim `{claim}`: this is {what}"));
    }
    // Where the header has no type, some issuers put one among the claims.
    if let Some(typ) = claims.get("typ").and_then(|typ| typ.as_str())
        && OTHER_TYPES.iter().any(|other| typ.eq_ignore_ascii_case(other))
        && !(kind == Kind::IdToken && typ.eq_ignore_ascii_case("ID"))
    {
        return confused(format_args!("claim `typ` says `{typ}`"));
    }
    // Only ID tokens carry hashes of what came with them, and no ID token carries what an access token must.
    let telling: &[&str] = match kind {
        Kind::AccessToken | Kind::Jwt => &["at_hash", "c_hash", "s_hash"],
        Kind::IdToken => &["client_id", "scope"],
    };
    if let Some(claim) = telling.iter().find(|claim| claims.contains(claim)) {
        return confused(format_args!("claim `{claim}` in what was declared as `{declared}`"));
    }
    // What was issued to a client or for a scope is no ID token.
    let has_client = claims.contains("client_id");
    let has_scope = claims.contains("scope") || issuer.scope_claim(declared).is_some_and(|own| claims.contains(own));
    let is_told = match kind {
        Kind::AccessToken => has_client || (has_scope && !typed_access_token),
        Kind::Jwt => has_client || has_scope || !own,
        Kind::IdToken => true,
    };
    if !is_told {
        return confused("no claim `client_id` (RFC 9068 section 2.2)");
    }
    Ok(())
}

fn check_typ(declared: &TokenType, own: bool, issuer: &IssuerRecord, typ: Option<&str>) -> Result<(), Rejection> {
    let untyped = matches!(typ, None | Some("jwt")) || (issuer.spiffe && typ == Some("jose"));
    let demanded = issuer.rules_for(declared).is_some_and(|rules| !rules.typ.is_empty());
    let fits = match Kind::of(declared) {
        Kind::AccessToken => typ == Some("at+jwt") || (untyped && issuer.untyped_access_tokens),
        Kind::IdToken => untyped,
        // The access token of a foreign authorization server is a `jwt` here (RFC 8693 section 3), unless its record
        // takes it as what it is.
        Kind::Jwt if typ == Some("at+jwt") => !own && !issuer.accepts(&TokenType::ACCESS_TOKEN),
        // A record may demand any other media type, which is checked with the record.
        Kind::Jwt => untyped || demanded,
    };
    match typ {
        Some(typ) if is_other_kind(typ) => confused(format_args!("typ `{typ}` is never a subject or actor token")),
        _ if fits => Ok(()),
        _ => {
            let hint = if issuer.rules_for(declared).is_some() && Kind::of(declared) == Kind::AccessToken {
                "; a record can `allow_untyped_access_tokens`"
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

/// Whether a token is as its issuer's record demands of its type.
pub(super) fn check_record(
    declared: &TokenType,
    issuer: &IssuerRecord,
    typ: &Typ,
    claims: &Claims,
) -> Result<(), Rejection> {
    let Some(rules) = issuer.rules_for(declared) else { return Ok(()) };
    if let Typ::Header(typ) = typ
        && !rules.typ.is_empty()
        && !typ.as_ref().is_some_and(|typ| rules.typ.contains(typ))
    {
        let detail =
            format!("typ `{}`, the issuer's record demands {:?}", typ.as_deref().unwrap_or_default(), rules.typ);
        return Err(refuse(Reason::TokenTypRefused).with_detail(detail));
    }
    for (claim, wanted) in &rules.required {
        let fits = match (claims.get(claim), wanted) {
            (Some(value), Some(wanted)) => value == wanted,
            (value, None) => value.is_some(),
            (None, Some(_)) => false,
        };
        if !fits {
            let value = wanted.as_ref().map_or_else(String::new, |wanted| format!(" with the value {wanted}"));
            return Err(refuse(Reason::TokenClaimRequired).with_detail(format_args!("claim `{claim}`{value}")));
        }
    }
    match rules.forbidden.iter().find(|claim| claims.contains(claim)) {
        Some(claim) => Err(refuse(Reason::TokenClaimForbidden).with_detail(format_args!("claim `{claim}`"))),
        None => Ok(()),
    }
}

/// An assertion that somebody makes about itself authenticates a client; it does not speak for a subject.
pub(super) fn check_not_self_issued(role: TokenRole, token: &VerifiedToken) -> Result<(), Rejection> {
    if role == TokenRole::Subject && token.claims.get("iss") == token.claims.get("sub") {
        return confused("`iss` is `sub`: this is a client assertion");
    }
    Ok(())
}

/// Whether a foreign token was issued for us to take: its `aud` names this server or, in an ID token, one of our
/// clients. Our own tokens name resources instead, and are bound to their presenter later.
pub(super) fn check_audience(token: &VerifiedToken) -> Result<(), Rejection> {
    let issuer = &token.issuer;
    let demanded = issuer.rules_for(&token.token_type).map_or(&[][..], |rules| &rules.audiences);
    let is_demanded = |name: &String| demanded.is_empty() || demanded.contains(name);
    let means_us = |name: &String| match Kind::of(&token.token_type) {
        _ if token.own => true,
        Kind::IdToken => issuer.client_named(name).is_some(),
        Kind::AccessToken | Kind::Jwt => !demanded.is_empty() || issuer.accepted_audiences.contains(name),
    };
    let for_us = |name: &String| is_demanded(name) && means_us(name);
    // Our own token without an audience has a reason of its own.
    if token.audience.iter().any(for_us) || (token.own && demanded.is_empty()) {
        return Ok(());
    }
    let hint = match Kind::of(&token.token_type) {
        Kind::IdToken => "an ID token names a client: `client_name` maps it",
        Kind::AccessToken | Kind::Jwt => "`our_names` or the type's `audiences` list what the issuer calls us",
    };
    Err(refuse(Reason::TokenNotForUs).with_detail(format_args!("aud {:?}; {hint}", token.audience)))
}
