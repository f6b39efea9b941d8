//! The TLS of the HTTP client, against a server with a certificate of a private authority.

use std::{io::Read, io::Write, net, sync::Arc, thread, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_token_exchange::fetch::{FetchConfigError, FetchError, HttpFetch, HttpFetchBuilder};

fn loopback() -> HttpFetchBuilder {
    HttpFetch::builder().allow_loopback_http().timeout(Duration::from_secs(2))
}

async fn get(fetch: HttpFetch, uri: &str) -> Result<Response<Bytes>, FetchError> {
    fetch.oneshot(Request::get(uri).body(Bytes::new()).unwrap()).await
}

/// A TLS server for `localhost`, and the PEM of the private CA behind it.
fn server() -> (u16, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();

    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            // A client that breaks the handshake off is part of the tests.
            if tls.read(&mut [0; 1024]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure");
            }
        }
    });
    (port, ca.pem())
}

#[tokio::test]
async fn a_private_ca_needs_an_option() {
    let (port, ca) = server();
    let uri = format!("https://localhost:{port}/");

    let fetch = loopback().root_certificate_pem(ca.as_bytes()).build().unwrap();
    assert_eq!(get(fetch.clone(), &uri).await.unwrap().body(), "secure");

    let stranger = get(loopback().build().unwrap(), &uri).await.unwrap_err();
    assert!(matches!(stranger, FetchError::Tls { .. }), "{stranger:?}");

    let other_name = get(fetch, &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(other_name, FetchError::Tls { .. }), "{other_name:?}");
}

#[tokio::test]
async fn a_silent_peer_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fetch = loopback().timeout(Duration::from_millis(100)).build().unwrap();
    let error = get(fetch, &format!("https://{}/", listener.local_addr().unwrap())).await.unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_pem_without_certificate_is_refused() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let table = [
        ("", false),
        ("/etc/ssl/ca.pem", false),
        (&*key, false),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", true),
        ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", true),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", true),
    ];
    for (pem, has_certificate) in table {
        let builder = loopback().root_certificate_pem(pem.as_bytes());
        assert!(!format!("{builder:?}").contains("BEGIN"));
        let error = builder.build().unwrap_err();
        assert_eq!(
            matches!(error, FetchConfigError::UnusableRootCertificate { .. }),
            has_certificate,
            "{pem}: {error:?}"
        );
        assert_eq!(matches!(error, FetchConfigError::NoRootCertificate), !has_certificate, "{pem}: {error:?}");
    }
}

/// A TLS server that asks every client for a certificate of its own authority, and sends the length of the certificate. Returns
/// the port, the PEM of the authority, and the PEM of a certificate of a client and its key.
fn server_for_certificates() -> (u16, String, [String; 2]) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let [(leaf, key), (client, client_key)] = ["localhost", "orders"].map(|name| {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap(), key)
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            if tls.read(&mut [0; 1024]).is_ok() {
                let body = tls.conn.peer_certificates().map_or(0, |chain| chain[0].len()).to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = tls.write_all(format!("{head}{body}").as_bytes());
            }
        }
    });
    (port, ca.pem(), [client.pem(), client_key.serialize_pem()])
}

#[tokio::test]
async fn a_server_gets_the_certificate_of_the_client() {
    let (port, ca, [certificate, key]) = server_for_certificates();
    let uri = format!("https://localhost:{port}/");
    let trusting = || loopback().root_certificate_pem(ca.as_bytes());
    let fetch = trusting().client_certificate_pem(certificate.as_bytes(), key.as_bytes()).build().unwrap();
    assert_ne!(get(fetch, &uri).await.unwrap().body(), "0");
    assert!(get(trusting().build().unwrap(), &uri).await.is_err(), "the server wants a certificate");
}

#[test]
fn an_unusable_client_certificate_is_refused() {
    let (_, _, [certificate, key]) = server_for_certificates();
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    for (name, certificate, key) in [
        ("no certificate", "", &*key),
        ("a path", "/etc/ssl/orders.pem", &*key),
        ("no key", &*certificate, ""),
        ("a certificate as the key", &*certificate, &*certificate),
        ("another key", &*certificate, &*other_key),
    ] {
        let builder = loopback().client_certificate_pem(certificate.as_bytes(), key.as_bytes());
        assert!(!format!("{builder:?}").contains("BEGIN"));
        let error = builder.build().unwrap_err();
        assert!(matches!(error, FetchConfigError::UnusableClientCertificate { .. }), "{name}: {error:?}");
    }
}
