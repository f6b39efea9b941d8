//! Forms and JSON as the most lenient server reads them.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};
use zeroize::Zeroizing;

/// Whether a condition holds for any value that a server could read for a parameter of a form.
///
/// The search accepts more than the strict parser: broken escapes, `;` as a separator, and names in any letter case, with
/// an array suffix, cut off at a NUL, or changed as some servers change names. A value is given to the condition without
/// the white space around the value, and without everything from a NUL on.
pub(crate) fn any_parameter(form: &[u8], name: &str, mut condition: impl FnMut(&str) -> bool) -> bool {
    any_pair(form, name, &mut condition)
        || with_standard_escapes(form).is_some_and(|form| any_pair(&form, name, &mut condition))
}

fn any_pair(form: &[u8], name: &str, condition: &mut impl FnMut(&str) -> bool) -> bool {
    let mut holds = |pair: &[u8]| {
        form_urlencoded::parse(pair).any(|(found, value)| {
            is_named(&unescaped_utf16(&found), name.as_bytes()) && condition(unquoted(&unescaped_utf16(&value)))
        })
    };
    // Some servers end a parameter at `;`, and for others `;` is a part of the name or the value.
    let with_semicolons = form.contains(&b';').then(|| form.split(|byte| matches!(byte, b'&' | b';')));
    let mut pairs = form.split(|byte| *byte == b'&').chain(with_semicolons.into_iter().flatten());
    pairs.any(|pair| holds(pair) || split_after_bracket(pair).is_some_and(|pair| holds(&pair)))
}

/// The form with standard escapes in place of those that Jetty accepts too, such as `%6>` for `%6e`. `None` if there are none.
fn with_standard_escapes(form: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let is_unusual = |escape: &[u8]| {
        escape[0] == b'%'
            && escape[1..].iter().all(|digit| lenient_digit(*digit).is_some())
            && !escape[1..].iter().all(u8::is_ascii_hexdigit)
    };
    if !form.windows(3).any(is_unusual) {
        return None;
    }
    let mut standard = Zeroizing::new(form.to_vec());
    let mut at = 0;
    while at + 2 < standard.len() {
        let digits = (lenient_digit(standard[at + 1]), lenient_digit(standard[at + 2]));
        if let (b'%', (Some(high), Some(low))) = (standard[at], digits) {
            (standard[at + 1], standard[at + 2]) = (high, low);
            at += 2;
        }
        at += 1;
    }
    Some(standard)
}

/// The hexadecimal digit that Jetty reads. Jetty calculates the value of a digit, and other characters have the same results.
fn lenient_digit(byte: u8) -> Option<u8> {
    let value = match byte {
        0x10..=0x1f => byte - 0x10,
        b'0'..=b'?' => byte - b'0',
        b'@'..=b'F' | b'`'..=b'f' => (byte & 0x1f) + 9,
        _ => return None,
    };
    Some(b"0123456789abcdef"[usize::from(value)])
}

/// The pair as qs reads a pair with `=` between brackets: the name ends at the first `]` before a `=`.
fn split_after_bracket(pair: &[u8]) -> Option<Vec<u8>> {
    let is_end = |at: &usize| {
        let before = &pair[..*at];
        pair[*at] == b'=' && (before.ends_with(b"]") || before.ends_with(b"%5D") || before.ends_with(b"%5d"))
    };
    let end = (0..pair.len()).find(is_end).filter(|end| pair[..*end].contains(&b'='))?;
    let name = pair[..end].split(|byte| *byte == b'=').collect::<Vec<_>>().join(&b"%3D"[..]);
    Some([&name, &pair[end..]].concat())
}

/// Whether a condition holds for any string in a JSON text. Member names do not count. `None` if the text is not JSON.
pub(crate) fn any_string(json: &[u8], mut condition: impl FnMut(&str) -> bool) -> Option<bool> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let found = deserializer.deserialize_any(Search(&mut |text| condition(trimmed(text)))).ok()?;
    deserializer.end().ok().map(|()| found)
}

/// Whether a body could be JSON for a server that does not look at the media type. No form begins in this way.
pub(crate) fn begins_like_json(body: &[u8]) -> bool {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || b"\0\xef\xbb\xbf\xfe\xff".contains(byte);
    body.iter().find(|byte| !is_space(byte)).is_some_and(|byte| b"{[\"/".contains(byte))
}

fn is_named(found: &str, wanted: &[u8]) -> bool {
    // Some servers skip brackets, dots and a question mark before a name, and after a name the rest that begins with a bracket
    // or a dot.
    let found = trimmed(found.trim_start_matches(|c| is_ignored(c) || matches!(c, '[' | ']' | '.' | '?')));
    let Some((start, rest)) = found.as_bytes().split_at_checked(wanted.len()) else { return false };
    // Some servers replace `.`, ` ` and `[` in a name by `_`.
    let reads_as = |(is, wanted): (&u8, &u8)| {
        is.eq_ignore_ascii_case(wanted) || (*wanted == b'_' && matches!(is, b'.' | b' ' | b'['))
    };
    // Some servers take `grant_type[0]` and `grant_type.0` for elements of a list.
    let ends = rest.trim_ascii().is_empty()
        || rest.trim_ascii().starts_with(b"[")
        || rest.starts_with(b"]")
        || rest.starts_with(b".");
    start.iter().zip(wanted).all(reads_as) && ends
}

/// Decodes escapes such as `%u0067`, which some servers accept in addition to `%67`.
pub(crate) fn unescaped_utf16(text: &str) -> Cow<'_, str> {
    if !text.contains("%u") && !text.contains("%U") {
        return Cow::Borrowed(text);
    }
    let mut pieces = text.split('%');
    let mut read = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let escape = piece.strip_prefix(['u', 'U']).and_then(|rest| rest.split_at_checked(4));
        let code = escape.and_then(|(hex, _)| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match (code, escape) {
            (Some(c), Some((_, rest))) => {
                read.push(c);
                read.push_str(rest);
            }
            _ => {
                read.push('%');
                read.push_str(piece);
            }
        }
    }
    Cow::Owned(read)
}

/// Removes the white space, the control characters and the byte order mark that lenient servers ignore at the ends, and
/// everything from a NUL on.
fn trimmed(text: &str) -> &str {
    let text = text.trim_start_matches(is_ignored);
    text.split('\0').next().unwrap_or_default().trim_end_matches(is_ignored)
}

/// Removes quotation marks and a second `=` too, which servers remove from cookies.
fn unquoted(value: &str) -> &str {
    let value = value.trim_start_matches(|c| is_ignored(c) || matches!(c, '=' | '"'));
    trimmed(value).trim_end_matches(|c| is_ignored(c) || c == '"')
}

fn is_ignored(c: char) -> bool {
    // A byte that is not UTF-8 became U+FFFD. A server that reads Latin-1 takes the byte A0 for a space.
    c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{fffd}')
}

/// Looks at every string, also after the condition holds.
struct Search<'a>(&'a mut dyn FnMut(&str) -> bool);

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok((self.0)(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(here) = elements.next_element_seed(Search(self.0))? {
            found |= here;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = false;
        while members.next_key::<IgnoredAny>()?.is_some() {
            found |= members.next_value_seed(Search(self.0))?;
        }
        Ok(found)
    }
}
