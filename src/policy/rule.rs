use crate::{
    authority::{Query, Semantics},
    registry::Party,
};
use serde_json::Value;
use std::time::Duration;

/// Names that a rule is about, or any name, which must be written out.
///
/// ```
/// use tower_token_exchange::policy::Names;
///
/// let one: Names = "billing".into();
/// let some: Names = ["billing", "ledger"].into();
/// let any = Names::any();
/// # let _ = (one, some, any);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub(super) Option<Vec<String>>);

impl Names {
    /// Any name.
    pub fn any() -> Self {
        Self(None)
    }

    /// The names, if not any will do.
    pub(crate) fn listed(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn include(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
    }
}

impl From<&str> for Names {
    fn from(name: &str) -> Self {
        Self(Some(vec![name.to_owned()]))
    }
}

impl<const N: usize> From<[&str; N]> for Names {
    fn from(names: [&str; N]) -> Self {
        Self(Some(names.map(str::to_owned).into()))
    }
}

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        Self(Some(names))
    }
}

/// The subjects that a rule is about.
///
/// ```
/// use tower_token_exchange::policy::Subjects;
///
/// let staff = Subjects::of_issuer("https://idp.example").with_claim("department", "finance");
/// let alice = Subjects::of_issuer("https://idp.example").named(["alice"]);
/// # let _ = (staff, alice);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    pub(crate) issuer: Option<String>,
    pub(crate) subs: Option<Vec<String>>,
    clients: bool,
    claims: Vec<(String, Value)>,
}

impl Subjects {
    /// Any subject of any issuer that has a record, but no client by itself ([`Subjects::or_clients`]).
    pub fn any() -> Self {
        Self::default()
    }

    /// The subjects of one issuer.
    pub fn of_issuer(iss: impl Into<String>) -> Self {
        Self { issuer: Some(iss.into()), ..Self::default() }
    }

    /// Only these, by the `sub` that their issuer gives them.
    #[must_use]
    pub fn named<T: Into<String>>(mut self, subs: impl IntoIterator<Item = T>) -> Self {
        self.subs = Some(subs.into_iter().map(Into::into).collect());
        self
    }

    /// Clients too, with tokens that no user stands behind, such as those of the client credentials grant. Without it,
    /// an allow is about users alone, even where it names one that is called like a client; a deny is about both.
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
        self.claims.push((name.into(), value.into()));
        self
    }

    /// An allow is for the party that the token names; a deny is for whoever that was before, too.
    fn include(&self, query: &Query, allows: bool) -> bool {
        let names = |Party { iss, sub }: &Party| {
            self.issuer.as_ref().is_none_or(|own| own == iss)
                && self.subs.as_ref().is_none_or(|subs| subs.contains(sub))
        };
        let origin = query.subject.origin.as_ref().filter(|_| !allows);
        let claim_fits = |(name, wanted): &(String, Value)| match query.subject.claims.get(name) {
            Some(Value::Array(many)) => many.contains(wanted) || wanted.as_array() == Some(many),
            Some(one) => one == wanted,
            None => false,
        };
        let right_kind = !allows || self.clients || !query.subject.is_client;
        right_kind && (names(&query.subject.party) || origin.is_some_and(names)) && self.claims.iter().all(claim_fits)
    }
}

/// The actors that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actors(Acting);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Acting {
    Client,
    Any,
    Parties(Vec<Party>),
}

impl Actors {
    /// The authenticated client itself.
    pub fn client() -> Self {
        Self(Acting::Client)
    }

    /// The client, and whoever it is registered to carry.
    pub fn any() -> Self {
        Self(Acting::Any)
    }

    /// These parties, by their issuer and name.
    pub fn parties(parties: impl IntoIterator<Item = Party>) -> Self {
        Self(Acting::Parties(parties.into_iter().collect()))
    }

    pub(super) fn are_none(&self) -> bool {
        matches!(&self.0, Acting::Parties(parties) if parties.is_empty())
    }

    fn include(&self, query: &Query) -> bool {
        match &self.0 {
            Acting::Client => query.actor.is_client,
            Acting::Any => true,
            Acting::Parties(parties) => parties.contains(&query.actor.party),
        }
    }
}

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
    pub(crate) id: Option<String>,
    pub(crate) allows: bool,
    pub(crate) clients: Names,
    pub(crate) subjects: Subjects,
    pub(crate) targets: Names,
    pub(super) actors: Actors,
    pub(super) scopes: Option<Names>,
    pub(super) delegation: bool,
    pub(super) impersonation: bool,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) max_depth: Option<usize>,
}

impl Rule {
    /// A rule that allows delegation, where the client itself acts, of the scopes that it goes on to name.
    pub fn allow(clients: impl Into<Names>, subjects: Subjects, targets: impl Into<Names>) -> Self {
        Self {
            id: None,
            allows: true,
            clients: clients.into(),
            subjects,
            targets: targets.into(),
            actors: Actors::client(),
            scopes: None,
            delegation: false,
            impersonation: false,
            max_lifetime: None,
            max_depth: None,
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
        self.id = Some(id.into());
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
        self.max_lifetime = Some(lifetime);
        self
    }

    /// The most actors that it allows in one token.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = Some(depth);
        self
    }

    /// The actors that it names.
    pub(crate) fn parties(&self) -> &[Party] {
        match &self.actors.0 {
            Acting::Parties(parties) => parties,
            Acting::Client | Acting::Any => &[],
        }
    }

    /// The scopes that it names.
    pub(crate) fn listed_scopes(&self) -> &[String] {
        self.scopes.as_ref().map(Names::listed).unwrap_or_default()
    }

    pub(super) fn semantics(&self) -> Semantics {
        if self.impersonation && !self.delegation { Semantics::Impersonation } else { Semantics::Delegation }
    }

    pub(super) fn matches(&self, query: &Query) -> bool {
        let mut targets = query.targets.iter();
        let targets_match = if self.allows {
            targets.all(|target| self.targets.include(target))
        } else {
            targets.any(|target| self.targets.include(target))
        };
        targets_match
            && self.clients.include(&query.client_id)
            && self.subjects.include(query, self.allows)
            && self.actors.include(query)
    }
}
