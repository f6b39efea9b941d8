use super::{
    Signer,
    claims::{self, Stamp},
};
use crate::{
    authority::{EffectiveGrant, Login},
    clock::Clock,
    jose::base64url,
    protocol::{ClientId, IssuerId, KeyId, NumericDate, Reason, Rejection, Sensitive, TokenId, TokenType, refuse},
    random,
    records::TargetRecord,
    token::VerifiedToken,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The facts that an issued token states.
#[derive(Clone, Copy)]
pub(crate) struct TokenContents<'a> {
    /// The issuer identifier of this authorization server.
    pub(crate) issuer: &'a IssuerId,
    pub(crate) sub: &'a str,
    pub(crate) client_id: &'a ClientId,
    pub(crate) targets: &'a [Arc<TargetRecord>],
    pub(crate) grant: &'a EffectiveGrant,
    pub(crate) login: &'a Login,
    /// The subject token, from which listed claims are copied.
    pub(crate) subject: &'a VerifiedToken,
    pub(crate) token_type: &'a TokenType,
}

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
        let typ = claims::typ(contents.token_type);
        let header = json!({ "alg": signer.algorithm().as_str(), "kid": signer.key_id(), "typ": typ });
        let payload = Value::Object(claims::build(contents, &stamp));
        let segment = |json: &Value| base64url(json.to_string().as_bytes());
        let mut token = format!("{}.{}", segment(&header), segment(&payload));
        let signature = signer.sign(&token).await?;
        token.push('.');
        token.push_str(&base64url(signature.as_bytes()));

        // The received tokens may have expired while the policy and the signer were working.
        let expires_in = expires_at.saturating_since(issued_at.max(clock.now().into()));
        if expires_in.is_zero() {
            return Err(refuse(Reason::TokenExpired).with_detail("the token expired during the exchange"));
        }
        let key_id = signer.key_id().clone();
        Ok(Self { token: Sensitive::new(token), jti: jti.into(), key_id, expires_at, expires_in })
    }
}
