//! What the claims of a token mean by the record of its issuer, and what a missing claim means.

use super::verified_claim::check_is_verified;
use crate::{
    jose::{Claims, Invalid},
    protocol::{Reason, Rejection, Scope, is_name, refuse},
    records::{IssuerRecord, TokenRules},
};

/// The parties that a token is for.
#[derive(Debug, Default)]
pub(super) struct Audience {
    pub(super) names: Vec<String>,
    /// Whether the token names nobody, and the record accepts such a token from its own client and from the presenters.
    pub(super) is_waived: bool,
    /// The statement of the record that takes the place of the claim.
    pub(super) assumption: Option<String>,
}

pub(super) fn invalid(Invalid(claim): Invalid) -> Rejection {
    refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}`"))
}

/// Returns the subject, and the statement of the record if the token has no `sub`.
pub(super) fn subject<'a>(
    issuer: &IssuerRecord,
    rules: Option<&TokenRules>,
    claims: &'a Claims,
) -> Result<(&'a str, Option<String>), Rejection> {
    let claim = rules.and_then(|rules| rules.subject_claim.as_deref()).filter(|_| !claims.contains("sub"));
    let (sub, assumption) = match claim {
        Some(claim) => {
            check_is_verified(rules, claims, claim)?;
            let name = claims.string(claim);
            (name, Some(format!("no `sub`: the claim `{claim}` names the subject")))
        }
        None => (claims.text("sub").ok().flatten(), None),
    };
    let sub = sub.filter(|sub| is_name(sub) && issuer.can_name(sub));
    let refused = || {
        let rejection = refuse(Reason::TokenSubjectInvalid);
        match claim {
            Some(claim) => rejection.with_detail(format_args!("no `sub`, and no name in the claim `{claim}`")),
            None if claims.contains("sub") => rejection.with_detail("the claim `sub`"),
            None => rejection.with_detail("no `sub`"),
        }
    };
    Ok((sub.ok_or_else(refused)?, assumption))
}

/// Whether the subject is a user: another claim than `sub` names the subject, and no client is named in that claim.
pub(super) fn is_user(rules: Option<&TokenRules>, claims: &Claims) -> bool {
    let claim = rules.and_then(|rules| rules.subject_claim.as_deref()).filter(|_| !claims.contains("sub"));
    let named = rules.map_or(&[][..], |rules| &rules.presenter_claims);
    let names_clients = |claim: &str| match named {
        [] => matches!(claim, "client_id" | "azp"),
        named => named.iter().any(|named| named == claim),
    };
    claim.is_some_and(|claim| !names_clients(claim))
}

/// Returns the audience: the claim `aud`, or what the record says about tokens that name nobody.
pub(super) fn audience(rules: Option<&TokenRules>, claims: &Claims) -> Result<Audience, Rejection> {
    let ignored = rules.map_or(&[][..], |rules| &rules.ignored_audiences);
    let is_ignored = |name: &&str| ignored.iter().any(|ignored| ignored == name);
    let is_empty_list = claims.contains("aud") && claims.audience().map_err(invalid)?.next().is_none();
    let named = claims.audience().map_err(invalid)?;
    let names: Vec<String> = named.filter(|name| !is_ignored(name)).map(str::to_owned).collect();
    let Some(rules) = rules.filter(|_| names.is_empty()) else {
        return Ok(Audience { names, ..Audience::default() });
    };
    let (problem, stated, waived) = match is_empty_list {
        true => ("an empty `aud`", &rules.empty_aud, rules.with_empty_aud),
        false => ("no `aud`", &rules.absent_aud, rules.without_aud),
    };
    Ok(match stated {
        Some(audience) => Audience {
            names: vec![audience.clone()],
            is_waived: false,
            assumption: Some(format!("{problem}: the token is for `{audience}`")),
        },
        None if waived == Some(true) => Audience {
            names,
            is_waived: true,
            assumption: Some(format!("{problem}: the token is only for its own client and for the presenters")),
        },
        None => Audience::default(),
    })
}

/// Returns the client that the token was issued to, by the name that the issuer uses.
pub(super) fn presenter(rules: Option<&TokenRules>, claims: &Claims) -> Result<Option<String>, Rejection> {
    let named = rules.map_or(&[][..], |rules| &rules.presenter_claims);
    if !named.is_empty() {
        let name = first_present(named, claims).and_then(|claim| claims.string(claim));
        return Ok(name.map(str::to_owned));
    }
    let client_id = claims.text("client_id").map_err(invalid)?;
    Ok(client_id.or(claims.text("azp").map_err(invalid)?).map(str::to_owned))
}

/// Returns the scope. `None` if the token has no scope claim.
pub(super) fn scope(rules: Option<&TokenRules>, claims: &Claims) -> Result<Option<Scope>, Rejection> {
    let named = rules.map_or(&[][..], |rules| &rules.scope_claims);
    if named.is_empty() {
        return claims.scope().map_err(invalid);
    }
    let Some(claim) = first_present(named, claims) else { return Ok(None) };
    claims
        .scope_in(claim)
        .map_err(|_| refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}` is not a scope")))
}

fn first_present<'a>(names: &'a [String], claims: &Claims) -> Option<&'a str> {
    names.iter().map(String::as_str).find(|name| claims.contains(name))
}
