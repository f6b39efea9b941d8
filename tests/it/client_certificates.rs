//! Clients with certificates (RFC 8705 section 2, RFC 9440). The name of a test has the number of the fact that it proves.

use crate::in_process::{InProcess, plan_of};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::StatusCode;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, SanType};
use ring::digest::{SHA256, digest};
use serde_json::json;
use std::net::IpAddr;
use tower_token_exchange::{
    Client, Reason,
    client_auth::{PeerCertificates, ProxyCertificatesLayer},
    jwks::KeySet,
    records::CertificateName::{self, SanDns, SanEmail, SanIp, SanUri, SubjectDn},
};

const ID: [(&str, &str); 1] = [("client_id", "orders")];

/// A certificate with these names, and its key.
fn certificate(key: &KeyPair, names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    params.distinguished_name.push(DnType::CommonName, "orders");
    params.subject_alt_names = names;
    params.self_signed(key).unwrap().der().to_vec()
}

fn every_kind_of_name() -> Vec<SanType> {
    vec![
        SanType::DnsName("orders.example".try_into().unwrap()),
        SanType::URI("https://orders.example/service".try_into().unwrap()),
        SanType::IpAddress(IpAddr::from([192, 0, 2, 7])),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
        SanType::Rfc822Name("orders@orders.example".try_into().unwrap()),
    ]
}

fn checked(der: &[u8]) -> PeerCertificates {
    unchecked(der).with_valid_chain()
}

fn unchecked(der: &[u8]) -> PeerCertificates {
    PeerCertificates::new([der.to_vec()])
}

/// Presents certificates as `orders`. Returns the method, or the reason of the refusal.
async fn present(orders: Client, certificates: PeerCertificates) -> Result<&'static str, Reason> {
    let mut world = InProcess::new(plan_of(orders));
    let (status, error, event) = world.post(&ID, |request| _ = request.extensions_mut().insert(certificates)).await;
    match event.reason {
        None => {
            assert_eq!((status, event.client_id), (StatusCode::OK, Some("orders".into())));
            Ok(event.auth_method.unwrap().as_str())
        }
        Some(reason) => {
            assert_eq!((status.as_u16(), &*error), (400, "invalid_client"), "{reason}");
            assert_eq!(event.client_id, None, "{reason}: nobody was let in");
            Err(reason)
        }
    }
}

#[tokio::test]
async fn mq_01_one_kind_of_name_is_compared() {
    let key = KeyPair::generate().unwrap();
    let all = certificate(&key, every_kind_of_name());
    let text = String::from;
    let ip = |text: &str| text.parse().unwrap();
    let accepted: [CertificateName; 8] = [
        SubjectDn(text("CN=orders,O=Example\\, Inc.")),
        SubjectDn(text("cn=orders, o=Example\\2C Inc.")),
        SubjectDn(text("2.5.4.3=orders,2.5.4.10=Example\\, Inc.")),
        SanDns(text("orders.example")),
        SanUri(text("https://orders.example/service")),
        SanIp(ip("192.0.2.7")),
        SanIp(ip("2001:db8::7")),
        SanEmail(text("orders@orders.example")),
    ];
    for name in accepted {
        let found = present(Client::new("orders").tls_client_auth(name.clone()), checked(&all)).await;
        assert_eq!(found, Ok("tls_client_auth"), "{name:?}");
    }
    // A similar name, and the same text as a name of another kind.
    let refused = [
        SubjectDn(text("CN=orders")),
        SubjectDn(text("O=Example\\, Inc.,CN=orders")),
        SubjectDn(text("CN=Orders,O=Example\\, Inc.")),
        SubjectDn(text("CN=orders.example")),
        SanDns(text("Orders.example")),
        SanDns(text("*.example")),
        SanDns(text("orders")),
        SanDns(text("https://orders.example/service")),
        SanDns(text("192.0.2.7")),
        SanUri(text("https://orders.example/service/")),
        SanUri(text("https://orders.example")),
        SanUri(text("orders.example")),
        SanIp(ip("192.0.2.8")),
        SanIp(ip("::ffff:192.0.2.7")),
        SanEmail(text("orders@ORDERS.example")),
        SanEmail(text("orders.example")),
    ];
    for name in refused {
        let found = present(Client::new("orders").tls_client_auth(name.clone()), checked(&all)).await;
        assert_eq!(found, Err(Reason::ClientCertificateMismatch), "{name:?}");
    }
    let without = certificate(&key, Vec::new());
    let named = Client::new("orders").tls_client_auth(SanDns(text("orders")));
    assert_eq!(present(named, checked(&without)).await, Err(Reason::ClientCertificateMismatch), "no names");
}

