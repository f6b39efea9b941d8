use crate::protocol::KeyId;
use serde::Serialize;
use std::fmt;

/// A key of a key set that verifies no token.
///
/// ```
/// use tower_token_exchange::jwks::{IgnoredReason, KeySet};
///
/// let keys = KeySet::from_json(r#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"},
///     {"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"b"}
/// ]}"#)?;
/// let [ignored] = keys.ignored() else { panic!("the second key is ignored") };
/// assert_eq!(ignored.position, 1);
/// assert_eq!(ignored.reason, IgnoredReason::UnknownCurve);
/// assert_eq!(ignored.to_string(), "key 1, kid `b`: the `crv` is missing or not supported");
/// # Ok::<(), tower_token_exchange::jwks::KeySetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// The position of the key in `keys`. The first key has the position 0.
    pub position: usize,
    /// The `kid` of the key, if the `kid` is a valid [`KeyId`].
    pub kid: Option<KeyId>,
    /// The first problem that was found.
    pub reason: IgnoredReason,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            write!(f, ", kid `{kid}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The reason for which a key of a key set is ignored.
///
/// The text of each reason is fixed, and never contains a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IgnoredReason {
    /// The key is not a JSON object.
    NotAnObject,
    /// The key has a member that only private and symmetric keys have.
    Private,
    /// The `kid` is not a string, is longer than 256 bytes, or has control characters.
    KidRefused,
    /// The `use` is neither `sig` nor `jwt-svid` (RFC 7517 section 4.2), nor `x509-svid` with one certificate in `x5c`.
    NotForSignatures,
    /// The `key_ops` have no `verify`, or contradict the `use` (RFC 7517 section 4.3).
    NotForVerifying,
    /// The `kty` is missing or is none of `EC`, `OKP`, `RSA`.
    UnknownType,
    /// The `crv` is missing or is none of `P-256`, `P-384` (`EC`), `Ed25519` (`OKP`).
    UnknownCurve,
    /// A parameter of the key is missing, malformed or out of range.
    Malformed,
    /// The RSA modulus has less than 2048 or more than 8192 bits.
    RsaSize,
    /// The private key can be computed from the RSA modulus (ROCA, CVE-2017-15361).
    RsaWeak,
    /// The `alg` is not an [`Algorithm`](crate::signing::Algorithm), or not an algorithm for such a key.
    AlgorithmRefused,
    /// The set has more than 100 keys. One entry stands for all keys after the 100th key.
    BeyondLimit,
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "the key is not a JSON object",
            Self::Private => "the key has a member of a private or symmetric key",
            Self::KidRefused => "the `kid` is not a string, too long or not printable",
            Self::NotForSignatures => "the `use` is not for signatures",
            Self::NotForVerifying => "the `key_ops` have no `verify`, or contradict the `use`",
            Self::UnknownType => "the `kty` is missing or not supported",
            Self::UnknownCurve => "the `crv` is missing or not supported",
            Self::Malformed => "a parameter of the key is missing, malformed or out of range",
            Self::RsaSize => "the RSA modulus has less than 2048 or more than 8192 bits",
            Self::RsaWeak => "the private key can be computed from the RSA modulus",
            Self::AlgorithmRefused => "the `alg` is unknown or does not fit the key",
            Self::BeyondLimit => "the set has more than 100 keys",
        })
    }
}
