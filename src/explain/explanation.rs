use super::SuggestedRule;
use crate::{
    audit::{Outcome, Stage},
    policy::RuleTrace,
    protocol::{Reason, Rejection, escaped},
    records::{record_path, unknown},
};
use serde::Serialize;

/// Why an exchange would be granted or refused: the answer of
/// [`TokenExchangeLayer::explain`](crate::TokenExchangeLayer::explain).
///
/// As a text it is a report for a person; with serde, the same for a program. No token and no secret is in either.
/// Texts from outside are escaped and cut off, as in an [`AuditEvent`](crate::audit::AuditEvent).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What would become of it: [`Outcome::Issued`] says that nothing but the signature is missing.
    pub outcome: Outcome,
    /// What each stage found, in their order; the last is the one that refused, if one did.
    pub stages: Vec<StageTrace>,
    /// Why it would be refused.
    pub refusal: Option<Refusal>,
    /// The rules that were near, the one that decides first, then those with the fewest things amiss. None if the
    /// policy was not reached, or is not a [`Table`](crate::policy::Table) that the layer made.
    pub rules: Vec<RuleTrace>,
    /// Where no rule speaks for it: the one that would.
    pub suggested_rule: Option<SuggestedRule>,
    /// The records of the client and of the targets that it asks for.
    pub records: Vec<RecordTrace>,
}

/// A record that a request is about, or would be if it were there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordTrace {
    /// Its place, such as `target[2]`, counted as in [`ConfigError::place`](crate::ConfigError::place); `target` alone
    /// where there is no such record.
    pub place: String,
    /// Its id, or that there is none.
    pub says: String,
}

/// What one stage found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StageTrace {
    /// The stage.
    pub stage: Stage,
    /// Whether it let the request go on.
    pub passed: bool,
    /// What it found, in the order in which it did.
    pub facts: Vec<Fact>,
}

/// Something that a stage found, such as `client` and `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fact {
    /// What it is about.
    pub about: String,
    /// What was found.
    pub found: String,
}

/// Why an exchange would be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// What it means.
    pub meaning: &'static str,
    /// What exactly was found, where there is more to say.
    pub detail: Option<String>,
    /// What to do about it.
    pub remedy: &'static str,
    /// The `error` that the client would be told.
    pub error: &'static str,
}

impl RecordTrace {
    pub(super) fn there(kind: &'static str, position: usize, id: &str) -> Self {
        Self { place: record_path(kind, position), says: escaped(id) }
    }

    pub(super) fn missing(kind: &str, name: &str) -> Self {
        Self { place: kind.to_owned(), says: unknown(kind, &escaped(name)) }
    }
}

impl Refusal {
    pub(super) fn of(rejection: &Rejection) -> Self {
        let reason = rejection.reason();
        Self {
            reason,
            meaning: reason.meaning(),
            detail: rejection.detail().map(str::to_owned),
            remedy: reason.remedy(),
            error: rejection.error().as_str(),
        }
    }
}
