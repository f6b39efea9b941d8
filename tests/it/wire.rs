//! A request that is not a token exchange, and its answer, pass the layer byte for byte.
//!
//! ```text
//! raw client ── axum server, the layer on or off, a forwarding proxy ── raw upstream
//! ```
//!
//! Every case runs with the layer and without the layer, and both ends compare the received bytes. A client that sends
//! pieces waits until the server has read the last piece, so that the frames are the same.

use crate::support::{plan, recorder};
use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, Uri, Version, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use std::{
    error::Error,
    io, iter,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    time::timeout,
};
use tower_token_exchange::{GRANT_TYPE, Reason, TokenExchangeBuilder, TokenExchangeLayer, audit::AuditEvent};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const GRANT: &[u8] =
    b"grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA.kX9~2-TtQ1vUuJmZ0aB_cD3eF4gH5iJ6kL7mN8oP9qR\
    &redirect_uri=https%3A%2F%2Fclient.example%2Fcallback%3Fa%3Db%26c&client_id=s6BhdRkqt3\
    &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&state=%E2%82%AC+%c2%a3&scope=openid+profile&empty=&&=";
const MIB: usize = 1024 * 1024;
/// The largest number of frames in a form.
const FRAMES: usize = 4096;
const DATE: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
const OK: &str = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-type: application/json\r\n\
    cache-control: no-store\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: close\r\ncontent-length: 27\r\n\r\n\
    {\"access_token\":\"opaque-1\"}";

/// A time that no step needs, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

// The connection between the client and the upstream, with observers at both ends.

/// A request body as an observer saw it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    bytes: usize,
    /// The end, or the error and its causes.
    end: Option<Result<(), String>>,
}

/// A body that reports everything that the inner body shows.
struct Watched {
    body: Body,
    seen: watch::Sender<Seen>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.seen.send_modify(|seen| match &polled {
            Some(Ok(frame)) => seen.bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => {
                let causes = iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
                seen.end = Some(Err(causes.map(|error| format!("{error:?}")).collect::<Vec<_>>().join(" < ")));
            }
            None => seen.end = Some(Ok(())),
        });
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts a request as finished when its future is dropped.
struct Over(watch::Sender<usize>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.send_modify(|over| *over += 1);
    }
}

struct Wire {
    server: SocketAddr,
    /// The body as the server delivered it.
    taken: watch::Receiver<Seen>,
    /// The body as the wrapped service read it.
    seen: watch::Receiver<Seen>,
    /// The number of finished requests.
    over: watch::Receiver<usize>,
    /// The number of calls of the wrapped service.
    calls: Arc<AtomicUsize>,
    upstream: Upstream,
}

struct Upstream {
    address: SocketAddr,
    /// The number of received bytes, over all connections.
    received: watch::Receiver<usize>,
    /// All bytes of a connection, after its end.
    records: mpsc::UnboundedReceiver<Vec<u8>>,
    /// Releases the next part of the answer.
    go_on: Arc<Notify>,
}

impl Upstream {
    /// Waits for one whole message on each connection, answers, and keeps listening until the other side closes.
    async fn start(answer: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, received) = watch::channel(0);
        let (sender, records) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let go = Arc::clone(&go_on);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, count, sender, go) = (answer.clone(), count.clone(), sender.clone(), Arc::clone(&go));
                tokio::spawn(async move {
                    let mut bytes = Vec::with_capacity(64 * 1024);
                    let mut answered = false;
                    while let Ok(read @ 1..) = stream.read_buf(&mut bytes).await {
                        count.send_modify(|count| *count += read);
                        if !answered && body_of(&bytes).is_some() {
                            answered = true;
                            for (index, part) in answer.iter().enumerate() {
                                if index > 0 {
                                    go.notified().await;
                                }
                                let _ = stream.write_all(part).await;
                            }
                            let _ = stream.shutdown().await;
                        }
                    }
                    let _ = sender.send(bytes);
                });
            }
        });
        Self { address, received, records, go_on }
    }
}

