//! The whole tree, and what is revoked in it.

use crate::{
    support::{AS, IDP},
    world::{AGENTS, CLIENTS, KEYS},
};
use proptest::{prelude::*, sample::select};

/// A name and its issuer.
pub type Who = (&'static str, &'static str);

/// A token.
#[derive(Clone, Debug)]
pub struct Node {
    /// The subject token and the actor token of its exchange.
    pub parents: Option<(usize, Option<usize>)>,
    pub iss: &'static str,
    /// The subject by the name of its own issuer.
    pub subject: Who,
    /// The same subject by its name at the server.
    pub name_here: String,
    pub session: Option<&'static str>,
    pub key: &'static str,
    /// The client that the token was issued to.
    pub client: Option<usize>,
    /// The target, for a token of the server or of the layer.
    pub target: Option<usize>,
    /// The parties in `act`, by their names at the server.
    pub actors: Vec<String>,
    pub issued_at: u64,
    pub expires_at: u64,
    pub is_revoked: bool,
}

#[derive(Clone, Debug)]
pub enum Cut {
    Subject(Who),
    /// A subject by its name at the server.
    SubjectHere(String),
    Session(Who),
    Client(usize),
    Actor(String),
    Issuer(&'static str),
    Key(Who),
}

impl Cut {
    pub const KINDS: [&'static str; 7] = ["subject", "subject here", "session", "client", "actor", "issuer", "key"];
}

pub fn any_cut() -> impl Strategy<Value = Cut> {
    let user = select(vec![(IDP, "alice"), (IDP, "bob"), (AS, "carol"), (AGENTS, "a1"), (AGENTS, "a2")]);
    let actors = vec!["agents|a1", "agents|a2", "one", "two", "three"];
    prop_oneof![
        user.clone().prop_map(Cut::Subject),
        user.prop_map(|who| Cut::SubjectHere(name_here(who))),
        select(vec![(IDP, "s1"), (IDP, "s2"), (AS, "s1")]).prop_map(Cut::Session),
        (0..CLIENTS.len()).prop_map(Cut::Client),
        select(actors).prop_map(|actor| Cut::Actor(actor.to_owned())),
        select(vec![IDP, AGENTS]).prop_map(Cut::Issuer),
        select(vec![(IDP, KEYS[0]), (IDP, KEYS[1]), (AGENTS, KEYS[2]), (AS, KEYS[3]), (AS, KEYS[4])])
            .prop_map(Cut::Key),
    ]
}

pub fn name_here((iss, sub): Who) -> String {
    match iss {
        IDP => format!("idp|{sub}"),
        AGENTS => format!("agents|{sub}"),
        _ => sub.to_owned(),
    }
}

impl Node {
    pub fn is_issued(&self) -> bool {
        self.parents.is_some()
    }

    fn is_of_agent(&self) -> bool {
        self.subject.0 == AGENTS
    }

    /// The client that may exchange the token for a target. `None` if nobody may.
    pub fn presenter_at(&self, target: usize) -> Option<usize> {
        let client = self.target.unwrap_or(target.wrapping_add(1) % CLIENTS.len());
        (self.target != Some(target)).then_some(client)
    }
}

/// All tokens of a case.
#[derive(Debug, Default)]
pub struct Oracle {
    pub nodes: Vec<Node>,
    pub cuts: Vec<(Cut, u64)>,
}

impl Oracle {
    pub fn has_expired(&self, number: usize, now: u64) -> bool {
        self.nodes[number].expires_at <= now
    }

    /// Tokens with many hops have too many actors.
    pub fn can_be_subject(&self, number: usize) -> bool {
        self.ancestors_of(&self.nodes[number]).len() < 14
    }

