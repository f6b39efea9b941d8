use super::{ClientMemo, Compact, Cryptography, Header, KeyMatch, KeySet, KeyUse, SignatureMemo, memo::TokenHash};
use crate::protocol::ClientId;
use std::sync::{Arc, OnceLock};

/// The part that verifies the signatures of received tokens.
#[derive(Clone)]
pub(crate) struct SignatureVerifier {
    cryptography: Cryptography,
    /// `None` if every signature is verified each time.
    memo: Option<Arc<SignatureMemo>>,
}

/// A [`SignatureVerifier`] in the hands of one client.
#[derive(Clone, Copy)]
pub(crate) struct ClientVerifier<'a> {
    cryptography: Cryptography,
    memo: Option<ClientMemo<'a>>,
}

/// The check of the signature of one token, with any number of key sets.
pub(crate) struct SignatureCheck<'a> {
    header: &'a Header,
    jws: &'a Compact<'a>,
    key_use: KeyUse,
    verifier: ClientVerifier<'a>,
    /// The hash of the token for the memo.
    hash: OnceLock<TokenHash>,
}

impl SignatureVerifier {
    pub(crate) fn new(cryptography: Cryptography, memo_entries: usize) -> Self {
        Self { cryptography, memo: SignatureMemo::new(memo_entries).map(Arc::new) }
    }

    pub(crate) fn cryptography(&self) -> Cryptography {
        self.cryptography
    }

    /// The verifier for the tokens of a client. `None` is a client that is not authenticated.
    pub(crate) fn for_client(&self, client: Option<&ClientId>) -> ClientVerifier<'_> {
        let memo = self.memo.as_ref().map(|memo| memo.for_client(client));
        ClientVerifier { cryptography: self.cryptography, memo }
    }
}

