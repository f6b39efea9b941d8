use super::{
    Peer,
    headers::{join_cookies, remove_from_proxies, remove_hop_by_hop, requested_upgrade, takes_trailers},
};
use data_encoding::BASE64;
use http::{
    HeaderMap, HeaderValue, Request, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use std::net::IpAddr;
use tower_token_exchange::client_auth::ClientAddress;

/// The rules by which requests are passed on to one server.
///
/// A client can write headers that only proxies should write: `Forwarded`, `X-Forwarded-*`, `X-Real-IP`, `Client-Cert*` and
/// the headers of well-known products for client addresses (`True-Client-IP`, `CF-Connecting-IP`, …), client certificates
/// (`SSL-Client-*`, `X-SSL-*`, `X-ARR-ClientCert`, …) and other paths (`X-Original-URL`, `X-Rewrite-URL`), also with `_` in
/// place of `-`, which many servers read as the same header. The server does not receive them. The server receives the
/// values of the gateway instead. If the server believes other headers, remove them in a layer of your own.
///
/// ```
/// use http::Request;
/// use std::net::SocketAddr;
/// use token_exchange_gateway::forward::{Forwarding, Peer};
///
/// let forwarding = Forwarding::builder().server("http://10.0.0.7:3000").public_url("https://as.example").build()?;
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
/// # Ok::<(), token_exchange_gateway::forward::ForwardingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forwarding {
    server_scheme: Scheme,
    server_authority: Authority,
    public_scheme: String,
    public_host: String,
    hosts: Vec<String>,
    behind_proxy: bool,
}

/// Builds a [`Forwarding`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ForwardingBuilder {
    server: String,
    public_url: String,
    hosts: Vec<String>,
    behind_proxy: bool,
}

/// Why no [`Forwarding`] can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardingError {
    /// The URL of the server is not an absolute `http` or `https` URL.
    #[error("`{0}` is not an absolute http(s) URL; write the URL in full, such as `http://10.0.0.7:3000`")]
    ServerUrl(String),
    /// The URL of the server has a path or a query.
    #[error("the URL has a path or a query; leave them out, each request brings its own")]
    ServerPath,
    /// The public URL is not an absolute `http` or `https` URL.
    #[error("`{0}` is not an absolute http(s) URL; write the URL in full, such as `https://as.example`")]
    PublicUrl(String),
}

impl ForwardingBuilder {
    /// Sets the URL at which the gateway reaches the server: scheme, host and port, without a path. Required.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.server = url.into();
        self
    }

    /// Sets the URL at which clients reach the gateway. The server is told the scheme and the host of this URL when a
    /// request does not name them. A path is ignored. Required.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = url.into();
        self
    }

    /// Sets more host names of the gateway, beside that of the public URL. A name includes the port, unless the port is the
    /// default of the scheme. `*` stands for any host. Default: none.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Declares whether every connection comes from a proxy that writes the headers for proxies itself and removes what its
    /// clients write. Default: `false`.
    ///
    /// If so, the headers are passed on. The address of the proxy is added to `Forwarded` and `X-Forwarded-For`. Of several
    /// `X-Forwarded-Proto` or `X-Forwarded-Host` headers the last counts. `Client-Cert` is passed on as the proxy wrote it; the
    /// certificate of the proxy itself is never passed on.
    pub fn behind_proxy(mut self, behind_proxy: bool) -> Self {
        self.behind_proxy = behind_proxy;
        self
    }

    /// Builds the rules.
    ///
    /// # Errors
    /// [`ForwardingError`] if one of the two URLs is missing or is not usable.
    pub fn build(self) -> Result<Forwarding, ForwardingError> {
        let (server_scheme, server_authority, path) =
            origin(&self.server).ok_or(ForwardingError::ServerUrl(self.server))?;
        if path.is_some_and(|path| path != "/") {
            return Err(ForwardingError::ServerPath);
        }
        let public = origin(&self.public_url).ok_or(ForwardingError::PublicUrl(self.public_url))?;
        let (public_scheme, public_host) = (public.0.to_string(), public.1.to_string());
        let Self { hosts, behind_proxy, .. } = self;
        Ok(Forwarding { server_scheme, server_authority, public_scheme, public_host, hosts, behind_proxy })
    }
}

