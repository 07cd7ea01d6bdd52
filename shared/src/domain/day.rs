//! A day in Beijing, by which WeChat Pay writes its bills.

use super::Timestamp;

/// How far Beijing's clock stands before UTC, in seconds; there is no summer time.
const OFFSET_SECONDS: i64 = 8 * 60 * 60;

/// How long a day is, in seconds.
pub(super) const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A day from midnight to midnight in Beijing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeijingDay {
    /// Days since the first of 1970.
    number: i64,
}

impl BeijingDay {
    /// The day of a moment.
    pub const fn of(at: Timestamp) -> Self {
        let local = at.plus_seconds(OFFSET_SECONDS).unix_seconds();
        Self {
            number: local.div_euclid(DAY_SECONDS),
        }
    }

    /// Its first second.
    pub const fn starts_at(self) -> Timestamp {
        let local = self.number.saturating_mul(DAY_SECONDS);
        Timestamp::from_unix_seconds(local).minus_seconds(OFFSET_SECONDS)
    }

    /// The first second of the next day.
    pub const fn ends_at(self) -> Timestamp {
        self.starts_at().plus_seconds(DAY_SECONDS)
    }

    /// The day so many days earlier.
    #[must_use]
    pub const fn days_before(self, days: i64) -> Self {
        Self {
            number: self.number.saturating_sub(days),
        }
    }

    /// The day before.
    #[must_use]
    pub const fn before(self) -> Self {
        self.days_before(1)
    }
}

#[cfg(test)]
mod tests;
