//! All other traffic is the same, byte for byte, as without the gateway, except for the headers that a proxy must change.

use crate::{World, process::exchange_bytes};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Headers of one connection, and headers that a proxy adds (RFC 9110 section 7.6, RFC 7239, W3C Trace Context).
const A_PROXYS: [&str; 12] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "traceparent",
    "te",
    "upgrade",
];

/// A parsed message: the first line, the other headers as they are written, and the body without chunks.
#[derive(Debug, PartialEq)]
struct Message {
    line: String,
    headers: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl Message {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("{bytes:?}"));
        let (head, body) = (&bytes[..end], &bytes[end + 4..]);
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let line = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
        let name =
            |line: &[u8]| String::from_utf8_lossy(line.split(|byte| *byte == b':').next().unwrap()).to_lowercase();
        let all: Vec<&[u8]> = lines.collect();
        let chunked = all.iter().any(|line| line.to_ascii_lowercase().starts_with(b"transfer-encoding: chunked"));
        let mut headers: Vec<_> =
            all.into_iter().filter(|line| !A_PROXYS.contains(&&*name(line))).map(<[u8]>::to_vec).collect();
        // The order of headers with different names has no meaning (RFC 9110 section 5.3).
        headers.sort_by_key(|line| name(line));
        Self { line, headers, body: if chunked { unchunked(body) } else { body.to_vec() } }
    }

    /// The message without the `Date` that the gateway adds if the server sends none.
    fn undated(mut self) -> Self {
        self.headers.retain(|line| !line.to_ascii_lowercase().starts_with(b"date:"));
        self
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..][..size]);
        rest = &rest[end + 4 + size..];
    }
}

#[test]
fn other_traffic_passes_byte_for_byte() {
    let world = World::start(|configuration| configuration);
    let large: String =
        (0..16 * 1024 * 1024).map(|at: u32| char::from(b'a' + (at.wrapping_mul(at) >> 7) as u8 % 26)).collect();
    let large_answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: {}\r\nDate: x\r\n\r\n{large}",
        large.len()
    );
    let form = "grant_type=password&username=a%20b&password=%C3%A9&&x;y=1";
    // The head of the request, its body, and the answer. Each path occurs once.
    let kinds: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "GET /authorize?client_id=web&scope=a+b%20c&state=%7Bx%7D&&odd=%zz HTTP/1.1\nCookie: a=1; b=\"2\"",
            "",
            b"HTTP/1.1 303 See Other\r\nLocation: /login/x?y=%20\r\nSet-Cookie: a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\nSet-Cookie: b=2; HttpOnly\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        (
            "GET /a%2Fb/../%41/;v=1/login HTTP/1.1\nAccept-Language: de\nX-MiXeD-CaSe: Kept\nAccept-Encoding: gzip",
            "",
            b"HTTP/1.1 200 All Is Well\r\nContent-Type: text/html\r\nX-LaTin: caf\xe9\r\nContent-Encoding: gzip\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Length: 15\r\n\r\n<p>not gzip</p>".to_vec(),
        ),
        ("GET /download HTTP/1.1", "", large_answer.into_bytes()),
        (
            "GET /in-chunks HTTP/1.1",
            "",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n".to_vec(),
        ),
        (
            "HEAD /page HTTP/1.1",
            "",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12345\r\nETag: \"x\"\r\n\r\n".to_vec(),
        ),
        (
            "OPTIONS /token HTTP/1.1\nOrigin: https://app.example\nAccess-Control-Request-Method: POST",
            "",
            b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: https://app.example\r\nAccess-Control-Allow-Methods: POST\r\nVary: Origin\r\n\r\n".to_vec(),
        ),
        (
            "GET /style.css HTTP/1.1\nIf-None-Match: \"v1\", W/\"v2\"\nIf-Modified-Since: Mon, 23 Nov 2026 10:00:00 GMT",
            "",
            b"HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nCache-Control: max-age=60\r\n\r\n".to_vec(),
        ),
        (
            "GET /video HTTP/1.1\nRange: bytes=2-5",
            "",
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\n\r\ncdef".to_vec(),
        ),
        (
            "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\nAuthorization: Basic eDp5",
            form,
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: Bearer\r\nCache-Control: no-store\r\nContent-Length: 27\r\n\r\n{\"error\": \"invalid_client\"}".to_vec(),
        ),
        (
            "PUT /clients/1 HTTP/1.1\nContent-Type: application/json\nExpect: x",
            "{\"a\":[1.50,\"\\u00e9\"]}",
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\noops\n".to_vec(),
        ),
        ("DELETE /session HTTP/1.1\nCookie: a=1", "", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ];
    for (head, body, answer) in kinds {
        let path = head.split([' ', '?']).nth(1).unwrap();
        world.upstream.answers(path, answer);
        let mut head = head.replace("Expect: x", "X-Y: z");
        if !body.is_empty() {
            head.push_str(&format!("\nContent-Length: {}", body.len()));
        }
        let request = [world.request(&head), body.into()].concat();
        let direct = Message::of(&exchange_bytes(world.upstream.port, &request).unwrap());
        let asked = Message::of(&world.upstream.seen(path));
        let through = Message::of(&exchange_bytes(world.gateway.port, &request).unwrap());
        let passed = Message::of(&world.upstream.seen(path));
        assert_eq!(passed, asked, "{path}: the request");
        let dated = direct.headers.iter().any(|line| line.starts_with(b"Date:"));
        let through = if dated { through } else { through.undated() };
        assert!(through.body == direct.body, "{path}: the body");
        assert_eq!((through.line, through.headers), (direct.line, direct.headers), "{path}: the answer");
    }
}

