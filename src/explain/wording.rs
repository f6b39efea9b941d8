//! The remedy of a reason, in the words of the user: TOML keys for the user of a document, method names for the user of
//! the builder.
//!
//! A remedy names a setting by its method, and adds the TOML key if the key has another name:
//! `` `Target::served_by` (TOML: `owner`) ``.

use crate::{protocol::Reason, records::Wording};

/// The start of the TOML keys in a remedy.
const KEYS: &str = " (TOML: ";
/// A sentence of remedies that only the reader of both forms needs.
const NOTE: &str = " The TOML keys have the names of the methods.";

/// Returns the remedy of a reason in the words of the user.
pub(super) fn remedy(reason: Reason, wording: Wording) -> String {
    let remedy = reason.remedy().replace(NOTE, "");
    match wording {
        Wording::Methods => without_keys(&remedy),
        Wording::Keys => with_keys(&remedy),
    }
}

fn without_keys(remedy: &str) -> String {
    let mut parts = remedy.split(KEYS);
    let start = parts.next().unwrap_or_default().to_owned();
    parts.fold(start, |text, part| text + part.split_once(')').map_or("", |(_, rest)| rest))
}

/// A part of a remedy.
enum Part<'a> {
    Text(&'a str),
    /// A text in backticks.
    Code(&'a str),
    /// A TOML key, and the record that has the key.
    Key(&'a str, &'static str),
}

impl<'a> Part<'a> {
    /// Returns the record of a setting, and the name of the method that sets it.
    fn setting(&self) -> Option<(&'static str, &'a str)> {
        let Self::Code(code) = self else { return None };
        let (of_type, method) = code.split_once("::")?;
        let record = match of_type {
            "Client" => "of the client",
            "Target" => "of the target",
            "Issuer" => "of the issuer",
            "TokenRules" => "in `tokens` of the issuer",
            "Introspection" => "in `introspection` of the issuer",
            "Rule" => "of the rule",
            _ => return None,
        };
        Some((record, method))
    }

    fn write(&self) -> String {
        match (self, self.setting()) {
            (Self::Text(text), _) => (*text).to_owned(),
            (Self::Key(key, record), _) => format!("`{key}` {record}"),
            // A rule has no key of this name: the whole record is meant.
            (_, Some(("of the rule", "allow"))) => "rule".to_owned(),
            (_, Some(("of the rule", "deny"))) => "deny rule".to_owned(),
            (_, Some((record, method))) => format!("`{method}` {record}"),
            (Self::Code(code), None) => format!("`{code}`"),
        }
    }
}

fn with_keys(remedy: &str) -> String {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut pieces = remedy.split('`').enumerate();
    while let Some((position, piece)) = pieces.next() {
        if position % 2 == 1 {
            parts.push(Part::Code(piece));
        } else if piece == KEYS {
            let mut keys = Vec::new();
            let rest = loop {
                match pieces.next() {
                    Some((position, key)) if position % 2 == 1 => keys.push(key),
                    Some((_, text)) if text.starts_with(')') => break &text[1..],
                    Some(_) => {}
                    None => break "",
                }
            };
            replace_methods(&mut parts, &keys);
            parts.push(Part::Text(rest));
        } else {
            parts.push(Part::Text(piece));
        }
    }
    parts.iter().map(Part::write).collect()
}

/// Replaces the last methods with their keys. Two methods with "or" between can have one key.
fn replace_methods<'a>(parts: &mut Vec<Part<'a>>, keys: &[&'a str]) {
    if let ([_], [.., first, Part::Text(" or "), second]) = (keys, &parts[..])
        && let (Some((one, _)), Some((other, _))) = (first.setting(), second.setting())
        && one == other
    {
        let first = parts.len() - 3;
        parts.drain(first + 1..);
    }
    let methods = parts.iter_mut().rev().filter_map(|part| part.setting().map(|(record, _)| (part, record)));
    for ((part, record), key) in methods.zip(keys.iter().rev()) {
        // The key of a whole record part, such as `introspection`, belongs to the issuer.
        let is_whole = record.contains(&format!("`{key}`"));
        *part = Part::Key(key, if is_whole { "of the issuer" } else { record });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_speaks_one_language() {
        for reason in Reason::ALL {
            let (keys, methods) = (remedy(*reason, Wording::Keys), remedy(*reason, Wording::Methods));
            assert!(!keys.contains("TOML") && !methods.contains("TOML"), "{keys}\n{methods}");
            for record in ["Client", "Target", "Issuer", "TokenRules", "Introspection", "Rule"] {
                assert!(!keys.contains(&format!("`{record}::")), "{keys}");
            }
        }
    }

    #[test]
    fn keys_take_the_place_of_methods() {
        for (text, expected) in [
            ("set `Target::served_by` (TOML: `owner`).", "set `owner` of the target."),
            ("`Client::scopes` and `Rule::scopes`", "`scopes` of the client and `scopes` of the rule"),
            ("with `Issuer::accept_types` or `Issuer::accept` (TOML: `tokens`). So", "with `tokens` of the issuer. So"),
            (
                "`TokenExchangeBuilder::max_chain_depth` or `Rule::max_depth` (TOML: `max_depth`)",
                "`TokenExchangeBuilder::max_chain_depth` or `max_depth` of the rule",
            ),
            (
                "`Rule::require_acr` and `Rule::max_auth_age` (TOML: `require_acr`, `max_auth_age`) set it",
                "`require_acr` of the rule and `max_auth_age` of the rule set it",
            ),
            (
                "`Introspection::basic` or `Introspection::bearer` (TOML: `introspection`).",
                "`introspection` of the issuer.",
            ),
            ("add a `Rule::allow` for the client", "add a rule for the client"),
        ] {
            assert_eq!(with_keys(text), expected);
        }
        assert_eq!(without_keys("set `Target::served_by` (TOML: `owner`). So"), "set `Target::served_by`. So");
    }
}
