use crate::{
    jose::{Claims, Invalid},
    protocol::{NumericDate, Reason, Rejection, Scope, TokenType, is_name, refuse},
    records::{IssuerRecord, Party, TENANT_SEPARATOR},
};
use serde_json::Value;
use std::sync::Arc;

/// A token that its issuer vouches for, of the declared kind and within its times.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) issuer: Arc<IssuerRecord>,
    /// Whether this authorization server issued the token.
    pub(crate) own: bool,
    pub(crate) token_type: TokenType,
    /// The subject, unique within the issuer: with the tenant in front if the issuer has several tenants.
    pub(crate) sub: String,
    pub(crate) audience: Vec<String>,
    /// The client that the token was issued to, by the name that the issuer uses.
    pub(crate) presenter: Option<String>,
    /// `None` if the token has no scope claim. An empty scope is `Some`.
    pub(crate) scope: Option<Scope>,
    /// The claim `exp`, rounded down.
    pub(crate) expires_at: NumericDate,
    pub(crate) claims: Claims,
}

impl VerifiedToken {
    pub(super) fn read(
        issuer: Arc<IssuerRecord>,
        own: bool,
        token_type: TokenType,
        claims: Claims,
    ) -> Result<Self, Rejection> {
        let invalid = |Invalid(claim)| refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}`"));
        let sub = claims.text("sub").ok().flatten().filter(|sub| is_name(sub) && issuer.can_name(sub));
        let sub = qualified(&issuer, &claims, sub.ok_or_else(|| refuse(Reason::TokenSubjectInvalid))?)?;
        let exp = claims.seconds("exp").map_err(invalid)?.ok_or_else(|| refuse(Reason::TokenExpiryMissing))?;
        let audience = claims.audience().map_err(invalid)?.into_iter().map(str::to_owned).collect();
        if claims.text("jti").map_err(invalid)?.is_some_and(|jti| !is_name(jti)) {
            return Err(invalid(Invalid("jti")));
        }
        let rules = issuer.rules_for(&token_type);
        let presenter = match rules.and_then(|rules| rules.presenter_claim.as_deref()) {
            Some(claim) => claims.get(claim).and_then(Value::as_str).map(str::to_owned),
            None => {
                let client_id = claims.text("client_id").map_err(invalid)?;
                client_id.or(claims.text("azp").map_err(invalid)?).map(str::to_owned)
            }
        };
        let scope = match rules.and_then(|rules| rules.scope_claim.as_deref()) {
            Some(claim) => claims.scope_in(claim).map_err(|_| {
                refuse(Reason::TokenClaimsInvalid).with_detail(format_args!("claim `{claim}` is not a scope"))
            })?,
            None => claims.scope().map_err(invalid)?,
        };
        let expires_at = NumericDate::from_seconds(exp);
        Ok(Self { sub, expires_at, audience, presenter, scope, issuer, own, token_type, claims })
    }

    /// Returns the subject as a party, by the name that the issuer uses.
    pub(crate) fn party(&self) -> Party {
        Party::new(&self.issuer.id, &self.sub)
    }
}

/// Returns the name of a subject, unique within the issuer (RFC 7519 section 4.1.2).
fn qualified(issuer: &IssuerRecord, claims: &Claims, sub: &str) -> Result<String, Rejection> {
    let Some(tenants) = &issuer.tenants else { return Ok(sub.to_owned()) };
    let refused = |detail: String| refuse(Reason::TokenTenantRefused).with_detail(detail);
    let Some(tenant) = claims.get(&tenants.claim).and_then(Value::as_str) else {
        return Err(refused(format!("no string claim `{}`", tenants.claim)));
    };
    if !tenants.accepted.iter().any(|accepted| accepted == tenant) {
        return Err(refused(format!("tenant `{tenant}` of issuer `{}` is not in its `tenants`", issuer.id)));
    }
    Ok(if issuer.has_several_tenants() { format!("{tenant}{TENANT_SEPARATOR}{sub}") } else { sub.to_owned() })
}
