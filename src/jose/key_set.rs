use super::{
    Algorithm, Compact, Cryptography, Header, IgnoredKey, IgnoredReason, KeyUse, VerifyingKey, key::PRIVATE_MEMBERS,
    parse_object,
};
use crate::protocol::KeyId;
use data_encoding::BASE64;
use serde_json::{Map, Value};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// The most keys that are read.
const MAX_KEYS: usize = 100;
/// The most keys that are tried for one token.
const MAX_TRIES: usize = 4;

/// A JSON Web Key Set (RFC 7517 section 5): the public keys of an issuer.
///
/// At most 100 keys are read. A key that cannot be used is ignored, and [`ignored`](Self::ignored) returns the reason: for
/// example an unknown type or curve, an RSA modulus outside of 2048 to 8192 bits, a use other than signatures, or a private
/// or symmetric key. A key whose `use` is `jwt-svid`, as in a SPIFFE bundle, verifies JWT-SVIDs and no other tokens. A key whose
/// `use` is `x509-svid` stands for the certificate of an authority in `x5c`, and verifies X.509-SVIDs and no tokens.
///
/// Two key sets are equal if they have the same keys in the same order and ignore the same keys. A clone shares the keys.
///
/// ```
/// use tower_token_exchange::jwks::KeySet;
///
/// let keys = KeySet::from_json(r#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"},
///     {"kty":"oct","k":"c2VjcmV0"}
/// ]}"#)?;
/// assert_eq!(keys.len(), 1);
/// # Ok::<(), tower_token_exchange::jwks::KeySetError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct KeySet {
    keys: Arc<[Arc<VerifyingKey>]>,
    /// The certificates of the authorities of a trust domain, in DER.
    authorities: Arc<[Vec<u8>]>,
    ignored: Arc<[IgnoredKey]>,
}

/// A text that is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key set: give one JSON object with an array `keys` and without duplicate members (RFC 7517 section 5)")]
#[non_exhaustive]
pub struct KeySetError;

/// The result of looking for the key that signed a token. The variants are in order: a later variant is a better result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyMatch {
    /// No key has the name, the algorithm and the use that the token needs.
    NoKey,
    /// There are such keys, and none of them signed the token.
    Mismatch,
    /// One of the keys signed the token.
    Verified,
}

