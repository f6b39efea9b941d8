use serde::Serialize;
use std::fmt;

/// What of a rule does not fit a query.
///
/// ```
/// use tower_token_exchange::policy::Mismatch;
///
/// assert_eq!(Mismatch::Client.to_string(), "it is for other clients");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mismatch {
    /// Its clients.
    Client,
    /// The issuer of its subjects.
    SubjectIssuer,
    /// The names of its subjects.
    SubjectName,
    /// The types of its subjects' tokens.
    SubjectType,
    /// A claim of its subjects.
    Claim,
    /// The subject is a client by itself, and it is for users.
    SubjectIsClient,
    /// Its actors.
    Actor,
    /// It wants an actor token, and there is none.
    ActorToken,
    /// It wants what is issued to be bound to its sender, and it will not be.
    SenderConstraint,
    /// Its targets: an allow must be for all that were asked for, a deny for one.
    Target,
    /// The subject did not log in as it wants.
    Login,
    /// It allows delegation or impersonation, and that cannot be issued.
    SemanticsImpossible,
    /// It allows nothing of the scope.
    ScopeEmpty,
}

impl Mismatch {
    /// What a rule is about: it matches where nothing of this is amiss.
    pub(super) const ABOUT: [Self; 10] = [
        Self::Client,
        Self::SubjectIssuer,
        Self::SubjectName,
        Self::SubjectType,
        Self::Claim,
        Self::SubjectIsClient,
        Self::Actor,
        Self::ActorToken,
        Self::SenderConstraint,
        Self::Target,
    ];

    /// What else can keep a rule that matches from having its effect.
    pub(super) const BEYOND: [Self; 3] = [Self::Login, Self::SemanticsImpossible, Self::ScopeEmpty];

    /// All of them, in the order in which they are looked at.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ABOUT.into_iter().chain(Self::BEYOND)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "it is for other clients",
            Self::SubjectIssuer => "it is for subjects of another issuer",
            Self::SubjectName => "it is for other subjects of this issuer",
            Self::SubjectType => "it is for subject tokens of another type",
            Self::Claim => "it wants a claim that the subject token does not have, or not like this",
            Self::SubjectIsClient => "the subject is a client, and it is for users",
            Self::Actor => "it is for other actors",
            Self::ActorToken => "it wants an actor token",
            Self::SenderConstraint => "it wants what is issued to be bound to its sender",
            Self::Target => "it is for other targets, or not for all of these",
            Self::Login => "it wants a stronger or more recent login",
            Self::SemanticsImpossible => "what it allows, delegation or impersonation, is not possible here",
            Self::ScopeEmpty => "it allows nothing of the scope",
        })
    }
}
