use crate::{
    jose::{Algorithm, KeySet},
    metadata::{DocumentError, add_keys},
};
use serde::Serialize;
use serde_json::{Map, Value};

/// Public keys as a key set document (RFC 7517 section 5), to be served at a `jwks_uri`.
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, LocalSigner};
///
/// let (new, old) = (LocalSigner::generate(Algorithm::ES256)?, LocalSigner::generate(Algorithm::EdDSA)?);
/// let keys = new.published_keys().and(old.published_keys());
/// assert_eq!(keys.key_set().len(), 2);
/// # Ok::<(), tower_token_exchange::signing::KeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PublishedKeys {
    keys: Vec<Map<String, Value>>,
}

impl PublishedKeys {
    pub(super) fn one(key: &Map<String, Value>, kid: &str, algorithm: Algorithm) -> Self {
        let mut jwk = key.clone();
        jwk.insert("kid".into(), kid.into());
        jwk.insert("alg".into(), algorithm.as_str().into());
        jwk.insert("use".into(), "sig".into());
        Self { keys: vec![jwk] }
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> &[Map<String, Value>] {
        &self.keys
    }

    /// These keys and those, each once: while one replaces the other, both must be published.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for key in other.keys {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        self
    }

    /// A `kid` that two of these keys have, which nobody could tell apart then.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// let (new, old) = (LocalSigner::generate(Algorithm::ES256)?, LocalSigner::generate(Algorithm::ES256)?);
    /// let keys = |old: LocalSigner| new.clone().with_key_id("2026").published_keys().and(old.published_keys());
    /// assert_eq!(keys(old.clone()).key_id_collision(), None);
    /// assert_eq!(keys(old.with_key_id("2026")).key_id_collision(), Some("2026"));
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    pub fn key_id_collision(&self) -> Option<&str> {
        let named = |key: &Map<String, Value>| key.get("kid").cloned();
        let twice =
            |(at, key): &(usize, &Map<String, Value>)| self.keys[..*at].iter().any(|other| named(other) == named(key));
        let (_, key) = self.keys.iter().enumerate().find(twice)?;
        key.get("kid")?.as_str()
    }

    /// The document. Serve it as `application/json`, whatever the query string.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Adds these keys to the key set of another server (RFC 7517 section 5). The keys of that server stay as they are, also
    /// keys of a kind that this crate does not know. A key that is in the key set already is not added again.
    ///
    /// # Errors
    /// [`DocumentError`], among them [`KeyIdCollision`](DocumentError::KeyIdCollision) if a different key has the same `kid`.
    pub fn add_to(&self, key_set: &[u8]) -> Result<Vec<u8>, DocumentError> {
        add_keys(key_set, &self.keys)
    }

    /// The same keys, to verify with.
    pub fn key_set(&self) -> KeySet {
        KeySet::from_json(self.to_json()).unwrap_or_else(|_| KeySet::empty())
    }
}
