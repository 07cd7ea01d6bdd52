//! The one file that asks the system for the time.
//!
//! There are two readings. [`Clock::wall`] is real time: signatures, the ±300 s window, tokens,
//! deadlines. [`Clock::business`] decides expiry, due times, refund intervals and when secrets are read
//! again; it differs from real time only where someone moved the business clock (the local stack does,
//! to watch a day pass).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// How far the business clock is ahead of real time, in seconds; asked at every reading.
pub type Offset = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Real time in Unix milliseconds, where it is not the system's; asked at every reading.
pub type Wall = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The two readings of time.
#[derive(Clone)]
pub struct Clock {
    wall: Option<Wall>,
    offset: Option<Offset>,
}

impl Clock {
    /// A clock whose two readings agree.
    pub const fn system() -> Self {
        Self {
            wall: None,
            offset: None,
        }
    }

    /// A clock whose business reading is `offset` seconds ahead of real time.
    pub fn offset_by(offset: Offset) -> Self {
        Self {
            wall: None,
            offset: Some(offset),
        }
    }

    /// A clock whose real time is this instead of the system's: where a whole world, its time too, is run
    /// in one thread.
    pub fn reading(wall: Wall) -> Self {
        Self {
            wall: Some(wall),
            offset: None,
        }
    }

    /// Real time.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.wall_millis() / 1000)
    }

    /// Real time in Unix milliseconds; Lambda gives its deadline so.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that asks the system"
    )]
    pub fn wall_millis(&self) -> i64 {
        if let Some(wall) = &self.wall {
            return wall();
        }
        // A clock before 1970 reads as 1970: every signature is then stale and nothing moves.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    /// The time that business schedules follow.
    pub fn business(&self) -> Timestamp {
        self.wall()
            .plus_seconds(self.offset.as_ref().map_or(0, |offset| offset()))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clock").finish_non_exhaustive()
    }
}