/// A host without the port, if the port is the default of the scheme.
pub(crate) fn without_default_port<'a>(scheme: &str, host: &'a str) -> &'a str {
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return host,
    };
    host.strip_suffix(port).unwrap_or(host)
}

fn origin(url: &str) -> Option<(Scheme, Authority, Option<PathAndQuery>)> {
    let parts = url.parse::<Uri>().ok()?.into_parts();
    let scheme = parts.scheme.filter(|scheme| matches!(scheme.as_str(), "http" | "https"))?;
    Some((scheme, parts.authority?, parts.path_and_query))
}

impl Forwarding {
    /// Starts a builder.
    pub fn builder() -> ForwardingBuilder {
        ForwardingBuilder::default()
    }

    /// Returns whether a request is for the public host or one of the other [`hosts`](ForwardingBuilder::hosts). The default
    /// port of the public URL's scheme makes no difference (RFC 9110 section 4.2.3). Answer any
    /// other request with 421 (RFC 9110 section 15.5.20): the server may believe any `Host`.
    ///
    /// ```
    /// use http::Request;
    /// use token_exchange_gateway::forward::Forwarding;
    ///
    /// let forwarding = Forwarding::builder().server("http://10.0.0.7:3000").public_url("https://as.example");
    /// let forwarding = forwarding.hosts(["as.internal:8443"]).build()?;
    /// let accepts = |host| forwarding.accepts_host_of(&Request::get("/").header("host", host).body(()).unwrap());
    /// assert!(accepts("AS.example") && accepts("as.example:443") && accepts("as.internal:8443"));
    /// assert!(!accepts("as.internal") && !accepts("as.example.evil") && !accepts(""));
    /// # Ok::<(), token_exchange_gateway::forward::ForwardingError>(())
    /// ```
    pub fn accepts_host_of<B>(&self, request: &Request<B>) -> bool {
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok()).unwrap_or_default();
        let mut names = self.hosts.iter().chain([&self.public_host]);
        let short = |host| without_default_port(&self.public_scheme, host);
        names.any(|name| name == "*" || short(name).eq_ignore_ascii_case(short(host)))
    }

    /// Whether the gateway reaches the server over TLS.
    pub(crate) fn server_has_tls(&self) -> bool {
        self.server_scheme == Scheme::HTTPS
    }

    /// Returns the scheme and the host of the public URL.
    pub fn public_origin(&self) -> (&str, &str) {
        (&self.public_scheme, &self.public_host)
    }

    /// Turns the request of a client into a request of the gateway to the server, over HTTP/1.1.
    ///
    /// The URI is that of the server. The headers that concern the connection are removed. A client that takes trailers (`TE`,
    /// RFC 9110 section 10.1.4) gets the trailers of the server. `Host` is the host that the client
    /// asked for. `Forwarded` (RFC 7239), `X-Forwarded-*`, `Via` (RFC 9110 section 7.6.3) and `Client-Cert` (RFC 9440) say who
    /// the client is, by the [`Peer`] in the extensions. The path, the query and all other headers stay as they are.
    ///
    /// The result is the protocol that the client wants to change to, if the protocol is `websocket`. The request then asks the
    /// server for the same change, and the caller connects both ends. No other protocol is asked for: `h2c`, for example, would
    /// let requests bypass every layer in front of the server.
    pub fn forward(&self, parts: &mut Parts) -> Option<HeaderValue> {
        let upgrade = requested_upgrade(parts);
        let takes_trailers = takes_trailers(&parts.headers);
        let peer = parts.extensions.get::<Peer>().cloned();
        let host = parts.uri.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok());
        let host = host.or_else(|| parts.headers.get(header::HOST).cloned());
        let host = host.or_else(|| HeaderValue::try_from(&self.public_host).ok());
        let mut uri = http::uri::Parts::default();
        (uri.scheme, uri.authority) = (Some(self.server_scheme.clone()), Some(self.server_authority.clone()));
        uri.path_and_query = parts.uri.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
        let via = if parts.version == Version::HTTP_2 { "2.0 gateway" } else { "1.1 gateway" };
        parts.version = Version::HTTP_11;

        let headers = &mut parts.headers;
        remove_hop_by_hop(headers);
        // The HTTP server of the gateway has answered the expectation (RFC 9110 section 10.1.1).
        headers.remove(header::EXPECT);
        if let Some(protocol) = &upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, protocol.clone());
        } else if takes_trailers {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        join_cookies(headers);
        // Only the gateway itself asks with the address of a client and without a peer, and has written the headers.
        let is_question = peer.is_none() && parts.extensions.get::<ClientAddress>().is_some();
        remove_from_proxies(headers, self.behind_proxy || is_question);
        self.describe_client(headers, peer.as_ref(), host.as_ref());
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
        headers.append(header::VIA, HeaderValue::from_static(via));
        upgrade
    }

    /// Writes the headers about the client. Headers of this kind that are present come from a proxy that is believed.
    fn describe_client(&self, headers: &mut HeaderMap, peer: Option<&Peer>, host: Option<&HeaderValue>) {
        let text = |value: &str| HeaderValue::try_from(value).ok();
        // A request without a peer is a request of the gateway itself, which describes itself as a public client.
        let scheme = peer.map_or(self.public_scheme.as_str(), |peer| if peer.tls { "https" } else { "http" });
        for (name, own) in [("x-forwarded-proto", text(scheme)), ("x-forwarded-host", host.cloned())] {
            let last = headers.get_all(name).iter().next_back().cloned();
            last.or(own).map(|value| headers.insert(name, value));
        }
        let Some(peer) = peer else { return };
        let address = peer.address.ip().to_canonical();
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        // A quotation mark would end the value, and the rest of the host would be read as other parameters.
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default().replace(['"', '\\'], "");
        let forwarded = format!("for={node};host=\"{host}\";proto={scheme}");
        for (name, last) in [("x-forwarded-for", &address.to_string()), ("forwarded", &forwarded)] {
            let before = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let list = text(&before.chain([last.as_str()]).collect::<Vec<_>>().join(", "));
            list.map(|value| headers.insert(name, value));
        }
        if let Some(der) = peer.certificate.as_ref().filter(|_| !self.behind_proxy)
            && let Some(certificate) = text(&format!(":{}:", BASE64.encode(der)))
        {
            headers.insert("client-cert", certificate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::SocketAddr;

    fn builder() -> ForwardingBuilder {
        Forwarding::builder().server("http://10.0.0.7:3000").public_url("https://as.example")
    }

    fn forwarding() -> Forwarding {
        builder().build().unwrap()
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
        builder().behind_proxy(true).build().unwrap()
    }

    fn peer(address: &str) -> Peer {
        Peer::new(SocketAddr::new(address.parse().unwrap(), 50_000))
    }

    #[test]
    fn a_question_names_the_client() {
        let address = ClientAddress::new("192.0.2.7".parse().unwrap());
        let question = || {
            let request = Request::post("https://as.example/introspect").extension(address.clone());
            request.header("x-forwarded-for", "192.0.2.7").header("forwarded", "for=192.0.2.7")
        };
        for forwarding in [forwarding(), forwarding_of_proxy()] {
            let parts = forwarded(&forwarding, question(), None);
            assert_eq!(parts.headers["x-forwarded-for"], "192.0.2.7");
            assert_eq!(parts.headers["forwarded"], "for=192.0.2.7");
            assert_eq!(parts.headers["x-forwarded-proto"], "https");
        }
        // A request with a peer is a request of a client, whatever its extensions.
        let parts = forwarded(&forwarding(), question(), Some(peer("203.0.113.9")));
        assert_eq!(parts.headers["x-forwarded-for"], "203.0.113.9");
    }

    #[test]
    fn own_requests_look_like_requests_of_a_public_client() {
        for request in [Request::get("https://as.example/jwks"), Request::get("/jwks")] {
            let parts = forwarded(&forwarding(), request, None);
            assert_eq!(parts.uri, "http://10.0.0.7:3000/jwks");
            assert_eq!(parts.headers["host"], "as.example");
            assert_eq!(parts.headers["x-forwarded-proto"], "https");
            assert!(!parts.headers.contains_key("x-forwarded-for") && !parts.headers.contains_key("forwarded"));
        }
    }

    #[test]
    fn only_a_declared_proxy_is_believed() {
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
        let known = forwarded(&forwarding_of_proxy(), request(), Some(peer("2001:db8::1")));
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
        for name in ["client-cert", "x-real-ip", "x-forwarded-client-cert"] {
            assert!(!stranger.headers.contains_key(name) && known.headers.contains_key(name), "{name}");
        }
        for name in ["x_forwarded_for", "client_cert"] {
            assert!(!stranger.headers.contains_key(name) && !known.headers.contains_key(name), "{name}");
        }
        // The value of the proxy comes after the value of its client.
        let twice = Request::get("/").header("x-forwarded-proto", "gopher").header("x-forwarded-proto", "https");
        let known = self::forwarded(&forwarding_of_proxy(), twice, Some(peer("2001:db8::1")));
        assert_eq!(known.headers.get_all("x-forwarded-proto").iter().collect::<Vec<_>>(), ["https"]);
    }

    #[test]
    fn headers_of_proxy_products_are_removed() {
        for name in [
            "ssl_client_cert",
            "SSL-Client-Cert",
            "SSL-Client-Verify",
            "X-SSL-Client-Cert",
            "X-SSL-Client-S-DN",
            "X-ARR-ClientCert",
            "X-Client-Cert",
            "X-Amzn-Mtls-Clientcert",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Fastly-Client-IP",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "X-Azure-ClientIP",
            "X-Original-URL",
            "X-Original-Forwarded-For",
            "X-Rewrite-URL",
            "X-Override-URL",
            "X-Script-Name",
            "X-Remote-User",
        ] {
            let request = || Request::get("/").header(name, "forged");
            let stranger = forwarded(&forwarding(), request(), Some(peer("203.0.113.9")));
            assert!(!stranger.headers.contains_key(name), "{name}");
            let known = forwarded(&forwarding_of_proxy(), request(), Some(peer("2001:db8::1")));
            assert_eq!(known.headers.contains_key(name), !name.contains('_'), "{name} of a proxy");
        }
    }

    #[test]
    fn connection_cannot_remove_what_decides() {
        for name in [
            "content-type",
            "content-encoding",
            "content-length",
            "authorization",
            "cookie",
            "dpop",
            "traceparent",
            "x-request-id",
            "x-forwarded-for",
            "client-cert",
        ] {
            let request = Request::get("/").header("connection", format!("{name}, x-hop")).header("x-hop", "1");
            let parts = forwarded(&forwarding_of_proxy(), request.header(name, "kept"), Some(peer("2001:db8::1")));
            assert!(parts.headers[name].to_str().unwrap().starts_with("kept"), "{name}");
            assert!(!parts.headers.contains_key("x-hop"), "{name}");
        }
    }

    #[test]
    fn a_host_cannot_add_to_forwarded() {
        let request = Request::get("/").header("host", r#"a";for=6.6.6.6;host="b"#);
        let parts = forwarded(&forwarding(), request, Some(peer("203.0.113.9")));
        assert_eq!(parts.headers["forwarded"], r#"for=203.0.113.9;host="a;for=6.6.6.6;host=b";proto=http"#);
    }

    #[test]
    fn the_client_certificate_is_passed_on() {
        let peer = Peer::with_tls(SocketAddr::from(([192, 0, 2, 1], 1)), Some(Bytes::from_static(b"der")));
        let parts = forwarded(&forwarding(), Request::get("/").header("client-cert", ":lie:"), Some(peer));
        assert_eq!(parts.headers["client-cert"], ":ZGVy:");
        assert_eq!(parts.headers["forwarded"], "for=192.0.2.1;host=\"as.example\";proto=https");
        // The certificate of a proxy is not that of its client.
        let peer = Peer::with_tls(SocketAddr::from(([192, 0, 2, 1], 1)), Some(Bytes::from_static(b"der")));
        let parts = forwarded(&forwarding_of_proxy(), Request::get("/"), Some(peer));
        assert!(!parts.headers.contains_key("client-cert"));
    }

    #[test]
    fn headers_of_the_connection_are_removed() {
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
            for gone in ["upgrade", "http2-settings", "x-hop", "expect"] {
                assert!(!parts.headers.contains_key(gone), "{gone}");
            }
            // Only a client that takes trailers names another header of the connection.
            let takes_trailers = parts.headers.contains_key("te");
            assert_eq!(
                parts.headers.get("connection").map(HeaderValue::as_bytes),
                takes_trailers.then_some(&b"te"[..])
            );
            assert_eq!(parts.version, Version::HTTP_11);
        }
    }

    #[test]
    fn only_trailers_pass_of_the_transfer_codings() {
        for (te, passed) in [("trailers", true), ("gzip, Trailers;q=1", true), ("gzip", false), ("trailersx", false)] {
            let parts = forwarded(&forwarding(), Request::get("/").header("te", te).header("trailer", "x-sum"), None);
            assert_eq!(parts.headers.get("te").map(HeaderValue::as_bytes), passed.then_some(&b"trailers"[..]), "{te}");
            assert_eq!(parts.headers["trailer"], "x-sum");
        }
    }

    #[test]
    fn the_default_port_names_the_same_host() {
        let accepts = |public: &str, host: &str| {
            let forwarding = Forwarding::builder().server("http://10.0.0.7").public_url(public).build().unwrap();
            forwarding.accepts_host_of(&Request::get("/").header("host", host).body(()).unwrap())
        };
        for (public, host, expected) in [
            ("https://as.example", "as.example:443", true),
            ("https://as.example:443", "as.example", true),
            ("http://as.example", "as.example:80", true),
            ("https://[2001:db8::1]", "[2001:db8::1]:443", true),
            ("https://as.example", "as.example:80", false),
            ("http://as.example", "as.example:443", false),
            ("https://as.example", "as.example:8443", false),
            ("https://as.example", "as.example:443:443", false),
            ("https://as.example:8443", "as.example", false),
        ] {
            assert_eq!(accepts(public, host), expected, "{public} {host}");
        }
    }

    #[test]
    fn unusable_urls_are_errors() {
        let build = |server: &str, public: &str| Forwarding::builder().server(server).public_url(public).build();
        let server = |url: &str| ForwardingError::ServerUrl(url.to_owned());
        for (url, public, error) in [
            ("10.0.0.7:3000", "https://as.example", server("10.0.0.7:3000")),
            ("", "https://as.example", server("")),
            ("http://10.0.0.7:3000/realms/a", "https://as.example", ForwardingError::ServerPath),
            ("http://10.0.0.7:3000/?x", "https://as.example", ForwardingError::ServerPath),
            ("ftp://10.0.0.7", "https://as.example", server("ftp://10.0.0.7")),
            ("http://10.0.0.7", "as.example", ForwardingError::PublicUrl("as.example".to_owned())),
        ] {
            assert_eq!(build(url, public).unwrap_err(), error, "{url} {public}");
        }
        assert!(build("http://10.0.0.7", "https://as.example/realms/a").is_ok());
    }
}
