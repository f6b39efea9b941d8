//! DPoP proofs of the client (RFC 9449 section 4.2).

use super::{ExchangeError, jwt};
use crate::{
    clock::Clock,
    fetch::{Origin, origin_of},
    jose::{Thumbprint, base64url},
    locks, random,
    signing::{LocalSigner, Signer},
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Mutex};

pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The most servers whose nonces are remembered.
const MAX_SERVERS: usize = 256;
/// The longest nonce in bytes.
const MAX_NONCE_BYTES: usize = 1024;

/// A key that signs proofs, and the nonces of the servers that check the proofs.
pub(super) struct Prover {
    signer: Signer,
    /// The encoded header of each proof, with the public key.
    header: String,
    thumbprint: Thumbprint,
    nonces: Mutex<HashMap<Origin, String>>,
}

impl Prover {
    pub(super) fn new(key: LocalSigner) -> Option<Self> {
        let jwk = public_jwk(&key)?;
        let thumbprint = Thumbprint::of_jwk(&jwk)?;
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm().as_str(), "jwk": jwk });
        Some(Self { header: jwt::header(&header), signer: key.into(), thumbprint, nonces: Mutex::default() })
    }

    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// A proof for one request to this URI, with the token that the request has in `Authorization`.
    pub(super) async fn proof(
        &self,
        method: &str,
        uri: &Uri,
        token: Option<&str>,
        clock: &Clock,
    ) -> Result<HeaderValue, ExchangeError> {
        let unusable = || ExchangeError::InvalidRequest("a DPoP proof needs a URI with scheme and host".to_owned());
        let origin = origin_of(uri).ok_or_else(unusable)?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(unusable)?;
        let jti: String = random::unique_id().ok_or_else(jwt::no_randomness)?;
        // Without query and fragment (RFC 9449 section 4.2).
        let htu = format!("{scheme}://{authority}{}", uri.path());
        let mut claims = json!({ "jti": jti, "htm": method, "htu": htu, "iat": clock.seconds() });
        if let Some(nonce) = locks::lock(&self.nonces).get(&origin) {
            claims["nonce"] = nonce.as_str().into();
        }
        if let Some(token) = token {
            claims["ath"] = base64url(digest(&SHA256, token.as_bytes()).as_ref()).into();
        }
        let proof = jwt::sign(&self.signer, &self.header, &claims).await?;
        let mut value = HeaderValue::from_str(proof.expose()).map_err(|_| unusable())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Remembers the nonce in an answer of a server for the next proofs. Returns whether there was one.
    pub(super) fn note_nonce(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let nonce = headers.get(DPOP_NONCE).and_then(|value| value.to_str().ok());
        let nonce = nonce.filter(|nonce| !nonce.is_empty() && nonce.len() <= MAX_NONCE_BYTES);
        let (Some(nonce), Some(origin)) = (nonce, origin_of(uri)) else { return false };
        let mut nonces = locks::lock(&self.nonces);
        if nonces.len() >= MAX_SERVERS && !nonces.contains_key(&origin) {
            // A forgotten nonce costs one more request.
            nonces.clear();
        }
        nonces.insert(origin, nonce.to_owned());
        true
    }
}

/// The public key of a signer, without the members that do not belong to the key.
fn public_jwk(key: &LocalSigner) -> Option<Map<String, Value>> {
    let mut jwk = key.published_keys().keys().first()?.clone();
    for member in ["kid", "alg", "use"] {
        jwk.remove(member);
    }
    Some(jwk)
}
