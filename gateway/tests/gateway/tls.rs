//! TLS: both versions of HTTP, certificates of clients, changed certificates, and TLS to the server.

use crate::{World, process::wait_for};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, CertifiedIssuer,
    IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate that this authority signed, and its key.
fn signed_by(authority: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// Connects as a client that trusts this authority.
async fn connect(
    port: u16,
    authority: &Authority,
    protocol: &[u8],
    certificate: Option<(&rcgen::Certificate, &KeyPair)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Requests a page over the version of HTTP that the handshake chose.
async fn get(stream: TlsStream<TcpStream>, host: &str) -> hyper::Result<(StatusCode, Bytes)> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let request = |uri: String| {
        let request = Request::get(uri).header("cookie", "a=1").header("cookie", "b=2");
        if is_http2 { request } else { request.header("host", host) }.body(Empty::<Bytes>::new()).unwrap()
    };
    let response = if is_http2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request(format!("https://{host}/page"))).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request("/page".to_owned())).await?
    };
    let (parts, body) = response.into_parts();
    Ok((parts.status, body.collect().await?.to_bytes()))
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_serves_both_versions_and_client_certificates() {
    let (servers, clients) = (authority(), authority());
    let (first, first_key) = signed_by(&servers);
    let (client, client_key) = signed_by(&clients);
    let pem = [first.pem(), first_key.serialize_pem(), clients.pem()];
    let world = tokio::task::spawn_blocking(move || {
        World::start_in(|folder, configuration| {
            for (name, text) in ["tls.crt", "tls.key", "clients.pem"].iter().zip(&pem) {
                folder.write(name, text);
            }
            let tls =
                "tls = { certificate = \"tls.crt\", key = \"tls.key\", client_ca = \"clients.pem\" }\n\n[upstream]";
            let limits = "[limits]\nheader_timeout = \"2s\"\n\n[audit]";
            let configuration = configuration.replace("[upstream]", tls).replace("[audit]", limits);
            configuration.replace("issuer = \"http:", "issuer = \"https:")
        })
    });
    let world = world.await.unwrap();
    world.upstream.answers("/page", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
    let port = world.gateway.port;
    let host = "gateway.test";
    for (protocol, via) in [(&b"http/1.1"[..], "1.1"), (b"h2", "2.0")] {
        let stream = connect(port, &servers, protocol, None).await.unwrap();
        assert_eq!(shown(&stream), *first.der());
        assert_eq!(get(stream, host).await.unwrap(), (StatusCode::OK, Bytes::from("page")));
        let seen = String::from_utf8(world.upstream.seen("/page")).unwrap().to_lowercase();
        assert!(seen.contains("x-forwarded-proto: https\r\n") && seen.contains(&format!("via: {via} ")), "{seen}");
        assert!(seen.contains("cookie: a=1; b=2\r\n"), "{seen}");
        assert!(seen.contains(&format!("host: {host}\r\n")) && !seen.contains("client-cert"), "{seen}");
    }

    // A client that sends nothing after the handshake loses the connection.
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let mut stream = connect(port, &servers, protocol, None).await.unwrap();
        let ended = async { while stream.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) {} };
        tokio::time::timeout(std::time::Duration::from_secs(5), ended)
            .await
            .expect("the gateway closes the connection");
    }

    // The certificate of a client is passed on if the configured authority signed the certificate.
    let stream = connect(port, &servers, b"h2", Some((&client, &client_key))).await.unwrap();
    assert_eq!(get(stream, host).await.unwrap().0, StatusCode::OK);
    let seen = String::from_utf8(world.upstream.seen("/page")).unwrap();
    let expected = format!(":{}:", data_encoding::BASE64.encode(client.der()));
    assert!(
        seen.lines().any(|line| line.to_lowercase().starts_with("client-cert: ") && line.ends_with(&expected)),
        "{seen}"
    );
    let (stranger, stranger_key) = signed_by(&servers);
    let refused = match connect(port, &servers, b"http/1.1", Some((&stranger, &stranger_key))).await {
        // With TLS 1.3 the client learns of the refusal when it reads.
        Ok(stream) => get(stream, host).await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "an unknown authority");

    // A key that does not belong to the certificate is refused. A new pair is taken over.
    let (second, second_key) = signed_by(&servers);
    world.folder.write("tls.key", &second_key.serialize_pem());
    world.gateway.process.signal("-HUP");
    let count = |result: &str| world.gateway.count("gateway_reloads_total", &[result]);
    tokio::task::block_in_place(|| wait_for("the change is refused", || count("refused") > 0));
    assert_eq!(shown(&connect(port, &servers, b"h2", None).await.unwrap()), *first.der());
    let before = count("taken");
    world.folder.write("tls.crt", &second.pem());
    tokio::task::block_in_place(|| wait_for("the change is taken over", || count("taken") > before));
    assert_eq!(shown(&connect(port, &servers, b"h2", None).await.unwrap()), *second.der());
}

