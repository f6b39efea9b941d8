//! The definition that the layer is compared with: who a party is, which names the party has, and which rules are about the
//! party. The definition shares no code with the layer.
//!
//! The model trusts two things. An issuer gives each name and each `login` to one subject. A server that signs with the key of
//! the layer does not write the claim `exchanged_from`.

use crate::world::{Acting, First, Holder, Iss, Mapping, Own, Records, Type, login_of};
use std::collections::BTreeSet;

/// A name, and the issuer whose name it is.
pub type Name = (Iss, String);

/// Who a party is, whatever its names are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    OwnUser(String),
    Client(String),
    /// A subject of a foreign issuer, with its tenant if there are several.
    Foreign(Iss, String),
}

/// The clients of the three exchanges, and the name of the first at F.
pub const CLIENTS: [&str; 3] = ["hub", "mid", "end"];
pub const HUB_AT_F: &str = "hub-there";

/// Why the first exchange of a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A token of our own issuer has the name of a foreign subject.
    ForeignName,
    /// A foreign subject would get the name of a client.
    NameOfClient,
}

impl Records {
    pub fn mapping(&self, iss: Iss) -> Option<Mapping> {
        match iss {
            Iss::Ours => None,
            Iss::F => Some(self.f),
            Iss::G => self.g,
        }
    }

    /// Whether two parties could get the same name here, so that the records must be refused.
    pub fn collide(&self) -> bool {
        let all: Vec<Mapping> = [Some(self.f), self.g].into_iter().flatten().collect();
        let takes_any = |mapping: &Mapping| matches!(mapping, Mapping::Keep | Mapping::Claim);
        let overlap = match all[..] {
            [Mapping::Prefix(one), Mapping::Prefix(other)] => one.starts_with(other) || other.starts_with(one),
            [_, _] => all.iter().any(takes_any),
            _ => false,
        };
        let has_empty_prefix = all.contains(&Mapping::Prefix(""));
        overlap || has_empty_prefix || (self.own != Own::NoUsers && all.iter().any(takes_any))
    }

    pub fn is_client(&self, id: &str) -> bool {
        CLIENTS.contains(&id) || id == "app" || self.lookalike == Some(id)
    }

    /// The name of a subject at its issuer, which is unique there.
    pub fn name_there(&self, holder: &Holder) -> String {
        match holder.tenant.filter(|_| self.tenants.len() > 1) {
            Some(tenant) => format!("{tenant}|{}", holder.sub),
            None => holder.sub.to_owned(),
        }
    }

    /// The subject of F that is the client `app`, by its unique name.
    pub fn app_there(&self) -> Option<String> {
        let first = self.tenants.first().copied();
        self.app_at_f.map(|sub| self.name_there(&Holder { iss: Iss::F, tenant: first, sub }))
    }

    pub fn who(&self, holder: &Holder) -> Who {
        let name = self.name_there(holder);
        match holder.iss {
            Iss::Ours if self.is_client(&name) => Who::Client(name),
            Iss::Ours => Who::OwnUser(name),
            Iss::F if self.app_there().as_ref() == Some(&name) => Who::Client("app".to_owned()),
            iss => Who::Foreign(iss, name),
        }
    }

    /// The `sub` that issued tokens have for a foreign subject.
    fn name_here(&self, iss: Iss, there: &str) -> Option<String> {
        Some(match self.mapping(iss)? {
            Mapping::Prefix(prefix) => format!("{prefix}{there}"),
            Mapping::Keep => there.to_owned(),
            Mapping::Claim => match there.split_once('|') {
                Some((tenant, sub)) => format!("{tenant}|{}", login_of(sub)),
                None => login_of(there).to_owned(),
            },
        })
    }

    pub fn issued_sub(&self, holder: &Holder) -> Result<String, Refusal> {
        let there = self.name_there(holder);
        match self.name_here(holder.iss, &there) {
            None if !self.is_client(&there) && self.is_foreign_name(&there) => Err(Refusal::ForeignName),
            None => Ok(there),
            Some(here) if self.is_client(&here) => Err(Refusal::NameOfClient),
            Some(here) => Ok(here),
        }
    }

    /// Whether a foreign subject could have this name here.
    fn is_foreign_name(&self, here: &str) -> bool {
        [Some(self.f), self.g].into_iter().flatten().any(|mapping| match mapping {
            Mapping::Prefix(prefix) => here.starts_with(prefix),
            Mapping::Keep | Mapping::Claim => true,
        })
    }

    /// Every name of the party of a token.
    pub fn names(&self, holder: &Holder) -> BTreeSet<Name> {
        let there = self.name_there(holder);
        let mut names = BTreeSet::from([(holder.iss, there.clone())]);
        names.extend(
            self.name_here(holder.iss, &there).filter(|here| !self.is_client(here)).map(|here| (Iss::Ours, here)),
        );
        if let Who::Client(id) = self.who(holder) {
            names.extend(self.names_of_client(&id));
        }
        names
    }

    /// Every name of a client. A name that a claim gives to a foreign subject is known only from a token with the claim.
    pub fn names_of_client(&self, id: &str) -> BTreeSet<Name> {
        let at_f = match id {
            "app" => self.app_there(),
            "hub" => Some(HUB_AT_F.to_owned()),
            _ => None,
        };
        let mut names = BTreeSet::from([(Iss::Ours, id.to_owned())]);
        if let Some(there) = at_f {
            let here = self.name_here(Iss::F, &there).filter(|here| self.f != Mapping::Claim && !self.is_client(here));
            names.extend(here.map(|here| (Iss::Ours, here)));
            names.insert((Iss::F, there));
        }
        names
    }

