//! Clients that hold connections and requests, and do as little as possible.

use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::sleep,
};

/// How a connection is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing is sent. With TLS, this is a handshake that never begins.
    Silent,
    /// The head of a request comes byte by byte.
    SlowHead,
    /// Almost the largest head of a request comes, and then no more.
    LargeHead,
    /// The body of a request never comes.
    SilentBody,
    /// The body of a request comes byte by byte.
    SlowBody,
    /// Almost as much of a body comes as the gateway waits for.
    LargeBody,
    /// A first request was answered.
    KeptAlive,
    /// A large answer is not read.
    UnreadAnswer,
    /// Only pings are answered, over HTTP/2.
    Http2Pings,
    /// 100 requests without their bodies, over HTTP/2.
    Http2SilentBodies,
    /// 100 requests with a part of their bodies, over HTTP/2.
    Http2LargeBodies,
    /// 100 answers without a window, over HTTP/2.
    Http2NoWindow,
    /// A block of headers that does not end, over HTTP/2.
    Http2HalfHead,
    /// A TLS handshake that does not end.
    HalfHandshake,
}

impl Kind {
    /// The kinds for a gateway without TLS.
    pub(crate) const PLAIN: [Self; 13] = [
        Self::Silent,
        Self::SlowHead,
        Self::LargeHead,
        Self::SilentBody,
        Self::SlowBody,
        Self::LargeBody,
        Self::KeptAlive,
        Self::UnreadAnswer,
        Self::Http2Pings,
        Self::Http2SilentBodies,
        Self::Http2LargeBodies,
        Self::Http2NoWindow,
        Self::Http2HalfHead,
    ];

    /// The kinds for a gateway with TLS.
    pub(crate) const TLS: [Self; 2] = [Self::Silent, Self::HalfHandshake];
}

/// How long an attacker waits between two bytes.
const DRIP: Duration = Duration::from_secs(3);

/// A thread with all attackers. They end when this value is dropped.
pub(crate) struct Attack {
    stop: Arc<Notify>,
    tried: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Attack {
    /// Holds this many connections to a port, of all kinds in turn. An attacker whose connection was closed connects again
    /// after the pause. The first connections take as long.
    pub(crate) fn start(port: u16, kinds: &[Kind], connections: usize, pause: Duration) -> Self {
        let (stop, tried, kinds) = (Arc::new(Notify::new()), Arc::<AtomicUsize>::default(), kinds.to_vec());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&tried));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut attackers = JoinSet::new();
                for kind in kinds.iter().cycle().take(connections) {
                    attackers.spawn(attack(port, *kind, pause, Arc::clone(&count)));
                    // Otherwise many would come back at the same moment.
                    if attackers.len() % (connections / 1000) == 0 {
                        sleep(pause / 1000).await;
                    }
                }
                stopped.notified().await;
            });
        });
        Self { stop, tried, thread: Some(thread) }
    }

    /// How often an attacker has connected, or has tried to.
    pub(crate) fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.notify_one();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn attack(port: u16, kind: Kind, pause: Duration, tried: Arc<AtomicUsize>) {
    loop {
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        tried.fetch_add(1, Ordering::Relaxed);
        if let Ok(stream) = stream {
            let _closed = hold(stream, kind).await;
        }
        sleep(pause).await;
    }
}

