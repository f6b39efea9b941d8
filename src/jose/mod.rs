//! JSON Web Signatures, JSON Web Keys and the claims of tokens. No other module uses biscuit, the JOSE library.
//!
//! This module parses headers, claims and key sets itself: duplicate members are refused, depth and size are limited, and
//! keys are read one at a time. Biscuit supplies key values, thumbprints, and the signatures of RSA and ECDSA. Biscuit
//! panics if a key and an algorithm do not fit together, so this module checks that both fit.

mod algorithm;
mod claims;
mod compact;
mod cryptography;
mod header;
mod ignored;
mod json;
mod key;
mod key_set;
mod members;
mod memo;
mod private_jwk;
mod private_key;
mod public_key;
mod roca;
mod signature;
mod text;
mod thumbprint;
#[cfg(test)]
mod wycheproof;

pub use algorithm::{Algorithm, AlgorithmError};
pub use claims::{Claims, ClaimsError};
pub use cryptography::Cryptography;
pub use ignored::{IgnoredKey, IgnoredReason};
pub use key_set::{KeySet, KeySetError};
pub use private_key::KeyError;
pub use thumbprint::{Thumbprint, ThumbprintError};

pub(crate) use claims::Invalid;
pub(crate) use compact::{Compact, signed_part};
pub(crate) use header::{Header, RawHeader, short_media_type};
pub(crate) use json::parse_object;
pub(crate) use key::{KeyUse, VerifyingKey};
pub(crate) use key_set::{KeyMatch, refresh_hint};
use memo::{ClientMemo, SignatureMemo};
pub(crate) use private_key::PrivateKey;
pub(crate) use signature::{ClientVerifier, SignatureVerifier};

/// Encodes bytes as base64url without padding (RFC 7515 section 2).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}
