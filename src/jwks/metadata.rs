use crate::{fetch::web_uri, jose::parse_object};
use http::uri::Scheme;
use serde_json::Value;

/// The largest document that is read.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// What is taken from an issuer's metadata (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Where its key set is: an absolute `http` or `https` URI without user information and fragment, and `https` if
    /// the issuer is.
    pub(crate) jwks_uri: String,
}

/// Why a document is not an issuer's metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("metadata is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("metadata is not one JSON object without duplicate members")]
    NotOneObject,
    #[error("metadata names no issuer")]
    NoIssuer,
    #[error("metadata names another issuer: `{0}`")]
    OtherIssuer(String),
    #[error("metadata has no jwks_uri")]
    NoJwksUri,
    #[error("the jwks_uri of the metadata is not an absolute http(s) URI without user information and fragment")]
    UnusableJwksUri,
    #[error("the jwks_uri of the metadata is not https, and the issuer is")]
    PlainJwksUri,
}

impl Metadata {
    /// Reads the document that was found for an issuer. It must name that issuer, byte for byte: without this, whoever
    /// can answer for one well-known location could speak for another issuer (RFC 8414 section 3.3).
    pub(crate) fn parse(document: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        if document.len() > MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        let members = parse_object(document).ok_or(MetadataError::NotOneObject)?;
        match members.get("issuer").and_then(Value::as_str) {
            None => return Err(MetadataError::NoIssuer),
            Some(named) if named != issuer => return Err(MetadataError::OtherIssuer(named.to_owned())),
            Some(_) => {}
        }
        let jwks_uri = members.get("jwks_uri").and_then(Value::as_str).ok_or(MetadataError::NoJwksUri)?;
        let uri = web_uri(jwks_uri).ok_or(MetadataError::UnusableJwksUri)?;
        let is_https = |uri: &http::Uri| uri.scheme() == Some(&Scheme::HTTPS);
        if !is_https(&uri) && web_uri(issuer).is_none_or(|issuer| is_https(&issuer)) {
            return Err(MetadataError::PlainJwksUri);
        }
        Ok(Self { jwks_uri: jwks_uri.to_owned() })
    }
}

