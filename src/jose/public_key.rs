use super::{Algorithm, IgnoredReason, roca::is_weak};
use crate::protocol::sha256_of_parts;
use biscuit::{
    Empty,
    jwk::{AlgorithmParameters, JWK},
    jws::Secret,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

/// The SHA-256 hash of the kind and the value of a public key. Keys with the same fingerprint verify the same signatures.
pub(super) type Fingerprint = [u8; 32];

/// The value of a public key. An elliptic curve has a [`Secret::PublicKey`], which is a point without compression, and RSA has a
/// [`Secret::RSAModulusExponent`].
pub(super) enum PublicKey {
    Rsa(Secret),
    P256(Secret),
    P384(Secret),
    Ed25519([u8; 32]),
}

impl PublicKey {
    pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Result<(Self, Fingerprint), IgnoredReason> {
        let text = |member| jwk.get(member).and_then(Value::as_str);
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Self::rsa(jwk),
            // Biscuit would copy the key. A DPoP proof brings a key with each request.
            (Some("EC"), Some(curve @ "P-256")) => Self::elliptic(jwk, curve, 32, Self::P256),
            (Some("EC"), Some(curve @ "P-384")) => Self::elliptic(jwk, curve, 48, Self::P384),
            (Some("OKP"), Some("Ed25519")) => {
                let public = text("x").and_then(|x| BASE64URL_NOPAD.decode(x.as_bytes()).ok());
                let public = public.and_then(|public| public.try_into().ok()).ok_or(IgnoredReason::Malformed)?;
                Ok((Self::Ed25519(public), sha256_of_parts([&b"Ed25519"[..], &public])))
            }
            (Some("EC" | "OKP"), _) => Err(IgnoredReason::UnknownCurve),
            _ => Err(IgnoredReason::UnknownType),
        }
    }

    fn rsa(jwk: &Map<String, Value>) -> Result<(Self, Fingerprint), IgnoredReason> {
        let Some(AlgorithmParameters::RSA(rsa)) = parameters(jwk, &["kty", "n", "e"]) else {
            return Err(IgnoredReason::Malformed);
        };
        if !(2048..=8192).contains(&rsa.n.bits()) {
            return Err(IgnoredReason::RsaSize);
        }
        // With the exponent 1, every message is its own signature. An exponent of more than 33 bits only costs time.
        if !rsa.e.bit(0) || !(2..=33).contains(&rsa.e.bits()) {
            return Err(IgnoredReason::Malformed);
        }
        let n = rsa.n.to_bytes_be();
        if is_weak(&n) {
            return Err(IgnoredReason::RsaWeak);
        }
        Ok((Self::Rsa(rsa.jws_public_key_secret()), sha256_of_parts([&b"RSA"[..], &n, &rsa.e.to_bytes_be()])))
    }

    fn elliptic(
        jwk: &Map<String, Value>,
        curve: &str,
        coordinate_bytes: usize,
        of_point: fn(Secret) -> Self,
    ) -> Result<(Self, Fingerprint), IgnoredReason> {
        let coordinate = |member| {
            let text = jwk.get(member).and_then(Value::as_str)?;
            BASE64URL_NOPAD.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == coordinate_bytes)
        };
        let (x, y) = coordinate("x").zip(coordinate("y")).ok_or(IgnoredReason::Malformed)?;
        let point = [&[4], x.as_slice(), &y].concat();
        Ok((of_point(Secret::PublicKey(point)), sha256_of_parts([curve.as_bytes(), &x, &y])))
    }

    /// Returns whether the key is for this algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        match self {
            Self::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256(_) => algorithm == ES256,
            Self::P384(_) => algorithm == ES384,
            Self::Ed25519(_) => algorithm == EdDSA,
        }
    }
}

/// Reads the parameters of a key with biscuit. Biscuit gets only the listed members, so an unknown `alg` or a malformed
/// `x5c` cannot make biscuit fail.
pub(super) fn parameters(jwk: &Map<String, Value>, members: &[&str]) -> Option<AlgorithmParameters> {
    let bare: Map<_, _> =
        members.iter().map(|member| Some(((*member).to_owned(), jwk.get(*member)?.clone()))).collect::<Option<_>>()?;
    let jwk: JWK<Empty> = serde_json::from_value(Value::Object(bare)).ok()?;
    Some(jwk.algorithm)
}
