//! Questions to whoever sits at the terminal; where nobody does, nothing is guessed.

use std::io::IsTerminal;

use dialoguer::{Confirm, Password};

use crate::exit::Failure;

/// Whether somebody can be asked.
fn somebody() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a secret, which is not shown; `without` says what to do where nobody can be asked.
///
/// # Errors
/// Nobody can be asked, or nobody answered.
pub fn secret(question: &str, without: impl FnOnce() -> String) -> Result<String, Failure> {
    if !somebody() {
        return Err(Failure::NoAccess(without()));
    }
    Password::new()
        .with_prompt(question)
        .interact()
        .map_err(|error| Failure::Unconfirmed(format!("nothing was entered: {error}")))
}

/// Has what moves money confirmed: by --yes, or by whoever sits at the terminal.
///
/// # Errors
/// Nobody confirmed.
pub fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !somebody() {
        return Err(Failure::Unconfirmed(format!(
            "{what}: nobody can be asked here; say --yes if it is meant"
        )));
    }
    let confirmed = Confirm::new()
        .with_prompt(format!("{what}?"))
        .default(false)
        .interact()
        .map_err(|error| Failure::Unconfirmed(format!("nothing was confirmed: {error}")))?;
    if confirmed {
        Ok(())
    } else {
        Err(Failure::Unconfirmed("nothing was done".to_owned()))
    }
}
