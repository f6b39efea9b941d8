use crate::{
    protocol::{Reason, Rejection, TokenType, refuse},
    records::{ClientRecord, Registry},
    token::VerifiedToken,
};

/// Checks that the client may present the subject token, so that a stolen token is useless to another client.
///
/// One of these relations is required:
///
/// * the client, or a target that the client serves, is in the audience of the token;
/// * the token was issued to the client, and the record of the client allows self exchange;
/// * `may_act` of the token names the client, and the record of the issuer trusts this claim;
/// * the record of the issuer lists the client as a presenter.
///
/// A token without an audience has no relation of the first kind. The record has to accept such tokens.
///
/// Each audience of a token can present the token. So if a token has several audiences, the record of the client must
/// allow such tokens, unless the trusted `may_act` names the client.
pub(super) fn check(
    registry: &Registry,
    client: &ClientRecord,
    subject: &VerifiedToken,
    named_by_may_act: bool,
) -> Result<(), Rejection> {
    if subject.audience.is_empty() && !subject.audience_is_waived {
        let is_named = subject.claims.audience().is_ok_and(|mut names| names.next().is_some());
        let problem = match subject.claims.contains("aud") {
            _ if is_named => "every `aud` of the token is in `ignored_audiences`",
            true => "the `aud` of the token is empty",
            false => "the token has no `aud`",
        };
        return Err(refuse(Reason::PresenterUnknown).with_detail(problem));
    }
    let named_by_may_act = named_by_may_act && subject.issuer.may_act;
    // The audience of an ID token is the client that the token was issued to (OpenID Connect Core section 2).
    let self_exchange = client.self_exchange && subject.token_type != TokenType::ID_TOKEN;
    let is_related = subject.audience.iter().any(|name| is_audience(registry, client, subject, name))
        || (self_exchange && is_presenter(registry, client, subject))
        || named_by_may_act
        || subject.issuer.lists_presenter(&subject.token_type, &client.id);
    if !is_related {
        let issued_to = subject.presenter.as_deref().unwrap_or("(unnamed)");
        let audience = match subject.audience.as_slice() {
            [] => "no audience".to_owned(),
            names => format!("{names:?}"),
        };
        let detail = format!("client `{}` presents a token issued to `{issued_to}` for {audience}", client.id);
        return Err(refuse(Reason::PresenterUnrelated).with_detail(detail));
    }
    let has_several = subject.audience.iter().any(|name| *name != subject.audience[0]);
    if has_several && !client.several_audiences && !named_by_may_act {
        return Err(refuse(Reason::SeveralAudiences).with_detail(format_args!("`aud` is {:?}", subject.audience)));
    }
    Ok(())
}

/// Whether this audience is the client, or a target that the client serves.
fn is_audience(registry: &Registry, client: &ClientRecord, subject: &VerifiedToken, name: &str) -> bool {
    registry.client_meant(&subject.issuer, name) == Some(&client.id)
        || (subject.own && registry.owner_of(name) == Some(&client.id))
}

/// Whether the token was issued to the client.
pub(super) fn is_presenter(registry: &Registry, client: &ClientRecord, subject: &VerifiedToken) -> bool {
    let presenter = subject.presenter.as_deref();
    presenter.is_some_and(|name| registry.client_meant(&subject.issuer, name) == Some(&client.id))
}

/// Checks that the client serves the tenants of the tokens.
///
/// A subject that came from a tenant in an earlier exchange still belongs to that tenant. If the name of the subject does
/// not show the tenant any more, no client serves the subject.
pub(super) fn check_tenants(
    registry: &Registry,
    client: &ClientRecord,
    subject: &VerifiedToken,
    actor_token: Option<&VerifiedToken>,
) -> Result<(), Rejection> {
    let tokens = [Some(subject), actor_token].into_iter().flatten();
    for party in tokens.flat_map(|token| [Some(token.party()), token.origin.party.clone()]).flatten() {
        let Some(issuer) = registry.issuer(&party.iss).filter(|issuer| issuer.tenants.is_some()) else { continue };
        // A client without tenants serves the tenant of an issuer that has one tenant only.
        let is_only_tenant = client.tenants.is_empty() && !issuer.has_several_tenants();
        let tenant = issuer.tenant_of(&party.sub).unwrap_or_default();
        if !is_only_tenant && !client.tenants.iter().any(|own| own == tenant) {
            let detail = format!("`tenants` of client `{}` does not list tenant `{tenant}`", client.id);
            return Err(refuse(Reason::TenantMismatch).with_detail(detail));
        }
    }
    Ok(())
}
