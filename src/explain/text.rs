use super::{Explanation, Refusal, StageTrace, SuggestedRule};
use crate::audit::Stage;
use std::fmt;

/// The most rules that a report for a person is about.
const RULES: usize = 10;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            None => writeln!(f, "A token would be issued.")?,
            Some(refusal) => write!(f, "It would be refused: {}\n{refusal}", refusal.reason)?,
        }
        for stage in &self.stages {
            write!(f, "\n{stage}")?;
            if stage.stage == Stage::Policy {
                self.write_rules(f)?;
            }
        }
        match &self.suggested_rule {
            Some(rule) => write!(f, "\n{rule}"),
            None => Ok(()),
        }
    }
}

impl Explanation {
    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules.iter().take(RULES) {
            writeln!(f, "    {rule}")?;
        }
        match self.rules.len().saturating_sub(RULES) {
            0 => Ok(()),
            more => writeln!(f, "    … and {more} that are no nearer"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  It means:   {}", self.meaning)?;
        if let Some(detail) = &self.detail {
            writeln!(f, "  Here:       {detail}")?;
        }
        writeln!(f, "  To do:      {}", self.remedy)?;
        writeln!(f, "  The client: is told `{}`", self.error)
    }
}

impl fmt::Display for StageTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", if self.passed { "✓" } else { "✗" }, self.stage.as_str())?;
        self.facts.iter().try_for_each(|fact| writeln!(f, "    {}: {}", fact.about, fact.found))
    }
}

impl fmt::Display for SuggestedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meaning, code, toml } = self;
        writeln!(
            f,
            "If it should be allowed, add a rule: {meaning}.\nIt is for all of them; `named` and `names` narrow it to some."
        )?;
        writeln!(f, "\nIn code:\n\n    {code}\n\nIn a document:\n")?;
        toml.lines().try_for_each(|line| writeln!(f, "    {line}"))
    }
}
