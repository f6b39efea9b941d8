use super::MAX_BYTES;
use crate::{
    fetch::web_uri,
    jose::parse_object,
    plug::{BoxPlug, HttpService, boxed},
    protocol::escaped,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, uri::Scheme};
use serde_json::{Map, Value};
use std::{fmt, ops::ControlFlow, time::Duration};
use tower::{BoxError, ServiceExt};

/// How long one request for metadata may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The metadata of an authorization server (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3).
///
/// ```
/// use tower_token_exchange::metadata::ServerMetadata;
///
/// let document = br#"{ "issuer": "https://as.example", "token_endpoint": "https://as.example/oauth/token",
///     "revocation_endpoint": "https://elsewhere.example/revoke" }"#;
/// let metadata = ServerMetadata::parse(document, "https://as.example")?;
/// assert_eq!(metadata.path_of("token_endpoint"), Some("/oauth/token"));
/// assert_eq!(metadata.url_of("revocation_endpoint"), Some("https://elsewhere.example/revoke"));
/// assert_eq!(metadata.path_of("revocation_endpoint"), None);
/// # Ok::<(), tower_token_exchange::metadata::MetadataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ServerMetadata {
    issuer: String,
    members: Map<String, Value>,
}

/// Why a document is not usable as the metadata of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The document has more than 256 KiB.
    #[error("the metadata is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The document is not one JSON object, has a member twice, or is nested too deeply.
    #[error("the metadata is not one JSON object without duplicate members")]
    NotOneObject,
    /// The document has no member `issuer` that is a text.
    #[error("the metadata names no issuer")]
    NoIssuer,
    /// The member `issuer` differs from the issuer that the document was asked for (RFC 8414 section 3.3).
    #[error("the metadata names another issuer: `{}`", escaped(.0))]
    OtherIssuer(String),
    /// The document has no member `jwks_uri` that is a text.
    #[error("the metadata has no jwks_uri")]
    NoJwksUri,
    /// The `jwks_uri` cannot be fetched.
    #[error("the jwks_uri of the metadata is not an absolute http(s) URI without user information and fragment")]
    UnusableJwksUri,
    /// The `jwks_uri` has the scheme `http`, and the issuer has not.
    #[error("the jwks_uri of the metadata is not https, and the issuer is")]
    PlainJwksUri,
    /// The server answered with another status than 200.
    #[error("status {0}")]
    Status(u16),
}

/// Why the metadata of an issuer was not found.
#[derive(Debug)]
pub struct DiscoveryError {
    location: String,
    source: BoxError,
    has_no_metadata: bool,
}

