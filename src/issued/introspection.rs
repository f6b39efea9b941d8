use super::{IssuedToken, IssuedTokens};
use crate::{
    ancestry::{Lineage, PresentedToken},
    audit::Attempt,
    authority::ActChain,
    protocol::{ClientId, Detail, Reason, Rejection, json_response},
    records::Party,
    token::{Binding, Confirmation, Origin},
};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

impl IssuedTokens<'_> {
    /// Answers an introspection request (RFC 7662 section 2.2).
    ///
    /// A client that may not know the token gets the answer for a token that is not active.
    pub(super) async fn introspect(
        &self,
        attempt: &mut Attempt,
        client_id: &ClientId,
        token: &IssuedToken,
    ) -> Result<Response<Bytes>, Rejection> {
        let problem = if !self.may_introspect(client_id, token) {
            Some("the client may not know the token".to_owned())
        } else if token.expires_at() <= self.settings.clock.now().into() {
            Some("the token has expired".to_owned())
        } else {
            self.find_revocation(token).await?
        };
        attempt.introspected(problem.as_deref());
        let answer = if problem.is_none() { self.claims_of(token) } else { json!({ "active": false }) };
        Ok(json_response(StatusCode::OK, &answer))
    }

    /// Whether the token was issued to the client, or is for a target that the client serves.
    fn may_introspect(&self, client_id: &ClientId, token: &IssuedToken) -> bool {
        let serves =
            |aud: &str| self.registry.target_by_aud(aud).is_some_and(|target| target.owner.as_ref() == Some(client_id));
        let mut audience = token.claims.audience().into_iter().flatten();
        self.registry.client(client_id.as_str()).is_some() && (token.is_held_by(client_id) || audience.any(serves))
    }

    /// Says what was revoked, if the token or an ancestor of the token was revoked.
    async fn find_revocation(&self, token: &IssuedToken) -> Result<Option<String>, Rejection> {
        let Some(revocations) = self.revocations else { return Ok(None) };
        let own = self.registry.own_issuer();
        let presented = PresentedToken::issued(own, &token.claims, token.key_id.as_deref());
        let mut lineage = Lineage::of_token(&revocations.store, own, "token", &presented)?;
        let origin = Origin::read(self.registry, &token.claims, presented.sub, true)?;
        lineage.add_subject(origin.party.iter().chain([&Party::new(own, presented.sub)]));
        let actors = token.claims.get("act").map_or(Ok(ActChain::default()), |act| ActChain::from_claim(act, own))?;
        lineage.add_actors(self.registry.names_of(actors.parties().cloned()).iter());
        match revocations.check(lineage).await {
            Ok(_) => Ok(None),
            Err(refusal) => match refusal.reason() {
                Reason::TokenRevoked => Ok(Some("the token was revoked".to_owned())),
                reason @ (Reason::AncestorRevoked | Reason::TokenCutOff) => {
                    let detail = refusal.detail().map(Detail::in_clear).unwrap_or_default();
                    Ok(Some(format!("{reason}: {detail}")))
                }
                _ => Err(refusal),
            },
        }
    }

    fn claims_of(&self, token: &IssuedToken) -> Value {
        let is_access_token = match token.typ.as_deref() {
            Some("at+jwt") => true,
            // No client can request a `jwt` if access tokens can have this `typ`.
            Some("jwt") => self.registry.issues_plain_typ(),
            _ => false,
        };
        let binding = match Confirmation::read(token.claims.get("cnf")) {
            Confirmation::Bound(binding) => binding,
            Confirmation::Free | Confirmation::Unknown => Binding::none(),
        };
        let token_type = binding.token_type(is_access_token);
        let mut answer = Map::from_iter([("active".into(), true.into()), ("token_type".into(), token_type.into())]);
        // The layer chose every claim of the token when the layer issued the token, so no claim is secret.
        answer.extend(token.claims.to_members());
        Value::Object(answer)
    }
}
