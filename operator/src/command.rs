//! The operator's commands, for the binary to put beside its own.

use clap::Subcommand;
use clap_complete::Shell;

use crate::exit::Failure;
use crate::{articles, bill, doctor, events, logs, orders, reconcile, refunds, secrets};

/// What an operator asks for.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Orders: list, show, close, settle.
    Orders(orders::Orders),
    /// Refunds: what waits, and approve, reject, create and the rest.
    Refunds(refunds::Refunds),
    /// The catalogue: list, put, remove, import.
    Articles(articles::Articles),
    /// Fetches WeChat Pay's bill of a day.
    Bill(bill::Bill),
    /// Reconciles a day again.
    Reconcile(reconcile::Reconcile),
    /// The five secrets: put, check.
    Secrets(secrets::Secrets),
    /// Events: tell a span again, or watch them.
    Events(events::Events),
    /// Log lines of all functions, or one order's story.
    Logs(logs::Logs),
    /// Checks a set-up and says what to mend.
    Doctor(doctor::Doctor),
    /// Prints the script that completes commands and options in a shell.
    #[command(
        after_help = "For bash: wxpay completions bash > ~/.local/share/bash-completion/completions/wxpay"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Does what was asked; `cli` is the whole command line, whose completions may be wanted.
///
/// # Errors
/// Says why not, with the exit code that fits.
pub async fn run(command: Command, cli: clap::Command) -> Result<(), Failure> {
    match command {
        Command::Orders(orders) => orders::run(orders).await,
        Command::Refunds(refunds) => refunds::run(refunds).await,
        Command::Articles(articles) => articles::run(articles).await,
        Command::Bill(bill) => bill::run(bill).await,
        Command::Reconcile(reconcile) => reconcile::run(reconcile).await,
        Command::Secrets(secrets) => secrets::run(secrets).await,
        Command::Events(events) => events::run(events).await,
        Command::Logs(logs) => logs::run(logs).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
        Command::Completions { shell } => {
            let mut cli = cli;
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli, "wxpay", &mut script);
            crate::output::line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}
