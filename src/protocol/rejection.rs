use super::{ErrorCode, Reason};
use http::StatusCode;
use std::fmt;

/// A refusal on its way out: the reason, for the operator's eyes what exactly was found, and what the client is told.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    reason: Reason,
    detail: Option<String>,
    challenge: bool,
    /// In place of what the reason says.
    told: Option<(ErrorCode, StatusCode)>,
    step_up: Option<Box<StepUp>>,
    shadow: Option<String>,
}

/// How the subject must have logged in (RFC 9470 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepUp {
    /// Any of these; empty where the strength does not matter.
    pub(crate) acr_values: Vec<String>,
    /// No longer ago than this, in seconds.
    pub(crate) max_age: Option<u64>,
}

/// The short way to a [`Rejection`].
pub(crate) fn refuse(reason: Reason) -> Rejection {
    Rejection { reason, detail: None, challenge: false, told: None, step_up: None, shadow: None }
}

impl Rejection {
    /// Says more, to the audit only. Never give it a token or a secret.
    pub(crate) fn because(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(escaped(&detail.to_string()));
        self
    }

    /// The client tried an `Authorization` header, so HTTP wants 401 and a challenge (RFC 6749 section 5.2).
    pub(crate) fn challenged(mut self) -> Self {
        self.challenge = true;
        self
    }

    /// Tells the client how the subject must have logged in.
    pub(crate) fn with_step_up(mut self, step_up: StepUp) -> Self {
        self.step_up = Some(Box::new(step_up));
        self
    }

    /// Says, to the audit only, what the policy would have decided with the rules on trial.
    pub(crate) fn with_shadow(mut self, shadow: Option<String>) -> Self {
        self.shadow = shadow.map(|shadow| escaped(&shadow));
        self
    }

    pub(crate) fn shadow(&self) -> Option<&str> {
        self.shadow.as_deref()
    }

    pub(crate) fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_deref()
    }

    /// The client is told this instead; see [`ErrorProfile`](super::ErrorProfile).
    pub(super) fn told(mut self, error: ErrorCode, status: StatusCode) -> Self {
        self.told = Some((error, status));
        self
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The `error` that the client is told.
    pub(crate) fn error(&self) -> ErrorCode {
        self.told.map_or_else(|| self.reason.error(), |(error, _)| error)
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self.told {
            Some((_, status)) => status,
            None if self.challenge && self.error() == ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            None => self.reason.status(),
        }
    }
}

/// Makes a text from outside fit for a log line: escaped, and at most 256 characters.
pub(crate) fn escaped(text: &str) -> String {
    const MAX: usize = 256;
    let plain = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    let mut safe = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            safe.push('…');
            break;
        }
        if plain(c) { safe.push(c) } else { safe.extend(c.escape_unicode()) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_cannot_be_forged() {
        assert_eq!(escaped("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), 257);
    }
}
