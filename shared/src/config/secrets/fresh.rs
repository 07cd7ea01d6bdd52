//! A reading that is kept for a while, made again when it is old, and outlives a reading that fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::{
    FIRST_FLOOR_SECONDS, FRESH_SECONDS, REFRESH_FLOOR_SECONDS, SecretError, SecretProblem,
};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::process::Process;
use crate::telemetry::{Level, Log, LogLine, Metric};

/// How long a request waits for a newer reading while it has a good one.
const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// The `function` of the line about a refresh: all functions that read a secret read the same one.
const REFRESH: &str = "secrets";

/// What was read, kept fresh.
pub(crate) struct Fresh<T> {
    /// What errors name.
    name: &'static str,
    clock: Clock,
    log: Log,
    pub(super) refresh_wait: Duration,
    pub(super) reading: Mutex<Reading<T>>,
}

pub(super) struct Reading<T> {
    /// The last good content, and when it was read.
    pub(super) content: Option<(Arc<T>, Timestamp)>,
    /// The last try, and what it failed with where nothing good was ever read.
    pub(super) tried: Option<(Timestamp, Option<SecretError>)>,
}

impl<T> Fresh<T> {
    /// Nothing was read yet.
    pub(crate) fn new(process: &Process, name: &'static str) -> Self {
        Self {
            name,
            clock: process.clock.clone(),
            log: process.log.clone(),
            refresh_wait: REFRESH_WAIT,
            reading: Mutex::new(Reading {
                content: None,
                tried: None,
            }),
        }
    }

    /// Takes this for what was read now.
    pub(crate) async fn put(&self, content: T) {
        let now = self.clock.business();
        *self.reading.lock().await = Reading {
            content: Some((Arc::new(content), now)),
            tried: Some((now, None)),
        };
    }

    /// What was read at most so many seconds ago, or is read now; with a floor between two tries, and
    /// the last good reading where this one fails.
    pub(crate) async fn at_most_old<F: Future<Output = Result<T, SecretError>>>(
        &self,
        seconds: i64,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<T>, SecretError> {
        let mut reading = self.reading.lock().await;
        // By the business clock, so that a rotation can be rehearsed without waiting for it.
        let now = self.clock.business();
        // A moment in the future is a clock that went back: it counts as long ago.
        let within = |at: Timestamp, seconds: i64| (0..seconds).contains(&now.seconds_since(at));
        if let Some((content, read_at)) = &reading.content {
            let tried_lately =
                matches!(&reading.tried, Some((at, _)) if within(*at, REFRESH_FLOOR_SECONDS));
            if within(*read_at, seconds) || tried_lately {
                return Ok(Arc::clone(content));
            }
        } else if let Some((at, Some(error))) = &reading.tried
            && within(*at, FIRST_FLOOR_SECONDS)
        {
            return Err(error.clone());
        }
        let read = match &reading.content {
            // Rather the old reading now than a newer one after the caller's time is over.
            Some(_) => tokio::time::timeout(self.refresh_wait, read())
                .await
                .unwrap_or_else(|_| {
                    Err(SecretError {
                        name: self.name,
                        problem: SecretProblem::Timeout,
                    })
                }),
            None => read().await,
        };
        match (read, &reading.content) {
            (Ok(content), _) => {
                let content = Arc::new(content);
                *reading = Reading {
                    content: Some((Arc::clone(&content), now)),
                    tried: Some((now, None)),
                };
                Ok(content)
            }
            (Err(error), Some((content, read_at))) => {
                let content = Arc::clone(content);
                let old = !within(*read_at, 2 * FRESH_SECONDS);
                reading.tried = Some((now, None));
                self.not_refreshed(&error, old);
                Ok(content)
            }
            (Err(error), None) => {
                reading.tried = Some((now, Some(error.clone())));
                Err(error)
            }
        }
    }

    /// Says that the last good reading stays in force. Once per try, so at most once a minute: a
    /// rotation that went wrong is told while requests are still answered, not by the next cold start.
    /// One slow answer of Secrets Manager is no reason to call anybody; a reading that got `old` is.
    fn not_refreshed(&self, error: &SecretError, old: bool) {
        let mut line = LogLine::start(REFRESH, &self.clock);
        line.field("problems", vec![error.to_string()])
            .raise(Level::Warn);
        if old {
            line.count(Metric::NotConfigured);
        }
        line.write(&self.log, &self.clock, "not refreshed");
    }
}
