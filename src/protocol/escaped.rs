/// Makes an untrusted text safe for a log line: escapes unprintable characters, and cuts off after 256 characters.
pub(crate) fn escaped(text: &str) -> String {
    const MAX: usize = 256;
    let plain = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    let mut safe = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            safe.push('…');
            break;
        }
        if plain(c) { safe.push(c) } else { safe.extend(c.escape_unicode()) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrusted_text_cannot_forge_a_log_line() {
        assert_eq!(escaped("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), 257);
    }
}
