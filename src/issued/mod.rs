//! Introspection and revocation of the tokens that the layer issued.

mod introspection;
mod revocation;
mod revoked_text;
mod search;

pub(crate) use revoked_text::LONGEST;

use crate::{
    audit::{Attempt, Operation},
    client_auth::{Authenticator, ClaimedClient, authenticate},
    exchange::Exchange,
    jose::{Claims, ClientVerifier, Compact, KeyMatch, KeySet, KeyUse, RawHeader},
    limits::Budgets,
    protocol::{ClientId, Identification, NumericDate, Rejection, Sender, form_values},
    records::Registry,
    settings::Settings,
    status::RevocationCheck,
};
use bytes::Bytes;
use http::Response;
use std::borrow::Cow;

/// The most parameters `token` of a form that the layer reads. A correct form has one such parameter.
const MAX_TOKENS: usize = 4;

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

    /// What a request at the endpoint asks for.
    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::Introspection => Operation::Introspection,
            Self::Revocation => Operation::Revocation,
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
    signatures: ClientVerifier<'a>,
    revocations: Option<&'a RevocationCheck>,
}

/// A token that the layer issued. The token may have expired or may be revoked.
pub(crate) struct IssuedToken {
    typ: Option<Cow<'static, str>>,
    key_id: Option<String>,
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
            // A token is looked for before the client is authenticated.
            signatures: exchange.verifier.signatures.for_client(None),
            revocations: exchange.status.revocations.as_ref(),
        }
    }

    /// Returns the token in a form if the layer issued the token.
    pub(crate) fn find(&self, form: &[u8]) -> Option<IssuedToken> {
        form_values(form, "token").take(MAX_TOKENS).find_map(|token| self.verify(token.expose()))
    }

    fn verify(&self, token: &str) -> Option<IssuedToken> {
        let jws = Compact::parse(token)?;
        let header = RawHeader::parse(jws.header())?.check().ok()?;
        let signature = self.signatures.check(&header, &jws, KeyUse::Signature);
        if header.kid.is_none() || signature.with_keys(self.keys) != KeyMatch::Verified {
            return None;
        }
        let claims = Claims::from_json(jws.payload()).ok()?;
        let is_own = claims.text("iss").ok()? == Some(self.registry.own_issuer().as_str());
        is_own.then_some(IssuedToken { typ: header.typ, key_id: header.kid, claims })
    }

    /// Answers a request for an issued token.
    pub(crate) async fn answer(
        &self,
        attempt: &mut Attempt,
        endpoint: IssuedTokenEndpoint,
        token: &IssuedToken,
        sender: Sender<'_>,
        form: &[u8],
    ) -> Result<Response<Bytes>, Rejection> {
        self.settings.in_time(self.answer_in_any_time(attempt, endpoint, token, sender, form)).await
    }

    async fn answer_in_any_time(
        &self,
        attempt: &mut Attempt,
        endpoint: IssuedTokenEndpoint,
        token: &IssuedToken,
        sender: Sender<'_>,
        form: &[u8],
    ) -> Result<Response<Bytes>, Rejection> {
        attempt.asked_about(token.jti());
        self.limits.admit_peer(sender.address)?;
        let claimed = ClaimedClient::read(Identification::read(sender, form)?);
        attempt.claimed(&claimed);
        let (client_id, method) = authenticate(self.authenticator, self.limits, &claimed).await?;
        attempt.client_is(&client_id, method);
        attempt.token_belongs_to(token.text("client_id"), token.text("sub"), token.expires_at());
        match endpoint {
            IssuedTokenEndpoint::Introspection => {
                self.limits.admit_introspection(&client_id)?;
                self.introspect(attempt, &client_id, token).await
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
        self.text("jti")
    }

    fn text(&self, claim: &'static str) -> Option<&str> {
        self.claims.text(claim).ok().flatten()
    }

    /// Whether the token was issued to this client.
    fn is_held_by(&self, client_id: &ClientId) -> bool {
        self.text("client_id") == Some(client_id.as_str())
    }
}
