use super::names::{Names, SharedNames};
use crate::{
    policy::{Query, Subject},
    protocol::{IssuerId, TokenType},
    records::Party,
};
use serde_json::Value;
use std::{iter, sync::Arc};

/// The subjects that a rule applies to.
///
/// Every method except [`or_clients`](Self::or_clients) adds a condition. A subject must meet all conditions.
///
/// ```
/// use tower_token_exchange::policy::Subjects;
///
/// let staff = Subjects::of_issuer("https://idp.example").with_claim("department", "finance");
/// let alice = Subjects::of_issuer("https://idp.example").named(["alice"]);
/// # let _ = (staff, alice);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Subjects {
    pub(super) issuer: Option<Arc<str>>,
    pub(super) names: Names,
    pub(super) or_clients: bool,
    /// On the heap, because most rules have no condition on the token.
    token: Option<Box<TokenConditions>>,
}

/// The conditions on the subject token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct TokenConditions {
    claims: Vec<(String, Value)>,
    types: Vec<TokenType>,
}

impl Subjects {
    /// Creates a condition for every user of every issuer that has a record. Clients that act for themselves are not
    /// included ([`Subjects::or_clients`]).
    pub fn any() -> Self {
        Self { issuer: None, names: Names::any(), or_clients: false, token: None }
    }

    /// Creates a condition for the users of one issuer.
    pub fn of_issuer(iss: impl Into<IssuerId>) -> Self {
        Self { issuer: Some(iss.into().as_str().into()), ..Self::any() }
    }

    /// Restricts the condition to these subjects, by the `sub` that the issuer uses. A second call replaces the names.
    ///
    /// An allow rule compares the name in the subject token. A deny rule compares every name of the subject
    /// ([`Subject::other_names`]).
    pub fn named<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.names = names.into_iter().map(Into::into).collect::<Vec<String>>().into();
        self
    }

    /// Includes clients that act for themselves: tokens with no user behind them, such as tokens of the client
    /// credentials grant.
    ///
    /// Without this call, an allow rule applies to users only, even if a user has the same name as a client. A deny rule
    /// always applies to both. The layer cannot tell an impersonated client from a user of the same name.
    pub fn or_clients(mut self) -> Self {
        self.or_clients = true;
        self
    }

    /// Restricts the condition to subject tokens with a claim of this value, or with an array that contains this value.
    ///
    /// [`Subjects::of_issuer`] sets whose claims count. Without it, the claims of every issuer with a record count.
    ///
    /// An issued token has only those claims of the subject token that the record of the target names. After an exchange,
    /// a deny rule on a claim therefore works only if the record of each target on the way names the claim.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.token.get_or_insert_default().claims.push((name.into(), value.into()));
        self
    }

    /// Restricts the condition to members of a group: the claim `groups` is this group, or an array that contains this
    /// group. This is a short form of [`with_claim("groups", …)`](Self::with_claim). After several calls, the subject
    /// must be a member of all groups.
    ///
    /// ```
    /// use serde_json::json;
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let finance = Subjects::of_issuer("https://idp.example").in_group("finance");
    /// let table = Table::new([Rule::allow("orders", finance, "billing").scopes(["invoices:read"])])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://idp.example", "alice"), "billing");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)));
    /// query.subject.claims.insert("groups", json!(["staff", "finance"]));
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn in_group(self, group: impl Into<String>) -> Self {
        self.with_claim("groups", group.into())
    }

    /// Restricts the condition to subject tokens of this declared type (`subject_token_type`). After several calls, one of
    /// the types is enough. The layer has already checked that the token is of the declared type.
    ///
    /// A deny rule also matches if the subject token came from a token of this type in an earlier exchange.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     TokenType,
    ///     policy::{Decision, Query, Rule, Subjects, Table},
    ///     records::Party,
    /// };
    ///
    /// // An ID token can be exchanged for a session, and an access token cannot.
    /// let at_login = Subjects::any().of_type(TokenType::ID_TOKEN);
    /// let table = Table::new([Rule::allow("web", at_login, "session").scopes(["session:open"])])?;
    ///
    /// let mut query = Query::new("web", Party::new("https://as.example", "alice"), "session");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "an access token");
    /// query.subject.token_type = TokenType::ID_TOKEN;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn of_type(mut self, token_type: TokenType) -> Self {
        self.token.get_or_insert_default().types.push(token_type);
        self
    }

    /// The claims that the subject token must have.
    pub(super) fn claims(&self) -> &[(String, Value)] {
        self.token.as_ref().map_or(&[], |token| &token.claims)
    }

    /// The accepted types of the subject token. An empty list accepts every type.
    pub(super) fn types(&self) -> &[TokenType] {
        self.token.as_ref().map_or(&[], |token| &token.types)
    }

    pub(super) fn has_token_conditions(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn has_issuer_of(&self, party: &Party) -> bool {
        self.issuer.as_deref().is_none_or(|issuer| party.iss == *issuer)
    }

    /// Whether the issuer and the name of a party meet the conditions. The names must be normalized.
    pub(super) fn contains(&self, party: &Party) -> bool {
        self.has_issuer_of(party) && self.names.contains(&party.sub)
    }

    /// Whether the type of the subject token meets the condition, or, `with_earlier`, the type of a token of an earlier
    /// exchange.
    pub(super) fn accept_type_of(&self, subject: &Subject, with_earlier: bool) -> bool {
        let earlier = subject.earlier_token_types.iter().filter(|_| with_earlier);
        self.types().is_empty() || earlier.chain([&subject.token_type]).any(|known| self.types().contains(known))
    }

    /// The first required claim that the subject token does not have.
    pub(super) fn missing_claim(&self, subject: &Subject) -> Option<&str> {
        self.claims().iter().find(|(name, value)| !has_claim(subject, name, value)).map(|(name, _)| name.as_str())
    }

    /// Whether a deny rule for these subjects applies to every subject of an allow rule. The names of both must be
    /// normalized.
    pub(super) fn contain_all(&self, allowed: &Self) -> bool {
        let (own_types, types) = (self.types(), allowed.types());
        (self.issuer.is_none() || self.issuer == allowed.issuer)
            && self.names.contains_all(&allowed.names)
            && self.claims().iter().all(|claim| allowed.claims().contains(claim))
            && (own_types.is_empty() || (!types.is_empty() && types.iter().all(|one| own_types.contains(one))))
    }

    pub(super) fn normalize(&mut self, shared: &mut SharedNames) {
        self.names.normalize();
        if let Some(issuer) = &mut self.issuer {
            shared.share_name(issuer);
        }
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Self::any()
    }
}

fn has_claim(subject: &Subject, name: &str, value: &Value) -> bool {
    match subject.claims.get(name) {
        Some(Value::Array(values)) => values.contains(value) || value.as_array() == Some(values),
        Some(claim) => claim == value,
        None => false,
    }
}

/// The names by which a rule can name the subject: the name in the subject token and, for a deny rule, every other name.
pub(super) fn names(query: &Query, with_others: bool) -> impl Iterator<Item = &Party> {
    iter::once(&query.subject.party).chain(query.subject.other_names.iter().filter(move |_| with_others))
}
