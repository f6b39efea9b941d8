//! The rooms of the house look in one direction only, and what is fenced in stays behind its fence.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every room may use those before it and none behind. The leaves come first.
const ORDER: [&str; 28] = [
    "clock",
    "metrics",
    "random",
    "protocol",
    "settings",
    "plug",
    "body",
    "fetch",
    "revocation",
    "jose",
    "records",
    "error",
    "metadata",
    "jwks",
    "client_auth",
    "token",
    "policy",
    "authority",
    "status",
    "signing",
    "exchange",
    "audit",
    "issued",
    "explain",
    "service",
    "layer",
    "manual",
    // Built for tests only, and may look into everything.
    "fuzzing",
];

/// The stages of an exchange, in their order.
const STAGES: [&str; 8] =
    ["Presented", "Authenticated", "Resolved", "Validated", "Bounded", "StillValid", "Decided", "Issued"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

/// The code of a file: no comments, and nothing from its first test on.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The room that a file is in.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(src()).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a text imports from, grouped imports too.
fn imports(code: &str) -> BTreeSet<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rooms = BTreeSet::new();
    for rest in flat.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => rooms.extend(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => rooms.extend(first_name(&std::mem::take(&mut item))),
                        _ => {}
                    }
                    item.push(c);
                }
                rooms.extend(first_name(&item));
            }
        }
    }
    rooms
}

fn first_name(path: &str) -> Option<String> {
    let path = path.trim_start_matches([',', ' ']);
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn rooms_look_in_one_direction() {
    let position = |room: &str| ORDER.iter().position(|known| *known == room);
    for path in sources(&src()) {
        let here = room(&path);
        if matches!(here.as_str(), "lib" | "layer") {
            continue;
        }
        let own = position(&here).unwrap_or_else(|| panic!("room `{here}` has no place in the order"));
        for other in imports(&code(&path)) {
            match position(&other) {
                Some(there) => assert!(there <= own, "{}: `{here}` must not look into `{other}`", path.display()),
                // Types that the crate's root exports are named there by the documentation alone.
                None => assert!(other != "layer", "{}: `{here}` must not look into `{other}`", path.display()),
            }
        }
    }
}

#[test]
fn leaves_know_no_other_room() {
    for path in sources(&src()) {
        let allowed: &[&str] = match room(&path).as_str() {
            "body" | "fetch" | "clock" | "metrics" | "protocol" | "random" => &[],
            "plug" => &["protocol"],
            _ => continue,
        };
        let own = room(&path);
        let strangers: Vec<_> = imports(&code(&path))
            .into_iter()
            .filter(|other| *other != own && !allowed.contains(&other.as_str()))
            .collect();
        assert!(strangers.is_empty(), "{} looks into {strangers:?}", path.display());
    }
}

#[test]
fn what_is_fenced_in_stays_there() {
    let fences = [
        ("biscuit::", "jose"),
        ("axum_core::", "body"),
        ("axum::", "body"),
        ("tonic::", "body"),
        ("hyper_util::", "fetch"),
    ];
    for path in sources(&src()) {
        let code = code(&path);
        for (name, only) in fences {
            assert!(room(&path) == only || !code.contains(name), "{} names {name}", path.display());
        }
    }
}

#[test]
fn the_page_to_read_first_stays_short() {
    let lines = fs::read_to_string(src().join("exchange/mod.rs")).unwrap().lines().count();
    assert!(lines < 200, "exchange.rs has {lines} lines");
}

/// The text between the braces that follow this head.
fn block<'a>(code: &'a str, head: &str) -> &'a str {
    let start = code.find(head).unwrap_or_else(|| panic!("no `{head}`")) + head.len();
    let mut depth = 1;
    let end = code[start..].find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    });
    &code[start..start + end.unwrap()]
}

#[test]
fn fields_of_stages_stay_private() {
    let code = code(&src().join("exchange/stages.rs"));
    for stage in STAGES {
        let fields = block(&code, &format!("struct {stage} {{"));
        assert!(!fields.contains("pub"), "{stage} has a field that others can write: {fields}");
        assert!(!code.contains(&format!("Default for {stage}")), "{stage} can be made from nothing");
    }
}

#[test]
fn each_stage_is_made_from_the_one_before() {
    let code = code(&src().join("exchange/stages.rs"));
    for (at, stage) in STAGES.iter().enumerate() {
        let body = block(&code, &format!("impl {stage} {{"));
        let heads = body.split("fn ").skip(1).map(|text| text.split(" {\n").next().unwrap());
        let constructors: Vec<_> = heads.filter(|head| head.contains("<Self") || head.contains("-> Self")).collect();
        let [constructor] = constructors[..] else { panic!("{stage} has {} constructors", constructors.len()) };
        let before = at.checked_sub(1).map_or("&HeaderMap", |before| STAGES[before]);
        assert!(constructor.contains(&format!(": {before},")), "{stage} is not made from {before}: {constructor}");
    }
}
