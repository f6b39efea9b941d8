use super::names::local_name;
use crate::{
    protocol::{Reason, Rejection, refuse},
    records::{IssuerId, Party, Registry},
    token::{VerifiedToken, is_name},
};
use serde_json::{Map, Value};

/// Members of `act` that say who somebody is. Anything else has no meaning there (RFC 8693 section 4.1).
const IDENTITY_MEMBERS: [&str; 6] = ["iss", "sub", "client_id", "sub_profile", "email", "name"];
/// The largest chain that is written, in bytes of JSON.
const MAX_BYTES: usize = 4096;

/// The actors of a token, the current one first (RFC 8693 section 4.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ActChain(Vec<Hop>);

#[derive(Clone, Debug, PartialEq)]
struct Hop {
    party: Party,
    /// What else the chain says about it.
    members: Map<String, Value>,
}

impl ActChain {
    /// Reads the chain of a subject token, whole or not at all. A hop without `iss` is in the name space of the
    /// issuer that it came from.
    pub(super) fn read(token: &VerifiedToken) -> Result<Self, Rejection> {
        let Some(outermost) = token.claims.get("act") else { return Ok(Self::default()) };
        if !token.issuer.act {
            return Err(refuse(Reason::ChainNotTrusted).with_detail(format_args!("issuer `{}`", token.issuer.id)));
        }
        let malformed = |detail: &str| refuse(Reason::ChainMalformed).with_detail(detail);
        let mut chain = Vec::new();
        let mut next = Some(outermost);
        while let Some(act) = next {
            let mut members = act.as_object().ok_or_else(|| malformed("`act` is not an object"))?.clone();
            next = act.get("act");
            members.shift_remove("act");
            if let Some(stray) = members.keys().find(|name| !IDENTITY_MEMBERS.contains(&name.as_str())) {
                return Err(malformed(&format!("`{stray}` inside `act`")));
            }
            let mut name = |member: &str| match members.shift_remove(member) {
                None => Ok(None),
                Some(Value::String(text)) if is_name(&text) => Ok(Some(text)),
                Some(_) => Err(malformed("a name inside `act` is no name")),
            };
            let iss = name("iss")?.map_or_else(|| token.issuer.id.clone(), IssuerId::from);
            let sub = name("sub")?.ok_or_else(|| malformed("an actor without `sub`"))?;
            if !members.values().all(Value::is_string) {
                return Err(malformed("a name inside `act` is no name"));
            }
            chain.push(Hop { party: Party { iss, sub }, members });
        }
        Ok(Self(chain))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        self.0.iter().map(|actor| &actor.party)
    }

    /// The chain with this party as the current actor: the same chain if it already is.
    pub(super) fn extended(
        mut self,
        registry: &Registry,
        party: &Party,
        may_repeat: bool,
        max_depth: usize,
    ) -> Result<Self, Rejection> {
        let position = self.parties().position(|known| local_name(registry, &known.iss, &known.sub) == *party);
        if position != Some(0) {
            if position.is_some() && !may_repeat {
                return Err(refuse(Reason::ActorRepeated).with_detail(format_args!("`{}`", party.sub)));
            }
            self.0.insert(0, Hop { party: party.clone(), members: Map::new() });
        }
        if self.depth() > max_depth {
            return Err(refuse(Reason::ChainTooDeep).with_detail(format_args!("{} actors", self.depth())));
        }
        let bytes = self.to_json(registry.own_issuer().as_str()).map_or(0, |act| act.to_string().len());
        if bytes > MAX_BYTES {
            return Err(refuse(Reason::ChainTooDeep).with_detail(format_args!("{bytes} bytes")));
        }
        Ok(self)
    }

    /// The `act` claim, or nothing for an empty chain. `iss` stands where it is not the token's own.
    pub(crate) fn to_json(&self, own_issuer: &str) -> Option<Value> {
        self.0.iter().rev().fold(None, |inner, actor| {
            let mut act = Map::new();
            if actor.party.iss != *own_issuer {
                act.insert("iss".into(), actor.party.iss.as_str().into());
            }
            act.insert("sub".into(), actor.party.sub.clone().into());
            act.extend(actor.members.clone());
            if let Some(inner) = inner {
                act.insert("act".into(), inner);
            }
            Some(act.into())
        })
    }
}
