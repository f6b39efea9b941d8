use crate::{
    policy::{Effect, Semantics},
    protocol::{ClientId, TargetId},
};
use serde::Serialize;
use std::sync::Arc;

/// A target of a [`DelegationGraph`](super::DelegationGraph).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TargetNode {
    /// The id of the target.
    pub id: TargetId,
    /// The client that is this service ([`Target::served_by`](crate::Target::served_by)). This client can exchange the tokens
    /// that the target receives.
    pub served_by: Option<ClientId>,
}

/// What one rule permits or denies to one client at one target.
///
/// An edge is the most that the rule and the records permit. The tokens of a request can permit less.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The name of the rule.
    pub rule: Arc<str>,
    /// Whether the rule allows or denies.
    pub effect: Effect,
    /// Whether the rule has no effect yet ([`Rule::shadow`](crate::policy::Rule::shadow)).
    pub shadow: bool,
    /// The client.
    pub client: ClientId,
    /// The target.
    pub target: TargetId,
    /// The subjects of the rule, as a text.
    pub subjects: Arc<str>,
    /// The actors of the rule, as texts. Empty if the client itself acts.
    pub actors: Arc<[String]>,
    /// The scopes that the rule, the target and the client permit, sorted. Empty for a deny rule.
    pub scopes: Arc<[String]>,
    /// The semantics of the issued tokens. `None` for a deny rule.
    pub semantics: Option<Semantics>,
    /// The longest lifetime of an issued token in seconds, as the rule, the target and the client permit. `None` without such a
    /// limit: the limit of the layer applies.
    pub max_lifetime: Option<u64>,
    /// The most actors in the claim `act`, if the rule limits them.
    pub max_depth: Option<usize>,
    /// The further conditions and permissions of the rule, as texts.
    pub conditions: Arc<[String]>,
}

impl Edge {
    /// What the edge permits or denies, and its limits and conditions, as texts for a person.
    pub(super) fn permission_texts(&self) -> Vec<String> {
        let mut texts = match self.effect {
            Effect::Allow => vec![self.scopes.join(" ")],
            Effect::Deny => vec!["denied".to_owned()],
        };
        texts.extend(self.semantics.map(|semantics| format!("by {semantics}")));
        texts.extend(self.max_lifetime.map(|seconds| format!("at most {seconds} s")));
        texts.extend(self.max_depth.map(|depth| format!("at most {depth} actors in `act`")));
        texts.extend(self.conditions.iter().cloned());
        texts
    }
}
