//! An HTTP client that notices every kind of broken answer, and can break off itself.

use super::history::Ending;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Longer than any deadline of the gateway.
pub(crate) const DEADLINE: Duration = Duration::from_secs(25);

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
    /// The id of the request, which the audit event has too.
    #[expect(dead_code, reason = "it is printed with a wrong answer")]
    pub(crate) request_id: String,
}

impl Answer {
    /// Whether this is how the gateway says that it cannot answer at the moment.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == 503 && self.head.contains("\r\nretry-after:")
    }
}

const REQUEST_ID: &str = "X-Request-Id: ";

/// A request for the public host, with an id of its own.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{REQUEST_ID}{number:032x}\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn request_id(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let id = text.lines().find_map(|line| line.strip_prefix(REQUEST_ID));
    id.unwrap_or_default().to_owned()
}

async fn connect(from: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await
}

/// Sends a request from an address, and reads the answer to its end.
pub(crate) async fn send(from: Ipv4Addr, port: u16, request: &[u8]) -> Result<Answer, Ending> {
    let exchange = async {
        let mut stream = connect(from, port).await?;
        stream.write_all(request).await?;
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes).await;
        // A broken connection after a part of the answer.
        if bytes.is_empty() { read.map(|_| bytes) } else { Ok(bytes) }
    };
    let bytes = match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(bytes) => bytes.map_err(|_| Ending::NoAnswer)?,
        Err(_elapsed) => panic!("no answer within {DEADLINE:?}: {}", String::from_utf8_lossy(request)),
    };
    parse(&bytes, request_id(request)).ok_or(if bytes.is_empty() { Ending::NoAnswer } else { Ending::CutOff })
}

/// Sends some bytes of a request, reads some bytes of the answer, and vanishes.
pub(crate) async fn vanish(from: Ipv4Addr, port: u16, request: &[u8], sent: usize, read: usize) {
    let part = async {
        let mut stream = connect(from, port).await?;
        stream.write_all(&request[..sent.min(request.len())]).await?;
        if sent >= request.len() {
            let mut bytes = vec![0; read];
            let _ = stream.read_exact(&mut bytes).await;
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(DEADLINE, part).await;
}

/// `None` if the answer is not complete.
fn parse(bytes: &[u8], request_id: String) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let body = match (header("content-length:"), header("transfer-encoding:")) {
        (_, Some("chunked")) => unchunked(body)?,
        (Some(length), _) => (body.len() == length.parse::<usize>().ok()?).then(|| body.to_owned())?,
        (None, _) => return None,
    };
    Some(Answer { status, head, body, request_id })
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
