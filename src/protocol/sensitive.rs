use bytes::Bytes;
use data_encoding::Encoding;
use ring::digest::{Context, SHA256};
use std::{fmt, hint, mem, ops::Deref};
use zeroize::{Zeroize, Zeroizing};

/// A token or a secret. `Debug` shows `[redacted]`. The memory is wiped when the value is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sensitive(Zeroizing<String>);

impl Sensitive {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Takes text without copying it. Returns `None` if the bytes are not UTF-8.
    pub(crate) fn from_utf8(mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        match String::from_utf8(mem::take(&mut *bytes)) {
            Ok(text) => Some(Self::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                None
            }
        }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Takes the text, which is then no secret any more.
    pub(crate) fn into_string(mut self) -> String {
        mem::take(&mut *self.0)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Runs a hash function on a secret, and leaves no copy of the secret.
///
/// A hash function of ring leaves the last block of its input on the stack. A second run, with zeros, overwrites this block.
pub(crate) fn hash_secret(hash: impl Fn(&[&[u8]]) -> [u8; 32], secret: &[&[u8]]) -> [u8; 32] {
    // Both calls have the same place on the stack.
    #[inline(never)]
    fn run(hash: &dyn Fn(&[&[u8]]) -> [u8; 32], input: &[&[u8]]) -> [u8; 32] {
        hash(input)
    }
    let result = run(&hash, secret);
    hint::black_box(run(&hash, &[&[0; 63]]));
    result
}

/// The SHA-256 hash of a token or a secret. No copy of the text is left.
pub(crate) fn sha256_of_secret(text: &str) -> [u8; 32] {
    sha256_of_secret_bytes(text.as_bytes())
}

/// The SHA-256 hash of a secret that need not be text.
pub(crate) fn sha256_of_secret_bytes(bytes: &[u8]) -> [u8; 32] {
    let sha256 = |parts: &[&[u8]]| {
        let mut context = Context::new(&SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    };
    hash_secret(sha256, &[bytes])
}

/// Bytes with a token, a secret or a signature, such as the body of a request.
///
/// The memory is wiped when the last owner is dropped. A server can keep the same memory in a buffer of the connection. Only
/// the server can wipe such a buffer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SensitiveBytes(Bytes);

impl From<Bytes> for SensitiveBytes {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Deref for SensitiveBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SensitiveBytes {
    fn drop(&mut self) {
        if let Ok(mut bytes) = mem::take(&mut self.0).try_into_mut() {
            bytes.as_mut().zeroize();
        }
    }
}

/// Bytes with a token or a secret, for another part of the program. The memory is wiped when the last owner drops it.
pub(crate) fn wiped_on_drop(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

/// Decodes base64 in the given alphabet. Neither the result nor the beginning of a malformed text stays in memory.
pub(crate) fn decode_base64(encoding: &Encoding, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(vec![0; encoding.decode_len(text.len()).ok()?]);
    let length = encoding.decode_mut(text, &mut decoded).ok()?;
    decoded.truncate(length);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64URL_NOPAD;

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Sensitive::new("secret".into())), "[redacted]");
    }

    #[test]
    fn base64_is_decoded_strictly() {
        let decode = |text: &str| decode_base64(&BASE64URL_NOPAD, text.as_bytes()).map(|bytes| bytes.to_vec());
        assert_eq!(decode("e30"), Some(b"{}".to_vec()));
        for bad in ["e30=", "e3", "e31", "e 30", "e"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
