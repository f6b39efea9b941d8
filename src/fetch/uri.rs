use http::{Uri, uri::Scheme};

/// Returns the host of an absolute URI without user information, or what is wrong with the URI.
pub(super) fn host_of(uri: &Uri) -> Result<&str, &'static str> {
    let (Some(_), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("the URI is not absolute; write `https://host/path`");
    };
    if authority.as_str().contains('@') {
        return Err("the URI has user information; send credentials in an `Authorization` header");
    }
    match authority.host() {
        "" => Err("the URI has no host"),
        host => Ok(host),
    }
}

/// Scheme, host and port.
pub(crate) type Origin = (Scheme, String, u16);

/// The origin of a URI (RFC 6454 section 4): scheme, host in lower case, and port. `None` if the text is no URI that might be
/// fetched.
pub(crate) fn origin(text: &str) -> Option<Origin> {
    origin_of(&web_uri(text)?)
}

/// The same for a URI that is parsed. `None` for a URI without scheme or host, or with user information.
pub(crate) fn origin_of(uri: &Uri) -> Option<Origin> {
    host_of(uri).ok()?;
    let scheme = uri.scheme()?.clone();
    let port = uri.port_u16().unwrap_or(if scheme == Scheme::HTTPS { 443 } else { 80 });
    // A name with a dot at its end is the same name.
    let host = uri.host()?.trim_end_matches('.').to_ascii_lowercase();
    Some((scheme, host, port))
}

/// Reads a URI that might be fetched: absolute, `http` or `https`, with a host, and with neither user information nor a
/// fragment.
pub(crate) fn web_uri(text: &str) -> Option<Uri> {
    // The parser drops a fragment silently.
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let is_web = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP);
    (is_web && host_of(&uri).is_ok()).then_some(uri)
}
