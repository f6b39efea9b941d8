use super::{Outcome, Permission, Presented, Presenter, TokenState, matrix::outcome};
use crate::{
    protocol::{Reason, Rejection, TargetId, refuse},
    token::{Binding, Confirmation},
};

/// The facts that decide the binding of the issued token, beside the permission of the policy.
#[derive(Clone, Debug)]
pub(crate) struct BindingBounds {
    pub(crate) subject: Confirmation,
    /// What the actor token says. Without an actor token, [`Confirmation::Free`].
    pub(crate) actor: Confirmation,
    /// What the sender of the request possesses.
    pub(crate) presented: Binding,
    pub(crate) presenter: Presenter,
    pub(crate) demands: Demands,
}

/// What the records and the layer demand of the issued token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demands {
    /// Whether the token is bound to the certificate of the client.
    pub(crate) certificate: bool,
    /// Who demands a bound token, as a text for the audit.
    pub(crate) bound: Option<String>,
    /// The target that accepts only bearer tokens.
    pub(crate) bearer: Option<TargetId>,
}

/// What the issued token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IssuedBinding {
    outcome: Outcome,
    binding: Binding,
}

impl IssuedBinding {
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    pub(crate) fn binding(&self) -> Binding {
        self.binding
    }
}

impl BindingBounds {
    /// Refuses the request if no permission of a policy can help.
    pub(crate) fn check_possible(&self) -> Result<(), Rejection> {
        let refusal = match self.decide(Permission::Unchanged) {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        let is_possible = [Permission::Rebind, Permission::Release].iter().any(|one| self.decide(*one).is_ok());
        if is_possible { Ok(()) } else { Err(refusal) }
    }

    /// The outcome for a permission.
    pub(crate) fn outcome(&self, permission: Permission) -> Outcome {
        self.decide(permission).map_or(Outcome::Refused, |issued| issued.outcome)
    }

    /// Decides what the issued token is bound to, by the [`MATRIX`](super::MATRIX). The token is bound to nothing that the
    /// client does not present, and a presented DPoP proof is never dropped.
    pub(crate) fn decide(&self, permission: Permission) -> Result<IssuedBinding, Rejection> {
        let mut binding = Binding { key: self.presented.key, certificate: None };
        let mut is_continued = true;
        for (subject, presented) in self.cells() {
            let found = outcome(subject, presented, self.presenter, permission);
            if found == Outcome::Refused {
                return Err(refusal(subject, presented, permission));
            }
            is_continued &= found == Outcome::Continued;
            if found.is_bound() && matches!(presented, Presented::SameCertificate | Presented::OtherCertificate) {
                binding.certificate = self.presented.certificate;
            }
        }
        binding = binding.and(self.proven_by_actor()?);
        if self.demands.certificate {
            binding.certificate = self.presented.certificate;
        }
        self.demands.check(&binding)?;
        let is_free = self.subject == Confirmation::Free;
        let outcome = match binding.is_none() {
            true if is_free => Outcome::Bearer,
            true => Outcome::Released,
            false if is_free => Outcome::Bound,
            false if is_continued => Outcome::Continued,
            false => Outcome::Rebound,
        };
        Ok(IssuedBinding { outcome, binding })
    }

    /// The cells of the matrix that apply: one for each member of `cnf`, because each of them has to be proven.
    fn cells(&self) -> impl Iterator<Item = (TokenState, Presented)> {
        let Binding { key, certificate } = self.presented;
        let other = match (key, certificate) {
            (Some(_), _) => Presented::OtherKey,
            (None, Some(_)) => Presented::OtherCertificate,
            (None, None) => Presented::Nothing,
        };
        let of_binding = |bound: Binding| {
            let by_key = if bound.key == key { Presented::SameKey } else { other };
            let by_certificate = if bound.certificate == certificate { Presented::SameCertificate } else { other };
            [
                bound.key.map(|_| (TokenState::BoundToKey, by_key)),
                bound.certificate.map(|_| (TokenState::BoundToCertificate, by_certificate)),
            ]
        };
        let cells = match self.subject {
            Confirmation::Free => [Some((TokenState::Free, other)), None],
            Confirmation::Bound(bound) => of_binding(bound),
            Confirmation::Unknown => [Some((TokenState::Unknown, other)), None],
        };
        cells.into_iter().flatten()
    }

    /// What the actor token is bound to. The client has to present all of it, whatever the policy permits.
    fn proven_by_actor(&self) -> Result<Binding, Rejection> {
        match self.actor {
            Confirmation::Free => Ok(Binding::none()),
            Confirmation::Bound(bound) if self.presented.contains(&bound) => Ok(bound),
            Confirmation::Bound(_) => Err(refuse(Reason::BindingNotProven).with_detail("the actor token")),
            Confirmation::Unknown => Err(refuse(Reason::TokenSenderConstrained).with_detail("the actor token")),
        }
    }
}

impl Demands {
    fn check(&self, binding: &Binding) -> Result<(), Rejection> {
        match self {
            Self { bound: Some(who), .. } if binding.is_none() => {
                Err(refuse(Reason::SenderConstraintRequired).with_detail(who.as_str()))
            }
            Self { bearer: Some(target), .. } if !binding.is_none() => {
                Err(refuse(Reason::SenderConstraintRefused).with_detail(format_args!("target `{target}`")))
            }
            _ => Ok(()),
        }
    }
}

fn refusal(subject: TokenState, presented: Presented, permission: Permission) -> Rejection {
    if subject == TokenState::Unknown {
        return refuse(Reason::TokenSenderConstrained).with_detail("the subject token");
    }
    match outcome(subject, presented, Presenter::SameClient, permission) {
        Outcome::Refused => refuse(Reason::BindingNotProven).with_detail("the subject token"),
        _ => refuse(Reason::BindingOfOtherClient),
    }
}
