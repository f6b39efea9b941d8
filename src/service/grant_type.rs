//! The search for the token exchange grant in a body that another server could read in another way.

use crate::protocol::GRANT_TYPE;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

const PARAMETER: &[u8] = b"grant_type";

/// Whether any reading of a form contains the token exchange grant.
///
/// The search accepts more than the strict parser: broken escapes, `;` as a separator, and names in any letter case, with
/// an array suffix, cut off at a NUL, or changed as some servers change names. The layer must see the grant in every form
/// in which another server could read the grant.
pub(crate) fn form_contains_exchange_grant(form: &[u8]) -> bool {
    form.split(|byte| matches!(byte, b'&' | b';')).any(|pair| {
        form_urlencoded::parse(pair)
            .any(|(name, value)| is_grant_type(&unescaped_utf16(&name)) && is_exchange_grant(&unescaped_utf16(&value)))
    })
}

fn is_grant_type(name: &str) -> bool {
    let name = trimmed(name.split('\0').next().unwrap_or_default());
    let Some((start, rest)) = name.as_bytes().split_at_checked(PARAMETER.len()) else { return false };
    // Some servers replace `.`, ` ` and `[` in a name by `_`.
    let reads_as = |(is, wanted): (&u8, &u8)| {
        is.eq_ignore_ascii_case(wanted) || (*wanted == b'_' && matches!(is, b'.' | b' ' | b'['))
    };
    // Some servers take `grant_type[0]` and `grant_type.0` for elements of a list.
    let ends = rest.trim_ascii().is_empty() || rest.trim_ascii().starts_with(b"[") || rest.starts_with(b".");
    start.iter().zip(PARAMETER).all(reads_as) && ends
}

/// Decodes escapes such as `%u0067`, which some servers accept in addition to `%67`.
fn unescaped_utf16(text: &str) -> Cow<'_, str> {
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

/// Whether any string in a JSON text is the token exchange grant. `None` if the text is not JSON.
pub(crate) fn json_contains_exchange_grant(json: &[u8]) -> Option<bool> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let found = deserializer.deserialize_any(Search).ok()?;
    deserializer.end().ok().map(|()| found)
}

fn is_exchange_grant(text: &str) -> bool {
    let text = text.find('\0').map_or(text, |end| &text[..end]);
    trimmed(text).eq_ignore_ascii_case(GRANT_TYPE)
}

/// Removes the white space and the byte order mark that lenient servers ignore.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

struct Search;

impl<'de> serde::de::DeserializeSeed<'de> for Search {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search {
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
        Ok(is_exchange_grant(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(here) = elements.next_element_seed(Search)? {
            found |= here;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = false;
        while members.next_key::<IgnoredAny>()?.is_some() {
            found |= members.next_value_seed(Search)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_is_found_in_every_form() {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        for form in [
            format!("grant_type={grant}"),
            format!("grant_type={GRANT_TYPE}"),
            format!("a=b&grant_type={grant}"),
            format!("grant_type=password&grant_type={grant}"),
            format!("%67rant_type={grant}"),
            format!("GRANT_TYPE={grant}"),
            format!("grant_type[]={grant}"),
            format!("grant_type=password;grant_type={grant}"),
            format!("grant_type=+{grant}+"),
            format!("grant_type={}", grant.to_uppercase()),
            format!("x=%ff&grant_type={grant}"),
            format!("grant.type={grant}"),
            format!("grant+type={grant}"),
            format!("grant[type={grant}"),
            format!("grant_type+[]={grant}"),
            format!("%EF%BB%BFgrant_type%00x={grant}"),
            format!("%u0067rant_type={grant}"),
            format!("%U0067rant_type={grant}"),
            format!("grant_type=%u0075{}", &grant[1..]),
            format!("%u00zz=x&%u=y&grant_type={grant}"),
        ] {
            assert!(form_contains_exchange_grant(form.as_bytes()), "{form}");
        }
        for form in [
            "",
            "%u",
            "%u006",
            "grant_type=password",
            &format!("grant_types={grant}"),
            &format!("grant-type={grant}"),
            &format!("g.ant_type={grant}"),
            &format!("scope={grant}"),
            &format!("{grant}=grant_type"),
        ] {
            assert!(!form_contains_exchange_grant(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn the_grant_is_found_anywhere_in_json() {
        let grant = GRANT_TYPE;
        let escaped = grant.replace('u', "\\u0075");
        let cases = [
            (format!(r#"{{"grant_type":"{grant}"}}"#), Some(true)),
            (format!(r#"{{"grant_type":"{escaped}"}}"#), Some(true)),
            (format!(r#"{{"grant_type":"{grant}","grant_type":"password"}}"#), Some(true)),
            (format!(r#"{{"a":[{{"b":"{grant}"}},1.5,-1,null,true]}}"#), Some(true)),
            (format!(r#""{grant}""#), Some(true)),
            (r#"{"grant_type":"password","n":[null,true,-1,1,1.5]}"#.to_owned(), Some(false)),
            (String::new(), None),
            (format!(r#"{{"grant_type":"{grant}",}}"#), None),
            (format!(r#"/**/{{"grant_type":"{grant}"}}"#), None),
            (format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), None),
        ];
        for (json, found) in cases {
            assert_eq!(json_contains_exchange_grant(json.as_bytes()), found, "{}", &json[..json.len().min(60)]);
        }
    }
}
