use super::*;
use crate::fetch::FetchConfigError;

const NOW: Duration = Duration::ZERO;

#[tokio::test]
async fn a_response_is_returned_whole() {
    let peer = Peer::answering(
        &[
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n",
            "3\r\n:1}\r\n0\r\nx: y\r\n\r\n",
        ],
        NOW,
    )
    .await;
    let answer = get(loopback().build().unwrap(), &peer.uri()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.body(), "{\"a\":1}");
    assert!(answer.extensions().is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let table: [&'static [&'static str]; 2] = [
        // The body is announced and never sent. The refusal does not wait for the body.
        &["HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n", "6\r\n123456\r\n"],
    ];
    for pieces in table {
        let peer = Peer::answering(pieces, Duration::from_millis(50)).await;
        let error = get(loopback().body_limit(10).build().unwrap(), &peer.uri()).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { limit: 10, .. }), "{error:?}");
    }
    let exact: &[&str] = &["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1234567890"];
    let peer = Peer::answering(exact, NOW).await;
    assert!(get(loopback().body_limit(10).build().unwrap(), &peer.uri()).await.is_ok());
}

#[tokio::test]
async fn headers_and_body_share_one_deadline() {
    let table: [&'static [&'static str]; 3] = [
        &["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", "k"],
        // The response is never idle for long, and never ends.
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\n", "a", "\r\n", "1\r\n", "a", "\r\n"],
    ];
    for pieces in table {
        let peer = Peer::answering(pieces, Duration::from_millis(120)).await;
        let fetch = loopback().timeout(Duration::from_millis(100)).build().unwrap();
        let error = get(fetch, &peer.uri()).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_redirect_is_returned() {
    let target = Peer::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], NOW).await;
    let location = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.uri());
    let pieces: &'static [&'static str] = Box::leak(Box::new([&*location.leak()]));
    let peer = Peer::answering(pieces, NOW).await;

    let answer = get(loopback().build().unwrap(), &peer.uri()).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], target.uri());
    assert_eq!((peer.connections(), target.connections()), (1, 0));
}

#[tokio::test]
async fn a_closed_port_differs_from_a_broken_response() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = get(loopback().build().unwrap(), &format!("http://{closed}/?secret=hunter2")).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));

    let table: [&'static [&'static str]; 3] =
        [&[], &["not http at all\r\n\r\n"], &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"]];
    for pieces in table {
        let peer = Peer::answering(pieces, NOW).await;
        let error = get(loopback().build().unwrap(), &peer.uri()).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let line: &'static str = format!("x-filler: {}\r\n", "x".repeat(40 * 1024)).leak();
    let pieces: &'static [&'static str] = Box::leak(Box::new(["HTTP/1.1 200 OK\r\n", line, line, line]));
    let peer = Peer::answering(pieces, NOW).await;
    let error = get(loopback().build().unwrap(), &peer.uri()).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
}

#[test]
fn limits_of_zero_are_refused() {
    assert!(matches!(loopback().timeout(Duration::ZERO).build(), Err(FetchConfigError::ZeroTimeout)));
    assert!(matches!(loopback().body_limit(0).build(), Err(FetchConfigError::ZeroBodyLimit)));
}
