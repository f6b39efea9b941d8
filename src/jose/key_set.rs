use super::{Algorithm, VerifyingKey, parse_object};
use serde_json::Value;
use std::{fmt, sync::Arc};

const MAX_KEYS: usize = 100;
/// A token without `kid` is tried against at most so many keys.
const MAX_TRIES: usize = 4;

/// A JSON Web Key Set (RFC 7517 section 5): the public keys of an issuer.
///
/// At most 100 keys are read. A key that cannot be used is left out: an unknown type or curve, RSA outside 2048
/// to 8192 bits, not for signatures, private or symmetric.
///
/// ```
/// use tower_token_exchange::KeySet;
///
/// let keys = KeySet::from_json(r#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"},
///     {"kty":"oct","k":"c2VjcmV0"}
/// ]}"#)?;
/// assert_eq!(keys.len(), 1);
/// # Ok::<(), tower_token_exchange::InvalidKeySet>(())
/// ```
#[derive(Clone)]
pub struct KeySet(Arc<[Arc<VerifyingKey>]>);

/// A text that is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key set is one JSON object with an array `keys`, without duplicate members (RFC 7517 section 5)")]
#[non_exhaustive]
pub struct InvalidKeySet;

impl KeySet {
    /// Reads a key set document.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, InvalidKeySet> {
        let document = parse_object(json.as_ref()).ok_or(InvalidKeySet)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(InvalidKeySet)?;
        Ok(Self(
            keys.iter()
                .take(MAX_KEYS)
                .filter_map(|jwk| VerifyingKey::from_jwk(jwk.as_object()?))
                .map(Arc::new)
                .collect(),
        ))
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set with no key in it.
    pub(crate) fn empty() -> Self {
        Self(Arc::new([]))
    }

    /// The keys of both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(other.0.iter()).cloned().collect())
    }

    /// The keys that a token with this header may have been signed with. A `kid` is a name, not a hint: with
    /// one, only keys of that name are tried.
    pub(crate) fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> Vec<&VerifyingKey> {
        self.0
            .iter()
            .map(|key| &**key)
            .filter(|key| key.fits(algorithm) && (kid.is_none() || key.kid.as_deref() == kid))
            .take(MAX_TRIES)
            .collect()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.kid.as_deref())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_key_does_not_take_the_set_down() {
        let good = r#"{"kty":"EC","crv":"P-256","kid":"16","x":"N_MqlYd_Iq0rfzTqXAX7TUC0r7fQSp3YQKh42tn7uSc","y":"9tGuwMFkHYWPqkLa51f8GazZNQqdgMOVvJEd6fJ18PI"}"#;
        for odd in [
            "7",
            "{}",
            r#"{"kty":"oct","k":"AA"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
            r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"RSA","n":7,"e":"AQAB"}"#,
            r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#,
            &good.replacen('{', r#"{"use":"enc","#, 1),
            &good.replacen('{', r#"{"key_ops":["sign"],"#, 1),
            &good.replacen('{', r#"{"alg":"RS256","#, 1),
            &good.replacen('{', r#"{"alg":"HS256","#, 1),
            &good.replacen('{', r#"{"d":"AA","#, 1),
        ] {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{odd},{good}]}}"#)).unwrap();
            assert_eq!(keys.len(), 1, "{odd}");
            assert_eq!(keys.candidates(Algorithm::ES256, Some("16")).len(), 1);
            assert_eq!(keys.candidates(Algorithm::ES256, None).len(), 1);
            assert_eq!(keys.candidates(Algorithm::RS256, Some("16")).len(), 0);
            assert_eq!(keys.candidates(Algorithm::ES256, Some("17")).len(), 0);
        }
    }

    #[test]
    fn what_is_no_set() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kid":"a","kid":"b"}]}"#]
        {
            assert_eq!(KeySet::from_json(bad).unwrap_err(), InvalidKeySet, "{bad}");
        }
    }
}
