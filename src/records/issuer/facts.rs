//! What the access tokens of well-known vendors look like. The facts are the same whether the vendor is a foreign issuer
//! or the server behind a gateway.

use super::TokenRules;
use crate::protocol::TokenType;

pub(super) fn keycloak(token_type: TokenType) -> TokenRules {
    TokenRules::new(token_type).typ(["JWT", "at+jwt"]).require_value("typ", "Bearer").presenter_claim("azp")
}

/// Tokens of version 1.0 name the client in `appid`, tokens of version 2.0 in `azp`.
pub(super) fn entra_id(token_type: TokenType, version: &str, presenter: &str) -> TokenRules {
    TokenRules::new(token_type)
        .require_value("ver", version)
        .require(presenter)
        .require("scp")
        .forbid("nonce")
        .presenter_claim(presenter)
        .scope_claim("scp")
}

pub(super) fn okta(token_type: TokenType) -> TokenRules {
    TokenRules::new(token_type).require("cid").forbid("nonce").presenter_claim("cid").scope_claim("scp")
}

pub(super) fn auth0(token_type: TokenType) -> TokenRules {
    TokenRules::new(token_type)
        .typ(["JWT", "at+jwt"])
        .require("azp")
        .require("scope")
        .forbid("nonce")
        .presenter_claim("azp")
}
