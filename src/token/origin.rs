//! The claim `exchanged_from` of an issued token: whose name the `sub` is, and which types of tokens led to the token.
//!
//! ```json
//! { "exchanged_from": { "iss": "https://idp.example", "token_types": ["urn:ietf:params:oauth:token-type:id_token"] } }
//! ```
//!
//! `iss` is the foreign issuer of the subject, and is absent for a subject of our own issuer. `sub` is the name that this
//! issuer uses, and is absent if the `sub` of the token shows that name. A token without the claim names a subject of our own
//! issuer, and came from tokens of its own type only.

use crate::{
    jose::Claims,
    protocol::{EXCHANGED_FROM, IssuerId, Reason, Rejection, TokenType, is_name, refuse},
    records::{Party, Registry},
};
use serde_json::{Map, Value};

/// The most types that the claim of an issued token can have. Each type is in the record of an issuer.
const MAX_TYPES: usize = 32;

/// What a token was exchanged from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The subject, by the name that its foreign issuer uses. `None` for a subject of our own issuer, and for a token that
    /// is not exchanged yet.
    pub(crate) party: Option<Party>,
    /// The types of the tokens of the earlier exchanges, the first first, without repetition.
    pub(crate) token_types: Vec<TokenType>,
}

impl Origin {
    /// Reads the origin of a token of this authorization server.
    ///
    /// `is_issued_here` tells whether the layer issued the token, so that the claim counts. A token without a valid claim is
    /// refused if a foreign subject could have the name of its subject.
    pub(crate) fn read(
        registry: &Registry,
        claims: &Claims,
        sub: &str,
        is_issued_here: bool,
    ) -> Result<Self, Rejection> {
        let origin = match claims.get(EXCHANGED_FROM).filter(|_| is_issued_here) {
            Some(claim) => Self::from_claim(registry, claim, sub).ok_or_else(|| {
                let detail = format!("`{EXCHANGED_FROM}` does not fit the subject `{sub}`");
                refuse(Reason::TokenOriginInvalid).with_detail(detail)
            })?,
            None => Self::default(),
        };
        match registry.issuer_of_foreign_name(sub) {
            Some(issuer) if origin.party.is_none() => {
                let detail = format!("`{sub}` is the name of a subject of `{}`", issuer.id);
                Err(refuse(Reason::TokenOriginMissing).with_detail(detail))
            }
            _ => Ok(origin),
        }
    }

    /// Reads the claim. `None` if the records do not map the stated party to the `sub` of the token.
    fn from_claim(registry: &Registry, claim: &Value, own_sub: &str) -> Option<Self> {
        let types = claim.get("token_types")?.as_array().filter(|types| types.len() <= MAX_TYPES)?;
        let token_types = types.iter().map(|text| TokenType::new(text.as_str()?).ok()).collect::<Option<Vec<_>>>()?;
        let text = |member| claim.get(member).map(|value| value.as_str().filter(|text| is_name(text)));
        let party = match (text("iss"), text("sub")) {
            (None, None) => None,
            (Some(iss), sub) => Some(Self::party_of(registry, iss?, sub, own_sub)?),
            (None, Some(_)) => return None,
        };
        Some(Self { party, token_types })
    }

    fn party_of(registry: &Registry, iss: &str, sub: Option<Option<&str>>, own_sub: &str) -> Option<Party> {
        let issuer = registry.issuer_of_foreign_name(own_sub).filter(|issuer| issuer.id == *iss)?;
        match (registry.origin_of(own_sub), sub) {
            (Some(party), None) => Some(party),
            (None, Some(sub)) => Some(Party::new(&issuer.id, sub?)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// The claim of an issued token with this `sub` and type. `None` if the claim would say nothing.
    pub(crate) fn to_claim(&self, registry: &Registry, issued_sub: &str, issued_type: &TokenType) -> Option<Value> {
        if self.party.is_none() && self.token_types == [issued_type.clone()] {
            return None;
        }
        let mut claim = Map::new();
        if let Some(Party { iss, sub }) = &self.party {
            claim.insert("iss".into(), IssuerId::as_str(iss).into());
            if registry.origin_of(issued_sub).is_none() {
                claim.insert("sub".into(), sub.as_str().into());
            }
        }
        claim.insert("token_types".into(), self.token_types.iter().map(TokenType::as_str).collect());
        Some(claim.into())
    }
}
