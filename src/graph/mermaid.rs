use super::picture::{Kind, Node, Picture, Style};
use std::fmt::Write;

/// Draws a picture as a Mermaid flowchart.
pub(super) fn draw(picture: &Picture) -> String {
    // Writing to a text cannot fail.
    let mut text = "flowchart LR\n".to_owned();
    for (prefix, nodes) in [("w", &picture.left), ("t", &picture.right)] {
        for (number, Node { kind, lines }) in nodes.iter().enumerate() {
            let label = label(lines);
            let _ = match kind {
                Kind::Subjects => writeln!(text, "    {prefix}{number}([{label}]):::subjects"),
                Kind::Client => writeln!(text, "    {prefix}{number}[{label}]:::client"),
                Kind::Actor => writeln!(text, "    {prefix}{number}{{{{{label}}}}}:::actor"),
                Kind::Target => writeln!(text, "    {prefix}{number}[({label})]:::target"),
            };
        }
    }
    for (number, rule) in picture.middle.iter().enumerate() {
        let _ = writeln!(text, "    r{number}[/{}/]:::{}", label(&rule.lines), rule.style.name());
        let line = match rule.style {
            Style::Allow | Style::Opens => "-->",
            Style::Deny | Style::Closes => "--x",
            Style::Shadow => "-.->",
        };
        rule.left.iter().for_each(|node| _ = writeln!(text, "    w{node} --- r{number}"));
        rule.right.iter().for_each(|node| _ = writeln!(text, "    r{number} {line} t{node}"));
    }
    text.push_str("    classDef deny stroke:#c0392b,stroke-dasharray:4\n    classDef closes stroke:#c0392b\n");
    text.push_str("    classDef shadow stroke:#888,stroke-dasharray:2\n    classDef opens stroke:#1e8449\n");
    if let Some(note) = &picture.note {
        let _ = writeln!(text, "    note[{}]", label(std::slice::from_ref(note)));
    }
    text
}

/// A label in quotes. Mermaid reads `#` and `&` as the start of a character code, and a label as Markdown and HTML.
fn label(lines: &[String]) -> String {
    let mut label = "\"".to_owned();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            label.push_str("<br>");
        }
        for c in line.chars() {
            match c {
                c if c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | ':' | '/' | '-' | '=' | '…') => {
                    label.push(c)
                }
                c => _ = write!(label, "#{};", u32::from(c)),
            }
        }
    }
    label.push('"');
    label
}
