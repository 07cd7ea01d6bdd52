//! Two pictures of what was recorded: the latencies of each kind of request, and memory over the soak.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;

use super::Record;
use super::scenarios::Scenario;
use super::tally::Tallied;
use crate::Result;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 20.0;

/// What the latencies' axis goes from and to, in milliseconds.
const AXIS: [f64; 6] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// Draws both.
pub(crate) fn write(root: &Path, record: &Record) -> Result<()> {
    let images = root.join("docs/images");
    std::fs::write(images.join("load-latency.svg"), latencies(record))?;
    if let Some(drawn) = memory(record) {
        std::fs::write(images.join("load-memory.svg"), drawn)?;
    }
    Ok(())
}

/// A row for each kind of request: from the median to the 99th, from there to the longest.
fn latencies(record: &Record) -> String {
    let rows: Vec<(&str, &Tallied)> = Scenario::value_variants()
        .iter()
        .filter_map(|scenario| record.get(scenario.name()).map(|found| (scenario, found)))
        .flat_map(|(scenario, outcome)| {
            let number = scenario.name().split(' ').next().unwrap_or_default();
            outcome
                .requests
                .iter()
                .map(move |tallied| (number, tallied))
        })
        .filter(|(_, tallied)| tallied.answered > 0)
        .collect();
    let mut drawn = String::new();
    let mut y = 62.0;
    for (number, tallied) in &rows {
        let value = |place: usize| tallied.latency_ms.get(place).copied().unwrap_or(1.0);
        let [median, most, longest] = [0, 3, 6].map(|place| across(value(place)));
        let _ = writeln!(
            drawn,
            "  <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{number} {}</text>\n  \
             <rect class=\"all\" x=\"{most:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"4\"/>\n  \
             <rect class=\"most\" x=\"{median:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"10\"/>\n  \
             <circle class=\"half\" cx=\"{median:.1}\" cy=\"{:.0}\" r=\"5\"/>",
            LEFT - 12.0,
            y + 4.0,
            escaped(&tallied.name),
            y - 2.0,
            (longest - most).max(1.0),
            y - 5.0,
            (most - median).max(1.0),
            y,
        );
        y += 22.0;
    }
    let (top, bottom) = (46.0, y - 6.0);
    let mut axis = String::new();
    for tick in AXIS {
        let x = across(tick);
        let label = if tick < 1_000.0 {
            format!("{tick} ms")
        } else {
            format!("{} s", tick / 1_000.0)
        };
        let _ = writeln!(
            axis,
            "  <line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\n  \
             <text class=\"small\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    framed(
        "Latency of each kind of request under load",
        "A row for each kind of request: a dot at the median, a bar from there to the 99th percentile, a line to the longest.",
        "dot: median · bar: to the 99th percentile · line: to the longest; from the intended start",
        &format!("{axis}{drawn}"),
        bottom + 30.0,
    )
}

/// Where milliseconds stand on the axis, which is logarithmic.
fn across(milliseconds: f64) -> f64 {
    let [low, high] = [AXIS.first(), AXIS.last()].map(|end| end.copied().unwrap_or(1.0).log10());
    let part = (milliseconds.max(1.0).log10() - low) / (high - low).max(1.0);
    LEFT + part.min(1.0) * (WIDTH - LEFT - RIGHT)
}

/// Memory of all processes of the steady load, from none.
fn memory(record: &Record) -> Option<String> {
    const TOP: f64 = 50.0;
    const BOTTOM: f64 = 220.0;
    const SIDE: f64 = 70.0;
    let outcome = record.get(Scenario::Steady.name())?;
    let (last, _) = *outcome.memory.last()?;
    let most = outcome.memory.iter().map(|(_, kib)| *kib).max()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let megabytes = |kib: u64| kib as f64 * 1_024.0 / 1e6;
    // The axis ends at a round number.
    let ceiling = (megabytes(most) / 50.0).ceil().max(1.0) * 50.0;
    let x = |at: f64| SIDE + at / last.max(1.0) * (WIDTH - SIDE - RIGHT);
    let y = |value: f64| BOTTOM - value / ceiling * (BOTTOM - TOP);
    let points: Vec<String> = outcome
        .memory
        .iter()
        .map(|(at, kib)| format!("{:.1},{:.1}", x(*at), y(megabytes(*kib))))
        .collect();
    let mut drawn = String::new();
    for part in [0.0, 0.5, 1.0] {
        let (value, at) = (ceiling * part, last * part / 60.0);
        let _ = writeln!(
            drawn,
            "  <line class=\"grid\" x1=\"{SIDE}\" x2=\"{:.0}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\n  \
             <text class=\"small\" x=\"{2:.0}\" y=\"{3:.1}\" text-anchor=\"end\">{value:.0} MB</text>\n  \
             <text class=\"small\" x=\"{4:.0}\" y=\"{5:.0}\" text-anchor=\"middle\">{at:.1} min</text>",
            WIDTH - RIGHT,
            y(value),
            SIDE - 8.0,
            y(value) + 4.0,
            x(last * part).min(WIDTH - RIGHT - 20.0),
            BOTTOM + 18.0
        );
    }
    let _ = writeln!(drawn, "  <polyline points=\"{}\"/>", points.join(" "));
    Some(framed(
        "Memory of all processes under the steady load",
        "The memory that all processes of create-order, notify-callback and query hold, over time.",
        "resident memory of 32 processes of create-order, notify-callback and query",
        &drawn,
        BOTTOM + 32.0,
    ))
}

fn framed(title: &str, description: &str, caption: &str, drawn: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"t d\">
  <title id=\"t\">{title}</title>
  <desc id=\"d\">{description}</desc>
  <style>
    .page {{ fill: #ffffff; stroke: #d0d7de }} text {{ fill: #1f2933; font: 12.5px system-ui, sans-serif }} .small {{ font-size: 11px; fill: #57656f }}
    .grid {{ stroke: #d0d7de }} .most {{ fill: #8fd0ab }} .all {{ fill: #c3ccd4 }} .half {{ fill: #2f8f5b }} polyline {{ fill: none; stroke: #2f8f5b; stroke-width: 2 }}
    @media (prefers-color-scheme: dark) {{
      .page {{ fill: #0d1117; stroke: #30363d }} text {{ fill: #e6edf3 }} .small {{ fill: #9aa7b2 }}
      .grid {{ stroke: #30363d }} .most {{ fill: #1f6b45 }} .all {{ fill: #3a434c }} .half {{ fill: #3fb27f }} polyline {{ stroke: #3fb27f }}
    }}
  </style>
  <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\"/>
  <text x=\"20\" y=\"28\">{title}</text>
  <text class=\"small\" x=\"{:.0}\" y=\"28\" text-anchor=\"end\">{}</text>
{drawn}</svg>
",
        WIDTH - 1.0,
        height - 1.0,
        WIDTH - RIGHT,
        escaped(caption),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
