//! Introspection and revocation of the tokens that the layer issued.

mod introspection;
mod revocation;
mod search;

use crate::{
    client_auth::{Authenticator, authenticate},
    exchange::Exchange,
    jose::{Claims, Compact, KeyMatch, KeySet, KeyUse, RawHeader},
    limits::Budgets,
    protocol::{ClientId, Identification, NumericDate, Reason, Rejection, Sender, error_response, form_values},
    records::Registry,
    revocation::RevocationPart,
    settings::Settings,
};
use bytes::Bytes;
use http::Response;

/// The most parameters `token` of a form that the layer reads. A correct form has one such parameter.
const MAX_TOKENS: usize = 4;
/// The target of the log lines of this module.
const LOG: &str = "token_exchange::issued_tokens";

/// An endpoint for issued tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IssuedTokenEndpoint {
    /// The introspection endpoint (RFC 7662).
    Introspection,
    /// The revocation endpoint (RFC 7009).
    Revocation,
}

impl IssuedTokenEndpoint {
    /// The method of the builder that sets the endpoint.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Introspection => "introspection_endpoint",
            Self::Revocation => "revocation_endpoint",
        }
    }
}

/// The parts of an [`Exchange`] that introspection and revocation need.
#[derive(Clone, Copy)]
pub(crate) struct IssuedTokens<'a> {
    registry: &'a Registry,
    settings: &'a Settings,
    limits: &'a Budgets,
    authenticator: &'a Authenticator,
    /// The keys of the signer. A token that verifies with these keys and names this authorization server was issued here.
    keys: &'a KeySet,
    revocations: Option<&'a RevocationPart>,
}

/// A token that the layer issued. The token may have expired or may be revoked.
pub(crate) struct IssuedToken {
    typ: Option<String>,
    claims: Claims,
}

impl<'a> IssuedTokens<'a> {
    pub(crate) fn new(exchange: &'a Exchange) -> Self {
        Self {
            registry: &exchange.registry,
            settings: &exchange.settings,
            limits: &exchange.limits,
            authenticator: &exchange.authenticator,
            keys: exchange.signer.keys(),
            revocations: exchange.status.revocations.as_ref(),
        }
    }

    /// Returns the token in a form if the layer issued the token.
    pub(crate) fn find(&self, form: &[u8]) -> Option<IssuedToken> {
        form_values(form, "token").take(MAX_TOKENS).find_map(|token| self.verify(token.expose()))
    }

    fn verify(&self, token: &str) -> Option<IssuedToken> {
        let jws = Compact::parse(token)?;
        let header = RawHeader::parse(&jws.header)?.check().ok()?;
        if header.kid.is_none() || self.keys.verify(&header, &jws, KeyUse::Signature) != KeyMatch::Verified {
            return None;
        }
        let claims = Claims::from_json(&jws.payload).ok()?;
        let is_own = claims.text("iss").ok()? == Some(self.registry.own_issuer().as_str());
        is_own.then_some(IssuedToken { typ: header.typ, claims })
    }

    /// Answers a request for an issued token.
    pub(crate) async fn answer(
        &self,
        endpoint: IssuedTokenEndpoint,
        token: &IssuedToken,
        sender: Sender<'_>,
        form: &[u8],
    ) -> Response<Bytes> {
        let answer = self.settings.in_time(self.try_answer(endpoint, token, sender, form)).await;
        answer.unwrap_or_else(|rejection| error_response(&rejection))
    }

    /// Refuses a request that the layer cannot answer, and that the wrapped service must not answer.
    pub(crate) fn refuse(&self, reason: Reason) -> Response<Bytes> {
        tracing::warn!(target: LOG, reason = reason.code(), "a request for introspection or revocation was refused");
        error_response(&self.settings.refuse(reason))
    }

    async fn try_answer(
        &self,
        endpoint: IssuedTokenEndpoint,
        token: &IssuedToken,
        sender: Sender<'_>,
        form: &[u8],
    ) -> Result<Response<Bytes>, Rejection> {
        self.limits.admit_peer(sender.address)?;
        let identification = Identification::read(sender, form)?;
        let (client_id, _) = authenticate(self.authenticator, self.limits, &identification).await?;
        match endpoint {
            IssuedTokenEndpoint::Introspection => {
                self.limits.admit_introspection(&client_id)?;
                self.introspect(&client_id, token).await
            }
            IssuedTokenEndpoint::Revocation => {
                self.limits.admit_revocation(&client_id)?;
                self.revoke(&client_id, token).await
            }
        }
    }
}

impl IssuedToken {
    /// The expiry time. A token without a valid `exp` has expired.
    fn expires_at(&self) -> NumericDate {
        NumericDate::from_seconds(self.claims.seconds("exp").ok().flatten().unwrap_or(0))
    }

    fn jti(&self) -> Option<&str> {
        self.claims.text("jti").ok().flatten()
    }

    /// Whether the token was issued to this client.
    fn is_held_by(&self, client_id: &ClientId) -> bool {
        self.claims.text("client_id") == Ok(Some(client_id.as_str()))
    }
}
