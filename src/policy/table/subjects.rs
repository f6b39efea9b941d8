use super::names::{Names, Pool};
use crate::{
    policy::{Query, Subject},
    protocol::TokenType,
    records::Party,
};
use serde_json::Value;
use std::sync::Arc;

/// The subjects that a rule is about.
///
/// ```
/// use tower_token_exchange::policy::Subjects;
///
/// let staff = Subjects::of_issuer("https://idp.example").with_claim("department", "finance");
/// let alice = Subjects::of_issuer("https://idp.example").named(["alice"]);
/// # let _ = (staff, alice);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subjects {
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) subs: Names,
    pub(super) clients: bool,
    /// Apart, since most rules say nothing of it, and a million small ones are looked at sooner than large ones.
    wanted: Option<Box<Wanted>>,
}

/// What the subject's token must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Wanted {
    claims: Vec<(String, Value)>,
    types: Vec<TokenType>,
}

impl Subjects {
    /// Any subject of any issuer that has a record, but no client by itself ([`Subjects::or_clients`]).
    pub fn any() -> Self {
        Self { issuer: None, subs: Names::any(), clients: false, wanted: None }
    }

    /// The subjects of one issuer.
    pub fn of_issuer(iss: impl Into<String>) -> Self {
        Self { issuer: Some(iss.into().into()), ..Self::any() }
    }

    /// Whether it wants something of the token beside the name.
    pub(super) fn asks_for_more(&self) -> bool {
        self.wanted.is_some()
    }

    /// Only these, by the `sub` that their issuer gives them.
    #[must_use]
    pub fn named<T: Into<String>>(mut self, subs: impl IntoIterator<Item = T>) -> Self {
        self.subs = Names::of(subs.into_iter().map(|sub| sub.into().into()));
        self
    }

    /// Clients too, with tokens that no user stands behind, such as those of the client credentials grant. Without it,
    /// an allow is about users alone, even where it names one that is called like a client; a deny is about both. A
    /// client that was impersonated cannot be told from a user of its name.
    #[must_use]
    pub fn or_clients(mut self) -> Self {
        self.clients = true;
        self
    }

    /// Only those whose token has this claim: with this value, or an array that holds it. Whose word that is says
    /// [`Subjects::of_issuer`]; without it, every issuer that has a record is believed.
    ///
    /// A token that was exchanged has lost every claim that its target's record did not name; a deny by a claim
    /// refuses at a later hop only if each record on the way names it.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.wanted.get_or_insert_default().claims.push((name.into(), value.into()));
        self
    }

    /// Only those of this group: whose token has a claim `groups` that is it, or an array that holds it. The short way
    /// to [`with_claim("groups", …)`](Self::with_claim); after several calls, only those of all these groups.
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
    #[must_use]
    pub fn in_group(self, group: impl Into<String>) -> Self {
        self.with_claim("groups", group.into())
    }

    /// Only those with a token that was declared as this type (`subject_token_type`); after several calls, as any of
    /// them. The declaration was checked: a token is never of another kind than it was declared.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     TokenType,
    ///     policy::{Decision, Query, Rule, Subjects, Table},
    ///     records::Party,
    /// };
    ///
    /// // ID tokens lead here and nowhere else.
    /// let at_login = Subjects::any().of_type(TokenType::ID_TOKEN);
    /// let table = Table::new([Rule::allow("web", at_login, "session").scopes(["session:open"])])?;
    ///
    /// let mut query = Query::new("web", Party::new("https://as.example", "alice"), "session");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "an access token");
    /// query.subject.token_type = TokenType::ID_TOKEN;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    #[must_use]
    pub fn of_type(mut self, token_type: TokenType) -> Self {
        self.wanted.get_or_insert_default().types.push(token_type);
        self
    }

    /// Puts the list in order, and shares what other rules have too.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        self.subs.sort();
        if let Some(issuer) = &mut self.issuer {
            pool.share_name(issuer);
        }
    }

    pub(super) fn issued_by(&self, party: &Party) -> bool {
        self.issuer.as_ref().is_none_or(|own| party.iss == **own)
    }

    /// Whether it is about this party, so far as names go. The list must be in order.
    pub(super) fn name(&self, party: &Party) -> bool {
        self.issued_by(party) && self.subs.include(&party.sub)
    }

    pub(super) fn claims(&self) -> &[(String, Value)] {
        self.wanted.as_ref().map_or(&[], |wanted| &wanted.claims)
    }

    pub(crate) fn types(&self) -> &[TokenType] {
        self.wanted.as_ref().map_or(&[], |wanted| &wanted.types)
    }

    /// Whether a deny of these refuses everybody of whom an allow of the others is. Both must be settled.
    pub(super) fn cover(&self, allowed: &Self) -> bool {
        (self.issuer.is_none() || self.issuer == allowed.issuer)
            && self.subs.cover(&allowed.subs)
            && self.claims().iter().all(|claim| allowed.claims().contains(claim))
            && is_within(allowed.types(), self.types())
    }

    pub(super) fn have_type_of(&self, subject: &Subject) -> bool {
        let types = self.types();
        types.is_empty() || types.contains(&subject.token_type)
    }

    /// The first claim that a subject does not have as wanted.
    pub(super) fn missing_claim(&self, subject: &Subject) -> Option<&str> {
        self.claims().iter().find(|(name, wanted)| !has_claim(subject, name, wanted)).map(|(name, _)| name.as_str())
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Self::any()
    }
}

/// Whether each of these types is one of those. An empty list is all types there are.
fn is_within(these: &[TokenType], those: &[TokenType]) -> bool {
    those.is_empty() || (!these.is_empty() && these.iter().all(|kind| those.contains(kind)))
}

fn has_claim(subject: &Subject, name: &str, wanted: &Value) -> bool {
    match subject.claims.get(name) {
        Some(Value::Array(many)) => many.contains(wanted) || wanted.as_array() == Some(many),
        Some(one) => one == wanted,
        None => false,
    }
}

/// Whom a rule finds: an allow is for the party that the token names; a deny is for whoever that was before, too.
pub(super) fn parties(query: &Query, allows: bool) -> impl Iterator<Item = &Party> {
    [Some(&query.subject.party), query.subject.origin.as_ref().filter(|_| !allows)].into_iter().flatten()
}
