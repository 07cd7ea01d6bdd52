//! The numbers for people: at the terminal, and with `--record` in docs/load.md.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::outcome::{Check, Outcome};
use super::scenarios::Scenario;
use super::tally::{QUANTILES, Tallied};
use super::{Record, picture};
use crate::Result;

/// What the generated part of the page stands between.
const BEGIN: &str = "<!-- load: written by `cargo run -p bench -- load --record` -->";
const END: &str = "<!-- end of load -->";

/// Prints one scenario.
pub(crate) fn print(scenario: Scenario, outcome: &Outcome) {
    println!("\n{}: {}", scenario.name(), outcome.load);
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "requests", "answers", "p50 ms", "p90", "p99", "p99.9", "longest",
    ]);
    for tallied in &outcome.requests {
        let mut row = vec![tallied.name.clone(), answers(tallied)];
        row.extend([50.0, 90.0, 99.0, 99.9, 100.0].map(|quantile| at(tallied, quantile)));
        table.add_row(row);
    }
    println!("{table}");
    for (name, number) in &outcome.numbers {
        println!("  {name}: {number}");
    }
    for check in &outcome.held {
        let word = if check.holds {
            "holds"
        } else {
            "DOES NOT HOLD"
        };
        println!("  {word}: {} ({})", check.what, check.found);
    }
    for check in &outcome.goals {
        let word = if check.holds { "met" } else { "missed" };
        println!("  {word}: {} ({})", check.what, check.found);
    }
    println!("  does not measure: {}", scenario.does_not_measure());
    println!("  {}", usage(outcome));
}

fn usage(outcome: &Outcome) -> String {
    format!(
        "{} s; generator {:.0} % of its processor, functions {:.0} % and ready but waiting {:.0} %; latest start \
         {:.0} ms; load average {:.1}{}",
        outcome.seconds.round(),
        outcome.generator_percent,
        outcome.functions_percent,
        outcome.functions_waited_percent,
        outcome.latest_start_ms,
        outcome.load_average,
        if outcome.is_discarded() {
            "; DISCARDED: the generator is what was measured"
        } else {
            ""
        }
    )
}

fn answers(tallied: &Tallied) -> String {
    let mut told: Vec<String> = tallied
        .statuses
        .iter()
        .map(|(status, count)| match *status {
            0 => format!("{count} failed"),
            status => format!("{count} × {status}"),
        })
        .collect();
    let turned_away = tallied.turned_away.iter();
    told.extend(turned_away.map(|(status, count)| format!("{count} turned away with {status}")));
    told.join(", ")
}

fn at(tallied: &Tallied, quantile: f64) -> String {
    let place = QUANTILES.iter().position(|known| *known >= quantile);
    let value = place.and_then(|place| tallied.latency_ms.get(place));
    match value {
        Some(value) if tallied.answered > 0 && *value < 100.0 => format!("{value:.1}"),
        Some(value) if tallied.answered > 0 => format!("{value:.0}"),
        Some(_) | None => "–".to_owned(),
    }
}

/// Writes the recorded numbers into the page and draws the pictures.
pub(crate) fn write(root: &Path, record: &Record) -> Result<()> {
    let page = root.join("docs/load.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| format!("{} has lost its line {BEGIN:?}", page.display()))?;
    let (_, after) = rest
        .split_once(END)
        .ok_or_else(|| format!("{} has lost its line {END:?}", page.display()))?;
    let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", markdown(record));
    std::fs::write(page, text)?;
    picture::write(root, record)
}

fn markdown(record: &Record) -> String {
    let mut text = String::new();
    for scenario in Scenario::value_variants() {
        let Some(outcome) = record.get(scenario.name()) else {
            continue;
        };
        section(&mut text, *scenario, outcome);
    }
    text
}

fn section(text: &mut String, scenario: Scenario, outcome: &Outcome) {
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("### {}\n", scenario.name()));
    let mut load = outcome.load.clone();
    if let Some(first) = load.get(..1) {
        load = first.to_uppercase() + load.get(1..).unwrap_or_default();
    }
    line(format!("{load}.\n"));
    line("| requests | answers | p50 ms | p90 | p99 | p99.9 | longest |".to_owned());
    line("|---|---|---:|---:|---:|---:|---:|".to_owned());
    for tallied in &outcome.requests {
        let quantiles = [50.0, 90.0, 99.0, 99.9, 100.0].map(|quantile| at(tallied, quantile));
        line(format!(
            "| {} | {} | {} |",
            tallied.name,
            answers(tallied),
            quantiles.join(" | ")
        ));
    }
    line(String::new());
    for check in &outcome.held {
        line(format!("- {}", told(check, "holds", "DOES NOT HOLD")));
    }
    for check in &outcome.goals {
        line(format!("- {}", told(check, "met", "missed")));
    }
    for (name, number) in &outcome.numbers {
        line(format!("- `{name}`: {number}"));
    }
    let mut last = String::new();
    let _ = write!(
        last,
        "\nNot measured: {}. {}, {}: {}.\n",
        scenario.does_not_measure(),
        outcome.date,
        outcome.machine,
        usage(outcome)
    );
    line(last);
}

fn told(check: &Check, holds: &str, does_not: &str) -> String {
    let word = if check.holds { holds } else { does_not };
    let mut what = check.what.clone();
    if let Some(first) = what.get(..1) {
        what = first.to_uppercase() + what.get(1..).unwrap_or_default();
    }
    format!("{what}: **{}**, {word}", check.found)
}
