//! What the tool says of itself, and how it ends.

use crate::shop::{Ran, wxpay};

fn run(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    Ran::of(
        wxpay()
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap(),
    )
}

#[test]
fn the_help_lists_commands_in_groups_and_begins_with_what_starts_here() {
    let help = run(&["--help"]);
    let help = help.text();
    let mut last = 0;
    for heading in [
        "On this machine:",
        "  up ",
        "  demo ",
        "The shop:",
        "  orders ",
        "  refunds ",
        "  articles ",
        "The books:",
        "  bill ",
        "  reconcile ",
        "Running it:",
        "  secrets ",
        "  events ",
        "  logs ",
        "  doctor ",
        "The shell:",
        "  completions ",
        "Options of up, the default:",
        "--port",
    ] {
        let place = help
            .find(heading)
            .unwrap_or_else(|| panic!("{heading} is not in {help}"));
        assert!(place > last, "{heading} comes too early in {help}");
        last = place;
    }
    assert!(!help.contains("Others:"), "{help}");
    assert!(!help.contains('\u{1b}'), "a pipe gets no colours");
}

#[test]
fn every_command_explains_itself_and_a_mistyped_one_is_understood() {
    for arguments in [
        &["orders", "list", "--help"][..],
        &["refunds", "create", "--help"],
        &["articles", "import", "--help"],
        &["secrets", "put", "--help"],
        &["events", "replay", "--help"],
        &["logs", "--help"],
    ] {
        let help = run(arguments);
        assert!(
            help.text().contains("Example"),
            "{arguments:?}: {}",
            help.out
        );
        assert!(
            help.text().contains("--stack"),
            "{arguments:?}: {}",
            help.out
        );
    }
    let said = run(&["oders", "list"]).failed(2).to_owned();
    assert!(
        said.contains("a similar subcommand exists: 'orders'"),
        "{said}"
    );
    let said = run(&["orders", "lst"]).failed(2).to_owned();
    assert!(said.contains("'list'"), "{said}");
    for arguments in [
        &["orders", "show", "no"][..],
        &["orders", "list", "--date", "29.11.2026"],
        &["refunds", "create", "order-1"],
        &["refunds", "create", "order-1", "--amount", "1", "--all"],
        &["orders", "list", "--region", "eu-west-1"],
        &["logs", "--since", "soon"],
    ] {
        run(arguments).failed(2);
    }
}

#[test]
fn each_shell_gets_its_completions() {
    for (shell, begins) in [
        ("bash", "_wxpay()"),
        ("zsh", "#compdef wxpay"),
        ("fish", "wxpay"),
    ] {
        let script = run(&["completions", shell]);
        assert!(script.text().contains(begins), "{shell}");
        assert!(script.text().contains("reconcile"), "{shell}");
    }
}

#[test]
fn without_a_stack_it_says_how_to_come_to_one() {
    let said = run(&["orders", "list"]).failed(3).to_owned();
    assert!(
        said.contains("wxpay up") && said.contains("--stack"),
        "{said}"
    );
    let said = run(&["orders", "list", "--stack", "wxpay"])
        .failed(3)
        .to_owned();
    assert!(said.contains("--region"), "{said}");
    let arguments = [
        "orders",
        "list",
        "--stack",
        "wxpay",
        "--region",
        "eu-west-1",
    ];
    let said = run(&arguments).failed(3).to_owned();
    assert!(said.contains("no AWS credentials"), "{said}");
}

fn page(name: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    std::fs::read_to_string(file).unwrap()
}

/// The names of a page's commands, from its table.
fn documented(page: &str) -> Vec<&str> {
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `wxpay "));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn the_pages_name_each_command_and_each_exit_code_in_both_languages() {
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        _command: operator::Command,
    }
    let mut commands = Vec::new();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let mut verbs = command.get_subcommands().peekable();
        if verbs.peek().is_none() {
            commands.push(name.to_owned());
        }
        commands.extend(verbs.map(|verb| format!("{name} {}", verb.get_name())));
    }
    commands.sort();
    let english = page("cli.md");
    let chinese = page("cli.zh-CN.md");
    let failures = [
        operator::Failure::Failed as fn(String) -> operator::Failure,
        operator::Failure::NoAccess,
        operator::Failure::NotFound,
        operator::Failure::Refused,
        operator::Failure::NoAnswer,
        operator::Failure::Unconfirmed,
        operator::Failure::Found,
    ];
    for page in [&english, &chinese] {
        let mut documented = documented(page);
        documented.sort_unstable();
        assert_eq!(documented, commands);
        for failure in failures {
            let row = format!("\n| {} | ", failure(String::new()).code());
            assert!(page.contains(&row), "{row}");
        }
    }
}
