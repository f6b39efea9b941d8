use super::{ConfigError, Introspection, Issuer, Kind, TENANT_SEPARATOR, TokenRules, is_other_kind};
use crate::protocol::TokenType;
use http::Uri;
use std::time::Duration;

const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// A field, and the way out.
type Problem = (&'static str, String);

/// Checks an issuer's record for what contradicts itself. Its types and names are filled in already.
pub(super) fn check(issuer: &Issuer, own: bool) -> Result<(), ConfigError> {
    let checks = [check_said_twice, check_introspection, check_times, check_tenants, check_names_apart];
    checks
        .iter()
        .try_for_each(|check| check(issuer))
        .and_then(|()| check_own(issuer, own))
        .and_then(|()| issuer.tokens.iter().try_for_each(|rules| check_rules(issuer, own, rules)))
        .map_err(|(field, way_out)| ConfigError::new(format!("issuer `{}`: {field}", issuer.id), way_out))
}

fn check_said_twice(issuer: &Issuer) -> Result<(), Problem> {
    match issuer.twice {
        Some(field) => Err((field, "more than one source of keys: keep one".into())),
        None => Ok(()),
    }
}

fn check_introspection(issuer: &Issuer) -> Result<(), Problem> {
    let Some(Introspection { endpoint, authorization, .. }) = &issuer.introspection else { return Ok(()) };
    let wrong = |way_out: String| Err(("introspection", way_out));
    if authorization.is_none() {
        return wrong("the credentials cannot stand in a header: give printable ASCII".into());
    }
    if endpoint.contains('@') {
        return wrong("the endpoint has user information: give the credentials by themselves".into());
    }
    if !endpoint.parse().is_ok_and(|uri: Uri| uri.scheme().is_some()) {
        return wrong(format!("`{endpoint}` is not an absolute URL"));
    }
    #[cfg(feature = "introspection-cache")]
    if issuer
        .introspection
        .as_ref()
        .and_then(|record| record.cache)
        .is_some_and(|(entries, ttl)| entries == 0 || ttl.is_zero())
    {
        return wrong("a cache of nothing: leave it out".into());
    }
    Ok(())
}

fn check_times(issuer: &Issuer) -> Result<(), Problem> {
    if issuer.leeway.is_some_and(|leeway| leeway > MAX_LEEWAY) {
        return Err(("leeway", "give 60 s or less".into()));
    }
    if issuer.max_age.is_some_and(|age| age.as_secs() == 0) {
        return Err(("max_age", "give 1 s or more".into()));
    }
    Ok(())
}

fn check_tenants(issuer: &Issuer) -> Result<(), Problem> {
    let Some(tenants) = &issuer.tenants else { return Ok(()) };
    if tenants.claim.is_empty() || tenants.accepted.is_empty() {
        return Err(("tenants", "name the claim and at least one tenant".into()));
    }
    let is_odd = |tenant: &&String| {
        tenant.is_empty() || tenant.contains(TENANT_SEPARATOR) || tenant.chars().any(char::is_control)
    };
    if let Some(odd) = tenants.accepted.iter().find(is_odd) {
        return Err(("tenants", format!("`{odd}` is empty, or has a `{TENANT_SEPARATOR}` or a control character")));
    }
    if let Some(claim) = ["iss", "sub", "aud", "exp"].into_iter().find(|claim| *claim == tenants.claim) {
        return Err(("tenants", format!("`{claim}` has a meaning of its own: name the claim that holds the tenant")));
    }
    if issuer.has_several_tenants() && (issuer.act || issuer.may_act) {
        let way_out = "what `act` and `may_act` say has no tenant: make it one tenant, or leave the trust out";
        return Err(("trust_act or trust_may_act", way_out.into()));
    }
    Ok(())
}

/// A name that is ours and a client's would let the client's ID tokens pass for tokens to us.
fn check_names_apart(issuer: &Issuer) -> Result<(), Problem> {
    if !issuer.accepts(&TokenType::ID_TOKEN) || issuer.tokens.len() == 1 {
        return Ok(());
    }
    let demanded = issuer.tokens.iter().filter(|rules| Kind::of(&rules.token_type) != Kind::IdToken);
    let ours: Vec<_> = demanded.flat_map(|rules| &rules.audiences).chain(&issuer.our_names).collect();
    match issuer.client_names.iter().find(|(there, _)| ours.contains(&there)) {
        Some((there, client)) => {
            let way_out = format!(
                "`{there}` is the name of client `{client}` there and one of `our_names` or `audiences` too, so ID tokens \
                 could not be told apart: take one away, or take no ID tokens"
            );
            Err(("client_name", way_out))
        }
        None => Ok(()),
    }
}

fn check_own(issuer: &Issuer, own: bool) -> Result<(), Problem> {
    if !own {
        return Ok(());
    }
    let needless = [
        ("subjects or client_name", issuer.subjects.is_some() || !issuer.client_names.is_empty()),
        ("our_names", !issuer.our_names.is_empty()),
        ("tenants", issuer.tenants.is_some()),
    ];
    match needless.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err((field, "our own names need no mapping: leave it out".into())),
        None => Ok(()),
    }
}

fn check_rules(issuer: &Issuer, own: bool, rules: &TokenRules) -> Result<(), Problem> {
    let TokenRules { token_type, typ, required, forbidden, .. } = rules;
    let wrong = |way_out: String| Err(("token_types", way_out));
    if *token_type == TokenType::REFRESH_TOKEN {
        return wrong(format!("`{token_type}` is never taken: leave it out"));
    }
    if let Some(typ) = typ.iter().find(|typ| is_other_kind(typ)) {
        return wrong(format!("typ `{typ}` is never a subject or actor token: leave it out"));
    }
    let kind = Kind::of(token_type);
    let impossible = |typ: &&String| match kind {
        Kind::AccessToken => *typ != "at+jwt" && !(issuer.untyped_access_tokens && *typ == "jwt"),
        Kind::IdToken => *typ != "jwt",
        Kind::Jwt => own && *typ == "at+jwt",
    };
    if let Some(typ) = typ.iter().find(impossible) {
        return wrong(format!("no `{token_type}` has the typ `{typ}`: leave it out"));
    }
    if let Some((claim, _)) = required.iter().find(|(claim, _)| forbidden.contains(claim)) {
        return wrong(format!("`{claim}` is required and forbidden: keep one"));
    }
    let never: &[&str] = match kind {
        Kind::AccessToken | Kind::Jwt => &["cnf", "events", "at_hash", "c_hash", "s_hash", "authorization_details"],
        Kind::IdToken => &["cnf", "events", "client_id", "scope", "authorization_details"],
    };
    if let Some((claim, _)) = required.iter().find(|(claim, _)| never.contains(&claim.as_str())) {
        return wrong(format!("`{claim}` is required, and a `{token_type}` that has it is refused: leave it out"));
    }
    let needed = ["iss", "sub", "exp", "aud"];
    match forbidden.iter().find(|claim| needed.contains(&claim.as_str())) {
        Some(claim) => wrong(format!("`{claim}` is forbidden, and no token is taken without it: leave it out")),
        None => Ok(()),
    }
}
