use crate::records::ConfigError;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Of one connection, not of the message (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a server believes because a proxy says so, and so whatever begins with it.
const FROM_PROXIES: [&str; 4] = ["forwarded", "x-forwarded-", "x-real-ip", "client-cert"];

/// Who is at the other end of the connection that a request came on. A server puts it into the request's extensions.
#[derive(Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// Whether the connection has TLS.
    pub tls: bool,
    /// The certificate that the client presented, in DER; only one that was verified.
    pub certificate: Option<Bytes>,
}

impl Peer {
    /// A peer on a connection without TLS.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: false, certificate: None }
    }

    /// A peer on a connection with TLS, and its certificate if it presented one that was verified.
    pub fn with_tls(address: SocketAddr, certificate: Option<Bytes>) -> Self {
        Self { address, tls: true, certificate }
    }
}

/// How requests are passed on to one server.
///
/// What a client says in headers that only proxies write (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`, `Client-Cert` and
/// `Client-Cert-Chain`, also with `_` for `-`, which many servers take for the same) does not reach that server: it gets the
/// gateway's word instead. Others that your server believes, such as `True-Client-IP`, are for you to remove.
///
/// ```
/// use http::Request;
/// use std::net::SocketAddr;
/// use tower_token_exchange::forward::{Forwarding, Peer};
///
/// let forwarding = Forwarding::to("http://10.0.0.7:3000", "https://as.example")?;
///
/// let request = Request::get("/authorize?x=1").header("host", "as.example").header("x-forwarded-for", "6.6.6.6");
/// let mut parts = request.body(()).unwrap().into_parts().0;
/// parts.extensions.insert(Peer::with_tls(SocketAddr::from(([192, 0, 2, 1], 50_000)), None));
/// forwarding.forward(&mut parts);
///
/// assert_eq!(parts.uri, "http://10.0.0.7:3000/authorize?x=1");
/// assert_eq!(parts.headers["host"], "as.example");
/// assert_eq!(parts.headers["x-forwarded-for"], "192.0.2.1");
/// assert_eq!(parts.headers["x-forwarded-proto"], "https");
/// # Ok::<(), tower_token_exchange::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forwarding {
    scheme: Scheme,
    authority: Authority,
    public_scheme: String,
    public_host: String,
    hosts: Vec<String>,
    behind_proxy: bool,
}

