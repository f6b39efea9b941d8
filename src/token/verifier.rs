use super::{
    Confirmation, Introspector, Origin, TokenRole, TokenVerifierPart, VerifiedToken,
    claimed::refused,
    issuer_rules,
    jwt::Jwt,
    kinds::{self, Typ},
    plug::{self, TokenToVerify},
};
#[cfg(feature = "resource-server")]
use crate::protocol::Sensitive;
use crate::{
    jose::{Claims, ClientVerifier, Header, Invalid, SignatureVerifier},
    jwks::TrustedKeys,
    protocol::{ANCESTRY, ClientId, DeclaredToken, Detail, EXCHANGED_FROM, Reason, Rejection, TokenType, refuse},
    records::{IntrospectedTokens, IssuerId, IssuerRecord, Registry},
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
    pub(crate) signatures: SignatureVerifier,
    /// The token that takes the place of every JWT in a dry run. `None` outside of dry runs.
    pub(crate) assumed: Option<AssumedToken>,
}

/// The claims of a token that counts as genuine, in a dry run.
#[derive(Clone)]
pub(crate) struct AssumedToken {
    pub(crate) claims: Claims,
    /// Whether the token counts as a token that this layer issued.
    pub(crate) is_issued_here: bool,
}

impl AssumedToken {
    pub(crate) fn new(mut claims: Claims, is_issued_here: bool) -> Self {
        // A token that may be exchanged once needs a name, and a real JWT without `jti` has its signed part.
        if !claims.contains("jti") {
            claims.insert("jti", "a-made-up-name");
        }
        Self { claims, is_issued_here }
    }
}

/// A token that its issuer vouches for.
struct GenuineToken {
    issuer: Arc<IssuerRecord>,
    typ: Typ,
    claims: Claims,
    /// Whether a key of the layer's signer signed the token, and the record of our own issuer is about such tokens.
    is_issued_here: bool,
    /// The name of the key that signed the token.
    key_id: Option<String>,
}

/// Whether the endpoint of the issuer is asked about JWTs that no published key verifies.
fn asks_about_unverifiable(issuer: &IssuerRecord) -> bool {
    issuer.introspection.as_ref().is_some_and(|record| record.tokens == IntrospectedTokens::Unverifiable)
}

/// Whether a JWT was refused because no key can verify a token with its header.
fn is_unverifiable(refusal: &Rejection) -> bool {
    matches!(refusal.reason(), Reason::TokenAlgorithmRefused | Reason::TokenKeyUnknown)
}

impl Verifier {
    /// Verifies a token that a client presents. The detail of a refusal says whose token was refused.
    pub(crate) async fn verify(
        &self,
        declared: &DeclaredToken,
        role: TokenRole,
        client: &ClientId,
    ) -> Result<VerifiedToken, Rejection> {
        let found = self.find_genuine(declared, role, self.signatures.for_client(Some(client))).await;
        let genuine = found.map_err(|rejection| refused(rejection, declared, role, false))?;
        let checked = self.check(genuine, &declared.token_type, role);
        checked.map_err(|rejection| refused(rejection, declared, role, true))
    }

    /// Verifies an access token at a resource server. The type of the token is the type that the record of its issuer accepts.
    #[cfg(feature = "resource-server")]
    pub(crate) async fn verify_access_token(&self, token: Sensitive) -> Result<VerifiedToken, Rejection> {
        let token_type = self.type_of_access_token(token.expose());
        let (declared, role) = (DeclaredToken { token, token_type }, TokenRole::Access);
        let found = self.find_genuine(&declared, role, self.signatures.for_client(None)).await;
        let genuine = found.map_err(|rejection| refused(rejection, &declared, role, false))?;
        let checked = self.check(genuine, &declared.token_type, role);
        checked.map_err(|rejection| refused(rejection, &declared, role, true))
    }