#[test]
fn requests_without_a_body_stay_without_one() {
    let world = World::start(|configuration| configuration);
    let framing = |path: &str| {
        let seen = String::from_utf8(world.upstream.seen(path)).unwrap().to_lowercase();
        let lines = seen.lines().take_while(|line| !line.is_empty());
        let lines = lines.filter(|line| line.starts_with("content-length") || line.starts_with("transfer-encoding"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for (path, method) in [("/a", "OPTIONS"), ("/b", "DELETE"), ("/c", "GET")] {
        world.upstream.answers(path, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(world.send(&world.request(&format!("{method} {path} HTTP/1.1"))).0, 200);
        assert_eq!(framing(path), [""; 0], "{method}");
    }
    // The requests of the gateway itself have a length too.
    assert_eq!(world.send(&world.exchange()).0, 200);
    let asked = framing("/token");
    assert!(asked.len() == 1 && asked[0].starts_with("content-length: "), "{asked:?}");
}

#[test]
fn an_event_stream_is_not_delayed() {
    let world = World::start(|configuration| configuration);
    world.upstream.does("/events", |stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").unwrap();
        std::thread::sleep(Duration::from_millis(700));
        stream.write_all(b"data: 2\n\n").unwrap();
    });
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    stream.write_all(&world.request("GET /events HTTP/1.1")).unwrap();
    let (started, mut seen, mut piece) = (Instant::now(), Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&seen).contains("data: 1") {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..length]);
    }
    assert!(started.elapsed() < Duration::from_millis(600), "the first event does not wait for the second");
    stream.read_to_end(&mut seen).unwrap();
    assert_eq!(Message::of(&seen).body, b"data: 1\n\ndata: 2\n\n");
}

#[test]
fn a_websocket_is_passed_both_ways() {
    let world = World::start(|configuration| configuration);
    world.upstream.does("/socket", |stream, _| {
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc=\r\n\r\nhello")
            .unwrap();
        let mut frame = [0; 4];
        stream.read_exact(&mut frame).unwrap();
        frame.reverse();
        stream.write_all(&frame).unwrap();
    });
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    let request = b"GET /socket HTTP/1.1\r\nHost: gateway.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8(seen).unwrap().to_lowercase();
    assert!(
        text.starts_with("http/1.1 101 ") && text.contains("upgrade: websocket") && text.contains("abc="),
        "{text}"
    );
    let asked = String::from_utf8(world.upstream.seen("/socket")).unwrap().to_lowercase();
    assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: websocket\r\n"), "{asked}");
    stream.write_all(b"ping").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"gnip");
}