impl Wire {
    async fn start(layer: Option<&TokenExchangeLayer>, answer: Vec<Vec<u8>>) -> Self {
        let upstream = Upstream::start(answer).await;
        let (taking, taken) = watch::channel(Seen::default());
        let (seeing, seen) = watch::channel(Seen::default());
        let (ending, over) = watch::channel(0);
        let calls = Arc::new(AtomicUsize::new(0));

        let address = upstream.address;
        let connect = tower::service_fn(move |_: Uri| {
            Box::pin(async move { Ok::<_, io::Error>(TokioIo::new(TcpStream::connect(address).await?)) })
        });
        let client: Client<_, Watched> = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connect);
        let counter = Arc::clone(&calls);
        let forward = move |request: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            let (mut parts, body) = request.into_parts();
            parts.uri = format!("http://upstream.example{}", parts.uri.path_and_query().unwrap()).parse().unwrap();
            parts.version = Version::HTTP_11;
            let measure = parts.headers.contains_key("x-measure");
            if measure {
                parts.headers.remove(header::CONTENT_LENGTH);
            }
            let body = Watched { body, seen: seeing.clone() };
            let response = client.request(Request::from_parts(parts, body));
            async move {
                match response.await {
                    Ok(mut response) => {
                        response.headers_mut().remove(header::CONNECTION);
                        if measure {
                            response.headers_mut().remove(header::CONTENT_LENGTH);
                        }
                        response.map(Body::new)
                    }
                    Err(_) => Response::builder()
                        .status(StatusCode::BAD_GATEWAY)
                        .header(header::DATE, DATE)
                        .body(Body::empty())
                        .unwrap(),
                }
            }
        };
        let watch = move |request: Request, next: Next| {
            let over = Over(ending.clone());
            let seen = taking.clone();
            async move {
                let _over = over;
                next.run(request.map(|body| Body::new(Watched { body, seen }))).await
            }
        };
        let mut app = Router::new().fallback(forward);
        if let Some(layer) = layer {
            app = app.layer(layer.clone());
        }
        let app = app.layer(middleware::from_fn(watch));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { server, taken, seen, over, calls, upstream }
    }

    /// The bytes that the upstream received, by call of the wrapped service.
    async fn records(&mut self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for _ in 0..self.calls.load(Ordering::SeqCst) {
            records.push(self.upstream.records.recv().await.unwrap());
        }
        records
    }

    /// Plays a client.
    async fn play(mut self, steps: &[Step]) -> Run {
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Vec::new();
        for step in steps {
            match step {
                Step::Send(bytes) => stream.write_all(bytes).await.unwrap(),
                Step::Taken(bytes) => drop(self.taken.wait_for(|taken| taken.bytes >= *bytes).await.unwrap()),
                Step::Upstream(bytes) => {
                    drop(self.upstream.received.wait_for(|received| received >= bytes).await.unwrap());
                }
                Step::Receive(end) => {
                    while !client.ends_with(end.as_bytes()) {
                        let read = stream.read_buf(&mut client).await.unwrap();
                        assert!(read > 0, "closed after {}", client.escape_ascii());
                    }
                }
                Step::AnswerOn => self.upstream.go_on.notify_one(),
                Step::Trickle(drop) => loop {
                    match timeout(Duration::from_millis(5), stream.read_buf(&mut client)).await {
                        Err(_) if stream.write_all(drop).await.is_ok() => {}
                        _ => break,
                    }
                },
                Step::HangUp => stream.shutdown().await.unwrap(),
            }
        }
        let closed = stream.read_to_end(&mut client).await.err().map(|error| error.kind());
        let upstream = self.records().await;
        let seen = self.seen.borrow().clone();
        let received = *self.upstream.received.borrow();
        Run { upstream, received, seen, client, closed }
    }
}

