use http::Uri;
use std::{borrow::Cow, fmt};

/// The name of a target in a request: a `resource` or an `audience` (RFC 8693 section 2.1, RFC 8707 section 2).
///
/// The two kinds are separate name spaces: a `resource` never matches the name of an `audience`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TargetName<'a> {
    /// An absolute URI without a fragment, in canonical form.
    Resource(Cow<'a, str>),
    /// A logical name.
    Audience(Cow<'a, str>),
}

impl TargetName<'_> {
    /// The name without its kind.
    pub(crate) fn as_str(&self) -> &str {
        let (Self::Resource(name) | Self::Audience(name)) = self;
        name
    }

    /// The parameter that has the name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Resource(_) => "resource",
            Self::Audience(_) => "audience",
        }
    }

    /// The same name, with a text of its own.
    pub(crate) fn into_owned(self) -> TargetName<'static> {
        match self {
            Self::Resource(name) => TargetName::Resource(Cow::Owned(name.into_owned())),
            Self::Audience(name) => TargetName::Audience(Cow::Owned(name.into_owned())),
        }
    }
}

impl fmt::Display for TargetName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.as_str())
    }
}

/// The problem of a text that is not the name of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetNameError(pub(crate) &'static str);

impl<'a> TargetName<'a> {
    /// Reads a `resource` value, which must be in canonical form. Names are compared byte for byte, so a second spelling
    /// of a resource would avoid a comparison.
    pub(crate) fn resource(text: &'a str) -> Result<Self, TargetNameError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(TargetNameError("the text is not an absolute URI"));
        };
        let mut letters = scheme.bytes();
        if !letters.next().is_some_and(|first| first.is_ascii_lowercase())
            || !letters.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
        {
            return Err(TargetNameError("the scheme is missing or not in lower case"));
        }
        if rest.is_empty() {
            return Err(TargetNameError("the URI has nothing after the scheme"));
        }
        if text.contains('#') {
            return Err(TargetNameError("the URI has a fragment"));
        }
        if !text.bytes().all(is_uri_byte) {
            return Err(TargetNameError("the text has a character that is not allowed in a URI"));
        }
        check_escapes(text)?;
        if rest.starts_with("//") {
            check_authority(text, scheme)?;
        }
        Ok(Self::Resource(text.into()))
    }

    /// Reads an `audience` value: printable ASCII without spaces.
    pub(crate) fn audience(text: &'a str) -> Result<Self, TargetNameError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetNameError("an audience is printable ASCII without spaces"));
        }
        Ok(Self::Audience(text.into()))
    }
}

fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

fn check_escapes(text: &str) -> Result<(), TargetNameError> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (Some(high), Some(low)) = (hex(rest.get(at + 1)), hex(rest.get(at + 2))) else {
            return Err(TargetNameError("the URI has a broken percent escape"));
        };
        let byte = high * 16 + low;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            return Err(TargetNameError("the URI escapes a character that needs no escape"));
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    byte.and_then(|byte| char::from(*byte).to_digit(16)).map(|digit| digit as u8)
}

fn check_authority(text: &str, scheme: &str) -> Result<(), TargetNameError> {
    let Ok(uri) = text.parse::<Uri>() else {
        return Err(TargetNameError("the text is not a URI"));
    };
    let Some(authority) = uri.authority() else {
        return Err(TargetNameError("the URI has no host"));
    };
    if authority.host().is_empty() {
        return Err(TargetNameError("the URI has no host"));
    }
    if authority.as_str().contains('@') {
        return Err(TargetNameError("the URI has user information"));
    }
    if authority.host().bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(TargetNameError("the host is not in lower case"));
    }
    if matches!((scheme, authority.port_u16()), ("https", Some(443)) | ("http", Some(80))) {
        return Err(TargetNameError("the URI names the default port"));
    }
    if authority.port().is_none() && authority.as_str().ends_with(':') {
        return Err(TargetNameError("the URI has an empty port"));
    }
    if uri.path().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(TargetNameError("the URI has a dot segment"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_canonical_or_refused() {
        for good in [
            "https://backend.example.com/api",
            "https://backend.example.com",
            "https://backend.example.com:8443/a?b=c",
            "https://[2001:db8::1]/x",
            "urn:example:cooperation-context",
            "https://x.example/a%2Fb",
            "https://x.example/x%2Fy",
        ] {
            assert!(TargetName::resource(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "billing",
            "/api",
            "//host/api",
            "https:",
            "https://",
            "https:///path",
            "https://x.example/#frag",
            "https://x.example/#",
            "HTTPS://x.example/",
            "https://X.example/",
            "https://user@x.example/",
            "https://x.example:443/",
            "http://x.example:80/",
            "https://x.example:/",
            "https://x.example/a/../b",
            "https://x.example/./b",
            "https://x.example/%41",
            "https://x.example/%7e",
            "https://x.example/%zz",
            "https://x.example/%4",
            "https://x.example/a%2z",
            "https://x.example/a%z2",
            "https://bücher.example/",
            "https://rs.example/a https://rs.example/b",
            "https://x.example/\u{0}",
            "1https://x.example",
            "urn:example:a b",
            "urn:example:ä",
            "urn:example:\"a\"",
        ] {
            assert!(TargetName::resource(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_name_is_shown_with_its_kind() {
        let read = [TargetName::resource("urn:example:b"), TargetName::audience("b")];
        assert_eq!(read.map(|name| name.unwrap().to_string()), ["resource urn:example:b", "audience b"]);
    }

    #[test]
    fn an_audience_is_one_printable_word() {
        assert!(TargetName::audience("urn:example:cooperation-context").is_ok());
        for bad in ["", "aud1 aud2", "a\u{7f}", "ä"] {
            assert!(TargetName::audience(bad).is_err(), "{bad:?}");
        }
    }
}
