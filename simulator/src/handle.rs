//! The one object every port holds: the state behind its lock and the two clocks. Real time dates
//! signatures; business time is real time plus an offset that only grows, and rules expiry,
//! retries, refunds and bills.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, Semaphore, watch};

use crate::changes::Changes;
use crate::outgoing::Outgoing;
use crate::state::State;

/// How far business time may be ahead of real time, in seconds: a century, so that no date of it is
/// beyond what dates can say.
pub(crate) const OFFSET_S_MAX: i64 = 100 * 366 * 86_400;

/// Notices on their way at once; more wait their turn.
const NOTICES_IN_FLIGHT_MAX: usize = 64;

/// Real time in Unix milliseconds, where it is not the system's.
pub(crate) type Wall = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Where the ports came to listen.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub(crate) base: String,
    pub(crate) backup: String,
    pub(crate) control: String,
    pub(crate) tls: Option<String>,
}

pub(crate) struct SimulatorHandle {
    state: Mutex<State>,
    pub(crate) changes: Changes,
    offset_s: AtomicI64,
    speed: f64,
    wake: Notify,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) outgoing: Outgoing,
    wall: Option<Wall>,
    pub(crate) slots: Semaphore,
    /// Attempts to send a notice that have begun and not ended.
    pub(crate) in_flight: AtomicUsize,
    stopping: watch::Sender<bool>,
    urls: OnceLock<Urls>,
}

impl fmt::Debug for SimulatorHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatorHandle")
            .finish_non_exhaustive()
    }
}

impl SimulatorHandle {
    pub(crate) fn new(
        state: State,
        offset_s: i64,
        speed: f64,
        outgoing: Outgoing,
        wall: Option<Wall>,
    ) -> Self {
        Self {
            changes: state.changes.clone(),
            state: Mutex::new(state),
            offset_s: AtomicI64::new(offset_s),
            speed,
            wake: Notify::new(),
            runtime: tokio::runtime::Handle::current(),
            outgoing,
            wall,
            slots: Semaphore::new(NOTICES_IN_FLIGHT_MAX),
            in_flight: AtomicUsize::new(0),
            stopping: watch::Sender::new(false),
            urls: OnceLock::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves whole records behind; going on is right for a tool
        // that people test with.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_urls(&self, urls: Urls) {
        // The first call wins; there is only one.
        let _ = self.urls.set(urls);
    }

    pub(crate) fn urls(&self) -> Option<&Urls> {
        self.urls.get()
    }

    /// Real time, in milliseconds: the system's, unless the simulator was given another.
    pub(crate) fn wall_ms(&self) -> i64 {
        match &self.wall {
            Some(wall) => wall(),
            None => Self::system_ms(),
        }
    }

    /// The system's time, in milliseconds.
    pub(crate) fn system_ms() -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Business time, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.wall_ms() + self.offset_seconds() * 1_000
    }

    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_s.load(Ordering::SeqCst)
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }

    /// A span of WeChat Pay's schedules at this simulator's speed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "spans of days"
    )]
    pub(crate) fn scaled(&self, span_ms: i64) -> i64 {
        (span_ms as f64 / self.speed).round() as i64
    }

    /// Moves business time on and gives whether it moved: not back, and not further ahead than
    /// [`OFFSET_S_MAX`].
    pub(crate) fn move_on(&self, seconds: i64) -> bool {
        let mut state = self.lock();
        let offset_s = self.offset_seconds().checked_add(seconds);
        let Some(offset_s) = offset_s.filter(|ahead| seconds >= 0 && *ahead <= OFFSET_S_MAX) else {
            return false;
        };
        self.offset_s.store(offset_s, Ordering::SeqCst);
        state.put_clock(offset_s);
        true
    }

    /// Waits until something may be due earlier than was known.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Tells the timer task that something may be due earlier than it knows.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether nothing is due and no notice is on its way.
    pub(crate) fn quiet(&self) -> bool {
        let now_ms = self.now_ms();
        let state = self.lock();
        let next = state.timers.first();
        self.in_flight.load(Ordering::SeqCst) == 0
            && next.is_none_or(|(due_ms, _)| *due_ms > now_ms)
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the simulator is stopping: nothing that waited until now is done any more.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as this object, so the wait ends in no other way.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }
}
