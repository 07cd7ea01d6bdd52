//! An open loop: requests start by a schedule that was fixed beforehand, whether or not earlier ones are
//! answered, and what passes the gateway's throttle.

use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::locked;

/// Begins `count` requests at this rate, on a thread of its own; gives how late the latest began.
pub(crate) fn play(
    per_second: f64,
    count: u64,
    mut begin: impl FnMut(u64, Instant) + Send + 'static,
) -> Playing {
    let started = Instant::now() + Duration::from_millis(20);
    Playing(std::thread::spawn(move || {
        let mut latest = Duration::ZERO;
        for number in 0..count {
            let intended = started + offset(number, per_second);
            let now = Instant::now();
            if intended > now {
                std::thread::sleep(intended - now);
            }
            latest = latest.max(Instant::now().saturating_duration_since(intended));
            begin(number, intended);
        }
        latest
    }))
}

/// A schedule at work.
pub(crate) struct Playing(JoinHandle<Duration>);

impl Playing {
    /// Waits for its end; gives how late the latest request began.
    pub(crate) async fn ended(self) -> crate::Result<Duration> {
        let ended = tokio::task::spawn_blocking(move || self.0.join()).await?;
        ended.map_err(|_| "the thread of a schedule panicked".into())
    }
}

/// When a request starts, after the first.
fn offset(number: u64, per_second: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let number = number as f64;
    Duration::from_secs_f64(number / per_second.max(1e-6))
}

/// How many requests are begun at this rate in this time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a run"
)]
pub(crate) fn count_in(per_second: f64, time: Duration) -> u64 {
    (per_second * time.as_secs_f64()).round().max(1.0) as u64
}

/// API Gateway's throttle of a route: a bucket that fills with a rate up to a burst.
#[derive(Debug)]
pub(crate) struct Throttle {
    per_second: f64,
    burst: f64,
    level: Mutex<(f64, Instant)>,
}

impl Throttle {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            per_second,
            burst,
            level: Mutex::new((burst, Instant::now())),
        }
    }

    /// Whether a request of this moment passes.
    pub(crate) fn passes(&self, now: Instant) -> bool {
        let mut level = locked(&self.level);
        let filled = now.saturating_duration_since(level.1).as_secs_f64() * self.per_second;
        let full = (level.0 + filled).min(self.burst);
        let passes = full >= 1.0;
        *level = (if passes { full - 1.0 } else { full }, now.max(level.1));
        passes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{Throttle, play};

    #[tokio::test]
    async fn a_schedule_does_not_wait_for_who_is_slow() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let playing = play(100.0, 5, {
            let seen = Arc::clone(&seen);
            move |number, intended| {
                seen.lock().unwrap().push(intended);
                if number == 0 {
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
        });
        // What started late was meant to start when it was.
        assert!(playing.ended().await.unwrap() >= Duration::from_millis(30));
        let seen = seen.lock().unwrap();
        let apart: Vec<u128> = seen
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_millis())
            .collect();
        assert_eq!(apart, [10, 10, 10, 10]);
    }

    #[test]
    fn a_throttle_lets_its_burst_and_its_rate_through() {
        let throttle = Throttle::new(50.0, 100.0);
        let began = Instant::now();
        let passed = |at: Duration| (0..500).filter(|_| throttle.passes(began + at)).count();
        assert_eq!(passed(Duration::from_millis(1)), 100);
        assert_eq!(passed(Duration::from_millis(1_001)), 50);
        assert_eq!(passed(Duration::from_millis(1_001)), 0);
    }
}
