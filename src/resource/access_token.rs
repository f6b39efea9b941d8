use super::AccessRefusal;
use crate::{
    authority::ActChain,
    protocol::{ClientId, IssuerId, NumericDate, Reason, Rejection, Scope, Sensitive, TokenId, is_name, refuse},
    records::Party,
    token::{Binding, Claims, Confirmation, VerifiedToken},
};
use std::{fmt, sync::Arc};

/// The verified access token of a request.
///
/// [`ResourceServerLayer`](super::ResourceServerLayer) puts the token into the extensions of the request. With the feature
/// `axum`, the token is an extractor too. A clone shares the token, so a clone is cheap. The `Debug` output has neither the
/// text of the token nor the values of its claims.
///
/// ```
/// use serde_json::json;
/// use tower_token_exchange::{resource::AccessToken, token::Claims};
///
/// let claims = Claims::from_iter([
///     ("iss", json!("https://as.example")),
///     ("sub", json!("alice")),
///     ("client_id", json!("orders")),
///     ("scope", json!("invoices:read")),
///     ("act", json!({ "sub": "orders", "act": { "sub": "web" } })),
///     ("exp", json!(1_800_000_600)),
/// ]);
/// let token = AccessToken::from_claims(claims)?;
/// assert_eq!(token.subject().sub, "alice");
/// assert_eq!(token.actor().map(|actor| actor.sub.as_str()), Some("orders"));
/// assert_eq!(token.earlier_actors()[0].sub, "web");
/// assert!(token.scope().contains("invoices:read"));
/// # Ok::<(), tower_token_exchange::resource::AccessRefusal>(())
/// ```
#[derive(Clone)]
pub struct AccessToken(Arc<Facts>);

struct Facts {
    subject: Party,
    subject_is_client: bool,
    client: Option<ClientId>,
    scope: Scope,
    audience: Vec<String>,
    actors: Vec<Party>,
    id: Option<TokenId>,
    expires_at: NumericDate,
    binding: Binding,
    claims: Claims,
    text: Option<Sensitive>,
}

impl AccessToken {
    pub(super) fn from_verified(token: VerifiedToken, text: Sensitive, max_actors: usize) -> Result<Self, Rejection> {
        let binding = match token.confirmation {
            Confirmation::Free => Binding::none(),
            Confirmation::Bound(binding) => binding,
            Confirmation::Unknown => return Err(refuse(Reason::TokenSenderConstrained)),
        };
        Ok(Self(Arc::new(Facts {
            subject: token.party(),
            subject_is_client: token.presenter_is_subject,
            actors: actors(&token.claims, &token.issuer.id, max_actors)?,
            id: token.claims.string("jti").map(Into::into),
            client: token.presenter.map(Into::into),
            scope: token.scope.unwrap_or_default(),
            audience: token.audience,
            expires_at: token.expires_at,
            binding,
            claims: token.claims,
            text: Some(text),
        })))
    }

    /// Creates a token from claims that the caller has verified, such as the claims in the test of a handler.
    ///
    /// The method reads the claims of RFC 9068 section 2.2. The method checks no signature, no audience and no time.
    ///
    /// # Errors
    /// [`AccessRefusal`] if the token has no `iss`, `sub` or `exp`, or if a claim is malformed.
    pub fn from_claims(claims: Claims) -> Result<Self, AccessRefusal> {
        Self::read(claims).map_err(AccessRefusal::new)
    }

