use super::names;
use crate::{
    protocol::{Reason, Rejection, refuse},
    records::{ClientRecord, Party, Registry},
    token::VerifiedToken,
};
use serde_json::Value;

/// The party that acts: the party of the actor token, or the client if the request has no actor token.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// The party under its local name.
    pub(crate) party: Party,
    /// Every name of the party. The first is the name in the actor token.
    pub(crate) names: Vec<Party>,
    /// The name of the party in `act`.
    pub(super) name_in_act: Party,
    /// Whether the party is the authenticated client.
    pub(crate) is_client: bool,
}

impl Actor {
    /// Identifies the actor. An actor token is accepted if its party is the client, or if the record of the client lists
    /// the party. Any other actor token may be stolen.
    pub(super) fn identify(
        registry: &Registry,
        client: &ClientRecord,
        actor_token: Option<&VerifiedToken>,
    ) -> Result<Self, Rejection> {
        let client_party = Party::new(registry.own_issuer(), &client.id);
        let Some(token) = actor_token else {
            let names = registry.names_of([client_party.clone()]);
            return Ok(Self { name_in_act: client_party.clone(), party: client_party, names, is_client: true });
        };
        if token.claims.contains("act") {
            return Err(refuse(Reason::ActorDelegated));
        }
        if token.claims.get("may_act").is_some_and(|may_act| !may_act.is_object()) {
            return Err(refuse(Reason::MayActMalformed));
        }
        let party = names::local_party(registry, token);
        // Users and clients share the name space of this authorization server. A token that a client obtained for
        // itself names the client in `client_id` too.
        let is_token_of_client = !token.own || token.presenter.as_deref() == Some(client.id.as_str());
        let is_client = party == client_party && is_token_of_client;
        if is_client || client.carries.contains(&party) {
            let issued_sub = names::issued_sub(registry, token).ok();
            return Ok(Self {
                names: names::all_names(registry, token, issued_sub.as_ref()),
                name_in_act: names::name_in_act(registry, token),
                party,
                is_client,
            });
        }
        let detail =
            format!("client `{}` may not present an actor token of `{}` from `{}`", client.id, party.sub, party.iss);
        Err(refuse(Reason::ActorNotCarried).with_detail(detail))
    }

    /// The names other than the name that rules for actors compare.
    pub(crate) fn other_names(&self) -> Vec<Party> {
        self.names.iter().filter(|name| **name != self.party).cloned().collect()
    }

    /// Checks the claim `may_act` of the subject token (RFC 8693 section 4.4). Every member must match the actor.
    /// Returns whether the subject token has the claim.
    pub(super) fn check_may_act(
        &self,
        registry: &Registry,
        client: &ClientRecord,
        subject: &VerifiedToken,
        actor_token: Option<&VerifiedToken>,
    ) -> Result<bool, Rejection> {
        let Some(may_act) = subject.claims.get("may_act") else { return Ok(false) };
        let malformed = || refuse(Reason::MayActMalformed);
        let members = may_act.as_object().ok_or_else(malformed)?;
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(malformed()),
        };
        let (iss, sub, client_id) = (text("iss")?, text("sub")?, text("client_id")?);
        if sub.is_none() && client_id.is_none() {
            return Err(malformed());
        }
        let namespace = iss.unwrap_or(subject.issuer.id.as_str());
        let party_matches = sub.is_none_or(|sub| names::local_name(registry, Party::new(namespace, sub)) == self.party);
        let names_client = |name| {
            let issuer = registry.issuer(namespace)?;
            (self.is_client && registry.client_meant(issuer, name)? == &client.id).then_some(())
        };
        let client_matches = client_id.is_none_or(|name| names_client(name).is_some());
        // Only an actor token can prove any other member.
        let others_match = members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "iss" | "sub" | "client_id"))
            .all(|(name, value)| actor_token.is_some_and(|actor| actor.claims.get(name) == Some(value)));
        if party_matches && client_matches && others_match {
            return Ok(true);
        }
        let named = sub.or(client_id).unwrap_or_default();
        let detail = if party_matches && client_matches {
            format!("`may_act` has a member that no actor token of `{}` has", self.party.sub)
        } else {
            format!(
                "`may_act` names `{named}` of `{namespace}`, and the actor is `{}` of `{}`",
                self.party.sub, self.party.iss
            )
        };
        Err(refuse(Reason::MayActMismatch).with_detail(detail))
    }
}
