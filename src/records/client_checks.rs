use super::{Client, ConfigError, config_error::Record, registry::Registry};
use crate::protocol::Scope;

/// A client whose record was found to make sense.
#[derive(Debug)]
pub(crate) struct ClientRecord {
    record: Client,
    /// Among the clients, in the order in which they were given.
    pub(crate) position: usize,
    pub(crate) scopes: Option<Scope>,
    pub(crate) scopeless_subject_scopes: Scope,
    pub(crate) ignored_scopes: Scope,
}

impl std::ops::Deref for ClientRecord {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.record
    }
}

impl ClientRecord {
    /// Checks a client's record by itself.
    pub(super) fn check(client: Client, position: usize) -> Result<Self, ConfigError> {
        let record = Record { kind: "client", position, name: &client.id };
        if client.id.is_empty() || !client.id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(record.wrong_at("id", "id", "a client_id is printable ASCII (RFC 6749 appendix A.1)"));
        }
        if client.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            return Err(record.wrong("max_lifetime", "give 1 s or more"));
        }
        if let Some((field, help)) = client.problem {
            return Err(record.wrong(field, help));
        }
        let scopes = |field, list: &[String]| scope(&record, field, list);
        Ok(Self {
            scopes: client.scopes.as_ref().map(|list| scopes("scopes", list)).transpose()?,
            scopeless_subject_scopes: scopes("scopes_for_scopeless_subjects", &client.scopeless_subject_scopes)?,
            ignored_scopes: scopes("ignored_scopes", &client.ignored_scopes)?,
            position,
            record: client,
        })
    }

    /// Checks whom and what it names.
    pub(super) fn check_names(&self, registry: &Registry) -> Result<(), ConfigError> {
        let record = self.place();
        for (index, id) in self.targets.iter().flatten().enumerate() {
            if registry.target_by_id(id).is_none() {
                return Err(record.wrong_member("targets", index, unknown("target", id)));
            }
        }
        for (index, party) in self.carries.iter().enumerate() {
            if registry.issuer(&party.iss).is_none() {
                return Err(record.wrong_member("carries", index, unknown("issuer", &party.iss)));
            }
        }
        let Some(id) = &self.default_target else { return Ok(()) };
        let help = match registry.target_by_id(id) {
            None => unknown("target", id),
            Some(_) if self.targets.as_ref().is_some_and(|list| !list.contains(id)) => {
                format!("`{id}` is not among its `targets`: list it there too")
            }
            Some(target) if !target.is_called_by(&self.id) => format!("list it in the `callers` of target `{id}`"),
            Some(_) => return Ok(()),
        };
        Err(record.wrong("default_target", help))
    }

    pub(super) fn place(&self) -> Record<'_> {
        Record { kind: "client", position: self.position, name: &self.id }
    }
}

/// What to do about a name that nobody has.
pub(crate) fn unknown(kind: &str, name: &str) -> String {
    format!("no {kind} `{name}`: register it, or correct the name")
}

pub(super) fn scope(record: &Record<'_>, field: &str, tokens: &[String]) -> Result<Scope, ConfigError> {
    Scope::from_tokens(tokens).map_err(|problem| record.wrong(field, problem.to_string()))
}
