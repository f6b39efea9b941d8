use crate::fetch::client::checked_host;

#[test]
fn only_absolute_https_uris_are_fetched() {
    let table = [
        ("https://issuer.example/jwks?a=b", Ok("issuer.example")),
        ("https://issuer.example:8443/", Ok("issuer.example")),
        ("HTTPS://[2606:4700::1111]/", Ok("[2606:4700::1111]")),
        ("http://issuer.example/", Err("over http")),
        ("ftp://issuer.example/", Err("over ftp")),
        ("/jwks", Err("not absolute")),
        ("issuer.example:443", Err("not absolute")),
        ("https://user:hunter2@issuer.example/", Err("user information")),
        ("https://user@issuer.example/", Err("user information")),
    ];
    for (uri, expected) in table {
        match (checked_host(&uri.parse().unwrap(), false), expected) {
            (Ok(host), Ok(expected)) => assert_eq!(host, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{uri}: {error}"),
            (got, _) => panic!("{uri}: {got:?}"),
        }
    }
}

#[test]
fn plain_http_needs_an_option() {
    assert_eq!(checked_host(&"http://localhost:8080/".parse().unwrap(), true).unwrap(), "localhost");
    assert!(checked_host(&"ws://localhost/".parse().unwrap(), true).is_err());
}

#[test]
fn errors_contain_no_query_and_no_credentials() {
    for uri in ["http://issuer.example/path?secret=hunter2", "https://user:hunter2@issuer.example/path"] {
        let error = checked_host(&uri.parse().unwrap(), false).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2") && !text.contains("path"), "{text}");
        }
    }
}
