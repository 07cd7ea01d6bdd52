//! Times as text: RFC 3339, in Beijing time as WeChat Pay writes it, and in UTC.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset, macros::offset};

use crate::domain::{BeijingDay, Timestamp};

const BEIJING: UtcOffset = offset!(+8);

/// The moment as WeChat Pay writes it: RFC 3339 with `+08:00`.
pub fn format(at: Timestamp) -> String {
    formatted(at, BEIJING)
}

/// The moment as RFC 3339 in UTC.
pub fn format_utc(at: Timestamp) -> String {
    formatted(at, UtcOffset::UTC)
}

/// The moment written as RFC 3339 with any offset; `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    // RFC 3339 has a T there, in either case, and allows a space; the parser takes anything.
    let divides = text.as_bytes().get(10);
    divides.filter(|byte| matches!(byte, b'T' | b't' | b' '))?;
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp::from_unix_seconds(moment.unix_timestamp()))
}

/// The day as `yyyy-mm-dd`.
pub fn format_day(day: BeijingDay) -> String {
    let mut text = format(day.starts_at());
    text.truncate(10);
    text
}

/// The day written as `yyyy-mm-dd`; `None` for anything else.
pub fn parse_day(text: &str) -> Option<BeijingDay> {
    let midnight = parse(&format!("{text}T00:00:00+08:00"));
    midnight.map(BeijingDay::of).filter(|_| text.len() == 10)
}

/// The Beijing day of a moment, `yyyymmdd`.
pub fn beijing_day(at: Timestamp) -> String {
    let day = moment(at, BEIJING).date();
    format!(
        "{:04}{:02}{:02}",
        day.year(),
        u8::from(day.month()),
        day.day()
    )
}

fn formatted(at: Timestamp, offset: UtcOffset) -> String {
    // What `moment` gives has a year of four digits, which can always be written.
    moment(at, offset).format(&Rfc3339).unwrap_or_default()
}

/// The moment in an offset, held within the years that four digits can write: the year 1970 to the
/// day before the last of 9999, so that no offset leads out.
fn moment(at: Timestamp, offset: UtcOffset) -> OffsetDateTime {
    const LAST: i64 = 253_402_214_400;
    OffsetDateTime::from_unix_timestamp(at.unix_seconds().clamp(0, LAST))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(offset)
}

#[cfg(test)]
mod tests;
