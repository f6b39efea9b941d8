//! The normalization of a URL (RFC 3986 sections 6.2.2 and 6.2.3), which RFC 9449 section 4.3 wants for `htu`.

/// Returns an absolute http or https URL in its normal form, without query and fragment. `None` if the text is not such a
/// URL, or has user information or a character that no URL has.
pub(super) fn normalized(url: &str) -> Option<String> {
    let is_url = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    let (scheme, rest) = url.split_once("://").filter(|_| url.bytes().all(is_url))?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = normalized_host(authority, default_port)?;
    let path = without_dot_segments(&normalized_escapes(path)?);
    Some(format!("{scheme}://{authority}{path}"))
}

/// The normal form of the URL of a request, from the normal form of a URL and the path of the request. `None` if the path
/// has a character that no URL has.
pub(super) fn below(base: &str, path: &str) -> Option<String> {
    normalized(&format!("{}{path}", base.trim_end_matches('/')))
}

/// The host in lower case, and the port if the port is not the default.
fn normalized_host(authority: &str, default_port: &str) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    // A colon inside of brackets belongs to an IPv6 address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority.as_str(), ""),
    };
    if host.is_empty() || host.contains(['@', '%']) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if port.is_empty() || port == default_port { host.to_owned() } else { authority })
}

/// Decodes each escape of a character that needs no escape, and writes the other escapes in upper case.
fn normalized_escapes(path: &str) -> Option<String> {
    let mut pieces = path.split('%');
    let mut normal = pieces.next()?.to_owned();
    for piece in pieces {
        let (digits, rest) = (piece.get(..2)?, &piece[2..]);
        let byte =
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16))?.ok()?;
        match byte {
            b'-' | b'.' | b'_' | b'~' => normal.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => normal.push(byte.into()),
            _ => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
            }
        }
        normal.push_str(rest);
    }
    Some(normal)
}

/// Removes the segments `.` and `..` (RFC 3986 section 5.2.4). An empty path becomes `/`.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path);
    for segment in segments.split('/') {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    // A dot segment at the end names a folder.
    if matches!(segments.rsplit('/').next(), Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DQ-03: the forms of one URL are equal, and another URL is not.
    #[test]
    fn dq_03_forms_of_one_url_are_equal() {
        const URL: &str = "https://as.example/oauth2/token";
        for same in [
            URL,
            "HTTPS://AS.Example/oauth2/token",
            "https://as.example:443/oauth2/token",
            "https://as.example:/oauth2/token",
            "https://as.example/oauth2/token?",
            "https://as.example/oauth2/token?a=b/c",
            "https://as.example/oauth2/token#fragment",
            "https://as.example/oauth2/token?a#b",
            "https://as.example/oauth2/%74oken",
            "https://as.example/oauth2/./token",
            "https://as.example/oauth2/x/../token",
            "https://as.example/oauth2/x/%2e%2E/token",
            "https://as.example/../oauth2/token",
        ] {
            assert_eq!(normalized(same).as_deref(), Some(URL), "{same}");
        }
        for other in [
            "http://as.example/oauth2/token",
            "https://as.example/oauth2/token/",
            "https://as.example/oauth2//token",
            "https://as.example/oauth2/token/.",
            "https://as.example/OAuth2/token",
            "https://as.example/oauth2%2Ftoken",
            "https://as.example:8443/oauth2/token",
            "https://as.example:80/oauth2/token",
            "https://as.example.evil.example/oauth2/token",
            "https://as.example./oauth2/token",
            "https://as.example/oauth2/token%3F",
        ] {
            assert_ne!(normalized(other).unwrap(), URL, "{other}");
        }
        for bad in [
            "",
            "as.example/oauth2/token",
            "/oauth2/token",
            "ftp://as.example/",
            "https://",
            "https:///oauth2/token",
            "https://user@as.example/oauth2/token",
            "https://as.example:port/",
            "https://as.example/%zz",
            "https://as.example/%2",
            "https://as.example/%+2",
            "https://as.example/a b",
            "https://as.example/\u{e9}",
            "https://as.example\\@evil.example/",
            "https://as%2Eexample/",
        ] {
            assert_eq!(normalized(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_normal_form_is_stable() {
        for (url, normal) in [
            ("https://as.example", "https://as.example/"),
            ("http://as.example:80", "http://as.example/"),
            ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
            ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
            ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
            ("https://as.example/%c3%a9%2f", "https://as.example/%C3%A9%2F"),
            ("https://as.example/a/..", "https://as.example/"),
            ("https://as.example/a/b/.", "https://as.example/a/b/"),
        ] {
            assert_eq!(normalized(url).as_deref(), Some(normal), "{url}");
            assert_eq!(normalized(normal).as_deref(), Some(normal));
        }
    }
}
