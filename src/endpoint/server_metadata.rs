use crate::{
    jose::parse_object,
    jwks::{MAX_METADATA_BYTES, well_known},
    plug::{BoxPlug, HttpService, boxed},
};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use serde_json::{Map, Value};
use std::time::Duration;
use tower::ServiceExt;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What an authorization server says of itself (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3), to find its
/// endpoints: for a layer in front of it.
///
/// ```
/// use tower_token_exchange::endpoint::ServerMetadata;
///
/// let document = br#"{ "issuer": "https://as.example", "token_endpoint": "https://as.example/oauth/token",
///     "revocation_endpoint": "https://elsewhere.example/revoke" }"#;
/// let metadata = ServerMetadata::read(document, "https://as.example")?;
/// assert_eq!(metadata.path_of("token_endpoint"), Some("/oauth/token"));
/// assert_eq!(metadata.url_of("revocation_endpoint"), Some("https://elsewhere.example/revoke"));
/// assert_eq!(metadata.path_of("revocation_endpoint"), None);
/// # Ok::<(), tower_token_exchange::endpoint::MetadataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerMetadata {
    members: Map<String, Value>,
    origin: String,
}

/// Why there are no metadata of an authorization server: where it was looked for, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetadataError(String);

impl ServerMetadata {
    /// Reads a document, which must name exactly this issuer (RFC 8414 section 3.3). At most 256 KiB.
    ///
    /// # Errors
    /// [`MetadataError`] says why it is none.
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let refused = |problem: String| Err(MetadataError(problem));
        let Some((scheme, authority)) = origin(issuer) else {
            return refused(format!("`{issuer}` is not an issuer identifier"));
        };
        let members = if document.len() > MAX_METADATA_BYTES { None } else { parse_object(document) };
        let Some(members) = members else {
            return refused("not one JSON object of at most 256 KiB without duplicate members".to_owned());
        };
        match members.get("issuer").and_then(Value::as_str) {
            Some(named) if named == issuer => Ok(Self { members, origin: format!("{scheme}://{authority}") }),
            Some(named) => {
                refused(format!("it names the issuer `{}`, not `{issuer}`", crate::protocol::escaped(named)))
            }
            None => refused("it names no issuer".to_owned()),
        }
    }

    /// Asks for it where the two specifications put it ([`paths`](Self::paths)), 5 s for each.
    ///
    /// # Errors
    /// [`MetadataError`] says where it was last looked for, and what was found there.
    pub async fn fetch(issuer: &str, service: impl HttpService) -> Result<Self, MetadataError> {
        let service: BoxPlug<_, _> = boxed(service);
        let mut problem = MetadataError(format!("`{issuer}` is not an issuer identifier"));
        for url in well_known(issuer).into_iter().flatten() {
            let told = |words: String| MetadataError(format!("{url}: {words}"));
            let request = Request::get(&url).header(header::ACCEPT, "application/json").body(Bytes::new());
            let Ok(request) = request else { break };
            problem = match tokio::time::timeout(TIMEOUT, service.clone().oneshot(request)).await {
                Ok(Ok(response)) if response.status() == StatusCode::OK => {
                    return Self::read(response.body(), issuer).map_err(|MetadataError(words)| told(words));
                }
                Ok(Ok(response)) => told(format!("status {}", response.status().as_u16())),
                Ok(Err(error)) => told(error.to_string()),
                Err(_elapsed) => told("no answer in time".to_owned()),
            };
        }
        Err(problem)
    }

    /// Where an issuer's metadata are, as paths under its host (OpenID Connect Discovery 1.0 section 4, RFC 8414
    /// section 3.1). None for what is no issuer identifier.
    pub fn paths(issuer: &str) -> Vec<String> {
        let path = |url: String| url.parse::<Uri>().ok().map(|url| url.path().to_owned());
        well_known(issuer).into_iter().flatten().filter_map(path).collect()
    }

    /// The URL that a member holds, such as that of `token_endpoint`.
    pub fn url_of(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    /// The same as a path, if it is one under the issuer's own host.
    pub fn path_of(&self, member: &str) -> Option<&str> {
        self.url_of(member)?.strip_prefix(&self.origin).filter(|path| path.starts_with('/'))
    }
}

fn origin(issuer: &str) -> Option<(String, String)> {
    let uri: Uri = issuer.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::convert::Infallible;

    const ISSUER: &str = "https://as.example/t";

    fn read(document: Value) -> Result<ServerMetadata, MetadataError> {
        ServerMetadata::read(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_path_is_one_under_the_issuers_host() {
        for (url, path) in [
            ("https://as.example/t/token", Some("/t/token")),
            ("https://as.example/", Some("/")),
            ("https://as.example", None),
            ("https://as.example.evil/token", None),
            ("https://as.example:8443/token", None),
            ("http://as.example/token", None),
        ] {
            let metadata = read(json!({ "issuer": ISSUER, "token_endpoint": url })).unwrap();
            assert_eq!((metadata.url_of("token_endpoint"), metadata.path_of("token_endpoint")), (Some(url), path));
        }
        for wrong in [json!({ "issuer": "https://as.example" }), json!({}), json!([]), json!({ "issuer": [ISSUER] })] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(ServerMetadata::read(b"{}", "as.example").is_err());
    }

    #[tokio::test]
    async fn it_is_looked_for_in_two_places() {
        let paths = ["/t/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t"];
        assert_eq!(ServerMetadata::paths(ISSUER), paths);
        for there in 0..3 {
            let server = tower::service_fn(move |request: Request<Bytes>| {
                let is_there = paths.get(there).is_some_and(|path| *path == request.uri().path());
                let mut response = http::Response::new(Bytes::from(json!({ "issuer": ISSUER }).to_string()));
                if !is_there {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                async move { Ok::<_, Infallible>(response) }
            });
            let found = ServerMetadata::fetch(ISSUER, server).await;
            assert_eq!(found.is_ok(), there < 2);
            if let Err(problem) = found {
                assert_eq!(problem.to_string(), format!("https://as.example{}: status 404", paths[1]));
            }
        }
    }
}
