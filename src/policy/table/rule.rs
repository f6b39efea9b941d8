use super::{
    actors::Actors,
    names::{Names, SharedNames},
    subjects::Subjects,
};
use crate::{policy::Semantics, proof::Permission, protocol::named_values, records::Wording};
use std::{hash::Hash, time::Duration};

/// One rule of a [`Table`](super::Table): clients, subjects and targets, and what the rule allows or denies.
///
/// Every rule names clients, subjects and targets. A rule for all clients, subjects or targets needs [`Names::any`] or
/// [`Subjects::any`].
///
/// An allow rule also names the scopes, and can lower the limits of the issued token or require more of the request. A
/// deny rule refuses the whole request.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::policy::{Names, Rule, Subjects};
///
/// let allow = Rule::allow("orders", Subjects::any(), "billing")
///     .scopes(["invoices:read"])
///     .max_lifetime(Duration::from_secs(60));
/// let deny = Rule::deny(Names::any(), Subjects::any().with_claim("suspended", true), Names::any());
/// # let _ = (allow, deny);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    id: Option<Box<str>>,
    /// The position in the table, from 1. 0 before the rule is in a table.
    number: usize,
    /// Whether the rule was built in code or read from a document.
    pub(super) wording: Wording,
    pub(crate) effect: Effect,
    pub(crate) clients: Names,
    pub(crate) subjects: Subjects,
    pub(crate) targets: Names,
    pub(super) actors: Actors,
    pub(crate) scopes: Option<Names>,
    pub(super) delegation: bool,
    pub(super) impersonation: bool,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_depth: Option<usize>,
    pub(super) requires_actor_token: bool,
    pub(super) requires_sender_constraint: bool,
    pub(super) binding: Permission,
    /// On the heap, because most rules have no condition on the login.
    pub(super) login: Option<Box<LoginCondition>>,
    pub(crate) shadow: bool,
}

/// The effect of a rule that matches a query.
///
/// ```
/// use tower_token_exchange::policy::Effect;
///
/// assert_eq!(Effect::Deny.to_string(), "deny");
/// assert_eq!("allow".parse(), Ok(Effect::Allow));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, rename_all = "snake_case"))]
pub enum Effect {
    /// The rule allows the exchange.
    #[default]
    Allow,
    /// The rule refuses the exchange.
    Deny,
}

impl Effect {
    const ALL: [Self; 2] = [Self::Allow, Self::Deny];

    /// Returns the name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

named_values!(Effect, as_str, "`allow` or `deny`");

/// The login that a rule requires (RFC 9470).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct LoginCondition {
    /// The accepted values, in the order in which the client gets them.
    pub(super) acr_values: Option<Vec<String>>,
    pub(super) max_age: Option<Duration>,
}

impl Rule {
    /// Creates a rule that allows delegation, with the client itself as the actor. [`Rule::scopes`] must follow.
    ///
    /// If a request names several targets, an allow rule matches only if the rule names all of them.
    pub fn allow(clients: impl Into<Names>, subjects: Subjects, targets: impl Into<Names>) -> Self {
        Self {
            id: None,
            number: 0,
            wording: Wording::Methods,
            effect: Effect::Allow,
            clients: clients.into(),
            subjects,
            targets: targets.into(),
            actors: Actors::client(),
            scopes: None,
            delegation: false,
            impersonation: false,
            max_lifetime: None,
            max_depth: None,
            requires_actor_token: false,
            requires_sender_constraint: false,
            binding: Permission::Unchanged,
            login: None,
            shadow: false,
        }
    }

    /// Creates a rule that refuses a request, whatever other rules allow. The rule applies to every actor, unless
    /// [`Rule::actors`] names some.
    ///
    /// If a request names several targets, a deny rule matches if the rule names one of them.
    ///
    /// A deny rule matches a subject, an actor and an earlier actor under every name that the party has, in every exchange.
    /// Every subject has a name of our own issuer in issued tokens. So a deny rule for all subjects of our own issuer
    /// matches every subject.
    pub fn deny(clients: impl Into<Names>, subjects: Subjects, targets: impl Into<Names>) -> Self {
        Self { effect: Effect::Deny, actors: Actors::any(), ..Self::allow(clients, subjects, targets) }
    }

