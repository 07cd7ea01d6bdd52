//! The numbers for people: at the terminal, and with `--record` in `docs/performance.md` and its
//! picture.

use std::fmt::Write;
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::Result;
use crate::goals::{Goal, mebibytes, megabytes};
use crate::numbers::{
    CREATE_ORDER, FLOOR, HELLO, Measured, Numbers, Recorded, SIGNATURES, change_percent, millions,
    milliseconds,
};

/// What the generated part of the page stands between.
const BEGIN: &str = "<!-- measured: written by `cargo run -p bench -- --record` -->";
const END: &str = "<!-- end of what is measured -->";

const COLUMNS: [&str; 11] = [
    "binary",
    "zip MiB",
    "ELF MiB",
    "exec → first poll ms",
    "exec → first answer ms",
    "CPU first poll ms",
    "CPU first answer ms",
    "M instr. first poll",
    "M instr. first answer",
    "peak MB",
    "TLS conn.",
];

/// Prints everything.
pub(crate) fn print(numbers: &Numbers, goals: &[Goal], recorded: Option<&Recorded>) {
    println!("{}\n", setting(numbers));
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(
        COLUMNS
            .iter()
            .chain(&["recorded"])
            .map(|column| column.replace(' ', "\n")),
    );
    for measured in &numbers.measured {
        let mut row = cells(measured);
        let before = recorded.and_then(|recorded| recorded.cold.get(&measured.name));
        row.push(match (measured.instructions, before) {
            (Some(now), Some(before)) => {
                format!(
                    "{:+.2} %",
                    change_percent(now.first_answer, before.first_answer)
                )
            }
            _ => "–".to_owned(),
        });
        table.add_row(row);
    }
    println!("{table}\n");
    println!("{}\n", warm(numbers));
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["", "goal", "limit", "measured"]);
    for goal in goals {
        table.add_row([mark(goal), &goal.what, &goal.limit, &goal.measured]);
    }
    println!("{table}");
}

/// Writes the numbers into the page and draws the picture.
pub(crate) fn document(root: &Path, numbers: &Numbers, goals: &[Goal]) -> Result<()> {
    let page = root.join("docs/performance.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| format!("{} has lost its line {BEGIN:?}", page.display()))?;
    let (_, after) = rest
        .split_once(END)
        .ok_or_else(|| format!("{} has lost its line {END:?}", page.display()))?;
    let text = format!(
        "{before}{BEGIN}\n\n{}\n{END}{after}",
        markdown(numbers, goals)
    );
    std::fs::write(page, text)?;
    let picture = root.join("docs/images/cold-start.svg");
    std::fs::write(picture, svg(numbers))?;
    Ok(())
}

fn setting(numbers: &Numbers) -> String {
    let counted = match &numbers.setting {
        Some(setting) => format!(
            "instructions by valgrind {} with glibc {}",
            setting.valgrind, setting.glibc
        ),
        None => "instructions not counted: there is no valgrind".to_owned(),
    };
    let pinned = if numbers.pinned {
        "on a processor of their own"
    } else {
        "wherever the kernel put them"
    };
    format!(
        "Measured {} on {}: {}, {} interleaved rounds {pinned}, medians; {counted}.",
        numbers.date, numbers.machine, numbers.artefacts, numbers.rounds
    )
}

fn cells(measured: &Measured) -> Vec<String> {
    let counted = |of: fn(crate::numbers::Instructions) -> u64| {
        measured.instructions.map_or("–".to_owned(), |counted| {
            format!("{:.2}", millions(of(counted)))
        })
    };
    vec![
        measured.name.clone(),
        format!("{:.2}", mebibytes(measured.at_rest.zip_bytes)),
        format!("{:.2}", mebibytes(measured.at_rest.elf_bytes)),
        format!("{:.2}", milliseconds(measured.first_poll)),
        format!("{:.2}", milliseconds(measured.first_answer)),
        format!("{:.2}", milliseconds(measured.processor_first_poll)),
        format!("{:.2}", milliseconds(measured.processor_first_answer)),
        counted(|counted| counted.first_poll),
        counted(|counted| counted.first_answer),
        format!("{:.1}", megabytes(measured.peak_kib)),
        measured.connections.to_string(),
    ]
}

fn warm(numbers: &Numbers) -> String {
    let mut told = "One more order in a process that runs:".to_owned();
    for (name, what) in [
        (CREATE_ORDER, "create-order"),
        (FLOOR, "the floor"),
        (SIGNATURES, "two signatures and a check alone"),
    ] {
        let counted = numbers.warm.instructions.get(name).map_or_else(
            || "not counted".to_owned(),
            |count| format!("{:.2} M instructions", millions(*count)),
        );
        let processor = numbers
            .warm
            .processor
            .get(name)
            .copied()
            .unwrap_or_default();
        let end = if name == SIGNATURES { '.' } else { ';' };
        let _ = write!(
            told,
            " {what} {counted}, {:.2} ms of CPU{end}",
            milliseconds(processor)
        );
    }
    told
}

pub(crate) fn mark(goal: &Goal) -> &'static str {
    match (goal.met, goal.gate) {
        (Some(true), _) => "met",
        (Some(false), true) => "MISSED",
        (Some(false), false) => "missed, a report",
        (None, _) => "?",
    }
}

