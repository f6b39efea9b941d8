use super::names::origin;
use crate::{
    protocol::{Reason, Rejection, TokenType, refuse},
    records::{ClientRecord, Registry},
    token::VerifiedToken,
};

/// Checks that the client has a relation to the subject token, so that a token in the wrong hands is worth
/// nothing here, and that nobody else has the same one unless a record allows it.
pub(super) fn check(
    registry: &Registry,
    client: &ClientRecord,
    subject: &VerifiedToken,
    named_by_may_act: bool,
) -> Result<(), Rejection> {
    if subject.audience.is_empty() {
        return Err(refuse(Reason::PresenterUnknown).with_detail("no `aud`"));
    }
    let named_by_may_act = named_by_may_act && subject.issuer.may_act;
    // Whoever an ID token was issued to stands in its `aud` (OpenID Connect Core section 2).
    let self_exchange = client.self_exchange && subject.token_type != TokenType::ID_TOKEN;
    let related = subject.audience.iter().any(|name| receives(registry, client, subject, name))
        || (self_exchange && is_presenter(registry, client, subject))
        || named_by_may_act
        || subject.issuer.presenters.contains(&client.id);
    if !related {
        let issued_to = subject.presenter.as_deref().unwrap_or("(unnamed)");
        let detail =
            format!("client `{}` presents a token issued to `{issued_to}` for {:?}", client.id, subject.audience);
        return Err(refuse(Reason::PresenterUnrelated).with_detail(detail));
    }
    let distinct = subject.audience.iter().any(|name| *name != subject.audience[0]);
    if distinct && !client.several_audiences && !named_by_may_act {
        return Err(refuse(Reason::SeveralAudiences).with_detail(format_args!("aud {:?}", subject.audience)));
    }
    Ok(())
}

/// Whether this audience is the client, or a resource that it owns.
fn receives(registry: &Registry, client: &ClientRecord, subject: &VerifiedToken, name: &str) -> bool {
    registry.client_meant(&subject.issuer, name) == Some(&client.id)
        || (subject.own && registry.owner_of(name) == Some(&client.id))
}

fn is_presenter(registry: &Registry, client: &ClientRecord, subject: &VerifiedToken) -> bool {
    let presenter = subject.presenter.as_deref();
    presenter.is_some_and(|name| registry.client_meant(&subject.issuer, name) == Some(&client.id))
}

/// Checks that the tokens are of tenants that the client works for, whoever else may present them. A party of ours
/// that came from a tenant is still of that tenant, and one whose tenant its name no longer tells is of none.
pub(super) fn check_tenants(
    registry: &Registry,
    client: &ClientRecord,
    subject: &VerifiedToken,
    actor: Option<&VerifiedToken>,
) -> Result<(), Rejection> {
    let tokens = [Some(subject), actor].into_iter().flatten();
    for party in tokens.flat_map(|token| [Some(token.party()), origin(registry, token)]).flatten() {
        let Some(issuer) = registry.issuer(&party.iss).filter(|issuer| issuer.tenants.is_some()) else { continue };
        // A client without tenants has nothing to do with those of an issuer that has several.
        let is_single = client.tenants.is_empty() && !issuer.has_several_tenants();
        let tenant = issuer.tenant_of(&party.sub).unwrap_or_default();
        if !is_single && !client.tenants.iter().any(|own| own == tenant) {
            let detail =
                format!("client `{}` does not work for tenant `{tenant}`: its `tenants` list those", client.id);
            return Err(refuse(Reason::TenantMismatch).with_detail(detail));
        }
    }
    Ok(())
}
