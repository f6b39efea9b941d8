//! The manual's page of reasons equals the table in the code, and every setting that a remedy names exists.

use std::{collections::HashSet, fs, path::Path};
use tower_token_exchange::{Reason, error::ReasonClass};

const PAGE: &str = include_str!("../../src/manual/reasons.md");
const HEAD: &str = "| code | `error` | status | meaning | what to do |\n|---|---|---|---|---|";

fn row(reason: Reason) -> String {
    let (code, error, status) = (reason.code(), reason.error(), reason.status().as_u16());
    format!("| `{code}` | `{error}` | {status} | {} | {} |", reason.meaning(), both_names(reason))
}

/// The remedy with the method and the key of each setting.
fn both_names(reason: Reason) -> String {
    reason.remedy().with_settings(|method, key| match key {
        Some(key) => format!("`{method}` (`{key}`)"),
        None => format!("`{method}`"),
    })
}

/// A failure prints the whole table, which belongs into the page.
#[test]
fn the_page_equals_the_table() {
    let rows: Vec<_> = Reason::ALL.iter().copied().map(row).collect();
    let expected = format!("{HEAD}\n{}", rows.join("\n"));
    let found: Vec<_> = PAGE.lines().filter(|line| line.starts_with('|')).collect();
    assert!(found.join("\n") == expected, "src/manual/reasons.md is out of date; replace its table by:\n{expected}");
}

#[test]
fn every_reason_has_a_meaning_and_a_remedy() {
    let mut remedies = HashSet::new();
    for reason in Reason::ALL {
        for text in [reason.meaning(), &reason.remedy().to_string(), &reason.remedy().in_keys()] {
            assert!(text.len() > 5 && text.ends_with('.'), "{reason}: `{text}` is not a sentence");
            assert!(
                !text.contains(['|', '\n', '<', '[']) && !text.contains("  "),
                "{reason}: `{text}` breaks the table"
            );
            assert!(text.matches('`').count() % 2 == 0, "{reason}: `{text}` leaves code open");
        }
        assert!(remedies.insert(reason.remedy()), "{reason}: another reason has the same remedy");
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).into_iter().collect() })
        .collect()
}

/// Logs and dashboards depend on these names.
#[test]
fn reasons_and_classes_are_printed_by_their_names() {
    for reason in Reason::ALL {
        assert_eq!(reason.to_string(), reason.code());
    }
    for (class, name) in [
        (ReasonClass::Request, "request"),
        (ReasonClass::Client, "client"),
        (ReasonClass::Grant, "grant"),
        (ReasonClass::Target, "target"),
        (ReasonClass::Scope, "scope"),
        (ReasonClass::Token, "token"),
        (ReasonClass::Denied, "denied"),
        (ReasonClass::StepUp, "step_up"),
        (ReasonClass::Failure, "failure"),
    ] {
        assert_eq!((class.as_str(), class.to_string().as_str()), (name, name));
    }
}

#[test]
fn every_setting_that_a_remedy_names_exists() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"));
    let mut settings = 0;
    for reason in Reason::ALL {
        let text = reason.remedy().to_string();
        let code = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
        for (owner, name) in code.filter(|(owner, _)| *owner != "token_exchange") {
            let has = |text: &str, places: &[String]| places.iter().any(|place| text.contains(place));
            let owners = ["impl", "pub struct", "pub enum"].map(|item| format!("{item} {owner} {{"));
            let names = [
                format!("fn {name}("),
                format!("fn {name}<"),
                format!("pub {name}:"),
                format!("    {name},"),
                format!("    {name} {{"),
            ];
            let defined = files.iter().any(|text| has(text, &owners) && has(text, &names));
            assert!(defined, "{reason}: no `{owner}::{name}`");
            settings += 1;
        }
    }
    assert!(settings > 80, "only {settings} settings found; did the spelling in the remedies change?");
}

#[test]
fn no_remedy_blames_a_client_for_a_failure() {
    for reason in Reason::ALL {
        let blames_client = reason.remedy().to_string().starts_with("Fix the client");
        assert!(
            !blames_client || reason.class() != ReasonClass::Failure,
            "{reason}: a client cannot fix a failure of the server"
        );
    }
}