impl KeySet {
    /// Reads a key set from JSON.
    ///
    /// # Errors
    /// [`KeySetError`] if the text is not a key set. A key that cannot be used is not an error.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, KeySetError> {
        let document = parse_object(json.as_ref()).ok_or(KeySetError)?;
        let members = document.get("keys").and_then(Value::as_array).ok_or(KeySetError)?;
        Ok(Self::from_members(members.iter().map(|jwk| jwk.as_object())))
    }

    /// The set of these keys.
    pub(crate) fn from_jwks(jwks: &[Map<String, Value>]) -> Self {
        Self::from_members(jwks.iter().map(Some))
    }

    /// The set of these members of a document. A member that is no JSON object is `None`.
    fn from_members<'a>(members: impl Iterator<Item = Option<&'a Map<String, Value>>>) -> Self {
        let (mut keys, mut authorities, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
        for (position, jwk) in members.enumerate().take(MAX_KEYS + 1) {
            if let Some(certificate) = jwk.filter(|_| position < MAX_KEYS).and_then(authority) {
                authorities.push(certificate);
                continue;
            }
            match read(position, jwk) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => ignored.push(IgnoredKey { position, kid: jwk.and_then(kid_of), reason }),
            }
        }
        Self { keys: keys.into(), authorities: authorities.into(), ignored: ignored.into() }
    }

    /// Returns the number of keys that can be used.
    pub fn len(&self) -> usize {
        self.keys.len() + self.authorities.len()
    }

    /// Returns whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ignored keys, in the order of the document.
    ///
    /// One entry stands for all keys after the 100th key, so there are at most 101 entries.
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// Returns the certificates of the authorities of a trust domain, in DER.
    #[cfg(feature = "client-certificates")]
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        self.authorities.iter().map(Vec::as_slice)
    }

    /// Returns whether the set has keys that verify tokens.
    pub(crate) fn verifies_tokens(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Returns whether the set has a key for this algorithm.
    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.fits(algorithm))
    }

    pub(crate) fn empty() -> Self {
        Self { keys: Arc::new([]), authorities: Arc::new([]), ignored: Arc::new([]) }
    }

    /// Returns a key set with the keys of both. A key that both sets have is in the result once.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self {
            keys: self.keys.iter().chain(other.keys.iter().filter(|key| !self.keys.contains(key))).cloned().collect(),
            authorities: self.authorities.iter().chain(&*other.authorities).cloned().collect(),
            ignored: self.ignored.iter().chain(other.ignored.iter()).cloned().collect(),
        }
    }

    /// Returns a key set with the keys whose material the other set does not have.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let is_other = |key: &&Arc<VerifyingKey>| !other.keys.iter().any(|other| key.is_same_material(other));
        let keys = self.keys.iter().filter(is_other).cloned().collect();
        Self { keys, authorities: Arc::clone(&self.authorities), ignored: Arc::new([]) }
    }

    /// Returns whether both sets have a key with the same material, whatever names the key has.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|other| key.is_same_material(other)))
    }

    /// Looks for the key that signed a token.
    pub(crate) fn verify(
        &self,
        header: &Header,
        jws: &Compact<'_>,
        key_use: KeyUse,
        cryptography: Cryptography,
    ) -> KeyMatch {
        let algorithm = header.algorithm;
        let signed = jws.signing_input.as_bytes();
        let mut found = KeyMatch::NoKey;
        for key in self.candidates(algorithm, header.kid.as_deref(), key_use) {
            if key.verify(algorithm, signed, jws.signature(), cryptography) {
                return KeyMatch::Verified;
            }
            found = KeyMatch::Mismatch;
        }
        found
    }

    /// Returns the keys that may have signed a token. If the token has a `kid`, only keys with that `kid` are returned.
    pub(crate) fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
        key_use: KeyUse,
    ) -> impl Iterator<Item = &'a VerifyingKey> {
        self.keys
            .iter()
            .map(|key| &**key)
            .filter(move |key| {
                key.key_use == key_use && key.fits(algorithm) && (kid.is_none() || key.kid.as_deref() == kid)
            })
            .take(MAX_TRIES)
    }
}

fn read(position: usize, jwk: Option<&Map<String, Value>>) -> Result<VerifyingKey, IgnoredReason> {
    if position == MAX_KEYS {
        return Err(IgnoredReason::BeyondLimit);
    }
    VerifyingKey::from_jwk(jwk.ok_or(IgnoredReason::NotAnObject)?)
}

/// Returns the certificate of an authority in a SPIFFE bundle (SPIFFE X509-SVID section 6.1): the only value of `x5c`.
fn authority(jwk: &Map<String, Value>) -> Option<Vec<u8>> {
    let is_public = !PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member));
    match jwk.get("x5c")?.as_array()?.as_slice() {
        [Value::String(certificate)] if is_public && jwk.get("use")? == "x509-svid" => {
            BASE64.decode(certificate.as_bytes()).ok()
        }
        _ => None,
    }
}

/// Returns the time after which a SPIFFE bundle asks to be fetched again (SPIFFE Trust Domain and Bundle section 4.1.2).
pub(crate) fn refresh_hint(json: &[u8]) -> Option<Duration> {
    parse_object(json)?.get("spiffe_refresh_hint")?.as_u64().map(Duration::from_secs)
}

fn kid_of(jwk: &Map<String, Value>) -> Option<KeyId> {
    jwk.get("kid")?.as_str()?.parse().ok()
}

/// Reads a key set from JSON, like [`KeySet::from_json`].
impl FromStr for KeySet {
    type Err = KeySetError;

