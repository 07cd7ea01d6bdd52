//! Questions to whoever sits at the terminal; where nobody does, nothing is guessed.

use std::io::IsTerminal;

use dialoguer::{Confirm, Input, Password};

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

/// A bank card's number and the name on it: asked for without being shown, or two lines of standard input.
///
/// # Errors
/// One of them is missing.
pub fn card() -> Result<[String; 2], Failure> {
    let missing =
        || "standard input has no two lines: the card's number, and the name on it".to_owned();
    if somebody() {
        return Ok([
            secret("The card's number", missing)?,
            secret("The name on it", missing)?,
        ]);
    }
    let mut lines = std::io::stdin().lines().map_while(Result::ok);
    let mut line = || lines.next().filter(|line| !line.trim().is_empty());
    match (line(), line()) {
        (Some(number), Some(name)) => Ok([number.trim().to_owned(), name.trim().to_owned()]),
        _ => Err(Failure::Unconfirmed(missing())),
    }
}

/// Asks for a text.
///
/// # Errors
/// Nobody can be asked, or nobody answered.
pub fn line(question: &str, without: impl FnOnce() -> String) -> Result<String, Failure> {
    if !somebody() {
        return Err(Failure::Unconfirmed(without()));
    }
    Input::new()
        .with_prompt(question)
        .interact_text()
        .map_err(|error| Failure::Unconfirmed(format!("nothing was entered: {error}")))
}
