//! From a place in a TOML document to a line in its file.

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use tower_token_exchange::ConfigError;

/// Reads a document; a mistake comes with its line.
pub(crate) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        format!("{file}:{line}: {}", error.message())
    })
}

/// A mistake that only the layer could find, with the line that it names.
pub(crate) fn located(file: &str, text: &str, error: &ConfigError) -> String {
    match error.place() {
        Some(place) => at(file, text, place, error.way_out()),
        None => format!("{file}: {error}"),
    }
}

/// A mistake at this place.
pub(crate) fn at(file: &str, text: &str, place: &str, way_out: &str) -> String {
    match line_of_place(text, place) {
        Some(line) => format!("{file}:{line}: {place}: {way_out}"),
        None => format!("{file}: {place}: {way_out}"),
    }
}

/// The line of `rule[3].targets[0]`, or of as much of that as stands in the file: what is missing has none.
fn line_of_place(text: &str, place: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut here = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in place.split(['.', '[']) {
        let next = match (value, step.strip_suffix(']')) {
            (None, _) => document.get_ref().get(step),
            (Some(DeValue::Table(table)), _) => table.get(step),
            (Some(DeValue::Array(list)), Some(index)) => list.get(index.parse::<usize>().ok()?),
            // One name may stand in place of a list.
            (Some(_), _) => break,
        };
        let Some(next) = next else { break };
        here = Some(next.span().start);
        value = Some(next.get_ref());
    }
    here.map(|offset| line_of(text, offset))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
