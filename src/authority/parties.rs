use super::{Actor, names};
use crate::{
    protocol::Rejection,
    records::{Party, Registry, SubjectId},
    token::VerifiedToken,
};

/// The subject and the actor of an exchange, under every name that counts in this authorization server.
#[derive(Debug)]
pub(crate) struct Parties {
    /// The `sub` of the issued token.
    pub(crate) issued_sub: SubjectId,
    /// Every name of the subject. The first is the name in the subject token.
    subject_names: Vec<Party>,
    /// Whether the subject is a client, so that no user is behind the subject token.
    pub(crate) subject_is_client: bool,
    pub(crate) actor: Actor,
    /// Whether the subject and the actor are the same party under any of their names.
    pub(super) actor_is_subject: bool,
}

impl Parties {
    /// Finds all names of the subject, and compares the names with the actor.
    pub(super) fn new(registry: &Registry, subject: &VerifiedToken, actor: Actor) -> Result<Self, Rejection> {
        let issued_sub = names::issued_sub(registry, subject)?;
        let subject_names = names::all_names(registry, subject, Some(&issued_sub));
        Ok(Self {
            subject_is_client: is_client(registry, subject),
            actor_is_subject: subject_names.iter().any(|name| actor.names.contains(name)),
            issued_sub,
            subject_names,
            actor,
        })
    }

    /// Every name of the subject. The first is the name in the subject token.
    pub(crate) fn subject_names(&self) -> impl Iterator<Item = &Party> {
        self.subject_names.iter()
    }

    /// The names of the subject other than the name in the subject token.
    pub(crate) fn subject_other_names(&self) -> &[Party] {
        &self.subject_names[1..]
    }
}

/// Whether the subject is a client.
fn is_client(registry: &Registry, subject: &VerifiedToken) -> bool {
    let is_registered = |party: &Party| registry.is_own(&party.iss) && registry.client(&party.sub).is_some();
    // A user may have the same name as a client. In a token with `act`, `client_id` names the last actor and tells
    // nothing about the subject.
    let counts = !subject.own || subject.origin.party.is_some() || subject.claims.contains("act");
    let is_registered_client = counts && is_registered(&names::name_in_act(registry, subject));
    // A token that a client obtained for itself names the client twice. The client need not be registered in this
    // authorization server (RFC 9068 section 2.2).
    subject.presenter_is_subject || is_registered_client
}
