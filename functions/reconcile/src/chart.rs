//! The picture of a day: what was paid and given back in each hour, as SVG within the page.

use std::fmt::Write as _;

use crate::compare::Hour;

const WIDTH: i64 = 720;
const MIDDLE: i64 = 130;
/// How high the tallest bar is, in pixels.
const TALLEST: i128 = 110;
const LEFT: i64 = 24;
const STEP: i64 = 28;

/// Draws the day; paid upwards, given back downwards, on one scale.
pub(crate) fn chart(hours: &[Hour; 24]) -> String {
    let highest = hours.iter().map(|hour| hour.paid.max(hour.refunded));
    let highest = highest.max().unwrap_or_default().max(1);
    let height = |fen: i64| {
        let scaled = i128::from(fen) * TALLEST / i128::from(highest);
        // A little money is a little bar, not none.
        scaled.max(i128::from(fen > 0))
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} 280\" role=\"img\" aria-label=\"Paid and refunded by hour\">\n\
         <line x1=\"0\" y1=\"{MIDDLE}\" x2=\"{WIDTH}\" y2=\"{MIDDLE}\" class=\"axis\"/>\n"
    );
    for (hour, sums) in (0_i64..).zip(hours) {
        let x = LEFT + hour * STEP;
        let (up, down) = (height(sums.paid), height(sums.refunded));
        let top = i128::from(MIDDLE) - up;
        let below = MIDDLE + 1;
        let (paid, refunded) = (yuan(sums.paid), yuan(sums.refunded));
        // Writing to a text cannot fail.
        let _ = writeln!(
            svg,
            "<g><title>{hour:02}:00 – paid {paid}, refunded {refunded}</title>\
             <rect x=\"{x}\" y=\"{top}\" width=\"20\" height=\"{up}\" class=\"paid\"/>\
             <rect x=\"{x}\" y=\"{below}\" width=\"20\" height=\"{down}\" class=\"refunded\"/></g>"
        );
        if hour % 3 == 0 {
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"272\">{hour:02}</text>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Fen as yuan with two decimals.
pub(crate) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}
