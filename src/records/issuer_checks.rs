use super::{
    ConfigError, Introspection, Issuer, KeySource, Kind, TENANT_SEPARATOR, TokenRules, client_checks::unknown,
    config_error::Record, is_other_kind, registry::Registry,
};
use crate::{fetch::web_uri, protocol::TokenType};
use http::Uri;
use std::time::Duration;

const MAX_LEEWAY: Duration = Duration::from_secs(60);
const SAML: &str = "urn:ietf:params:oauth:token-type:saml";
#[cfg(feature = "introspection-cache")]
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// A field, its path in a document where that is another, and the way out.
type Problem = (&'static str, Option<String>, String);

fn wrong(field: &'static str, help: impl Into<String>) -> Result<(), Problem> {
    Err((field, None, help.into()))
}

/// Fills in what an issuer's origin decides, and checks its record for what contradicts itself or what is known.
pub(super) fn complete(
    registry: &Registry,
    mut issuer: Issuer,
    position: usize,
    plugged: &[TokenType],
) -> Result<Issuer, ConfigError> {
    let own = registry.is_own(&issuer.id);
    if issuer.tokens.is_empty() {
        issuer = issuer.accept_types([if own { TokenType::ACCESS_TOKEN } else { TokenType::JWT }]);
    }
    check_own(&issuer, own)
        .and_then(|()| {
            if own {
                (issuer.act, issuer.may_act, issuer.actor_tokens) = (true, true, true);
            } else if issuer.our_names.is_empty() {
                issuer.our_names.push(registry.own_issuer().to_owned());
            }
            check_keys(&issuer, own, plugged)?;
            check_introspection(&issuer)?;
            check_times(&issuer)?;
            check_tenants(&issuer)?;
            check_names(registry, &issuer)?;
            check_names_apart(&issuer)?;
            check_untyped(&issuer)?;
            check_asked_alone(registry, &issuer)?;
            issuer
                .tokens
                .iter()
                .enumerate()
                .try_for_each(|(index, rules)| check_rules(&issuer, own, index, rules, plugged))
        })
        .map_err(|(field, path, help)| {
            let record = Record { kind: "issuer", position, name: &issuer.id };
            record.wrong_at(field, path.as_deref().unwrap_or(field), help)
        })?;
    Ok(issuer)
}

fn check_keys(issuer: &Issuer, own: bool, plugged: &[TokenType]) -> Result<(), Problem> {
    let vouched_for = |rules: &TokenRules| plugged.contains(&rules.token_type);
    match &issuer.keys {
        _ if issuer.several_key_sources => {
            return wrong("keys, jwks_uri or discovery", "more than one source of keys: keep one");
        }
        _ if issuer.algorithms.is_empty() => return wrong("algorithms", "none: name those that it signs with"),
        Some(KeySource::Fixed(keys)) if keys.is_empty() => {
            let help = "no usable key in the set: RSA from 2048 bits, P-256, P-384 or Ed25519";
            return Err(("keys", Some("jwks".into()), help.into()));
        }
        Some(KeySource::Remote(uri)) if uri.contains('@') => {
            return wrong("jwks_uri", "has user information: give a `fetch` that adds credentials");
        }
        Some(KeySource::Remote(uri)) if !is_absolute(uri) => {
            return wrong("jwks_uri", format!("`{uri}` is not an absolute URL"));
        }
        Some(KeySource::Discovered) if issuer.id.contains('?') || web_uri(&issuer.id).is_none() => {
            let help = "the identifier is not an absolute URL without query, fragment and user information: \
                           give `keys` or a `jwks_uri`";
            return wrong("discovery", help);
        }
        None if !own && issuer.introspection.is_none() && !issuer.tokens.iter().all(vouched_for) => {
            let help = "give them with `keys`, `jwks_uri` or `discovery`, or give an `introspection`";
            return wrong("keys", help);
        }
        _ => {}
    }
    match &issuer.keys {
        Some(KeySource::Fixed(keys)) if !issuer.algorithms.iter().any(|algorithm| keys.serves(*algorithm)) => {
            wrong("algorithms", "none of them is one of the keys': name those that it signs with")
        }
        _ => Ok(()),
    }
}

/// Whether it is a URI with its scheme.
pub(crate) fn is_absolute(uri: &str) -> bool {
    uri.parse().is_ok_and(|uri: Uri| uri.scheme().is_some())
}

fn check_names(registry: &Registry, issuer: &Issuer) -> Result<(), Problem> {
    let member = |field: &'static str, path: String, help| Err((field, Some(path), help));
    for (index, (there, client)) in issuer.client_names.iter().enumerate() {
        let path = format!("client_names.{there}");
        if registry.client(client).is_none() {
            return member("client_name", path, unknown("client", client));
        }
        if issuer.client_names[..index].iter().any(|(before, _)| before == there) {
            return member("client_name", path, format!("`{there}` means two clients: keep one"));
        }
    }
    for (index, client) in issuer.presenters.iter().enumerate() {
        if registry.client(client).is_none() {
            return member("presenters", format!("presenters[{index}]"), unknown("client", client));
        }
    }
    Ok(())
}

/// An opaque token does not say who issued it, so only one issuer can be asked about each type.
fn check_asked_alone(registry: &Registry, issuer: &Issuer) -> Result<(), Problem> {
    let asked = registry.issuers().filter(|other| other.introspection.is_some() && issuer.introspection.is_some());
    let mut types = asked.flat_map(|other| other.tokens.iter().map(move |rules| (other, &rules.token_type)));
    match types.find(|(_, token_type)| issuer.accepts(token_type)) {
        Some((other, token_type)) => wrong(
            "introspection",
            format!(
                "issuer `{}` is asked about opaque tokens of type `{token_type}` too: give one of the two a type of its own",
                other.id
            ),
        ),
        None => Ok(()),
    }
}

fn check_introspection(issuer: &Issuer) -> Result<(), Problem> {
    let Some(Introspection { endpoint, authorization, .. }) = &issuer.introspection else { return Ok(()) };
    let wrong = |help: &str| wrong("introspection", help);
    if authorization.is_none() {
        return wrong("the credentials cannot stand in a header: give printable ASCII");
    }
    if endpoint.contains('@') {
        return wrong("the endpoint has user information: give the credentials by themselves");
    }
    if !is_absolute(endpoint) {
        return wrong(&format!("`{endpoint}` is not an absolute URL"));
    }
    #[cfg(feature = "introspection-cache")]
    match issuer.introspection.as_ref().and_then(|record| record.cache) {
        Some((entries, time_to_live)) if entries == 0 || time_to_live.is_zero() => {
            return wrong("a cache of nothing: leave it out");
        }
        Some((_, time_to_live)) if time_to_live > MAX_TIME_TO_LIVE => {
            return wrong("a revocation would go unnoticed for too long: give the cache 1 day or less");
        }
        _ => {}
    }
    Ok(())
}

fn check_times(issuer: &Issuer) -> Result<(), Problem> {
    if issuer.leeway.is_some_and(|leeway| leeway > MAX_LEEWAY) {
        return wrong("leeway", "give 60 s or less");
    }
    if issuer.max_age.is_some_and(|age| age.as_secs() == 0) {
        return wrong("max_age", "give 1 s or more");
    }
    Ok(())
}

fn check_tenants(issuer: &Issuer) -> Result<(), Problem> {
    let Some(tenants) = &issuer.tenants else { return Ok(()) };
    if tenants.claim.is_empty() || tenants.accepted.is_empty() {
        return wrong("tenants", "name the claim and at least one tenant");
    }
    let is_odd = |tenant: &&String| {
        tenant.is_empty() || tenant.contains(TENANT_SEPARATOR) || tenant.chars().any(char::is_control)
    };
    if let Some(odd) = tenants.accepted.iter().find(is_odd) {
        return wrong("tenants", format!("`{odd}` is empty, or has a `{TENANT_SEPARATOR}` or a control character"));
    }
    if let Some(claim) = ["iss", "sub", "aud", "exp"].into_iter().find(|claim| *claim == tenants.claim) {
        return wrong("tenants", format!("`{claim}` has a meaning of its own: name the claim that holds the tenant"));
    }
    if issuer.has_several_tenants() && (issuer.act || issuer.may_act) {
        let help = "what `act` and `may_act` say has no tenant: make it one tenant, or leave the trust out";
        return wrong("trust_act or trust_may_act", help);
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
            let help = format!(
                "`{there}` is the name of client `{client}` there and one of `our_names` or `audiences` too, so ID tokens \
                 could not be told apart: take one away, or take no ID tokens"
            );
            Err(("client_name", Some(format!("client_names.{there}")), help))
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
        Some((field, _)) => wrong(field, "our own names need no mapping: leave it out"),
        None => Ok(()),
    }
}

/// Where nothing in the token tells the two types apart, whoever hands it in would choose between their rules.
fn check_untyped(issuer: &Issuer) -> Result<(), Problem> {
    let access_tokens = issuer.rules_for(&TokenType::ACCESS_TOKEN).filter(|_| issuer.untyped_access_tokens);
    let others = issuer.tokens.iter().filter(|rules| Kind::of(&rules.token_type) == Kind::Jwt);
    let differ = |rules: &&TokenRules| access_tokens.is_some_and(|own| !own.demands_the_same(rules));
    match others.into_iter().find(differ) {
        Some(rules) => wrong(
            "allow_untyped_access_tokens",
            format!(
                "could not be told from `{}`, which has other rules: give both the same, or take one",
                rules.token_type
            ),
        ),
        None => Ok(()),
    }
}

fn check_rules(
    issuer: &Issuer,
    own: bool,
    index: usize,
    rules: &TokenRules,
    plugged: &[TokenType],
) -> Result<(), Problem> {
    let TokenRules { token_type, typ, required, forbidden, .. } = rules;
    let wrong = |help: String| Err(("token_types", Some(format!("tokens[{index}]")), help));
    if token_type.as_str().starts_with(SAML) && !plugged.contains(token_type) {
        return wrong(format!("`{token_type}` is no JWT: give a `token_verifier` for it, or leave it out"));
    }
    if !token_type.as_str().contains(':') {
        return wrong(format!("`{token_type}` is no URI: give the type's whole name"));
    }
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
    let values = required.iter().filter_map(|(claim, value)| Some((claim, value.as_ref()?)));
    if let Some((claim, _)) =
        values.clone().find(|(claim, one)| values.clone().any(|(name, other)| name == *claim && other != *one))
    {
        return wrong(format!("`{claim}` is required with two values, and can have one: keep one"));
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