impl Forwarding {
    /// To the server at this URL, which has scheme, host and port alone. The other URL is where the world finds the gateway:
    /// its host and scheme are told to the server where a request does not say one.
    ///
    /// # Errors
    /// [`ConfigError`] names the URL and the way out.
    pub fn to(server: &str, public: &str) -> Result<Self, ConfigError> {
        let origin = |field: &'static str, url: &str| {
            let parts = url.parse::<Uri>().ok().map(Uri::into_parts).filter(|parts| {
                let scheme = parts.scheme.as_ref().map(Scheme::as_str);
                matches!(scheme, Some("http" | "https"))
            });
            let parts = parts.and_then(|parts| Some((parts.scheme?, parts.authority?, parts.path_and_query)));
            let help = format!("`{url}` is no URL: write it in full, such as `https://as.example`");
            parts.ok_or_else(|| ConfigError::new(field, help))
        };
        let (scheme, authority, path) = origin("server", server)?;
        if path.is_some_and(|path| path != "/") {
            return Err(ConfigError::new("server", "leave path and query out: requests bring their own"));
        }
        let (public_scheme, public_host, _) = origin("public", public)?;
        let (public_scheme, public_host) = (public_scheme.to_string(), public_host.to_string());
        Ok(Self { scheme, authority, public_scheme, public_host, hosts: Vec::new(), behind_proxy: false })
    }

    /// Says that every connection comes from a proxy that writes those headers itself and takes out what clients say: they
    /// are handed on, with its own address added to `Forwarded` and `X-Forwarded-For`. Of `X-Forwarded-Proto` and
    /// `X-Forwarded-Host` the last counts. `Client-Cert` is the proxy's word then too, never its own certificate.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        self.behind_proxy = true;
        self
    }

    /// Names that the gateway has beside the public one, with their port where that is not the scheme's own; `*` is any.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a request is for the public host or one of [`hosts`](Self::hosts). Another one may be for a server that
    /// believes whatever `Host` says: answer it with 421 (RFC 9110 section 15.5.20).
    ///
    /// ```
    /// use http::Request;
    /// use tower_token_exchange::forward::Forwarding;
    ///
    /// let forwarding = Forwarding::to("http://10.0.0.7:3000", "https://as.example")?.hosts(["as.internal:8443"]);
    /// let is_for_us = |host| forwarding.is_for_us(&Request::get("/").header("host", host).body(()).unwrap());
    /// assert!(is_for_us("AS.example") && is_for_us("as.internal:8443"));
    /// assert!(!is_for_us("as.internal") && !is_for_us("as.example.evil") && !is_for_us(""));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn is_for_us<B>(&self, request: &Request<B>) -> bool {
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok()).unwrap_or_default();
        let mut ours = self.hosts.iter().chain([&self.public_host]);
        ours.any(|ours| ours == "*" || ours.eq_ignore_ascii_case(host))
    }

    /// The scheme and the host of where the world finds the gateway.
    pub fn public_origin(&self) -> (&str, &str) {
        (&self.public_scheme, &self.public_host)
    }

    /// Turns a client's request into the gateway's own: its target is the server, headers of the connection are gone,
    /// `Host` is what the client asked for, and `Forwarded` (RFC 7239), `X-Forwarded-*`, `Via` (RFC 9110 section 7.6.3) and
    /// `Client-Cert` (RFC 9440) say who asked, by the [`Peer`] in the extensions. Its version is HTTP/1.1. Path, query and all
    /// other headers stay as they came.
    ///
    /// What comes back is the protocol that the client wants to change to, if that is `websocket`: the request asks the server
    /// for it too, and whoever sends it must connect both ends then. Any other, such as `h2c`, would let requests past
    /// whatever stands in front of the server, and is not asked for.
    pub fn forward(&self, parts: &mut Parts) -> Option<HeaderValue> {
        let upgrade = upgrade_wanted(parts);
        let peer = parts.extensions.get::<Peer>().cloned();
        let host = parts.uri.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok());
        let host = host.or_else(|| parts.headers.get(header::HOST).cloned());
        let host = host.or_else(|| HeaderValue::try_from(&self.public_host).ok());
        let mut uri = http::uri::Parts::default();
        (uri.scheme, uri.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        uri.path_and_query = parts.uri.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
        let via = if parts.version == Version::HTTP_2 { "2.0 gateway" } else { "1.1 gateway" };
        parts.version = Version::HTTP_11;

        let headers = &mut parts.headers;
        remove_hop_by_hop(headers);
        // The server of the gateway has met the expectation (RFC 9110 section 10.1.1).
        headers.remove(header::EXPECT);
        if let Some(protocol) = &upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, protocol.clone());
        }
        join_cookies(headers);
        remove_from_proxies(headers, self.behind_proxy);
        self.tell(headers, peer.as_ref(), host.as_ref());
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
        headers.append(header::VIA, HeaderValue::from_static(via));
        upgrade
    }

    /// Says who asked, and for what. Whatever of that stands there already can be believed.
    fn tell(&self, headers: &mut HeaderMap, peer: Option<&Peer>, host: Option<&HeaderValue>) {
        let text = |value: &str| HeaderValue::try_from(value).ok();
        // A request without a peer is the gateway's own: it speaks as the world does.
        let scheme = peer.map_or(self.public_scheme.as_str(), |peer| if peer.tls { "https" } else { "http" });
        for (name, ours) in [("x-forwarded-proto", text(scheme)), ("x-forwarded-host", host.cloned())] {
            let said = headers.get_all(name).iter().next_back().cloned();
            said.or(ours).map(|value| headers.insert(name, value));
        }
        let Some(peer) = peer else { return };
        let address = peer.address.ip().to_canonical();
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let forwarded = format!("for={node};host=\"{host}\";proto={scheme}");
        for (name, last) in [("x-forwarded-for", &address.to_string()), ("forwarded", &forwarded)] {
            let before = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let listed = text(&before.chain([last.as_str()]).collect::<Vec<_>>().join(", "));
            listed.map(|value| headers.insert(name, value));
        }
        if let Some(der) = peer.certificate.as_ref().filter(|_| !self.behind_proxy)
            && let Some(certificate) = text(&format!(":{}:", BASE64.encode(der)))
        {
            headers.insert("client-cert", certificate);
        }
    }
}