    fn from_str(json: &str) -> Result<Self, KeySetError> {
        Self::from_json(json)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.kid.as_deref())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"kty":"EC","crv":"P-256","kid":"16","x":"N_MqlYd_Iq0rfzTqXAX7TUC0r7fQSp3YQKh42tn7uSc","y":"9tGuwMFkHYWPqkLa51f8GazZNQqdgMOVvJEd6fJ18PI"}"#;

    fn with(members: &str) -> String {
        GOOD.replacen('{', &format!("{{{members},"), 1)
    }

    #[test]
    fn an_odd_key_is_ignored_alone() {
        use IgnoredReason::*;
        let long = format!(r#"{{"kid":"{}"}}"#, "k".repeat(257));
        let cases: &[(&str, IgnoredReason)] = &[
            ("7", NotAnObject),
            ("{}", UnknownType),
            (r#"{"kty":7}"#, UnknownType),
            (r#"{"kty":"oct"}"#, UnknownType),
            (r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#, UnknownType),
            (r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","priv":"AA"}"#, Private),
            (r#"{"kty":"oct","k":"AA"}"#, Private),
            (&with(r#""d":"AA""#), Private),
            (r#"{"kid":7}"#, KidRefused),
            (r#"{"kid":"a\nb"}"#, KidRefused),
            (&long, KidRefused),
            (&with(r#""use":"enc""#), NotForSignatures),
            (&with(r#""use":"SIG""#), NotForSignatures),
            (&with(r#""use":["sig"]"#), NotForSignatures),
            (&with(r#""use":"x509-svid""#), NotForSignatures),
            (&with(r#""use":"x509-svid","x5c":["AA==","AA=="]"#), NotForSignatures),
            (&with(r#""use":"x509-svid","x5c":["?"]"#), NotForSignatures),
            (&with(r#""use":"x509-svid","x5c":["AA=="],"d":"AA""#), Private),
            (&with(r#""key_ops":["sign"]"#), NotForVerifying),
            (&with(r#""key_ops":[]"#), NotForVerifying),
            (&with(r#""key_ops":"verify""#), NotForVerifying),
            (&with(r#""use":"sig","key_ops":["verify","encrypt"]"#), NotForVerifying),
            (r#"{"kty":"EC","x":"AA","y":"AA"}"#, UnknownCurve),
            (r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#, UnknownCurve),
            (r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","alg":"ES256K"}"#, UnknownCurve),
            (r#"{"kty":"EC","crv":"Ed25519","x":"AA","y":"AA"}"#, UnknownCurve),
            (r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#, UnknownCurve),
            (r#"{"kty":"OKP","crv":"P-256","x":"AA"}"#, UnknownCurve),
            (r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, Malformed),
            (r#"{"kty":"EC","crv":"P-256","x":"AA"}"#, Malformed),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, Malformed),
            (r#"{"kty":"OKP","crv":"Ed25519"}"#, Malformed),
            (r#"{"kty":"RSA","n":7,"e":"AQAB"}"#, Malformed),
            (r#"{"kty":"RSA","n":"AQAB"}"#, Malformed),
            (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, RsaSize),
            (&with(r#""alg":"RS256""#), AlgorithmRefused),
            (&with(r#""alg":"ES384""#), AlgorithmRefused),
            (&with(r#""alg":"HS256""#), AlgorithmRefused),
            (&with(r#""alg":null"#), AlgorithmRefused),
        ];
        for (odd, why) in cases {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{GOOD},{odd}]}}"#)).unwrap();
            assert_eq!(keys.len(), 1, "{odd}");
            assert_eq!(
                keys.ignored().iter().map(|key| (key.position, key.reason)).collect::<Vec<_>>(),
                [(1, *why)],
                "{odd}"
            );
            let named = odd.contains(r#""kid":"16""#).then_some("16");
            assert_eq!(keys.ignored()[0].kid.as_ref().map(KeyId::as_str), named, "{odd}");
            assert_eq!(keys.candidates(Algorithm::ES256, Some("16"), KeyUse::Signature).count(), 1);
            assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::Signature).count(), 1);
            assert_eq!(keys.candidates(Algorithm::RS256, Some("16"), KeyUse::Signature).count(), 0);
            assert_eq!(keys.candidates(Algorithm::ES256, Some("17"), KeyUse::Signature).count(), 0);
        }
    }

    #[test]
    fn members_that_agree_do_not_matter() {
        for agreeing in [
            r#""use":"sig""#,
            r#""alg":"ES256""#,
            r#""key_ops":["verify"]"#,
            r#""key_ops":["sign","verify"],"use":"sig""#,
            r#""key_ops":["verify","wrapKey"]"#,
            r#""x5c":[7],"x5t":null,"ext":true"#,
        ] {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{}],"more":{{}}}}"#, with(agreeing))).unwrap();
            assert_eq!((keys.len(), keys.ignored()), (1, &[][..]), "{agreeing}");
        }
    }

    #[test]
    fn a_key_verifies_for_one_use() {
        let svid = with(r#""use":"jwt-svid""#).replace(r#""16""#, r#""17""#);
        let cases = [
            (GOOD.to_owned(), Some("16"), KeyUse::Signature),
            (with(r#""use":"sig""#), Some("16"), KeyUse::Signature),
            (svid.clone(), Some("17"), KeyUse::JwtSvid),
            (with(r#""use":"jwt-svid","key_ops":["verify"]"#), Some("16"), KeyUse::JwtSvid),
        ];
        for (jwk, kid, serves) in cases {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
            for key_use in [KeyUse::Signature, KeyUse::JwtSvid] {
                for kid in [kid, None] {
                    let found = keys.candidates(Algorithm::ES256, kid, key_use).count();
                    assert_eq!(found, usize::from(key_use == serves), "{jwk} {key_use:?}");
                }
            }
        }
        // Keys for another use do not count toward the limit of tries.
        let many = [vec![svid; 50], vec![GOOD.to_owned()]].concat().join(",");
        let keys = KeySet::from_json(format!(r#"{{"keys":[{many}]}}"#)).unwrap();
        assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::Signature).count(), 1);
        assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::JwtSvid).count(), MAX_TRIES);
    }

    #[test]
    fn an_authority_of_a_bundle_verifies_no_token() {
        let authority = with(r#""use":"x509-svid","x5c":["AAE="]"#);
        let keys = KeySet::from_json(format!(r#"{{"keys":[{authority},{GOOD}]}}"#)).unwrap();
        assert_eq!((keys.len(), keys.ignored()), (2, &[][..]));
        for key_use in [KeyUse::Signature, KeyUse::JwtSvid] {
            let found = keys.candidates(Algorithm::ES256, Some("16"), key_use).count();
            assert_eq!(found, usize::from(key_use == KeyUse::Signature));
        }
        let alone = KeySet::from_json(format!(r#"{{"keys":[{authority}]}}"#)).unwrap();
        assert!(!alone.is_empty() && !alone.verifies_tokens() && alone != KeySet::empty());
    }

    #[test]
    fn at_most_a_hundred_keys_are_read() {
        for (count, used, ignored) in [(100, 100, None), (101, 100, Some(100)), (5000, 100, Some(100))] {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{}]}}"#, vec![GOOD; count].join(","))).unwrap();
            let beyond =
                |position| IgnoredKey { position, kid: "16".try_into().ok(), reason: IgnoredReason::BeyondLimit };
            assert_eq!((keys.len(), keys.ignored()), (used, ignored.map(beyond).as_slice()));
        }
    }

    #[test]
    fn only_a_key_set_is_read() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kid":"a","kid":"b"}]}"#]
        {
            assert_eq!(KeySet::from_json(bad).unwrap_err(), KeySetError, "{bad}");
        }
    }

    #[test]
    fn key_sets_compare_by_their_keys() {
        let of_key = |key: &str| KeySet::from_json(format!(r#"{{"keys":[{key}]}}"#)).unwrap();
        let modulus = crate::jose::base64url(&[0xb1; 256]);
        let rsa = format!(r#"{{"kty":"RSA","n":"{modulus}","e":"AQAB"}}"#);
        for key in [GOOD, &with(r#""use":"jwt-svid""#), &rsa] {
            assert_eq!(of_key(key).len(), 1, "{key}");
            assert_eq!(of_key(key), of_key(key));
            assert_ne!(of_key(key), KeySet::empty());
            assert_ne!(of_key(key), of_key(&with(r#""alg":"ES256""#)));
        }
    }
}
