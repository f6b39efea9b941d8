use super::{
    Introspector, TokenRole, TokenVerifierPart, VerifiedToken,
    jwt::Jwt,
    plugged::{self, TokenToVerify},
    rules::{self, Typ},
};
use crate::{
    jose::{Claims, Invalid},
    jwks::TrustedKeys,
    protocol::{DeclaredToken, Reason, Rejection, TokenType, refuse},
    records::{IssuerId, IssuerRecord, Registry},
    settings::Settings,
};
use std::{collections::HashMap, sync::Arc};

/// Finds out whether a token is good: who vouches for what it says, and then whether that will do.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) registry: Arc<Registry>,
    pub(crate) keys: TrustedKeys,
    /// By the token type that they were registered for.
    pub(crate) plugged: HashMap<TokenType, TokenVerifierPart>,
    /// By the issuer that they ask.
    pub(crate) introspectors: HashMap<IssuerId, Introspector>,
    pub(crate) settings: Arc<Settings>,
}

/// What a token says, and that its issuer says so.
struct Vouched {
    issuer: Arc<IssuerRecord>,
    typ: Typ,
    claims: Claims,
}

impl Verifier {
    pub(crate) async fn verify(&self, declared: &DeclaredToken, role: TokenRole) -> Result<VerifiedToken, Rejection> {
        let vouched = self.vouched(declared, role).await?;
        self.judged(vouched, &declared.token_type, role)
    }

    /// Whoever was registered for the type, else the issuer's signature, else the issuer's own word.
    async fn vouched(&self, declared: &DeclaredToken, role: TokenRole) -> Result<Vouched, Rejection> {
        let DeclaredToken { token, token_type } = declared;
        if let Some(verifier) = self.plugged.get(token_type) {
            let question = TokenToVerify::new(token.expose(), token_type.clone(), role);
            let claims = plugged::claims_by(verifier, question).await?;
            let issuer = self.issuer(&claims, token_type, role)?;
            return Ok(Vouched { issuer, typ: Typ::None, claims });
        }
        let Some(jwt) = Jwt::read(token.expose()) else {
            let opaque = || refuse(Reason::TokenMalformed).with_detail("not a JWT, and no issuer to ask what it is");
            let issuer = self.introspected(token_type).ok_or_else(opaque)?;
            return self.introspect(issuer, declared, role).await;
        };
        let claims = jwt.claims()?;
        let issuer = self.issuer(&claims, token_type, role)?;
        if issuer.keys.is_none() && self.introspectors.contains_key(&issuer.id) && !self.registry.is_own(&issuer.id) {
            let typ = Typ::Header(jwt.typ()?);
            let vouched = self.introspect(&issuer, declared, role).await?;
            return Ok(Vouched { typ, ..vouched });
        }
        let header = jwt.header()?;
        jwt.check(&header, &issuer, &self.keys).await?;
        if issuer.introspection.as_ref().is_some_and(|introspection| introspection.every_token) {
            let answer = self.introspect(&issuer, declared, role).await?;
            // The answer alone may know of a key that the token is bound to (RFC 8705 section 3.2).
            if answer.claims.contains("cnf") {
                return Err(refuse(Reason::TokenSenderConstrained));
            }
        }
        Ok(Vouched { issuer, typ: Typ::Header(header.typ), claims })
    }

    async fn introspect(
        &self,
        issuer: &Arc<IssuerRecord>,
        declared: &DeclaredToken,
        role: TokenRole,
    ) -> Result<Vouched, Rejection> {
        check_believed(issuer, &declared.token_type, role)?;
        let Some(introspector) = self.introspectors.get(&issuer.id) else {
            return Err(refuse(Reason::TokenMalformed).with_detail("its issuer cannot be asked"));
        };
        let claims = introspector.claims(declared.token.expose()).await?;
        match claims.text("iss") {
            Ok(None) => {}
            Ok(Some(iss)) if iss == issuer.id => {}
            _ => {
                let detail = format!("introspection by `{}` names another `iss`", issuer.id);
                return Err(refuse(Reason::TokenIssuerUnknown).with_detail(detail));
            }
        }
        Ok(Vouched { issuer: Arc::clone(issuer), typ: Typ::None, claims })
    }