    /// Sets the name of the rule in audit events. Default: the position in the table, such as `rule 3`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into().into());
        self
    }

    /// Sets the actors that the rule applies to. Default: the client itself for an allow rule, every actor for a deny
    /// rule.
    pub fn actors(mut self, actors: Actors) -> Self {
        self.actors = actors;
        self
    }

    /// Sets the scopes that the rule allows, by their names at the target. [`Names::any`] allows every scope. An allow
    /// rule without scopes is an error.
    pub fn scopes(mut self, scopes: impl Into<Names>) -> Self {
        self.scopes = Some(scopes.into());
        self
    }

    /// Allows delegation. A rule that allows neither delegation nor impersonation explicitly allows delegation.
    pub fn delegation(mut self) -> Self {
        self.delegation = true;
        self
    }

    /// Allows impersonation. If a rule allows both, the layer issues a delegation.
    pub fn impersonation(mut self) -> Self {
        self.impersonation = true;
        self
    }

    /// Sets the longest lifetime of the issued token, in whole seconds. The lifetime must be at least 1 s. The records
    /// can set a shorter lifetime.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Sets the largest number of actors in the `act` claim of the issued token. A rule that allows delegation needs at
    /// least 1.
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = Some(depth);
        self
    }

    /// Requires an actor token, even if the client itself is the actor. Without an actor token, the rule does not match.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"]).require_actor_token();
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "no actor token");
    /// query.actor.by_token = true;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn require_actor_token(mut self) -> Self {
        self.requires_actor_token = true;
        self
    }

    /// Requires that the issued token is bound to its sender, by a proof of possession (RFC 9449) or by a certificate
    /// (RFC 8705).
    ///
    /// The page [`proof`](crate::manual::proof) says when an issued token is bound.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]).require_sender_constraint();
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "a thief could use such a token");
    /// query.sender_constrained = true;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn require_sender_constraint(mut self) -> Self {
        self.requires_sender_constraint = true;
        self
    }

    /// Lets the client exchange a bound subject token for a token that is bound to another key or certificate, which the client
    /// proves. Without this permission, a bound token can be exchanged only by the client that the token was issued to, with
    /// the same key or certificate.
    ///
    /// A service that receives a bound token of its caller, and calls another service with a token for its own key, needs this
    /// permission. The rule still issues no bearer token for a bound token.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     policy::{Decision, Query, Rule, Subjects, Table},
    ///     proof::Outcome,
    ///     records::Party,
    /// };
    ///
    /// let table = Table::new([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]).rebind()])?;
    ///
    /// // The subject token is bound to the key of another client, and `orders` proves a key of its own.
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
    /// query.max_scope = "read".parse().unwrap_or_default();
    /// (query.bindings.unchanged, query.bindings.rebind) = (Outcome::Refused, Outcome::Rebound);
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn rebind(mut self) -> Self {
        self.binding = self.binding.max(Permission::Rebind);
        self
    }

    /// Lets the client exchange a bound subject token for a bearer token, which works for everyone who has it. Each such
    /// exchange leaves an audit event that is an alarm.
    ///
    /// The permission is for a target that cannot check bound tokens. It includes the permission to [`rebind`](Self::rebind):
    /// a client that proves a key gets a bound token.
    pub fn release(mut self) -> Self {
        self.binding = Permission::Release;
        self
    }

    /// Requires a login with one of these `acr` values, the preferred value first.
    ///
    /// If only the login is missing, and no other rule allows the request, the client gets 400 and
    /// `insufficient_user_authentication` with `acr_values`, and with `max_age` if the rule has one (RFC 9470). Values of
    /// a foreign issuer count as the issuer's record translates them ([`Issuer::map_acr`](crate::Issuer::map_acr)). An
    /// untranslated value does not count.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]).require_acr(["phrh", "phr"]);
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// query.subject.acr = Some("pwd".to_owned());
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)));
    /// query.subject.acr = Some("phr".to_owned());
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn require_acr<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.login.get_or_insert_default().acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// Requires a login (`auth_time`) that is at most this old, in whole seconds, by the clock of the layer. A subject
    /// token without `auth_time` does not meet the condition. If only the login is missing, the client gets the same
    /// answer as for [`require_acr`](Self::require_acr).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_token_exchange::{
    ///     policy::{Decision, Query, Rule, Subjects, Table},
    ///     records::Party,
    ///     token::NumericDate,
    /// };
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]);
    /// let table = Table::new([rule.max_auth_age(Duration::from_secs(300))])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// query.now = NumericDate::from_seconds(1_000);
    /// query.subject.auth_time = Some(NumericDate::from_seconds(699));
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)));
    /// query.subject.auth_time = Some(NumericDate::from_seconds(700));
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn max_auth_age(mut self, age: Duration) -> Self {
        self.login.get_or_insert_default().max_age = Some(age);
        self
    }

    /// Makes the rule a shadow rule, which never has an effect. If the table would decide differently with all its shadow
    /// rules in force, the decision and the audit event (`shadow`) state the difference, such as `would deny: rule 3`.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Names, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let table = Table::new([
    ///     Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]),
    ///     Rule::deny(Names::any(), Subjects::any().in_group("interns"), "billing").id("no interns").shadow(),
    /// ])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
    /// assert_eq!(table.decide(&query).shadow(), None);
    /// query.subject.claims.insert("groups", "interns");
    /// let decision = table.decide(&query);
    /// assert!(matches!(decision, Decision::Allow(_)));
    /// assert_eq!(decision.shadow().map(ToString::to_string).as_deref(), Some("would deny: no interns"));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    pub(crate) fn is_allow(&self) -> bool {
        self.effect == Effect::Allow
    }

    pub(super) fn is_deny(&self) -> bool {
        self.effect == Effect::Deny
    }

    pub(crate) fn semantics(&self) -> Semantics {
        if self.impersonation && !self.delegation { Semantics::Impersonation } else { Semantics::Delegation }
    }

    /// The name of the rule in audit events.
    pub(crate) fn name(&self) -> String {
        self.name_at(self.number)
    }

    /// The name of the rule at a position in a table, from 1.
    pub(crate) fn name_at(&self, number: usize) -> String {
        self.id.as_deref().map_or_else(|| format!("rule {number}"), str::to_owned)
    }

    /// The index of the rule in its table, from 0.
    pub(super) fn position(&self) -> usize {
        self.number.saturating_sub(1)
    }

    /// Everything that the rule states, without its name and its position.
    pub(super) fn content(&self) -> impl PartialEq + Hash {
        let Self { id: _, number: _, wording: _, effect, clients, subjects, targets, actors, scopes, .. } = self;
        let flags = [self.requires_actor_token, self.requires_sender_constraint, self.shadow];
        (
            (effect, clients, subjects, targets, actors, scopes),
            (self.delegation, self.impersonation, self.max_lifetime, self.max_depth, &self.login, self.binding, flags),
        )
    }

    /// Puts the rule at a position in a table, from 1: sorts the lists, which [`Names::contains`] needs, and shares the
    /// memory of names with the other rules.
    pub(super) fn in_table(mut self, number: usize, shared: &mut SharedNames) -> Self {
        self.number = number;
        self.clients.normalize();
        self.targets.normalize();
        self.subjects.normalize(shared);
        for names in [Some(&mut self.clients), Some(&mut self.targets), self.scopes.as_mut()].into_iter().flatten() {
            shared.share(names);
        }
        self
    }
}

/// Two rules are equal if they have the same id and the same content. The position in a table does not matter.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.content() == other.content()
    }
}

impl Eq for Rule {}
