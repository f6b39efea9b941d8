use super::{
    attempt::{Attempt, random_text},
    method::ServerMethod,
};
use crate::protocol::{ClientAddress, wiped_on_drop};
use bytes::Bytes;
use http::{Request, header};
use tower::BoxError;

/// An address at which nobody listens (RFC 2606 section 2). Many servers want one before they look at the code.
const REDIRECT_URI: &str = "https://client.invalid/";

/// The bytes of a form without the secret, so that a usual form does not grow.
const OTHERS: usize = 1024;

/// Makes the HTTP request that asks the server about an attempt.
pub(super) fn question(
    method: ServerMethod,
    url: &str,
    attempt: &Attempt,
    address: Option<&ClientAddress>,
) -> Result<Request<Bytes>, BoxError> {
    // A form that grows would leave a copy of the secret.
    let secret_bytes = attempt.in_form().map_or(0, |(_, secret)| secret.len());
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(3 * secret_bytes + OTHERS));
    match method {
        ServerMethod::Introspection => form.append_pair("token", &random_text()?),
        ServerMethod::ClientCredentials => form.append_pair("grant_type", "client_credentials"),
        ServerMethod::AuthorizationCode => form
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &random_text()?)
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("code_verifier", &format!("{}{}", random_text()?, random_text()?)),
        ServerMethod::RefreshToken => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", &random_text()?)
        }
    };
    if let Some((id, secret)) = attempt.in_form() {
        form.append_pair("client_id", id).append_pair("client_secret", secret);
    }
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(wiped_on_drop(form.finish().into_bytes()))?;
    if let Some(header) = attempt.header() {
        request.headers_mut().insert(header::AUTHORIZATION, header?);
    }
    if let Some(address) = address {
        address.describe(request.headers_mut());
        request.extensions_mut().insert(address.clone());
    }
    Ok(request)
}
