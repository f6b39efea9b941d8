use data_encoding::BASE64URL_NOPAD;

/// A JWS in compact serialization (RFC 7515 section 7.1), taken apart and not yet believed.
pub(crate) struct Compact<'a> {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// What was signed: the first two segments and the dot between them, as they came.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Exactly three segments of unpadded base64url, none of them with stray trailing bits.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        let decode = |segment: &str| BASE64URL_NOPAD.decode(segment.as_bytes()).ok();
        Some(Self { header: decode(header)?, payload: decode(payload)?, signature: decode(signature)?, signing_input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_clean_segments() {
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