    fn read(claims: Claims) -> Result<Self, Rejection> {
        let malformed = |claim: &str| refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}`"));
        let text = |claim: &'static str| claims.text(claim).map_err(|_| malformed(claim));
        let issuer: IssuerId = text("iss")?.ok_or_else(|| refuse(Reason::TokenIssuerMissing))?.into();
        let sub = text("sub")?.filter(|sub| is_name(sub)).ok_or_else(|| refuse(Reason::TokenSubjectInvalid))?;
        let client = text("client_id")?;
        let expires_at = claims.seconds("exp").map_err(|_| malformed("exp"))?;
        let binding = match Confirmation::read(claims.get("cnf")) {
            Confirmation::Free => Binding::none(),
            Confirmation::Bound(binding) => binding,
            Confirmation::Unknown => return Err(refuse(Reason::TokenSenderConstrained)),
        };
        let facts = Facts {
            subject_is_client: client == Some(sub),
            subject: Party::new(&issuer, sub),
            client: client.map(Into::into),
            scope: claims.scope().map_err(|_| malformed("scope"))?.unwrap_or_default(),
            audience: claims.audience().map_err(|_| malformed("aud"))?.map(str::to_owned).collect(),
            actors: actors(&claims, &issuer, usize::MAX)?,
            id: text("jti")?.map(Into::into),
            expires_at: NumericDate::from_seconds(expires_at.ok_or_else(|| refuse(Reason::TokenExpiryMissing))?),
            binding,
            text: None,
            claims: claims.clone(),
        };
        Ok(Self(Arc::new(facts)))
    }

    /// The party whose rights the token has, by the name that the issuer uses.
    pub fn subject(&self) -> &Party {
        &self.0.subject
    }

    /// The issuer of the token.
    pub fn issuer(&self) -> &IssuerId {
        &self.0.subject.iss
    }

    /// The client that the token was issued to, by the name that the issuer uses. `None` if the token names no client.
    pub fn client_id(&self) -> Option<&ClientId> {
        self.0.client.as_ref()
    }

    /// Returns whether the client acts for itself: no user is involved (RFC 6749 section 4.4).
    pub fn is_for_client_itself(&self) -> bool {
        self.0.subject_is_client
    }

    /// The scope. A token without a scope has the empty scope.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The receivers that the token names (`aud`). This resource server is one of them.
    pub fn audience(&self) -> &[String] {
        &self.0.audience
    }

    /// The current actor: the party that acts for the subject (the outermost `act`, RFC 8693 section 4.1). `None` if nobody acts
    /// for the subject, or if the token does not say who does.
    pub fn actor(&self) -> Option<&Party> {
        self.0.actors.first()
    }

    /// All actors, the current actor first.
    ///
    /// An actor without `iss` is a party of the issuer of the token.
    pub fn actors(&self) -> &[Party] {
        &self.0.actors
    }

    /// The earlier actors, the latest first. They are information about how the request came about, and must not decide about
    /// access by themselves (RFC 8693 section 4.1).
    pub fn earlier_actors(&self) -> &[Party] {
        self.0.actors.get(1..).unwrap_or_default()
    }

    /// The name of the token (`jti`).
    pub fn id(&self) -> Option<&TokenId> {
        self.0.id.as_ref()
    }

    /// The expiry time, rounded down to a second.
    pub fn expires_at(&self) -> NumericDate {
        self.0.expires_at
    }

    /// The key and the certificate that the token is bound to. The layer has checked that the sender possesses both.
    pub fn binding(&self) -> Binding {
        self.0.binding
    }

    /// The claim `acr`: how the subject logged in, as the issuer writes it.
    pub fn acr(&self) -> Option<&str> {
        self.0.claims.string("acr")
    }

    /// The claim `auth_time`: when the subject logged in. `None` if the claim is absent or malformed.
    pub fn auth_time(&self) -> Option<NumericDate> {
        self.0.claims.seconds("auth_time").ok().flatten().map(NumericDate::from_seconds)
    }

    /// All claims, as the issuer wrote them.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The text of the token, for example to exchange the token for a token of the next service. `None` if the token was made
    /// [from claims](Self::from_claims).
    ///
    /// Do not forward the token to another service. Whoever has a bearer token can use all of its rights.
    pub fn expose(&self) -> Option<&str> {
        self.0.text.as_ref().map(Sensitive::expose)
    }

    /// The client as a party of the issuer.
    pub(super) fn client(&self) -> Option<Party> {
        self.client_id().map(|client| Party::new(self.issuer(), client))
    }
}

/// The actors in the claim `act`, the current actor first.
fn actors(claims: &Claims, issuer: &IssuerId, max: usize) -> Result<Vec<Party>, Rejection> {
    let Some(act) = claims.get("act") else { return Ok(Vec::new()) };
    let chain = ActChain::from_claim(act, issuer)?;
    if chain.depth() > max {
        let detail = format!("{} actors, and `max_chain_depth` is {max}", chain.depth());
        return Err(refuse(Reason::ChainTooDeep).with_detail(detail));
    }
    Ok(chain.parties().cloned().collect())
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { subject, client, scope, actors, expires_at, .. } = &*self.0;
        f.debug_struct("AccessToken")
            .field("subject", subject)
            .field("client", client)
            .field("scope", scope)
            .field("actors", actors)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}
