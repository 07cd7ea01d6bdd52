//! Beijing time in the forms WeChat Pay writes it (docs/simulator.md, `times`: `+08:00` in bodies,
//! Unix seconds in headers). Times are milliseconds since 1970; nothing here reads a clock.

use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;
use time::macros::{format_description, offset};
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

/// Milliseconds in a second.
pub(crate) const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day; Beijing has no daylight saving.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

fn moment(at_ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(SECOND_MS))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(offset!(+8))
}

/// `2018-06-08T10:34:56+08:00`.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    moment(at_ms).format(&Rfc3339).unwrap_or_default()
}

/// `2018-06-08 10:34:56`, as bills write it.
pub(crate) fn bill_time(at_ms: i64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    moment(at_ms).format(form).unwrap_or_default()
}

/// `20180608`.
pub(crate) fn compact_day(at_ms: i64) -> String {
    moment(at_ms)
        .format(format_description!("[year][month][day]"))
        .unwrap_or_default()
}

/// `08103456`: day, hour, minute and second, as a `prepay_id` starts.
pub(crate) fn compact_moment(at_ms: i64) -> String {
    moment(at_ms)
        .format(format_description!("[day][hour][minute][second]"))
        .unwrap_or_default()
}

/// The first millisecond of a day written `yyyy-MM-dd`, in Beijing.
pub(crate) fn day_start(day: &str) -> Option<i64> {
    let date = Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
    let start = PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_offset(offset!(+8));
    Some(start.unix_timestamp() * SECOND_MS)
}

/// Reads an RFC 3339 time with an offset.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(moment.unix_timestamp() * SECOND_MS)
}

/// The `Date` header of HTTP.
pub(crate) fn http_date(at_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(at_ms).unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}