    /// A token of an agent that can be an actor token. Nobody acts for itself.
    pub fn actor_token(&self, choice: usize, subject: usize, now: u64) -> Option<usize> {
        let name = &self.nodes[subject].name_here;
        let is_good = |number: &usize| {
            let node = &self.nodes[*number];
            let is_actor = node.is_of_agent() && node.actors.is_empty() && node.name_here != *name;
            is_actor && !self.has_expired(*number, now)
        };
        let candidates: Vec<_> = (0..self.nodes.len()).filter(is_good).collect();
        (!candidates.is_empty()).then(|| candidates[choice % candidates.len()])
    }

    /// The token that an exchange would issue.
    pub fn issued(&self, subject: usize, actor: Option<usize>, client: usize, target: usize, now: u64) -> Node {
        let from = &self.nodes[subject];
        let mut actors = from.actors.clone();
        let current = self.acting(actor, client);
        // The tokens of agents are exchanged without `act`.
        let is_impersonation = from.is_of_agent() && actor.is_none() && actors.is_empty();
        if !is_impersonation && actors.first() != Some(&current) {
            actors.insert(0, current);
        }
        Node {
            parents: Some((subject, actor)),
            iss: AS,
            subject: from.subject,
            name_here: from.name_here.clone(),
            session: None,
            key: KEYS[4],
            client: Some(client),
            target: Some(target),
            actors,
            issued_at: now,
            expires_at: 0,
            is_revoked: false,
        }
    }

    /// The longest way from a token to a root, in exchanges.
    pub fn hops(&self, node: &Node) -> usize {
        let Some((subject, actor)) = node.parents else { return 0 };
        1 + [Some(subject), actor].into_iter().flatten().map(|parent| self.hops(&self.nodes[parent])).max().unwrap()
    }

    /// The party that acts in an exchange.
    pub fn acting(&self, actor: Option<usize>, client: usize) -> String {
        actor.map_or_else(|| CLIENTS[client].to_owned(), |actor| self.nodes[actor].name_here.clone())
    }

    /// What revokes a token or one of its ancestors. In an exchange, a party acts, even if the issued token does not name it.
    pub fn problem(&self, node: &Node, acting: Option<&str>) -> Option<&'static str> {
        let mut tree = self.ancestors_of(node);
        // A token that is not issued yet was issued after every moment.
        if node.expires_at != 0 {
            tree.push(node);
        }
        if tree.iter().any(|node| node.is_revoked) {
            return Some("token");
        }
        self.cuts.iter().find_map(|(cut, moment)| Self::reaches(cut, *moment, node, acting, &tree))
    }

    fn reaches(cut: &Cut, moment: u64, node: &Node, acting: Option<&str>, tree: &[&Node]) -> Option<&'static str> {
        let any = |has: &dyn Fn(&Node) -> bool| tree.iter().any(|node| has(node) && node.issued_at < moment);
        match cut {
            Cut::Subject(who) => any(&|node| node.subject == *who).then_some("subject"),
            Cut::SubjectHere(name) => any(&|node| node.name_here == *name).then_some("subject here"),
            Cut::Session((iss, sid)) => any(&|node| node.iss == *iss && node.session == Some(sid)).then_some("session"),
            Cut::Client(client) => any(&|node| node.client == Some(*client)).then_some("client"),
            Cut::Actor(name) => {
                let acts = node.actors.contains(name) || acting == Some(name);
                (acts && any(&|_| true)).then_some("actor")
            }
            Cut::Issuer(iss) => any(&|node| node.iss == *iss).then_some("issuer"),
            Cut::Key((iss, key)) => any(&|node| node.iss == *iss && node.key == *key).then_some("key"),
        }
    }

    fn ancestors_of(&self, node: &Node) -> Vec<&Node> {
        let mut found = std::collections::BTreeSet::new();
        let mut open: Vec<usize> = node.parents.into_iter().flat_map(|(a, b)| [Some(a), b]).flatten().collect();
        while let Some(number) = open.pop() {
            if found.insert(number) {
                open.extend(self.nodes[number].parents.into_iter().flat_map(|(a, b)| [Some(a), b]).flatten());
            }
        }
        found.into_iter().map(|number| &self.nodes[number]).collect()
    }
}
