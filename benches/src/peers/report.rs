//! The comparison for people: at the terminal, and with `--record` in `docs/performance.md`, its picture
//! and `benches/peers/recorded.json`.

use std::fmt::Write;
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::{Beside, Comparison, OURS, Row, Work};
use crate::Result;
use crate::goals::Goal;
use crate::report::mark;

/// What the generated part of the page stands between.
const BEGIN: &str = "<!-- measured: written by `benches/peers/run --record` -->";
const END: &str = "<!-- end of what stands beside -->";

const COLUMNS: [&str; 6] = ["", "CPU", "least – most", "× ours", "version", "on"];

/// Prints everything, the goals last.
pub(super) fn print(beside: &Beside, goals: &[Goal]) {
    println!("{}", setting(beside));
    for comparison in &beside.comparisons {
        println!("\n{}", title(comparison));
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(COLUMNS);
        for row in &comparison.rows {
            table.add_row(cells(comparison.work, row));
        }
        println!("{table}");
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["", "goal", "limit", "measured"]);
    for goal in goals {
        table.add_row([mark(goal), &goal.what, &goal.limit, &goal.measured]);
    }
    println!("\n{table}");
}

/// Writes the numbers down: as JSON, into the page, as a picture.
pub(super) fn record(root: &Path, beside: &Beside, goals: &[Goal]) -> Result<()> {
    let mut json = serde_json::to_string_pretty(beside)?;
    json.push('\n');
    std::fs::write(root.join("benches/peers/recorded.json"), json)?;
    let page = root.join("docs/performance.md");
    let text = std::fs::read_to_string(&page)?;
    let lost = |line: &str| format!("{} has lost its line {line:?}", page.display());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| lost(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| lost(END))?;
    let told = markdown(beside, goals);
    std::fs::write(&page, format!("{before}{BEGIN}\n\n{told}\n{END}{after}"))?;
    std::fs::write(root.join("docs/images/peers.svg"), svg(beside))?;
    Ok(())
}

/// Microseconds for people.
pub(super) fn microseconds(nanoseconds: u64) -> String {
    format!("{:.1} µs", divided(nanoseconds, 1e3))
}

fn divided(nanoseconds: u64, by: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let nanoseconds = nanoseconds as f64;
    nanoseconds / by
}

/// A time in the unit that its work is told in.
fn time(work: Work, nanoseconds: u64) -> String {
    match work {
        Work::Header | Work::Notice => microseconds(nanoseconds),
        Work::ColdOrder | Work::WarmOrder => format!("{:.2} ms", divided(nanoseconds, 1e6)),
    }
}

const fn name(work: Work) -> &'static str {
    match work {
        Work::Header => "An Authorization header",
        Work::Notice => "A payment's notice",
        Work::ColdOrder => "A cold create-order",
        Work::WarmOrder => "A warm create-order",
    }
}

const fn what(work: Work) -> &'static str {
    match work {
        Work::Header => "the request signed, the header built",
        Work::Notice => "verified, opened, read",
        Work::ColdOrder => "from exec to the first answer",
        Work::WarmOrder => "one more order in a process that runs",
    }
}

fn title(comparison: &Comparison) -> String {
    let Comparison { work, rounds, .. } = comparison;
    format!("{}: {}; {rounds} pairs", name(*work), what(*work))
}

fn setting(beside: &Beside) -> String {
    let pinned = if beside.pinned {
        "on a processor of their own"
    } else {
        "wherever the kernel put them"
    };
    format!(
        "Measured {} on {}: create-order is {}; all took turns {pinned}; medians of processor time.",
        beside.date, beside.machine, beside.artefacts
    )
}

fn shown(row: &Row) -> &str {
    if row.name == OURS {
        "this project"
    } else {
        &row.name
    }
}

fn cells(work: Work, row: &Row) -> [String; 6] {
    [
        shown(row).to_owned(),
        time(work, row.median_ns),
        format!("{} – {}", time(work, row.least_ns), time(work, row.most_ns)),
        format!("{:.2}", row.times_ours),
        row.version.clone(),
        row.runtime.clone(),
    ]
}

fn markdown(beside: &Beside, goals: &[Goal]) -> String {
    let mut text = format!("{}\n", setting(beside));
    for comparison in &beside.comparisons {
        let _ = write!(text, "\n{}:\n\n", title(comparison));
        let _ = write!(
            text,
            "| {} |\n|---|---:|---:|---:|---|---|\n",
            COLUMNS.join(" | ")
        );
        for row in &comparison.rows {
            let _ = writeln!(text, "| {} |", cells(comparison.work, row).join(" | "));
        }
    }
    text.push_str("\n| goal | limit | measured | |\n|---|---|---|---|\n");
    for goal in goals {
        let met = mark(goal).split(',').next().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {met} |",
            goal.what, goal.limit, goal.measured
        );
    }
    text
}

/// Four groups of bars, each on a scale of its own.
fn svg(beside: &Beside) -> String {
    const LEFT: f64 = 190.0;
    const WIDTH: f64 = 390.0;
    let mut drawn = String::new();
    let mut y = 18.0;
    for comparison in &beside.comparisons {
        let most = comparison.rows.iter().map(|row| row.median_ns).max();
        let scale = WIDTH / divided(most.unwrap_or(1).max(1), 1.0);
        let _ = writeln!(
            drawn,
            "  <text class=\"title\" x=\"24\" y=\"{:.0}\">{} <tspan class=\"small\">{}</tspan></text>",
            y + 14.0,
            name(comparison.work),
            what(comparison.work),
        );
        y += 24.0;
        for row in &comparison.rows {
            let width = divided(row.median_ns, 1.0) * scale;
            let kind = if row.name == OURS { "ours" } else { "peer" };
            let _ = writeln!(
                drawn,
                "  <text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n  \
                 <rect class=\"{kind}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"16\"/>\n  \
                 <text class=\"small\" x=\"{:.1}\" y=\"{:.0}\">{}, {:.1} ×</text>",
                LEFT - 10.0,
                y + 13.0,
                shown(row),
                LEFT + width + 8.0,
                y + 13.0,
                time(comparison.work, row.median_ns),
                row.times_ours,
            );
            y += 22.0;
        }
        y += 14.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {y:.0}\" role=\"img\" aria-labelledby=\"t d\">
  <title id=\"t\">Processor time beside the peers</title>
  <desc id=\"d\">Bars for a header, a notice, a cold and a warm create-order: this project first, then the peers. Networks and AWS take no part.</desc>
  <style>
    .page {{ fill: #ffffff; stroke: #d0d7de }} text {{ fill: #1f2933; font: 13px system-ui, sans-serif }} .title {{ font-weight: 600 }} .small {{ font-size: 11.5px; font-weight: 400; fill: #57656f }}
    .ours {{ fill: #2f8f5b }} .peer {{ fill: #a7b3be }}
    @media (prefers-color-scheme: dark) {{
      .page {{ fill: #0d1117; stroke: #30363d }} text {{ fill: #e6edf3 }} .small {{ fill: #9aa7b2 }}
      .ours {{ fill: #3fb27f }} .peer {{ fill: #566370 }}
    }}
  </style>
  <rect class=\"page\" x=\"1\" y=\"1\" width=\"718\" height=\"{:.0}\" rx=\"10\"/>
{drawn}</svg>
",
        y - 2.0,
    )
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END};

    #[test]
    fn the_page_has_a_place_for_what_stands_beside() {
        let page = include_str!("../../../docs/performance.md");
        let (_, rest) = page.split_once(BEGIN).unwrap_or_default();
        assert!(rest.contains(END));
    }
}
