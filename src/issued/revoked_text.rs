use super::IssuedTokens;
use crate::{
    ancestry::name_of_text,
    jose::{Claims, Compact},
    protocol::NumericDate,
    revocation::{AncestryKey, Revocation, TokenName},
};
use std::time::Duration;

/// How long a revocation is remembered at most.
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

impl IssuedTokens<'_> {
    /// The revocation of any token: of an issued token, or of a token of another server.
    ///
    /// The revocation is remembered until the `exp` of a JWT, but for 31 days at most, and for `opaque` if the token is not a JWT.
    /// The signature of a token of another server is not checked: whoever has the text of a token has the token.
    pub(crate) fn revocation_of(&self, key: &AncestryKey, token: &str, opaque: Duration) -> Revocation {
        let now = self.settings.now();
        let latest = now + LONGEST;
        if let Some(issued) = self.verify(token)
            && let Some(jti) = issued.jti()
        {
            return Revocation::of_token(key.token(TokenName::Jti(jti)), issued.expires_at());
        }
        let until = expiry_of(token).map_or(now + opaque, |expires_at| expires_at.min(latest));
        Revocation::of_token(key.token(name_of_text(token)), until)
    }
}

fn expiry_of(token: &str) -> Option<NumericDate> {
    let claims = Claims::from_json(Compact::parse(token)?.payload()).ok()?;
    Some(NumericDate::from_seconds(claims.seconds("exp").ok()??))
}
