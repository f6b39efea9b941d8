use super::Algorithm;
use biscuit::{
    Empty,
    jwk::{AlgorithmParameters, EllipticCurve, JWK},
    jws::Secret,
};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value};

const MAX_KID_BYTES: usize = 256;
/// Members that only a private or symmetric key has.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// A public key for one kind of signature (RFC 7517).
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(Secret),
    P256(Secret),
    P384(Secret),
    Ed25519([u8; 32]),
}

impl VerifyingKey {
    /// Reads one member of a key set. `None` is a key that cannot be used here, whatever the cause: one odd key
    /// must not take the set down (RFC 7517 section 5).
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member)) {
            return None;
        }
        if jwk.get("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|operation| *operation == "verify")?;
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= MAX_KID_BYTES)?.to_owned()),
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::from_name(name.as_str()?)?),
        };
        let key = Self { kid, algorithm, material: Material::from_jwk(jwk)? };
        (algorithm.is_none_or(|algorithm| key.fits(algorithm))).then_some(key)
    }

    /// Whether the key is one for this algorithm. Nothing else may be verified with it.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        self.algorithm.is_none_or(|own| own == algorithm)
            && match self.material {
                Material::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
                Material::P256(_) => algorithm == ES256,
                Material::P384(_) => algorithm == ES384,
                Material::Ed25519(_) => algorithm == EdDSA,
            }
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        // The library reaches an `unreachable!` when key and algorithm do not fit.
        if !self.fits(algorithm) {
            return false;
        }
        match (&self.material, algorithm.of_library()) {
            (Material::Ed25519(public), None) => {
                UnparsedPublicKey::new(&ED25519, public).verify(signed, signature).is_ok()
            }
            (Material::Rsa(secret) | Material::P256(secret) | Material::P384(secret), Some(algorithm)) => {
                algorithm.verify(signature, signed, secret).is_ok()
            }
            _ => false,
        }
    }
}

impl Material {
    fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        match jwk.get("kty")?.as_str()? {
            "OKP" => {
                let x = jwk.get("x")?.as_str().filter(|_| jwk.get("crv").is_some_and(|crv| crv == "Ed25519"))?;
                let public = BASE64URL_NOPAD.decode(x.as_bytes()).ok()?;
                Some(Self::Ed25519(public.try_into().ok()?))
            }
            "RSA" => match parameters(jwk, &["kty", "n", "e"])? {
                AlgorithmParameters::RSA(rsa) if (2048..=8192).contains(&rsa.n.bits()) => {
                    Some(Self::Rsa(rsa.jws_public_key_secret()))
                }
                _ => None,
            },
            "EC" => match parameters(jwk, &["kty", "crv", "x", "y"])? {
                AlgorithmParameters::EllipticCurve(ec) => {
                    let secret = ec.jws_public_key_secret();
                    match (ec.curve, ec.x.len(), ec.y.len()) {
                        (EllipticCurve::P256, 32, 32) => Some(Self::P256(secret)),
                        (EllipticCurve::P384, 48, 48) => Some(Self::P384(secret)),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Gives the library only the members that make the key, so that an odd `alg` or `x5c` cannot make it fail.
pub(super) fn parameters(jwk: &Map<String, Value>, members: &[&str]) -> Option<AlgorithmParameters> {
    let bare: Map<_, _> =
        members.iter().map(|member| Some(((*member).to_owned(), jwk.get(*member)?.clone()))).collect::<Option<_>>()?;
    let jwk: JWK<Empty> = serde_json::from_value(Value::Object(bare)).ok()?;
    Some(jwk.algorithm)
}
