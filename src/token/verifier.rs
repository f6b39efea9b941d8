use super::{
    Introspector, TokenRole, TokenVerifierPart, VerifiedToken, issuer_rules,
    jwt::Jwt,
    kinds::{self, Typ},
    plug::{self, TokenToVerify},
};
use crate::{
    jose::{Claims, Invalid},
    jwks::TrustedKeys,
    protocol::{DeclaredToken, Reason, Rejection, TokenType, refuse},
    records::{IssuerId, IssuerRecord, Registry},
    settings::Settings,
};
use std::{collections::HashMap, sync::Arc};

/// Verifies subject tokens and actor tokens.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) registry: Arc<Registry>,
    pub(crate) keys: TrustedKeys,
    /// The verifiers that the user registered, by token type.
    pub(crate) plugs: HashMap<TokenType, TokenVerifierPart>,
    /// The introspection endpoints, by issuer.
    pub(crate) introspectors: HashMap<IssuerId, Introspector>,
    pub(crate) settings: Arc<Settings>,
}

/// A token that its issuer vouches for.
struct GenuineToken {
    issuer: Arc<IssuerRecord>,
    typ: Typ,
    claims: Claims,
}

impl Verifier {
    pub(crate) async fn verify(&self, declared: &DeclaredToken, role: TokenRole) -> Result<VerifiedToken, Rejection> {
        let genuine = self.find_genuine(declared, role).await?;
        self.check(genuine, &declared.token_type, role)
    }

    /// Finds out who issued the token, and whether that issuer vouches for the token.
    ///
    /// A verifier that is registered for the token type decides alone. Otherwise the signature of the issuer decides, or
    /// the introspection endpoint of the issuer.
    async fn find_genuine(&self, declared: &DeclaredToken, role: TokenRole) -> Result<GenuineToken, Rejection> {
        let DeclaredToken { token, token_type } = declared;
        if let Some(verifier) = self.plugs.get(token_type) {
            let question = TokenToVerify::new(token.expose(), token_type.clone(), role);
            let claims = plug::ask_for_claims(verifier, question).await?;
            let issuer = self.issuer(&claims, token_type, role)?;
            return Ok(GenuineToken { issuer, typ: Typ::None, claims });
        }
        let Some(jwt) = Jwt::read(token.expose()) else {
            let no_issuer = || refuse(Reason::TokenMalformed).with_detail("not a JWT, and no issuer has introspection");
            let issuer = self.introspecting_issuer(token_type).ok_or_else(no_issuer)?;
            return self.introspect(issuer, declared, role).await;
        };
        let claims = jwt.claims()?;
        let issuer = self.issuer(&claims, token_type, role)?;
        if issuer.keys.is_none() && self.introspectors.contains_key(&issuer.id) && !self.registry.is_own(&issuer.id) {
            let typ = Typ::Header(jwt.typ()?);
            let genuine = self.introspect(&issuer, declared, role).await?;
            return Ok(GenuineToken { typ, ..genuine });
        }
        let header = jwt.header()?;
        jwt.check_signature(&header, &issuer, &self.keys).await?;
        if issuer.introspection.as_ref().is_some_and(|introspection| introspection.every_token) {
            let answer = self.introspect(&issuer, declared, role).await?;
            // The key that a token is bound to may be named in the answer only (RFC 8705 section 3.2).
            if answer.claims.contains("cnf") {
                return Err(refuse(Reason::TokenSenderConstrained));
            }
        }
        Ok(GenuineToken { issuer, typ: Typ::Header(header.typ), claims })
    }

    async fn introspect(
        &self,
        issuer: &Arc<IssuerRecord>,
        declared: &DeclaredToken,
        role: TokenRole,
    ) -> Result<GenuineToken, Rejection> {
        issuer_rules::check_type_and_role(issuer, &declared.token_type, role)?;
        let Some(introspector) = self.introspectors.get(&issuer.id) else {
            return Err(refuse(Reason::TokenMalformed).with_detail("the issuer has no introspection endpoint"));
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
        Ok(GenuineToken { issuer: Arc::clone(issuer), typ: Typ::None, claims })
    }

    /// Returns the issuer whose introspection endpoint is asked about an opaque token. The records allow one at most.
    fn introspecting_issuer(&self, declared: &TokenType) -> Option<&Arc<IssuerRecord>> {
        // An ID token is always a JWT.
        if *declared == TokenType::ID_TOKEN {
            return None;
        }
        self.registry.issuers().find(|issuer| issuer.introspection.is_some() && issuer.accepts(declared))
    }

    /// Returns the record of the issuer that the token names, if the record allows such a token.
    fn issuer(&self, claims: &Claims, declared: &TokenType, role: TokenRole) -> Result<Arc<IssuerRecord>, Rejection> {
        let missing = || refuse(Reason::TokenIssuerMissing);
        let issuer = match claims.text("iss").map_err(|_| missing())? {
            Some(iss) => {
                let unknown = || refuse(Reason::TokenIssuerUnknown).with_detail(format_args!("iss `{iss}`"));
                self.registry.issuer(iss).ok_or_else(unknown)?
            }
            // The `sub` of a JWT-SVID names the trust domain, and `iss` is optional (SPIFFE JWT-SVID section 3).
            None => {
                let sub = claims.text("sub").ok().flatten().ok_or_else(missing)?;
                self.registry.trust_domain_of(sub).ok_or_else(missing)?
            }
        };
        issuer_rules::check_type_and_role(issuer, declared, role)?;
        Ok(Arc::clone(issuer))
    }

    /// Checks a genuine token against the rules of its type and of the record of its issuer.
    fn check(&self, genuine: GenuineToken, declared: &TokenType, role: TokenRole) -> Result<VerifiedToken, Rejection> {
        let GenuineToken { issuer, typ, claims } = genuine;
        let own = self.registry.is_own(&issuer.id);
        kinds::check_kind(declared, own, &issuer, &typ, &claims)?;
        issuer_rules::check_token_rules(declared, &issuer, &typ, &claims)?;
        let token = VerifiedToken::read(issuer, own, declared.clone(), claims)?;
        kinds::check_not_client_assertion(role, &token)?;
        self.check_times(&token)?;
        issuer_rules::check_audience(&token)?;
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
        if token.claims.seconds_rounded_up("nbf").map_err(invalid)?.is_some_and(|nbf| nbf > latest) {
            return Err(refuse(Reason::TokenNotYetValid));
        }
        let issued_at = token.claims.seconds_rounded_up("iat").map_err(invalid)?;
        if issued_at.is_some_and(|iat| iat > latest) {
            return Err(refuse(Reason::TokenIssuedInFuture));
        }
        let Some(max_age) = token.issuer.max_age else { return Ok(()) };
        match token.claims.seconds("iat").map_err(invalid)? {
            Some(iat) if now.saturating_sub(iat) <= max_age.as_secs() => Ok(()),
            Some(iat) => Err(refuse(Reason::TokenTooOld).with_detail(format_args!("iat {iat}, now {now}"))),
            None => {
                Err(refuse(Reason::TokenTooOld).with_detail("no `iat`, and the record of the issuer has a `max_age`"))
            }
        }
    }
}
