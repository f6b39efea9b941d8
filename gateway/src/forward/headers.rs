use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request::Parts};

/// Headers that concern one connection and not the message (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Prefixes of headers that a server believes because it expects a proxy to write them: who the client is, which certificate
/// the client has, and which path the client asked for.
const FROM_PROXIES: [&str; 27] = [
    "cf-connecting-ip",
    "cf-ipcountry",
    "client-cert",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "ssl-client-",
    "true-client-ip",
    "x-amzn-mtls-",
    "x-appengine-user-ip",
    "x-arr-clientcert",
    "x-azure-clientip",
    "x-client-cert",
    "x-client-ip",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded-",
    "x-original-",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-",
    "x-override-url",
    "x-rewrite-",
    "x-script-name",
    "x-ssl-",
];

/// Prefixes of headers that `Connection` never removes: what decides about a request, and what proxies in front add.
const NEVER_NOMINATED: [&str; 17] = [
    "authorization",
    "b3",
    "baggage",
    "content-",
    "cookie",
    "date",
    "dpop",
    "host",
    "origin",
    "referer",
    "set-cookie",
    "traceparent",
    "tracestate",
    "www-authenticate",
    "x-b3-",
    "x-correlation-id",
    "x-request-id",
];

/// Removes the headers that concern only the connection that a message came on: `Connection`, the headers that `Connection`
/// names, and the other headers of RFC 9110 section 7.6.1.
///
/// `Connection` cannot name what decides about a message, such as `Content-Type`, `Authorization`, `Cookie` and `Host`, nor
/// what a proxy in front adds, such as `X-Forwarded-For` and `X-Request-Id`. Otherwise a client could remove what a layer in
/// front has judged.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// headers.insert("connection", "keep-alive, x-hop".parse().unwrap());
/// headers.insert("x-hop", "1".parse().unwrap());
/// headers.insert("etag", "\"a\"".parse().unwrap());
/// token_exchange_gateway::forward::remove_hop_by_hop(&mut headers);
/// assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"]);
/// ```
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(may_be_nominated)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn may_be_nominated(name: &HeaderName) -> bool {
    let as_read = as_read(name);
    !NEVER_NOMINATED.iter().chain(&FROM_PROXIES).any(|prefix| as_read.starts_with(prefix))
}

/// The name as many servers read it: with `-` in place of `_`.
fn as_read(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// The value of `Upgrade`, if the request asks to change to `websocket`. Only HTTP/1.1 has upgrades (RFC 9110 section 7.8).
pub(super) fn requested_upgrade(parts: &Parts) -> Option<HeaderValue> {
    let is_named = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")))
    };
    let is_upgrade = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && parts.headers.get_all(header::CONNECTION).iter().any(is_named);
    let mut protocols = parts.headers.get_all(header::UPGRADE).iter();
    let first = protocols.next().filter(|_| is_upgrade && protocols.next().is_none())?;
    first.as_bytes().eq_ignore_ascii_case(b"websocket").then(|| first.clone())
}

/// Whether the client takes trailers: fields after the body, such as a checksum.
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    let mut names = codings.flat_map(|codings| codings.split(',')).filter_map(|coding| coding.split(';').next());
    names.any(|name| name.trim().eq_ignore_ascii_case("trailers"))
}

/// Joins several `Cookie` headers into one: HTTP/2 allows several, HTTP/1.1 does not (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

/// Removes the headers that only proxies write. If the peer is a proxy that is believed, only the spellings with `_` are
/// removed: no proxy writes those.
pub(super) fn remove_from_proxies(headers: &mut HeaderMap, peer_is_believed: bool) {
    let is_removed = |name: &HeaderName| {
        let as_read = as_read(name);
        FROM_PROXIES.iter().any(|prefix| as_read.starts_with(prefix)) && (!peer_is_believed || as_read != name.as_str())
    };
    let removed: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
}
