use super::{
    Algorithm, Cryptography, IgnoredReason,
    header::is_kid,
    public_key::{Fingerprint, PublicKey},
};
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

/// A public key for one kind of signature (RFC 7517).
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) key_use: KeyUse,
    algorithm: Option<Algorithm>,
    public: PublicKey,
    fingerprint: Fingerprint,
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
        let (public, fingerprint) = PublicKey::from_jwk(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => {
                let named = name.as_str().and_then(Algorithm::from_name);
                Some(named.filter(|named| public.fits(*named)).ok_or(IgnoredReason::AlgorithmRefused)?)
            }
        };
        Ok(Self { kid, key_use, algorithm, public, fingerprint })
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns whether the key is for this algorithm. A key verifies no other signatures.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.public.fits(algorithm)
    }

    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
        cryptography: Cryptography,
    ) -> bool {
        self.fits(algorithm) && cryptography.verify(&self.public, algorithm, signed, signature)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let of = |key: &Self| (key.key_use, key.algorithm, key.fingerprint);
        self.kid == other.kid && of(self) == of(other)
    }
}

/// Returns whether `key_ops` allow a key to verify (RFC 7517 section 4.3). If the key also has a `use`, `key_ops` may name
/// only `verify` and `sign`.
fn verifies(operations: &Value, has_use: bool) -> bool {
    let Some(operations) = operations.as_array() else { return false };
    let signature = |operation: &Value| operation == "verify" || operation == "sign";
    operations.iter().any(|operation| operation == "verify") && (!has_use || operations.iter().all(signature))
}
