//! Everything that touches the JOSE library, behind a fence.
//!
//! The header, the claims and the key documents are read here with our own bounds: duplicate members refused,
//! depth and size capped, one key at a time. The library below supplies key values, thumbprints and the RSA
//! and ECDSA primitives; it is only ever given a key and an algorithm that fit together.

mod algorithm;
mod claims;
mod compact;
mod header;
mod ignored;
mod json;
mod key;
mod key_set;
mod private_jwk;
mod private_key;
mod roca;
#[cfg(test)]
mod wycheproof;

pub use algorithm::{Algorithm, AlgorithmError};
pub use claims::{Claims, ClaimsError};
pub use ignored::{IgnoredKey, IgnoredReason};
pub use key_set::{KeySet, KeySetError};
pub use private_key::KeyError;

pub(crate) use claims::Invalid;
pub(crate) use compact::Compact;
pub(crate) use header::{Header, RawHeader, media_type};
pub(crate) use json::parse_object;
pub(crate) use key::{KeyUse, VerifyingKey};
pub(crate) use key_set::KeyMatch;
pub(crate) use private_key::PrivateKey;

/// Encodes without padding, as JOSE does everywhere (RFC 7515 section 2).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}