#[tokio::test]
async fn mq_01_a_name_needs_a_valid_chain() {
    let all = certificate(&KeyPair::generate().unwrap(), every_kind_of_name());
    let named = || Client::new("orders").tls_client_auth(SanDns("orders.example".into()));
    assert_eq!(present(named(), unchecked(&all)).await, Err(Reason::ClientCertificateUntrusted));
    assert_eq!(present(named(), checked(&all)).await, Ok("tls_client_auth"));
    for (name, der) in [("no certificate", &[][..]), ("the start", &all[..all.len() - 1]), ("PEM", b"-----BEGIN")] {
        assert_eq!(present(named(), checked(der)).await, Err(Reason::ClientCertificateMalformed), "{name}");
    }
    let none = PeerCertificates::new(Vec::<Vec<u8>>::new()).with_valid_chain();
    assert_eq!(present(named(), none).await, Err(Reason::ClientCertificateMalformed), "an empty list");
    let longer = [&all[..], &[0]].concat();
    assert_eq!(present(named(), checked(&longer)).await, Err(Reason::ClientCertificateMalformed), "more bytes");
}

#[tokio::test]
async fn mq_01_a_self_signed_certificate_is_registered() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let eddsa = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let point = key.public_key_raw();
    let part = |range: std::ops::Range<usize>| BASE64URL_NOPAD.encode(&point[range]);
    let keys = json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65) },
        { "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(eddsa.public_key_raw()) },
    ] });
    let keys = KeySet::from_json(keys.to_string()).unwrap();
    let by_key = || Client::new("orders").keys(keys.clone()).self_signed_tls_client_auth();
    let (own, again) = (certificate(&key, every_kind_of_name()), certificate(&key, Vec::new()));
    let of_other = certificate(&other, every_kind_of_name());
    for (name, der, let_in) in [
        ("the key", &own, true),
        ("the key in another certificate", &again, true),
        ("an Ed25519 key", &certificate(&eddsa, Vec::new()), true),
        ("another key", &of_other, false),
    ] {
        let expected = if let_in { Ok("self_signed_tls_client_auth") } else { Err(Reason::ClientCertificateMismatch) };
        assert_eq!(present(by_key(), unchecked(der)).await, expected, "{name}");
        assert_eq!(present(by_key(), checked(der)).await, expected, "{name}: the chain does not matter");
    }
    // The keys alone are for assertions.
    let assertions = Client::new("orders").keys(keys.clone());
    assert_eq!(present(assertions, checked(&own)).await, Err(Reason::ClientCredentialsMissing));

    let hash = HEXLOWER.encode(digest(&SHA256, &own).as_ref());
    let with_colons = hash.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect::<Vec<_>>().join(":");
    for hash in [&hash, &with_colons, &hash.to_uppercase()] {
        let by_hash = || Client::new("orders").certificate_sha256(hash);
        assert_eq!(present(by_hash(), unchecked(&own)).await, Ok("self_signed_tls_client_auth"));
        for der in [&again, &of_other] {
            assert_eq!(present(by_hash(), checked(der)).await, Err(Reason::ClientCertificateMismatch));
        }
    }
}

#[tokio::test]
async fn mq_02_a_certificate_needs_a_client_id() {
    let all = certificate(&KeyPair::generate().unwrap(), every_kind_of_name());
    let named = Client::new("orders").tls_client_auth(SanDns("orders.example".into()));
    let mut world = InProcess::new(plan_of(named));
    let with = |request: &mut http::Request<axum::body::Body>| _ = request.extensions_mut().insert(checked(&all));
    let (status, error, event) = world.post(&[], with).await;
    assert_eq!((status.as_u16(), &*error), (400, "invalid_client"));
    assert_eq!(event.reason, Some(Reason::ClientCredentialsMissing), "no client_id");
    for id in ["billing", "nobody", "Orders"] {
        let (_, error, event) = world.post(&[("client_id", id)], with).await;
        assert_eq!((&*error, event.client_id), ("invalid_client", None), "{id}");
    }
    // A certificate beside other credentials does not authenticate.
    let (status, _, event) = world.post(&[("client_id", "orders"), ("client_secret", "a guess")], with).await;
    assert_eq!((status.as_u16(), event.reason), (400, Some(Reason::ClientRejected)));
    assert_eq!(world.post(&ID, with).await.0, StatusCode::OK);
}

fn header_of(der: &[u8]) -> String {
    format!(":{}:", BASE64.encode(der))
}

