//! Samples of the tokens that a record describes.

use super::{Issuer, TokenRules};
use crate::{jose::Claims, protocol::TokenType};
use serde_json::{Value, json};

/// Names that no real token has.
const SUBJECT: &str = "a-made-up-subject";
const CLIENT: &str = "a-made-up-client";

impl Issuer {
    /// The claims of a made-up token for each type that this record describes, without times. If the record states what an
    /// absent claim means, the claim is absent.
    ///
    /// The token is for `audience`, unless the record states the audience of its tokens or names presenters. Give the
    /// claims to [`TokenExchangeLayer::explain_claims`](crate::TokenExchangeLayer::explain_claims) to see whether a client
    /// can exchange such a token.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, TokenType, records::TokenRules};
    ///
    /// let server = Issuer::new("https://as.example")
    ///     .accept(TokenRules::new(TokenType::ACCESS_TOKEN).scope_claim("scp").absent_aud("https://api.example"));
    /// let [(token_type, claims)] = &server.sample_claims("https://orders.example", "read")[..] else { unreachable!() };
    /// assert_eq!(*token_type, TokenType::ACCESS_TOKEN);
    /// assert_eq!(claims.get("scp").and_then(|scope| scope.as_str()), Some("read"));
    /// assert!(!claims.contains("aud"));
    /// ```
    pub fn sample_claims(&self, audience: &str, scope: &str) -> Vec<(TokenType, Claims)> {
        let default = [TokenRules::new(TokenType::ACCESS_TOKEN)];
        let described = if self.tokens.is_empty() { &default[..] } else { &self.tokens };
        let sample = |rules: &TokenRules| {
            let mut claims = rules.sample(audience, scope);
            claims.insert("iss", self.id.as_str());
            (rules.token_type.clone(), claims)
        };
        described.iter().map(sample).collect()
    }
}

impl TokenRules {
    fn sample(&self, audience: &str, scope: &str) -> Claims {
        let mut claims = Claims::new();
        for (claim, value) in &self.required {
            claims.insert(claim, value.clone().unwrap_or_else(|| "a-made-up-value".into()));
        }
        let first = |names: &[String], default: &str| names.first().map_or_else(|| default.to_owned(), Clone::clone);
        claims.insert(first(&self.scope_claims, "scope"), scope);
        claims.insert(self.subject_claim.as_deref().unwrap_or("sub"), SUBJECT);
        if let Some(audience) = self.sample_audience(audience) {
            claims.insert("aud", audience);
        }
        let presenter = first(&self.presenter_claims, "client_id");
        if !claims.contains(&presenter) {
            claims.insert(presenter, CLIENT);
        }
        claims
    }

    fn sample_audience(&self, audience: &str) -> Option<Value> {
        if self.absent_aud.is_some() {
            return None;
        }
        if self.empty_aud.is_some() {
            return Some(json!([]));
        }
        // The presenters may present every token, whatever its audience is.
        let audience = if self.presenters.is_empty() { audience } else { CLIENT };
        let named = self.audiences.first().map_or(audience, String::as_str);
        Some(self.ignored_audiences.iter().map(String::as_str).chain([named]).collect::<Vec<_>>().into())
    }
}
