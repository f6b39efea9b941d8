use super::Actor;
use crate::{
    protocol::{Reason, Rejection, is_name, refuse},
    records::{IssuerId, Party, Registry},
    token::VerifiedToken,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use std::{io, iter, sync::Arc};

/// The members of `act` that identify an actor, in the order in which they are written. Other claims have no meaning inside
/// `act` (RFC 8693 section 4.1).
const IDENTITY_MEMBERS: [&str; 6] = ["client_id", "email", "iss", "name", "sub", "sub_profile"];
/// The largest chain in an issued token, in bytes of JSON.
const MAX_BYTES: usize = 4096;

/// The actors of a token, the current actor first (RFC 8693 section 4.1). A clone, and a chain with one more actor, share the
/// earlier actors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ActChain(Option<Arc<Hop>>);

#[derive(Debug, PartialEq)]
struct Hop {
    party: Party,
    /// The members of `act` other than `iss`, `sub` and `act`.
    members: Map<String, Value>,
    earlier: ActChain,
}

impl ActChain {
    /// Reads the claim `act` of a subject token. A chain that cannot be kept whole refuses the exchange.
    ///
    /// An actor without `iss` is a party of the issuer of the token.
    pub(super) fn read(token: &VerifiedToken) -> Result<Self, Rejection> {
        let Some(outermost) = token.claims.get("act") else { return Ok(Self::default()) };
        if !token.issuer.act {
            return Err(refuse(Reason::ChainNotTrusted).with_detail(format_args!("issuer `{}`", token.issuer.id)));
        }
        Self::from_claim(outermost, &token.issuer.id)
    }

    /// Reads the claim `act` of a token of this issuer.
    pub(crate) fn from_claim(act: &Value, issuer: &IssuerId) -> Result<Self, Rejection> {
        let actors: Vec<_> = iter::successors(Some(act), |act| act.get("act"))
            .map(|act| read_actor(act, issuer))
            .collect::<Result<_, _>>()?;
        Ok(actors.into_iter().rfold(Self::default(), |chain, (party, members)| chain.after(party, members)))
    }

    /// The chain with one more actor, who is the current actor.
    fn after(self, party: Party, members: Map<String, Value>) -> Self {
        Self(Some(Arc::new(Hop { party, members, earlier: self })))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The number of actors.
    pub(crate) fn depth(&self) -> usize {
        self.parties().count()
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        iter::successors(self.0.as_deref(), |hop| hop.earlier.0.as_deref()).map(|hop| &hop.party)
    }

    /// The names of the actors other than the names in the chain.
    pub(super) fn other_names(&self, registry: &Registry) -> Vec<Party> {
        let mut names = registry.names_of(self.parties().cloned());
        names.retain(|name| self.parties().all(|known| known != name));
        names
    }

    /// The chain with this actor as the current actor. A chain whose current actor is this actor stays the same.
    pub(super) fn extended(
        mut self,
        registry: &Registry,
        actor: &Actor,
        may_repeat: bool,
        max_depth: usize,
    ) -> Result<Self, Rejection> {
        let position = self.parties().position(|known| actor.names.contains(known));
        if position != Some(0) {
            if position.is_some() && !may_repeat {
                return Err(refuse(Reason::ActorRepeated).with_detail(format_args!("`{}`", actor.party.sub)));
            }
            self = self.after(actor.name_in_act.clone(), Map::new());
        }
        if self.depth() > max_depth {
            let detail = format!("{} actors, and `max_chain_depth` of the layer is {max_depth}", self.depth());
            return Err(refuse(Reason::ChainTooDeep).with_detail(detail));
        }
        let bytes = self.to_claim(registry.own_issuer()).map_or(0, |act| act.len());
        if bytes > MAX_BYTES {
            return Err(
                refuse(Reason::ChainTooDeep).with_detail(format_args!("{bytes} bytes, and the limit is {MAX_BYTES}"))
            );
        }
        Ok(self)
    }

    /// The claim `act` of an issued token, or `None` for an empty chain. The claim names the issuer of an actor only if
    /// the issuer of the token is another one.
    pub(crate) fn to_claim<'a>(&'a self, own_issuer: &'a IssuerId) -> Option<ActClaim<'a>> {
        Some(ActClaim { current: self.0.as_deref()?, own_issuer })
    }
}

/// The claim `act` of an issued token.
pub(crate) struct ActClaim<'a> {
    current: &'a Hop,
    own_issuer: &'a IssuerId,
}

impl ActClaim<'_> {
    /// The length of the claim in bytes of JSON.
    fn len(&self) -> usize {
        let mut length = Length(0);
        // Counting bytes cannot fail.
        let _ = serde_json::to_writer(&mut length, self);
        length.0
    }
}

impl Serialize for ActClaim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { current: Hop { party, members, earlier }, own_issuer } = *self;
        let mut act = serializer.serialize_map(None)?;
        if let Some(inner) = earlier.to_claim(own_issuer) {
            act.serialize_entry("act", &inner)?;
        }
        for name in IDENTITY_MEMBERS {
            match name {
                "iss" if party.iss == *own_issuer => {}
                "iss" => act.serialize_entry(name, &party.iss)?,
                "sub" => act.serialize_entry(name, &party.sub)?,
                _ => members.get(name).map_or(Ok(()), |value| act.serialize_entry(name, value))?,
            }
        }
        act.end()
    }
}

/// Counts the bytes that are written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads one actor: the party, and the other members that identify the party.
fn read_actor(act: &Value, token_issuer: &IssuerId) -> Result<(Party, Map<String, Value>), Rejection> {
    let malformed = |detail: &str| refuse(Reason::ChainMalformed).with_detail(detail);
    let act = act.as_object().ok_or_else(|| malformed("`act` is not an object"))?;
    let is_known = |name: &str| name == "act" || IDENTITY_MEMBERS.contains(&name);
    if let Some(other) = act.keys().find(|name| !is_known(name)) {
        return Err(malformed(&format!("`act` has the member `{other}`, which does not identify an actor")));
    }
    let name = |member: &str| match act.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text)),
        Some(_) => Err(malformed(&format!("`{member}` in `act` is not a name"))),
    };
    let iss = name("iss")?.map_or_else(|| token_issuer.clone(), IssuerId::from);
    let sub = name("sub")?.ok_or_else(|| malformed("an actor in `act` has no `sub`"))?;
    let others = act.iter().filter(|(name, _)| !matches!(name.as_str(), "act" | "iss" | "sub"));
    let members: Map<_, _> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !members.values().all(Value::is_string) {
        return Err(malformed("a member of `act` is not a string"));
    }
    Ok((Party::new(iss, sub), members))
}