impl ServerMetadata {
    /// Reads a document of at most 256 KiB, which must name exactly this issuer (RFC 8414 section 3.3). Without this rule,
    /// anyone who can answer at one well-known location could speak for another issuer.
    ///
    /// # Errors
    /// [`MetadataError`]
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        if document.len() > MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        let members = parse_object(document).ok_or(MetadataError::NotOneObject)?;
        match members.get("issuer").and_then(Value::as_str) {
            None => Err(MetadataError::NoIssuer),
            Some(named) if named != issuer => Err(MetadataError::OtherIssuer(named.to_owned())),
            Some(_) => Ok(Self { issuer: issuer.to_owned(), members }),
        }
    }

    /// Fetches the document from the well-known locations ([`paths`](Self::paths)), as [`fetch_from`](Self::fetch_from)
    /// does.
    ///
    /// # Errors
    /// [`DiscoveryError`] names a location, and the problem there.
    pub async fn fetch(issuer: &str, service: impl HttpService) -> Result<Self, DiscoveryError> {
        match well_known(issuer) {
            Some(urls) => Self::fetch_from(issuer, urls, service).await,
            None => Err(DiscoveryError::at(issuer, "not an issuer identifier; give an absolute URL")),
        }
    }

    /// Fetches the document from the first of these URLs that has a document. The next URL is asked if a server answers
    /// with a 4xx, or with a page that is not one JSON object. Each request may take 5 s.
    ///
    /// # Errors
    /// [`DiscoveryError`] names a location, and the problem there.
    pub async fn fetch_from(
        issuer: &str,
        urls: impl IntoIterator<Item = String>,
        service: impl HttpService,
    ) -> Result<Self, DiscoveryError> {
        let service: BoxPlug<_, _> = boxed(service);
        let mut missing = Missing::default();
        for url in urls.into_iter().collect::<Vec<_>>() {
            let request = Request::get(&url).header(header::ACCEPT, "application/json").body(Bytes::new());
            let request = request.map_err(|error| DiscoveryError::at(&url, error))?;
            let response = tokio::time::timeout(TIMEOUT, service.clone().oneshot(request)).await;
            let response = response.map_err(|_elapsed| DiscoveryError::at(&url, "no answer within 5 s"))?;
            let response = response.map_err(|error| DiscoveryError::at(&url, error))?;
            match read_answer(issuer, &response) {
                ControlFlow::Break(result) => return result.map_err(|error| DiscoveryError::at(&url, error)),
                ControlFlow::Continue(problem) => missing.add(&url, problem),
            }
        }
        let (location, problem) = missing.0.unwrap_or_else(|| (issuer.to_owned(), MetadataError::NoIssuer));
        Err(DiscoveryError { has_no_metadata: true, ..DiscoveryError::at(&location, problem) })
    }

    /// The well-known locations of an issuer's metadata, as paths under its host: that of OpenID Connect Discovery 1.0
    /// section 4, then that of RFC 8414 section 3.1. The list is empty if the text is not an absolute URL.
    pub fn paths(issuer: &str) -> Vec<String> {
        let path = |url: String| url.parse::<Uri>().ok().map(|url| url.path().to_owned());
        well_known(issuer).into_iter().flatten().filter_map(path).collect()
    }

    /// The URL in a member, such as `token_endpoint`.
    pub fn url_of(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    /// The texts in a member that is a list, such as `id_token_signing_alg_values_supported`. The list is empty if the member
    /// is absent.
    pub fn strings(&self, member: &str) -> Vec<String> {
        let values = self.members.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The path of the URL in a member, if the URL has the scheme, host and port of the issuer. The default port makes no
    /// difference.
    pub fn path_of(&self, member: &str) -> Option<&str> {
        self.path_at_issuer(self.url_of(member)?)
    }

    /// The path of an endpoint for clients that authenticate with certificates (`mtls_endpoint_aliases`, RFC 8705
    /// section 5), if its URL has the scheme, host and port of the issuer.
    ///
    /// ```
    /// use tower_token_exchange::metadata::ServerMetadata;
    ///
    /// let document = br#"{ "issuer": "https://as.example",
    ///     "mtls_endpoint_aliases": { "token_endpoint": "https://as.example/mtls/token" } }"#;
    /// let metadata = ServerMetadata::parse(document, "https://as.example")?;
    /// assert_eq!(metadata.mtls_path_of("token_endpoint"), Some("/mtls/token"));
    /// # Ok::<(), tower_token_exchange::metadata::MetadataError>(())
    /// ```
    pub fn mtls_path_of(&self, member: &str) -> Option<&str> {
        self.path_at_issuer(self.members.get("mtls_endpoint_aliases")?.get(member)?.as_str()?)
    }

    fn path_at_issuer<'a>(&self, url: &'a str) -> Option<&'a str> {
        let issuer: Uri = self.issuer.parse().ok()?;
        let (scheme, authority) = (issuer.scheme_str()?, issuer.authority()?.as_str());
        let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
        let (host, path) = rest.split_at(rest.find('/')?);
        let port = if scheme == "https" { ":443" } else { ":80" };
        let short = |host: &str| host.strip_suffix(port).unwrap_or(host).to_owned();
        (short(host) == short(authority)).then_some(path)
    }

    /// The location of the issuer's key set: an absolute `http` or `https` URI without user information and fragment, and
    /// `https` if the issuer is.
    ///
    /// # Errors
    /// [`MetadataError`] if the member is missing or is another text.
    pub fn jwks_uri(&self) -> Result<&str, MetadataError> {
        let jwks_uri = self.url_of("jwks_uri").ok_or(MetadataError::NoJwksUri)?;
        let uri = web_uri(jwks_uri).ok_or(MetadataError::UnusableJwksUri)?;
        let is_https = |uri: &Uri| uri.scheme() == Some(&Scheme::HTTPS);
        if !is_https(&uri) && web_uri(&self.issuer).is_none_or(|issuer| is_https(&issuer)) {
            return Err(MetadataError::PlainJwksUri);
        }
        Ok(jwks_uri)
    }
}

