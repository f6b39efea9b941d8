use super::{
    Edge, TargetNode, dot, edges, mermaid,
    picture::{Picture, Style},
    svg,
};
use crate::{
    exchange::Exchange,
    protocol::{ClientId, TargetId},
};
use serde::Serialize;

/// What the rules permit, within the limits of the records.
///
/// `Display` writes one line for each edge. With serde, a program reads the same graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DelegationGraph {
    /// The targets, in the order of the records.
    pub targets: Vec<TargetNode>,
    /// What the rules permit and deny, in the order of the rules. Empty if the policy of the layer is not a table of rules.
    pub edges: Vec<Edge>,
    /// The number of edges that the graph leaves out, because it has 200 000 edges already.
    pub omitted: usize,
}

impl DelegationGraph {
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let (registry, rules) = (&exchange.registry, exchange.table.as_ref().map_or(&[][..], |table| table.rules()));
        let targets = registry.targets().iter();
        let targets = targets.map(|target| TargetNode { id: target.id.clone(), served_by: target.owner.clone() });
        let targets = targets.collect();
        let (edges, omitted) = edges::all(registry, rules);
        Self { targets, edges, omitted }
    }

    /// Keeps only the edges of these clients and targets. An empty list stands for all.
    pub fn only(mut self, clients: &[ClientId], targets: &[TargetId]) -> Self {
        let is_kept = |edge: &Edge| {
            (clients.is_empty() || clients.contains(&edge.client))
                && (targets.is_empty() || targets.contains(&edge.target))
        };
        self.edges.retain(is_kept);
        self
    }

    /// Draws the graph as SVG. The picture needs no script, no font and no other file, and has a light and a dark form.
    pub fn to_svg(&self) -> String {
        svg::draw(&self.picture(), "Who may exchange tokens for which target")
    }

    /// Draws the graph as a Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(&self.picture())
    }

    /// Draws the graph in the DOT language of Graphviz.
    pub fn to_dot(&self) -> String {
        dot::draw(&self.picture())
    }

    fn picture(&self) -> Picture {
        let edges = self.edges.iter().map(|edge| (edge, Style::of(edge)));
        Picture::of(edges, &self.targets, self.omitted)
    }
}
