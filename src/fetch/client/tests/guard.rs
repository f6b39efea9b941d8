use super::*;

const OK: &[&str] = &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"];

async fn refusal(fetch: HttpFetch, uri: &str) -> String {
    match get(fetch, uri).await.unwrap_err() {
        error @ FetchError::RefusedAddress { .. } => error.to_string(),
        other => panic!("{uri}: {other:?}"),
    }
}

#[tokio::test]
async fn internal_addresses_are_refused_by_default() {
    let peer = Peer::answering(OK, Duration::ZERO).await;
    let port = peer.address.port();
    let hosts = "127.0.0.1 [::1] 10.0.0.1 169.254.169.254 [::ffff:127.0.0.1] localhost";
    for host in hosts.split(' ') {
        let told = refusal(HttpFetch::new(), &format!("https://{host}:{port}/?secret=hunter2")).await;
        assert!(told.starts_with(&format!("refused to connect to {host}: ")) && !told.contains("hunter2"), "{told}");

        let error = get(HttpFetch::new(), &format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(error, FetchError::RefusedScheme { .. }), "{error:?}");
    }
    for spelling in ["127.1", "0x7f000001", "2130706433", "127.0.0.1.", "[::1%25lo]"] {
        if let Ok(uri) = format!("https://{spelling}:{port}/").parse::<http::Uri>() {
            assert!(get(HttpFetch::new(), &uri.to_string()).await.is_err(), "{spelling}");
        }
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn plain_http_reaches_loopback_only() {
    let fetch = loopback().allow_private_addresses().build().unwrap();
    // The resolver of the system reads each of the last three hosts as 10.0.0.1. Rust does not read them as addresses.
    for host in "10.0.0.1 8.8.8.8 [fd00::1] [64:ff9b::7f00:1] 0.0.0.0 10.1 0x0a000001 167772161".split(' ') {
        let told = refusal(fetch.clone(), &format!("http://{host}/")).await;
        assert!(told.contains("plain http"), "{told}");
    }
    let peer = Peer::answering(OK, Duration::ZERO).await;
    let port = peer.address.port();
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(get(fetch.clone(), &format!("http://{host}:{port}/")).await.unwrap().body(), "ok");
    }
}

#[tokio::test]
async fn private_addresses_exclude_metadata_addresses() {
    let fetch = HttpFetch::builder().allow_private_addresses().build().unwrap();
    for host in ["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]", "0.0.0.0"] {
        assert!(refusal(fetch.clone(), &format!("https://{host}/")).await.contains("no option allows"));
    }
    // The client connects to an allowed address. No server listens at this address.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = get(fetch, &format!("https://{closed}/")).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
}

#[test]
fn the_client_is_clone_and_sync() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let fetch = HttpFetch::default();
    shared(&fetch);
    assert!(!format!("{fetch:?}").is_empty());
}
