//! Candidates from a grammar of requests, with random changes.

use crate::{bodies::body, candidate::Candidate, random::Random, words::parameters};

const METHODS: [&str; 12] =
    ["GET", "PUT", "PATCH", "DELETE", "post", "Post", "QUERY", "HEAD", "OPTIONS", "get", "REPORT", "P"];
const PATHS: [&str; 56] = [
    "/token",
    "/token/",
    "/token/x",
    "/token/x/y.z",
    "/token//",
    "/token.",
    "/token.json",
    "/token.php",
    "/token.php/x",
    "/index.php/token",
    "/index.php/token/x",
    "/index.php?/token",
    "//token",
    "//host/token",
    "///host/token",
    "/\\host/token",
    "//host:80/token",
    "//user@host/token/x",
    "/./token",
    "/x/../token",
    "/x/%2e%2e/token",
    "/x/..%2ftoken",
    "/x/..%5ctoken",
    "/x/..;/token",
    "/x;a=b/../token",
    "/;/token",
    "/;x/token",
    "/token;",
    "/token;x=y",
    "/token;/x",
    "/token;x/..;/token",
    "/%74oken",
    "/%2574oken",
    "/tok%65n",
    "/%u0074oken",
    "/TOKEN",
    "/Token",
    "/to%E2%84%AAen",
    "/token%00",
    "/token%00.js",
    "/token%20",
    "/token%0a",
    "/token%09",
    "/token%2F",
    "/token%2fx",
    "/token%5cx",
    "/token%3Fx",
    "/token%3bx",
    "/token%23x",
    "/token%E2%80%8B",
    "/token+",
    "/token~",
    "/token::$DATA",
    "/tokens",
    "/x/token",
    "/",
];
/// Pieces that are added to a path.
const PIECES: [&str; 24] = [
    "/", "/.", "/..", "//", ";", ";x", "%2e", "%2f", "%5c", "%00", "%20", ".", "..", "\\", "%", "%zz", "x", "%0d", ":",
    "@", "[", "%25", "~", "%c0%af",
];

/// The candidate with this number. The same number makes the same candidate.
pub(crate) fn candidate(seed: u64, number: u64) -> Candidate {
    let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let random = &mut random;
    let (content_type, body) = body(random);
    let mut headers = Vec::new();
    if !content_type.is_empty() {
        headers.push(("Content-Type".to_owned(), content_type));
    }
    if random.percent(8) {
        headers.push(other_header(random));
    }
    Candidate {
        method: if random.percent(85) { "POST" } else { random.pick(&METHODS) }.to_owned(),
        target: target(random),
        headers,
        body,
    }
}

fn target(random: &mut Random) -> String {
    let mut target = if random.percent(60) { "/token" } else { random.pick(&PATHS) }.to_owned();
    if random.percent(10) {
        for _ in 0..=random.below(2) {
            target.insert_str(1 + random.below(target.len()), random.pick(&PIECES));
        }
    }
    if random.percent(25) {
        let query = parameters(random);
        // A request line has no such bytes.
        target = format!("{target}?{}", query.replace([' ', '\n', '\r', '#'], "%20"));
    }
    target
}

fn other_header(random: &mut Random) -> (String, String) {
    let value = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match random.below(8) {
        0 | 1 => value("Cookie", &parameters(random).replace(['\n', '\r'], " ")),
        2 => value("Cookie", &format!("a=b; {}", parameters(random).replace(['\n', '\r'], " "))),
        3 => value("X-HTTP-Method-Override", "POST"),
        4 => value("X-Original-URL", "/token"),
        5 => {
            value("Content-Type", random.pick(&["application/json", "text/plain", "application/x-www-form-urlencoded"]))
        }
        6 => value("Content_Type", "application/x-www-form-urlencoded"),
        _ => value("Content-Encoding", random.pick(&["gzip", "identity", ""])),
    }
}

#[test]
fn a_candidate_depends_on_its_number_only() {
    let candidates = (0..1000).map(|number| candidate(1, number)).collect::<Vec<_>>();
    assert!(candidates.iter().eq(&(0..1000).map(|number| candidate(1, number)).collect::<Vec<_>>()));
    assert_ne!(candidates[0], candidate(2, 0));
}
