use super::{IssuerId, SubjectId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A subject or an actor: a name, and the issuer that gives the name its meaning.
///
/// A `sub` is unique only within its issuer (RFC 7519 section 4.1.2). Two parties with the same `sub` and different
/// issuers are different parties. A clone shares both texts, so a clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The issuer of the name.
    pub iss: IssuerId,
    /// The name.
    pub sub: SubjectId,
}

impl Party {
    /// Creates a party from its issuer and its name.
    pub fn new(iss: impl Into<IssuerId>, sub: impl Into<SubjectId>) -> Self {
        Self { iss: iss.into(), sub: sub.into() }
    }
}

/// Writes `<sub> of <iss>`.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.sub, self.iss)
    }
}
