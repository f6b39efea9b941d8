//! The function that the target `forwarding` in `fuzz/` calls. This module is built for tests and by `cargo fuzz` only.

use crate::forward::{Forwarding, Peer};
use http::{HeaderName, Request, header};
use std::{net::SocketAddr, sync::LazyLock};

static FORWARDING: LazyLock<Forwarding> = LazyLock::new(|| {
    let forwarding = Forwarding::builder().server("http://10.0.0.7:3000").public_url("https://as.example").hosts(["*"]);
    forwarding.build().expect("two URLs")
});

/// Checks the headers that the server gets for the header lines of a client that is no proxy.
pub fn forwarding(data: &[u8]) {
    let mut request = Request::post("/token");
    for line in data.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let Ok(request) = request.body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    parts.extensions.insert(Peer::new(SocketAddr::from(([192, 0, 2, 7], 5000))));
    let before = parts.headers.clone();
    FORWARDING.forward(&mut parts);

    let headers = &parts.headers;
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        assert!(values.next().is_none(), "one {name}");
        value
    };
    // The server believes these headers, so the gateway alone writes them.
    assert_eq!(only("x-forwarded-for").as_deref(), Some("192.0.2.7"));
    assert_eq!(only("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(only("x-forwarded-host"), only("host"));
    let forwarded = only("forwarded").expect("a header of the gateway");
    let parameters: Vec<_> = parameters(&forwarded);
    assert_eq!(parameters.len(), 3, "{forwarded}");
    assert_eq!((parameters[0].as_str(), parameters[2].as_str()), ("for=192.0.2.7", "proto=http"));
    for name in headers.keys().map(HeaderName::as_str) {
        let read = name.replace('_', "-");
        let is_written = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"].contains(&name);
        let names_a_client =
            ["x-forwarded-", "x-real-ip", "client-cert", "ssl-client-", "x-original-", "x-rewrite-url"]
                .iter()
                .any(|prefix| read.starts_with(prefix));
        assert!(is_written || !names_a_client, "{name}");
        assert!(!["transfer-encoding", "keep-alive", "proxy-connection", "upgrade"].contains(&name), "{name}");
    }
    // What the layer has judged reaches the server.
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::AUTHORIZATION] {
        assert!(headers.get_all(&name).iter().eq(before.get_all(&name).iter()), "{name}");
    }
    assert_eq!(headers.contains_key(header::COOKIE), before.contains_key(header::COOKIE));
}

/// The parameters of `Forwarded`, with quoted values (RFC 7239 section 4).
fn parameters(forwarded: &str) -> Vec<String> {
    let (mut parameters, mut is_quoted) = (vec![String::new()], false);
    for c in forwarded.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ';' | ',' if !is_quoted => parameters.push(String::new()),
            c => parameters.last_mut().expect("a parameter").push(c),
        }
    }
    parameters
}

#[test]
fn seeds_of_headers_pass() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/forwarding");
    let seeds: Vec<_> = std::fs::read_dir(seeds).expect("a folder").map(|seed| seed.expect("a seed").path()).collect();
    assert!(seeds.len() >= 10);
    for seed in seeds {
        // Shown with a failure only, and names the seed.
        eprintln!("{}", seed.display());
        forwarding(&std::fs::read(seed).expect("a seed"));
    }
}
