use super::SecretHash;
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use zeroize::Zeroizing;

/// The most memory of one check, in KiB.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 8;
/// The numbers of a new hash: the first choice of OWASP, with 19 MiB.
const NEW: (u32, u32, u32) = (19 * 1024, 2, 1);
/// The bytes of the salt and of the hash.
const SALT: usize = 16;
const LENGTH: usize = 32;

/// The Argon2id hash of a secret that a person chose (RFC 9106).
#[derive(Clone)]
pub(crate) struct ChosenSecret {
    params: Params,
    salt: Vec<u8>,
    length: usize,
    /// The hash of the hash, so that the comparison takes constant time whatever the length.
    hash: SecretHash,
}

impl ChosenSecret {
    /// Reads the text form of a hash: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, with base64 without padding.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (numbers, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut numbers = numbers.split(',');
        let mut number = |name: &str| -> Option<u32> { numbers.next()?.strip_prefix(name)?.parse().ok() };
        let (memory, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
        if numbers.next().is_some() || memory > MAX_MEMORY || passes > MAX_PASSES || lanes > MAX_LANES {
            return None;
        }
        let (salt, hash) = (BASE64_NOPAD.decode(salt.as_bytes()).ok()?, BASE64_NOPAD.decode(hash.as_bytes()).ok()?);
        let fits = (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
        let params = Params::new(memory, passes, lanes, Some(hash.len())).ok().filter(|_| fits)?;
        Some(Self { params, salt, length: hash.len(), hash: SecretHash::of_bytes(&hash) })
    }

    /// Whether this is the secret. The check takes much time and memory on purpose.
    pub(crate) fn is(&self, secret: &str) -> bool {
        let mut hash = Zeroizing::new(vec![0; self.length]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let hashed = argon2.hash_password_into(secret.as_bytes(), &self.salt, &mut hash);
        SecretHash::of_bytes(&hash).is_one_of(std::slice::from_ref(&self.hash)) && hashed.is_ok()
    }
}

/// Hashes a secret that a person chose, for [`Client::secret_argon2`](super::Client::secret_argon2).
///
/// The hash is Argon2id with 19 MiB, two passes and one lane (RFC 9106), and a random salt. The function takes some tens of
/// milliseconds.
///
/// `None` if the system has no randomness.
///
/// ```
/// use tower_token_exchange::{Client, records::hash_chosen_secret};
///
/// let hash = hash_chosen_secret("correct horse battery staple").expect("randomness");
/// assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// let orders = Client::new("orders").secret_argon2(hash);
/// # let _ = orders;
/// ```
pub fn hash_chosen_secret(secret: &str) -> Option<String> {
    let (memory, passes, lanes) = NEW;
    let (mut salt, mut hash) = ([0; SALT], Zeroizing::new([0; LENGTH]));
    SystemRandom::new().fill(&mut salt).ok()?;
    let params = Params::new(memory, passes, lanes, Some(LENGTH)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(secret.as_bytes(), &salt, &mut *hash).ok()?;
    let (salt, hash) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&*hash));
    Some(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"))
}

impl fmt::Debug for ChosenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32`.
    const VECTOR: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    #[test]
    fn hashes_of_other_programs_are_read() {
        let secret = ChosenSecret::parse(VECTOR).unwrap();
        assert!(secret.is("password") && !secret.is("Password") && !secret.is(""));
        let own = ChosenSecret::parse(&hash_chosen_secret("a b").unwrap()).unwrap();
        assert!(own.is("a b") && !own.is("a b "));
        assert_eq!(format!("{own:?}"), "[redacted]");
    }

    #[test]
    fn hashes_that_cost_too_much_are_refused() {
        for (from, to) in [
            ("m=65536", "m=262145"),
            ("m=65536", "m=1"),
            ("t=2", "t=17"),
            ("t=2", "t=0"),
            ("p=1", "p=9"),
            ("p=1", "p=1,x=1"),
            ("m=65536,t=2", "t=2,m=65536"),
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("$v=19", ""),
            ("c29tZXNhbHQ", "c29tZQ"),
            ("c29tZXNhbHQ", "c29tZXNhbHQ="),
            ("GRPPc", ""),
            ("GRPPc", "GRPPc$"),
            ("CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFhFdXP"),
        ] {
            assert!(ChosenSecret::parse(&VECTOR.replace(from, to)).is_none(), "{from} {to}");
        }
    }
}
