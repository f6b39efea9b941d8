/// Returns the media type of a `Content-Type` value without its parameters (RFC 9110 section 8.3.1).
pub(crate) fn media_type_of(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}
