//! The names of a party: at its own issuer, and in this authorization server.

use crate::{
    protocol::{Reason, Rejection, is_name, refuse},
    records::{Party, Registry, SubjectId, SubjectMapping, TENANT_SEPARATOR},
    token::VerifiedToken,
};

/// The party of a token under its local name.
pub(super) fn local_party(registry: &Registry, token: &VerifiedToken) -> Party {
    local_name(registry, token.party())
}

/// The local name of a party: a client of this authorization server if the issuer's record maps the name to that
/// client, else the name that the issuer uses.
pub(super) fn local_name(registry: &Registry, party: Party) -> Party {
    let Party { iss, sub } = &party;
    let client = (!registry.is_own(iss)).then(|| registry.issuer(iss)?.client_named(sub)).flatten();
    match client {
        Some(client) => Party::new(registry.own_issuer(), client),
        None => party,
    }
}

/// The name of a party in `act`: a client of this authorization server, or the name that the party's own issuer uses. A
/// party that an earlier exchange gave another name has the same name in every `act`.
pub(super) fn name_in_act(registry: &Registry, token: &VerifiedToken) -> Party {
    match &token.origin.party {
        Some(origin) => local_name(registry, origin.clone()),
        None => local_party(registry, token),
    }
}

/// Every name of the party of a token. The first is the name in the token.
pub(super) fn all_names(registry: &Registry, token: &VerifiedToken, issued_sub: Option<&SubjectId>) -> Vec<Party> {
    let issued = issued_sub.map(|sub| Party::new(registry.own_issuer(), sub));
    let known = [Some(token.party()), token.origin.party.clone(), issued];
    registry.names_of(known.into_iter().flatten())
}

/// The `sub` that an issued token has for the subject of this token.
pub(super) fn issued_sub(registry: &Registry, subject: &VerifiedToken) -> Result<SubjectId, Rejection> {
    let not_mapped = |detail: &str| refuse(Reason::SubjectNotMapped).with_detail(detail);
    let mapped = match &subject.issuer.subjects {
        // Only the record of this authorization server has no mapping.
        None => return Ok(subject.sub.clone()),
        Some(SubjectMapping::Keep) => subject.sub.clone(),
        Some(SubjectMapping::Prefix(prefix)) => format!("{prefix}{}", subject.sub).into(),
        Some(SubjectMapping::Claim(claim)) => match subject.claims.string(claim) {
            Some(name) if subject.issuer.has_several_tenants() => {
                let tenant = subject.issuer.tenant_of(&subject.sub).unwrap_or_default();
                format!("{tenant}{TENANT_SEPARATOR}{name}").into()
            }
            Some(name) => name.into(),
            None => return Err(not_mapped(&format!("no string claim `{claim}`"))),
        },
    };
    if let Some(SubjectMapping::Claim(claim)) = &subject.issuer.subjects {
        subject.check_is_verified(claim)?;
    }
    if !is_name(&mapped) {
        return Err(not_mapped("the mapped name is empty, too long, or has unreadable characters"));
    }
    // A foreign issuer must not be able to name a client of this authorization server.
    if registry.client(&mapped).is_some() {
        return Err(not_mapped(&format!("`{mapped}` is the id of a client")));
    }
    Ok(mapped)
}