impl<'a> ClientVerifier<'a> {
    pub(crate) fn check(self, header: &'a Header, jws: &'a Compact<'a>, key_use: KeyUse) -> SignatureCheck<'a> {
        SignatureCheck { header, jws, key_use, verifier: self, hash: OnceLock::new() }
    }
}

impl SignatureCheck<'_> {
    /// Looks for the key that signed the token in a key set.
    ///
    /// The memo only takes the place of the arithmetic. A key has to be in the key set, and must fit the header.
    pub(crate) fn with_keys(&self, keys: &KeySet) -> KeyMatch {
        let Self { header, jws, key_use, verifier: ClientVerifier { cryptography, memo }, hash } = self;
        let Some(memo) = memo else { return keys.verify(header, jws, *key_use, *cryptography) };
        let candidates = || keys.candidates(header.algorithm, header.kid.as_deref(), *key_use);
        if candidates().next().is_none() {
            return KeyMatch::NoKey;
        }
        let hash = *hash.get_or_init(|| memo.hash(jws));
        if memo.key_of(hash).is_some_and(|known| candidates().any(|key| *key.fingerprint() == known)) {
            return KeyMatch::Verified;
        }
        let signed = jws.signing_input.as_bytes();
        match candidates().find(|key| key.verify(header.algorithm, signed, jws.signature(), *cryptography)) {
            Some(key) => {
                memo.remember(hash, *key.fingerprint());
                KeyMatch::Verified
            }
            None => KeyMatch::Mismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, PrivateKey, base64url};
    use serde_json::{Map, Value};

    /// A key, and its published form.
    fn key(kid: Option<&str>) -> (PrivateKey, Map<String, Value>) {
        let key = PrivateKey::generate(Cryptography::default(), Algorithm::ES256).unwrap();
        let mut jwk = key.public().clone();
        jwk.extend(kid.map(|kid| ("kid".to_owned(), kid.into())));
        (key, jwk)
    }

    fn signed(key: &PrivateKey, header: &str) -> String {
        let input = format!("{}.{}", base64url(header.as_bytes()), base64url(b"{}"));
        format!("{input}.{}", base64url(&key.sign(input.as_bytes()).unwrap()))
    }

    fn check(memo: Option<ClientMemo<'_>>, keys: &KeySet, key_use: KeyUse, token: &str) -> KeyMatch {
        let jws = Compact::parse(token).unwrap();
        let header = Header::parse(jws.header()).unwrap();
        ClientVerifier { cryptography: Cryptography::default(), memo }.check(&header, &jws, key_use).with_keys(keys)
    }

    const NAMED: &str = r#"{"alg":"ES256","kid":"a"}"#;

    #[test]
    fn a_known_signature_needs_no_arithmetic() {
        let memo = SignatureMemo::new(16).unwrap();
        let client = memo.for_client(None);
        let ((mine, jwk), (other, _)) = (key(Some("a")), key(None));
        let keys = KeySet::from_jwks(&[jwk]);
        // A signature that no arithmetic accepts, with an entry that says otherwise.
        let forged = signed(&other, NAMED);
        assert_eq!(check(Some(client), &keys, KeyUse::Signature, &forged), KeyMatch::Mismatch);
        client.remember(client.hash(&Compact::parse(&forged).unwrap()), fingerprint(&keys));
        assert_eq!(check(Some(client), &keys, KeyUse::Signature, &forged), KeyMatch::Verified);
        assert_eq!(check(None, &keys, KeyUse::Signature, &forged), KeyMatch::Mismatch);
        assert_eq!(check(None, &keys, KeyUse::Signature, &signed(&mine, NAMED)), KeyMatch::Verified);
    }

    fn fingerprint(keys: &KeySet) -> [u8; 32] {
        *keys.candidates(Algorithm::ES256, None, KeyUse::Signature).next().unwrap().fingerprint()
    }

    #[test]
    fn only_good_signatures_are_remembered() {
        let memo = SignatureMemo::new(16).unwrap();
        let client = memo.for_client(None);
        let ((mine, jwk), (other, _)) = (key(Some("a")), key(None));
        let keys = KeySet::from_jwks(&[jwk]);
        for (token, found, remembered) in [
            (signed(&mine, NAMED), KeyMatch::Verified, true),
            (signed(&other, NAMED), KeyMatch::Mismatch, false),
            (signed(&mine, r#"{"alg":"ES256","kid":"b"}"#), KeyMatch::NoKey, false),
            (signed(&mine, r#"{"alg":"ES384","kid":"a"}"#), KeyMatch::NoKey, false),
        ] {
            assert_eq!(check(Some(client), &keys, KeyUse::Signature, &token), found, "{token}");
            let known = client.key_of(client.hash(&Compact::parse(&token).unwrap()));
            assert_eq!(known, remembered.then(|| fingerprint(&keys)), "{token}");
        }
    }

    #[test]
    fn a_known_signature_still_needs_its_key() {
        let memo = SignatureMemo::new(16).unwrap();
        let client = memo.for_client(None);
        let ((mine, jwk), (_, namesake)) = (key(Some("a")), key(Some("a")));
        let token = signed(&mine, NAMED);
        let keys = KeySet::from_jwks(std::slice::from_ref(&jwk));
        assert_eq!(check(Some(client), &keys, KeyUse::Signature, &token), KeyMatch::Verified);
        let with = |member: &str, value: &str| {
            let mut changed = jwk.clone();
            changed.insert(member.to_owned(), value.into());
            changed
        };
        for (name, jwks, key_use, found) in [
            ("removed", vec![], KeyUse::Signature, KeyMatch::NoKey),
            ("another key with the name", vec![namesake.clone()], KeyUse::Signature, KeyMatch::Mismatch),
            ("another name", vec![with("kid", "b")], KeyUse::Signature, KeyMatch::NoKey),
            ("another use", vec![with("use", "jwt-svid")], KeyUse::Signature, KeyMatch::NoKey),
            ("another use of the token", vec![jwk.clone()], KeyUse::JwtSvid, KeyMatch::NoKey),
            ("one of two with the name", vec![namesake, jwk.clone()], KeyUse::Signature, KeyMatch::Verified),
        ] {
            let keys = KeySet::from_jwks(&jwks);
            assert_eq!(check(Some(client), &keys, key_use, &token), found, "{name}");
            assert_eq!(check(None, &keys, key_use, &token), found, "{name}, without memo");
        }
    }
}
