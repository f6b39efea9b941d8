//! The rules that the record of an issuer sets for the tokens of that issuer.

use super::{TokenRole, VerifiedToken, kinds::Typ};
use crate::{
    jose::Claims,
    protocol::{Reason, Rejection, TokenType, refuse},
    records::{IssuerRecord, Kind},
};

/// Checks that the record accepts tokens of this type in this role.
pub(super) fn check_type_and_role(
    issuer: &IssuerRecord,
    declared: &TokenType,
    role: TokenRole,
) -> Result<(), Rejection> {
    let iss = &issuer.id;
    if !issuer.accepts(declared) {
        let detail = format!("the record of issuer `{iss}` does not accept the type `{declared}`");
        return Err(refuse(Reason::TokenTypeNotAccepted).with_detail(detail));
    }
    if role == TokenRole::Actor && !issuer.actor_tokens {
        let detail = format!("the record of issuer `{iss}` lacks `allow_actor_tokens`");
        return Err(refuse(Reason::ActorIssuerNotTrusted).with_detail(detail));
    }
    Ok(())
}

/// Checks the media type and the claims that the record requires of tokens of this type.
pub(super) fn check_token_rules(
    declared: &TokenType,
    issuer: &IssuerRecord,
    typ: &Typ,
    claims: &Claims,
) -> Result<(), Rejection> {
    let Some(rules) = issuer.rules_for(declared) else { return Ok(()) };
    if let Typ::Header(typ) = typ
        && !rules.typ.is_empty()
        && !typ.as_deref().is_some_and(|typ| rules.typ.iter().any(|own| own == typ))
    {
        let typ = typ.as_deref().unwrap_or_default();
        let detail = format!("typ `{typ}`, the record of the issuer requires one of {:?}", rules.typ);
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

/// Checks that a foreign token is meant for this authorization server: `aud` names this server or, in an ID token, one of
/// our clients. An own token names resources instead; its presenter is checked later.
pub(super) fn check_audience(token: &VerifiedToken) -> Result<(), Rejection> {
    let issuer = &token.issuer;
    let required = issuer.rules_for(&token.token_type).map_or(&[][..], |rules| &rules.audiences);
    let is_required = |name: &String| required.is_empty() || required.contains(name);
    let means_us = |name: &String| match Kind::of(&token.token_type) {
        _ if token.own => true,
        Kind::IdToken => issuer.client_named(name).is_some(),
        Kind::AccessToken | Kind::Jwt => !required.is_empty() || issuer.accepted_audiences.contains(name),
    };
    let for_us = |name: &String| is_required(name) && means_us(name);
    // An own token without an audience is refused later, for a reason of its own.
    if token.audience.iter().any(for_us) || (token.own && required.is_empty()) {
        return Ok(());
    }
    let help = match Kind::of(&token.token_type) {
        Kind::IdToken => "no name in `aud` is mapped to a client (`client_names`, `Issuer::map_client`)",
        Kind::AccessToken | Kind::Jwt => {
            "no name in `aud` is accepted (`our_names`, `Issuer::accepted_audiences`; `audiences` of the type)"
        }
    };
    Err(refuse(Reason::TokenNotForUs).with_detail(format_args!("aud {:?}; {help}", token.audience)))
}
