use crate::protocol::named_values;
use Outcome::{Bearer, Bound, Continued, Rebound, Refused, Released};
use Presented::{Nothing, OtherCertificate, OtherKey, SameCertificate, SameKey};
use TokenState::{BoundToCertificate, BoundToKey, Free, Unknown};

/// What a subject token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenState {
    /// The token has no claim `cnf`.
    Free,
    /// The token is bound to the key *K* (`cnf.jkt`).
    BoundToKey,
    /// The token is bound to the certificate *C* (`cnf.x5t#S256`).
    BoundToCertificate,
    /// The claim `cnf` has a member that the layer cannot check.
    Unknown,
}

/// What the request proves that the client possesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Presented {
    /// The request has no proof of possession.
    Nothing,
    /// A DPoP proof of the key *K*, which the subject token is bound to.
    SameKey,
    /// A DPoP proof of another key *L*.
    OtherKey,
    /// The certificate *C*, which the subject token is bound to.
    SameCertificate,
    /// Another certificate *D*.
    OtherCertificate,
}

/// Which client presents the subject token.
///
/// The *same client* is the client that the subject token was issued to: the claim `client_id`, or else `azp`, or the claims
/// of [`TokenRules::presenter_claims`](crate::records::TokenRules::presenter_claims), as the record of the issuer maps their
/// names. A token that names no client was issued to another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Presenter {
    /// The subject token was issued to the authenticated client.
    SameClient,
    /// The subject token was issued to another client, or does not name a client.
    OtherClient,
}

/// What the policy permits about the binding of a bound subject token. A later value permits everything that an earlier
/// value permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// The subject token and the issued token have the same client and the same key or certificate.
    #[default]
    Unchanged,
    /// The issued token may be bound to another key or certificate, which the client proves, and the client may be another
    /// client ([`Rule::rebind`](crate::policy::Rule::rebind)).
    Rebind,
    /// The issued token may be a bearer token ([`Rule::release`](crate::policy::Rule::release)).
    Release,
}

/// What becomes of the binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A bearer token is exchanged for a bearer token.
    Bearer,
    /// A bearer token is exchanged for a token that is bound to what the client presents.
    Bound,
    /// The issued token is bound to the same key or certificate as the subject token.
    Continued,
    /// The issued token is bound to another key or certificate than the subject token, or to a key of another client.
    Rebound,
    /// A bound token is exchanged for a bearer token. The audit event is an alarm.
    Released,
    /// The exchange is refused.
    Refused,
}

impl TokenState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Free, BoundToKey, BoundToCertificate, Unknown];

    /// The name, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Free => "free",
            BoundToKey => "key",
            BoundToCertificate => "certificate",
            Unknown => "unknown",
        }
    }
}

impl Presented {
    /// Everything that a request can present.
    pub const ALL: &'static [Self] = &[Nothing, SameKey, OtherKey, SameCertificate, OtherCertificate];
}

impl Presenter {
    /// Both presenters.
    pub const ALL: &'static [Self] = &[Self::SameClient, Self::OtherClient];
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Self] = &[Self::Unchanged, Self::Rebind, Self::Release];
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] = &[Bearer, Bound, Continued, Rebound, Released, Refused];

    /// The name, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bearer => "bearer",
            Bound => "bound",
            Continued => "continued",
            Rebound => "rebound",
            Released => "released",
            Refused => "refused",
        }
    }

    /// Whether the issued token is bound to a key or a certificate.
    pub const fn is_bound(self) -> bool {
        matches!(self, Bound | Continued | Rebound)
    }
}

named_values!(TokenState, as_str, "a state of a token");
named_values!(Outcome, as_str, "an outcome for a binding");

/// One row of the [`MATRIX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// What the subject token is bound to.
    pub subject: TokenState,
    /// What the request presents.
    pub presented: Presented,
    /// The outcomes without a permission, for the same client and for another client.
    pub unchanged: [Outcome; 2],
    /// The outcomes with the permission to rebind, for the same client and for another client.
    pub rebind: [Outcome; 2],
    /// The outcomes with the permission to release, for the same client and for another client.
    pub release: [Outcome; 2],
}

impl Row {
    /// The outcome for one client and one permission.
    pub const fn outcome(&self, presenter: Presenter, permission: Permission) -> Outcome {
        let outcomes = match permission {
            Permission::Unchanged => &self.unchanged,
            Permission::Rebind => &self.rebind,
            Permission::Release => &self.release,
        };
        match presenter {
            Presenter::SameClient => outcomes[0],
            Presenter::OtherClient => outcomes[1],
        }
    }
}

const fn row(
    subject: TokenState,
    presented: Presented,
    unchanged: [Outcome; 2],
    rebind: [Outcome; 2],
    release: [Outcome; 2],
) -> Row {
    Row { subject, presented, unchanged, rebind, release }
}

