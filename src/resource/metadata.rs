use crate::{body::ResponseBody, proof::Dpop, records::IssuerId};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use serde_json::{Map, Value, json};
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::Service;

/// The place of the metadata (RFC 9728 section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a resource server publishes about itself, beside what the layer knows (RFC 9728 section 2).
///
/// The layer adds the resource, the issuers as `authorization_servers`, the scope tokens of the rules, the way to send a token,
/// and the settings for DPoP.
///
/// ```
/// use tower_token_exchange::resource::ResourceMetadata;
///
/// let metadata = ResourceMetadata::new().name("Billing").documentation("https://billing.example/docs");
/// # let _ = metadata;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ResourceMetadata {
    members: Map<String, Value>,
}

impl ResourceMetadata {
    /// Creates metadata with what the layer knows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the scope tokens that clients may request. Default: the scope tokens of the rules.
    pub fn scopes<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        self.member("scopes_supported", tokens.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets the name of the resource for people.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.member("resource_name", name.into())
    }

    /// Sets the URL of the documentation.
    pub fn documentation(self, url: impl Into<String>) -> Self {
        self.member("resource_documentation", url.into())
    }

    /// Sets any other member of the document. The members that the layer knows cannot be replaced.
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    pub(super) fn document<'a>(
        &self,
        resource: &str,
        issuers: impl Iterator<Item = &'a IssuerId>,
        scopes: impl Iterator<Item = &'a str>,
        dpop: Option<&Dpop>,
        requires_sender_constraint: bool,
    ) -> Bytes {
        let mut members = self.members.clone();
        if !members.contains_key("scopes_supported") {
            let mut known: Vec<&str> = Vec::new();
            scopes.for_each(|scope| {
                if !known.contains(&scope) {
                    known.push(scope)
                }
            });
            if !known.is_empty() {
                members.insert("scopes_supported".into(), json!(known));
            }
        }
        let mut issuers: Vec<_> = issuers.map(IssuerId::as_str).collect();
        issuers.sort_unstable();
        members.insert("resource".into(), json!(resource));
        members.insert("authorization_servers".into(), json!(issuers));
        members.insert("bearer_methods_supported".into(), json!(["header"]));
        if let Some(dpop) = dpop {
            members.insert("dpop_signing_alg_values_supported".into(), json!(dpop.algorithms()));
            members.insert("dpop_bound_access_tokens_required".into(), json!(requires_sender_constraint));
        }
        Value::from(members).to_string().into()
    }
}

/// The service that answers requests for the metadata of a resource server (RFC 9728 section 3).
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_token_exchange::{
///     Issuer,
///     resource::{AccessRule, ResourceMetadata, ResourceServerLayer},
/// };
///
/// let resource = ResourceServerLayer::builder("https://billing.example/api")
///     .issuers([Issuer::new("https://as.example").discovery()])
///     .rules([AccessRule::without_actor()])
///     .metadata(ResourceMetadata::new().name("Billing"))
///     .build()?;
/// let metadata = resource.metadata_route().ok_or("the layer has metadata")?;
/// assert_eq!(metadata.path(), "/.well-known/oauth-protected-resource/api");
///
/// // Clients need the metadata before they have a token, so this route is outside of the layer.
/// let app: Router = Router::new()
///     .route("/api/invoices", get(|| async { "invoices" }))
///     .layer(resource)
///     .route_service(metadata.path(), metadata.clone());
/// # let _ = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MetadataRoute {
    path: String,
    url: String,
    document: Bytes,
}

impl MetadataRoute {
    pub(super) fn new((path, url): (String, String), document: Bytes) -> Self {
        Self { path, url, document }
    }

    /// The path of the metadata.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL of the metadata, which each challenge names as `resource_metadata`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The JSON document.
    pub fn document(&self) -> &Bytes {
        &self.document
    }
}

/// The path and the URL of the metadata of a resource. `None` if the resource is not an absolute URL without fragment.
pub(super) fn place_of(resource: &str) -> Option<(String, String)> {
    let uri: Uri = resource.parse().ok().filter(|_| !resource.contains(['#', '"', '\\', '@']))?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "https" | "http"))?;
    let authority = uri.authority()?;
    // A slash that ends the host is no part of the path (RFC 9728 section 3.1).
    let path = if uri.path() == "/" { "" } else { uri.path() };
    let path = format!("{WELL_KNOWN}{path}");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("{scheme}://{authority}{path}{query}");
    Some((path, url))
}

impl<B> Service<Request<B>> for MetadataRoute {
    type Response = Response<ResponseBody<String>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(ResponseBody::ours(self.document.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        // The document is public, and a client in a browser reads the document before it has a token.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        ready(Ok(response))
    }
}

impl fmt::Debug for MetadataRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataRoute").field("url", &self.url).finish_non_exhaustive()
    }
}
