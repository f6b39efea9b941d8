use crate::{
    protocol::{Reason, Rejection, refuse},
    records::{ClientRecord, Party, Registry},
    token::VerifiedToken,
};
use serde_json::Value;

/// Who acts: the actor token's party if there is one, else the client itself.
#[derive(Clone, Debug)]
pub(super) struct Acting {
    pub(super) party: Party,
    /// Whether that is the authenticated client.
    pub(super) is_client: bool,
}

impl Acting {
    /// The party that acts. An actor token counts only for the client, or for a party that it is registered to
    /// carry; anything else is somebody else's credential.
    pub(super) fn of(
        registry: &Registry,
        client: &ClientRecord,
        actor: Option<&VerifiedToken>,
    ) -> Result<Self, Rejection> {
        let client_itself = Party::new(registry.own_issuer(), &client.id);
        let Some(token) = actor else {
            return Ok(Self { party: client_itself, is_client: true });
        };
        if token.claims.contains("act") {
            return Err(refuse(Reason::ActorDelegated));
        }
        if token.claims.get("may_act").is_some_and(|may_act| !may_act.is_object()) {
            return Err(refuse(Reason::MayActMalformed));
        }
        let party = canonical(registry, token);
        // Users and clients share our own name space: a client's own token says so in `client_id` too.
        let own_token_of_client = !token.own || token.presenter.as_deref() == Some(&client.id);
        if party == client_itself && own_token_of_client {
            return Ok(Self { party, is_client: true });
        }
        if client.carries.contains(&party) {
            return Ok(Self { party, is_client: false });
        }
        let detail = format!("client `{}` does not carry `{}` of `{}`", client.id, party.sub, party.iss);
        Err(refuse(Reason::ActorNotCarried).because(detail))
    }

    /// Checks `may_act` (RFC 8693 section 4.4), if the subject token has one: every member must name who acts.
    /// Whether it does so is told; a mismatch is refused.
    pub(super) fn named_by_may_act(
        &self,
        registry: &Registry,
        client: &ClientRecord,
        subject: &VerifiedToken,
        actor: Option<&VerifiedToken>,
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
        let namespace = iss.unwrap_or(&subject.issuer.id);
        let party_matches = sub.is_none_or(|sub| canonical_name(registry, namespace, sub) == self.party);
        let names_client = |name| {
            let issuer = registry.issuer(namespace)?;
            (self.is_client && registry.client_meant(issuer, name)? == client.id).then_some(())
        };
        let client_matches = client_id.is_none_or(|name| names_client(name).is_some());
        // Without an actor token nothing vouches for any other member, so none can match.
        let others_match = members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "iss" | "sub" | "client_id"))
            .all(|(name, value)| actor.is_some_and(|actor| actor.claims.get(name) == Some(value)));
        if party_matches && client_matches && others_match { Ok(true) } else { Err(refuse(Reason::MayActMismatch)) }
    }
}

/// The foreign party that the subject of a token of ours was before, where its name still tells.
pub(super) fn origin(registry: &Registry, token: &VerifiedToken) -> Option<Party> {
    token.own.then(|| registry.origin_of(&token.sub)).flatten()
}

/// A token's party under the name that it has here: one of our clients, if its issuer's record says that it is.
pub(super) fn canonical(registry: &Registry, token: &VerifiedToken) -> Party {
    canonical_name(registry, &token.issuer.id, &token.sub)
}

pub(super) fn canonical_name(registry: &Registry, iss: &str, sub: &str) -> Party {
    let ours = (!registry.is_own(iss)).then(|| registry.issuer(iss)?.client_named(sub)).flatten();
    match ours {
        Some(client) => Party::new(registry.own_issuer(), client),
        None => Party::new(iss, sub),
    }
}
