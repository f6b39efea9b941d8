//! Messages in the words of somebody who writes TOML, and not Rust.

use std::path::Path;
use tower_token_exchange::{error::document_key, records::LocateError};

/// The TOML words for Rust names that are not the name of a key in a record.
const WORDS: &[(&str, &str)] = &[
    ("Names::any", "\"any\""),
    ("Subjects::any", "\"any\""),
    ("Actors::any", "\"any\""),
    ("Actors::client", "\"client\""),
    ("Rule::allow", "[[rule]]"),
    ("Rule::deny", "[[rule]]"),
    ("Semantics::Delegation", "delegation"),
    ("HttpFetch::builder", "[fetch]"),
    ("LocalSigner::generate_pem", "token-exchange-gateway keygen"),
    ("TokenExchangeBuilder::clients", "[[client]]"),
    ("TokenExchangeBuilder::targets", "[[target]]"),
    ("TokenExchangeBuilder::issuers", "[[issuer]]"),
    ("TokenExchangeBuilder::rules", "[[rule]]"),
    ("TokenExchangeBuilder::audit", "[audit]"),
    ("TokenExchangeBuilder::revocations", "[revocations]"),
    ("TokenExchangeBuilder::replay_store", "[replay]"),
    ("TokenExchangeBuilder::signer", "keys.active"),
    ("TokenExchangeBuilder::client_authenticator", "upstream.authenticate_clients_by"),
    ("TokenExchangeBuilder::endpoint", "paths.token"),
    ("TokenExchangeBuilder::max_lifetime", "limits.max_lifetime"),
    ("TokenExchangeBuilder::signature_memo", "limits.signature_memo"),
    ("TokenExchangeBuilder::max_targets", "limits.max_targets"),
    ("TokenExchangeBuilder::strict_scope", "limits.strict_scope"),
    ("TokenExchangeBuilder::require_sender_constraint", "limits.require_sender_constraint"),
    ("TokenExchangeBuilder::dpop", "[dpop]"),
    ("Dpop::alias", "dpop.aliases"),
    ("Dpop::accept_algorithms", "dpop.algorithms"),
    ("Dpop::max_age", "dpop.max_age"),
    ("Dpop::require_nonce", "dpop.require_nonce"),
    ("Dpop::offer_nonce", "dpop.require_nonce = false"),
    ("TokenExchangeLayer::readiness", "/readyz"),
    ("TokenExchangeLayer::explain", "token-exchange-gateway explain"),
];

/// Replaces the names of Rust methods by TOML keys: `` `Client::scopes` `` becomes `` `client.scopes` ``.
pub(crate) fn in_toml_words(text: &str) -> String {
    // Every second piece is between backticks.
    let pieces = text.split('`').enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { format!("`{}`", toml_word(piece)) } else { piece.to_owned() }).collect()
}

fn toml_word(code: &str) -> String {
    let path = code.split('(').next().unwrap_or(code);
    let Some((_, method)) = path.split_once("::") else { return code.to_owned() };
    if let Some((_, word)) = WORDS.iter().find(|(known, _)| *known == path) {
        return (*word).to_owned();
    }
    // An option of the library that the gateway does not have keeps its name.
    document_key(path).unwrap_or_else(|| method.to_owned())
}

/// A parser error such as `gateway.toml:2: unknown field …`, in other words.
pub(super) fn of_parser(error: &LocateError, path: &Path) -> String {
    let text = error.to_string();
    let place = format!("{}:{}: ", path.display(), error.line().unwrap_or(1));
    match text.strip_prefix(&place) {
        Some(message) => format!("{place}{}", of_serde(message)),
        None => text,
    }
}

/// A message of serde in other words.
fn of_serde(message: &str) -> String {
    if let Some((key, expected)) = between(message, "unknown field `", "`, ") {
        return match names(expected) {
            known if known.is_empty() => format!("unknown key `{key}`; remove it"),
            known => format!("unknown key `{key}`; {}", suggestion(key, &known, "the keys here are")),
        };
    }
    if let Some((value, expected)) = between(message, "unknown variant `", "`, ") {
        return format!("unknown value `{value}`; {}", suggestion(value, &names(expected), "give"));
    }
    if let Some((key, _)) = between(message, "missing field `", "`") {
        return format!("the key `{key}` is missing; add it");
    }
    if let Some((found, expected)) = between(message, "invalid type: ", ", expected ") {
        return format!("this is {}; give {}", article(found), wanted(expected));
    }
    if let Some((found, expected)) = between(message, "invalid value: ", ", expected ") {
        return format!("this is {}; give {}", article(found), wanted(expected));
    }
    if message.starts_with("invalid socket address") {
        return "not an address; write one such as `127.0.0.1:8080`".to_owned();
    }
    message.to_owned()
}

