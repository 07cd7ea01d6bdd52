//! Days and moments as they are written on the command line.

use shared::clock::Clock;
use shared::domain::{BeijingDay, Timestamp};
use shared::rfc3339;

/// A day in Beijing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// So many days before today.
    Ago(i64),
    /// This one.
    Of(BeijingDay),
}

impl Day {
    /// Reads `2026-11-29`, `today` or `yesterday`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "today" => Ok(Self::Ago(0)),
            "yesterday" => Ok(Self::Ago(1)),
            _ => rfc3339::parse_day(text)
                .map(Self::Of)
                .ok_or_else(|| "a day is 2026-11-29, today or yesterday".to_owned()),
        }
    }

    /// The day, by this clock.
    pub fn on(self, clock: &Clock) -> BeijingDay {
        match self {
            Self::Of(day) => day,
            Self::Ago(days) => BeijingDay::of(clock.wall()).days_before(days),
        }
    }
}

/// Reads a moment: a day means its first second in Beijing.
///
/// # Errors
/// It is neither a day nor RFC 3339.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Some(day) = rfc3339::parse_day(text) {
        return Ok(day.starts_at());
    }
    rfc3339::parse(text)
        .ok_or_else(|| "a moment is 2026-11-29 or 2026-11-29T08:00:00+08:00".to_owned())
}

/// Reads a span of time in seconds: `90s`, `15m`, `3h` or `7d`.
///
/// # Errors
/// It is none of these.
pub fn span(text: &str) -> Result<i64, String> {
    let unreadable = || "a time is 90s, 15m, 3h or 7d".to_owned();
    let (digits, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(unreadable)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(unreadable()),
    };
    let number: u32 = digits.parse().map_err(|_| unreadable())?;
    Ok(i64::from(number) * seconds)
}
