use super::{
    Confirmation, Origin,
    kinds::Typ,
    meaning::{self, invalid},
    verified_claim::check_is_verified,
};
use crate::{
    jose::{Claims, Invalid},
    protocol::{NumericDate, Reason, Rejection, Scope, TokenType, is_name, refuse},
    records::{IssuerRecord, Party, SubjectId, TENANT_SEPARATOR},
};
use std::sync::Arc;

/// A token that its issuer vouches for, of the declared kind and within its times.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) issuer: Arc<IssuerRecord>,
    /// Whether this authorization server issued the token.
    pub(crate) own: bool,
    pub(crate) token_type: TokenType,
    /// Whether the header says that the token is an access token (RFC 9068 section 2.1).
    says_access_token: bool,
    /// The subject, unique within the issuer: with the tenant in front if the issuer has several tenants.
    pub(crate) sub: SubjectId,
    /// What the token was exchanged from. Only a token that the layer issued has an origin.
    pub(crate) origin: Origin,
    pub(crate) audience: Vec<String>,
    /// Whether the token names no audience, and the record accepts such a token from its own client and from the
    /// presenters.
    pub(crate) audience_is_waived: bool,
    /// Whether a key of the layer's signer signed the token. Only the claims `exchanged_from` and `ancestry` of such a token
    /// count.
    pub(crate) is_issued_here: bool,
    /// The name of the key that signed the token, if the token names the key and the layer checked the signature.
    pub(crate) key_id: Option<String>,
    /// The client that the token was issued to, by the name that the issuer uses.
    pub(crate) presenter: Option<String>,
    /// Whether the issuer uses one name for the subject and for the client that the token was issued to.
    pub(crate) presenter_is_subject: bool,
    /// Whether a claim that never names a client names the subject.
    pub(crate) subject_is_user: bool,
    /// `None` if the token has no scope claim. An empty scope is `Some`.
    pub(crate) scope: Option<Scope>,
    /// The claim `exp`, rounded down.
    pub(crate) expires_at: NumericDate,
    /// What the token is bound to.
    pub(crate) confirmation: Confirmation,
    /// What the record says about claims that the token does not have.
    pub(crate) assumptions: Vec<String>,
    pub(crate) claims: Claims,
}

impl VerifiedToken {
    pub(super) fn read(
        issuer: Arc<IssuerRecord>,
        own: bool,
        token_type: TokenType,
        typ: &Typ,
        claims: Claims,
    ) -> Result<Self, Rejection> {
        let rules = issuer.rules_for(&token_type);
        let (name, subject_assumption) = meaning::subject(&issuer, rules, &claims)?;
        let sub_is_presenter = |presenter: &str| presenter == name;
        let sub = qualified(&issuer, &claims, name)?;
        let exp = claims.seconds("exp").map_err(invalid)?.ok_or_else(|| refuse(Reason::TokenExpiryMissing))?;
        let audience = meaning::audience(rules, &claims)?;
        if claims.text("jti").map_err(invalid)?.is_some_and(|jti| !is_name(jti)) {
            return Err(invalid(Invalid("jti")));
        }
        let presenter = meaning::presenter(rules, &claims)?;
        let subject_is_user = meaning::is_user(rules, &claims);
        let presenter_is_subject = !subject_is_user && presenter.as_deref().is_some_and(sub_is_presenter);
        let scope = meaning::scope(rules, &claims)?;
        let has_no_issuer =
            (!claims.contains("iss")).then(|| format!("no `iss`: `{}` vouches for the token", issuer.id));
        let assumptions = [has_no_issuer, subject_assumption, audience.assumption].into_iter().flatten().collect();
        let expires_at = NumericDate::from_seconds(exp);
        Ok(Self {
            sub,
            origin: Origin::default(),
            is_issued_here: false,
            key_id: None,
            expires_at,
            audience: audience.names,
            audience_is_waived: audience.is_waived,
            presenter,
            presenter_is_subject,
            subject_is_user,
            scope,
            confirmation: Confirmation::read(claims.get("cnf")),
            assumptions,
            issuer,
            own,
            token_type,
            says_access_token: typ.says_access_token(),
            claims,
        })
    }

    /// Whether a token of the same type that is issued for this subject token has no origin to state.
    pub(crate) fn has_plain_origin(&self, issued_type: &TokenType) -> bool {
        self.own && self.origin == Origin::default() && self.token_type == *issued_type
    }

    /// Returns the origin of a token that is issued for this subject token.
    pub(crate) fn origin_of_issued(&self) -> Origin {
        let mut origin = self.origin.clone();
        if !self.own {
            origin.party = Some(self.party());
        }
        if !origin.token_types.contains(&self.token_type) {
            origin.token_types.push(self.token_type.clone());
        }
        origin
    }

    /// The type of the token if its missing scope has to be read by the type. An access token that is declared as `jwt` is
    /// still an access token.
    pub(crate) fn type_without_scope(&self) -> TokenType {
        if self.says_access_token { TokenType::ACCESS_TOKEN } else { self.token_type.clone() }
    }

    /// Returns the subject by the name that its own issuer uses, which is the same in every exchange.
    pub(crate) fn original_party(&self) -> Party {
        self.origin.party.clone().unwrap_or_else(|| self.party())
    }

    /// Returns the subject as a party, by the name that the issuer uses.
    pub(crate) fn party(&self) -> Party {
        Party::new(&self.issuer.id, &self.sub)
    }

    /// Checks that the issuer has verified the value of a claim that names the subject.
    pub(crate) fn check_is_verified(&self, claim: &str) -> Result<(), Rejection> {
        check_is_verified(self.issuer.rules_for(&self.token_type), &self.claims, claim)
    }
}

/// Returns the name of a subject, unique within the issuer (RFC 7519 section 4.1.2).
fn qualified(issuer: &IssuerRecord, claims: &Claims, sub: &str) -> Result<SubjectId, Rejection> {
    let Some(tenants) = &issuer.tenants else { return Ok(sub.into()) };
    let refused = |detail: String| refuse(Reason::TokenTenantRefused).with_detail(detail);
    let Some(tenant) = claims.string(&tenants.claim) else {
        return Err(refused(format!("no string claim `{}`", tenants.claim)));
    };
    if !tenants.accepted.iter().any(|accepted| accepted == tenant) {
        return Err(refused(format!("tenant `{tenant}` of issuer `{}` is not in its `tenants`", issuer.id)));
    }
    Ok(if issuer.has_several_tenants() { format!("{tenant}{TENANT_SEPARATOR}{sub}").into() } else { sub.into() })
}
