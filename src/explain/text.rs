use super::{Explanation, Refusal, StageTrace};
use crate::audit::Stage;
use std::fmt;

/// The most rules that the report for a person lists.
const MAX_RULES: usize = 10;

/// Writes a report for a person.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            None => writeln!(f, "A token would be issued.")?,
            Some(refusal) => write!(f, "The exchange would be refused: {}\n{refusal}", refusal.reason)?,
        }
        for stage in &self.stages {
            write!(f, "\n{stage}")?;
            if stage.stage == Stage::Policy {
                self.write_rules(f)?;
            }
        }
        if let Some(advice) = &self.advice {
            writeln!(f, "\n{advice}")?;
        }
        match &self.suggested_rule {
            Some(rule) => write!(f, "\n{rule}"),
            None => Ok(()),
        }
    }
}

impl Explanation {
    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules.iter().take(MAX_RULES) {
            writeln!(f, "    {rule}")?;
        }
        match self.rules.len().saturating_sub(MAX_RULES) {
            0 => Ok(()),
            more => writeln!(f, "    … and {more} more rules that match no better"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  Meaning: {}", self.meaning)?;
        if let Some(detail) = &self.detail {
            writeln!(f, "  Detail:  {detail}")?;
        }
        writeln!(f, "  To do:   {}", self.remedy)?;
        writeln!(f, "  Answer:  the client receives the error `{}`", self.error)
    }
}

impl fmt::Display for StageTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", if self.passed { "✓" } else { "✗" }, self.stage)?;
        self.facts.iter().try_for_each(|fact| writeln!(f, "    {}: {}", fact.about, fact.found))
    }
}