/// The parts of a text that starts with `start`: what is before `end`, and what is after `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(start)?.split_once(end)
}

/// The names between backticks.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn suggestion(wrong: &str, known: &[&str], all: &str) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("{all} {}", list(known)),
    }
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

/// The name that is most like a wrong name, if one is near enough to be meant.
fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    let near = known.into_iter().map(|name| (distance(name), name));
    let near = near.filter(|(distance, name)| *distance * 3 <= name.chars().count());
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// A value as serde names it.
fn article(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        _ if found.starts_with("integer") => format!("the {found}"),
        _ => format!("the {}", found.replacen("floating point", "number", 1)),
    }
}

/// An expectation as serde names it, which may be the name of a Rust type.
fn wanted(expected: &str) -> String {
    match expected {
        "a nonzero u32" => "a whole number from 1".to_owned(),
        "u16" | "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        "path string" | "string" | "a borrowed string" => "a string".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_token_exchange::{Document, Reason, records::TomlFile};

    #[test]
    fn messages_of_serde_name_no_rust_types() {
        for (message, expected) in [
            (
                "unknown field `adress`, expected one of `address`, `admin`",
                "unknown key `adress`; did you mean `address`?",
            ),
            (
                "unknown field `x`, expected `address` or `admin`",
                "unknown key `x`; the keys here are `address` or `admin`",
            ),
            ("unknown field `x`, there are no fields", "unknown key `x`; remove it"),
            ("missing field `keys`", "the key `keys` is missing; add it"),
            ("unknown variant `x`, expected `one` or `two`", "unknown value `x`; give `one` or `two`"),
            ("invalid type: integer `7`, expected a string", "this is the integer `7`; give a string"),
            ("invalid type: integer `7`, expected struct Listen", "this is the integer `7`; give a table"),
            ("invalid type: map, expected path string", "this is a table; give a string"),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                "this is the integer `0`; give a whole number from 1",
            ),
            ("invalid socket address syntax", "not an address; write one such as `127.0.0.1:8080`"),
            ("missing opening quote", "missing opening quote"),
        ] {
            assert_eq!(of_serde(message), expected);
        }
    }

    #[test]
    fn rust_names_become_toml_keys() {
        for (text, expected) in [
            ("set `Client::scopes`.", "set `client.scopes`."),
            ("give `Names::any()`", "give `\"any\"`"),
            ("raise `TokenExchangeBuilder::deadline`", "raise `deadline`"),
            ("`id` and `x`", "`id` and `x`"),
            ("", ""),
        ] {
            assert_eq!(in_toml_words(text), expected);
        }
    }

    #[test]
    fn remedies_name_keys_that_exist() {
        let unknown_keys: Vec<String> = Reason::ALL
            .iter()
            .flat_map(|reason| {
                names(&in_toml_words(&reason.remedy().in_keys())).into_iter().map(str::to_owned).collect::<Vec<_>>()
            })
            .filter(|name| !is_key(name))
            .collect();
        assert!(unknown_keys.is_empty(), "{unknown_keys:#?}");
        for reason in Reason::ALL {
            let remedy = in_toml_words(&reason.remedy().in_keys());
            assert!(!remedy.contains("::") && !remedy.contains("TOML"), "{remedy}");
        }
    }

    /// Whether the reader of documents knows a key such as `client.scopes`. Other texts are not keys.
    fn is_key(name: &str) -> bool {
        let Some((table, key)) = name.rsplit_once('.') else { return true };
        let record = match table {
            "client" | "target" => format!("[[{table}]]\nid = \"x\"\n{key} = 0"),
            "issuer" => format!("[[issuer]]\nissuer = \"https://x.example\"\n{key} = 0"),
            "issuer.tokens" => format!("[[issuer]]\n[[issuer.tokens]]\n{key} = 0"),
            "issuer.introspection" => format!("[[issuer]]\n[issuer.introspection]\n{key} = 0"),
            "rule" => format!("[[rule]]\n{key} = 0"),
            _ => return true,
        };
        let error = TomlFile::new("x.toml", record).parse::<Document>().unwrap_err();
        !error.to_string().contains(&format!("unknown field `{key}`"))
    }
}
