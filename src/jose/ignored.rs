use std::fmt;

/// A member of a key set that no token is verified with.
///
/// ```
/// use tower_token_exchange::jwks::{IgnoredReason, KeySet};
///
/// let keys = KeySet::from_json(r#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"},
///     {"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"b"}
/// ]}"#)?;
/// let [ignored] = keys.ignored() else { panic!("one of the two") };
/// assert_eq!((ignored.position, ignored.kid.as_deref()), (1, Some("b")));
/// assert_eq!(ignored.why, IgnoredReason::UnknownCurve);
/// assert_eq!(ignored.to_string(), "key 1, kid `b`: its `crv` is not one that is verified with");
/// # Ok::<(), tower_token_exchange::jwks::KeySetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// Where it stands in `keys`; the first is 0.
    pub position: usize,
    /// Its `kid`, if that is a string of at most 256 bytes without control characters.
    pub kid: Option<String>,
    /// What is wrong with it. The first that was found, if it is more than one thing.
    pub why: IgnoredReason,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            write!(f, ", kid `{kid}`")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Why a member of a key set is ignored.
///
/// Its text is fixed and never holds anything of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// It is no JSON object.
    NotAnObject,
    /// It has a member that only private and symmetric keys have, and nobody else should know.
    Private,
    /// Its `kid` is no string, longer than 256 bytes, or has control characters.
    KidRefused,
    /// Its `use` is neither `sig` nor `jwt-svid` (RFC 7517 section 4.2).
    NotForSignatures,
    /// Its `key_ops` lacks `verify`, or does not agree with its `use` (RFC 7517 section 4.3).
    NotForVerifying,
    /// Its `kty` is missing or none of `EC`, `OKP`, `RSA`.
    UnknownType,
    /// Its `crv` is missing or none of `P-256`, `P-384` (`EC`), `Ed25519` (`OKP`).
    UnknownCurve,
    /// A parameter of the key is missing, malformed or out of its range.
    Malformed,
    /// An RSA modulus outside 2048 to 8192 bits.
    RsaSize,
    /// An RSA modulus with the structure from which the private key can be computed (ROCA, CVE-2017-15361).
    RsaWeak,
    /// Its `alg` is none of [`Algorithm`](crate::signing::Algorithm), or not one for such a key.
    AlgorithmRefused,
    /// It stands behind the 100th key. It stands for all that follow it, too.
    BeyondLimit,
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "it is not a JSON object",
            Self::Private => "it has a private or symmetric member",
            Self::KidRefused => "its `kid` is not a string, too long or not printable",
            Self::NotForSignatures => "its `use` is not for signatures",
            Self::NotForVerifying => "its `key_ops` has no `verify`, or does not agree with `use`",
            Self::UnknownType => "its `kty` is not one that is verified with",
            Self::UnknownCurve => "its `crv` is not one that is verified with",
            Self::Malformed => "a parameter of the key is missing, malformed or out of range",
            Self::RsaSize => "its RSA modulus is outside 2048 to 8192 bits",
            Self::RsaWeak => "its RSA modulus is one whose private key can be computed",
            Self::AlgorithmRefused => "its `alg` is unknown or does not fit the key",
            Self::BeyondLimit => "it is behind the 100th key",
        })
    }
}
