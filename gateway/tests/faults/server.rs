//! The authorization server, which can be slow and can lie.

use super::{history::Fault, upstream::Upstream, world::basic};
use std::{
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The behaviour of the server. `None` is the right one.
#[derive(Clone, Default)]
pub(crate) struct Behaviour(Arc<Mutex<Option<Fault>>>);

impl Behaviour {
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap() = fault;
    }

    fn get(&self) -> Option<Fault> {
        *self.0.lock().unwrap()
    }

    /// Sends the right answer, or what the behaviour says.
    fn answer(&self, stream: &mut TcpStream, status: u16, body: &str) {
        let (status, body) = match self.get() {
            Some(Fault::ServerSlow) => {
                thread::sleep(Duration::from_millis(700));
                (status, body)
            }
            Some(Fault::ServerErrors) => (500, "{\"error\":\"server_error\"}"),
            Some(Fault::ServerTalksNonsense) => (200, "<html>It works!</html>{\"active\":"),
            Some(Fault::ServerNeverEnds) => return never_end(stream),
            _ => (status, body),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nCache-Control: max-age=60\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes());
    }
}

fn never_end(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut goes_on = stream.write_all(head.as_bytes()).is_ok();
    // The server stops at some time, so that the threads of the test end.
    for _ in 0..150 {
        if !goes_on {
            return;
        }
        goes_on = stream.write_all(b"8\r\n        \r\n").is_ok();
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts the server. The key sets are the true one and a false one.
pub(crate) fn start(behaviour: &Behaviour, keys: String, false_keys: String) -> Upstream {
    let upstream = Upstream::start();
    let known: Vec<String> = ["orders", "billing", "reports"].map(basic).into();
    let this = behaviour.clone();
    upstream.does("/token", move |stream, request| {
        let request = String::from_utf8_lossy(request);
        let is_known = match this.get() {
            Some(Fault::ServerAcceptsAll) => true,
            Some(Fault::ServerRejectsAll) => false,
            _ => known.iter().any(|known| request.contains(known)),
        };
        match is_known {
            true => this.answer(stream, 200, r#"{"access_token":"x","token_type":"Bearer"}"#),
            false => this.answer(stream, 401, r#"{"error":"invalid_client"}"#),
        }
    });
    let this = behaviour.clone();
    upstream.does("/jwks", move |stream, _| match this.get() {
        Some(Fault::ServerLiesAboutKeys) => this.answer(stream, 200, &false_keys),
        _ => this.answer(stream, 200, &keys),
    });
    // The answer is the request, so that a client notices the answer to another request.
    let this = behaviour.clone();
    upstream.does("/echo", move |stream, request| {
        let request = String::from_utf8_lossy(request);
        let target = request.split(' ').nth(1).unwrap_or_default();
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        this.answer(stream, 200, &format!("{target} {body}"));
    });
    for path in ["/introspect", "/revoke"] {
        let this = behaviour.clone();
        upstream.does(path, move |stream, _| this.answer(stream, 200, r#"{"active":false}"#));
    }
    upstream
}
