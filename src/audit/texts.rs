//! The texts of a request in an audit event.
//!
//! A text stands in an event in clear only if a record has exactly this text. Every other text can be a secret in the wrong
//! place. The event has the length and a hash of such a text. Equal texts have equal hashes while the process runs. The
//! key of the hash is random and never leaves the process, so nobody can find a text by hashing guesses.

use data_encoding::BASE64URL_NOPAD;
use ring::{hmac, rand::SystemRandom};
use std::sync::LazyLock;

/// The longest text in bytes that stands in an event in clear.
const MAX_BYTES: usize = 128;
/// The most texts of a list that stand in an event in clear.
const MAX_TEXTS: usize = 16;
/// The length of a hash in bytes.
const HASH_BYTES: usize = 12;

/// `None` if the system has no randomness. No text has a hash then.
static KEY: LazyLock<Option<hmac::Key>> =
    LazyLock::new(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());

/// Describes a text that no record has, such as `[12 characters, hash mJpX2kq0Vw7cT3aB]`.
pub(super) fn described(text: &str) -> String {
    format!("[{}]", measured([text]))
}

/// Returns a text in clear if the text is known, and otherwise its description.
pub(super) fn known_or_described(text: &str, is_known: bool) -> String {
    if is_known && text.len() <= MAX_BYTES { text.to_owned() } else { described(text) }
}

/// Returns the known texts of a list, and one description of all other texts, such as
/// `[2 others, 30 characters, hash mJpX2kq0Vw7cT3aB]`.
pub(super) fn known_and_others<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    is_known: impl Fn(&str) -> bool,
) -> Vec<String> {
    let (mut known, mut others): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    for text in texts {
        if known.len() < MAX_TEXTS && text.len() <= MAX_BYTES && is_known(text) {
            known.push(text.to_owned());
        } else {
            others.push(text);
        }
    }
    match others.len() {
        0 => {}
        1 => known.push(described(others[0])),
        count => known.push(format!("[{count} others, {}]", measured(others))),
    }
    known
}

fn measured<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut context = KEY.as_ref().map(hmac::Context::with_key);
    let mut characters = 0;
    for text in texts {
        characters += text.chars().count();
        if let Some(context) = &mut context {
            // With the length, two lists with the same characters have different hashes.
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
    }
    match context {
        Some(context) => {
            let tag = context.sign();
            format!("{characters} characters, hash {}", BASE64URL_NOPAD.encode(&tag.as_ref()[..HASH_BYTES]))
        }
        None => format!("{characters} characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_short_text_stands_in_clear() {
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(known_or_described("orders", true), "orders");
        for (text, is_known) in [("s3cret", false), (&*long, true)] {
            let described = known_or_described(text, is_known);
            assert!(!described.contains(text) && described.starts_with('['), "{described}");
        }
    }

    #[test]
    fn equal_texts_have_equal_hashes() {
        assert_eq!(described("s3cret"), described("s3cret"));
        assert_ne!(described("s3cret"), described("s3creT"));
        let none = |_: &str| false;
        assert_ne!(known_and_others(["ab", "c"], none), known_and_others(["a", "bc"], none));
    }

    #[test]
    fn a_list_has_a_fixed_size() {
        let texts: Vec<String> = (0..60).map(|n| format!("{n}{}", "\"".repeat(250))).collect();
        let listed = known_and_others(texts.iter().map(String::as_str), |_| false);
        assert_eq!(listed.len(), 1);
        assert!(listed[0].starts_with("[60 others, ") && listed[0].len() < 64, "{}", listed[0]);
        let known = known_and_others(["a"; 60], |_| true);
        assert_eq!(known.len(), MAX_TEXTS + 1);
    }
}