/// A step of a raw client. After the last step, the client reads to the end.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// Waits until this number of body bytes was read from the server.
    Taken(usize),
    /// Waits until this number of bytes reached the upstream.
    Upstream(usize),
    /// Waits until the received bytes end with these bytes.
    Receive(&'static str),
    /// Lets the upstream send the next part of its answer.
    AnswerOn,
    /// Repeats these bytes until an answer comes.
    Trickle(&'static [u8]),
    /// Closes the sending half.
    HangUp,
}

use Step::{AnswerOn, HangUp, Receive, Send, Taken, Trickle};

/// The result of a run.
struct Run {
    upstream: Vec<Vec<u8>>,
    received: usize,
    seen: Seen,
    client: Vec<u8>,
    closed: Option<io::ErrorKind>,
}

/// The body of an HTTP/1.1 message, without its framing, and where the message ends; `None` until it is complete.
fn body_of(message: &[u8]) -> Option<(Vec<u8>, usize)> {
    let start = position(message, b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&message[..start]).unwrap().to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    if header("transfer-encoding") != Some("chunked") {
        let end = start + header("content-length").map_or(0, |length| length.parse().unwrap());
        return Some((message.get(start..end)?.to_vec(), end));
    }
    let (mut body, mut at) = (Vec::new(), start);
    loop {
        let line = at + position(&message[at..], b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&message[at..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return Some((body, line + position(&message[line..], b"\r\n\r\n")? + 4));
        }
        body.extend_from_slice(message.get(line + 2..line + 2 + size)?);
        at = line + 2 + size + 2;
        message.get(at..)?;
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[track_caller]
fn assert_same(what: &str, off: &[u8], on: &[u8]) {
    if off == on {
        return;
    }
    let at = iter::zip(off, on).take_while(|(off, on)| off == on).count();
    let around = |bytes: &[u8]| bytes[at.saturating_sub(80)..bytes.len().min(at + 80)].escape_ascii().to_string();
    panic!("{what}: byte {at} differs\nwithout the layer: {}\nwith the layer:    {}", around(off), around(on));
}

async fn in_time<T>(what: &str, test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap_or_else(|_| panic!("{what}: nothing more happens"))
}

fn layer() -> (TokenExchangeLayer, mpsc::UnboundedReceiver<AuditEvent>) {
    layer_with(|builder| builder)
}

fn layer_with(
    change: impl FnOnce(TokenExchangeBuilder) -> TokenExchangeBuilder,
) -> (TokenExchangeLayer, mpsc::UnboundedReceiver<AuditEvent>) {
    let (sender, events) = mpsc::unbounded_channel();
    (change(plan().builder).audit(recorder(sender)).build().unwrap(), events)
}

// Requests.

/// A header that tells the proxy to remove `Content-Length`, so that the size of the body counts.
const MEASURE: &str = "X-Measure: 1";

/// A head that closes the connection, so that the client knows when it has read everything.
fn head(request_line: &str, headers: &[&str]) -> Vec<u8> {
    let mut head = format!("{request_line}\r\nHost: as.example\r\nConnection: close\r\nX-Twice: 1\r\nx-twice: 2\r\n");
    for header in headers {
        head += header;
        head += "\r\n";
    }
    (head + "\r\n").into_bytes()
}

fn post(headers: &[&str]) -> Vec<u8> {
    head("POST /token HTTP/1.1", headers)
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn one_byte_chunks(data: &[u8]) -> Vec<u8> {
    data.iter().flat_map(|byte| chunk(&[*byte])).collect()
}

struct Case {
    name: &'static str,
    steps: Vec<Step>,
    /// The body that the upstream must receive.
    body: Vec<u8>,
}

impl Case {
    fn new(name: &'static str, steps: impl Into<Vec<Step>>, body: impl Into<Vec<u8>>) -> Self {
        Self { name, steps: steps.into(), body: body.into() }
    }

    /// A request with `Content-Length`, in one piece.
    fn whole(name: &'static str, request_line: &str, headers: &[&str], body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = format!("Content-Length: {}", body.len());
        let head = head(request_line, &[headers, &[&length]].concat());
        Self::new(name, [Send([head, body.clone()].concat())], body)
    }

    /// A form with `Content-Length`, in one piece.
    fn form(name: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::whole(name, "POST /token HTTP/1.1", &[FORM], body)
    }

    /// A chunked form whose chunks are sent at once.
    fn chunked(name: &'static str, chunks: Vec<u8>, body: impl Into<Vec<u8>>) -> Self {
        let head = post(&[FORM, "Transfer-Encoding: chunked"]);
        Self::new(name, [Send([&head[..], &chunks, b"0\r\n\r\n"].concat())], body)
    }

    /// Runs the case without the layer and with the layer, and compares both ends.
    async fn check(&self, layer: &TokenExchangeLayer, answer: Vec<Vec<u8>>) -> Run {
        let name = self.name;
        let off = in_time(name, Wire::start(None, answer.clone()).await.play(&self.steps)).await;
        let on = in_time(name, Wire::start(Some(layer), answer).await.play(&self.steps)).await;

        assert_eq!(off.upstream.len(), on.upstream.len(), "{name}");
        assert_same(&format!("{name}: upstream"), &off.upstream.concat(), &on.upstream.concat());
        assert_same(&format!("{name}: client"), &off.client, &on.client);
        assert_eq!(off.closed, on.closed, "{name}");

        // The upstream received the body that the client sent.
        let mut body = Vec::new();
        for message in &on.upstream {
            let (part, end) = body_of(message).unwrap_or_else(|| panic!("{name}: no whole message upstream"));
            assert_eq!(end, message.len(), "{name}: more than one message");
            body.extend(part);
        }
        assert_same(&format!("{name}: the body that was sent (`without`), and that came"), &self.body, &body);
        on
    }
}

fn requests() -> Vec<Case> {
    let length = format!("Content-Length: {}", GRANT.len());
    let sized = post(&[FORM, &length]);
    let trailed =
        post(&[FORM, "Transfer-Encoding: chunked", "TE: trailers", "Trailer: x-sum, x-more", "X-Sum: in the head"]);
    let split = post(&[FORM, "Transfer-Encoding: chunked"]);
    let parameters: String = (0..10_000).map(|n| format!("p{n}={n}&")).collect();
    let name_of_500_kb = [&b"n".repeat(500_000)[..], b"=v&grant_type=password"].concat();
    vec![
        Case::form("content-length, in one piece", GRANT),
        Case::new(
            "content-length, in three pieces",
            [
                Send([&sized[..], &GRANT[..1]].concat()),
                Taken(1),
                Send(GRANT[1..200].to_vec()),
                Taken(200),
                Send(GRANT[200..].to_vec()),
            ],
            GRANT,
        ),
        Case::new(
            "the head in pieces",
            [Send(sized[..20].to_vec()), Send(sized[20..].to_vec()), Send(GRANT.to_vec())],
            GRANT,
        ),
        Case::chunked("chunked", [chunk(&GRANT[..7]), chunk(&GRANT[7..250]), chunk(&GRANT[250..])].concat(), GRANT),
        Case::new(
            "chunked, with the chunks split between writes",
            [
                Send([&split[..], b"6"].concat()),
                Send([b"4\r\n", &GRANT[..30]].concat()),
                Taken(30),
                Send(GRANT[30..70].to_vec()),
                Taken(70),
                Send([&GRANT[70..100], b"\r"].concat()),
                Taken(100),
                Send(format!("\n00{:X};extension=\"a\"", GRANT.len() - 100).into_bytes()),
                Send([b"\r\n", &GRANT[100..], b"\r\n0"].concat()),
                Taken(GRANT.len()),
                Send(b"\r\n\r\n".to_vec()),
            ],
            GRANT,
        ),
        Case::new(
            "chunked, with trailers",
            [Send([&trailed[..], &chunk(GRANT), b"0\r\nX-Sum: 1a2b\r\nX-More: a\r\nx-more: b\r\n\r\n"].concat())],
            GRANT,
        ),
        Case::chunked("chunked, and no chunk", Vec::new(), ""),
        Case::new(
            "expect: 100-continue",
            [
                Send(post(&[FORM, &length, "Expect: 100-continue"])),
                Receive("HTTP/1.1 100 Continue\r\n\r\n"),
                Send(GRANT.to_vec()),
            ],
            GRANT,
        ),
        Case::form("content-length: 0", ""),
        Case::new("no body at all", [Send(post(&[FORM]))], ""),
        Case::whole("HTTP/1.0", "POST /token HTTP/1.0", &[FORM], GRANT),
        Case::whole("absolute form", "POST http://as.example/token HTTP/1.1", &[FORM], GRANT),
        Case::whole("a query", "POST /token?grant_type=password&%zz HTTP/1.1", &[FORM], GRANT),
        Case::new(
            "two requests on one connection",
            [Send(
                [
                    format!("POST /token HTTP/1.1\r\nHost: as.example\r\n{FORM}\r\n{length}\r\n\r\n").as_bytes(),
                    GRANT,
                    &sized,
                    GRANT,
                ]
                .concat(),
            )],
            GRANT.repeat(2),
        ),
        Case::whole("a length that only the body knows", "POST /token HTTP/1.1", &[FORM, MEASURE], GRANT),
        // Requests that the layer does not read.
        Case::whole("JSON", "POST /token HTTP/1.1", &["Content-Type: application/json"], r#"{"grant_type":"x"}"#),
        Case::whole(
            "multipart",
            "POST /token HTTP/1.1",
            &["Content-Type: multipart/form-data; boundary=b"],
            "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\npassword\r\n--b--\r\n",
        ),
        Case::whole("no content type", "POST /token HTTP/1.1", &[], GRANT),
        Case::new("GET", [Send(head("GET /token?x=y HTTP/1.1", &[]))], ""),
        Case::whole("GET with a form", "GET /token?x=y HTTP/1.1", &[FORM], GRANT),
        Case::whole("PUT", "PUT /token HTTP/1.1", &[FORM], GRANT),
        Case::whole("another path", "POST /introspect HTTP/1.1", &[FORM], GRANT),
        Case::whole("almost the path", "POST /token/ HTTP/1.1", &[FORM], GRANT),
        Case::whole(
            "gzip",
            "POST /token HTTP/1.1",
            &[FORM, "Content-Encoding: gzip"],
            b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0",
        ),
        // Forms with an unusual media type.
        Case::whole(
            "a content type with a parameter",
            "POST /token HTTP/1.1",
            &["Content-Type:  Application/X-WWW-Form-URLencoded ;Charset=\"UTF-8\""],
            GRANT,
        ),
        Case::whole("two content types", "POST /token HTTP/1.1", &["Content-Type: text/plain", FORM], GRANT),
        // Forms that resemble an exchange.
        Case::form("the exchange grant as a scope", format!("grant_type=password&scope={GRANT_TYPE}")),
        Case::form("a longer grant", format!("grant_type={GRANT_TYPE}-2")),
        // Malformed forms.
        Case::form("broken escapes", "grant_type=%&%=%4&%zz=%%"),
        Case::form("not UTF-8", b"grant_type=\xff\xfe&\xc3=%ff".to_vec()),
        Case::form("NUL", b"grant_type=pass\0word&\0=%00".to_vec()),
        Case::form("only separators", "&;&==&;"),
        Case::form("10 000 parameters", parameters),
        Case::form("a parameter name of 500 KB", name_of_500_kb),
        // Forms at the limits.
        Case::form("as many bytes as are allowed", b"a".repeat(MIB)),
        Case::chunked("thousands of tiny frames", one_byte_chunks(&b"a=".repeat(2000)), b"a=".repeat(2000)),
        Case::chunked("as many frames as are allowed", one_byte_chunks(&[b'a'; FRAMES]), [b'a'; FRAMES]),
    ]
}

async fn check_requests(layer: &TokenExchangeLayer, cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        let run = case.check(layer, vec![OK.into()]).await;
        let upstream = run.upstream.concat();
        if case.name.ends_with("trailers") {
            let trailers = b"\r\n0\r\nx-sum: 1a2b\r\nx-more: a\r\nx-more: b\r\n\r\n";
            assert!(upstream.ends_with(trailers), "{}", upstream.escape_ascii());
        }
        assert!(position(&run.client, b" 200 OK\r\n").is_some(), "{}", run.client.escape_ascii());
        assert!(run.client.ends_with(b"{\"access_token\":\"opaque-1\"}"), "{}", run.client.escape_ascii());
    }
}

#[tokio::test]
async fn other_requests_pass_byte_for_byte() {
    let (layer, mut events) = layer();
    check_requests(&layer, requests()).await;
    layer.flush_audit().await;
    assert!(events.try_recv().is_err(), "none of them was an attempt");
}

#[tokio::test]
async fn guarded_requests_pass_byte_for_byte() {
    let unreadable = ["multipart", "no content type", "gzip", "two content types", "NUL"];
    let (layer, mut events) = layer_with(TokenExchangeBuilder::guard);
    check_requests(&layer, requests().into_iter().filter(|case| !unreadable.contains(&case.name))).await;
    layer.flush_audit().await;
    assert!(events.try_recv().is_err(), "none of them was an attempt");
}

#[tokio::test]
async fn other_bodies_are_streamed() {
    let body: Vec<u8> = (0..10 * MIB).map(|n| (n % 251) as u8).collect();
    let head = post(&["Content-Type: application/octet-stream", &format!("Content-Length: {}", body.len())]);
    let steps = [Send([&head[..], &body[..9 * MIB]].concat()), Step::Upstream(8 * MIB), Send(body[9 * MIB..].to_vec())];
    Case::new("10 MiB", steps, body).check(&layer().0, vec![OK.into()]).await;
}

#[tokio::test]
async fn answers_pass_byte_for_byte() {
    let (layer, _) = layer();
    let form = |name, headers: &[&str]| Case::whole(name, "POST /token HTTP/1.1", &[&[FORM], headers].concat(), GRANT);
    let date = format!("date: {DATE}\r\nconnection: close\r\n");
    let cases = [
        (
            form("an OAuth error", &[]),
            format!(
                "HTTP/1.1 401 Unauthorized\r\n{date}www-authenticate: Basic realm=\"a\"\r\n\
                 www-authenticate: Bearer\r\ncontent-length: 26\r\n\r\n{{\"error\":\"invalid_client\"}}"
            ),
        ),
        (form("a reason phrase", &[]), format!("HTTP/1.1 299 As You Like\r\n{date}content-length: 2\r\n\r\nok")),
        (form("no content", &[]), format!("HTTP/1.1 204 No Content\r\n{date}x-a: b\r\n\r\n")),
        (form("not modified", &[]), format!("HTTP/1.1 304 Not Modified\r\n{date}etag: \"a\"\r\n\r\n")),
        (form("empty", &[]), format!("HTTP/1.1 200 OK\r\n{date}content-length: 0\r\n\r\n")),
        (form("until closed", &[]), format!("HTTP/1.1 500 Internal Server Error\r\n{date}\r\nfailed")),
        (
            form("chunked", &[]),
            format!("HTTP/1.1 200 OK\r\n{date}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        ),
        (
            form("trailers", &["TE: trailers"]),
            format!(
                "HTTP/1.1 200 OK\r\n{date}transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                 3\r\nabc\r\n0\r\nx-sum: 1a2b\r\n\r\n"
            ),
        ),
    ];
    for (case, answer) in cases {
        let run = case.check(&layer, vec![answer.clone().into_bytes()]).await;
        let status_line = answer.lines().next().unwrap();
        assert!(run.client.starts_with(status_line.as_bytes()), "{}: {}", case.name, run.client.escape_ascii());
        if case.name == "trailers" {
            assert!(run.client.ends_with(b"\r\n0\r\nx-sum: 1a2b\r\n\r\n"), "{}", run.client.escape_ascii());
        }
    }

    let mut streamed = form("streamed", &[]);
    streamed.steps.extend([Receive("first"), AnswerOn]);
    let start = format!("HTTP/1.1 200 OK\r\n{date}content-length: 11\r\n\r\nfirst");
    let run = streamed.check(&layer, vec![start.into_bytes(), b"second".to_vec()]).await;
    assert!(run.client.ends_with(b"firstsecond"), "{}", run.client.escape_ascii());
}

#[tokio::test]
async fn a_broken_form_never_becomes_shorter() {
    let (layer, mut events) = layer();
    let half = GRANT.len() / 2;
    let sized = post(&[FORM, &format!("Content-Length: {}", GRANT.len())]);
    let chunked = post(&[FORM, "Transfer-Encoding: chunked"]);
    let exchange = format!("subject_token=abc&grant_type={GRANT_TYPE}");
    let cases = [
        ("content-length", &sized, GRANT[..half].to_vec(), half),
        ("content-length, one byte missing", &sized, GRANT[..GRANT.len() - 1].to_vec(), GRANT.len() - 1),
        ("between chunks", &chunked, chunk(&GRANT[..half]), half),
        ("within a chunk", &chunked, [&b"ff\r\n"[..], &GRANT[..half]].concat(), half),
        ("before the last line", &chunked, [&chunk(GRANT)[..], b"0\r\n"].concat(), GRANT.len()),
        ("an exchange", &chunked, chunk(exchange.as_bytes()), exchange.len()),
    ];
    for (name, head, body, taken) in cases {
        let steps = [Send([&head[..], &body].concat()), Taken(taken), HangUp];
        let off = in_time(name, Wire::start(None, vec![OK.into()]).await.play(&steps)).await;
        let on = in_time(name, Wire::start(Some(&layer), vec![OK.into()]).await.play(&steps)).await;

        assert_eq!(off.seen, on.seen, "{name}: the wrapped service saw");
        assert_eq!(on.seen.bytes, taken, "{name}");
        assert!(matches!(&on.seen.end, Some(Err(_))), "{name}: {:?}", on.seen);
        for run in [&off, &on] {
            let [upstream] = &run.upstream[..] else { panic!("{name}: {} requests", run.upstream.len()) };
            assert_eq!(body_of(upstream), None, "{name}: a whole request upstream");
        }
        // The error may overtake bytes that were not sent yet.
        let sent = off.upstream[0].len().min(on.upstream[0].len());
        assert_same(&format!("{name}: upstream"), &off.upstream[0][..sent], &on.upstream[0][..sent]);
        assert_same(&format!("{name}: client"), &off.client, &on.client);
    }
    layer.flush_audit().await;
    assert!(events.try_recv().is_err(), "none of them was an attempt");
}

#[tokio::test]
async fn an_unread_form_is_refused() {
    const DEADLINE: Duration = Duration::from_millis(100);
    let (layer, mut events) = layer_with(|builder| builder.body_deadline(DEADLINE));
    let (patient, mut patient_events) = layer_with(|builder| builder.body_deadline(PATIENCE));
    let large = format!("Content-Length: {}", MIB + 1);
    let chunked = post(&[FORM, "Transfer-Encoding: chunked"]);
    let sized = post(&[FORM, "Content-Length: 300"]);
    let cases = [
        ("says that it is too large", vec![Send(post(&[FORM, &large]))], 413, Reason::BodyTooLarge),
        (
            "says that it is too large and asks first",
            vec![Send(post(&[FORM, &large, "Expect: 100-continue"]))],
            413,
            Reason::BodyTooLarge,
        ),
        (
            "is too large without saying",
            vec![Send([&chunked[..], &chunk(&b"a".repeat(MIB)), b"1\r\na"].concat())],
            413,
            Reason::BodyTooLarge,
        ),
        (
            "has too many frames",
            vec![Send([&chunked[..], &one_byte_chunks(&[b'a'; FRAMES + 1])].concat())],
            413,
            Reason::TooManyFrames,
        ),
        ("never begins", vec![Send(sized.clone())], 408, Reason::BodyTooSlow),
        ("never ends", vec![Send([&sized[..], &GRANT[..150]].concat())], 408, Reason::BodyTooSlow),
        ("trickles", vec![Send(chunked.clone()), Trickle(b"1\r\na\r\n")], 408, Reason::BodyTooSlow),
    ];
    for (name, steps, status, reason) in cases {
        let (layer, events) = if status == 408 { (&layer, &mut events) } else { (&patient, &mut patient_events) };
        let run = in_time(name, Wire::start(Some(layer), vec![OK.into()]).await.play(&steps)).await;

        let answer = run.client.escape_ascii();
        assert!(run.client.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{name}: {answer}");
        assert!(position(&run.client, b"\r\ncontent-type: application/json\r\n").is_some(), "{name}: {answer}");
        let (body, _) = body_of(&run.client).unwrap_or_else(|| panic!("{name}: {answer}"));
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["error"], "invalid_request", "{name}");

        assert_eq!(run.upstream.len(), 0, "{name}: the wrapped service was called");
        assert_eq!(run.received, 0, "{name}: bytes upstream");
        let event = in_time(name, events.recv()).await.unwrap();
        assert_eq!(event.reason, Some(reason), "{name}");
    }
}

#[tokio::test]
async fn an_unread_form_can_be_forwarded() {
    let (layer, mut events) =
        layer_with(|builder| builder.forward_unread_forms().body_limit(200).body_deadline(Duration::from_millis(50)));
    let sized = post(&[FORM, &format!("Content-Length: {}", GRANT.len())]);
    let long = [b'a'; FRAMES + 7];
    let cases = [
        Case::form("too large, and says so", GRANT),
        Case::chunked("too large", [chunk(&GRANT[..150]), chunk(&GRANT[150..])].concat(), GRANT),
        Case::new(
            "too slow",
            [
                Send([&sized[..], &GRANT[..100]].concat()),
                Taken(100),
                Step::Upstream(sized.len()),
                Send(GRANT[100..].to_vec()),
            ],
            GRANT,
        ),
    ];
    for case in cases {
        case.check(&layer, vec![OK.into()]).await;
    }
    assert!(events.try_recv().is_err(), "none of them was an attempt");

    let (layer, _) = layer_with(TokenExchangeBuilder::forward_unread_forms);
    Case::chunked("too many frames", one_byte_chunks(&long), long).check(&layer, vec![OK.into()]).await;
}

// HTTP/2.

type H2Body = UnsyncBoxBody<Bytes, io::Error>;

/// The result of a request over HTTP/2.
struct H2Run {
    upstream: Vec<Vec<u8>>,
    seen: Seen,
    response: Option<(StatusCode, HeaderMap, Bytes)>,
}

/// Sends a form over HTTP/2 with prior knowledge.
async fn over_h2(wire: Wire, headers: &[(&str, &str)], body: H2Body) -> H2Run {
    let mut wire = wire;
    let stream = TcpStream::connect(wire.server).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post("http://as.example/token");
    for (name, value) in [("content-type", "application/x-www-form-urlencoded")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let response = match client.send_request(request.body(body).unwrap()).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            Some((parts.status, parts.headers, body.collect().await.unwrap().to_bytes()))
        }
        Err(_) => None,
    };
    wire.over.wait_for(|over| *over == 1).await.unwrap();
    let upstream = wire.records().await;
    let seen = wire.seen.borrow().clone();
    H2Run { upstream, seen, response }
}

fn data(bytes: &[u8]) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::copy_from_slice(bytes)))
}

#[tokio::test]
async fn http_2_forms_pass_byte_for_byte() {
    type Headers = &'static [(&'static str, &'static str)];
    type Make = fn() -> H2Body;
    let cases: [(&str, Headers, Make, &[u8], &str); 4] = [
        (
            "no length",
            &[],
            || StreamBody::new(stream::iter(GRANT.chunks(120).map(data))).boxed_unsync(),
            GRANT,
            "transfer-encoding: chunked\r\n",
        ),
        (
            "trailers",
            &[("te", "trailers"), ("trailer", "x-sum")],
            || {
                let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1a2b".parse().unwrap())]);
                StreamBody::new(stream::iter([data(GRANT), Ok(Frame::trailers(trailers))])).boxed_unsync()
            },
            GRANT,
            "\r\n0\r\nx-sum: 1a2b\r\n\r\n",
        ),
        (
            "a length",
            &[],
            || Full::new(Bytes::from_static(GRANT)).map_err(|never| match never {}).boxed_unsync(),
            GRANT,
            "content-length: ",
        ),
        ("empty", &[], || Empty::new().map_err(|never| match never {}).boxed_unsync(), b"", "content-length: 0\r\n"),
    ];
    let (layer, _) = layer();
    for (name, headers, body, sent, part) in cases {
        let run = async |layer| {
            let wire = Wire::start(layer, vec![OK.into()]).await;
            in_time(name, over_h2(wire, headers, body())).await
        };
        let (off, on) = (run(None).await, run(Some(&layer)).await);

        assert_same(name, &off.upstream.concat(), &on.upstream.concat());
        assert_eq!(off.response, on.response, "{name}");
        assert_eq!(on.response.unwrap().0, StatusCode::OK, "{name}");
        let [message] = &on.upstream[..] else { panic!("{name}: {} requests", on.upstream.len()) };
        assert_eq!(body_of(message), Some((sent.to_vec(), message.len())), "{name}: {}", message.escape_ascii());
        assert!(position(message, part.as_bytes()).is_some(), "{name}: {}", message.escape_ascii());
    }
}

#[tokio::test]
async fn a_reset_stream_never_becomes_shorter() {
    let (layer, _) = layer();
    for layer in [None, Some(&layer)] {
        let wire = Wire::start(layer, vec![OK.into()]).await;
        let mut taken = wire.taken.clone();
        let reset = stream::once(async move {
            taken.wait_for(|taken| taken.bytes == 100).await.unwrap();
            Err(io::Error::other("enough"))
        });
        let body = StreamBody::new(stream::iter([data(&GRANT[..100])]).chain(reset)).boxed_unsync();
        let run = in_time("reset", over_h2(wire, &[], body)).await;

        assert!(run.response.is_none(), "{:?}", run.response);
        assert_ne!(run.seen.end, Some(Ok(())));
        for message in &run.upstream {
            assert_eq!(body_of(message), None, "{}", message.escape_ascii());
        }
    }
}