/// A revocation list of an authority that revokes these serial numbers. The list is good until the begin of a year.
fn revoking(authority: &Authority, serials: &[u64], year: i32) -> CertificateRevocationList {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2020, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(year, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_client_certificates_are_refused() {
    let (servers, clients, others) = (authority(), authority(), authority());
    let (certificate, key) = signed_by(&servers);
    let client = |serial: u64| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        (params.signed_by(&key, &clients).unwrap(), key)
    };
    let [first, second] = [client(1), client(2)];
    let none = revoking(&clients, &[], 4000).pem().unwrap();
    let files = [
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
        ("clients.pem", clients.pem()),
        ("clients.crl", none.clone()),
    ];
    let world = tokio::task::spawn_blocking(move || {
        World::start_in(|folder, configuration| {
            files.iter().for_each(|(name, text)| folder.write(name, text));
            let tls = "tls = { certificate = \"tls.crt\", key = \"tls.key\", client_ca = \"clients.pem\", \
                       client_crls = [\"clients.crl\"] }\n\n[upstream]";
            configuration.replace("[upstream]", tls).replace("issuer = \"http:", "issuer = \"https:")
        })
    });
    let world = world.await.unwrap();
    world.upstream.answers("/page", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
    let served = async |certificate: Option<&(rcgen::Certificate, KeyPair)>| {
        let certificate = certificate.map(|(certificate, key)| (certificate, key));
        match connect(world.gateway.port, &servers, b"http/1.1", certificate).await {
            // With TLS 1.3 the client learns of the refusal when it reads.
            Ok(stream) => get(stream, "gateway.test").await.is_ok(),
            Err(_) => false,
        }
    };
    // The lists, whether the gateway takes the lists, and whether the first and the second client are served then.
    for (name, list, taken, expected) in [
        ("nobody is revoked", none.clone().into_bytes(), true, [true, true]),
        ("the second is revoked", revoking(&clients, &[2, 7], 4000).pem().unwrap().into_bytes(), true, [true, false]),
        ("the first is revoked, in DER", revoking(&clients, &[1], 4000).der().to_vec(), true, [false, true]),
        ("a file without a list is refused", b"-----BEGIN NOTHING-----".to_vec(), false, [false, true]),
        ("a broken list is refused", vec![0x30, 0x03, 0x02, 0x01, 0x05], false, [false, true]),
        (
            "an expired list says nothing",
            revoking(&clients, &[], 2021).pem().unwrap().into_bytes(),
            true,
            [false, false],
        ),
        (
            "a list of another authority says nothing",
            revoking(&others, &[], 4000).pem().unwrap().into_bytes(),
            true,
            [false, false],
        ),
        ("both lists", [none, revoking(&others, &[1], 4000).pem().unwrap()].concat().into_bytes(), true, [true, true]),
    ] {
        let result = if taken { "taken" } else { "refused" };
        let before = world.gateway.count("gateway_reloads_total", &[result]);
        std::fs::write(world.folder.0.join("new.crl"), &list).unwrap();
        std::fs::rename(world.folder.0.join("new.crl"), world.folder.0.join("clients.crl")).unwrap();
        world.gateway.process.signal("-HUP");
        tokio::task::block_in_place(|| {
            wait_for(name, || world.gateway.count("gateway_reloads_total", &[result]) > before);
        });
        assert_eq!([served(Some(&first)).await, served(Some(&second)).await], expected, "{name}");
        assert!(served(None).await, "{name}: a client without a certificate");
    }
}

/// A TLS server with a certificate for this name: its port, and the certificate of its authority. The server answers nothing.
pub(crate) fn server_for(name: &str) -> (u16, String) {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let issued = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = Arc::new(server.with_no_client_auth().with_single_cert(vec![issued.der().clone()], key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
            let _ = connection.complete_io(&mut stream);
        }
    });
    (port, authority.pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_the_server_is_checked() {
    let (theirs, others) = (authority(), authority());
    let (certificate, key) = signed_by(&theirs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&crate::answer(200, "over TLS")).await;
            let _ = stream.shutdown().await;
        }
    });
    let other_name = "\ntls_server_name = \"as.example\"";
    for (ca, name, expected) in [
        (theirs.pem(), "", 200),
        (others.pem(), "", 502),
        (theirs.pem(), "\ntls_server_name = \"localhost\"", 200),
        (theirs.pem(), other_name, 502),
    ] {
        let answered = tokio::task::spawn_blocking(move || {
            let world = World::start_in(|folder, configuration| {
                folder.write("upstream.pem", &ca);
                let begin = configuration.find("url = ").unwrap();
                let end = begin + configuration[begin..].find('\n').unwrap();
                let url = format!("url = \"https://127.0.0.1:{upstream}\"\nca = \"upstream.pem\"{name}");
                format!("{}{url}{}", &configuration[..begin], &configuration[end..])
            });
            world.send(&world.request("GET /page HTTP/1.1"))
        });
        assert_eq!(answered.await.unwrap().0, expected, "{name}");
    }
}

