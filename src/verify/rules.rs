use super::VerifiedToken;
use crate::{
    jose::{Claims, Header},
    protocol::{Reason, Rejection, refuse},
    registry::{Issuer, RuleSet},
};

/// Whether a token is of the kind that was declared, so that none can be passed off as another: no ID token is an access
/// token or a `jwt`, and none of our own tokens is of two kinds (RFC 8725 section 3.12).
pub(super) fn check_kind(
    rules: RuleSet,
    own: bool,
    issuer: &Issuer,
    header: &Header,
    claims: &Claims,
) -> Result<(), Rejection> {
    let typ = header.typ.as_deref();
    let typed = typ == Some("at+jwt");
    let untyped = matches!(typ, None | Some("jwt"));
    let typ_fits = match rules {
        RuleSet::AccessToken => typed || (untyped && issuer.untyped_access_tokens),
        RuleSet::IdToken => untyped,
        // The access token of a foreign authorization server is a `jwt` here (RFC 8693 section 3).
        RuleSet::Jwt => untyped || (typed && !own),
    };
    if !typ_fits {
        return confused(format_args!("typ `{}`", typ.unwrap_or_default()));
    }
    // Claims by which another kind of token gives itself away: security events and logout tokens carry `events`,
    // only ID tokens carry hashes of what came with them, and no ID token carries what an access token must.
    let telling: &[&str] = match rules {
        RuleSet::AccessToken | RuleSet::Jwt => &["events", "at_hash", "c_hash", "s_hash"],
        RuleSet::IdToken => &["events", "client_id", "scope"],
    };
    if let Some(claim) = telling.iter().find(|claim| claims.contains(claim)) {
        return confused(format_args!("claim `{claim}`"));
    }
    if rules == RuleSet::AccessToken && !claims.contains("client_id") && (typed || !claims.contains("scope")) {
        return confused("no claim `client_id` (RFC 9068 section 2.2)");
    }
    Ok(())
}

fn confused(detail: impl std::fmt::Display) -> Result<(), Rejection> {
    Err(refuse(Reason::TokenTypeConfused).because(detail))
}

/// Whether a foreign token was issued for us to take: its `aud` names this server or, in an ID token, one of our
/// clients. Our own tokens name resources instead, and are bound to their presenter later.
pub(super) fn check_audience(rules: RuleSet, token: &VerifiedToken) -> Result<(), Rejection> {
    let issuer = &token.issuer;
    let means_us = |name: &String| match rules {
        RuleSet::IdToken => issuer.client_named(name).is_some(),
        RuleSet::AccessToken | RuleSet::Jwt => issuer.our_names.contains(name),
    };
    if token.own || token.audience.iter().any(means_us) {
        return Ok(());
    }
    Err(refuse(Reason::TokenNotForUs).because(format_args!("aud {:?}", token.audience)))
}