/// Takes out what only proxies may say; of one that may be believed, only the names that no proxy writes.
fn remove_from_proxies(headers: &mut HeaderMap, believed: bool) {
    let is_said = |name: &HeaderName| {
        let as_read = name.as_str().replace('_', "-");
        FROM_PROXIES.iter().any(|prefix| as_read.starts_with(prefix)) && (!believed || as_read != name.as_str())
    };
    let said: Vec<HeaderName> = headers.keys().filter(|name| is_said(name)).cloned().collect();
    for name in said {
        headers.remove(name);
    }
}

/// Takes out of a message what is about the connection that it came on: `Connection` with all that it names, and the others
/// of RFC 9110 section 7.6.1.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// headers.insert("connection", "keep-alive, x-hop".parse().unwrap());
/// headers.insert("x-hop", "1".parse().unwrap());
/// headers.insert("etag", "\"a\"".parse().unwrap());
/// tower_token_exchange::forward::remove_hop_by_hop(&mut headers);
/// assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"]);
/// ```
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The protocol that a client wants to change to, if it can: HTTP/1.1 alone has that (RFC 9110 section 7.8).
fn upgrade_wanted(parts: &Parts) -> Option<HeaderValue> {
    let is_named = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")))
    };
    let wants = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && parts.headers.get_all(header::CONNECTION).iter().any(is_named);
    let mut asked = parts.headers.get_all(header::UPGRADE).iter();
    let first = asked.next().filter(|_| wants && asked.next().is_none())?;
    first.as_bytes().eq_ignore_ascii_case(b"websocket").then(|| first.clone())
}

/// HTTP/2 may split cookies into several fields, HTTP/1.1 may not (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

