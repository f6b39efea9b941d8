use super::{Actors, Names, Subjects, login::Login, names::Pool};
use crate::{policy::Semantics, records::Party};
use std::{hash::Hash, sync::Arc, time::Duration};

/// One rule of a [`Table`](super::Table): which client may do what for whom, and where.
///
/// Client, subject and target are named in every rule; `any` is written out.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    id: Option<Box<str>>,
    /// From 1, in a table.
    number: usize,
    pub(crate) allows: bool,
    pub(crate) clients: Names,
    pub(crate) subjects: Subjects,
    pub(crate) targets: Names,
    pub(super) actors: Actors,
    pub(super) scopes: Option<Names>,
    pub(super) delegation: bool,
    pub(super) impersonation: bool,
    pub(super) limits: Option<Box<Limits>>,
    pub(super) by_token: bool,
    pub(super) bound: bool,
    pub(super) shadow: bool,
    pub(super) login: Option<Box<Login>>,
}

/// How far it lets a token go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    pub(super) lifetime: Option<Duration>,
    pub(super) depth: Option<usize>,
}

impl Rule {
    /// A rule that allows delegation, where the client itself acts, of the scopes that it goes on to name.
    pub fn allow(clients: impl Into<Names>, subjects: Subjects, targets: impl Into<Names>) -> Self {
        Self {
            id: None,
            number: 0,
            allows: true,
            clients: clients.into(),
            subjects,
            targets: targets.into(),
            actors: Actors::client(),
            scopes: None,
            delegation: false,
            impersonation: false,
            limits: None,
            by_token: false,
            bound: false,
            shadow: false,
            login: None,
        }
    }

    /// A rule that refuses, whatever others allow, and whoever acts unless it names an actor. It matches if any
    /// of several targets is one of its own, and it finds a foreign subject also after an exchange made it ours.
    pub fn deny(clients: impl Into<Names>, subjects: Subjects, targets: impl Into<Names>) -> Self {
        Self { allows: false, actors: Actors::any(), ..Self::allow(clients, subjects, targets) }
    }

    /// The name under which the audit quotes it. Default: its position, as in `rule 3`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into().into());
        self
    }

    /// Who acts.
    #[must_use]
    pub fn actors(mut self, actors: Actors) -> Self {
        self.actors = actors;
        self
    }

    /// The scopes that it allows, by their names at the target; `Names::any()` for all of them.
    #[must_use]
    pub fn scopes(mut self, scopes: impl Into<Names>) -> Self {
        self.scopes = Some(scopes.into());
        self
    }

    /// Allows delegation. A rule that names no semantics does.
    #[must_use]
    pub fn delegation(mut self) -> Self {
        self.delegation = true;
        self
    }

    /// Allows impersonation. Where a rule allows both, delegation is issued.
    #[must_use]
    pub fn impersonation(mut self) -> Self {
        self.impersonation = true;
        self
    }

    /// The longest lifetime that it allows.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.limits.get_or_insert_default().lifetime = Some(lifetime);
        self
    }

    /// The most actors that it allows in one token.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.limits.get_or_insert_default().depth = Some(depth);
        self
    }

    /// Only where an actor token vouches for who acts, be it the client itself; a client that shows none does not
    /// match.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"]).require_actor_token();
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "nothing but the client's secret");
    /// query.actor.by_token = true;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    #[must_use]
    pub fn require_actor_token(mut self) -> Self {
        self.by_token = true;
        self
    }

    /// Only where what is issued is bound to whoever sends it, by a proof of possession (RFC 9449) or a certificate
    /// (RFC 8705). Nothing that this version issues is, so that a layer refuses a rule with it when it is built, instead
    /// of one that never matches.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]).require_sender_constraint();
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)), "whoever finds such a token could use it");
    /// query.sender_constrained = true;
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    #[must_use]
    pub fn require_sender_constraint(mut self) -> Self {
        self.bound = true;
        self
    }

    /// On trial: it is looked at and never has an effect. Where the table would decide something else if all its rules
    /// on trial were real, the decision says so, and the audit event in `shadow`: `would deny: rule 3`.
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
    #[must_use]
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// Whether it allows delegation, and not even the one actor of that.
    pub(crate) fn has_no_room(&self) -> bool {
        let depth = self.limits.as_ref().and_then(|limits| limits.depth);
        depth == Some(0) && self.semantics() == Semantics::Delegation
    }

    pub(crate) fn wants_sender_constraint(&self) -> bool {
        self.bound
    }

    /// The actors that it names.
    pub(crate) fn parties(&self) -> &[Party] {
        self.actors.listed()
    }

    /// The scopes that it names.
    pub(crate) fn listed_scopes(&self) -> &[Arc<str>] {
        self.scopes.as_ref().and_then(Names::listed).unwrap_or_default()
    }

    pub(super) fn semantics(&self) -> Semantics {
        if self.impersonation && !self.delegation { Semantics::Impersonation } else { Semantics::Delegation }
    }

    /// The name that it goes by.
    pub(crate) fn name(&self) -> String {
        self.name_at(self.number)
    }

    /// Its name at this place in a table, from 1.
    pub(crate) fn name_at(&self, number: usize) -> String {
        self.id.as_deref().map_or_else(|| format!("rule {number}"), str::to_owned)
    }

    /// All that it says, whatever it is called and wherever it stands.
    pub(super) fn content(&self) -> impl PartialEq + Hash {
        let Self { id: _, number: _, allows, clients, subjects, targets, actors, scopes, limits, login, .. } = self;
        let flags = [*allows, self.delegation, self.impersonation, self.by_token, self.bound, self.shadow];
        (flags, (clients, subjects, targets, actors), (scopes, limits, login))
    }

    /// From 1, in a table.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Takes its place in a table: with its lists in order, as those who search them expect, and with what other
    /// rules have too held once.
    pub(super) fn settle(&mut self, number: usize, pool: &mut Pool) {
        self.number = number;
        self.clients.sort();
        self.targets.sort();
        self.subjects.settle(pool);
        for list in [Some(&mut self.clients), Some(&mut self.targets), self.scopes.as_mut()].into_iter().flatten() {
            pool.share(list);
        }
    }
}
