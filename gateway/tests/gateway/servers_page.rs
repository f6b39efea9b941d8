//! The page about servers: each configuration of the page is valid, and the page has a section for each preset.

use crate::{cli::output, process::Folder};
use tower_token_exchange::records::ServerPreset;

const PAGE: &str = include_str!("../../docs/servers.md");

/// The blocks of this language on the page.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("```{language}\n");
    PAGE.split("\n## ").flat_map(move |section| {
        let blocks = section.split(&*start).skip(1).collect::<Vec<_>>();
        blocks.into_iter().map(|block| block.split("```").next().unwrap())
    })
}

#[test]
fn every_configuration_on_the_page_is_valid() {
    let folder = Folder::new();
    folder.keygen("active.pem");
    folder.write("gateway.secret", "a-secret-of-the-gateway");
    let shown = include_str!("../../gateway.toml");
    let (before, rest) = shown.split_once("\n[upstream.tokens]").unwrap();
    let (_, after) = rest.split_once("\n[keys]").unwrap();
    let mut count = 0;
    for block in blocks("toml") {
        folder.write("gateway.toml", &format!("{before}\n{block}\n[keys]{after}"));
        let report = output(&folder, &["check"]);
        assert!(report.starts_with("exit 0\n"), "{block}\n{report}");
        count += 1;
    }
    assert!(count >= 15, "{count} configurations were found");
}

#[test]
fn the_page_has_every_preset() {
    for preset in ServerPreset::ALL {
        assert!(PAGE.contains(&format!("preset = \"{preset}\"")), "the page does not have `{preset}`");
    }
}

#[test]
fn every_sample_on_the_page_is_json() {
    for block in blocks("json") {
        assert!(serde_json::from_str::<serde_json::Value>(block).is_ok(), "{block}");
    }
}
