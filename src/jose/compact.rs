use super::parse_object;
use crate::protocol::decode_base64;
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

/// The parts of a JWS in compact serialization (RFC 7515 section 7.1). The signature has not been checked.
pub(crate) struct Compact<'a> {
    pub(crate) header: Zeroizing<Vec<u8>>,
    pub(crate) payload: Zeroizing<Vec<u8>>,
    pub(crate) signature: Zeroizing<Vec<u8>>,
    /// The signed bytes: the first two segments and the dot between them.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Reads exactly three segments of base64url without padding. The unused bits of the last character must be zero.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        let decode = |segment: &str| decode_base64(&BASE64URL_NOPAD, segment.as_bytes());
        Some(Self { header: decode(header)?, payload: decode(payload)?, signature: decode(signature)?, signing_input })
    }
}

/// The signed part of a text that has the form of a signed token: the header and the payload. The signature may be malformed.
pub(crate) fn signed_part(token: &str) -> Option<&str> {
    let (signed, _) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header = decode_base64(&BASE64URL_NOPAD, header.as_bytes())?;
    let is_signed = parse_object(&header).is_some_and(|members| members.contains_key("alg")) && !payload.contains('.');
    is_signed.then_some(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_base64url_segments() {
        assert!(Compact::parse("e30.e30.AA").is_some());
        for bad in [
            "",
            "..x",
            "e30",
            "e30.e30",
            "e30.e30.AA.AA",
            "e30=.e30.AA",
            "e30.e30.AA ",
            "e30. e30.AA",
            "e30.e30.AB",
            "{}.{}.AA",
            "e3+.e30.AA",
            "e30.e30.A",
            "é.e30.AA",
        ] {
            assert!(Compact::parse(bad).is_none(), "{bad}");
        }
    }
}
