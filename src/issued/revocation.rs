use super::{IssuedToken, IssuedTokens};
use crate::{
    protocol::{ClientId, Reason, Rejection, refuse},
    revocation::{Revocation, TokenName},
};
use bytes::Bytes;
use http::{HeaderValue, Response, header};

impl IssuedTokens<'_> {
    /// Answers a revocation request (RFC 7009). Only the client to which the token was issued can revoke the token.
    pub(super) async fn revoke(&self, client_id: &ClientId, token: &IssuedToken) -> Result<Response<Bytes>, Rejection> {
        let (Some(revocations), Some(jti)) = (self.revocations, token.jti()) else {
            return Err(refuse(Reason::RevocationsUnavailable).with_detail("the layer has no revocation store"));
        };
        if !token.is_held_by(client_id) {
            let client_id = client_id.as_str();
            return Err(refuse(Reason::TokenNotHeld).with_detail(format_args!("client `{client_id}`, jti `{jti}`")));
        }
        let key = revocations.store.key().token(TokenName::Jti(jti));
        let revocation = Revocation::of_token(key, token.expires_at()).by(client_id);
        let stored = revocations.store.revoke(revocation, self.settings.now()).await;
        stored.map_err(|rejection| rejection.about("token", format_args!("jti `{jti}`")))?;
        let mut response = Response::new(Bytes::new());
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
