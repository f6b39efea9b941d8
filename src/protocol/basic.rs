use data_encoding::BASE64;
use http::{HeaderValue, header::InvalidHeaderValue};

/// The `Authorization` header of a client with this id and secret, both form-encoded (RFC 6749 section 2.3.1).
pub(crate) fn basic_authorization(client_id: &str, secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret));
    basic_header(pair.as_bytes())
}

/// The same of an id and a secret as they are joined already.
pub(crate) fn basic_header(pair: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair)))?;
    header.set_sensitive(true);
    Ok(header)
}