fn markdown(numbers: &Numbers, goals: &[Goal]) -> String {
    let mut text = format!("{}\n\n", setting(numbers));
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(&COLUMNS.map(str::to_owned)));
    text.push_str(&format!("|---|{}\n", "---:|".repeat(COLUMNS.len() - 1)));
    for measured in &numbers.measured {
        text.push_str(&line(&cells(measured)));
    }
    text.push_str(&format!("\n{}\n\n", warm(numbers)));
    text.push_str("| goal | limit | measured | |\n|---|---|---|---|\n");
    for goal in goals {
        let kind = if goal.gate { "gate" } else { "report" };
        text.push_str(&format!(
            "| {} | {} | {} | {}, {kind} |\n",
            goal.what,
            goal.limit,
            goal.measured,
            mark(goal)
                .split(',')
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        ));
    }
    text
}

/// Instructions of each cold start as a bar: up to the first poll, and from there to the first answer.
fn svg(numbers: &Numbers) -> String {
    const LEFT: f64 = 150.0;
    const WIDTH: f64 = 480.0;
    const ROW: f64 = 34.0;
    let bars: Vec<(&str, f64, f64)> = numbers
        .measured
        .iter()
        .filter_map(|measured| {
            let counted = measured.instructions?;
            let first_poll = millions(counted.first_poll);
            Some((
                measured.name.as_str(),
                first_poll,
                millions(counted.first_answer) - first_poll,
            ))
        })
        .collect();
    let most = bars
        .iter()
        .map(|(_, one, two)| one + two)
        .fold(1.0, f64::max);
    let scale = WIDTH / most;
    let mut drawn = String::new();
    let mut y = 74.0;
    for (name, first_poll, rest) in &bars {
        let kind = if [FLOOR, HELLO].contains(name) {
            " yard"
        } else {
            ""
        };
        let (one, two) = (first_poll * scale, rest * scale);
        let (middle, total) = (y + 16.0, first_poll + rest);
        let _ = writeln!(
            drawn,
            "  <text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>\n  \
             <rect class=\"poll{kind}\" x=\"{LEFT}\" y=\"{y}\" width=\"{one:.1}\" height=\"22\"/>\n  \
             <rect class=\"answer{kind}\" x=\"{:.1}\" y=\"{y}\" width=\"{two:.1}\" height=\"22\"/>\n  \
             <text class=\"small\" x=\"{:.1}\" y=\"{middle}\">{total:.1} M</text>",
            LEFT - 10.0,
            LEFT + one,
            LEFT + one + two + 8.0,
        );
        y += ROW;
    }
    let height = y + 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" role=\"img\" aria-labelledby=\"t d\">
  <title id=\"t\">Instructions of a cold start</title>
  <desc id=\"d\">A bar for each binary: instructions up to the first poll of the Runtime API, and from there to the first answer.</desc>
  <style>
    .page {{ fill: #ffffff; stroke: #d0d7de }} text {{ fill: #1f2933; font: 13px system-ui, sans-serif }} .small {{ font-size: 11.5px; fill: #57656f }}
    .poll {{ fill: #8fd0ab }} .answer {{ fill: #2f8f5b }} .poll.yard {{ fill: #c3ccd4 }} .answer.yard {{ fill: #8795a1 }}
    @media (prefers-color-scheme: dark) {{
      .page {{ fill: #0d1117; stroke: #30363d }} text {{ fill: #e6edf3 }} .small {{ fill: #9aa7b2 }}
      .poll {{ fill: #1f6b45 }} .answer {{ fill: #3fb27f }} .poll.yard {{ fill: #3a434c }} .answer.yard {{ fill: #6b7884 }}
    }}
  </style>
  <rect class=\"page\" x=\"1\" y=\"1\" width=\"718\" height=\"{}\" rx=\"10\"/>
  <rect class=\"poll\" x=\"{LEFT}\" y=\"24\" width=\"14\" height=\"14\"/><text x=\"{}\" y=\"36\">to the first poll: secrets are read, keys checked</text>
  <rect class=\"answer\" x=\"{LEFT}\" y=\"44\" width=\"14\" height=\"14\"/><text x=\"{}\" y=\"56\">to the first answer: the table and WeChat Pay, over TLS</text>
{drawn}</svg>
",
        height - 2.0,
        LEFT + 22.0,
        LEFT + 22.0,
    )
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END};

    #[test]
    fn the_page_has_a_place_for_what_is_measured() {
        let page = include_str!("../../docs/performance.md");
        let (_, rest) = page.split_once(BEGIN).unwrap_or_default();
        assert!(rest.contains(END));
    }
}
