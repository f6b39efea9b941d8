//! The page of reasons in the documentation is the table in the code, and what it tells the operator can be done.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::{collections::HashSet, fs};
use tower_token_exchange::{Reason, ReasonClass};

const PAGE: &str = include_str!("../src/reasons.md");
const HEAD: &str = "| code | `error` | status | meaning | what to do |\n|---|---|---|---|---|";

fn row(reason: Reason) -> String {
    let (code, error, status) = (reason.code(), reason.error(), reason.status().as_u16());
    format!("| `{code}` | `{error}` | {status} | {} | {} |", reason.meaning(), reason.remedy())
}

/// What fails prints the whole table, to be put into the page.
#[test]
fn the_page_is_the_table() {
    let rows: Vec<_> = Reason::ALL.iter().copied().map(row).collect();
    let expected = format!("{HEAD}\n{}", rows.join("\n"));
    let found: Vec<_> = PAGE.lines().filter(|line| line.starts_with('|')).collect();
    assert!(found.join("\n") == expected, "src/reasons.md is out of date; this is its table:\n{expected}");
}

#[test]
fn every_reason_has_sentences_that_fit_into_the_table() {
    let mut remedies = HashSet::new();
    for reason in Reason::ALL {
        for text in [reason.meaning(), reason.remedy()] {
            assert!(text.len() > 5 && text.ends_with('.'), "{reason}: `{text}` is no sentence");
            assert!(
                !text.contains(['|', '\n', '<', '[']) && !text.contains("  "),
                "{reason}: `{text}` breaks the table"
            );
            assert!(text.matches('`').count() % 2 == 0, "{reason}: `{text}` leaves code open");
        }
        assert!(remedies.insert(reason.remedy()), "{reason}: another reason has the same remedy");
    }
}

/// Whoever reads a remedy looks for the setting that it names.
#[test]
fn every_setting_that_a_remedy_names_exists() {
    let files = [
        ("TokenExchangeBuilder", "layer.rs"),
        ("TokenExchangeLayer", "layer.rs"),
        ("Client", "registry/client.rs"),
        ("Target", "registry/target.rs"),
        ("Issuer", "registry/issuer.rs"),
        ("Issuer", "registry/presets.rs"),
        ("TokenRules", "registry/token_rules.rs"),
        ("Introspection", "registry/introspection.rs"),
        ("Rule", "policy/rule.rs"),
        ("Query", "authority/query.rs"),
        ("Semantics", "authority/decision.rs"),
        ("Signer", "issue/signer.rs"),
        ("HttpFetch", "fetch/client.rs"),
    ];
    let source = |file| fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut settings = 0;
    for reason in Reason::ALL {
        let code = reason.remedy().split('`').skip(1).step_by(2);
        for (owner, name) in
            code.filter_map(|code| code.split_once("::")).filter(|(owner, _)| *owner != "token_exchange")
        {
            let mut known = files.iter().filter(|(known, _)| *known == owner).map(|(_, file)| source(*file)).peekable();
            assert!(known.peek().is_some(), "{reason}: where is `{owner}` defined?");
            let defines = |text: String| {
                [format!("fn {name}("), format!("fn {name}<"), format!("pub {name}:"), format!("    {name},")]
                    .iter()
                    .any(|definition| text.contains(definition))
            };
            assert!(known.any(defines), "{reason}: no `{owner}::{name}`");
            settings += 1;
        }
    }
    assert!(settings > 80, "only {settings} settings found: is the remedies' spelling another one?");
}

/// A failure of ours is nothing that a client could mend, and a mistake of the client nothing that we could.
#[test]
fn a_remedy_blames_nobody_for_what_is_not_theirs() {
    for reason in Reason::ALL {
        let blamed = reason.remedy().starts_with("The client's mistake");
        assert!(
            !blamed || reason.class() != ReasonClass::Failure,
            "{reason}: a failure here is no mistake of a client"
        );
    }
}