    /// The type that the record of the issuer accepts. The records of a resource server accept one type each. The issuer is
    /// the one that the token names, which is checked later.
    #[cfg(feature = "resource-server")]
    fn type_of_access_token(&self, token: &str) -> TokenType {
        let mut types = self.registry.issuers().filter_map(|issuer| issuer.accepted_types().next());
        let Some(first) = types.next() else { return TokenType::ACCESS_TOKEN };
        if types.all(|other| other == first) {
            return first.clone();
        }
        let of_issuer = match Jwt::read(token).map(|jwt| jwt.claims()) {
            Some(Ok(claims)) => match (claims.text("iss"), claims.text("sub")) {
                (Ok(Some(iss)), _) => self.registry.issuer(iss),
                (Ok(None), Ok(Some(sub))) => self.registry.trust_domain_of(sub),
                _ => None,
            },
            _ => self.registry.issuers().find(|issuer| issuer.introspection.is_some()),
        };
        let accepted = of_issuer.and_then(|issuer| issuer.accepted_types().next());
        accepted.cloned().unwrap_or(TokenType::ACCESS_TOKEN)
    }

    /// Finds out who issued the token, and whether that issuer vouches for the token.
    ///
    /// A verifier that is registered for the token type decides alone. Otherwise the signature of the issuer decides, or
    /// the introspection endpoint of the issuer.
    async fn find_genuine(
        &self,
        declared: &DeclaredToken,
        role: TokenRole,
        signatures: ClientVerifier<'_>,
    ) -> Result<GenuineToken, Rejection> {
        let DeclaredToken { token, token_type } = declared;
        if let Some(assumed) = self.assumed.as_ref().filter(|_| token_type.is_jwt()) {
            return self.assume(assumed, token_type, role);
        }
        if let Some(verifier) = self.plugs.get(token_type) {
            let question = TokenToVerify::new(token.expose(), token_type.clone(), role);
            let claims = plug::ask_for_claims(verifier, question).await?;
            let issuer = self.issuer(&claims, token_type, role)?;
            return Ok(GenuineToken { issuer, typ: Typ::None, claims, is_issued_here: false, key_id: None });
        }
        let Some(jwt) = Jwt::read(token.expose()) else {
            let no_issuer = || refuse(Reason::TokenMalformed).with_detail("not a JWT, and no issuer has introspection");
            let issuer = self.introspecting_issuer(token_type).ok_or_else(no_issuer)?;
            return self.introspect(issuer, declared, role).await;
        };
        let mut claims = jwt.claims()?;
        let header = |record| Some((record, self.issued_header(&jwt, &claims, signatures)?));
        if let Some((issued, header)) = self.registry.issued().and_then(header) {
            issuer_rules::check_type_and_role(issued, token_type, role)?;
            let (issuer, typ) = (Arc::clone(issued), Typ::Header(header.typ));
            return Ok(GenuineToken { issuer, typ, claims, is_issued_here: true, key_id: header.kid });
        }
        let issuer = match self.issuer(&claims, token_type, role) {
            Err(refusal) if refusal.reason() == Reason::TokenIssuerMissing => {
                let asked = self.introspecting_issuer(token_type).filter(|issuer| asks_about_unverifiable(issuer));
                return self.introspect_jwt(&jwt, asked.ok_or(refusal)?, declared, role).await;
            }
            found => found?,
        };
        // The keys of the signer may belong to our own record.
        let has_no_keys = issuer.keys.is_none() && (!issuer.own || self.registry.issued().is_some());
        if has_no_keys && self.introspectors.contains_key(&issuer.id) {
            return self.introspect_jwt(&jwt, &issuer, declared, role).await;
        }
        let verified = match jwt.header() {
            Ok(header) => jwt.check_signature(&header, &issuer, &self.keys, signatures).await.map(|()| header),
            Err(refusal) => Err(refusal),
        };
        let header = match verified {
            Err(refusal) if is_unverifiable(&refusal) && asks_about_unverifiable(&issuer) => {
                return self.introspect_jwt(&jwt, &issuer, declared, role).await;
            }
            verified => verified?,
        };
        if issuer.introspection.as_ref().is_some_and(|record| record.tokens == IntrospectedTokens::Every) {
            let answer = self.introspect(&issuer, declared, role).await?;
            // The key that a token is bound to may be named in the answer only (RFC 8705 section 3.2).
            match (claims.get("cnf"), answer.claims.get("cnf")) {
                (_, None) => {}
                (None, Some(cnf)) => claims.insert("cnf", cnf.clone()),
                (Some(own), Some(answered)) if own == answered => {}
                (Some(_), Some(_)) => {
                    let detail = "the token and the introspection answer have different values of `cnf`";
                    return Err(refuse(Reason::TokenSenderConstrained).with_detail(detail));
                }
            }
        }
        // Without a record for issued tokens, the keys of our own issuer are the keys of the signer.
        let is_issued_here = issuer.own && self.registry.issued().is_none();
        Ok(GenuineToken { issuer, typ: Typ::Header(header.typ), claims, is_issued_here, key_id: header.kid })
    }

