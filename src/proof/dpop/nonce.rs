use crate::protocol::NumericDate;
use http::HeaderValue;
use ring::hmac;
use std::fmt;

/// The fewest bytes of a key.
const MIN_BYTES: usize = 32;
/// The seconds for which one nonce is handed out.
const SLOT: u64 = 60;

/// The secret key that makes the nonces for DPoP proofs (RFC 9449 section 8).
///
/// A nonce is a keyed hash of the current minute. So a server keeps no nonces, and all servers with the same key accept the
/// nonces of each other. A nonce is accepted in its own minute, in the minute after, and in the minute before, so that the clocks
/// of the servers may differ.
///
/// ```
/// use tower_token_exchange::proof::NonceKey;
///
/// let key = NonceKey::new([7; 32])?;
/// assert!(NonceKey::new("short").is_err());
/// # let _ = key;
/// # Ok::<(), tower_token_exchange::proof::NonceKeyError>(())
/// ```
#[derive(Clone)]
pub struct NonceKey(hmac::Key);

/// A text that is too short for a [`NonceKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shorter than {MIN_BYTES} bytes: give {MIN_BYTES} random bytes or more")]
#[non_exhaustive]
pub struct NonceKeyError;

impl NonceKey {
    /// Creates a key from at least 32 random bytes.
    ///
    /// # Errors
    /// [`NonceKeyError`] for fewer bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, NonceKeyError> {
        let secret = secret.as_ref();
        if secret.len() < MIN_BYTES {
            return Err(NonceKeyError);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The nonce of this time.
    pub(super) fn nonce(&self, now: NumericDate) -> HeaderValue {
        let tag = hmac::sign(&self.0, &message(slot(now)));
        let text = crate::jose::base64url(tag.as_ref());
        // Base64url is always a valid header value.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Returns the last second at which a nonce is accepted, if the nonce is accepted now.
    pub(super) fn accepted_until(&self, nonce: &str, now: NumericDate) -> Option<NumericDate> {
        let tag = data_encoding::BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?;
        let now = slot(now);
        let own = [now, now.saturating_sub(1), now.saturating_add(1)]
            .into_iter()
            .find(|slot| hmac::verify(&self.0, &message(*slot), &tag).is_ok())?;
        Some(NumericDate::from_seconds(own.saturating_add(2).saturating_mul(SLOT)))
    }
}

fn slot(time: NumericDate) -> u64 {
    time.seconds() / SLOT
}

/// The hashed text. The words in front keep a nonce apart from every other use of the key.
fn message(slot: u64) -> [u8; 18] {
    let mut message = [0; 18];
    message[..10].copy_from_slice(b"dpop-nonce");
    message[10..].copy_from_slice(&slot.to_be_bytes());
    message
}

// The key is a secret.
impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> NumericDate {
        NumericDate::from_seconds(seconds)
    }

    #[test]
    fn a_nonce_is_accepted_for_its_minute_and_the_neighbours() {
        let (own, other) = (NonceKey::new([1; 32]).unwrap(), NonceKey::new([2; 32]).unwrap());
        let nonce = own.nonce(at(600));
        let nonce = nonce.to_str().unwrap();
        assert_eq!(own.nonce(at(659)), nonce);
        assert_ne!(own.nonce(at(660)), nonce);
        for (now, accepted) in [(539, false), (540, true), (600, true), (659, true), (719, true), (720, false)] {
            assert_eq!(own.accepted_until(nonce, at(now)).is_some(), accepted, "{now}");
            assert_eq!(other.accepted_until(nonce, at(now)), None);
        }
        assert_eq!(own.accepted_until(nonce, at(600)), Some(at(720)));
        for bad in ["", "AA", "x", &nonce[1..], &format!("{nonce}=")] {
            assert_eq!(own.accepted_until(bad, at(600)), None, "{bad}");
        }
    }

    /// DQ-07: the alphabet of a nonce (RFC 9449 section 8.1).
    #[test]
    fn dq_07_a_nonce_has_characters_of_the_grammar() {
        let nonce = NonceKey::new([7; 32]).unwrap().nonce(at(1_800_000_000));
        let allowed = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!nonce.is_empty() && nonce.as_bytes().iter().all(allowed), "{nonce:?}");
    }

    #[test]
    fn a_short_key_is_refused_and_no_key_is_shown() {
        assert!(NonceKey::new([0; 31]).is_err());
        assert_eq!(format!("{:?}", NonceKey::new([65; 32]).unwrap()), "NonceKey([redacted])");
    }
}
