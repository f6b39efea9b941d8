use super::picture::{Kind, Node, Picture, Style};
use std::fmt::Write;

/// Draws a picture in the DOT language.
pub(super) fn draw(picture: &Picture) -> String {
    // Writing to a text cannot fail.
    let mut text = "digraph delegation {\n    rankdir=LR;\n    node [shape=box, fontname=\"sans-serif\"];\n".to_owned();
    for (prefix, nodes) in [("w", &picture.left), ("t", &picture.right)] {
        for (number, Node { kind, lines }) in nodes.iter().enumerate() {
            let shape = match kind {
                Kind::Subjects => "ellipse",
                Kind::Client => "box",
                Kind::Actor => "hexagon",
                Kind::Target => "cylinder",
            };
            let _ = writeln!(text, "    {prefix}{number} [label={}, shape={shape}];", label(lines));
        }
    }
    for (number, rule) in picture.middle.iter().enumerate() {
        let look = match rule.style {
            Style::Allow => "color=black",
            Style::Deny => "color=red, style=dashed",
            Style::Shadow => "color=gray, style=dotted",
            Style::Opens => "color=darkgreen",
            Style::Closes => "color=red",
        };
        let _ = writeln!(text, "    r{number} [label={}, shape=note, {look}];", label(&rule.lines));
        rule.left.iter().for_each(|node| _ = writeln!(text, "    w{node} -> r{number} [arrowhead=none, {look}];"));
        rule.right.iter().for_each(|node| _ = writeln!(text, "    r{number} -> t{node} [{look}];"));
    }
    if let Some(note) = &picture.note {
        let _ = writeln!(text, "    label={};", label(std::slice::from_ref(note)));
    }
    text.push_str("}\n");
    text
}

/// A text in quotes. In a label, a backslash starts an escape.
fn label(lines: &[String]) -> String {
    let escaped = |line: &String| line.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", lines.iter().map(escaped).collect::<Vec<_>>().join("\\n"))
}
