//! Who is known: the records of clients, targets and issuers, and the checks that they make sense together.
//!
//! Every widening of what a token may become stands in a record, never in a decision (design: records widen,
//! rules choose). An absent list means none.

mod client;
mod client_checks;
mod client_document;
mod collisions;
mod config_error;
mod introspection;
mod issuer;
mod issuer_checks;
mod issuer_document;
mod presets;
mod registry;
mod secret;
mod target;
mod target_checks;
mod target_document;
pub(crate) mod text;
mod token_rules;
#[cfg(feature = "toml")]
mod toml_file;

pub use crate::protocol::{ClientId, IssuerId, TargetId};
pub use client::Client;
pub use config_error::ConfigError;
pub use introspection::Introspection;
pub use issuer::{Issuer, SubjectMapping};
pub use target::Target;
pub use token_rules::TokenRules;
#[cfg(feature = "toml")]
pub use toml_file::{LocateError, TomlFile};

pub(crate) use client_checks::{ClientRecord, unknown};
pub(crate) use config_error::Record;
pub(crate) use issuer::{KeySource, TENANT_SEPARATOR};
#[cfg(feature = "server-authenticator")]
pub(crate) use issuer_checks::is_absolute;
pub(crate) use registry::{OwnSubjects, Records, Registry};
pub(crate) use secret::SecretHash;
pub(crate) use target_checks::TargetRecord;
pub(crate) use token_rules::{Kind, is_other_kind};

use serde::{Deserialize, Serialize};

/// A party: whose name it is, and the name (RFC 7519 section 4.1.2: `sub` is unique only within `iss`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The issuer in whose name space `sub` stands.
    pub iss: String,
    /// The name.
    pub sub: String,
}

impl Party {
    /// A party by its issuer and name.
    pub fn new(iss: impl Into<String>, sub: impl Into<String>) -> Self {
        Self { iss: iss.into(), sub: sub.into() }
    }
}

/// Copies a list of names out of whatever the caller holds them in.
pub(crate) fn names<T: Into<String>>(list: impl IntoIterator<Item = T>) -> Vec<String> {
    list.into_iter().map(Into::into).collect()
}
