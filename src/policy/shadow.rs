use serde::{Serialize, Serializer};
use std::fmt;

/// The decision that a policy would make if its shadow rules were in force ([`Rule::shadow`](super::Rule::shadow)).
///
/// A decision carries a shadow outcome only if the outcome differs from the decision.
///
/// ```
/// use tower_token_exchange::policy::ShadowOutcome;
///
/// let outcome = ShadowOutcome::WouldDeny { rule: "rule 3".to_owned() };
/// assert_eq!(outcome.to_string(), "would deny: rule 3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShadowOutcome {
    /// The policy would allow the exchange, or would grant something else.
    WouldAllow {
        /// The name of the rule that would decide.
        rule: String,
    },
    /// The policy would refuse the exchange.
    WouldDeny {
        /// The name of the rule that would decide.
        rule: String,
    },
    /// The policy would ask for another login.
    WouldStepUp {
        /// The name of the rule that would decide.
        rule: String,
    },
}

impl ShadowOutcome {
    pub(crate) fn map_rule(mut self, map: impl FnOnce(String) -> String) -> Self {
        let (Self::WouldAllow { rule } | Self::WouldDeny { rule } | Self::WouldStepUp { rule }) = &mut self;
        *rule = map(std::mem::take(rule));
        self
    }

    /// Returns the name of the rule that would decide.
    pub fn rule(&self) -> &str {
        match self {
            Self::WouldAllow { rule } | Self::WouldDeny { rule } | Self::WouldStepUp { rule } => rule,
        }
    }
}

impl fmt::Display for ShadowOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self {
            Self::WouldAllow { .. } => "allow",
            Self::WouldDeny { .. } => "deny",
            Self::WouldStepUp { .. } => "step up",
        };
        write!(f, "would {effect}: {}", self.rule())
    }
}

/// Serializes the outcome as its text.
impl Serialize for ShadowOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
