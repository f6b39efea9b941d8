use super::{
    DelegationGraph, Edge, TargetNode, dot, mermaid,
    picture::{Picture, Style},
    svg,
};
use crate::policy::{Effect, Semantics};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// What a new document opens and closes, compared with an old document: the answer of [`DelegationGraph::changes_to`].
///
/// Shadow rules open and close nothing. The comparison goes by client, target, subjects and actors, as the rules write them. So
/// an edge can be listed although a rule with other subjects permits the same exchange before and after the change.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     graph::DelegationGraph,
///     policy::{Names, Rule, Subjects},
///     signing::{Algorithm, LocalSigner},
/// };
///
/// fn graph(scopes: &[&str]) -> Result<DelegationGraph, Box<dyn std::error::Error>> {
///     let layer = TokenExchangeLayer::builder("https://as.example")
///         .clients([Client::new("orders").secret("a-long-and-random-secret")])
///         .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read", "write"])])
///         .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(scopes.iter().copied().collect::<Names>())])
///         .signer(LocalSigner::generate(Algorithm::ES256)?)
///         .build()?;
///     Ok(layer.delegation_graph())
/// }
///
/// let changes = graph(&["read"])?.changes_to(&graph(&["read", "write"])?);
/// assert_eq!(changes.opens.len(), 1);
/// assert_eq!(changes.opens[0].differences, ["adds the scope write"]);
/// assert!(changes.closes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GraphChanges {
    /// What the new document permits and the old document does not: edges of new allow rules, and edges of deny rules that the
    /// new document lacks.
    pub opens: Vec<Change>,
    /// What the old document permits and the new document does not.
    pub closes: Vec<Change>,
    /// The targets of both documents, for the picture.
    #[serde(skip)]
    targets: Vec<TargetNode>,
}

/// An edge that only one of two documents has, or has in this extent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The edge. If its effect is [`Effect::Deny`], the new document lacks the edge (in `opens`) or adds the edge (in
    /// `closes`).
    pub edge: Edge,
    /// How the edge differs from the edge of the other document that is most similar, as texts such as `adds the scope write`.
    /// Empty if the other document has no similar edge.
    pub differences: Vec<String>,
}

impl DelegationGraph {
    /// Compares this graph, as the old one, with a new graph.
    pub fn changes_to(&self, new: &Self) -> GraphChanges {
        between(self, new)
    }
}

impl GraphChanges {
    /// Whether nothing opens and nothing closes.
    pub fn is_empty(&self) -> bool {
        self.opens.is_empty() && self.closes.is_empty()
    }

    /// Draws the changes as SVG, as [`DelegationGraph::to_svg`] does: what opens, and what closes.
    pub fn to_svg(&self) -> String {
        svg::draw(&self.picture(), "What the change opens and closes")
    }

    /// Draws the changes as a Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(&self.picture())
    }

    /// Draws the changes in the DOT language of Graphviz.
    pub fn to_dot(&self) -> String {
        dot::draw(&self.picture())
    }

    fn picture(&self) -> Picture {
        let opens = self.opens.iter().map(|change| (&change.edge, Style::Opens));
        let closes = self.closes.iter().map(|change| (&change.edge, Style::Closes));
        Picture::of(opens.chain(closes), &self.targets, 0)
    }
}

fn between(old: &DelegationGraph, new: &DelegationGraph) -> GraphChanges {
    let mut targets = new.targets.clone();
    targets.extend(old.targets.iter().filter(|target| new.targets.iter().all(|known| known.id != target.id)).cloned());
    let (from, to) = (ByKey::new(old), ByKey::new(new));
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for edge in &new.edges {
        match edge.effect {
            Effect::Allow => opens.extend(from.change_of(edge)),
            Effect::Deny => closes.extend(from.change_of(edge)),
        }
    }
    for edge in &old.edges {
        match edge.effect {
            Effect::Allow => closes.extend(to.change_of(edge)),
            Effect::Deny => opens.extend(to.change_of(edge)),
        }
    }
    GraphChanges { opens, closes, targets }
}

/// Edges with the same key can be compared.
type Key<'a> = (Effect, &'a str, &'a str, &'a str, &'a [String], bool);

fn key(edge: &Edge) -> Key<'_> {
    let is_delegation = edge.semantics == Some(Semantics::Delegation);
    (edge.effect, edge.client.as_str(), edge.target.as_str(), &edge.subjects, &edge.actors, is_delegation)
}

/// The edges of a graph that are in force, by their keys.
struct ByKey<'a>(HashMap<Key<'a>, Vec<&'a Edge>>);

impl<'a> ByKey<'a> {
    fn new(graph: &'a DelegationGraph) -> Self {
        let mut by_key = HashMap::<_, Vec<_>>::new();
        for edge in graph.edges.iter().filter(|edge| !edge.shadow) {
            by_key.entry(key(edge)).or_default().push(edge);
        }
        Self(by_key)
    }

    /// How an edge of the other graph exceeds these edges. `None` if one of these edges permits or denies as much.
    fn change_of(&self, edge: &Edge) -> Option<Change> {
        if edge.shadow {
            return None;
        }
        let similar = self.0.get(&key(edge)).map_or(&[][..], Vec::as_slice);
        let all: Vec<_> = similar.iter().map(|other| differences(edge, other)).collect();
        if all.iter().any(Vec::is_empty) {
            return None;
        }
        let differences = all.into_iter().min_by_key(Vec::len).unwrap_or_default();
        Some(Change { edge: edge.clone(), differences })
    }
}

/// What an edge has more than another edge.
fn differences(edge: &Edge, other: &Edge) -> Vec<String> {
    let known: HashSet<&String> = other.scopes.iter().collect();
    let added: Vec<_> = edge.scopes.iter().filter(|scope| !known.contains(scope)).cloned().collect();
    let mut differences = Vec::new();
    if !added.is_empty() {
        differences.push(format!("adds the scope {}", added.join(" ")));
    }
    let mut limit = |name: &str, unit: &str, own: Option<u64>, others: Option<u64>| match (own, others) {
        (None, Some(others)) => differences.push(format!("has no {name} instead of {others}{unit}")),
        (Some(own), Some(others)) if own > others => {
            differences.push(format!("has the {name} {own}{unit} instead of {others}{unit}"));
        }
        _ => {}
    };
    limit("lifetime limit", " s", edge.max_lifetime, other.max_lifetime);
    let depth = |edge: &Edge| edge.max_depth.and_then(|depth| u64::try_from(depth).ok());
    limit("limit of actors", "", depth(edge), depth(other));
    if edge.conditions != other.conditions {
        let text = |edge: &Edge| if edge.conditions.is_empty() { "none".into() } else { edge.conditions.join(", ") };
        differences.push(format!("has the conditions: {} instead of: {}", text(edge), text(other)));
    }
    differences
}
