//! Tests of the groups.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use clap::{Command, Subcommand};

use super::{GROUPS, grouped};

#[test]
fn every_command_of_the_operators_is_in_a_group() {
    let cli = crate::Command::augment_subcommands(Command::new("wxpay"));
    for command in cli.get_subcommands() {
        let name = command.get_name();
        let mut groups = GROUPS.iter();
        assert!(groups.any(|(_, names)| names.contains(&name)), "{name}");
        assert!(
            command.get_about().is_some(),
            "{name} says nothing of itself"
        );
    }
}

#[test]
fn a_command_in_no_group_is_listed_all_the_same() {
    let cli = Command::new("wxpay")
        .subcommand(Command::new("up").about("Starts"))
        .subcommand(Command::new("new").about("Is new"));
    let help = grouped(cli).render_help().to_string();
    let up = help.find("On this machine:\n  up   Starts").unwrap();
    let others = help.find("Others:\n  new  Is new").unwrap();
    assert!(up < others, "{help}");
    assert!(!help.contains("The books"), "{help}");
}
