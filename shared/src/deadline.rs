//! When an invocation must have answered, and how much of that time is left.

use std::time::Duration;

use crate::clock::Clock;

/// What is kept of the time Lambda gives, for the answer, in milliseconds.
const ANSWER_RESERVE_MS: i64 = 300;

/// What an invocation without a deadline gets, in milliseconds (only outside Lambda).
const DEFAULT_DEADLINE_MS: i64 = 9_000;

/// Smaller values are durations, not times: `cargo lambda watch` sends 600 000.
const DEADLINE_MIN_MS: i64 = 24 * 60 * 60 * 1_000;

/// When the answer has to be given.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at_ms: i64,
}

impl Deadline {
    /// A deadline at this time of the wall clock, in Unix milliseconds. 0 and durations (see
    /// `DEADLINE_MIN_MS`) count as no deadline.
    pub fn at_ms_of_wall(at_ms: u64, clock: &Clock) -> Self {
        let given = i64::try_from(at_ms).unwrap_or(i64::MAX);
        let at_ms = if given < DEADLINE_MIN_MS {
            clock.wall_millis() + DEFAULT_DEADLINE_MS
        } else {
            given
        };
        Self {
            at_ms: at_ms - ANSWER_RESERVE_MS,
        }
    }

    /// What is left, at most `most`; nothing where it has passed.
    pub fn left(&self, clock: &Clock, most: Duration) -> Duration {
        let left = u64::try_from(self.at_ms.saturating_sub(clock.wall_millis())).unwrap_or(0);
        Duration::from_millis(left).min(most)
    }
}

#[cfg(test)]
mod tests;
