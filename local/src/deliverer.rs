//! EventBridge's API destination on this machine: posts each event of the bus to an address, in the same
//! envelope and with the same retries.
//!
//! An event that is not taken is posted again, ever more slowly, for a day; it holds no other up. What was
//! refused for good, or for a day, stands in `events-undelivered.jsonl`. How many lines of the bus are
//! done is kept in the data folder, so that a restart goes on there.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};

use crate::aws::Aws;
use crate::files;

/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long to wait before an attempt is repeated: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(600));

/// How often, and for how long, an event is posted again.
const RETRIES_MAX: u32 = 185;
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many events are on their way at once.
const AT_ONCE: usize = 32;

/// Where events are posted to.
#[derive(Clone, Debug)]
pub struct Address {
    /// An http or https address.
    pub url: String,
    /// What stands in the header `x-api-key`; none where it is not given.
    pub key: Option<String>,
}

/// The deliveries, at work.
#[derive(Debug, Default)]
pub struct Deliverer {
    task: Option<JoinHandle<()>>,
}

impl Deliverer {
    /// Posts what is put on the bus from now on, and what an earlier start left.
    pub fn start(aws: &Arc<Aws>, address: Address, http: reqwest::Client, folder: &Path) -> Self {
        let place = folder.join("events-url.txt");
        let kept = std::fs::read_to_string(&place).ok();
        let all = aws.events().all().len();
        let work = Work {
            aws: Arc::clone(aws),
            address,
            http,
            done: kept.and_then(|text| text.parse().ok()).unwrap_or(all),
            place,
            undelivered: folder.join("events-undelivered.jsonl"),
        };
        Self {
            task: Some(tokio::spawn(work.run())),
        }
    }

    /// Stops, wherever it is.
    pub fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    aws: Arc<Aws>,
    address: Address,
    http: reqwest::Client,
    /// How many lines of the bus are done, from the first on.
    done: usize,
    place: PathBuf,
    undelivered: PathBuf,
}

impl Work {
    async fn run(mut self) {
        let mut changes = self.aws.events().changes();
        let (mut under_way, mut ahead) = (JoinSet::new(), BTreeSet::new());
        let mut next = self.done;
        self.keep();
        loop {
            let events = self.aws.events().all();
            while next < events.len() && under_way.len() < AT_ONCE {
                let event = events[next].clone();
                let (address, http) = (self.address.clone(), self.http.clone());
                let line = next;
                under_way.spawn(async move {
                    let told = event["source"] != "wxpay" || deliver(&http, &address, &event).await;
                    (line, (!told).then_some(event))
                });
                next += 1;
            }
            tokio::select! {
                Some(Ok((line, given_up))) = under_way.join_next() => {
                    if let Some(event) = given_up {
                        self.give_up(&event);
                    }
                    ahead.insert(line);
                    while ahead.remove(&self.done) {
                        self.done += 1;
                    }
                    self.keep();
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Keeps how far it came; what cannot be kept is posted again after a restart, with the same id.
    fn keep(&self) {
        let _ = files::replace(&self.place, self.done.to_string().as_bytes());
    }

    fn give_up(&self, event: &Value) {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(&self.undelivered);
        if let Ok(mut file) = file {
            // A full disk must not stop the others.
            let _ = file.write_all(format!("{event}\n").as_bytes());
        }
    }
}

/// Posts an event until it is taken; false where it was refused for good or for too long.
async fn deliver(http: &reqwest::Client, address: &Address, event: &Value) -> bool {
    let began = Instant::now();
    let mut pause = RETRY.0;
    for _ in 0..=RETRIES_MAX {
        let mut request = http
            .post(&address.url)
            .timeout(ATTEMPT)
            .header("content-type", "application/json; charset=utf-8")
            .body(event.to_string());
        if let Some(key) = &address.key {
            request = request.header("x-api-key", key);
        }
        let mut wanted = None;
        if let Ok(answer) = request.send().await {
            let status = answer.status();
            if status.is_success() {
                return true;
            }
            // As EventBridge does: what the address may think better of is tried again.
            let again =
                matches!(status.as_u16(), 401 | 407 | 409 | 429) || status.is_server_error();
            if !again {
                return false;
            }
            let asked = answer.headers().get("retry-after");
            wanted = asked.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        }
        let wait = wanted.map_or(pause, Duration::from_secs).min(RETRY.1);
        if began.elapsed() + wait > AGE_MAX {
            return false;
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(RETRY.1);
    }
    false
}
