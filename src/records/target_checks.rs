use super::{
    ConfigError, Target,
    client_checks::{scope, unknown},
    config_error::Record,
    registry::Registry,
};
use crate::protocol::{Scope, TargetName};
use std::{
    collections::{BTreeMap, HashSet},
    slice,
};

/// Members that no record may name to be carried on: this crate decides them, or they have another meaning.
const RESERVED_CLAIMS: [&str; 24] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "client_id",
    "azp",
    "cnf",
    "act",
    "may_act",
    "auth_time",
    "acr",
    "amr",
    "authorization_details",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "events",
    "active",
    "token_type",
];

/// A target whose record was found to make sense.
#[derive(Debug)]
pub(crate) struct TargetRecord {
    record: Target,
    callers: HashSet<String>,
    pub(crate) scopes: Scope,
    pub(crate) translation: Option<BTreeMap<String, Scope>>,
}

impl std::ops::Deref for TargetRecord {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.record
    }
}

impl TargetRecord {
    /// Checks a target's record by itself and against the clients and the targets before it.
    pub(super) fn check(target: Target, position: usize, registry: &Registry) -> Result<Self, ConfigError> {
        let record = Record { kind: "target", position, name: &target.id };
        for (index, caller) in target.callers.iter().enumerate() {
            if registry.client(caller).is_none() {
                return Err(record.wrong_member("callers", index, unknown("client", caller)));
            }
        }
        if let Some(owner) = target.owner.as_ref().filter(|owner| registry.client(owner).is_none()) {
            return Err(record.wrong("owner", unknown("client", owner)));
        }
        if target.scopes.is_empty() {
            return Err(record.wrong("scopes", "none: nothing could ever be granted; list the scopes of this service"));
        }
        check_aud(&target, &record, registry)?;
        if target.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            return Err(record.wrong("max_lifetime", "give 1 s or more"));
        }
        for (index, claim) in target.claims.iter().enumerate() {
            if RESERVED_CLAIMS.contains(&claim.as_str()) {
                return Err(record.wrong_member(
                    "claims",
                    index,
                    format!("`{claim}` is never carried over: leave it out"),
                ));
            }
        }
        let scopes = scope(&record, "scopes", &target.scopes)?;
        let translation = translation(&target, &record, &scopes)?;
        let callers = target.callers.iter().cloned().collect();
        Ok(Self { record: target, callers, scopes, translation })
    }

    /// Whether it lists this client as a caller.
    pub(crate) fn is_called_by(&self, client: &str) -> bool {
        self.callers.contains(client)
    }

    /// The names by which it is found.
    pub(super) fn names(&self, position: usize) -> Result<Vec<(&'static str, usize, TargetName)>, ConfigError> {
        let record = Record { kind: "target", position, name: &self.id };
        let resources = self.resources.iter().enumerate().map(|(index, text)| ("resources", index, text));
        // The first audience is the id itself.
        let audiences = self.audiences.iter().enumerate().map(|(index, text)| ("audiences", index, text));
        let name = |(field, index, text): (&'static str, usize, &String)| {
            let read = if field == "resources" { TargetName::resource(text) } else { TargetName::audience(text) };
            let name = read.map_err(|problem| wrong_name(&record, field, index, format!("`{text}` {}", problem.0)))?;
            Ok((field, index, name))
        };
        resources.chain(audiences).map(name).collect()
    }
}

/// A mistake in one of a target's names.
pub(super) fn wrong_name(record: &Record<'_>, field: &str, index: usize, help: String) -> ConfigError {
    match (field, index) {
        ("audiences", 0) => record.wrong_at("audience", "id", help),
        ("audiences", index) => record.wrong_at("audience", &format!("audiences[{}]", index - 1), help),
        _ => record.wrong_at("resource", &format!("{field}[{index}]"), help),
    }
}

fn check_aud(target: &Target, record: &Record<'_>, registry: &Registry) -> Result<(), ConfigError> {
    let aud = &target.aud;
    if aud.is_empty() || registry.target_by_aud(aud).is_some() {
        return Err(record.wrong("aud", format!("`{aud}` is empty or another target's: give each its own")));
    }
    if registry.client(aud).is_some() && target.owner.as_ref() != Some(aud) {
        let help = "is the name of a client that does not own the target: name the `owner`, or another `aud`";
        return Err(record.wrong("aud", format!("`{aud}` {help}")));
    }
    Ok(())
}

fn translation(
    target: &Target,
    record: &Record<'_>,
    scopes: &Scope,
) -> Result<Option<BTreeMap<String, Scope>>, ConfigError> {
    let Some(entries) = &target.translation else { return Ok(None) };
    let mut translation = BTreeMap::new();
    for (upstream, here) in entries {
        let path = format!("translate.{upstream}");
        scope(record, "translate", slice::from_ref(upstream))?;
        let here = scope(record, "translate", here)?;
        if !here.is_subset(scopes) {
            let stray = here.difference(scopes);
            let help = format!("`{stray}` is not among the target's scopes: list it there too");
            return Err(record.wrong_at("translate", &path, help));
        }
        if translation.insert(upstream.clone(), here).is_some() {
            return Err(record.wrong_at("translate", &path, format!("`{upstream}` twice: keep one")));
        }
    }
    Ok(Some(translation))
}
