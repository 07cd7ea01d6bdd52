//! The time, and the two ways in which it is written here.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// Unix seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "this program shares nothing with the bundle, so its clock neither"
)]
pub(crate) fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}

/// `20261123T010203Z`, as Signature Version 4 has it.
pub(crate) fn basic(at: u64) -> String {
    let (year, month, day) = date(at / DAY);
    let (hour, minute, second) = clock(at % DAY);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `2026-11-23T09:02:03+08:00`, as WeChat Pay has it.
pub(crate) fn beijing(at: u64) -> String {
    let at = at + 8 * 60 * 60;
    let (year, month, day) = date(at / DAY);
    let (hour, minute, second) = clock(at % DAY);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+08:00")
}

const fn clock(second: u64) -> (u64, u64, u64) {
    (second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since 1970, counted in years that begin in March, so that the leap
/// day is the last one.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year_of_era + era * 400 + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::{basic, beijing};

    #[test]
    fn known_moments_are_written_as_others_write_them() {
        assert_eq!(basic(0), "19700101T000000Z");
        assert_eq!(basic(951_827_696), "20000229T123456Z");
        assert_eq!(basic(1_795_395_723), "20261123T010203Z");
        assert_eq!(beijing(1_795_395_723), "2026-11-23T09:02:03+08:00");
        assert_eq!(beijing(1_798_732_800), "2027-01-01T00:00:00+08:00");
    }
}
