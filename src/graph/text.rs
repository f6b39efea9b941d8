use super::{Change, DelegationGraph, Edge, GraphChanges, Hop, Reach};
use crate::protocol::escaped;
use std::fmt;

/// Writes one line for each edge.
impl fmt::Display for DelegationGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.edges.iter().try_for_each(|edge| writeln!(f, "{edge}"))?;
        match self.omitted {
            0 => Ok(()),
            omitted => writeln!(f, "… and {omitted} more"),
        }
    }
}

/// Writes the edge as one line: the client and the target, what is permitted or denied, the subjects, and the rule.
impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}: {}", escaped(&self.client), escaped(&self.target), self.permission_texts().join(", "))?;
        write!(f, ", for {}", self.subjects)?;
        if !self.actors.is_empty() {
            write!(f, ", actors {}", self.actors.join(" and "))?;
        }
        write!(f, " ({}{})", escaped(&self.rule), if self.shadow { ", a shadow rule" } else { "" })
    }
}

/// Writes what opens and what closes, one line for each.
impl fmt::Display for GraphChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.opens.is_empty() && self.closes.is_empty() {
            return writeln!(f, "Nothing opens, and nothing closes.");
        }
        for (title, changes) in [("Opens:", &self.opens), ("Closes:", &self.closes)] {
            if !changes.is_empty() {
                writeln!(f, "{title}")?;
                changes.iter().try_for_each(|change| writeln!(f, "    {change}"))?;
            }
        }
        Ok(())
    }
}

/// Writes the edge, and in front of the edge whether a deny rule is the reason, and behind the edge what differs.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.edge)?;
        if self.differences.is_empty() { Ok(()) } else { write!(f, ": {}", self.differences.join(", ")) }
    }
}

/// Writes one line for each hop.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hops.is_empty() {
            writeln!(f, "No client can exchange the token.")?;
        }
        self.hops.iter().try_for_each(|hop| writeln!(f, "{hop}"))?;
        if self.is_complete { Ok(()) } else { writeln!(f, "… and more tokens, which were not followed") }
    }
}

/// Writes the hop as one line: its number, the client, the target, what is granted, and whom the token names.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = escaped(&self.subject);
        write!(f, "hop {}: {} → {}: {}", self.number, escaped(&self.client), escaped(&self.target), self.scope)?;
        match &self.actors[..] {
            [] => write!(f, ", as {subject}, without an actor"),
            [current, earlier @ ..] => {
                write!(f, ", as {subject}, with the actor {}", escaped(&current.sub))?;
                earlier.iter().try_for_each(|actor| write!(f, ", after {}", escaped(&actor.sub)))
            }
        }
    }
}