/// Holds a connection until the gateway closes it.
async fn hold(mut stream: TcpStream, kind: Kind) -> io::Result<()> {
    let (form, host) = ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000", "gateway.test");
    let post = format!("POST /token HTTP/1.1\r\nHost: {host}\r\n{form}\r\n\r\n");
    match kind {
        Kind::Silent => {}
        Kind::SlowHead => return drip(stream, b"GET / HTTP/1.1\r\nX-Long: ").await,
        Kind::LargeHead => {
            stream.write_all(format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(60_000)).as_bytes()).await?
        }
        Kind::SilentBody => stream.write_all(post.as_bytes()).await?,
        Kind::SlowBody => return drip(stream, post.as_bytes()).await,
        Kind::LargeBody => stream.write_all((post + &"x".repeat(65_000)).as_bytes()).await?,
        Kind::KeptAlive => stream.write_all(format!("GET /page HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?,
        Kind::UnreadAnswer => {
            stream.write_all(format!("GET /large HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
            return sleep_until_closed(stream).await;
        }
        Kind::Http2Pings => return http2::hold(stream, &http2::PINGS).await,
        Kind::Http2SilentBodies => return http2::hold(stream, &http2::SILENT_BODIES).await,
        Kind::Http2LargeBodies => return http2::hold(stream, &http2::LARGE_BODIES).await,
        Kind::Http2NoWindow => return http2::hold(stream, &http2::NO_WINDOW).await,
        // No other frame may follow, so that nothing is acknowledged.
        Kind::Http2HalfHead => stream.write_all(&http2::begin(&http2::request(1, "/page", 0))).await?,
        Kind::HalfHandshake => stream.write_all(b"\x16\x03\x01\x02\x00\x01").await?,
    }
    let mut piece = [0; 4096];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

async fn drip(mut stream: TcpStream, begin: &[u8]) -> io::Result<()> {
    stream.write_all(begin).await?;
    let mut piece = [0; 4096];
    loop {
        tokio::select! {
            length = stream.read(&mut piece) => if length? == 0 { return Ok(()) },
            () = sleep(DRIP) => stream.write_all(b"x").await?,
        }
    }
}

/// Reads nothing.
async fn sleep_until_closed(stream: TcpStream) -> io::Result<()> {
    while !stream.ready(Interest::READABLE).await?.is_read_closed() {
        sleep(DRIP).await;
    }
    Ok(())
}

/// As much of HTTP/2 (RFC 9113) as an attacker needs.
mod http2 {
    use super::{AsyncReadExt, AsyncWriteExt, LazyLock, TcpStream, io};

    // The bytes are made once, because the attackers share the processors with the gateway.
    pub(super) static PINGS: LazyLock<Vec<u8>> = LazyLock::new(|| begin(&[]));
    pub(super) static SILENT_BODIES: LazyLock<Vec<u8>> = LazyLock::new(|| begin(&requests("/token", HEADERS_END)));
    pub(super) static LARGE_BODIES: LazyLock<Vec<u8>> =
        LazyLock::new(|| begin(&[requests("/token", HEADERS_END), pieces(600)].concat()));
    pub(super) static NO_WINDOW: LazyLock<Vec<u8>> =
        LazyLock::new(|| begin(&requests("/page", HEADERS_END | STREAM_END)));

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    const STREAM_END: u8 = 1;
    const HEADERS_END: u8 = 4;
    /// SETTINGS_INITIAL_WINDOW_SIZE is 0.
    const WINDOW_OF_ZERO: [u8; 6] = [0, 4, 0, 0, 0, 0];

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// A form for a path, or the request for a page: the headers with HPACK (RFC 7541), without a table.
    pub(super) fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
        let literal = |index: &[u8], value: &str| [index, &[value.len() as u8], value.as_bytes()].concat();
        let method = if flags & STREAM_END == 0 { 0x83 } else { 0x82 };
        let headers = [
            vec![method, 0x86],
            literal(&[0x04], path),
            literal(&[0x01], "gateway.test"),
            literal(&[0x0f, 0x10], "application/x-www-form-urlencoded"),
        ];
        frame(HEADERS, flags, stream, &headers.concat())
    }

    fn requests(path: &str, flags: u8) -> Vec<u8> {
        (0..100).flat_map(|number| request(2 * number + 1, path, flags)).collect()
    }

    /// A piece of the body of each of 100 requests.
    fn pieces(bytes: usize) -> Vec<u8> {
        (0..100).flat_map(|number| frame(DATA, 0, 2 * number + 1, &vec![b'x'; bytes])).collect()
    }

    /// The preface, the settings and these frames.
    pub(super) fn begin(frames: &[u8]) -> Vec<u8> {
        [PREFACE, &frame(SETTINGS, 0, 0, &WINDOW_OF_ZERO), frames].concat()
    }

    /// Sends the beginning of a connection, and then acknowledges settings and pings until the connection is closed.
    pub(super) async fn hold(mut stream: TcpStream, beginning: &[u8]) -> io::Result<()> {
        stream.write_all(beginning).await?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await?;
            match (head[3], head[4] & ACK) {
                (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
                (PING, 0) => stream.write_all(&frame(PING, ACK, 0, &payload)).await?,
                _ => {}
            }
        }
    }
}
