//! The reverse proxy over real connections: failures of the server, and connections that change their protocol.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use token_exchange_gateway::{
    forward::{Forwarding, Proxy},
    upstream::PooledClient,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tower::{ServiceExt, service_fn};

type HttpProxy = Proxy<Client<HttpConnector, Body>>;

fn forwarding(server: &str) -> Forwarding {
    Forwarding::builder().server(server).public_url("https://as.example").build().unwrap()
}

fn proxy_to(address: SocketAddr) -> HttpProxy {
    let client = Client::builder(TokioExecutor::new()).build_http();
    Proxy::new(client, forwarding(&format!("http://{address}")))
}

/// A server that reads a head, answers with these bytes, and then echoes all further bytes.
async fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer).await.unwrap();
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn answers_lose_only_connection_headers() {
    let address = server(
        b"HTTP/1.1 404 Not Found\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nETag: \"x\"\r\nContent-Length: 4\r\n\r\nhere",
    )
    .await;
    let (parts, body) = proxy_to(address).oneshot(request("/x")).await.unwrap().into_parts();
    assert_eq!((parts.status, &parts.headers[header::ETAG]), (StatusCode::NOT_FOUND, &"\"x\"".parse().unwrap()));
    for gone in ["connection", "x-hop", "keep-alive"] {
        assert!(!parts.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(body.collect().await.unwrap().to_bytes(), "here");
}

#[tokio::test]
async fn every_failure_has_an_answer() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unasked = server(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    let nonsense = server(b"SMTP ready\r\n\r\n").await;
    for (name, address, status) in [
        ("nobody is there", nobody, StatusCode::BAD_GATEWAY),
        ("no answer", silent.local_addr().unwrap(), StatusCode::GATEWAY_TIMEOUT),
        ("not HTTP", nonsense, StatusCode::BAD_GATEWAY),
        ("another protocol, unasked", unasked, StatusCode::BAD_GATEWAY),
    ] {
        let proxy = proxy_to(address).response_timeout(Duration::from_millis(200));
        let (parts, body) = proxy.oneshot(request("/x")).await.unwrap().into_parts();
        assert_eq!(parts.status, status, "{name}");
        // Only the log has the cause.
        assert_eq!(body.collect().await.unwrap().to_bytes(), format!("{status}\n"), "{name}");
    }
}

/// A value that counts its instances.
#[derive(Clone)]
struct Held(#[expect(dead_code, reason = "the value is held, not read")] Arc<Counted>);
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_upgraded_connection_is_joined_until_its_end() {
    let echo = server(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let (proxy, held) = (proxy_to(echo), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let count = Arc::clone(&held);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            count.fetch_add(1, Ordering::SeqCst);
            request.extensions_mut().insert(Held(Arc::new(Counted(Arc::clone(&count)))));
            proxy.clone().oneshot(request)
        });
        let http = Builder::new(TokioExecutor::new());
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
        connection.await.unwrap();
    });
    let mut client = TcpStream::connect(front).await.unwrap();
    client.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for said in ["one", "two"] {
        client.write_all(said.as_bytes()).await.unwrap();
        let mut heard = [0; 3];
        timeout(Duration::from_secs(5), client.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, said.as_bytes());
    }
    assert_eq!(held.load(Ordering::SeqCst), 1, "while the connection is open");
    drop(client);
    let end = async {
        while held.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), end).await.expect("the value is dropped with the connection");
}

/// The client can be any service, so that no server is needed.
#[tokio::test]
async fn bodies_stream_both_ways() {
    let client = service_fn(|request: Request<Body>| async move {
        assert_eq!(request.uri(), "http://10.0.0.7:3000/x?y=z");
        let mut body = request.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "first");
        // The second piece does not exist yet.
        assert!(timeout(Duration::from_millis(20), body.frame()).await.is_err());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"early"))))
    });
    let pieces = stream::iter([Ok::<_, Infallible>("first")]).chain(stream::pending());
    let body = Body::from_stream(pieces);
    let proxy = Proxy::new(client, forwarding("http://10.0.0.7:3000"));
    let response = proxy.oneshot(Request::post("/x?y=z").body(body).unwrap()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "early");
}

/// A server that answers one request on each connection, and closes the connection when the next request arrives. Returns
/// the address, and the first lines of all requests.
async fn server_that_closes() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let all = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                for is_first in [true, false] {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    all.lock().unwrap().push(String::from_utf8_lossy(&head).lines().next().unwrap().to_owned());
                    if is_first {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_read_on_a_closed_connection_is_repeated() {
    for (method, body, status, times) in [
        ("GET", "", StatusCode::OK, 2),
        ("HEAD", "", StatusCode::OK, 2),
        ("POST", "", StatusCode::BAD_GATEWAY, 1),
        ("DELETE", "", StatusCode::BAD_GATEWAY, 1),
        ("GET", "body", StatusCode::BAD_GATEWAY, 1),
    ] {
        let (address, seen) = server_that_closes().await;
        let proxy = Proxy::new(PooledClient::builder().build().unwrap(), forwarding(&format!("http://{address}")));
        let first = proxy.clone().oneshot(request("/first")).await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        first.into_body().collect().await.unwrap();
        let again = Request::builder().method(method).uri("/again?x=y").body(Body::from(body)).unwrap();
        let answer = proxy.oneshot(again).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {body}");
        let line = format!("{method} /again?x=y HTTP/1.1");
        assert_eq!(seen.lock().unwrap().iter().filter(|seen| **seen == line).count(), times, "{method} {body}");
    }
}