#[test]
fn headers_for_proxies_are_replaced() {
    let world = World::start(|configuration| configuration);
    world.upstream.answers("/", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let lies = "GET / HTTP/1.1\nForwarded: for=6.6.6.6\nX-Forwarded-For: 6.6.6.6\nX-Forwarded-Host: evil.example\nX-Forwarded-Proto: https\nX-Real-IP: 6.6.6.6\nClient-Cert: :AA==:\nX-Forwarded-Prefix: /evil\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nX-Request-Id: mine\nProxy-Authorization: Basic eDp5\nTE: gzip\nX-Hop: 1\nConnection: x-hop";
    exchange_bytes(world.gateway.port, &world.request(lies)).unwrap();
    let seen = String::from_utf8(world.upstream.seen("/")).unwrap();
    let header = |name: &str| {
        let lines =
            seen.lines().filter_map(|line| line.split_once(": ")).filter(|(known, _)| known.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.to_owned()).collect::<Vec<_>>().join("|")
    };
    assert_eq!(header("host"), "gateway.test");
    assert_eq!(header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(header("x-forwarded-host"), "gateway.test");
    assert_eq!(header("x-forwarded-proto"), "http");
    assert_eq!(header("forwarded"), "for=127.0.0.1;host=\"gateway.test\";proto=http");
    assert_eq!(header("via"), "1.1 gateway");
    assert_eq!(header("x-request-id"), "mine");
    assert!(header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert!(!header("traceparent").contains("b7ad6b7169203331") && header("traceparent").ends_with("-01"));
    for gone in ["x-real-ip", "client-cert", "x-forwarded-prefix", "proxy-authorization", "te", "x-hop"] {
        assert_eq!(header(gone), "", "{gone}");
    }
    // The default port names the same host.
    let with_port = b"GET / HTTP/1.1\r\nHost: gateway.test:80\r\nConnection: close\r\n\r\n";
    assert!(exchange_bytes(world.gateway.port, with_port).unwrap().starts_with(b"HTTP/1.1 200 "));
    // The gateway does not answer for another host.
    let other = b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(exchange_bytes(world.gateway.port, other).unwrap().starts_with(b"HTTP/1.1 421 "));
}

#[test]
fn trailers_pass_both_ways() {
    let world = World::start(|configuration| configuration);
    let chunks = "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n";
    world
        .upstream
        .answers("/sum", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{chunks}"));
    for (te, passes) in [("TE: trailers\n", true), ("", false)] {
        let head = format!("POST /sum HTTP/1.1\n{te}Transfer-Encoding: chunked\nTrailer: X-Sum");
        let mut request = world.request(&head);
        if passes {
            let end = b"Connection: close\r\n\r\n";
            request.truncate(request.len() - end.len());
            request.extend(b"Connection: close, TE\r\n\r\n");
        }
        let answer = exchange_bytes(world.gateway.port, &[request, chunks.into()].concat()).unwrap();
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert_eq!(answer.ends_with("0\r\nx-sum: 1\r\n\r\n"), passes, "{answer}");
        let seen = String::from_utf8(world.upstream.seen("/sum")).unwrap().to_lowercase();
        assert!(seen.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{seen}");
        assert_eq!(seen.contains("te: trailers\r\n"), passes, "{seen}");
    }
}

#[test]
fn a_body_over_the_limit_gets_its_answer() {
    let world = World::start(|configuration| configuration);
    let body = vec![b'x'; 8 * 1024 * 1024];
    let form = "Content-Type: application/x-www-form-urlencoded";
    let length = body.len();
    let sized = world.request(&format!("POST /token HTTP/1.1\n{form}\nContent-Length: {length}"));
    let chunked = world.request(&format!("POST /token HTTP/1.1\n{form}\nTransfer-Encoding: chunked"));
    let chunk = [format!("{length:x}\r\n").into_bytes(), body.clone(), b"\r\n0\r\n\r\n".to_vec()].concat();
    for (head, body) in [(sized, body), (chunked, chunk)] {
        // The whole body is sent before the answer is read.
        let answer = exchange_bytes(world.gateway.port, &[head, body].concat()).expect("no reset connection");
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    }
    // The gateway does not read without end.
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    let endless = "Content-Length: 1000000000";
    stream.write_all(&world.request(&format!("POST /token HTTP/1.1\n{form}\n{endless}"))).unwrap();
    let piece = [b'x'; 65536];
    let sent = (0..1000).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 1000, "the connection ends before 64 MiB");
    assert_eq!(world.get("/").0, 404);
}
