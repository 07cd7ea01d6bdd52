//! What is checked of a body's members, whatever they are about.

use shared::api::{Code, Problem};

/// 422 `invalid_value`, naming the member.
pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidValue, detail).field(field)
}

/// A text for WeChat Pay: not empty, bounded, no control characters.
pub(crate) fn text(field: &'static str, value: Option<&str>, most: usize) -> Result<(), Problem> {
    let Some(value) = value else { return Ok(()) };
    if value.is_empty() || value.len() > most {
        return Err(invalid(
            field,
            format!("{field} must be 1 to {most} bytes of UTF-8"),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, format!("{field} has a control character")));
    }
    Ok(())
}
