//! The statements of a record in words.

use super::{IntrospectedTokens, Introspection, Issuer, TokenRules};
use crate::protocol::TokenType;

impl Issuer {
    /// The statements of this record about its tokens that differ from the defaults, one line each: which claims have
    /// another name, which claims are required, and what a claim means that a token does not have.
    ///
    /// ```
    /// use tower_token_exchange::{Issuer, TokenType, records::TokenRules};
    ///
    /// let server = Issuer::new("https://as.example").jwks_uri("https://as.example/keys").accept(
    ///     TokenRules::new(TokenType::ACCESS_TOKEN).scope_claim("scp").absent_aud("https://api.example"),
    /// );
    /// assert_eq!(server.statements(), [
    ///     "access_token: the claim `scp` has the scope",
    ///     "access_token: a token without `aud` is for `https://api.example`",
    /// ]);
    /// ```
    pub fn statements(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.untyped_access_tokens {
            all.push(format!("access_token: {UNTYPED}"));
        }
        for rules in &self.tokens {
            let name = short_name(&rules.token_type);
            all.extend(rules.statements().into_iter().map(|statement| format!("{name}: {statement}")));
        }
        if !self.presenters.is_empty() {
            all.push(format!("all types: {}", of_presenters(self.presenters.iter().map(|client| client.as_str()))));
        }
        if let Some(introspection) = &self.introspection {
            all.extend(introspection.statements().into_iter().map(|statement| format!("introspection: {statement}")));
        }
        all
    }
}

const UNTYPED: &str = "the header needs no `typ: at+jwt`";

impl TokenRules {
    fn statements(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut say = |statement: String| all.push(statement);
        if self.untyped == Some(true) {
            say(UNTYPED.to_owned());
        }
        if !self.typ.is_empty() {
            say(format!("the `typ` in the header is {}", list(self.typ.iter().map(String::as_str), "or")));
        }
        for (claim, value) in &self.required {
            say(match value {
                Some(value) => format!("the claim `{claim}` is {value}"),
                None => format!("the claim `{claim}` is present"),
            });
        }
        for claim in &self.forbidden {
            say(format!("the claim `{claim}` is absent"));
        }
        if !self.audiences.is_empty() {
            say(format!("`aud` has {}", list(self.audiences.iter().map(String::as_str), "or")));
        }
        if !self.presenter_claims.is_empty() {
            let claims = list(self.presenter_claims.iter().map(String::as_str), "or");
            say(format!("the claim {claims} names the client that the token was issued to"));
        }
        if !self.scope_claims.is_empty() {
            say(format!("the claim {} has the scope", list(self.scope_claims.iter().map(String::as_str), "or")));
        }
        if let Some(claim) = &self.subject_claim {
            say(format!("in a token without `sub`, the claim `{claim}` names the subject"));
        }
        for claim in &self.always_verified {
            say(format!("the issuer has verified every value of the claim `{claim}`"));
        }
        let audiences = [
            ("without `aud`", &self.absent_aud, self.without_aud),
            ("with an empty `aud`", &self.empty_aud, self.with_empty_aud),
        ];
        for (token, audience, allowed) in audiences {
            match audience {
                Some(audience) => say(format!("a token {token} is for `{audience}`")),
                None if allowed == Some(true) => {
                    say(format!("a token {token} is only for its own client and for the presenters"));
                }
                None => {}
            }
        }
        if !self.ignored_audiences.is_empty() {
            let names = list(self.ignored_audiences.iter().map(String::as_str), "or");
            say(format!("{names} in `aud` names no service"));
        }
        if !self.presenters.is_empty() {
            say(of_presenters(self.presenters.iter().map(|client| client.as_str())));
        }
        if self.without_iss == Some(true) {
            say("a token without `iss` is of this issuer if a key of this issuer signed the token".to_owned());
        }
        all
    }
}

impl Introspection {
    fn statements(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        all.extend(match self.tokens {
            IntrospectedTokens::Opaque => None,
            IntrospectedTokens::Unverifiable => Some("JWTs that no published key verifies are introspected, too"),
            IntrospectedTokens::Every => Some("every token is introspected, also after its signature was verified"),
        });
        if self.untyped_answers {
            all.push("an answer without `token_type` is about an access token");
        }
        if !self.token_types.is_empty() {
            all.push("an answer with another `token_type` than `Bearer` can be about an access token");
        }
        all
    }
}

fn of_presenters<'a>(clients: impl Iterator<Item = &'a str>) -> String {
    format!("{} may present every token", list(clients, "and"))
}

/// The last part of the URI of a token type of RFC 8693 section 3. Every other type keeps its whole name.
fn short_name(token_type: &TokenType) -> &str {
    let known = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN, TokenType::JWT];
    let name = token_type.as_str();
    if known.contains(token_type) { name.rsplit(':').next().unwrap_or(name) } else { name }
}

fn list<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {word} {last}", others.join(", ")),
        None => String::new(),
    }
}
