//! The bearer token of the HTTP client: for one origin, and always the newest.

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{HeaderMap, Request, header::AUTHORIZATION};
use std::fs;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_token_exchange::fetch::{FetchConfigError, FetchError, HttpFetch};

/// A server that answers with the `Authorization` header of the request.
async fn server() -> String {
    let app = Router::new().route(
        "/keys",
        get(|headers: HeaderMap| async move {
            headers.get(AUTHORIZATION).map_or_else(|| "none".to_owned(), |value| value.to_str().unwrap().to_owned())
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn one_origin_gets_the_newest_token() {
    let (cluster, other) = (server().await, server().await);
    let file = std::env::temp_dir().join(format!("bearer-token-{}", std::process::id()));
    let builder = || HttpFetch::builder().allow_loopback_http();
    let fetch = builder().bearer_token_file(&cluster, &file).build().unwrap();
    let ask = async |url: &str| {
        let request = Request::get(format!("{url}/keys")).body(Bytes::new()).unwrap();
        fetch.clone().oneshot(request).await.map(|response| response.into_body())
    };
    for token in ["first\n", "second"] {
        fs::write(&file, token).unwrap();
        assert_eq!(ask(&cluster).await.unwrap(), format!("Bearer {}", token.trim()));
        assert_eq!(ask(&other).await.unwrap(), "none", "the token is for one origin");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(ask(&cluster).await, Err(FetchError::BearerToken { .. })), "no token, no request");
    assert_eq!(ask(&other).await.unwrap(), "none");

    let wrong = builder().bearer_token_file("kubernetes.default.svc", &file).build();
    assert!(matches!(wrong, Err(FetchConfigError::NotAnOrigin { .. })));
}
