//! A private key as a JWK (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use super::{
    Algorithm, Cryptography, KeyError, PrivateKey, VerifyingKey,
    cryptography::{KeyComponents, RsaComponents},
    parse_object,
};
use crate::protocol::{KeyId, decode_base64};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use std::ops::Deref;
use zeroize::{Zeroize, Zeroizing};

type Jwk = Map<String, Value>;

/// The members of a private JWK. The texts are wiped when the value is dropped.
struct Wiped(Jwk);

impl Deref for Wiped {
    type Target = Jwk;

    fn deref(&self) -> &Jwk {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

const BASE64URL: &str = "present, as base64url without padding";

impl PrivateKey {
    /// Reads a key, and the `kid` of the key. No error contains the value of a member.
    pub(crate) fn from_jwk(cryptography: Cryptography, text: &[u8]) -> Result<(Self, Option<KeyId>), KeyError> {
        let jwk = Wiped(parse_object(text).ok_or(KeyError::NotJwk)?);
        if jwk.contains_key("keys") {
            return Err(KeyError::JwkSet);
        }
        let algorithms = algorithms(&jwk)?;
        if !jwk.contains_key("d") {
            return Err(KeyError::PublicJwk);
        }
        let kid = kid(&jwk)?;
        check_use(&jwk)?;
        let algorithm = algorithm(&jwk, algorithms)?;
        let refused = |cause: String| KeyError::JwkRefused { algorithm, cause };

        let public = public_half(&jwk, algorithm)?;
        let public = VerifyingKey::from_jwk(&public).map_err(|why| refused(why.to_string()))?;
        let pair = cryptography.pair_from_components(&components(&jwk, algorithm)?);
        let pair = pair.map_err(|problem| refused(problem.to_owned()))?;
        let key = Self::from_pair(algorithm, pair)?;
        // Ring checks some RSA members only when the key signs.
        let verifies = |signature: &[u8]| public.verify(algorithm, b"probe", signature, cryptography);
        let signs = key.sign(b"probe").is_some_and(|signature| verifies(&signature));
        if signs { Ok((key, kid)) } else { Err(refused("the key does not sign".into())) }
    }
}

/// Returns the algorithms that a key of this type and curve can have.
fn algorithms(jwk: &Jwk) -> Result<&'static [Algorithm], KeyError> {
    use Algorithm::*;
    let text = |member| jwk.get(member).and_then(Value::as_str);
    match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => Ok(&[ES256]),
        (Some("EC"), Some("P-384")) => Ok(&[ES384]),
        (Some("OKP"), Some("Ed25519")) => Ok(&[EdDSA]),
        (Some("RSA"), _) => Ok(&[RS256, RS384, RS512, PS256, PS384, PS512]),
        (Some("oct"), _) => Err(KeyError::SymmetricJwk),
        _ => Err(KeyError::UnsupportedJwk),
    }
}

fn algorithm(jwk: &Jwk, possible: &[Algorithm]) -> Result<Algorithm, KeyError> {
    let named = |alg: &Value| alg.as_str().and_then(Algorithm::from_name);
    match (jwk.get("alg"), possible) {
        (None, [only]) => Ok(*only),
        (alg, _) => alg.and_then(named).filter(|named| possible.contains(named)).ok_or({
            let expected = match possible {
                [Algorithm::ES256] => "ES256, or absent",
                [Algorithm::ES384] => "ES384, or absent",
                [Algorithm::EdDSA] => "EdDSA, or absent",
                _ => "one of RS256, RS384, RS512, PS256, PS384 and PS512, because an RSA key can be for each of them",
            };
            KeyError::JwkMember { member: "alg", expected }
        }),
    }
}

fn kid(jwk: &Jwk) -> Result<Option<KeyId>, KeyError> {
    let Some(kid) = jwk.get("kid") else { return Ok(None) };
    let expected = "1 to 256 printable bytes, or absent for the thumbprint of the key";
    let key_id = kid.as_str().and_then(|kid| KeyId::try_from(kid).ok());
    key_id.map(Some).ok_or(KeyError::JwkMember { member: "kid", expected })
}

/// Checks that the key may sign (RFC 7517 sections 4.2 and 4.3).
fn check_use(jwk: &Jwk) -> Result<(), KeyError> {
    if jwk.get("use").is_some_and(|key_use| key_use != "sig") {
        return Err(KeyError::JwkMember { member: "use", expected: "`sig`, or absent, because a key has one use" });
    }
    let signs = |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "sign"));
    if !jwk.get("key_ops").is_none_or(signs) {
        return Err(KeyError::JwkMember { member: "key_ops", expected: "a list with `sign`, or absent" });
    }
    Ok(())
}

/// Returns the members of the public key.
fn public_half(jwk: &Jwk, algorithm: Algorithm) -> Result<Jwk, KeyError> {
    let members: &[&'static str] = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => &["x", "y"],
        Algorithm::EdDSA => &["x"],
        _ => &["n", "e"],
    };
    members.iter().try_for_each(|member| bytes(jwk, member).map(drop))?;
    let public = ["kty", "crv"].iter().chain(members);
    Ok(public.filter_map(|member| Some(((*member).to_owned(), jwk.get(*member)?.clone()))).collect())
}

fn components(jwk: &Jwk, algorithm: Algorithm) -> Result<KeyComponents, KeyError> {
    let bytes = |member| bytes(jwk, member);
    // The public key as a point without compression.
    let point = || Ok(Zeroizing::new([&[4], bytes("x")?.as_slice(), bytes("y")?.as_slice()].concat()));
    Ok(match algorithm {
        Algorithm::ES256 => KeyComponents::P256 { public: point()?, private: bytes("d")? },
        Algorithm::ES384 => KeyComponents::P384 { public: point()?, private: bytes("d")? },
        Algorithm::EdDSA => KeyComponents::Ed25519 { seed: bytes("d")?, public: bytes("x")? },
        _ if jwk.contains_key("oth") => {
            let expected = "absent, because only keys with two primes are supported";
            return Err(KeyError::JwkMember { member: "oth", expected });
        }
        _ => KeyComponents::Rsa(RsaComponents {
            n: bytes("n")?,
            e: bytes("e")?,
            d: bytes("d")?,
            p: bytes("p")?,
            q: bytes("q")?,
            dp: bytes("dp")?,
            dq: bytes("dq")?,
            qi: bytes("qi")?,
        }),
    })
}

fn bytes(jwk: &Jwk, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = jwk.get(member).and_then(Value::as_str);
    let bytes = text.and_then(|text| decode_base64(&BASE64URL_NOPAD, text.as_bytes()));
    bytes.filter(|bytes| !bytes.is_empty()).ok_or(KeyError::JwkMember { member, expected: BASE64URL })
}
