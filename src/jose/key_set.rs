use super::{
    Algorithm, Compact, Header, IgnoredKey, IgnoredReason, KeyUse, VerifyingKey, header::is_kid, parse_object,
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

const MAX_KEYS: usize = 100;
/// A token without `kid` is tried against at most so many keys.
const MAX_TRIES: usize = 4;

/// A JSON Web Key Set (RFC 7517 section 5): the public keys of an issuer.
///
/// At most 100 keys are read. A key that cannot be used is left out, and [`ignored`](Self::ignored) says why: an
/// unknown type or curve, RSA outside 2048 to 8192 bits, not for signatures, private or symmetric. A key whose `use`
/// is `jwt-svid`, as in a SPIFFE bundle, is kept, and verifies nothing but JWT-SVIDs.
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
#[derive(Clone)]
pub struct KeySet {
    keys: Arc<[Arc<VerifyingKey>]>,
    ignored: Arc<[IgnoredKey]>,
}

/// A text that is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key set is one JSON object with an array `keys`, without duplicate members (RFC 7517 section 5)")]
#[non_exhaustive]
pub struct KeySetError;

/// The result of looking for the key that signed a token. A later value is the better result.
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
    /// Reads a key set document.
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
        let (mut keys, mut ignored) = (Vec::new(), Vec::new());
        for (position, jwk) in members.enumerate().take(MAX_KEYS + 1) {
            match read(position, jwk) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(why) => ignored.push(IgnoredKey { position, kid: jwk.and_then(kid_of), why }),
            }
        }
        Self { keys: keys.into(), ignored: ignored.into() }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that were left out, in the order of the document. The first behind the 100th stands for all that
    /// follow, so there are never more than 101.
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// Whether a key of the set is one for this algorithm.
    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.fits(algorithm))
    }

    /// The set with no key in it.
    pub(crate) fn empty() -> Self {
        Self { keys: Arc::new([]), ignored: Arc::new([]) }
    }

    /// The keys of both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self {
            keys: self.keys.iter().chain(other.keys.iter()).cloned().collect(),
            ignored: self.ignored.iter().chain(other.ignored.iter()).cloned().collect(),
        }
    }

    /// Looks for the key that signed a token.
    pub(crate) fn verify(&self, header: &Header, jws: &Compact<'_>, key_use: KeyUse) -> KeyMatch {
        let algorithm = header.algorithm;
        let candidates = self.candidates(algorithm, header.kid.as_deref(), key_use);
        let signed = jws.signing_input.as_bytes();
        match candidates.iter().any(|key| key.verify(algorithm, signed, &jws.signature)) {
            _ if candidates.is_empty() => KeyMatch::NoKey,
            true => KeyMatch::Verified,
            false => KeyMatch::Mismatch,
        }
    }

    /// The keys that a token with this header may have been signed with. A `kid` is a name, not a hint: with
    /// one, only keys of that name are tried.
    pub(crate) fn candidates(&self, algorithm: Algorithm, kid: Option<&str>, purpose: KeyUse) -> Vec<&VerifyingKey> {
        self.keys
            .iter()
            .map(|key| &**key)
            .filter(|key| key.purpose == purpose && key.fits(algorithm) && (kid.is_none() || key.kid.as_deref() == kid))
            .take(MAX_TRIES)
            .collect()
    }
}

fn read(position: usize, jwk: Option<&Map<String, Value>>) -> Result<VerifyingKey, IgnoredReason> {
    if position == MAX_KEYS {
        return Err(IgnoredReason::BeyondLimit);
    }
    VerifyingKey::from_jwk(jwk.ok_or(IgnoredReason::NotAnObject)?)
}

/// The name of a key, where it can be shown to somebody.
fn kid_of(jwk: &Map<String, Value>) -> Option<String> {
    jwk.get("kid")?.as_str().filter(|kid| is_kid(kid)).map(str::to_owned)
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
    fn one_odd_key_does_not_take_the_set_down() {
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
                keys.ignored().iter().map(|key| (key.position, key.why)).collect::<Vec<_>>(),
                [(1, *why)],
                "{odd}"
            );
            let named = odd.contains(r#""kid":"16""#).then_some("16");
            assert_eq!(keys.ignored()[0].kid.as_deref(), named, "{odd}");
            assert_eq!(keys.candidates(Algorithm::ES256, Some("16"), KeyUse::Signature).len(), 1);
            assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::Signature).len(), 1);
            assert_eq!(keys.candidates(Algorithm::RS256, Some("16"), KeyUse::Signature).len(), 0);
            assert_eq!(keys.candidates(Algorithm::ES256, Some("17"), KeyUse::Signature).len(), 0);
        }
    }

    #[test]
    fn what_agrees_is_taken() {
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
    fn a_key_serves_one_use() {
        let svid = with(r#""use":"jwt-svid""#).replace(r#""16""#, r#""17""#);
        let cases = [
            (GOOD.to_owned(), Some("16"), KeyUse::Signature),
            (with(r#""use":"sig""#), Some("16"), KeyUse::Signature),
            (svid.clone(), Some("17"), KeyUse::JwtSvid),
            (with(r#""use":"jwt-svid","key_ops":["verify"]"#), Some("16"), KeyUse::JwtSvid),
        ];
        for (jwk, kid, serves) in cases {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
            for purpose in [KeyUse::Signature, KeyUse::JwtSvid] {
                for kid in [kid, None] {
                    let found = keys.candidates(Algorithm::ES256, kid, purpose).len();
                    assert_eq!(found, usize::from(purpose == serves), "{jwk} {purpose:?}");
                }
            }
        }
        // Keys for another use are not among the few that are tried where a token names none.
        let many = [vec![svid; 50], vec![GOOD.to_owned()]].concat().join(",");
        let keys = KeySet::from_json(format!(r#"{{"keys":[{many}]}}"#)).unwrap();
        assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::Signature).len(), 1);
        assert_eq!(keys.candidates(Algorithm::ES256, None, KeyUse::JwtSvid).len(), MAX_TRIES);
    }

    #[test]
    fn a_hundred_keys_are_read() {
        for (count, used, ignored) in [(100, 100, None), (101, 100, Some(100)), (5000, 100, Some(100))] {
            let keys = KeySet::from_json(format!(r#"{{"keys":[{}]}}"#, vec![GOOD; count].join(","))).unwrap();
            let beyond = |position| IgnoredKey { position, kid: Some("16".into()), why: IgnoredReason::BeyondLimit };
            assert_eq!((keys.len(), keys.ignored()), (used, ignored.map(beyond).as_slice()));
        }
    }

    #[test]
    fn what_is_no_set() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kid":"a","kid":"b"}]}"#]
        {
            assert_eq!(KeySet::from_json(bad).unwrap_err(), KeySetError, "{bad}");
        }
    }
}
