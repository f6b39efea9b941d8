use super::{
    Signer,
    claims::{self, Stamp, TokenContents},
};
use crate::{
    clock::Clock,
    jose::base64url,
    protocol::{KeyId, NumericDate, Reason, Rejection, Sensitive, TokenId, refuse},
    random,
};
use serde_json::{Value, json};
use std::time::Duration;
use zeroize::Zeroizing;

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
        let jti = random::unique_id()
            .ok_or_else(|| refuse(Reason::SignerUnavailable).with_detail("the system has no randomness"))?;
        let stamp = Stamp { issued_at, expires_at, jti: &jti };
        let typ = claims::typ(contents.token_type, contents.targets);
        let header = json!({ "alg": signer.algorithm().as_str(), "kid": signer.key_id(), "typ": typ });
        let payload = Value::Object(claims::build(contents, &stamp));
        let segment = |json: &Value| base64url(json.to_string().as_bytes());
        let input = format!("{}.{}", segment(&header), segment(&payload));
        let signature = Zeroizing::new(base64url(signer.sign(&input).await?.as_bytes()));
        let token = [&input, ".", &signature].concat();

        // The received tokens may have expired while the policy and the signer were working.
        let expires_in = expires_at.saturating_since(issued_at.max(clock.now().into()));
        if expires_in.is_zero() {
            return Err(refuse(Reason::TokenExpired).with_detail("the token expired during the exchange"));
        }
        let key_id = signer.key_id().clone();
        Ok(Self { token: Sensitive::new(token), jti: jti.into(), key_id, expires_at, expires_in })
    }
}
