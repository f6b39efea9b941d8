use crate::{
    jose::{Algorithm, KeySet},
    metadata::{DocumentError, add_keys},
    protocol::KeyId,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// Public keys as a key set document (RFC 7517 section 5), which a server publishes at its `jwks_uri`.
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
    pub(super) fn new(key: &Map<String, Value>, key_id: &KeyId, algorithm: Algorithm) -> Self {
        let mut jwk = key.clone();
        jwk.insert("kid".into(), key_id.as_str().into());
        jwk.insert("alg".into(), algorithm.as_str().into());
        jwk.insert("use".into(), "sig".into());
        Self { keys: vec![jwk] }
    }

    #[cfg(any(test, feature = "client"))]
    pub(crate) fn keys(&self) -> &[Map<String, Value>] {
        &self.keys
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds other keys. A key that is in the set already is not added again.
    ///
    /// While one key replaces another key, publish both keys, because verifiers cache the document.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for key in other.keys {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        self
    }

    /// Returns a `kid` that two different keys of the set have. A verifier could not tell such keys apart.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, KeyId, LocalSigner};
    ///
    /// let name = KeyId::try_from("2026")?;
    /// let (new, old) = (LocalSigner::generate(Algorithm::ES256)?, LocalSigner::generate(Algorithm::ES256)?);
    /// let new = new.with_key_id(name.clone());
    /// assert_eq!(new.published_keys().and(old.published_keys()).key_id_collision(), None);
    /// let old = old.with_key_id(name);
    /// assert_eq!(new.published_keys().and(old.published_keys()).key_id_collision(), Some("2026"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key_id_collision(&self) -> Option<&str> {
        let key_id = |key: &Map<String, Value>| key.get("kid").cloned();
        let is_repeated = |(position, key): &(usize, &Map<String, Value>)| {
            self.keys[..*position].iter().any(|other| key_id(other) == key_id(key))
        };
        let (_, key) = self.keys.iter().enumerate().find(is_repeated)?;
        key.get("kid")?.as_str()
    }

    /// The key set document. Serve the document as `application/json`.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Adds these keys to the key set of another server (RFC 7517 section 5). The keys of that server do not change, even if
    /// this crate does not know the kind of a key. A key that is in the key set already is not added again.
    ///
    /// # Errors
    /// [`DocumentError`], among them [`KeyIdCollision`](DocumentError::KeyIdCollision) if a different key has the same `kid`.
    pub fn add_to(&self, key_set: &[u8]) -> Result<Vec<u8>, DocumentError> {
        add_keys(key_set, &self.keys)
    }

    /// The keys as a set that verifies signatures.
    pub fn key_set(&self) -> KeySet {
        KeySet::from_jwks(&self.keys)
    }
}
