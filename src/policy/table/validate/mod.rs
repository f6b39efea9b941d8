//! The checks of rules, when a table or a layer is built.

mod alone;
mod effect;
mod records;

pub(super) use effect::check_effect;

use super::rule::Rule;
use crate::records::{ConfigError, Place, Problems, Registry};

/// Checks a rule alone.
pub(super) fn check_alone(rule: &Rule, position: usize, problems: &mut Problems) {
    let name = rule.name_at(position + 1);
    alone::check(rule, &place(rule, position, &name), problems);
}

/// Checks each rule alone and against the records.
///
/// A rule about an unknown record, or a rule that can never match, would refuse requests without a visible cause.
pub(super) fn check_with_records(rules: &[Rule], registry: &Registry) -> Result<(), ConfigError> {
    let mut problems = Problems::default();
    let actors = registry.clients().flat_map(|client| &client.carries).collect();
    for (position, rule) in rules.iter().enumerate() {
        let name = rule.name_at(position + 1);
        let place = place(rule, position, &name);
        alone::check(rule, &place, &mut problems);
        records::check(rule, &place, registry, &actors, &mut problems);
    }
    problems.or(())
}

fn place<'a>(rule: &Rule, position: usize, name: &'a str) -> Place<'a> {
    Place::new("rule", position, name, rule.wording)
}
