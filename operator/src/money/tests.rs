//! Tests of amounts: what is read, and what is refused rather than guessed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{parse, yuan};

#[test]
fn fen_and_yuan_are_told_apart_and_never_guessed() {
    for (text, in_yuan, fen) in [
        ("2550", false, Some(2_550)),
        ("1", false, Some(1)),
        ("25.50", false, None),
        ("25,50", false, None),
        ("-1", false, None),
        ("+1", false, None),
        (" 1", false, None),
        ("", false, None),
        ("0", false, None),
        ("1000000001", false, None),
        ("25.50", true, Some(2_550)),
        ("25.5", true, Some(2_550)),
        ("25", true, Some(2_500)),
        ("0.01", true, Some(1)),
        ("0.00", true, None),
        ("25.505", true, None),
        ("25.", true, None),
        (".5", true, None),
        ("25,50", true, None),
        ("1e3", true, None),
        ("99999999999999999999", true, None),
    ] {
        let read = parse(text, in_yuan).ok().map(|fen| fen.get());
        assert_eq!(read, fen, "{text:?}, yuan: {in_yuan}");
    }
    assert!(parse("25.50", false).unwrap_err().contains("--yuan"));
}

#[test]
fn yuan_have_both_decimals() {
    for (fen, text) in [(0, "0.00"), (1, "0.01"), (2_550, "25.50"), (-5, "-0.05")] {
        assert_eq!(yuan(fen), text);
    }
}
