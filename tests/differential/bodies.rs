//! Bodies and their media types.

use crate::{
    random::Random,
    words::{SPECIAL, name, parameters, value},
};
use tower_token_exchange::GRANT_TYPE;

const FORM: &str = "application/x-www-form-urlencoded";
const TYPES: [&str; 22] = [
    "",
    "text/plain",
    "application/json",
    "text/json",
    "application/problem+json",
    "application/xml",
    "application/octet-stream",
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "application/x-www-form-urlencoded;",
    "application/x-www-form-urlencoded ; charset=utf-8",
    "application/x-www-form-urlencoded; charset=iso-8859-1",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded; charset=utf-7",
    "application/x-www-form-urlencoded; charset=cp037",
    "application/x-www-form-urlencoded;charset*=utf-16''x",
    "application/x-www-form-urlencoded, application/json",
    "application/x-www-form-urlencoded x/json",
    "application/x-www-form-urlencoded/json",
    "application/json; charset=utf-16",
    "application/json, application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/mixed; boundary=x",
];

/// A body with its media type. An empty media type means no header.
pub(crate) fn body(random: &mut Random) -> (String, Vec<u8>) {
    let (content_type, mut body) = match random.below(20) {
        0..=12 => (FORM.to_owned(), parameters(random).into_bytes()),
        13..=16 => ("application/json".to_owned(), json(random).into_bytes()),
        17..=18 => multipart(random),
        _ => (FORM.to_owned(), Vec::new()),
    };
    let content_type = match random.percent(20) {
        true => random.pick(&TYPES).to_owned(),
        false => content_type,
    };
    if random.percent(15) {
        change_bytes(random, &mut body);
    }
    if random.percent(4) {
        body = encoded(random, &body);
    }
    (content_type, body)
}

fn change_bytes(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..=random.below(2) {
        let at = random.below(body.len() + 1);
        match random.below(3) {
            0 => body.insert(at, random.pick(SPECIAL)),
            1 if at < body.len() => body[at] = random.pick(SPECIAL),
            2 if at < body.len() => drop(body.remove(at)),
            _ => body.truncate(at),
        }
    }
}

/// The text in another encoding.
fn encoded(random: &mut Random, body: &[u8]) -> Vec<u8> {
    let wide = |bytes: fn(u8) -> Vec<u8>| body.iter().flat_map(|byte| bytes(*byte)).collect::<Vec<u8>>();
    match random.below(7) {
        0 => wide(|byte| vec![0, byte]),
        1 => wide(|byte| vec![byte, 0]),
        2 => [vec![0xfe, 0xff], wide(|byte| vec![0, byte])].concat(),
        3 => [vec![0xff, 0xfe], wide(|byte| vec![byte, 0])].concat(),
        4 => wide(|byte| vec![0, 0, 0, byte]),
        5 => [&[0xef, 0xbb, 0xbf], body].concat(),
        _ => wide(|byte| vec![byte | 0x80]),
    }
}

fn json(random: &mut Random) -> String {
    let name = match random.below(8) {
        0 => "Grant_Type".to_owned(),
        1 => "\\u0067rant_type".to_owned(),
        2 => name(random),
        _ => "grant_type".to_owned(),
    };
    let value = match random.below(10) {
        0 => GRANT_TYPE.to_uppercase(),
        1 => GRANT_TYPE.replace('u', "\\u0075"),
        2 => format!("\\u0000{GRANT_TYPE}\\t"),
        3 => format!(" {GRANT_TYPE}\\u0000x"),
        4 => value(random),
        5 => format!("\\u001f{}", GRANT_TYPE.replace(':', "\\u003a")),
        6 => format!("&grant_type={GRANT_TYPE}&"),
        7 => GRANT_TYPE.replace('k', "\\u212a").replace('/', "\\/"),
        _ => GRANT_TYPE.to_owned(),
    };
    let value = match random.below(12) {
        0 => format!("[\"{value}\"]"),
        1 => format!("[[],{{\"a\":\"{value}\"}}]"),
        2 => format!("{{\"a\":[\"{value}\"]}}"),
        3 => format!("'{value}'"),
        4 => value,
        _ => format!("\"{value}\""),
    };
    let member = format!("\"{name}\":{value}");
    let other = random.pick(&[
        "\"grant_type\":\"password\"",
        "\"a\":1e999",
        "\"a\":NaN",
        "\"a\":\"\\ud800\"",
        "\"a\":01",
        "a:1",
        "\"a\":\"\t\"",
        "\"a\":\"\\x\"",
        "\"json_class\":\"String\"",
        "\"__proto__\":{}",
    ]);
    let object = match random.below(10) {
        0 => format!("{{{member},{other}}}"),
        1 => format!("{{{other},{member}}}"),
        2 => format!("{{{member},}}"),
        3 => format!("{{{member}/**/}}"),
        4 => format!("{{{member}"),
        5 => format!("[{{{member}}}]"),
        6 => member,
        _ => format!("{{{member}}}"),
    };
    let before =
        random.pick(&["", "", "", "", " ", "\n", "\u{feff}", "/**/", "//\n", "\0", ")]}',\n", "\u{c}", "null "]);
    let after = random.pick(&["", "", "", "", " ", "x", "{}", "\0", "//", ",", "&grant_type=password"]);
    format!("{before}{object}{after}")
}

fn multipart(random: &mut Random) -> (String, Vec<u8>) {
    let boundary = random.pick(&["x", "x", "\"x\"", "x y", "", "x; boundary=y", "=_x", "X"]);
    let media_type =
        random.pick(&["multipart/form-data", "multipart/form-data", "Multipart/Form-Data", "multipart/mixed"]);
    let content_type = format!("{media_type}; boundary={boundary}");
    let end = random.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let plain = boundary.trim_matches('"').split(';').next().unwrap_or_default();
    let field = random.pick(&[
        "name=\"grant_type\"",
        "name=grant_type",
        "name='grant_type'",
        "name*=utf-8''grant_type",
        "name=\"grant_type\"; filename=\"a\"",
        "filename=\"a\"; name=\"grant_type\"",
        "name=\"grant_type[]\"",
        "Name = \"grant_type\"",
    ]);
    let more = random.pick(&["", "", "Content-Transfer-Encoding: base64", "Content-Type: text/plain; charset=utf-16"]);
    let more = if more.is_empty() { String::new() } else { format!("{more}{end}") };
    let body = format!(
        "--{plain}{end}Content-Disposition: form-data; {field}{end}{more}{end}{GRANT_TYPE}{end}--{plain}--{end}"
    );
    (content_type, body.into_bytes())
}
