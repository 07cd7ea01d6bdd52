//! A day of the merchant's: from midnight to midnight in Beijing, which keeps one offset all year.

use super::Timestamp;

/// How far Beijing's clocks are ahead of UTC, in seconds.
const OFFSET_SECONDS: i64 = 8 * 60 * 60;

/// How long a day is, in seconds.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A day in Beijing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeijingDay(i64);

impl BeijingDay {
    /// The day that the moment belongs to.
    pub const fn of(at: Timestamp) -> Self {
        Self(
            at.plus_seconds(OFFSET_SECONDS)
                .unix_seconds()
                .div_euclid(DAY_SECONDS),
        )
    }

    /// Its first second.
    pub const fn first_second(self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.saturating_mul(DAY_SECONDS))
            .minus_seconds(OFFSET_SECONDS)
    }

    /// Its last second.
    pub const fn last_second(self) -> Timestamp {
        self.first_second().plus_seconds(DAY_SECONDS - 1)
    }
}

#[cfg(test)]
mod tests;
