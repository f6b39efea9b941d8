/// The longest text in a log line, in characters.
const MAX: usize = 256;

/// Makes an untrusted text safe for a log line: escapes unprintable characters, and cuts off after 256 characters.
pub(crate) fn escaped(text: &str) -> String {
    if is_safe(text) {
        return text.to_owned();
    }
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

/// Makes a text safe for a log line, as [`escaped`] does, and makes an identifier of the text.
pub(crate) fn escaped_as<T: for<'a> From<&'a str>>(text: &str) -> T {
    if is_safe(text) { text.into() } else { escaped(text).as_str().into() }
}

/// Makes an identifier safe for a log line, as [`escaped`] does. An identifier that is safe is shared.
pub(crate) fn escaped_id<T: AsRef<str> + Clone + From<String>>(id: &T) -> T {
    if is_safe(id.as_ref()) { id.clone() } else { escaped(id.as_ref()).into() }
}

/// Whether a text has only printable ASCII characters, and is short enough.
fn is_safe(text: &str) -> bool {
    text.len() <= MAX && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
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
