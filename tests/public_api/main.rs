//! The public surface of the library is one file, so that a review sees every change of it.
//!
//! `UPDATE_API=1 cargo test --all-features --test public_api -- --ignored` writes the file again.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

/// One line for each public item, with all features.
const SNAPSHOT: &str = include_str!("library.txt");

/// The crates whose types a public item may name.
const ALLOWED: [&str; 9] =
    ["alloc", "bytes", "core", "http", "serde_json", "std", "tower", "tower_service", "tower_token_exchange"];

/// Further crates, each with the text that a line must have to name the crate.
const EXCEPTIONS: [(&str, &str); 12] = [
    ("tower_layer", "tower_layer::Layer<"),
    // Traits and the types in their methods.
    ("serde_core", "::ser::Serialize"),
    ("serde_core", "::de::Deserialize"),
    ("http_body", "http_body::"),
    // The bodies that can be read and given back.
    ("axum_core", "axum_core::body::Body"),
    ("http_body_util", "http_body_util::combinators::box_body::"),
    ("tonic", "tonic::body::Body"),
    // What handlers of axum and tonic take and return, with the features of these names.
    ("axum_core", "tower_token_exchange::resource::Access"),
    ("tonic", "tower_token_exchange::resource::Access"),
    // The request body that a server in the same process takes.
    ("http_body_util", "tower_token_exchange::fetch::InProcess<S> where"),
    // The feature `schema` gives records a trait of schemars, as they have the traits of serde.
    ("schemars", "schemars::"),
    // A bound that no user writes.
    ("pin_project_lite", "core::marker::Unpin for"),
];

#[test]
fn the_root_has_at_most_fifteen_names() {
    let names: BTreeSet<_> = SNAPSHOT.lines().filter_map(root_name).collect();
    assert!(names.contains("TokenExchangeLayer"), "the names were not found: {names:?}");
    assert!(names.len() <= 15, "{} names: {names:?}", names.len());
}

/// The name of an item at the root, if the line is one and the item is not a module.
fn root_name(line: &str) -> Option<&str> {
    let (before, path) = line.split_once(" tower_token_exchange::")?;
    let kind = before.rsplit(' ').next()?;
    let is_item = ["const", "enum", "fn", "macro", "static", "struct", "trait", "type", "union"].contains(&kind);
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (is_item && before.contains("pub") && !path[end..].starts_with("::")).then_some(&path[..end])
}

#[test]
fn public_items_name_no_foreign_types() {
    let wrong: Vec<_> = SNAPSHOT.lines().filter(|line| !foreign(line).is_empty()).collect();
    assert!(wrong.is_empty(), "{} lines name a type of another crate:\n{}", wrong.len(), wrong.join("\n"));
}

/// The crates that a line must not name.
fn foreign(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (end, _) in line.match_indices("::") {
        let start = line[..end].rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |before| before + 1);
        let name = &line[start..end];
        // The rest of a longer path, an associated type, a type parameter, or a primitive type.
        let inside = line[..start].ends_with("::") || name.is_empty() || name == "str";
        if inside || name.starts_with(char::is_uppercase) || ALLOWED.contains(&name) {
            continue;
        }
        if !EXCEPTIONS.iter().any(|(exception, text)| *exception == name && line.contains(text)) {
            found.push(name);
        }
    }
    found
}

#[test]
#[ignore = "documents the library once more; .ci/run runs this test"]
fn the_snapshot_is_current() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public_api");
    let documented = Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--package=tower-token-exchange", "--lib", "--all-features", "--target-dir"])
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow", "--cfg=docsrs"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // The JSON of rustdoc is unstable: its form is that of the version in CI.
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .unwrap();
    assert!(documented.success());
    let api = public_api::Builder::from_rustdoc_json(target.join("doc/tower_token_exchange.json"))
        .omit_auto_derived_impls(true)
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true)
        .build()
        .unwrap()
        .to_string();

    if env::var_os("UPDATE_API").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("public_api/library.txt"), api).unwrap();
        return;
    }
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (SNAPSHOT.lines().collect(), api.lines().collect());
    let removed = before.difference(&now).map(|line| format!("- {line}\n"));
    let added = now.difference(&before).map(|line| format!("+ {line}\n"));
    let changes: String = removed.chain(added).collect();
    assert!(changes.is_empty(), "the public API changed; write the file again with UPDATE_API=1\n{changes}");
}