    fn name_of_actor(&self, holder: &Holder, acting: Acting) -> Name {
        let there = self.name_there(holder);
        match (self.who(holder), acting) {
            (_, Acting::Exchanged(_)) => (Iss::Ours, self.name_here(holder.iss, &there).unwrap_or(there)),
            (Who::Client(id), _) => (Iss::Ours, id),
            _ => (holder.iss, there),
        }
    }

    /// The party that acts in the first exchange.
    pub fn actor(&self, acting: Acting) -> Option<Holder> {
        let at_f = |sub| Holder { iss: Iss::F, tenant: self.tenants.first().copied(), sub };
        match acting {
            Acting::Client => None,
            Acting::AtF(sub) | Acting::Exchanged(sub) => Some(at_f(sub)),
            Acting::Own(sub) => Some(Holder { iss: Iss::Ours, tenant: None, sub }),
        }
    }
}

/// A rule that names one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    DenySubject(Name),
    DenySubjectAnywhere(String),
    DenyIssuer(Iss),
    DenyType(Type),
    DenySubjectOfType(Name, Type),
    DenyActor(Name),
    AllowActor(Name),
    AllowSubject(Name),
    AllowIssuer(Iss),
    AllowType(Type),
}

/// What is true at one hop of a token.
pub struct Hop {
    /// Every name of the subject.
    pub subject: BTreeSet<Name>,
    /// The name in the subject token.
    pub in_token: Name,
    /// The types of the subject tokens until here, the last last.
    pub types: Vec<Type>,
    /// Every name of the current actor and of the earlier actors.
    pub actors: BTreeSet<Name>,
    /// The name of the current actor: the id of a client, or the name in the actor token.
    pub actor: Name,
}

impl Rule {
    pub fn is_deny(&self) -> bool {
        !matches!(self, Self::AllowSubject(_) | Self::AllowActor(_) | Self::AllowIssuer(_) | Self::AllowType(_))
    }

    /// Whether the builder must refuse the rule: a name that comes from a claim of an actor's token is not in `act`.
    pub fn is_refused(&self, records: &Records) -> bool {
        let by_claim = [Some(records.f), records.g].contains(&Some(Mapping::Claim));
        matches!(self, Self::DenyActor((Iss::Ours, sub)) if by_claim && !records.is_client(sub))
    }

    pub fn is_about(&self, hop: &Hop) -> bool {
        match self {
            Self::DenySubject(name) => hop.subject.contains(name),
            Self::DenySubjectAnywhere(sub) => hop.subject.iter().any(|(_, known)| known == sub),
            Self::DenyIssuer(iss) => hop.subject.iter().any(|(known, _)| known == iss),
            Self::DenyType(token_type) => hop.types.contains(token_type),
            Self::DenySubjectOfType(name, token_type) => hop.subject.contains(name) && hop.types.contains(token_type),
            Self::DenyActor(name) => hop.actors.contains(name),
            Self::AllowActor(name) => hop.actor == *name,
            Self::AllowSubject(name) => hop.in_token == *name,
            Self::AllowIssuer(iss) => hop.in_token.0 == *iss,
            Self::AllowType(token_type) => hop.types.last() == Some(token_type),
        }
    }
}

/// The hops of a first token on a route. The actors of the later hops are the clients.
pub fn hops(records: &Records, first: &First, issued_sub: &str, route: [Type; 2], acting: Acting) -> [Hop; 3] {
    let subject = records.names(&first.holder);
    let mut types = Vec::new();
    let mut actors = BTreeSet::new();
    [0, 1, 2].map(|hop| {
        types.push(if hop == 0 { first.token_type } else { route[hop - 1] });
        let actor = match records.actor(acting).filter(|_| hop == 0) {
            Some(holder) => {
                actors.extend(records.names(&holder));
                records.name_of_actor(&holder, acting)
            }
            None => {
                actors.extend(records.names_of_client(CLIENTS[hop]));
                (Iss::Ours, CLIENTS[hop].to_owned())
            }
        };
        let in_token = match hop {
            0 => (first.holder.iss, records.name_there(&first.holder)),
            _ => (Iss::Ours, issued_sub.to_owned()),
        };
        Hop { subject: subject.clone(), in_token, types: types.clone(), actors: actors.clone(), actor }
    })
}

/// The rules about all names that a world has, and about the same texts at the other issuers.
pub fn rules(names: &BTreeSet<Name>, has_g: bool) -> Vec<Rule> {
    let issuers = if has_g { vec![Iss::Ours, Iss::F, Iss::G] } else { vec![Iss::Ours, Iss::F] };
    let texts: BTreeSet<&String> = names.iter().map(|(_, sub)| sub).collect();
    let mut all = Vec::new();
    for sub in texts {
        all.push(Rule::DenySubjectAnywhere(sub.clone()));
        for iss in &issuers {
            let name = (*iss, sub.clone());
            all.push(Rule::DenySubject(name.clone()));
            all.push(Rule::DenyActor(name.clone()));
            all.push(Rule::AllowActor(name.clone()));
            all.push(Rule::AllowSubject(name));
        }
    }
    for iss in issuers {
        all.extend([Rule::DenyIssuer(iss), Rule::AllowIssuer(iss)]);
    }
    for token_type in [Type::Access, Type::Jwt, Type::Id] {
        all.extend([Rule::DenyType(token_type), Rule::AllowType(token_type)]);
        if token_type != Type::Access {
            all.extend(names.iter().map(|name| Rule::DenySubjectOfType(name.clone(), token_type)));
        }
    }
    all
}
