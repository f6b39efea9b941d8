//! What a picture shows: on the left who takes part, in the middle the rules, on the right the targets.

use super::{Edge, TargetNode};
use crate::{policy::Effect, protocol::escaped};
use std::{collections::HashMap, hash::Hash};

/// The most boxes in the middle of a picture. A graph with more rules is drawn with fewer details.
const MAX_BOXES: usize = 60;
/// The most names in the label of a group.
const MAX_NAMES: usize = 3;
/// The longest line of a label, in characters.
const MAX_LINE: usize = 36;
/// The most lines of one part of a label.
const MAX_LINES: usize = 4;

/// How a rule is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Style {
    Allow,
    Deny,
    Shadow,
    Opens,
    Closes,
}

impl Style {
    pub(super) const ALL: [Self; 5] = [Self::Allow, Self::Deny, Self::Shadow, Self::Opens, Self::Closes];

    pub(super) fn of(edge: &Edge) -> Self {
        match edge.effect {
            _ if edge.shadow => Self::Shadow,
            Effect::Allow => Self::Allow,
            Effect::Deny => Self::Deny,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Shadow => "shadow",
            Self::Opens => "opens",
            Self::Closes => "closes",
        }
    }
}

/// A picture in three columns. The lines go from the left to the middle, and from the middle to the right.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) left: Vec<Node>,
    pub(super) middle: Vec<RuleBox>,
    pub(super) right: Vec<Node>,
    /// What the picture leaves out.
    pub(super) note: Option<String>,
}

/// A group of subjects, clients, actors or targets.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Subjects,
    Client,
    Actor,
    Target,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Subjects, Self::Client, Self::Actor, Self::Target];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::Client => "client",
            Self::Actor => "actor",
            Self::Target => "target",
        }
    }
}

/// A rule, or a part of a rule that is the same for some clients and targets.
#[derive(Debug)]
pub(super) struct RuleBox {
    pub(super) style: Style,
    pub(super) lines: Vec<String>,
    /// The positions of its nodes on the left.
    pub(super) left: Vec<usize>,
    /// The positions of its nodes on the right.
    pub(super) right: Vec<usize>,
}

/// A box with names in place of nodes.
struct Draft<'a> {
    style: Style,
    lines: Vec<String>,
    subjects: Option<&'a str>,
    actors: &'a [String],
    clients: Vec<&'a str>,
    targets: Vec<&'a str>,
}

impl Picture {
    pub(super) fn of<'a>(
        edges: impl Iterator<Item = (&'a Edge, Style)>,
        targets: &'a [TargetNode],
        omitted: usize,
    ) -> Self {
        let edges: Vec<_> = edges.collect();
        let mut drafts = detailed(&edges);
        let mut notes = Vec::new();
        if drafts.len() > MAX_BOXES {
            drafts = summarized(&edges);
            notes.push("Rules for the same clients and targets are drawn together.".to_owned());
        }
        if drafts.len() > MAX_BOXES {
            drafts.sort_by_key(|draft| std::cmp::Reverse(draft.clients.len() * draft.targets.len()));
            let more = drafts.len() - MAX_BOXES;
            drafts.truncate(MAX_BOXES);
            notes.push(format!("{more} more groups are not drawn: choose clients or targets to see them."));
        }
        if omitted > 0 {
            notes.push(format!("{omitted} more edges are not drawn."));
        }
        let place = |draft: &Draft<'_>| {
            let place = |name: &&str| targets.iter().position(|target| target.id == **name);
            draft.targets.iter().filter_map(place).min()
        };
        drafts.sort_by_cached_key(|draft| (place(draft), draft.style));
        arranged(&drafts, targets, (!notes.is_empty()).then(|| notes.join(" ")))
    }
}

