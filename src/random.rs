//! Random names and secrets.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};

/// Returns `BYTES` random bytes as base64url text, or `None` if the system has no randomness.
#[cfg(feature = "server-authenticator")]
pub(crate) fn text<const BYTES: usize>() -> Option<String> {
    bytes::<BYTES>().map(|bytes| BASE64URL_NOPAD.encode(&bytes))
}

/// Returns the name of a token or of an attempt: 128 random bits as base64url text.
pub(crate) fn unique_id<T: for<'a> From<&'a str>>() -> Option<T> {
    let mut text = [0; 22];
    BASE64URL_NOPAD.encode_mut(&bytes::<16>()?, &mut text);
    std::str::from_utf8(&text).ok().map(T::from)
}

/// Returns a random number from 0 up to 1, or 0.5 if the system has no randomness.
#[cfg(any(feature = "client", feature = "server-authenticator"))]
pub(crate) fn fraction() -> f64 {
    bytes::<2>().map_or(0.5, |bytes| f64::from(u16::from_be_bytes(bytes)) / 65_536.0)
}

/// Fills the slice with random bytes. Returns `None` if the system has no randomness.
#[cfg(feature = "server-authenticator")]
pub(crate) fn fill(bytes: &mut [u8]) -> Option<()> {
    SystemRandom::new().fill(bytes).ok()
}

/// Returns random bytes, or `None` if the system has no randomness.
pub(crate) fn bytes<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).ok().map(|()| bytes)
}
