//! HTTP/2 clients that hold connections, requests or answers without using them.

use crate::World;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, io::Write, time::Duration};
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet, block_in_place},
    time::{Instant, sleep, timeout},
};

type Body = BoxBody<Bytes, Infallible>;

fn world(limits: &str) -> World {
    let world = block_in_place(|| {
        World::start(|configuration| configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]")))
    });
    world.upstream.answers("/page", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
    world
}

/// Connects a client that answers pings. The task ends with the connection.
async fn connect(world: &World) -> (SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("http://gateway.test{path}")).body(Empty::new().boxed()).unwrap()
}

async fn page(sender: &mut SendRequest<Body>) -> Bytes {
    let response = sender.send_request(get("/page")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_keep_no_idle_connection_open() {
    let world = world("header_timeout = \"1s\"");
    for requests in [0, 1] {
        let (mut sender, connection) = connect(&world).await;
        for _ in 0..requests {
            assert_eq!(page(&mut sender).await, "page");
        }
        let ended = timeout(Duration::from_secs(8), connection).await.expect("the gateway closes the connection");
        assert!(ended.unwrap().is_ok(), "after GOAWAY");
    }
    // A connection with requests stays.
    let (mut sender, connection) = connect(&world).await;
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(page(&mut sender).await, "page");
        sleep(Duration::from_millis(300)).await;
    }
    assert!(!connection.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_answer_ends_alone() {
    let world = world("body_timeout = \"1s\"");
    world.upstream.does("/large", |stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n").unwrap();
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let (mut sender, _connection) = connect(&world).await;
    let mut unread = sender.send_request(get("/large")).await.unwrap().into_body();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(page(&mut sender).await, "page");
        sleep(Duration::from_millis(100)).await;
    }
    // The client finds what came before its window was full, and then the end of the stream.
    let read = async { while unread.frame().await.expect("the answer is not complete").is_ok() {} };
    timeout(Duration::from_millis(500), read).await.expect("the answer has ended");
    assert_eq!(page(&mut sender).await, "page");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_requests_hold_no_place() {
    let world = world("concurrent_requests = 4\nrequests_per_peer = 100");
    let (sender, _connection) = connect(&world).await;
    let mut silent = JoinSet::new();
    for _ in 0..50 {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let request = Request::post("http://gateway.test/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(BodyExt::boxed(body));
        let mut sender = sender.clone();
        silent.spawn(async move { sender.send_request(request.unwrap()).await.map(|response| response.status()) });
    }
    block_in_place(|| {
        crate::wait_for("the requests are open", || world.gateway.count("gateway_open", &["requests"]) == 50);
        for _ in 0..10 {
            let (status, body) = world.send(&world.exchange());
            assert_eq!(status, 200, "{body}");
        }
    });
    assert!(silent.try_join_next().is_none(), "no answer to a silent request");
}
