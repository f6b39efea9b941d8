use super::parse_object;
use crate::protocol::decode_base64;
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

/// The parts of a JWS in compact serialization (RFC 7515 section 7.1). The signature has not been checked.
pub(crate) struct Compact<'a> {
    /// The header, the payload and the signature, one after the other.
    decoded: Zeroizing<Vec<u8>>,
    header: usize,
    payload: usize,
    /// The signed bytes: the first two segments and the dot between them.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Reads exactly three segments of base64url without padding. The unused bits of the last character must be zero.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        let segments = [header, payload, signature].map(str::as_bytes);
        let mut lengths = [0; 3];
        for (length, segment) in lengths.iter_mut().zip(segments) {
            *length = BASE64URL_NOPAD.decode_len(segment.len()).ok()?;
        }
        let mut decoded = Zeroizing::new(vec![0; lengths.iter().sum()]);
        let mut rest = decoded.as_mut_slice();
        for (length, segment) in lengths.into_iter().zip(segments) {
            let (part, others) = rest.split_at_mut(length);
            BASE64URL_NOPAD.decode_mut(segment, part).ok()?;
            rest = others;
        }
        let [header, payload, _] = lengths;
        Some(Self { decoded, header, payload, signing_input })
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.decoded[..self.header]
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.decoded[self.header..][..self.payload]
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.decoded[self.header + self.payload..]
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
        let jws = Compact::parse("e30.e30.AA").unwrap();
        assert_eq!((jws.header(), jws.payload(), jws.signature()), (&b"{}"[..], &b"{}"[..], &[0][..]));
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
