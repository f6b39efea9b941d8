use std::fmt;

/// What a policy would have decided if rules on trial were real: only where that is something else than what it did
/// decide.
///
/// ```
/// use tower_token_exchange::policy::ShadowOutcome;
///
/// let outcome = ShadowOutcome::WouldDeny { rule: "rule 3".to_owned() };
/// assert_eq!(outcome.to_string(), "would deny: rule 3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShadowOutcome {
    /// It would allow what it refused, or allow something else.
    WouldAllow {
        /// The rule that would decide.
        rule: String,
    },
    /// It would refuse what it allowed.
    WouldDeny {
        /// The rule that would decide.
        rule: String,
    },
    /// It would want another login, or another one than it did want.
    WouldStepUp {
        /// The rule that would decide.
        rule: String,
    },
}

impl fmt::Display for ShadowOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (would, rule) = match self {
            Self::WouldAllow { rule } => ("allow", rule),
            Self::WouldDeny { rule } => ("deny", rule),
            Self::WouldStepUp { rule } => ("step up", rule),
        };
        write!(f, "would {would}: {rule}")
    }
}

impl serde::Serialize for ShadowOutcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
