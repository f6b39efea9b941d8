//! Names, values and parameters, as an attacker changes them.

use crate::random::Random;
use tower_token_exchange::GRANT_TYPE;

const BEFORE: [&str; 24] = [
    "[",
    "]",
    "[[",
    "[]",
    "x[",
    " ",
    "+",
    "%20",
    "%09",
    "%0a",
    "%0B",
    "%00",
    "%01",
    "%1F",
    "%7f",
    "%C2%A0",
    "%C2%85",
    "%EF%BB%BF",
    "%E2%80%8B",
    "%FF",
    "&",
    ";",
    ".",
    "=",
];
const AFTER: [&str; 32] = [
    "[]",
    "[0]",
    "[a]",
    "[a][b]",
    "[][]",
    "]",
    "[",
    "[ ]",
    ".0",
    ".a",
    ".",
    "%00",
    "%00x",
    " ",
    "+",
    "%20",
    "%0D%0A",
    "%09",
    "%1C",
    "%5B%5D",
    "%5b0%5D",
    "%C2%A0",
    "%E3%80%80",
    "%EF%BB%BF",
    "=",
    "%3D",
    "#",
    "?",
    "'",
    "\"",
    ",",
    "/",
];
const FOR_UNDERSCORE: [&str; 16] =
    [".", " ", "+", "%20", "%2E", "%2e", "[", "%5B", "%5F", "%5f", "-", "%u005f", "%U005F", "__", "%00_", "%C1%9F"];
const SEPARATORS: [&str; 14] = ["&", "&", "&", "&", "&", ";", "&&", "& ", "&;", ",", "\n", "\r\n", "%26", "|"];
const OTHERS: [&str; 16] = [
    "a=b",
    "x",
    "=",
    "=x",
    "grant_type=password",
    "grant_type=",
    "grant_type",
    "scope=a+b",
    "x=%zz",
    "x=%",
    "x=%u",
    "x=%ff",
    "grant_type[]=refresh_token",
    "grant_type[a]=b",
    "_charset_=utf-16",
    "utf8=%E2%9C%93",
];
/// Bytes that some parser treats in a special way.
pub(crate) const SPECIAL: &[u8] =
    b"\0\x01\t\n\x0b\r\x1f \"#%&'()+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\xa0\xad\xbf\xc0\xc1\xfe\xffuU0xgG";

/// The name of the parameter.
pub(crate) fn name(random: &mut Random) -> String {
    let mut name = "grant_type".to_owned();
    if random.percent(15) {
        name = name.replace('_', random.pick(&FOR_UNDERSCORE));
    }
    changed(random, name)
}

/// The grant as a value.
pub(crate) fn value(random: &mut Random) -> String {
    let value = match random.below(8) {
        0..=3 => GRANT_TYPE.to_owned(),
        4..=5 => GRANT_TYPE.replace(':', "%3A"),
        6 => GRANT_TYPE.replace(':', "%3a").replace('-', "%2D"),
        _ => GRANT_TYPE.bytes().map(|byte| format!("%{byte:02x}")).collect(),
    };
    if random.percent(70) { value } else { changed(random, value) }
}

/// Some parameters, with the grant among them in most cases.
pub(crate) fn parameters(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let place = random.below(count + 1);
    let mut text = String::new();
    for position in 0..count {
        if position > 0 || random.percent(3) {
            text += random.pick(&SEPARATORS);
        }
        if position == place.min(count - 1) && random.percent(92) {
            text += &name(random);
            text += if random.percent(94) { "=" } else { random.pick(&["%3D", "==", ":", " = ", "=%", ""]) };
            text += &value(random);
        } else {
            text += random.pick(&OTHERS);
        }
    }
    if random.percent(5) {
        text += random.pick(&SEPARATORS);
    }
    text
}

/// Up to three changes. Half of the texts stay as they are.
fn changed(random: &mut Random, mut text: String) -> String {
    let changes = random.pick(&[0, 0, 0, 0, 1, 1, 1, 2, 2, 3]);
    for _ in 0..changes {
        let at = random.below(text.len());
        match random.below(9) {
            0 | 1 => text.insert_str(0, random.pick(&BEFORE)),
            2 | 3 => text += random.pick(&AFTER),
            4 => replace_at(&mut text, at, |byte| format!("%{byte:02X}")),
            5 => replace_at(&mut text, at, |byte| format!("%{byte:02x}")),
            6 => {
                let text_of = random.pick::<fn(u8) -> String>(&[
                    |byte| format!("%u{byte:04x}"),
                    |byte| format!("%25{byte:02x}"),
                    // The overlong form of UTF-8.
                    |byte| format!("%{:02X}%{:02X}", 0xc0 | (byte >> 6), 0x80 | (byte & 0x3f)),
                    // A letter of full width.
                    |byte| format!("%EF%BD%{:02X}", byte.wrapping_add(0x20) & 0xbf),
                    |byte| format!("\\u{byte:04x}"),
                    |byte| format!("&#{byte};"),
                    |byte| if byte == b'k' { "%E2%84%AA".to_owned() } else { "%C5%BF".to_owned() },
                ]);
                replace_at(&mut text, at, text_of);
            }
            7 => replace_at(&mut text, at, |byte| {
                let other =
                    if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
                char::from(other).to_string()
            }),
            _ => text.insert_str(at, random.pick(&BEFORE)),
        }
    }
    if random.percent(3) { text.to_uppercase() } else { text }
}

/// Replaces one character. The text is ASCII.
fn replace_at(text: &mut String, at: usize, with: impl Fn(u8) -> String) {
    let byte = text.as_bytes()[at];
    text.replace_range(at..=at, &with(byte));
}
