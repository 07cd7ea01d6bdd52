//! Amounts as people write and read them: fen, or yuan where that is said.

use shared::domain::Fen;

/// An amount as a table shows it: yuan, with both decimals.
pub fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// Reads an amount: whole fen, or yuan with at most two decimals.
///
/// # Errors
/// Says in a fragment what is wrong: fen with a decimal point are yuan that were not said to be.
pub fn parse(text: &str, in_yuan: bool) -> Result<Fen, String> {
    let fen = if in_yuan {
        fen_of_yuan(text)?
    } else {
        whole(text)?
    };
    Fen::new(fen).map_err(|error| error.to_string())
}

fn whole(text: &str) -> Result<i64, String> {
    if text.contains(['.', ',']) {
        return Err(format!(
            "{text:?} is not whole fen; if it is yuan, say --yuan"
        ));
    }
    digits(text).ok_or_else(|| format!("{text:?} is not an amount in fen, as in 2550"))
}

fn fen_of_yuan(text: &str) -> Result<i64, String> {
    let unreadable = || format!("{text:?} is not an amount in yuan, as in 25.50");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
    let decimals = match decimals.len() {
        1 => format!("{decimals}0"),
        2 => decimals.to_owned(),
        _ => return Err(unreadable()),
    };
    let yuan = digits(whole).ok_or_else(unreadable)?;
    let fen = digits(&decimals).ok_or_else(unreadable)?;
    yuan.checked_mul(100)
        .and_then(|yuan| yuan.checked_add(fen))
        .ok_or_else(unreadable)
}

/// Digits alone: no sign, no blank, no separator.
fn digits(text: &str) -> Option<i64> {
    let legal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    legal.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
