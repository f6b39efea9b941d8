use crate::{
    jose::Claims,
    protocol::{Scope, TokenType},
    registry::{Issuer, Party},
};
use std::sync::Arc;

/// What a token says, after its signature, times and kind were found good.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) issuer: Arc<Issuer>,
    /// Whether this authorization server issued it.
    pub(crate) own: bool,
    pub(crate) token_type: TokenType,
    pub(crate) sub: String,
    pub(crate) audience: Vec<String>,
    /// The client that it was issued to, as its issuer calls it: `client_id`, else `azp`.
    pub(crate) presenter: Option<String>,
    /// `None` where the token does not say, which is not the same as nothing.
    pub(crate) scope: Option<Scope>,
    /// Seconds since 1970, rounded down.
    pub(crate) expires_at: u64,
    pub(crate) claims: Claims,
}

impl VerifiedToken {
    /// The party whose token this is, as its issuer names it.
    pub(crate) fn party(&self) -> Party {
        Party::new(&self.issuer.id, &self.sub)
    }
}
