//! EventBridge Scheduler on this machine: runs each schedule of the template at its time.
//!
//! Schedules follow business time, `speed` times faster than it passes, and a business clock that
//! is moved moves them: what became due runs at once. A schedule never runs twice at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::random;
use shared::rfc3339;
use simulator::{BusinessClock, Simulator};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::lock::locked;
use crate::template::{ACCOUNT, REGION, Scheduled, Template};

/// The least time from one start of a schedule to the next, whatever the speed: a run a
/// millisecond would leave no processor for anything else.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// The longest wait for a due time; a clock that is moved ends it early.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// What a schedule did since the stack was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// The schedule's name.
    pub schedule: String,
    /// When it runs, as the template has it.
    pub expression: String,
    /// How often it ran.
    pub runs: u64,
    /// How many of these runs failed.
    pub failures: u64,
}

/// The schedules, running.
#[derive(Debug, Default)]
pub struct Scheduler {
    runs: Vec<Arc<Mutex<Runs>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts every schedule of the template that is enabled, `speed` times faster than the business
    /// time that the simulator keeps.
    pub fn start(
        template: &Template,
        gateway: &Arc<Gateway>,
        clock: &Clock,
        simulator: &Simulator,
        speed: f64,
    ) -> Self {
        let pace = Pace::starting(clock, simulator.business_clock(), speed);
        let mut scheduler = Self::default();
        for (id, function) in &template.functions {
            for scheduled in function.schedules.iter().filter(|one| one.enabled) {
                let runs = Arc::new(Mutex::new(Runs {
                    schedule: scheduled.name.clone(),
                    expression: scheduled.schedule.to_string(),
                    ..Runs::default()
                }));
                scheduler.runs.push(Arc::clone(&runs));
                let entry = Entry {
                    gateway: Arc::clone(gateway),
                    function: id.clone(),
                    scheduled: scheduled.clone(),
                    clock: clock.clone(),
                    pace: pace.clone(),
                    changes: simulator.changes(),
                    runs,
                };
                scheduler.tasks.push(tokio::spawn(entry.run()));
            }
        }
        scheduler
    }

    /// What each schedule did so far.
    pub fn runs(&self) -> Vec<Runs> {
        self.runs.iter().map(|runs| locked(runs).clone()).collect()
    }

    /// Stops them.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What EventBridge Scheduler sends for this schedule now; its `detail` is a text.
pub fn event(scheduled: &Scheduled, clock: &Clock) -> Value {
    if let Some(input) = &scheduled.input {
        return input.clone();
    }
    let name = &scheduled.name;
    json!({
        "version": "0",
        "id": random::token(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": rfc3339::format_utc(clock.business()),
        "region": REGION,
        "resources": [format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}")],
        "detail": "{}",
    })
}

/// How fast the schedules' time passes.
#[derive(Clone)]
struct Pace {
    business: BusinessClock,
    speed: f64,
    began: Instant,
    began_ms: i64,
    began_ahead_s: i64,
}

impl Pace {
    fn starting(clock: &Clock, business: BusinessClock, speed: f64) -> Self {
        let ahead_s = business.offset_seconds();
        Self {
            business,
            speed,
            began: Instant::now(),
            began_ms: clock.wall_millis() + ahead_s * 1000,
            began_ahead_s: ahead_s,
        }
    }

    /// The schedules' time, in Unix milliseconds: business time at the start, what the business
    /// clock was moved by since, and `speed` milliseconds for each one that passed.
    fn now_ms(&self) -> i64 {
        let moved_s = self.business.offset_seconds() - self.began_ahead_s;
        let passed_ms = passed_ms(self.began.elapsed(), self.speed);
        (self.began_ms + moved_s * 1000).saturating_add(passed_ms)
    }

    /// How long to wait for this time of the schedules'.
    fn until(&self, due_ms: i64) -> Duration {
        wait(due_ms - self.now_ms(), self.speed)
    }
}

/// The milliseconds that pass for the schedules in this span of real time.
fn passed_ms(span: Duration, speed: f64) -> i64 {
    // The cast saturates.
    (span.as_secs_f64() * 1000.0 * speed) as i64
}

/// The real time in which this much of the schedules' passes, at most [`WAIT_MAX`].
fn wait(left_ms: i64, speed: f64) -> Duration {
    let seconds = left_ms.max(0) as f64 / 1000.0 / speed;
    Duration::try_from_secs_f64(seconds).map_or(WAIT_MAX, |left| left.min(WAIT_MAX))
}

struct Entry {
    gateway: Arc<Gateway>,
    function: String,
    scheduled: Scheduled,
    clock: Clock,
    pace: Pace,
    changes: broadcast::Receiver<simulator::Change>,
    runs: Arc<Mutex<Runs>>,
}

impl Entry {
    async fn run(mut self) {
        let schedule = self.scheduled.schedule.clone();
        let mut due = schedule.first(self.pace.now_ms());
        // A schedule that never runs again is done.
        while let Some(due_ms) = due {
            self.wait(due_ms).await;
            let (began, began_ms) = (Instant::now(), self.pace.now_ms());
            let event = event(&self.scheduled, &self.clock);
            // A run that fails says so in its own log line; the next one goes on.
            let ran = self.gateway.invoke(&self.function, event).await;
            {
                let mut runs = locked(&self.runs);
                runs.runs += 1;
                runs.failures += u64::from(ran.is_err());
            }
            tokio::time::sleep_until(began + PAUSE_MIN).await;
            // What came due while it ran is due still, as where the clock was moved meanwhile.
            due = schedule.after(due_ms, began_ms);
        }
    }

    /// Waits for this time. Business time may be moved meanwhile, so every change counts as a
    /// reason to look again.
    async fn wait(&mut self, due_ms: i64) {
        let mut tells = true;
        loop {
            let left = self.pace.until(due_ms);
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                change = self.changes.recv(), if tells => {
                    tells = !matches!(change, Err(RecvError::Closed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