// A certificate names a person or a machine.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).field("tls", &self.tls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn forwarding() -> Forwarding {
        Forwarding::to("http://10.0.0.7:3000", "https://as.example").unwrap()
    }

    fn forwarded(forwarding: &Forwarding, request: http::request::Builder, peer: Option<Peer>) -> Parts {
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(peer) = peer {
            parts.extensions.insert(peer);
        }
        forwarding.forward(&mut parts);
        parts
    }

    fn forwarding_of_proxy() -> Forwarding {
        forwarding().behind_proxy()
    }

    fn peer(address: &str) -> Peer {
        Peer::new(SocketAddr::new(address.parse().unwrap(), 50_000))
    }

    #[test]
    fn the_gateways_own_requests_speak_as_the_world_does() {
        for request in [Request::get("https://as.example/jwks"), Request::get("/jwks")] {
            let parts = forwarded(&forwarding(), request, None);
            assert_eq!(parts.uri, "http://10.0.0.7:3000/jwks");
            assert_eq!(parts.headers["host"], "as.example");
            assert_eq!(parts.headers["x-forwarded-proto"], "https");
            assert!(!parts.headers.contains_key("x-forwarded-for") && !parts.headers.contains_key("forwarded"));
        }
    }

    #[test]
    fn only_a_proxy_that_is_known_is_believed() {
        let request = || {
            let request = Request::get("/").header("host", "as.example").header("x-forwarded-proto", "https");
            let request = request.header("x-forwarded-for", "192.0.2.7").header("forwarded", "for=192.0.2.7");
            request
                .header("x-forwarded-host", "login.example")
                .header("client-cert", ":AA==:")
                .header("x-real-ip", "6.6.6.6")
                .header("x-forwarded-client-cert", "Hash=x")
                .header("x_forwarded_for", "6.6.6.6")
                .header("client_cert", ":AA==:")
        };
        let stranger = forwarded(&forwarding(), request(), Some(peer("::ffff:203.0.113.9")));
        let known = forwarded(&forwarding().behind_proxy(), request(), Some(peer("2001:db8::1")));
        let forwarded = "for=203.0.113.9;host=\"as.example\";proto=http";
        let both = "for=192.0.2.7, for=\"[2001:db8::1]\";host=\"as.example\";proto=http";
        for (name, from_stranger, from_known) in [
            ("x-forwarded-for", "203.0.113.9", "192.0.2.7, 2001:db8::1"),
            ("x-forwarded-proto", "http", "https"),
            ("x-forwarded-host", "as.example", "login.example"),
            ("forwarded", forwarded, both),
        ] {
            assert_eq!(
                (&stranger.headers[name], &known.headers[name]),
                (&HeaderValue::from_static(from_stranger), &HeaderValue::from_static(from_known))
            );
        }
        for its_word in ["client-cert", "x-real-ip", "x-forwarded-client-cert"] {
            assert!(!stranger.headers.contains_key(its_word) && known.headers.contains_key(its_word), "{its_word}");
        }
        for nobodys in ["x_forwarded_for", "client_cert"] {
            assert!(!stranger.headers.contains_key(nobodys) && !known.headers.contains_key(nobodys), "{nobodys}");
        }
        // What the proxy added to what its client said comes last.
        let twice = Request::get("/").header("x-forwarded-proto", "gopher").header("x-forwarded-proto", "https");
        let known = self::forwarded(&forwarding_of_proxy(), twice, Some(peer("2001:db8::1")));
        assert_eq!(known.headers.get_all("x-forwarded-proto").iter().collect::<Vec<_>>(), ["https"]);
    }

    #[test]
    fn a_certificate_is_handed_on() {
        let peer = Peer::with_tls(SocketAddr::from(([192, 0, 2, 1], 1)), Some(Bytes::from_static(b"der")));
        let parts = forwarded(&forwarding(), Request::get("/").header("client-cert", ":lie:"), Some(peer));
        assert_eq!(parts.headers["client-cert"], ":ZGVy:");
        assert_eq!(parts.headers["forwarded"], "for=192.0.2.1;host=\"as.example\";proto=https");
        // A proxy's own is not its client's.
        let peer = Peer::with_tls(SocketAddr::from(([192, 0, 2, 1], 1)), Some(Bytes::from_static(b"der")));
        let parts = forwarded(&forwarding_of_proxy(), Request::get("/"), Some(peer));
        assert!(!parts.headers.contains_key("client-cert"));
    }

    #[test]
    fn what_is_of_the_connection_stays_behind() {
        let request = || {
            let request = Request::get("/a%2Fb?x=%zz&&").header("connection", "Upgrade, X-Hop").header("x-hop", "1");
            let request =
                request.header("upgrade", "websocket").header("te", "trailers").header("expect", "100-continue");
            request.header("cookie", "a=1").header("cookie", "b=2").header("via", "1.1 other")
        };
        let mut parts = request().body(()).unwrap().into_parts().0;
        assert_eq!(forwarding().forward(&mut parts), Some(HeaderValue::from_static("websocket")));
        assert_eq!(
            (&parts.headers["connection"], &parts.headers["upgrade"]),
            (&HeaderValue::from_static("upgrade"), &HeaderValue::from_static("websocket"))
        );
        assert_eq!(parts.uri.path_and_query().unwrap(), "/a%2Fb?x=%zz&&");
        assert_eq!(parts.headers.get_all("via").iter().collect::<Vec<_>>(), ["1.1 other", "1.1 gateway"]);
        assert_eq!(parts.headers["cookie"], "a=1; b=2");
        let h2c = || Request::get("/").header("connection", "upgrade, http2-settings").header("http2-settings", "AA");
        let others = [h2c().header("upgrade", "h2c"), request().header("upgrade", "h2c")];
        let unnamed = Request::get("/").header("connection", "upgrade").header("http2-settings", "AA");
        let others = others.into_iter().chain([unnamed.header("upgrade", "websocket, h2c")]);
        for request in others.chain([request().version(Version::HTTP_2), request().method("POST")]) {
            let mut parts = request.body(()).unwrap().into_parts().0;
            assert_eq!(forwarding().forward(&mut parts), None);
            for gone in ["connection", "upgrade", "http2-settings", "x-hop", "te", "expect"] {
                assert!(!parts.headers.contains_key(gone), "{gone}");
            }
            assert_eq!(parts.version, Version::HTTP_11);
        }
    }

    #[test]
    fn urls_that_cannot_be_are_mistakes() {
        for (server, public, field) in [
            ("10.0.0.7:3000", "https://as.example", "server"),
            ("http://10.0.0.7:3000/realms/a", "https://as.example", "server"),
            ("http://10.0.0.7:3000/?x", "https://as.example", "server"),
            ("ftp://10.0.0.7", "https://as.example", "server"),
            ("http://10.0.0.7", "as.example", "public"),
        ] {
            assert_eq!(Forwarding::to(server, public).unwrap_err().field(), field, "{server} {public}");
        }
        assert!(Forwarding::to("http://10.0.0.7", "https://as.example/realms/a").is_ok());
    }
}
