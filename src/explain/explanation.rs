use super::SuggestedRule;
use crate::{
    audit::{Outcome, Stage},
    policy::RuleTrace,
    protocol::{Detail, ErrorCode, Reason, Rejection, escaped},
    records::{Wording, record_path},
};
use serde::Serialize;

/// The reasons why a request would be granted or refused: the answer of
/// [`TokenExchangeLayer::explain`](crate::TokenExchangeLayer::explain).
///
/// `Display` writes a report for a person. With serde, a program reads the same report. Neither contains a token or a
/// secret. A text from a client or a token is escaped and cut off after 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The result. [`Outcome::Issued`] means that only the signature is missing.
    pub outcome: Outcome,
    /// The stages that the request reached, in order. A refusal is in the last stage.
    pub stages: Vec<StageTrace>,
    /// The refusal. `None` if a token would be issued.
    pub refusal: Option<Refusal>,
    /// The rules that are nearest to the request: first the rule that decides, then the other rules, the rule with the
    /// fewest mismatches first.
    ///
    /// Empty if the request did not reach the policy, or if the policy was not built by
    /// [`rules`](crate::TokenExchangeBuilder::rules) or a [`Document`](crate::Document).
    pub rules: Vec<RuleTrace>,
    /// What the client must change, if a rule allows the request with another actor and nothing else is missing.
    pub advice: Option<String>,
    /// The rule that would allow the request, if the request was refused because no rule allows the request, and if there
    /// is no [`advice`](Self::advice).
    pub suggested_rule: Option<SuggestedRule>,
    /// The records of the client and of the requested targets.
    pub records: Vec<RecordTrace>,
}

/// A record that a request needs. The record may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordTrace {
    /// The place of the record, as in [`ConfigError::place`](crate::ConfigError::place), such as `target[2]`. Without a
    /// number if the record is missing, such as `target`.
    pub place: String,
    /// The id of the record, or the help for a missing record.
    pub says: String,
}

/// The result and the findings of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StageTrace {
    /// The stage.
    pub stage: Stage,
    /// Whether the request passed the stage.
    pub passed: bool,
    /// The findings, in order.
    pub facts: Vec<Fact>,
}

/// One finding of a stage, such as the name `client` with the value `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fact {
    /// The name of the finding.
    pub about: String,
    /// The value of the finding.
    pub found: String,
}

/// The refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// The meaning of the reason ([`Reason::meaning`]).
    pub meaning: &'static str,
    /// The finding that led to the refusal, if the reason does not say everything.
    pub detail: Option<String>,
    /// Instructions for the operator ([`Reason::remedy`]). If the records came from a document, the text has its keys.
    pub remedy: String,
    /// The `error` in the answer to the client.
    pub error: ErrorCode,
}

impl RecordTrace {
    pub(super) fn found(kind: &'static str, position: usize, id: &str) -> Self {
        Self { place: record_path(kind, position), says: escaped(id) }
    }

    pub(super) fn missing(kind: &str, help: String) -> Self {
        Self { place: kind.to_owned(), says: help }
    }
}

impl Refusal {
    pub(super) fn from_rejection(rejection: &Rejection, wording: Wording) -> Self {
        let remedy = rejection.reason().remedy();
        let reason = rejection.reason();
        Self {
            reason,
            meaning: reason.meaning(),
            detail: rejection.detail().map(Detail::in_clear),
            remedy: match wording {
                Wording::Keys => remedy.in_keys(),
                Wording::Methods => remedy.to_string(),
            },
            error: rejection.error(),
        }
    }
}