/// What the answer of one location means: `Break` ends the search, `Continue` asks the next location.
///
/// Some servers answer every unknown path with a page and the status 200. Such a page is not metadata.
pub(crate) fn read_answer(
    issuer: &str,
    response: &Response<Bytes>,
) -> ControlFlow<Result<ServerMetadata, MetadataError>, MetadataError> {
    let status = response.status();
    match MetadataError::Status(status.as_u16()) {
        _ if status == StatusCode::OK => match ServerMetadata::parse(response.body(), issuer) {
            Err(page @ MetadataError::NotOneObject) => ControlFlow::Continue(page),
            result => ControlFlow::Break(result),
        },
        missing if status.is_client_error() => ControlFlow::Continue(missing),
        problem => ControlFlow::Break(Err(problem)),
    }
}

/// The locations without metadata: the first location with a page, or else the last location.
#[derive(Default)]
pub(crate) struct Missing(pub(crate) Option<(String, MetadataError)>);

impl Missing {
    pub(crate) fn add(&mut self, location: &str, problem: MetadataError) {
        if !matches!(self.0, Some((_, MetadataError::NotOneObject))) {
            self.0 = Some((location.to_owned(), problem));
        }
    }
}

/// The well-known locations of an issuer's metadata, as URLs. `None` if the text is not an absolute URL.
pub(crate) fn well_known(issuer: &str) -> Option<[String; 2]> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let (scheme, rest) = issuer.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some([
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"),
    ])
}

impl DiscoveryError {
    fn at(location: &str, source: impl Into<BoxError>) -> Self {
        Self { location: location.to_owned(), source: source.into(), has_no_metadata: false }
    }

    /// Whether the server answered at every location, and has no metadata at any of them. Otherwise, a later attempt may
    /// find metadata.
    pub fn has_no_metadata(&self) -> bool {
        self.has_no_metadata
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.source)
    }
}