/// One box for each rule, or several if the rule permits something else to other clients or at other targets.
fn detailed<'a>(edges: &[(&'a Edge, Style)]) -> Vec<Draft<'a>> {
    let facts = |(edge, style): &(&'a Edge, Style)| {
        let limits = (edge.max_lifetime, edge.max_depth, &edge.conditions);
        (*style, &edge.rule, &edge.subjects, &edge.actors, &edge.scopes, edge.semantics, limits)
    };
    let boxes = grouped(edges, facts);
    let draft = |group: Group<'a>| {
        let (edge, style) = group.first;
        let mut lines = wrapped(&escaped(&edge.rule));
        lines.extend(edge.permission_texts().iter().flat_map(|text| wrapped(&escaped(text))));
        let (clients, targets) = (group.clients, group.targets);
        Draft { style, lines, subjects: Some(&edge.subjects), actors: &edge.actors, clients, targets }
    };
    boxes.into_iter().map(draft).collect()
}

/// One box for all rules with the same clients and targets.
fn summarized<'a>(edges: &[(&'a Edge, Style)]) -> Vec<Draft<'a>> {
    let boxes = grouped(edges, |(_, style)| *style);
    let draft = |group: Group<'a>| {
        let (edge, style) = group.first;
        let number = match group.rules {
            1 => escaped(&edge.rule),
            rules => format!("{rules} rules"),
        };
        let (clients, targets) = (group.clients, group.targets);
        Draft { style, lines: vec![style.name().to_owned(), number], subjects: None, actors: &[], clients, targets }
    };
    boxes.into_iter().map(draft).collect()
}

/// Clients with the same facts at the same targets.
struct Group<'a> {
    first: (&'a Edge, Style),
    clients: Vec<&'a str>,
    targets: Vec<&'a str>,
    /// The number of rules.
    rules: usize,
}

