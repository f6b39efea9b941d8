//! The metadata of a resource server (RFC 9728), and challenges that name the metadata.

use super::*;
use axum::body::Body;
use http_body_util::BodyExt;
use tower_token_exchange::{
    proof::Dpop,
    resource::{MetadataRoute, ResourceMetadata},
};

fn route(resource: &str, change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> MetadataRoute {
    let own = issuer();
    let builder = ResourceServerLayer::builder(resource)
        .issuers([Issuer::new(AS).keys(own.keys()), Issuer::new(IDP).keys(own.keys())])
        .rules([AccessRule::any_actor().scopes(["read"]), AccessRule::without_actor().scopes(["read", "pay"])]);
    change(builder.metadata(ResourceMetadata::new().name("Billing").documentation("https://billing.example/docs")))
        .build()
        .unwrap()
        .metadata_route()
        .unwrap()
}

#[test]
fn the_document_says_what_the_layer_does() {
    let document = |route: &MetadataRoute| serde_json::from_slice::<Value>(route.document()).unwrap();
    let plain = json!({
        "resource": BILLING, "authorization_servers": [AS, IDP], "scopes_supported": ["read", "pay"],
        "bearer_methods_supported": ["header"], "resource_name": "Billing",
        "resource_documentation": "https://billing.example/docs",
    });
    assert_eq!(document(&route(BILLING, |builder| builder)), plain);
    let strict = route(BILLING, |builder| {
        builder.dpop(Dpop::new(BILLING).accept_algorithms([Algorithm::ES256])).require_sender_constraint()
    });
    let bound = json!({
        "dpop_signing_alg_values_supported": ["ES256"], "dpop_bound_access_tokens_required": true,
    });
    assert_eq!(document(&strict), changed(plain, bound));
    let lie = route(BILLING, |builder| {
        builder.metadata(ResourceMetadata::new().member("resource", "https://evil.example").scopes(["a"]))
    });
    let told = document(&lie);
    assert_eq!((&told["resource"], &told["scopes_supported"]), (&json!(BILLING), &json!(["a"])));
}

/// RFC 9728 section 3: the well-known text stands between the host and the path.
#[test]
fn the_metadata_have_their_own_place() {
    let well_known = "/.well-known/oauth-protected-resource";
    for (resource, path, url) in [
        ("https://billing.example", "", "https://billing.example/.well-known/oauth-protected-resource"),
        ("https://billing.example/", "", "https://billing.example/.well-known/oauth-protected-resource"),
        ("https://billing.example/v1", "/v1", "https://billing.example/.well-known/oauth-protected-resource/v1"),
        ("http://127.0.0.1:8080/mcp", "/mcp", "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp"),
        ("https://a.example/x?y=1", "/x", "https://a.example/.well-known/oauth-protected-resource/x?y=1"),
    ] {
        let route = route(resource, |builder| builder);
        assert_eq!((route.path(), route.url()), (&*format!("{well_known}{path}"), url), "{resource}");
    }
    for resource in ["billing", "urn:example:billing", "/v1", "https://a.example/#x", "ftp://a.example"] {
        let own = issuer();
        let builder =
            ResourceServerLayer::builder(resource).issuers([Issuer::new(AS).keys(own.keys())]).rules(everybody());
        let error = builder.metadata(ResourceMetadata::new()).build().unwrap_err().to_string();
        assert!(error.contains("give an absolute URL"), "{resource}: {error}");
    }
}

#[tokio::test]
async fn a_challenge_names_the_metadata() {
    let own = issuer();
    let layer = builder(&own).metadata(ResourceMetadata::new()).rules(everybody()).build().unwrap();
    let metadata = layer.metadata_route().unwrap();
    let app = Router::new().route("/who", get(who)).layer(layer).route_service(metadata.path(), metadata.clone());
    let ask = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let refused = ask("/who").await.unwrap();
    let url = metadata.url();
    assert_eq!(challenges(refused.headers()), [format!(r#"Bearer resource_metadata="{url}""#)]);
    let found = ask(url.strip_prefix(BILLING).unwrap()).await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    assert_eq!(found.headers()["content-type"], "application/json");
    assert_eq!(found.headers()["access-control-allow-origin"], "*", "a client in a browser reads the document");
    let body = found.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["authorization_servers"], json!([AS]));
}
