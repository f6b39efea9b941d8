use super::PartySet;
use std::time::Duration;

/// One rule of who may use a resource: the actor, the subject and the client of the access token, its scope, and the login of the
/// subject.
///
/// A rule always says who acts: [`without_actor`](Self::without_actor), [`with_actor`](Self::with_actor) or
/// [`any_actor`](Self::any_actor). Every further condition makes the rule allow less. A request is allowed if one rule allows the
/// request.
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::resource::{AccessRule, PartySet};
///
/// const AS: &str = "https://as.example";
///
/// // The client `billing` acts for a user.
/// let read = AccessRule::with_actor(PartySet::of(AS, ["billing"])).for_users().scopes(["c:read"]);
/// // Nobody acts for the user, who logged in with a second factor less than five minutes ago.
/// let pay = AccessRule::without_actor()
///     .for_users()
///     .scopes(["c:pay"])
///     .require_acr(["urn:example:mfa"])
///     .max_auth_age(Duration::from_secs(300));
/// // At most two actors. Only these parties may have acted earlier.
/// let agents = AccessRule::with_actor(PartySet::all_of("https://agents.example"))
///     .max_actors(2)
///     .earlier_actors(PartySet::of(AS, ["platform"]));
/// # let _ = (read, pay, agents);
/// ```
///
/// # In a document
///
/// The keys are the names of the methods. `actor` is the word `none`, the word `any`, or a list of parties:
///
/// ```
/// use tower_token_exchange::resource::AccessRule;
///
/// let rule: AccessRule = toml::from_str(
///     r#"
///     actor = [{ issuer = "https://as.example", names = ["billing"] }]
///     for_users = true
///     scopes = ["c:read"]
///     max_actors = 2
///     max_auth_age = "15m"
///     "#,
/// )?;
/// # let _ = rule;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AccessRule {
    pub(super) actor: ActorCondition,
    pub(super) subjects: Option<PartySet>,
    pub(super) users_only: bool,
    pub(super) clients: Option<PartySet>,
    pub(super) scopes: Vec<String>,
    pub(super) max_actors: Option<usize>,
    pub(super) earlier_actors: Option<PartySet>,
    pub(super) acr_values: Option<Vec<String>>,
    pub(super) max_auth_age: Option<Duration>,
    pub(super) requires_sender_constraint: bool,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActorCondition {
    /// The token has no `act`.
    Nobody,
    /// The current actor is one of these parties.
    OneOf(PartySet),
    /// Anybody or nobody.
    Any,
}

impl AccessRule {
    fn new(actor: ActorCondition) -> Self {
        Self {
            actor,
            subjects: None,
            users_only: false,
            clients: None,
            scopes: Vec::new(),
            max_actors: None,
            earlier_actors: None,
            acr_values: None,
            max_auth_age: None,
            requires_sender_constraint: false,
        }
    }

    /// Creates a rule for tokens without an actor: nobody acts for the subject.
    pub fn without_actor() -> Self {
        Self::new(ActorCondition::Nobody)
    }

    /// Creates a rule for tokens whose current actor is one of these parties. Who acted earlier makes no difference.
    pub fn with_actor(parties: PartySet) -> Self {
        Self::new(ActorCondition::OneOf(parties))
    }

    /// Creates a rule for all tokens, with and without an actor.
    pub fn any_actor() -> Self {
        Self::new(ActorCondition::Any)
    }

    /// Sets the accepted subjects. Default: every subject.
    pub fn subjects(mut self, parties: PartySet) -> Self {
        self.subjects = Some(parties);
        self
    }

    /// Accepts only tokens for users: the client does not act for itself (RFC 9068 section 5). Default: all tokens.
    pub fn for_users(mut self) -> Self {
        self.users_only = true;
        self
    }

    /// Sets the accepted clients: the clients that the tokens were issued to, by the names that the issuers use. Default: every
    /// client, and tokens that name no client.
    pub fn clients(mut self, parties: PartySet) -> Self {
        self.clients = Some(parties);
        self
    }

    /// Sets the scope tokens that the access token needs, all of them. Default: none.
    pub fn scopes<T: Into<String>>(mut self, tokens: impl IntoIterator<Item = T>) -> Self {
        self.scopes = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the most actors of the token, the current actor and the earlier actors together. Default: the limit of the layer.
    pub fn max_actors(mut self, actors: usize) -> Self {
        self.max_actors = Some(actors);
        self
    }

    /// Sets the parties that may be earlier actors. A token with another earlier actor is refused.
    ///
    /// Default: the earlier actors make no difference (RFC 8693 section 4.1).
    pub fn earlier_actors(mut self, parties: PartySet) -> Self {
        self.earlier_actors = Some(parties);
        self
    }

    /// Requires a login of the subject with one of these `acr` values, as the issuer writes them (RFC 9470). Default: every login.
    pub fn require_acr<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// Requires a login of the subject that is not older than this (`auth_time`, RFC 9470). A token without `auth_time` does not
    /// meet the condition. Default: every login.
    pub fn max_auth_age(mut self, age: Duration) -> Self {
        self.max_auth_age = Some(age);
        self
    }

    /// Requires a token that is bound to a key or a certificate (`cnf`). Default: bearer tokens are accepted too.
    pub fn require_sender_constraint(mut self) -> Self {
        self.requires_sender_constraint = true;
        self
    }
}