    /// The header of a token that the layer issued.
    fn issued_header(&self, jwt: &Jwt<'_>, claims: &Claims, signatures: ClientVerifier<'_>) -> Option<Header> {
        let own = self.registry.own_issuer();
        let is_own = claims.text("iss").is_ok_and(|iss| iss == Some(own.as_str()));
        if is_own { jwt.issued_header(own, &self.keys, signatures) } else { None }
    }

    /// Asks about a JWT. The header of the JWT still has to fit the declared type.
    async fn introspect_jwt(
        &self,
        jwt: &Jwt<'_>,
        issuer: &Arc<IssuerRecord>,
        declared: &DeclaredToken,
        role: TokenRole,
    ) -> Result<GenuineToken, Rejection> {
        let typ = Typ::Header(jwt.typ()?);
        let genuine = self.introspect(issuer, declared, role).await?;
        Ok(GenuineToken { typ, ..genuine })
    }

    fn assume(
        &self,
        AssumedToken { claims, is_issued_here }: &AssumedToken,
        declared: &TokenType,
        role: TokenRole,
    ) -> Result<GenuineToken, Rejection> {
        let issued = self.registry.issued().filter(|_| *is_issued_here);
        let issuer = match issued {
            Some(issued) => {
                issuer_rules::check_type_and_role(issued, declared, role)?;
                Arc::clone(issued)
            }
            None => self.issuer(claims, declared, role)?,
        };
        Ok(GenuineToken {
            issuer,
            typ: Typ::None,
            claims: claims.clone(),
            is_issued_here: *is_issued_here,
            key_id: None,
        })
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
        Ok(GenuineToken { issuer: Arc::clone(issuer), typ: Typ::None, claims, is_issued_here: false, key_id: None })
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
                let unknown = || refuse(Reason::TokenIssuerUnknown).with_detail(Detail::from("iss ").unverified(iss));
                self.registry.issuer(iss).ok_or_else(unknown)?
            }
            // The `sub` of a JWT-SVID names the trust domain, and `iss` is optional (SPIFFE JWT-SVID section 3).
            None => {
                let sub = claims.text("sub").ok().flatten();
                let domain = sub.and_then(|sub| self.registry.trust_domain_of(sub));
                domain.or_else(|| self.registry.issuer_without_iss(declared)).ok_or_else(missing)?
            }
        };
        issuer_rules::check_type_and_role(issuer, declared, role)?;
        Ok(Arc::clone(issuer))
    }

    /// Checks a genuine token against the rules of its type and of the record of its issuer.
    fn check(&self, genuine: GenuineToken, declared: &TokenType, role: TokenRole) -> Result<VerifiedToken, Rejection> {
        let GenuineToken { issuer, typ, mut claims, is_issued_here, key_id } = genuine;
        // A resource server reads no origin, and its users may want to see what the issuer says.
        if !is_issued_here && role != TokenRole::Access {
            claims.remove(EXCHANGED_FROM);
            claims.remove(ANCESTRY);
        }
        let own = self.registry.is_own(&issuer.id);
        kinds::check_kind(declared, own, &issuer, &typ, &claims)?;
        issuer_rules::check_token_rules(declared, &issuer, &typ, &claims)?;
        let mut token = VerifiedToken::read(issuer, own, declared.clone(), &typ, claims)?;
        (token.is_issued_here, token.key_id) = (is_issued_here, key_id);
        kinds::check_not_client_assertion(role, &token.claims)?;
        if token.own && token.subject_is_user && self.registry.client(&token.sub).is_some() {
            let detail = format!("a user has the name of client `{}`", token.sub);
            return Err(refuse(Reason::TokenSubjectInvalid).with_detail(detail));
        }
        if token.own {
            token.origin = Origin::read(&self.registry, &token.claims, &token.sub, is_issued_here)?;
        }
        self.check_times(&token)?;
        issuer_rules::check_audience(&token)?;
        if token.confirmation == Confirmation::Unknown {
            return Err(refuse(Reason::TokenSenderConstrained));
        }
        if role != TokenRole::Actor && token.claims.contains("authorization_details") {
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
