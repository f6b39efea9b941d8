use super::{
    Signer,
    claims::{self, Stamp},
};
use crate::{
    authority::Decided,
    clock::Clock,
    jose::base64url,
    protocol::{Answer, Reason, Rejection, Sensitive, refuse},
    random,
};
use serde_json::{Value, json};

/// What issuing needs.
#[derive(Clone)]
pub(crate) struct Issuance {
    pub(crate) own_issuer: String,
    pub(crate) signer: Signer,
    pub(crate) clock: Clock,
}

/// The last stage: a signed token. It is not out yet.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) decided: Decided,
    pub(crate) jti: String,
    pub(crate) key_id: String,
    pub(crate) expires_at: u64,
    token: Sensitive,
    expires_in: u64,
}

impl Issued {
    pub(crate) async fn by(issuance: &Issuance, decided: Decided) -> Result<Self, Rejection> {
        let Issuance { own_issuer, signer, clock } = issuance;
        let issued_at = clock.seconds();
        let expires_at = decided.within.expires_at(issued_at);
        let jti = random::unique_id().ok_or_else(|| refuse(Reason::SignerUnavailable).because("no randomness"))?;
        let stamp = Stamp { issued_at, expires_at, jti: &jti };
        let typ = claims::typ(&decided.bounded.admitted.issue_as);
        let header = json!({ "alg": signer.algorithm.as_str(), "kid": signer.key_id, "typ": typ });
        let payload = Value::Object(claims::build(&decided, own_issuer, &stamp));
        let segment = |json: &Value| base64url(json.to_string().as_bytes());
        let mut token = format!("{}.{}", segment(&header), segment(&payload));
        let signature = signer.sign(&token).await?;
        token.push('.');
        token.push_str(&base64url(&signature));

        // The policy and the signer took their time, and the tokens handed in went on ageing.
        let expires_in = expires_at.saturating_sub(clock.seconds().max(issued_at));
        if expires_in == 0 {
            return Err(refuse(Reason::TokenExpired).because("while it was being exchanged"));
        }
        let key_id = signer.key_id.clone();
        Ok(Self { decided, jti, key_id, expires_at, token: Sensitive::new(token), expires_in })
    }

    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer {
            access_token: self.token.expose(),
            issued_token_type: &self.decided.bounded.admitted.issue_as,
            expires_in: self.expires_in,
            scope: self.decided.within.scope(),
        }
    }
}
