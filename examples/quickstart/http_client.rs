//! The HTTP client of the quickstart.

use bytes::Bytes;
use data_encoding::BASE64;
use http::{Request, Response, StatusCode, header};
use serde_json::Value;
use std::error::Error;
use tower::ServiceExt;
use tower_token_exchange::fetch::HttpFetch;

pub(crate) struct HttpClient(HttpFetch);

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    headers: http::HeaderMap,
}

impl Reply {
    pub(crate) fn token(&self) -> Result<String, Box<dyn Error>> {
        Ok(self.body["access_token"].as_str().ok_or("no access_token in the answer")?.to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl HttpClient {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(HttpFetch::builder().allow_loopback_http().build()?))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Reply, Box<dyn Error>> {
        self.send(Request::get(url).body(Bytes::new())?).await
    }

    pub(crate) async fn post_form(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        form: &[(&str, &str)],
    ) -> Result<Reply, Box<dyn Error>> {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some((id, secret)) = credentials {
            let basic = BASE64.encode(format!("{id}:{secret}").as_bytes());
            request = request.header(header::AUTHORIZATION, format!("Basic {basic}"));
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(request.body(body.into())?).await
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Reply, Box<dyn Error>> {
        let response: Response<Bytes> = self.0.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&body)? })
    }
}
