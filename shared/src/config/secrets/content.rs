//! Reading a secret's text, so that an error names every problem and none of the content.

use serde::Deserialize;

use crate::random::is_one_byte;
use crate::wechatpay::KeyError;

/// What WeChat's platforms show where a secret is chosen, and what [`is_drawn`] looks for.
pub(super) const LETTERS: &str = "32 letters and digits, not all the same";

/// What a secret's text is read into.
pub trait Content: Send + Sync + Sized + 'static {
    /// The secret's name in messages.
    const NAME: &'static str;

    /// Reads the text; the error names every problem and none of the content.
    ///
    /// # Errors
    /// The text is not of this secret's shape.
    fn parse(text: &str) -> Result<Self, String>;
}

pub(super) fn shape<'de, S: Deserialize<'de>>(text: &'de str) -> Result<S, String> {
    serde_json::from_str(text).map_err(|error| {
        // serde's words may quote the content; its place does not.
        format!(
            "it is not JSON of the expected shape (line {}, column {})",
            error.line(),
            error.column()
        )
    })
}

/// Whether a text can be a secret as WeChat's platforms give or take them. What is shorter, has a blank
/// or a hyphen in it, or is one letter 32 times is a placeholder, or was cut off.
pub(super) fn is_drawn(text: &str) -> bool {
    text.len() == 32
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !is_one_byte(text.as_bytes())
}

/// What is wrong with several keys, told together; the same once.
pub(super) fn together(errors: impl Iterator<Item = KeyError>) -> String {
    let mut problems: Vec<String> = errors.map(|error| error.to_string()).collect();
    problems.dedup();
    problems.join("; ")
}

/// What is wrong with each key by itself, or else with all of them together.
pub(super) fn of_each(errors: impl Iterator<Item = KeyError>, all: KeyError) -> String {
    let each = together(errors);
    if each.is_empty() {
        all.to_string()
    } else {
        each
    }
}
