use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// The SHA-256 hash that names a public key (RFC 7638) or a certificate (RFC 8705 section 3.1).
///
/// The text form is base64url without padding, as in the members `jkt` and `x5t#S256` of the claim `cnf`. A thumbprint is
/// not a secret.
///
/// ```
/// use tower_token_exchange::proof::Thumbprint;
///
/// let thumbprint: Thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse()?;
/// assert_eq!(thumbprint.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
/// # Ok::<(), tower_token_exchange::proof::ThumbprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

/// A text that is not a [`Thumbprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a thumbprint: give the base64url of a SHA-256 hash, 43 characters without padding")]
#[non_exhaustive]
pub struct ThumbprintError;

impl Thumbprint {
    /// Computes the thumbprint of a certificate in DER (RFC 8705 section 3.1).
    pub fn of_certificate(der: impl AsRef<[u8]>) -> Self {
        Self::of(der.as_ref())
    }

    /// Computes the thumbprint of a public key (RFC 7638 section 3). Only the required members count. `None` if one of them is
    /// missing, or if the type of the key is unknown.
    pub(crate) fn of_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        // In lexical order, as the hash needs them.
        let members: &[&str] = match jwk.get("kty")?.as_str()? {
            "EC" => &["crv", "kty", "x", "y"],
            "OKP" => &["crv", "kty", "x"],
            "RSA" => &["e", "kty", "n"],
            _ => return None,
        };
        let mut json = String::with_capacity(256);
        for member in members {
            json.push(if json.is_empty() { '{' } else { ',' });
            let value = jwk.get(*member)?.as_str()?;
            // A value that JSON has to escape is not the value of a key.
            if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                return None;
            }
            for part in ["\"", member, "\":\"", value, "\""] {
                json.push_str(part);
            }
        }
        json.push('}');
        Some(Self::of(json.as_bytes()))
    }

    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintError;

    fn from_str(text: &str) -> Result<Self, ThumbprintError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| ThumbprintError)?;
        bytes.try_into().map(Self).map_err(|_| ThumbprintError)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::parse_object;

    const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"MORE}"#;
    const EC: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"MORE}"#;
    const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"MORE}"#;

    /// DQ-11: the vectors of RFC 7638 section 3.1, RFC 9449 section 6.1 and RFC 8037 appendix A.3.
    #[test]
    fn dq_11_only_required_members_count() {
        for (jwk, thumbprint) in [
            (RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (EC, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            (OKP, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            for more in ["", r#","alg":"RS256","kid":"2011-04-29""#, r#","use":"sig","ext":true,"key_ops":["verify"]"#]
            {
                let jwk = parse_object(jwk.replace("MORE", more).as_bytes()).unwrap();
                assert_eq!(Thumbprint::of_jwk(&jwk).unwrap().to_string(), thumbprint, "{more}");
            }
        }
    }

    #[test]
    fn a_key_without_its_members_has_no_thumbprint() {
        for jwk in [
            "{}",
            r#"{"kty":"oct","k":"AA"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"AA"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":7}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"A\"A"}"#,
        ] {
            assert_eq!(Thumbprint::of_jwk(&parse_object(jwk.as_bytes()).unwrap()), None, "{jwk}");
        }
    }

    #[test]
    fn a_thumbprint_is_a_hash_in_base64url() {
        let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(text.parse::<Thumbprint>().unwrap().to_string(), text);
        for bad in ["", "AA", "x", &format!("{text}="), &text.replace('-', "+"), &format!("{text}A"), &text[1..]] {
            assert_eq!(bad.parse::<Thumbprint>(), Err(ThumbprintError), "{bad}");
        }
    }
}
