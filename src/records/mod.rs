//! The records: the clients, the targets and the issuers that the layer knows.
//!
//! A user builds a record ([`Client`], [`Target`], [`Issuer`]) or reads the record from a
//! [`Document`](crate::Document). The layer checks all records, alone and together, before the layer uses one.
//!
//! Records state the most that an exchange may give; a policy chooses within that ceiling. An absent list means none.

mod client;
mod collisions;
mod config_error;
mod issuer;
mod names;
mod parties;
mod party;
mod place;
mod registry;
pub(crate) mod schema;
mod target;
#[cfg(feature = "toml")]
mod toml_file;
mod unknown;
pub(crate) mod values;

pub use crate::protocol::{ClientId, IssuerId, SubjectId, TargetId};
#[cfg(feature = "client-certificates")]
pub use client::CertificateName;
#[cfg(feature = "argon2")]
pub use client::hash_chosen_secret;
pub use client::{Client, FederatedCredential};
pub use config_error::{ConfigError, ConfigErrorKind, ConfigProblem};
pub use issuer::{IntrospectedTokens, Introspection, Issuer, ServerPreset, ServerTokens, SubjectMapping, TokenRules};
pub use party::Party;
pub use target::Target;
#[cfg(feature = "toml")]
pub use toml_file::{LocateError, TomlFile};

#[cfg(feature = "argon2")]
pub(crate) use client::ChosenSecret;
#[cfg(feature = "client-certificates")]
pub(crate) use client::{ClientCertificates, DistinguishedName};
pub(crate) use client::{ClientKeySource, ClientMethods, ClientRecord, SecretHash};
pub(crate) use collisions::OwnSubjects;
pub(crate) use config_error::Problems;
pub(crate) use issuer::{IssuerRecord, KeySource, Kind, TENANT_SEPARATOR, is_absolute, is_other_kind};
pub(crate) use place::{Field, Place, Wording, record_path};
pub(crate) use registry::Registry;
pub(crate) use target::TargetRecord;
use unknown::unknown;

/// Collects a list of values, whatever type holds them.
fn collected<T: Into<U>, U>(list: impl IntoIterator<Item = T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}
