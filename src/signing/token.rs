use super::{
    Signer,
    claims::{self, IssuedClaims, Stamp, TokenContents},
};
use crate::{
    clock::Clock,
    protocol::{KeyId, NumericDate, Reason, Rejection, Sensitive, TokenId, refuse},
    random,
};
use data_encoding::BASE64URL_NOPAD;
use std::time::Duration;

/// The bytes of most payloads. A larger payload needs more than one allocation.
const USUAL_PAYLOAD: usize = 512;
/// The characters of the dots and of a signature for P-256, for P-384 or for Ed25519.
const USUAL_SIGNATURE: usize = 130;

/// A token with a signature, and the facts that were added when the token was signed.
#[derive(Debug)]
pub(crate) struct SignedToken {
    pub(crate) token: Sensitive,
    pub(crate) jti: TokenId,
    pub(crate) key_id: KeyId,
    pub(crate) expires_at: NumericDate,
    /// The remaining lifetime; at least 1 s.
    pub(crate) expires_in: Duration,
}

impl SignedToken {
    /// Signs a token with these contents.
    pub(crate) async fn sign(contents: &TokenContents<'_>, signer: &Signer, clock: &Clock) -> Result<Self, Rejection> {
        let issued_at = NumericDate::from(clock.now());
        let expires_at = contents.grant.expires_at(issued_at);
        let jti: TokenId = random::unique_id()
            .ok_or_else(|| refuse(Reason::SignerUnavailable).with_detail("the system has no randomness"))?;
        let stamp = Stamp { issued_at, expires_at, jti: &jti };
        let header = signer.header(claims::typ(contents.token_type, contents.targets));
        let mut token = unsigned(header, &IssuedClaims { contents, stamp: &stamp });
        let signature = signer.sign(&token).await?;
        // If the text moves to get room for the signature, the copy that stays behind has no signature.
        token.reserve(1 + BASE64URL_NOPAD.encode_len(signature.as_bytes().len()));
        token.push('.');
        BASE64URL_NOPAD.encode_append(signature.as_bytes(), &mut token);

        // The received tokens may have expired while the policy and the signer were working.
        let expires_in = expires_at.saturating_since(issued_at.max(clock.now().into()));
        if expires_in.is_zero() {
            return Err(refuse(Reason::TokenExpired).with_detail("the token expired during the exchange"));
        }
        let key_id = signer.key_id().clone();
        Ok(Self { token: Sensitive::new(token), jti, key_id, expires_at, expires_in })
    }
}

/// The first two segments of a token, with room for a signature.
fn unsigned(header: &str, claims: &IssuedClaims<'_>) -> String {
    let mut payload = Vec::with_capacity(USUAL_PAYLOAD);
    // Writing claims to memory cannot fail.
    let _ = serde_json::to_writer(&mut payload, claims);
    let length = header.len() + BASE64URL_NOPAD.encode_len(payload.len());
    let mut token = String::with_capacity(length + USUAL_SIGNATURE);
    token.push_str(header);
    token.push('.');
    BASE64URL_NOPAD.encode_append(&payload, &mut token);
    token
}