/// An exchange over TLS, without other credentials than the certificate.
async fn exchange(stream: TlsStream<TcpStream>, subject_token: &str) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
        .append_pair("client_id", "orders")
        .append_pair("subject_token", subject_token)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", "billing")
        .finish();
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Client-Cert: :AA==:\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut stream = stream;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_authenticates_its_client() {
    let (servers, clients) = (authority(), authority());
    let (first, first_key) = signed_by(&servers);
    let (by_authority, by_authority_key) = signed_by(&clients);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&own_key).unwrap();
    let hash = data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, own.der()).as_ref());
    let by_name = "tls_client_auth_san_dns = \"localhost\"".to_owned();
    let by_hash = format!("certificate_sha256 = \"{hash}\"");
    for (name, record, certificate, key, status) in [
        ("a name, by the authority", &by_name, &by_authority, &by_authority_key, "200"),
        ("a name, self-signed", &by_name, &own, &own_key, "400"),
        ("a hash", &by_hash, &own, &own_key, "200"),
        ("another hash", &by_hash, &by_authority, &by_authority_key, "400"),
    ] {
        let pem = [first.pem(), first_key.serialize_pem(), clients.pem()];
        let record = format!("id = \"orders\"\n{record}\n\n[[target]]\nid = \"orders\"");
        let world = tokio::task::spawn_blocking(move || {
            World::start_in(|folder, configuration| {
                for (name, text) in ["tls.crt", "tls.key", "clients.pem"].iter().zip(&pem) {
                    folder.write(name, text);
                }
                let tls = "tls = { certificate = \"tls.crt\", key = \"tls.key\", client_ca = \"clients.pem\", \
                           accept_any_client_certificate = true }\n\n[upstream]";
                let configuration = configuration.replace("[upstream]", tls);
                let configuration = configuration.replace("issuer = \"http:", "issuer = \"https:");
                configuration.replacen("id = \"orders\"\n\n[[target]]\nid = \"orders\"", &record, 1)
            })
        });
        let world = world.await.unwrap();
        let token = crate::own_token(&world.folder, &crate::ISSUER.replace("http:", "https:"));
        let stream = connect(world.gateway.port, &servers, b"http/1.1", Some((certificate, key))).await.unwrap();
        let answer = exchange(stream, &token).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{name}: {answer}");
        let without = connect(world.gateway.port, &servers, b"http/1.1", None).await.unwrap();
        let answer = exchange(without, &token).await;
        assert_eq!(answer.split(' ').nth(1), Some("400"), "{name}, without a certificate: {answer}");
    }
}