/// What becomes of the binding of the subject token, for everything that a request can present.
///
/// The layer decides with this table, and [`manual::proof`](crate::manual::proof) shows it. A record can only demand more
/// than the table.
///
/// ```
/// use tower_token_exchange::proof::{MATRIX, Outcome, Permission, Presented, Presenter, TokenState};
///
/// // A stolen bound token is useless without its key.
/// let row = MATRIX.iter().find(|row| row.subject == TokenState::BoundToKey && row.presented == Presented::Nothing);
/// let outcome = row.map(|row| row.outcome(Presenter::SameClient, Permission::Unchanged));
/// assert_eq!(outcome, Some(Outcome::Refused));
/// ```
#[rustfmt::skip]
pub const MATRIX: [Row; 20] = [
    //                                           unchanged              rebind                release
    //                                           same       other       same       other      same       other
    row(Free, Nothing,                          [Bearer,    Bearer],   [Bearer,    Bearer],  [Bearer,    Bearer]),
    row(Free, SameKey,                          [Bound,     Bound],    [Bound,     Bound],   [Bound,     Bound]),
    row(Free, OtherKey,                         [Bound,     Bound],    [Bound,     Bound],   [Bound,     Bound]),
    row(Free, SameCertificate,                  [Bearer,    Bearer],   [Bearer,    Bearer],  [Bearer,    Bearer]),
    row(Free, OtherCertificate,                 [Bearer,    Bearer],   [Bearer,    Bearer],  [Bearer,    Bearer]),

    row(BoundToKey, Nothing,                    [Refused,   Refused],  [Refused,   Refused], [Released,  Released]),
    row(BoundToKey, SameKey,                    [Continued, Refused],  [Continued, Rebound], [Continued, Rebound]),
    row(BoundToKey, OtherKey,                   [Refused,   Refused],  [Rebound,   Rebound], [Rebound,   Rebound]),
    row(BoundToKey, SameCertificate,            [Refused,   Refused],  [Rebound,   Rebound], [Released,  Released]),
    row(BoundToKey, OtherCertificate,           [Refused,   Refused],  [Rebound,   Rebound], [Released,  Released]),

    row(BoundToCertificate, Nothing,            [Refused,   Refused],  [Refused,   Refused], [Released,  Released]),
    row(BoundToCertificate, SameKey,            [Refused,   Refused],  [Rebound,   Rebound], [Rebound,   Rebound]),
    row(BoundToCertificate, OtherKey,           [Refused,   Refused],  [Rebound,   Rebound], [Rebound,   Rebound]),
    row(BoundToCertificate, SameCertificate,    [Continued, Refused],  [Continued, Rebound], [Released,  Released]),
    row(BoundToCertificate, OtherCertificate,   [Refused,   Refused],  [Rebound,   Rebound], [Released,  Released]),

    row(Unknown, Nothing,                       [Refused,   Refused],  [Refused,   Refused], [Refused,   Refused]),
    row(Unknown, SameKey,                       [Refused,   Refused],  [Refused,   Refused], [Refused,   Refused]),
    row(Unknown, OtherKey,                      [Refused,   Refused],  [Refused,   Refused], [Refused,   Refused]),
    row(Unknown, SameCertificate,               [Refused,   Refused],  [Refused,   Refused], [Refused,   Refused]),
    row(Unknown, OtherCertificate,              [Refused,   Refused],  [Refused,   Refused], [Refused,   Refused]),
];

/// Returns the outcome of a cell of the [`MATRIX`].
pub(super) fn outcome(
    subject: TokenState,
    presented: Presented,
    presenter: Presenter,
    permission: Permission,
) -> Outcome {
    let row = MATRIX.iter().find(|row| row.subject == subject && row.presented == presented);
    row.map_or(Refused, |row| row.outcome(presenter, permission))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_matrix_has_every_row_once() {
        let rows: HashSet<_> = MATRIX.iter().map(|row| (row.subject, row.presented)).collect();
        assert_eq!(rows.len(), TokenState::ALL.len() * Presented::ALL.len());
        assert_eq!(rows.len(), MATRIX.len());
    }

    #[test]
    fn only_a_release_makes_a_bearer_token_of_a_bound_one() {
        for row in MATRIX {
            for (presenter, permission) in
                Presenter::ALL.iter().flat_map(|presenter| Permission::ALL.iter().map(|one| (*presenter, *one)))
            {
                match row.outcome(presenter, permission) {
                    Bearer | Bound => assert_eq!(row.subject, Free, "{row:?}"),
                    Released => assert_eq!(permission, Permission::Release, "{row:?}"),
                    Rebound => assert_ne!(permission, Permission::Unchanged, "{row:?}"),
                    Continued => assert!(matches!(row.presented, SameKey | SameCertificate), "{row:?}"),
                    Refused => {}
                }
            }
        }
    }

    #[test]
    fn a_permission_never_refuses_more() {
        for row in MATRIX {
            for presenter in Presenter::ALL {
                let refused = Permission::ALL.iter().map(|one| row.outcome(*presenter, *one) == Refused);
                assert!(refused.rev().is_sorted(), "{row:?}");
            }
        }
    }

    /// The rows of the table in the manual. A failure prints the rows.
    #[test]
    fn the_manual_shows_the_matrix() {
        let page = include_str!("../manual/proof.md");
        let subject = |state| match state {
            Free => "free",
            BoundToKey => "key *K*",
            BoundToCertificate => "certificate *C*",
            Unknown => "unknown `cnf`",
        };
        let presented = |presented| match presented {
            Nothing => "nothing",
            SameKey => "proof of *K*",
            OtherKey => "proof of *L*",
            SameCertificate => "certificate *C*",
            OtherCertificate => "certificate *D*",
        };
        let row = |row: &Row| {
            let [unchanged, rebind, release] =
                [row.unchanged, row.rebind, row.release].map(|outcomes| match outcomes {
                    [same, other] => format!("{same} | {other}"),
                });
            format!("| {} | {} | {unchanged} | {rebind} | {release} |", subject(row.subject), presented(row.presented))
        };
        let rows: Vec<String> = MATRIX.iter().map(row).collect();
        let shown: Vec<&str> = page.lines().filter(|line| line.matches('|').count() == 9).skip(2).collect();
        assert_eq!(shown, rows, "the rows:\n{}", rows.join("\n"));
    }
}
