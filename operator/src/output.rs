//! What a command prints: a table for people, JSON for scripts, colour on a terminal only.
//!
//! Answers go to standard output, everything else to standard error, so that a pipe carries answers alone.
//! `NO_COLOR`, a pipe and a dumb terminal take the colours away.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

/// What stands for something that is not there.
const NOTHING: &str = "–";

/// Bold, for headings.
pub const BOLD: Style = Style::new().bold();
/// For what is beside the point.
pub const DIM: Style = Style::new().dimmed();
/// For what is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what somebody should look at.
pub const BAD: Style = AnsiColor::Red.on_default();

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON, for scripts.
    pub json: bool,
}

impl Output {
    /// Prints an answer: the JSON, or what `people` makes of it.
    pub fn answer(self, json: &Value, people: impl FnOnce() -> String) {
        if self.json {
            line(&format!("{json:#}"));
        } else {
            line(people().trim_end());
        }
    }
}

/// Prints a line to standard output, and says whether somebody still reads. A reader that has gone away, such as
/// `head`, is no error of ours.
pub fn line(text: &str) -> bool {
    let mut out = anstream::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Prints a line to standard error: what is under way, asked or warned of.
pub fn aside(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A table for people, its heading bold; columns whose heading begins with `>` are of numbers.
pub fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(heading.iter().map(|name| name.trim_start_matches('>')));
    for row in rows {
        table.add_row(row);
    }
    for (index, name) in heading.iter().enumerate() {
        if let (true, Some(column)) = (name.starts_with('>'), table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    // The table sets each column off by a blank, the first one, too.
    let flush = |line: &'_ str| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned();
    let mut lines = text.lines().map(flush);
    let first = lines.next().unwrap_or_default();
    let rest: Vec<String> = lines.collect();
    format!("{BOLD}{first}{BOLD:#}\n{}", rest.join("\n"))
}

/// A member as text; a dash where there is none.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A moment of an answer as people read it: `2026-11-29 12:53:59`, as the clock in Beijing shows it.
pub fn moment(value: &Value) -> String {
    let Some(at) = value.as_str() else {
        return NOTHING.to_owned();
    };
    match shared::rfc3339::parse(at) {
        Some(at) => moment_of(at),
        None => at.to_owned(),
    }
}

/// The same of a moment.
pub fn moment_of(at: shared::domain::Timestamp) -> String {
    let text = shared::rfc3339::format(at);
    text.get(..19).unwrap_or(&text).replacen('T', " ", 1)
}

/// An amount of an answer, in yuan.
pub fn amount(value: &Value) -> String {
    value
        .as_i64()
        .map_or_else(|| NOTHING.to_owned(), crate::money::yuan)
}