impl std::error::Error for DiscoveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::convert::Infallible;

    const ISSUER: &str = "https://as.example/t";

    fn parse(document: Value) -> Result<ServerMetadata, MetadataError> {
        ServerMetadata::parse(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_path_is_at_the_host_of_the_issuer() {
        for (url, path) in [
            ("https://as.example/t/token", Some("/t/token")),
            ("https://as.example/", Some("/")),
            ("https://as.example:443/t/token", Some("/t/token")),
            ("https://as.example//token", Some("//token")),
            ("https://as.example", None),
            ("https://as.example?/token", None),
            ("https://x@as.example/token", None),
            ("https://as.example:80/token", None),
            ("https://as.example.evil/token", None),
            ("https://as.example:8443/token", None),
            ("http://as.example/token", None),
        ] {
            let aliases = json!({ "token_endpoint": url });
            let metadata = json!({ "issuer": ISSUER, "token_endpoint": url, "mtls_endpoint_aliases": aliases });
            let metadata = parse(metadata).unwrap();
            assert_eq!((metadata.url_of("token_endpoint"), metadata.path_of("token_endpoint")), (Some(url), path));
            assert_eq!(metadata.mtls_path_of("token_endpoint"), path);
        }
        for wrong in [json!({ "issuer": "https://as.example" }), json!({}), json!([]), json!({ "issuer": [ISSUER] })] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(ServerMetadata::parse(b"{}", "as.example").is_err());
    }

    #[tokio::test]
    async fn metadata_is_fetched_from_two_locations() {
        let paths = ["/t/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t"];
        assert_eq!(ServerMetadata::paths(ISSUER), paths);
        for position in 0..3 {
            let server = tower::service_fn(move |request: Request<Bytes>| {
                let is_found = paths.get(position).is_some_and(|path| *path == request.uri().path());
                let mut response = Response::new(Bytes::from(json!({ "issuer": ISSUER }).to_string()));
                if !is_found {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                async move { Ok::<_, Infallible>(response) }
            });
            let found = ServerMetadata::fetch(ISSUER, server).await;
            assert_eq!(found.is_ok(), position < 2);
            if let Err(problem) = found {
                assert_eq!(problem.to_string(), format!("https://as.example{}: status 404", paths[1]));
                assert!(problem.has_no_metadata());
            }
        }
    }

    #[tokio::test]
    async fn a_page_does_not_end_the_search() {
        let good = json!({ "issuer": ISSUER }).to_string();
        let other = json!({ "issuer": "https://other.example" }).to_string();
        for (first, second, expected) in [
            ((200, "<html>"), (200, &*good), Ok(())),
            ((404, ""), (200, &*good), Ok(())),
            ((200, "<html>"), (404, ""), Err(("/1: the metadata is not one JSON object", true))),
            ((404, ""), (200, "<html>"), Err(("/2: the metadata is not one JSON object", true))),
            ((200, &*other), (200, &*good), Err(("/1: the metadata names another issuer", false))),
            ((503, ""), (200, &*good), Err(("/1: status 503", false))),
        ] {
            let answers = [first, second].map(|(status, text)| (status, text.to_owned()));
            let server = tower::service_fn(move |request: Request<Bytes>| {
                let (status, text) = answers[usize::from(request.uri().path() == "/2")].clone();
                let mut response = Response::new(Bytes::from(text));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                async move { Ok::<_, Infallible>(response) }
            });
            let urls = ["/1", "/2"].map(|path| format!("https://as.example{path}"));
            let found = ServerMetadata::fetch_from(ISSUER, urls, server).await;
            match (found, expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err((text, has_no_metadata))) => {
                    assert!(error.to_string().starts_with(&format!("https://as.example{text}")), "{error}");
                    assert_eq!(error.has_no_metadata(), has_no_metadata, "{error}");
                }
                (found, _) => panic!("{first:?} {second:?}: {found:?}"),
            }
        }
    }

    const IDP: &str = "https://idp.example/a";

    /// The `jwks_uri` of a document.
    fn find(document: &[u8], issuer: &str) -> Result<String, MetadataError> {
        ServerMetadata::parse(document, issuer)?.jwks_uri().map(str::to_owned)
    }

    #[test]
    fn a_document_must_name_the_issuer() {
        let jwks_uri = "https://keys.example:8443/a/jwks?v=1";
        let parse = |named: &str, issuer: &str| {
            find(json!({ "issuer": named, "jwks_uri": jwks_uri }).to_string().as_bytes(), issuer)
        };
        assert_eq!(parse(IDP, IDP), Ok(jwks_uri.to_owned()));
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
            assert_eq!(parse(other, IDP), Err(MetadataError::OtherIssuer(other.into())), "{other}");
            assert_eq!(parse(IDP, other), Err(MetadataError::OtherIssuer(IDP.into())), "{other}");
        }
    }

    #[test]
    fn the_jwks_uri_must_be_fetchable() {
        let parse = |jwks_uri: &str, issuer: &str| {
            find(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string().as_bytes(), issuer)
        };
        for good in
            ["https://a.example", "https://a.example/", "https://[2606:4700::1111]:8443/j?k=v", "HTTPS://a.example/j"]
        {
            assert_eq!(parse(good, IDP), Ok(good.to_owned()), "{good}");
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
            assert_eq!(parse(bad, IDP), Err(MetadataError::UnusableJwksUri), "{}", &bad[..bad.len().min(60)]);
        }
        assert_eq!(parse("http://a.example/j", IDP), Err(MetadataError::PlainJwksUri));
        assert!(parse("http://a.example/j", "http://idp.example").is_ok());
        assert!(parse("https://a.example/j", "http://idp.example").is_ok());
        assert_eq!(parse("http://a.example/j", "no issuer at all"), Err(MetadataError::PlainJwksUri));
    }

    #[test]
    fn malformed_metadata_is_refused() {
        let padded = |bytes: usize| {
            let open = format!(r#"{{"issuer":"{IDP}","jwks_uri":"https://a.example/j","x":""#);
            format!("{open}{}\"}}", "x".repeat(bytes - open.len() - 2))
        };
        assert!(find(padded(MAX_BYTES).as_bytes(), IDP).is_ok());
        assert_eq!(find(padded(MAX_BYTES + 1).as_bytes(), IDP), Err(MetadataError::TooLarge));
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
            assert_eq!(find(document.as_bytes(), IDP), Err(error), "{document}");
        }
        assert_eq!(find(b"{\"issuer\":\"\xff\"}", IDP), Err(MetadataError::NotOneObject));
    }

    #[test]
    fn well_known_locations_follow_both_specifications() {
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
