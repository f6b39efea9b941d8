use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The network address of the client that sent a request.
///
/// A layer outside of the token exchange puts this value into the extensions of the request. A
/// `ServerAuthenticator` then tells the address to the server that it asks, so that the server counts a wrong secret against
/// the address of the client, and limits its own questions for each address.
///
/// ```
/// use std::net::IpAddr;
/// use tower_token_exchange::client_auth::ClientAddress;
///
/// let mut request = http::Request::post("/token").body(())?;
/// request.extensions_mut().insert(ClientAddress::new(IpAddr::from([192, 0, 2, 7])));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    address: IpAddr,
    /// The values of `Forwarded` and `X-Forwarded-For` that name the client and the proxies.
    forwarded: HeaderValue,
    x_forwarded_for: HeaderValue,
}

impl ClientAddress {
    /// The address of a client that is connected to this server.
    pub fn new(address: IpAddr) -> Self {
        Self::behind_proxy(address, &HeaderMap::new())
    }

    /// The address of a client behind a proxy that is believed, by the headers of the request.
    ///
    /// The client has the last address in `X-Forwarded-For`, which the proxy itself wrote. Without this header, the client
    /// has the address of the proxy. The server that is asked gets the lists of the headers, followed by the address of the
    /// proxy.
    pub fn behind_proxy(proxy: IpAddr, headers: &HeaderMap) -> Self {
        let proxy = proxy.to_canonical();
        let node = match proxy {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        let before = |name: &HeaderName| -> Vec<String> {
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
        };
        let listed = before(&X_FORWARDED_FOR);
        // Some proxies write the port too.
        let parse = |text: &str| text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
        let last: Option<IpAddr> =
            listed.last().and_then(|list| list.rsplit(',').next()).and_then(|text| parse(text.trim()));
        let with = |list: Vec<String>, own: String| {
            let all: Vec<String> = list.into_iter().chain([own.clone()]).collect();
            HeaderValue::try_from(all.join(", ")).or_else(|_| HeaderValue::try_from(own))
        };
        Self {
            address: last.map_or(proxy, |address| address.to_canonical()),
            // An address is always a valid header value.
            forwarded: with(before(&header::FORWARDED), node)
                .unwrap_or_else(|_| HeaderValue::from_static("for=unknown")),
            x_forwarded_for: with(listed, proxy.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        }
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Writes `Forwarded` (RFC 7239) and `X-Forwarded-For` into the headers of a question about the client.
    #[cfg_attr(
        not(feature = "server-authenticator"),
        allow(dead_code, reason = "only the server authenticator asks another server")
    )]
    pub(crate) fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(header::FORWARDED, self.forwarded.clone());
        headers.insert(X_FORWARDED_FOR, self.x_forwarded_for.clone());
    }
}

/// What a request says about its sender beside the form: the headers, and what outer layers found out.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) address: Option<&'a ClientAddress>,
    extensions: Option<&'a Extensions>,
}

impl<'a> Sender<'a> {
    /// The sender of a received request.
    pub(crate) fn of(parts: &'a http::request::Parts) -> Self {
        Self { headers: &parts.headers, address: parts.extensions.get(), extensions: Some(&parts.extensions) }
    }

    /// A sender about whom no outer layer says anything.
    pub(crate) fn without_extensions(headers: &'a HeaderMap) -> Self {
        Self { headers, address: None, extensions: None }
    }

    /// What an outer layer says about the sender, by the type of the extension.
    pub(crate) fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions?.get()
    }
}

// The headers can have a secret.
impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(address: &ClientAddress) -> [String; 2] {
        let mut headers = HeaderMap::new();
        address.describe(&mut headers);
        ["forwarded", "x-forwarded-for"].map(|name| headers[name].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_direct_client_is_described_by_its_address() {
        for (address, forwarded, listed) in [
            ("192.0.2.7", "for=192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "for=192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "for=\"[2001:db8::7]\"", "2001:db8::7"),
        ] {
            let client = ClientAddress::new(address.parse().unwrap());
            assert_eq!(described(&client), [forwarded, listed]);
            assert_eq!(client.address().to_string(), listed);
        }
    }

    #[test]
    fn the_nearest_proxy_names_the_client() {
        let proxy = IpAddr::from([10, 0, 0, 1]);
        for (lists, client, all) in [
            (&["203.0.113.9"][..], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
            (&["6.6.6.6, 203.0.113.9"], "203.0.113.9", "6.6.6.6, 203.0.113.9, 10.0.0.1"),
            (&["6.6.6.6", "203.0.113.9"], "203.0.113.9", "6.6.6.6, 203.0.113.9, 10.0.0.1"),
            (&["203.0.113.9:4711"], "203.0.113.9", "203.0.113.9:4711, 10.0.0.1"),
            (&["unknown"], "10.0.0.1", "unknown, 10.0.0.1"),
            (&[], "10.0.0.1", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-for", list.parse().unwrap());
            }
            let address = ClientAddress::behind_proxy(proxy, &headers);
            assert_eq!(address.address().to_string(), client);
            assert_eq!(described(&address), ["for=10.0.0.1", all]);
        }
    }
}
