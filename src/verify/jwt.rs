use super::{Role, VerifiedToken, rules};
use crate::{
    client::Declared,
    clock::Clock,
    jose::{Claims, Compact, Header, Invalid},
    protocol::{Reason, Rejection, TokenType, refuse},
    registry::{Issuer, Registry, RuleSet},
    trust::TrustedKeys,
};
use std::{sync::Arc, time::Duration};

const MAX_NAME_BYTES: usize = 1024;

/// Validates signed JWTs (RFC 7519 section 7.2) by their issuer's record.
pub(crate) struct JwtVerifier {
    pub(crate) registry: Arc<Registry>,
    pub(crate) keys: TrustedKeys,
    pub(crate) clock: Clock,
    /// For `nbf` and `iat`; `exp` has none.
    pub(crate) leeway: Duration,
}

impl JwtVerifier {
    pub(crate) async fn verify(&self, declared: &Declared, role: Role) -> Result<VerifiedToken, Rejection> {
        let jws = Compact::parse(declared.token.expose()).ok_or_else(|| refuse(Reason::TokenMalformed))?;
        let header = Header::parse(&jws.header)?;
        let claims = Claims::parse(&jws.payload)
            .ok_or_else(|| refuse(Reason::TokenMalformed).because("claims are not one JSON object"))?;
        let issuer = self.issuer(&claims, &declared.token_type, role)?;
        self.check_signature(&issuer, &header, &jws).await?;

        let rules = RuleSet::of(&declared.token_type);
        let own = self.registry.is_own(&issuer.id);
        rules::check_kind(rules, own, &issuer, &header, &claims)?;
        let token = read(issuer, own, declared.token_type.clone(), claims)
            .map_err(|Invalid(claim)| refuse(Reason::TokenClaimsInvalid).because(format_args!("claim `{claim}`")))?;
        self.check_times(&token)?;
        rules::check_audience(rules, &token)?;
        if token.claims.contains("cnf") {
            return Err(refuse(Reason::TokenSenderConstrained));
        }
        Ok(token)
    }

    /// The record of the issuer that the token names, if it may have issued such a token at all.
    fn issuer(&self, claims: &Claims, declared: &TokenType, role: Role) -> Result<Arc<Issuer>, Rejection> {
        let Ok(Some(iss)) = claims.text("iss") else {
            return Err(refuse(Reason::TokenClaimsInvalid).because("claim `iss`"));
        };
        let Some(issuer) = self.registry.issuer(iss) else {
            return Err(refuse(Reason::TokenIssuerUnknown).because(format_args!("iss `{iss}`")));
        };
        if !issuer.accepts(declared) {
            let detail = format!("issuer `{iss}` is not taken at its word for `{declared}`");
            return Err(refuse(Reason::TokenTypeConfused).because(detail));
        }
        if role == Role::Actor && !issuer.actor_tokens {
            return Err(refuse(Reason::ActorIssuerNotTrusted).because(format_args!("iss `{iss}`")));
        }
        Ok(Arc::clone(issuer))
    }

    async fn check_signature(&self, issuer: &Issuer, header: &Header, jws: &Compact<'_>) -> Result<(), Rejection> {
        let algorithm = header.algorithm;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(refuse(Reason::TokenAlgorithmRefused).because(format_args!("alg `{algorithm}`")));
        }
        let verified = self.keys.verify(issuer, header.kid.is_some(), |keys| {
            let candidates = keys.candidates(algorithm, header.kid.as_deref());
            let signed = jws.signing_input.as_bytes();
            (!candidates.is_empty()).then(|| candidates.iter().any(|key| key.verify(algorithm, signed, &jws.signature)))
        });
        match verified.await? {
            Some(true) => Ok(()),
            Some(false) => Err(refuse(Reason::TokenSignatureInvalid)),
            None => {
                let kid = header.kid.as_deref().unwrap_or("(none)");
                Err(refuse(Reason::TokenKeyUnknown).because(format_args!("alg `{algorithm}`, kid `{kid}`")))
            }
        }
    }

    fn check_times(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        let now = self.clock.seconds();
        if token.expires_at <= now {
            return Err(refuse(Reason::TokenExpired).because(format_args!("exp {}, now {now}", token.expires_at)));
        }
        let latest = now + self.leeway.as_secs();
        let dated =
            |claim| token.claims.seconds_up(claim).map_err(|_| refuse(Reason::TokenClaimsInvalid).because(claim));
        if dated("nbf")?.is_some_and(|nbf| nbf > latest) {
            return Err(refuse(Reason::TokenNotYetValid));
        }
        if dated("iat")?.is_some_and(|iat| iat > latest) {
            return Err(refuse(Reason::TokenIssuedInFuture));
        }
        Ok(())
    }
}

fn read(issuer: Arc<Issuer>, own: bool, token_type: TokenType, claims: Claims) -> Result<VerifiedToken, Invalid> {
    let sub = claims.text("sub")?.filter(|sub| is_name(sub)).ok_or(Invalid("sub"))?.to_owned();
    let expires_at = claims.seconds("exp")?.ok_or(Invalid("exp"))?;
    let audience: Vec<String> = claims.audience()?.into_iter().map(str::to_owned).collect();
    let presenter = claims.text("client_id")?.or(claims.text("azp")?).map(str::to_owned);
    if claims.text("jti")?.is_some_and(|jti| !is_name(jti)) {
        return Err(Invalid("jti"));
    }
    Ok(VerifiedToken { sub, expires_at, audience, presenter, scope: claims.scope()?, issuer, own, token_type, claims })
}

/// A name that can stand in a token, a log line and a comparison.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
