use super::{Algorithm, IgnoredReason, header::is_kid, roca::is_weak};
use crate::protocol::sha256_of_parts;
use biscuit::{
    Empty,
    jwk::{AlgorithmParameters, EllipticCurve, JWK},
    jws::Secret,
};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value};

/// The members that only a private or symmetric key has.
pub(super) const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The use that a key is published for (RFC 7517 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyUse {
    /// The `use` is `sig` or absent.
    Signature,
    /// The `use` is `jwt-svid`. In a SPIFFE bundle, such a key verifies the JWTs of workloads and no other tokens.
    JwtSvid,
}

/// The SHA-256 hash of the kind and the value of a public key. Keys with the same fingerprint verify the same signatures.
pub(super) type Fingerprint = [u8; 32];

/// A public key for one kind of signature (RFC 7517).
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) key_use: KeyUse,
    algorithm: Option<Algorithm>,
    material: Material,
    fingerprint: Fingerprint,
}

enum Material {
    Rsa(Secret),
    P256(Secret),
    P384(Secret),
    Ed25519([u8; 32]),
}

impl VerifyingKey {
    /// Returns whether both keys verify the same signatures.
    pub(super) fn is_same_material(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Reads one key of a key set. An error concerns only this key: the other keys of the set can still be used (RFC 7517
    /// section 5).
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, IgnoredReason> {
        if PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member)) {
            return Err(IgnoredReason::Private);
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if is_kid(kid) => Some(kid.clone()),
            Some(_) => return Err(IgnoredReason::KidRefused),
        };
        let key_use = match jwk.get("use").map(Value::as_str) {
            None | Some(Some("sig")) => KeyUse::Signature,
            Some(Some("jwt-svid")) => KeyUse::JwtSvid,
            Some(_) => return Err(IgnoredReason::NotForSignatures),
        };
        if !jwk.get("key_ops").is_none_or(|operations| verifies(operations, jwk.contains_key("use"))) {
            return Err(IgnoredReason::NotForVerifying);
        }
        let (material, fingerprint) = Material::from_jwk(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => {
                let named = name.as_str().and_then(Algorithm::from_name);
                Some(named.filter(|named| material.fits(*named)).ok_or(IgnoredReason::AlgorithmRefused)?)
            }
        };
        Ok(Self { kid, key_use, algorithm, material, fingerprint })
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns whether the key is for this algorithm. A key verifies no other signatures.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.fits(algorithm)
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        // Biscuit panics if key and algorithm do not fit.
        if !self.fits(algorithm) {
            return false;
        }
        match (&self.material, algorithm.for_biscuit()) {
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

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let of = |key: &Self| (key.key_use, key.algorithm, key.fingerprint);
        self.kid == other.kid && of(self) == of(other)
    }
}

impl Material {
    fn from_jwk(jwk: &Map<String, Value>) -> Result<(Self, Fingerprint), IgnoredReason> {
        let text = |member| jwk.get(member).and_then(Value::as_str);
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Self::rsa(jwk),
            (Some("EC"), Some("P-256" | "P-384")) => Self::elliptic(jwk),
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

    fn elliptic(jwk: &Map<String, Value>) -> Result<(Self, Fingerprint), IgnoredReason> {
        let Some(AlgorithmParameters::EllipticCurve(ec)) = parameters(jwk, &["kty", "crv", "x", "y"]) else {
            return Err(IgnoredReason::Malformed);
        };
        let secret = ec.jws_public_key_secret();
        match (ec.curve, ec.x.len(), ec.y.len()) {
            (EllipticCurve::P256, 32, 32) => Ok((Self::P256(secret), sha256_of_parts([&b"P-256"[..], &ec.x, &ec.y]))),
            (EllipticCurve::P384, 48, 48) => Ok((Self::P384(secret), sha256_of_parts([&b"P-384"[..], &ec.x, &ec.y]))),
            _ => Err(IgnoredReason::Malformed),
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        match self {
            Self::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256(_) => algorithm == ES256,
            Self::P384(_) => algorithm == ES384,
            Self::Ed25519(_) => algorithm == EdDSA,
        }
    }
}

/// Returns whether `key_ops` allow a key to verify (RFC 7517 section 4.3). If the key also has a `use`, `key_ops` may name
/// only `verify` and `sign`.
fn verifies(operations: &Value, has_use: bool) -> bool {
    let Some(operations) = operations.as_array() else { return false };
    let signature = |operation: &Value| operation == "verify" || operation == "sign";
    operations.iter().any(|operation| operation == "verify") && (!has_use || operations.iter().all(signature))
}

/// Reads the parameters of a key with biscuit. Biscuit gets only the listed members, so an unknown `alg` or a malformed
/// `x5c` cannot make biscuit fail.
pub(super) fn parameters(jwk: &Map<String, Value>, members: &[&str]) -> Option<AlgorithmParameters> {
    let bare: Map<_, _> =
        members.iter().map(|member| Some(((*member).to_owned(), jwk.get(*member)?.clone()))).collect::<Option<_>>()?;
    let jwk: JWK<Empty> = serde_json::from_value(Value::Object(bare)).ok()?;
    Some(jwk.algorithm)
}
