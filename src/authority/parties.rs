use super::{Actor, names};
use crate::{
    protocol::Rejection,
    records::{Party, Registry},
    token::VerifiedToken,
};

/// The subject and the actor of an exchange, under every name that counts in this authorization server.
#[derive(Debug)]
pub(crate) struct Parties {
    /// The `sub` of the issued token.
    pub(crate) issued_sub: String,
    /// The foreign party that an earlier exchange mapped to the subject, if the `sub` of the subject shows that party.
    pub(crate) origin: Option<Party>,
    /// Whether the subject is a client, so that no user is behind the subject token.
    pub(crate) subject_is_client: bool,
    pub(crate) actor: Actor,
    /// Whether the subject and the actor are the same party under any of their names.
    pub(super) actor_is_subject: bool,
}

impl Parties {
    /// Finds all names of the subject, and compares the names with the actor.
    pub(super) fn new(
        registry: &Registry,
        subject: &VerifiedToken,
        actor_token: Option<&VerifiedToken>,
        actor: Actor,
    ) -> Result<Self, Rejection> {
        let issued_sub = names::issued_sub(registry, subject)?;
        let origin = names::origin(registry, subject);
        let local = names::local_party(registry, subject);
        let local_origin = origin.as_ref().map(|origin| names::local_name(registry, &origin.iss, &origin.sub));
        let issued = Party::new(registry.own_issuer(), &issued_sub);
        let issued_sub_of_actor = actor_token.and_then(|actor| names::issued_sub(registry, actor).ok());
        Ok(Self {
            subject_is_client: is_client(registry, subject, &local, local_origin.as_ref()),
            actor_is_subject: [Some(&local), Some(&issued), local_origin.as_ref()].contains(&Some(&actor.party))
                || issued_sub_of_actor.is_some_and(|name| name == issued_sub),
            issued_sub,
            origin,
            actor,
        })
    }
}

/// Whether the subject is a client.
fn is_client(registry: &Registry, subject: &VerifiedToken, local: &Party, local_origin: Option<&Party>) -> bool {
    let is_registered = |party: &Party| registry.is_own(&party.iss) && registry.client(&party.sub).is_some();
    // A user may have the same name as a client. In a token with `act`, `client_id` names the last actor and tells
    // nothing about the subject.
    let is_registered_client = is_registered(local) && (!subject.own || subject.claims.contains("act"));
    // A token that a client obtained for itself names the client twice. The client need not be registered in this
    // authorization server (RFC 9068 section 2.2).
    subject.presenter_is_subject || is_registered_client || local_origin.is_some_and(is_registered)
}