#[tokio::test]
async fn mq_02_a_header_counts_from_a_proxy_only() {
    #[derive(Clone)]
    struct Peer(IpAddr);

    let all = certificate(&KeyPair::generate().unwrap(), every_kind_of_name());
    let good = header_of(&all);
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let named = || plan_of(Client::new("orders").tls_client_auth(SanDns("orders.example".into())));
    let layer = || ProxyCertificatesLayer::new([proxy], |found| Some(found.get::<Peer>()?.0));
    let pem = format!("-----BEGIN CERTIFICATE----- {} -----END CERTIFICATE-----", BASE64.encode(&all));
    let unpadded = good.replace('=', "");
    let bare = BASE64.encode(&all);
    let (malformed, missing) = (Some(Reason::ClientCertificateMalformed), Some(Reason::ClientCredentialsMissing));
    let own = Some(proxy);
    for (name, peer, headers, reason) in [
        ("the proxy", own, &[&*good][..], None),
        ("the proxy, as IPv6", Some("::ffff:10.0.0.1".parse().unwrap()), &[&good], None),
        ("no header", own, &[], missing),
        ("two headers", own, &[&good, &good], malformed),
        ("PEM", own, &[&pem], malformed),
        ("no colons", own, &[&bare], malformed),
        ("an empty value", own, &["::"], malformed),
        ("no value", own, &[""], malformed),
        ("a list", own, &[&format!("{good}, {good}")], malformed),
        ("parameters", own, &[&format!("{good};a=1")], malformed),
        ("base64url", own, &[&header_of(&[0xfb, 0xff]).replace('+', "-").replace('/', "_")], malformed),
        ("another address", Some(IpAddr::from([10, 0, 0, 2])), &[&good], missing),
        ("an unknown address", None, &[&good], missing),
    ] {
        let mut world = InProcess::new(named()).behind(layer().with_valid_chains());
        let (_, _, event) = world
            .post(&ID, |request| {
                peer.map(|peer| request.extensions_mut().insert(Peer(peer)));
                headers
                    .iter()
                    .for_each(|value| _ = request.headers_mut().append("client-cert", value.parse().unwrap()));
            })
            .await;
        assert_eq!(event.reason, reason, "{name}");
    }
    if unpadded != good {
        let mut world = InProcess::new(named()).behind(layer().with_valid_chains());
        let (_, _, event) = world
            .post(&ID, |request| {
                request.extensions_mut().insert(Peer(proxy));
                request.headers_mut().append("client-cert", unpadded.parse().unwrap());
            })
            .await;
        assert_eq!(event.reason, malformed, "no padding");
    }
    // Without the layer, the header has no meaning. Without its statement, the chain counts as unchecked.
    for (name, with_layer, reason) in
        [("no layer", false, missing), ("unchecked", true, Some(Reason::ClientCertificateUntrusted))]
    {
        let world = InProcess::new(named());
        let mut world = if with_layer { world.behind(layer()) } else { world };
        let (_, _, event) = world
            .post(&ID, |request| {
                request.extensions_mut().insert(Peer(proxy));
                request.headers_mut().append("client-cert", good.parse().unwrap());
            })
            .await;
        assert_eq!(event.reason, reason, "{name}");
    }
    // The certificate of the proxy itself is no certificate of a client.
    let mut world = InProcess::new(named()).behind(layer().with_valid_chains());
    let (_, _, event) = world
        .post(&ID, |request| {
            request.extensions_mut().insert(Peer(proxy));
            request.extensions_mut().insert(checked(&all));
        })
        .await;
    assert_eq!(event.reason, missing, "the proxy's own");
}

#[test]
fn mistakes_in_certificates_of_records_are_reported() {
    let dns = |name: &str| SanDns(name.into());
    for (client, field, help) in [
        (
            Client::new("orders").tls_client_auth(dns("a")).tls_client_auth(dns("b")),
            "tls_client_auth_san_dns",
            "exactly one",
        ),
        (Client::new("orders").tls_client_auth(dns("")), "tls_client_auth_san_dns", "exact name"),
        (Client::new("orders").tls_client_auth(SubjectDn("orders".into())), "tls_client_auth_subject_dn", "RFC 4514"),
        (Client::new("orders").self_signed_tls_client_auth(), "self_signed_tls_client_auth", "certificate_sha256"),
        (Client::new("orders").certificate_sha256("ab"), "certificate_sha256", "64 hexadecimal"),
        (Client::new("orders").tls_client_auth(dns("a")).allow_public(), "allow_public", "remove one"),
    ] {
        let error = plan_of(client).builder.build().unwrap_err();
        assert_eq!(error.field(), format!("client `orders`: {field}"), "{error}");
        assert!(error.help().contains(help), "{error}");
    }
}
