//! The list of commands in `wxpay --help`, by what they are for.

use std::fmt::Write;

use anstyle::Style;
use clap::Command;

/// Headings, and the commands below each in their order.
const GROUPS: [(&str, &[&str]); 5] = [
    ("On this machine", &["up", "demo"]),
    ("The shop", &["orders", "refunds", "articles"]),
    ("The books", &["bill", "reconcile"]),
    ("Running it", &["secrets", "events", "logs", "doctor"]),
    ("The shell", &["completions", "help"]),
];

/// What stands below a command that is in no group.
const OTHERS: &str = "Others";

/// As clap shows headings.
const HEADING: Style = Style::new().bold().underline();
/// As clap shows what is typed.
const TYPED: Style = Style::new().bold();

/// The command line with its commands listed in groups.
#[must_use]
pub fn grouped(cli: Command) -> Command {
    let mut listed = String::new();
    let width = cli
        .get_subcommands()
        .map(|command| command.get_name().len())
        .max();
    let width = width.unwrap_or_default();
    for (heading, names) in GROUPS {
        let found = names.iter().filter_map(|name| cli.find_subcommand(name));
        group(&mut listed, heading, found, width);
    }
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let others = cli
        .get_subcommands()
        .filter(|command| !is_grouped(command.get_name()));
    group(&mut listed, OTHERS, others, width);
    cli.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{listed}\
         {HEADING}Options of up, the default:{HEADING:#}\n{{options}}{{after-help}}"
    ))
}

fn group<'a>(
    listed: &mut String,
    heading: &str,
    commands: impl Iterator<Item = &'a Command>,
    width: usize,
) {
    let mut lines = String::new();
    for command in commands {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(
            lines,
            "  {TYPED}{:width$}{TYPED:#}  {about}",
            command.get_name()
        );
    }
    if !lines.is_empty() {
        let _ = writeln!(listed, "{HEADING}{heading}:{HEADING:#}\n{lines}");
    }
}

#[cfg(test)]
mod tests;