/// Groups edges, so that each client of a group has an edge to each target of the group.
fn grouped<'a, K: Eq + Hash + Clone>(
    edges: &[(&'a Edge, Style)],
    facts: impl Fn(&(&'a Edge, Style)) -> K,
) -> Vec<Group<'a>> {
    let mut of_clients = Grouping::default();
    for edge in edges {
        let (_, group) = of_clients.entry((facts(edge), &edge.0.client), || (facts(edge), Vec::new()));
        group.push(*edge);
    }
    let mut groups = Grouping::default();
    for (facts, edges) in of_clients.groups {
        let mut targets: Vec<&str> = edges.iter().map(|(edge, _)| edge.target.as_str()).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut rules: Vec<&str> = edges.iter().map(|(edge, _)| &*edge.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        let group: &mut (Group<'_>, Vec<&str>) = groups.entry((facts, targets.clone()), || {
            (Group { first: edges[0], clients: Vec::new(), targets, rules: 0 }, Vec::new())
        });
        group.0.clients.push(edges[0].0.client.as_str());
        group.1.extend(rules);
    }
    let finish = |(mut group, mut rules): (Group<'a>, Vec<&str>)| {
        rules.sort_unstable();
        rules.dedup();
        group.rules = rules.len();
        group
    };
    groups.groups.into_iter().map(finish).collect()
}

/// Groups in the order in which they were first seen.
struct Grouping<K, G> {
    positions: HashMap<K, usize>,
    groups: Vec<G>,
}

impl<K, G> Default for Grouping<K, G> {
    fn default() -> Self {
        Self { positions: HashMap::new(), groups: Vec::new() }
    }
}

impl<K: Eq + Hash, G> Grouping<K, G> {
    fn entry(&mut self, key: K, new: impl FnOnce() -> G) -> &mut G {
        let position = *self.positions.entry(key).or_insert_with(|| {
            self.groups.push(new());
            self.groups.len() - 1
        });
        &mut self.groups[position]
    }
}

/// Makes nodes of the names. Names that take part in the same boxes are one node.
fn arranged(drafts: &[Draft<'_>], targets: &[TargetNode], note: Option<String>) -> Picture {
    let mut left = Members::default();
    let mut right = Members::default();
    for (position, draft) in drafts.iter().enumerate() {
        draft.subjects.iter().for_each(|name| left.add(Kind::Subjects, name, position));
        draft.clients.iter().for_each(|name| left.add(Kind::Client, name, position));
        draft.actors.iter().for_each(|name| left.add(Kind::Actor, name, position));
        draft.targets.iter().for_each(|name| right.add(Kind::Target, name, position));
    }
    let label = |kind: Kind, names: &[&str]| {
        let mut lines = Vec::new();
        for name in names.iter().take(MAX_NAMES) {
            lines.extend(wrapped(&escaped(name)));
        }
        match names.len().saturating_sub(MAX_NAMES) {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        if let ([name], Kind::Target) = (names, kind) {
            let owner = targets.iter().find(|target| target.id == **name).and_then(|target| target.served_by.as_ref());
            lines.extend(owner.into_iter().flat_map(|owner| wrapped(&format!("served by {}", escaped(owner)))));
        }
        lines
    };
    let (left, left_of) = left.nodes(drafts.len(), label);
    let (right, right_of) = right.nodes(drafts.len(), label);
    let boxes = drafts.iter().zip(left_of).zip(right_of).map(|((draft, left), right)| RuleBox {
        style: draft.style,
        lines: draft.lines.clone(),
        left,
        right,
    });
    Picture { left, middle: boxes.collect(), right, note }
}

/// The names of one column, and the positions of the boxes in which each name takes part.
#[derive(Default)]
struct Members<'a>(Grouping<(Kind, &'a str), (Kind, &'a str, Vec<usize>)>);

impl<'a> Members<'a> {
    fn add(&mut self, kind: Kind, name: &'a str, position: usize) {
        let (_, _, boxes) = self.0.entry((kind, name), || (kind, name, Vec::new()));
        if boxes.last() != Some(&position) {
            boxes.push(position);
        }
    }

    /// The nodes from top to bottom, and the nodes of each box.
    fn nodes(self, boxes: usize, label: impl Fn(Kind, &[&str]) -> Vec<String>) -> (Vec<Node>, Vec<Vec<usize>>) {
        let mut groups = Grouping::default();
        for (kind, name, boxes) in self.0.groups {
            let (_, _, names) = groups.entry((kind, boxes.clone()), || (kind, boxes, Vec::new()));
            names.push(name);
        }
        let mut groups = groups.groups;
        // A node is near to the boxes in which the node takes part.
        groups.sort_by_cached_key(|(kind, boxes, _)| (1000 * boxes.iter().sum::<usize>() / boxes.len().max(1), *kind));
        let mut of_boxes = vec![Vec::new(); boxes];
        for (position, (_, boxes, _)) in groups.iter().enumerate() {
            boxes.iter().for_each(|one| of_boxes[*one].push(position));
        }
        let node = |(kind, _, names): &(Kind, Vec<usize>, Vec<&str>)| Node { kind: *kind, lines: label(*kind, names) };
        (groups.iter().map(node).collect(), of_boxes)
    }
}

/// Breaks a text into lines, at spaces if possible.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + rest.len() <= MAX_LINE => {
                line.push(' ');
                line.extend(rest.drain(..));
            }
            _ => {
                while rest.len() > MAX_LINE {
                    lines.push(rest.drain(..MAX_LINE).collect());
                }
                lines.push(rest.into_iter().collect());
            }
        }
    }
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        if let Some(last) = lines.last_mut() {
            last.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_short_lines_and_few() {
        assert_eq!(wrapped("read write"), ["read write"]);
        assert_eq!(wrapped(&"x".repeat(40)), ["x".repeat(36), "x".repeat(4)]);
        let long = wrapped(&"word ".repeat(100));
        assert_eq!(long.len(), MAX_LINES);
        assert!(long.iter().all(|line| line.chars().count() <= MAX_LINE + 1), "{long:?}");
    }
}
