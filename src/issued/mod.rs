//! What becomes of the tokens that were issued here: introspection and revocation.

use crate::{
    client_auth::{Authenticator, authenticate},
    exchange::Exchange,
    jose::{Claims, Compact, KeyMatch, KeySet, KeyUse, RawHeader},
    protocol::{Identification, NumericDate, Reason, Rejection, error_response, form_values, json_response, refuse},
    records::Registry,
    revocation::{RevocationPart, is_revoked, revoke},
    settings::Settings,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

/// A form has one token. Of one with more, so many are looked at.
const MAX_TOKENS: usize = 4;
/// The target of what is logged.
const LOG: &str = "token_exchange::issued_tokens";

/// What can be done with a token after it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IssuedTokenEndpoint {
    /// To find out what it is (RFC 7662).
    Introspection,
    /// To say that it is good no more (RFC 7009).
    Revocation,
}

impl IssuedTokenEndpoint {
    /// The builder's method for its endpoint.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Introspection => "introspection_endpoint",
            Self::Revocation => "revocation_endpoint",
        }
    }
}

/// The tokens that were issued here, as the parts of an [`Exchange`] know them.
#[derive(Clone, Copy)]
pub(crate) struct IssuedTokens<'a> {
    registry: &'a Registry,
    settings: &'a Settings,
    authenticator: &'a Authenticator,
    /// The signer's: what they verify, and names this authorization server, was issued here.
    keys: &'a KeySet,
    revocations: Option<&'a RevocationPart>,
}

/// A token that was issued here. It may have expired since, or have been revoked.
pub(crate) struct IssuedToken {
    typ: Option<String>,
    claims: Claims,
}

impl<'a> IssuedTokens<'a> {
    pub(crate) fn new(exchange: &'a Exchange) -> Self {
        Self {
            registry: &exchange.registry,
            settings: &exchange.settings,
            authenticator: &exchange.authenticator,
            keys: &exchange.signer.keys,
            revocations: exchange.status.revocations.as_ref(),
        }
    }

    /// The token in a form, if it was issued here.
    pub(crate) fn find(&self, form: &[u8]) -> Option<IssuedToken> {
        form_values(form, "token").take(MAX_TOKENS).find_map(|token| self.read(&token))
    }

    fn read(&self, token: &str) -> Option<IssuedToken> {
        let jws = Compact::parse(token)?;
        let header = RawHeader::parse(&jws.header)?.judged().ok()?;
        if header.kid.is_none() || self.keys.verify(&header, &jws, KeyUse::Signature) != KeyMatch::Verified {
            return None;
        }
        let claims = Claims::from_json(&jws.payload).ok()?;
        let ours = claims.text("iss").ok()? == Some(self.registry.own_issuer());
        ours.then_some(IssuedToken { typ: header.typ, claims })
    }

    /// Answers a client that asks about this token.
    pub(crate) async fn answer(
        &self,
        about: IssuedTokenEndpoint,
        token: &IssuedToken,
        headers: &HeaderMap,
        form: &[u8],
    ) -> Response<Bytes> {
        let answer = self.settings.in_time(self.try_answer(about, token, headers, form)).await;
        answer.unwrap_or_else(|rejection| error_response(&rejection))
    }

    /// Answers a client whose form could not be read.
    pub(crate) fn refuse(&self, reason: Reason) -> Response<Bytes> {
        error_response(&self.settings.refuse(reason))
    }

    async fn try_answer(
        &self,
        about: IssuedTokenEndpoint,
        token: &IssuedToken,
        headers: &HeaderMap,
        form: &[u8],
    ) -> Result<Response<Bytes>, Rejection> {
        let identification = Identification::read(headers, form)?;
        let (client_id, _) = authenticate(self.authenticator, &identification).await?;
        match about {
            IssuedTokenEndpoint::Introspection => {
                Ok(json_response(StatusCode::OK, &self.introspect(client_id.as_str(), token).await?))
            }
            IssuedTokenEndpoint::Revocation => {
                self.revoke(client_id.as_str(), token).await?;
                let mut response = Response::new(Bytes::new());
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                Ok(response)
            }
        }
    }

    /// What the token says, or that it is not active: also to whom it does not concern (RFC 7662 section 2.2).
    async fn introspect(&self, client_id: &str, token: &IssuedToken) -> Result<Value, Rejection> {
        let inactive = json!({ "active": false });
        let jti = token.claims.text("jti").ok().flatten();
        let active = self.concerns(client_id, token)
            && token.expires_at() > self.settings.clock.seconds()
            && !self.is_revoked(jti).await?;
        tracing::debug!(target: LOG, client_id, jti, active, "a token issued here was introspected");
        if !active {
            return Ok(inactive);
        }
        let is_bearer = token.typ.as_deref() == Some("at+jwt");
        let token_type = if is_bearer { "Bearer" } else { "N_A" };
        let mut answer = Map::from_iter([("active".into(), true.into()), ("token_type".into(), token_type.into())]);
        // All of its claims were chosen here, one by one, when it was issued.
        answer.extend(token.claims.members().clone());
        Ok(Value::Object(answer))
    }

    /// Whether it is for the client to know: the one that holds it, and the owner of a target that it is for.
    fn concerns(&self, client_id: &str, token: &IssuedToken) -> bool {
        let owns = |aud: &str| {
            self.registry.target_by_aud(aud).is_some_and(|target| target.owner.as_deref() == Some(client_id))
        };
        let audience = token.claims.audience().unwrap_or_default();
        self.registry.client(client_id).is_some() && (token.is_held_by(client_id) || audience.into_iter().any(owns))
    }

    async fn is_revoked(&self, jti: Option<&str>) -> Result<bool, Rejection> {
        match (self.revocations, jti) {
            (Some(revocations), Some(jti)) => is_revoked(revocations, jti).await,
            _ => Ok(false),
        }
    }

    async fn revoke(&self, client_id: &str, token: &IssuedToken) -> Result<(), Rejection> {
        let (Some(revocations), Ok(Some(jti))) = (self.revocations, token.claims.text("jti")) else {
            return Err(refuse(Reason::RevocationsUnavailable).because("there is no store"));
        };
        if !token.is_held_by(client_id) {
            tracing::warn!(target: LOG, client_id, jti, "a token of another client was to be revoked");
            return Err(refuse(Reason::TokenNotHeld).because(format_args!("client `{client_id}`, jti `{jti}`")));
        }
        let expires_at = NumericDate::from_seconds(token.expires_at());
        revoke(revocations, jti, self.settings.clock.now().into(), expires_at).await?;
        tracing::info!(target: LOG, client_id, jti, "a token issued here was revoked");
        Ok(())
    }
}

impl IssuedToken {
    fn expires_at(&self) -> u64 {
        self.claims.seconds("exp").ok().flatten().unwrap_or(0)
    }

    fn is_held_by(&self, client_id: &str) -> bool {
        self.claims.text("client_id") == Ok(Some(client_id))
    }
}
