//! The chart of the manual page: the cost of each scenario, compared with one verification and one signature.

use crate::in_process::{Cost, InProcess};
use std::fmt::Write;

const LEFT: f64 = 270.0;
const WIDTH: f64 = 400.0;
const BAR: f64 = 11.0;
const ROW: f64 = 34.0;
const TOP: f64 = 40.0;
const INSTRUCTIONS: &str = "#3873ad";
const TIME: &str = "#c77c11";

pub(crate) fn svg(in_process: &InProcess) -> String {
    let largest =
        in_process.costs.iter().flat_map(|cost| [cost.instruction_ratio, cost.time_ratio]).fold(1.0, f64::max);
    let scale = WIDTH / (largest * 1.05);
    let bottom = TOP + ROW * in_process.costs.len() as f64;
    let mut svg = String::new();
    // One element without empty lines: rustdoc reads it as HTML.
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {:.0}" role="img" font-family="sans-serif" font-size="13" fill="currentColor">"#,
        bottom + 20.0
    );
    let _ = writeln!(svg, "<title>Cost of each scenario, divided by one verification and one signature</title>");
    for (at, text, colour) in [(LEFT, "instructions", INSTRUCTIONS), (LEFT + 120.0, "time", TIME)] {
        let _ = writeln!(svg, r#"<rect x="{at:.0}" y="6" width="12" height="12" fill="{colour}"></rect>"#);
        let _ = writeln!(svg, r#"<text x="{:.0}" y="17">{text}</text>"#, at + 18.0);
    }
    for (row, cost) in in_process.costs.iter().enumerate() {
        bars(&mut svg, cost, TOP + ROW * row as f64, scale);
    }
    let one = LEFT + scale;
    let _ = writeln!(
        svg,
        r#"<path d="M{one:.1} {TOP:.0}V{bottom:.0}" stroke="currentColor" stroke-dasharray="4 3" fill="none"></path>"#
    );
    let _ =
        writeln!(svg, r#"<text x="{one:.1}" y="{:.0}" text-anchor="middle">1 = verify + sign</text>"#, bottom + 15.0);
    svg.push_str("</svg>\n");
    svg
}

fn bars(svg: &mut String, cost: &Cost, top: f64, scale: f64) {
    let _ =
        writeln!(svg, r#"<text x="{:.0}" y="{:.0}" text-anchor="end">{}</text>"#, LEFT - 8.0, top + 16.0, cost.name);
    for (y, ratio, colour) in [(top, cost.instruction_ratio, INSTRUCTIONS), (top + BAR + 1.0, cost.time_ratio, TIME)] {
        let width = ratio * scale;
        let _ = writeln!(
            svg,
            r#"<rect x="{LEFT:.0}" y="{y:.1}" width="{width:.1}" height="{BAR:.0}" fill="{colour}"></rect>"#
        );
        let _ =
            writeln!(svg, r#"<text x="{:.1}" y="{:.1}" font-size="11">{ratio:.2}</text>"#, LEFT + width + 5.0, y + 9.5);
    }
}
