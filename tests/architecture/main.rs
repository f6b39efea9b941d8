//! The order of the library's modules: imports run in one direction, no files import each other in a circle, and some
//! crates and fields are named in one place only.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod imports;
mod stages;

use imports::{Library, Names};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules at the root of the library. A module may import from the modules before it, and from none after it.
const ORDER: [&str; 37] = [
    "clock",
    "locks",
    "flights",
    "random",
    "metrics",
    "protocol",
    "plug",
    "limits",
    "settings",
    "body",
    "fetch",
    "revocation",
    "replay",
    "jose",
    "records",
    "error",
    "metadata",
    "jwks",
    "client_auth",
    "token",
    "proof",
    "policy",
    "authority",
    "ancestry",
    "status",
    "signing",
    "exchange",
    "audit",
    "issued",
    "explain",
    "graph",
    "service",
    "layer",
    "resource",
    "caller",
    "manual",
    "lib",
];

/// Modules that import from no other module, except the listed modules.
const LEAVES: [(&str, &[&str]); 7] = [
    ("body", &[]),
    ("clock", &[]),
    ("locks", &[]),
    ("metrics", &[]),
    ("protocol", &[]),
    ("random", &[]),
    ("plug", &["protocol"]),
];

/// The crates that only one module may name.
const CRATES_OF_ONE_MODULE: [(&str, &[&str]); 9] = [
    ("biscuit", &["jose"]),
    ("axum", &["body"]),
    ("axum_core", &["body", "resource"]),
    ("tonic", &["body", "resource"]),
    ("hyper", &["fetch"]),
    ("hyper_rustls", &["fetch"]),
    ("hyper_util", &["fetch"]),
    ("rustls", &["client_auth", "fetch", "replay"]),
    ("x509_parser", &["client_auth"]),
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

/// The names of a module with `::` between them.
fn shown(module: &Names) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { module.join("::") }
}

#[test]
fn imports_run_in_one_direction() {
    let library = Library::read(&src());
    assert!(library.files.len() > 100, "most files were not found");
    let position = |module: &str| {
        let found = ORDER.iter().position(|known| *known == module);
        found.unwrap_or_else(|| panic!("the module `{module}` has no place in ORDER"))
    };
    let mut wrong = Vec::new();
    for (module, targets) in library.dependencies() {
        let own = position(library.files[module].top_module());
        for target in targets {
            if position(library.files[target].top_module()) > own {
                wrong.push(format!("{} imports from {}", shown(module), shown(target)));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other() {
    let library = Library::read(&src());
    let dependencies = library.dependencies();
    let circles: Vec<_> = circles(&dependencies)
        .into_iter()
        .map(|circle| {
            let links = circle.iter().flat_map(|from| {
                let inside = dependencies[from].iter().filter(|to| circle.contains(*to));
                inside.map(|to| format!("  {} imports from {}\n", shown(from), shown(to)))
            });
            links.collect::<String>()
        })
        .collect();
    assert!(circles.is_empty(), "{} circles of files:\n{}", circles.len(), circles.join("\n"));
}

/// The groups of modules of which each depends on each other, if only through others.
fn circles<'a>(dependencies: &BTreeMap<&'a Names, BTreeSet<&'a Names>>) -> BTreeSet<BTreeSet<&'a Names>> {
    let reached = |from: &'a Names| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            for next in &dependencies[module] {
                if reached.insert(*next) {
                    open.push(next);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = dependencies.keys().map(|module| (*module, reached(module))).collect();
    let circle = |module: &'a Names| {
        let others = reached[module].iter().copied();
        others.filter(|other| reached[other].contains(module)).collect::<BTreeSet<_>>()
    };
    dependencies.keys().map(|module| circle(module)).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn leaves_import_from_no_other_module() {
    let library = Library::read(&src());
    let mut wrong = Vec::new();
    for (module, targets) in library.dependencies() {
        let own = library.files[module].top_module();
        let Some((_, allowed)) = LEAVES.iter().find(|(leaf, _)| *leaf == own) else { continue };
        for target in targets {
            let other = library.files[target].top_module();
            if other != own && !allowed.contains(&other) {
                wrong.push(format!("{} imports from {}", shown(module), shown(target)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn some_crates_are_named_in_one_module() {
    for file in Library::read(&src()).files.values() {
        for (name, modules) in CRATES_OF_ONE_MODULE {
            let inside = modules.contains(&file.top_module());
            assert!(inside || !file.crates().contains(name), "{} names the crate {name}", file.path.display());
        }
    }
}

#[test]
fn the_page_to_read_first_stays_short() {
    let lines = fs::read_to_string(src().join("exchange/mod.rs")).unwrap().lines().count();
    assert!(lines < 200, "exchange/mod.rs has {lines} lines");
}
