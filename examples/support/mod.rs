//! The common parts of the examples `axum`, `gateway`, `hyper`, `resource_server` and `tonic`: the old token endpoint, and a client.

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::{error::Error, time::UNIX_EPOCH};
use tower::ServiceExt;
use tower_token_exchange::{GRANT_TYPE, fetch::HttpFetch, signing::LocalSigner};

pub(crate) const ISSUER: &str = "https://as.example";
pub(crate) const SECRET: &str = "b94d27b9934d3e08a52e";

/// The old token endpoint, which has one grant and one user.
pub(crate) fn ordinary_grant(key: &LocalSigner, form: &[u8]) -> (StatusCode, Value) {
    if form != b"grant_type=authorization_code&code=alice" {
        return (StatusCode::BAD_REQUEST, json!({ "error": "unsupported_grant_type" }));
    }
    let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://orders.example", "client_id": "web", "scope": "read",
        "iat": now, "exp": now + 600, "jti": now.to_string(),
    });
    let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signature = key.sign(format!("{header}.{claims}").as_bytes()).unwrap_or_default();
    let token = format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature));
    (StatusCode::OK, json!({ "access_token": token, "token_type": "Bearer" }))
}

/// Sends the ordinary grant, and returns the token of Alice.
pub(crate) async fn log_in(url: &str) -> Result<String, Box<dyn Error>> {
    let (status, answer) = send(post(url, &[("grant_type", "authorization_code"), ("code", "alice")])?).await?;
    println!("ordinary grant → {status}");
    Ok(answer["access_token"].as_str().ok_or("the old endpoint did not answer")?.to_owned())
}

/// Returns the request in which the client `orders` exchanges the token of Alice for a token for `billing`.
pub(crate) fn exchange(url: &str, secret: &str, user_token: &str) -> Result<Request<Bytes>, Box<dyn Error>> {
    let mut request = post(
        url,
        &[
            ("grant_type", GRANT_TYPE),
            ("subject_token", user_token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", "billing"),
        ],
    )?;
    let credentials = BASE64.encode(format!("orders:{secret}").as_bytes());
    request.headers_mut().insert(header::AUTHORIZATION, format!("Basic {credentials}").parse()?);
    Ok(request)
}

fn post(url: &str, form: &[(&str, &str)]) -> Result<Request<Bytes>, Box<dyn Error>> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    Ok(request.body(body.into())?)
}

/// Sends a request over HTTP/1.1.
pub(crate) async fn send(request: Request<Bytes>) -> Result<(StatusCode, Value), Box<dyn Error>> {
    let response = HttpFetch::builder().allow_loopback_http().build()?.oneshot(request).await?;
    Ok((response.status(), serde_json::from_slice(response.body())?))
}

/// Checks the answer to an exchange. A real service verifies a token before the service reads the claims; the example
/// `quickstart` shows the verification.
pub(crate) fn check(status: StatusCode, answer: &Value) -> Result<(), Box<dyn Error>> {
    let token = answer["access_token"].as_str().ok_or_else(|| format!("{status}: {answer}"))?;
    let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap_or_default().as_bytes())?;
    let claims: Value = serde_json::from_slice(&claims)?;
    println!("exchange → {status}, issued: {claims}");
    let delegated = claims["sub"] == "alice" && claims["act"] == json!({ "sub": "orders" });
    if status == StatusCode::OK && delegated && claims["aud"] == "https://billing.example" {
        Ok(())
    } else {
        Err("the answer is not the requested delegation".into())
    }
}
