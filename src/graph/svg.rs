use super::picture::{Kind, Node, Picture, RuleBox, Style};
use std::fmt::Write;

const MARGIN: usize = 16;
/// The distance between two columns, in which the lines are.
const BETWEEN: usize = 110;
/// The width of a box: the longest line of a label, and some space.
const WIDTH: usize = 37 * 7 + 20;
const LINE_HEIGHT: usize = 16;
const PADDING: usize = 8;
/// The distance between two boxes of a column.
const GAP: usize = 14;

/// Colours for light and dark pages. A picture in a page follows the reader's choice.
const LOOK: &str = "
svg.delegation { --paper: #ffffff; --ink: #1b1f24; --soft: #f2f4f7; --allow: #2f5d8a; --deny: #b3261e; --shadow: #777777; --opens: #1a7f37; --closes: #b3261e }
@media (prefers-color-scheme: dark) {
  svg.delegation { --paper: #14171b; --ink: #e8eaed; --soft: #23282f; --allow: #8ab4f8; --deny: #ff8a80; --shadow: #a0a0a0; --opens: #7ee787; --closes: #ff8a80 }
}
.delegation .paper { fill: var(--paper) }
.delegation text { font: 12px ui-monospace, 'DejaVu Sans Mono', monospace; fill: var(--ink) }
.delegation rect.box { fill: var(--soft); stroke: var(--ink); stroke-width: 1 }
.delegation rect.rule { fill: var(--paper); stroke-width: 2 }
.delegation path { fill: none; stroke-width: 1.5 }
.delegation .head { font-weight: bold }
";

/// Where a box is.
#[derive(Clone, Copy)]
struct Area {
    x: usize,
    y: usize,
    height: usize,
}

impl Area {
    fn middle(self) -> usize {
        self.y + self.height / 2
    }
}

/// Draws a picture as SVG.
pub(super) fn draw(picture: &Picture, title: &str) -> String {
    let heights = [
        picture.left.iter().map(|node| height(&node.lines)).collect::<Vec<_>>(),
        picture.middle.iter().map(|rule| height(&rule.lines)).collect(),
        picture.right.iter().map(|node| height(&node.lines)).collect(),
    ];
    let heads = MARGIN + LINE_HEIGHT + GAP;
    let total = |column: &Vec<usize>| column.iter().map(|height| height + GAP).sum::<usize>();
    let tallest = heights.iter().map(total).max().unwrap_or_default();
    let [left, middle, right] = [0, 1, 2].map(|column| {
        let x = MARGIN + column * (WIDTH + BETWEEN);
        let mut y = heads + (tallest - total(&heights[column])) / 2;
        let place = |height: &usize| {
            let area = Area { x, y, height: *height };
            y += height + GAP;
            area
        };
        heights[column].iter().map(place).collect::<Vec<_>>()
    });
    let width = 2 * MARGIN + 3 * WIDTH + 2 * BETWEEN;
    let full_height = heads + tallest + MARGIN + picture.note.as_ref().map_or(0, |_| LINE_HEIGHT);

    // Writing to a text cannot fail.
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"delegation\" viewBox=\"0 0 {width} {full_height}\" width=\"{width}\" \
         height=\"{full_height}\" role=\"img\">\n<title>{title}</title>\n<desc>{}</desc>\n<style>{LOOK}{}</style>",
        description(picture),
        styles()
    );
    let _ = writeln!(svg, "<rect class=\"paper\" width=\"{width}\" height=\"{full_height}\"/>");
    for (column, head) in ["who", "rule", "target"].into_iter().enumerate() {
        let x = MARGIN + column * (WIDTH + BETWEEN);
        let _ = writeln!(svg, "<text class=\"head\" x=\"{x}\" y=\"{}\">{head}</text>", MARGIN + LINE_HEIGHT);
    }
    for (RuleBox { style, left: from, right: to, .. }, area) in picture.middle.iter().zip(&middle) {
        from.iter().for_each(|node| line(&mut svg, left[*node], *area, *style));
        to.iter().for_each(|node| line(&mut svg, *area, right[*node], *style));
    }
    for (Node { kind, lines }, area) in picture.left.iter().zip(&left).chain(picture.right.iter().zip(&right)) {
        let round = match kind {
            Kind::Subjects => 14,
            Kind::Actor => 8,
            Kind::Client | Kind::Target => 2,
        };
        labelled(&mut svg, *area, &format!("box {}", kind.name()), round, kind.name(), lines);
    }
    for (RuleBox { style, lines, .. }, area) in picture.middle.iter().zip(&middle) {
        labelled(&mut svg, *area, &format!("rule {}", style.name()), 2, style.name(), lines);
    }
    if let Some(note) = &picture.note {
        let y = full_height - MARGIN;
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>", in_xml(note));
    }
    svg.push_str("</svg>\n");
    svg
}

fn height(lines: &[String]) -> usize {
    lines.len() * LINE_HEIGHT + 2 * PADDING
}

/// The lines and frames of each style.
fn styles() -> String {
    let dashes = |style: Style| match style {
        Style::Deny => "; stroke-dasharray: 6 4",
        Style::Shadow => "; stroke-dasharray: 2 4",
        Style::Allow | Style::Opens | Style::Closes => "",
    };
    let style = |style: Style| format!(".delegation .{0} {{ stroke: var(--{0}){1} }}\n", style.name(), dashes(style));
    Style::ALL.into_iter().map(style).collect()
}

fn description(picture: &Picture) -> String {
    let count = |kind: Kind| picture.left.iter().chain(&picture.right).filter(|node| node.kind == kind).count();
    let kinds = Kind::ALL.into_iter().map(|kind| format!("{}: {}", kind.name(), count(kind)));
    let rules = format!("rules: {}", picture.middle.len());
    kinds.chain([rules]).collect::<Vec<_>>().join(", ")
}

/// A line from the right side of a box to the left side of another.
fn line(svg: &mut String, from: Area, to: Area, style: Style) {
    let (x1, y1, x2, y2) = (from.x + WIDTH, from.middle(), to.x, to.middle());
    let (c1, c2) = (x1 + BETWEEN / 2, x2 - BETWEEN / 2);
    let class = style.name();
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{x1} {y1} C{c1} {y1} {c2} {y2} {x2} {y2}\"/>");
}

/// A box with a label. The title is what a screen reader says, and what a pointer shows.
fn labelled(svg: &mut String, area: Area, class: &str, round: usize, kind: &str, lines: &[String]) {
    let Area { x, y, height } = area;
    let _ = writeln!(svg, "<g><title>{kind}: {}</title>", in_xml(&lines.join(" ")));
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"{round}\"/>"
    );
    for (number, text) in lines.iter().enumerate() {
        let (x, y) = (x + PADDING, y + PADDING + 12 + number * LINE_HEIGHT);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{}</text>", in_xml(text));
    }
    svg.push_str("</g>\n");
}

fn in_xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            c => safe.push(c),
        }
    }
    safe
}
