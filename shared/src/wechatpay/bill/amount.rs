//! Amounts as bills write them: yuan with a fixed number of decimals, converted exactly.

/// How many digits may stand before the point: ten trillion yuan, far from overflow in any unit here.
const WHOLE_DIGITS_MAX: usize = 13;

/// `28.50` as fen; nothing else than an amount with two decimals, not below zero.
pub(super) fn fen(text: &str) -> Option<i64> {
    decimal(text, 2)
}

/// `-0.00600` as thousandths of a fen, as fees are written; five decimals.
pub(super) fn fee(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(amount) => decimal(amount, 5).map(|fee| -fee),
        None => decimal(text, 5),
    }
}

/// How many rows, as a summary says it.
pub(super) fn count(text: &str) -> Option<u64> {
    is_whole(text).then(|| text.parse().ok()).flatten()
}

fn decimal(text: &str, decimals: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole(whole) || fraction.len() != decimals || !digits {
        return None;
    }
    // At most 18 digits: they fit.
    format!("{whole}{fraction}").parse().ok()
}

/// Digits without a sign or a zero too many.
fn is_whole(text: &str) -> bool {
    let bounded = (1..=WHOLE_DIGITS_MAX).contains(&text.len());
    let shortest = text == "0" || !text.starts_with('0');
    bounded && shortest && text.bytes().all(|byte| byte.is_ascii_digit())
}