    /// The issuer that can say what an opaque token of this type is; the records allow one at most. An ID token is a
    /// JWT, so for what is declared as one there is none.
    fn introspected(&self, declared: &TokenType) -> Option<&Arc<IssuerRecord>> {
        if *declared == TokenType::ID_TOKEN {
            return None;
        }
        self.registry.issuers().find(|issuer| issuer.introspection.is_some() && issuer.accepts(declared))
    }

    /// The record of the issuer that the token names, if it may have issued such a token at all.
    fn issuer(&self, claims: &Claims, declared: &TokenType, role: TokenRole) -> Result<Arc<IssuerRecord>, Rejection> {
        let missing = || refuse(Reason::TokenIssuerMissing);
        let issuer = match claims.text("iss").map_err(|_| missing())? {
            Some(iss) => {
                let unknown = || refuse(Reason::TokenIssuerUnknown).with_detail(format_args!("iss `{iss}`"));
                self.registry.issuer(iss).ok_or_else(unknown)?
            }
            // A JWT-SVID is its trust domain's, and need not say so twice (SPIFFE JWT-SVID section 3).
            None => {
                let sub = claims.text("sub").ok().flatten().ok_or_else(missing)?;
                self.registry.trust_domain_of(sub).ok_or_else(missing)?
            }
        };
        check_believed(issuer, declared, role)?;
        Ok(Arc::clone(issuer))
    }

    /// Holds what the token says to the rules of its type and of its issuer's record.
    fn judged(&self, vouched: Vouched, declared: &TokenType, role: TokenRole) -> Result<VerifiedToken, Rejection> {
        let Vouched { issuer, typ, claims } = vouched;
        let own = self.registry.is_own(&issuer.id);
        rules::check_kind(declared, own, &issuer, &typ, &claims)?;
        rules::check_record(declared, &issuer, &typ, &claims)?;
        let token = VerifiedToken::read(issuer, own, declared.clone(), claims)?;
        rules::check_not_self_issued(role, &token)?;
        self.check_times(&token)?;
        rules::check_audience(&token)?;
        if token.claims.contains("cnf") {
            return Err(refuse(Reason::TokenSenderConstrained));
        }
        if role == TokenRole::Subject && token.claims.contains("authorization_details") {
            return Err(refuse(Reason::AuthorizationDetailsUnsupported));
        }
        Ok(token)
    }

    fn check_times(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        let now = self.settings.clock.seconds();
        if token.expires_at.seconds() <= now {
            return Err(refuse(Reason::TokenExpired).with_detail(format_args!("exp {}, now {now}", token.expires_at)));
        }
        let latest = now.saturating_add(token.issuer.leeway.unwrap_or(self.settings.leeway).as_secs());
        let invalid = |Invalid(claim)| refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}`"));
        if token.claims.seconds_up("nbf").map_err(invalid)?.is_some_and(|nbf| nbf > latest) {
            return Err(refuse(Reason::TokenNotYetValid));
        }
        let issued_at = token.claims.seconds_up("iat").map_err(invalid)?;
        if issued_at.is_some_and(|iat| iat > latest) {
            return Err(refuse(Reason::TokenIssuedInFuture));
        }
        let Some(max_age) = token.issuer.max_age else { return Ok(()) };
        match token.claims.seconds("iat").map_err(invalid)? {
            Some(iat) if now.saturating_sub(iat) <= max_age.as_secs() => Ok(()),
            Some(iat) => Err(refuse(Reason::TokenTooOld).with_detail(format_args!("iat {iat}, now {now}"))),
            None => Err(refuse(Reason::TokenTooOld).with_detail("no `iat`, and the issuer's record has a `max_age`")),
        }
    }
}

/// Whether the issuer's record takes such a token from it.
fn check_believed(issuer: &IssuerRecord, declared: &TokenType, role: TokenRole) -> Result<(), Rejection> {
    let iss = &issuer.id;
    if !issuer.accepts(declared) {
        let detail = format!("issuer `{iss}` is not taken at its word for `{declared}`: name it in `token_types`");
        return Err(refuse(Reason::TokenTypeNotAccepted).with_detail(detail));
    }
    if role == TokenRole::Actor && !issuer.actor_tokens {
        let detail = format!("iss `{iss}`: its record lacks `allow_actor_tokens`");
        return Err(refuse(Reason::ActorIssuerNotTrusted).with_detail(detail));
    }
    Ok(())
}
