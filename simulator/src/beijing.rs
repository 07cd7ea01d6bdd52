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
    // The parser also takes a sign in front of the year.
    if !day.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let date = Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
    let start = PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_offset(offset!(+8));
    Some(start.unix_timestamp() * SECOND_MS)
}

/// Reads an RFC 3339 time with an offset. Between date and time stands `T` or `t` (§5.6), which the
/// parser alone does not insist on.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(moment.unix_timestamp() * SECOND_MS)
}

/// The `Date` header of HTTP.
pub(crate) fn http_date(at_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(at_ms).unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_t_between_its_halves_and_an_offset() {
        let at_ms = Some(1_796_090_400_000);
        for (text, wanted) in [
            ("2026-12-01T10:00:00+08:00", at_ms),
            ("2026-12-01t10:00:00+08:00", at_ms),
            ("2026-12-01T02:00:00Z", at_ms),
            ("2026-12-01X10:00:00+08:00", None),
            ("2026-12-01_10:00:00+08:00", None),
            ("2026-12-01 10:00:00+08:00", None),
            ("2026-12-01T10:00:00", None),
            ("2026-12-01T10:00:00+0800", None),
            ("20261201100000", None),
            ("+2026-12-01T10:00:00+08:00", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_day_is_four_two_and_two_digits() {
        assert_eq!(day_start("2026-12-01"), Some(1_796_054_400_000));
        for day in [
            "+2026-12-01",
            "-2026-12-01",
            "2026-12-1",
            "2026-13-01",
            "2026-02-30",
            "",
        ] {
            assert_eq!(day_start(day), None, "{day}");
        }
    }

    #[test]
    fn the_date_header_is_written_as_http_has_it() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