/// Where an issuer's metadata may be: the location of OpenID Connect Discovery 1.0 section 4, and that of RFC 8414
/// section 3.1. `None` for what is no issuer identifier.
pub(crate) fn well_known(issuer: &str) -> Option<[String; 2]> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let (scheme, rest) = issuer.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some([
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "https://idp.example/a";

    #[test]
    fn a_document_speaks_for_the_issuer_that_it_names_and_no_other() {
        let jwks_uri = "https://keys.example:8443/a/jwks?v=1";
        let parse = |named: &str, issuer: &str| {
            Metadata::parse(json!({ "issuer": named, "jwks_uri": jwks_uri }).to_string().as_bytes(), issuer)
        };
        assert_eq!(parse(ISSUER, ISSUER), Ok(Metadata { jwks_uri: jwks_uri.into() }));
        for other in [
            "https://idp.example/a/",
            "https://idp.example/A",
            "https://IDP.example/a",
            "HTTPS://idp.example/a",
            "https://idp.example:443/a",
            "https://idp.example/%61",
            "https://idp.example/./a",
            "http://idp.example/a",
            " https://idp.example/a",
            "https://idp.example",
            "",
        ] {
            assert_eq!(parse(other, ISSUER), Err(MetadataError::OtherIssuer(other.into())), "{other}");
            assert_eq!(parse(ISSUER, other), Err(MetadataError::OtherIssuer(ISSUER.into())), "{other}");
        }
    }

    #[test]
    fn where_keys_may_be() {
        let parse = |jwks_uri: &str, issuer: &str| {
            Metadata::parse(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string().as_bytes(), issuer)
        };
        for good in
            ["https://a.example", "https://a.example/", "https://[2606:4700::1111]:8443/j?k=v", "HTTPS://a.example/j"]
        {
            assert_eq!(parse(good, ISSUER), Ok(Metadata { jwks_uri: good.into() }), "{good}");
        }
        for bad in [
            "",
            "/jwks",
            "//a.example/jwks",
            "a.example/jwks",
            "a.example:443",
            "https:",
            "https:///jwks",
            "https://:443/jwks",
            "https://a.example/jwks#keys",
            "https://a.example/jwks#",
            "https://user@a.example/jwks",
            "https://user:secret@a.example/jwks",
            "https://a.example/ jwks",
            "https://a.example/\njwks",
            "file:///etc/jwks",
            "ftp://a.example/jwks",
            "javascript:alert(1)",
            &format!("https://a.example/{}", "x".repeat(100_000)),
        ] {
            assert_eq!(parse(bad, ISSUER), Err(MetadataError::UnusableJwksUri), "{}", &bad[..bad.len().min(60)]);
        }
        assert_eq!(parse("http://a.example/j", ISSUER), Err(MetadataError::PlainJwksUri));
        assert!(parse("http://a.example/j", "http://idp.example").is_ok());
        assert!(parse("https://a.example/j", "http://idp.example").is_ok());
        assert_eq!(parse("http://a.example/j", "no issuer at all"), Err(MetadataError::PlainJwksUri));
    }

    #[test]
    fn what_is_no_metadata() {
        let padded = |bytes: usize| {
            let open = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://a.example/j","x":""#);
            format!("{open}{}\"}}", "x".repeat(bytes - open.len() - 2))
        };
        assert!(Metadata::parse(padded(MAX_BYTES).as_bytes(), ISSUER).is_ok());
        assert_eq!(Metadata::parse(padded(MAX_BYTES + 1).as_bytes(), ISSUER), Err(MetadataError::TooLarge));
        for (document, error) in [
            ("", MetadataError::NotOneObject),
            ("[]", MetadataError::NotOneObject),
            ("<html>", MetadataError::NotOneObject),
            ("{", MetadataError::NotOneObject),
            ("{}{}", MetadataError::NotOneObject),
            (r#"{"issuer":"https://idp.example/a","issuer":"https://idp.example/a"}"#, MetadataError::NotOneObject),
            (r#"{"x":{"y":1,"y":1},"issuer":"https://idp.example/a"}"#, MetadataError::NotOneObject),
            ("{}", MetadataError::NoIssuer),
            (r#"{"issuer":null}"#, MetadataError::NoIssuer),
            (r#"{"issuer":["https://idp.example/a"]}"#, MetadataError::NoIssuer),
            (r#"{"issuer":"https://idp.example/a"}"#, MetadataError::NoJwksUri),
            (r#"{"issuer":"https://idp.example/a","jwks_uri":7}"#, MetadataError::NoJwksUri),
        ] {
            assert_eq!(Metadata::parse(document.as_bytes(), ISSUER), Err(error), "{document}");
        }
        assert_eq!(Metadata::parse(b"{\"issuer\":\"\xff\"}", ISSUER), Err(MetadataError::NotOneObject));
    }

    #[test]
    fn where_metadata_is_looked_for() {
        for (issuer, openid, oauth) in [
            ("https://a.example", "", ""),
            ("https://a.example/", "", ""),
            ("https://a.example:8443", "", ""),
            ("https://a.example/t", "/t", "/t"),
            ("https://a.example/t/", "/t", "/t"),
            ("https://a.example/realms/t", "/realms/t", "/realms/t"),
        ] {
            let host = issuer.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            let expected = [
                format!("{host}{openid}/.well-known/openid-configuration"),
                format!("{host}/.well-known/oauth-authorization-server{oauth}"),
            ];
            assert_eq!(well_known(issuer), Some(expected), "{issuer}");
        }
        assert_eq!(well_known("idp.example"), None);
    }
}
