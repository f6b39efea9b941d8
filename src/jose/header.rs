use super::{Algorithm, members::Members};
use crate::protocol::{Detail, Reason, Rejection, refuse};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The largest header that is read, in bytes. Real headers are much smaller.
const MAX_BYTES: usize = 8 * 1024;
/// The longest `kid` in bytes.
const MAX_KID_BYTES: usize = 256;

/// The members that no header may have, and the reasons for which a token is refused.
const REFUSED: [(&str, Reason); 5] = [
    ("crit", Reason::TokenHeaderCritical),
    ("b64", Reason::TokenHeaderCritical),
    ("enc", Reason::TokenEncrypted),
    ("zip", Reason::TokenEncrypted),
    ("cty", Reason::TokenNested),
];

/// The header of a signed token (RFC 7515 section 4), without the members that contain or locate a key, such as `jwk` and
/// `jku`.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// The media type in lower case, without `application/` (RFC 7515 section 4.1.9).
    pub(crate) typ: Option<Cow<'static, str>>,
}

/// A header that is one JSON object. The members of the object have not been checked.
pub(crate) struct RawHeader {
    members: Members,
    bytes: usize,
}

impl RawHeader {
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        Some(Self { members: Members::parse(json)?, bytes: json.len() })
    }

    fn members(&self) -> Result<&Members, Rejection> {
        if self.bytes > MAX_BYTES {
            return Err(refuse(Reason::TokenHeaderMalformed).with_detail("too large"));
        }
        Ok(&self.members)
    }

    /// Returns the public key in the header. Only a DPoP proof has such a key (RFC 9449 section 4.2).
    pub(crate) fn jwk(&self) -> Option<&Map<String, Value>> {
        self.members.get("jwk")?.as_object()
    }

    /// Returns the media type, without a check of the other members.
    pub(crate) fn typ(&self) -> Result<Option<Cow<'static, str>>, Rejection> {
        typ(self.members()?)
    }

    /// Checks the members.
    pub(crate) fn check(&self) -> Result<Header, Rejection> {
        let members = self.members()?;
        for (name, reason) in REFUSED {
            if members.contains(name) {
                return Err(refuse(reason).with_detail(format_args!("header has `{name}`")));
            }
        }
        let Some(name) = text(members, "alg")? else {
            return Err(refuse(Reason::TokenHeaderMalformed).with_detail("header has no `alg`"));
        };
        let algorithm = Algorithm::from_name(name)
            .ok_or_else(|| refuse(Reason::TokenAlgorithmRefused).with_detail(Detail::from("alg ").unverified(name)))?;
        let kid = text(members, "kid")?;
        if kid.is_some_and(|kid| !is_kid(kid)) {
            return Err(refuse(Reason::TokenHeaderMalformed).with_detail("`kid` is too long or not printable"));
        }
        Ok(Header { algorithm, kid: kid.map(str::to_owned), typ: typ(members)? })
    }
}

#[cfg(any(test, fuzzing))]
impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Rejection> {
        let malformed = || refuse(Reason::TokenHeaderMalformed).with_detail("not one JSON object");
        RawHeader::parse(json).ok_or_else(malformed)?.check()
    }
}

fn typ(members: &Members) -> Result<Option<Cow<'static, str>>, Rejection> {
    let usual = |typ: &str| ["at+jwt", "jwt"].into_iter().find(|usual| usual.eq_ignore_ascii_case(typ));
    let typ = text(members, "typ")?;
    Ok(typ.map(|typ| usual(typ).map_or_else(|| Cow::Owned(short_media_type(typ)), Cow::Borrowed)))
}

/// Returns a media type in the form in which types of tokens are compared: in lower case, without `application/`.
pub(crate) fn short_media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

/// Returns whether a text can be the name of a key in a token or a key set. An empty name is legal (RFC 7515 section
/// 4.1.4), although [`KeyId`](crate::protocol::KeyId) refuses such a name for our own keys.
pub(super) fn is_kid(kid: &str) -> bool {
    kid.len() <= MAX_KID_BYTES && !kid.chars().any(char::is_control)
}

fn text<'a>(members: &'a Members, name: &str) -> Result<Option<&'a str>, Rejection> {
    match members.string(name) {
        None if members.contains(name) => {
            Err(refuse(Reason::TokenHeaderMalformed).with_detail(format_args!("header `{name}` is not a string")))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_headers_are_refused() {
        let long_kid = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
        let cases: &[(&str, Result<(), Reason>)] = &[
            (r#"{"alg":"ES256"}"#, Ok(())),
            (r#"{"alg":"Ed25519","kid":"a","typ":"application/AT+JWT","jku":"https://evil.example"}"#, Ok(())),
            (r#"{}"#, Err(Reason::TokenHeaderMalformed)),
            (r#"{"alg":"ES256","alg":"ES256"}"#, Err(Reason::TokenHeaderMalformed)),
            (r#"{"alg":"none"}"#, Err(Reason::TokenAlgorithmRefused)),
            (r#"{"alg":"noNE"}"#, Err(Reason::TokenAlgorithmRefused)),
            (r#"{"alg":"es256"}"#, Err(Reason::TokenAlgorithmRefused)),
            (r#"{"alg":"HS256"}"#, Err(Reason::TokenAlgorithmRefused)),
            (r#"{"alg":"ES512"}"#, Err(Reason::TokenAlgorithmRefused)),
            (r#"{"alg":["ES256"]}"#, Err(Reason::TokenHeaderMalformed)),
            (r#"{"alg":"ES256","kid":7}"#, Err(Reason::TokenHeaderMalformed)),
            (r#"{"alg":"ES256","typ":null}"#, Err(Reason::TokenHeaderMalformed)),
            (r#"{"alg":"ES256","crit":[]}"#, Err(Reason::TokenHeaderCritical)),
            (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, Err(Reason::TokenHeaderCritical)),
            (r#"{"alg":"ES256","b64":false}"#, Err(Reason::TokenHeaderCritical)),
            (r#"{"alg":"ES256","cty":"JWT"}"#, Err(Reason::TokenNested)),
            (r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#, Err(Reason::TokenEncrypted)),
            (&long_kid, Err(Reason::TokenHeaderMalformed)),
        ];
        for (json, expected) in cases {
            let read = Header::parse(json.as_bytes()).map(|_| ()).map_err(|rejection| rejection.reason());
            assert_eq!(read, *expected, "{json}");
        }
        let header = Header::parse(cases[1].0.as_bytes()).unwrap();
        assert_eq!((header.algorithm, header.typ.as_deref()), (Algorithm::EdDSA, Some("at+jwt")));
    }
}
