//! The operator's commands, for the binary to put beside its own.

use clap::Subcommand;
use clap_complete::Shell;

use crate::exit::Failure;
use crate::{doctor, orders};

/// What an operator asks for.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Orders: list them.
    Orders(orders::Orders),
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
