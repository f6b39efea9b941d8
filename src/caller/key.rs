use super::tokens::Presented;
use crate::protocol::{Scope, TokenType, hash_secret, sha256_of_parts};

/// Everything in a request that carries authority. Two requests share a kept token only if all of these are the same.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Inputs<'a> {
    pub(super) subject: &'a Presented,
    pub(super) actor: Option<&'a Presented>,
    pub(super) audiences: &'a [String],
    pub(super) resources: &'a [String],
    pub(super) scope: Option<&'a Scope>,
    pub(super) requested_type: Option<&'a TokenType>,
}

/// The name of the place in the cache for a request: a hash. `Debug` is missing, because the hash tells whether two requests have
/// the same tokens.
pub(super) type Key = [u8; 32];

/// What is the same in all requests of a client: the token endpoint, the client, and the key of its proofs. A random number makes
/// the hashes useless outside of this client.
#[derive(Clone)]
pub(super) struct KeyMaker([u8; 32]);

impl KeyMaker {
    pub(super) fn new(random: &[u8], endpoint: &str, method: &str, client_id: &str, proof_key: Option<&[u8]>) -> Self {
        let [has_key, key] = optional(proof_key);
        Self(hash(&[random, endpoint.as_bytes(), method.as_bytes(), client_id.as_bytes(), has_key, key]))
    }

    /// The key of a request. Parts that can be absent or repeated are counted, so each list of parts has one meaning.
    pub(super) fn key(&self, inputs: &Inputs<'_>) -> Key {
        let [audiences, resources] =
            [inputs.audiences, inputs.resources].map(|names| (names.len() as u64).to_be_bytes());
        let [has_actor, actor] = optional(inputs.actor.map(|actor| actor.text.expose().as_bytes()));
        let actor_type = inputs.actor.map_or(&[][..], |actor| actor.token_type.as_str().as_bytes());
        let [has_scope, scope] = optional(inputs.scope.map(|scope| scope.as_text().as_bytes()));
        let [has_type, requested_type] = optional(inputs.requested_type.map(|kind| kind.as_str().as_bytes()));
        let mut parts = Vec::with_capacity(12 + inputs.audiences.len() + inputs.resources.len());
        parts.extend([&self.0[..], inputs.subject.text.expose().as_bytes()]);
        parts.extend([inputs.subject.token_type.as_str().as_bytes(), has_actor, actor, actor_type]);
        parts.extend([has_scope, scope, has_type, requested_type, &audiences]);
        parts.extend(inputs.audiences.iter().map(String::as_bytes));
        parts.push(&resources);
        parts.extend(inputs.resources.iter().map(String::as_bytes));
        hash(&parts)
    }

    /// The name of a subject token, by which all entries of the token are found.
    pub(super) fn subject(&self, subject: &Presented) -> [u8; 32] {
        hash(&[&self.0, subject.text.expose().as_bytes()])
    }
}

/// Whether there is a part, and the part.
fn optional(part: Option<&[u8]>) -> [&[u8]; 2] {
    match part {
        Some(part) => [&[1], part],
        None => [&[0], &[]],
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    hash_secret(|parts| sha256_of_parts(parts.iter().copied()), parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tokens::SubjectToken;

    /// The property for the inputs of one client is in the integration tests.
    #[test]
    fn clients_that_differ_never_share_a_key() {
        let subject = SubjectToken::from("subject");
        let inputs = Inputs {
            subject: subject.presented(),
            actor: None,
            audiences: &[],
            resources: &[],
            scope: None,
            requested_type: None,
        };
        let key = |random: &[u8], endpoint, method, client_id, proof_key: Option<&[u8]>| {
            KeyMaker::new(random, endpoint, method, client_id, proof_key).key(&inputs)
        };
        let keys = [
            key(b"r", "e", "m", "c", None),
            key(b"s", "e", "m", "c", None),
            key(b"r", "e2", "m", "c", None),
            key(b"r", "e", "m2", "c", None),
            key(b"r", "e", "m", "c2", None),
            key(b"r", "e", "mc", "", None),
            key(b"r", "em", "", "c", None),
            key(b"r", "e", "m", "c", Some(b"")),
            key(b"r", "e", "m", "c", Some(b"k")),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
        assert_eq!(keys[0], key(b"r", "e", "m", "c", None));
    }
}
