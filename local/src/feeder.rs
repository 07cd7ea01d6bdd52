//! Lambda's event source mapping on this machine: brings the table's stream to a function, batch by batch
//! and in order, until the function has taken each record.
//!
//! How far it came is kept in the data folder, so that a restart goes on there. A batch that fails is
//! brought again, ever more slowly; what the function reports as failed, from the first such record on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::aws::Aws;
use crate::files;
use crate::gateway::Gateway;
use crate::template::{Mapping, REGION, Template};

/// How long to wait where the stream has nothing new.
const IDLE: Duration = Duration::from_millis(100);

/// How long to wait after a failure: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// The mappings, at work.
#[derive(Debug, Default)]
pub struct Feeder {
    tasks: Vec<JoinHandle<()>>,
}

impl Feeder {
    /// Starts every mapping of the template.
    pub fn start(
        template: &Template,
        gateway: &Arc<Gateway>,
        aws: &Arc<Aws>,
        folder: &Path,
    ) -> Self {
        let tasks = template.mappings.iter().map(|mapping| {
            let entry = Entry {
                mapping: mapping.clone(),
                gateway: Arc::clone(gateway),
                aws: Arc::clone(aws),
                position: folder.join(format!("stream-{}.txt", mapping.function)),
            };
            tokio::spawn(entry.run())
        });
        Self {
            tasks: tasks.collect(),
        }
    }

    /// Stops them, wherever they are.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Entry {
    mapping: Mapping,
    gateway: Arc<Gateway>,
    aws: Arc<Aws>,
    position: PathBuf,
}

impl Entry {
    async fn run(self) {
        let mut after = std::fs::read_to_string(&self.position).ok();
        let mut pause = RETRY.0;
        loop {
            match self.batch(after.as_deref()).await {
                Ok(Some(reached)) => {
                    pause = RETRY.0;
                    if after.as_deref() != Some(reached.as_str()) {
                        // What cannot be kept is brought again after a restart, with the same ids.
                        let _ = files::replace(&self.position, reached.as_bytes());
                        after = Some(reached);
                        continue;
                    }
                    tokio::time::sleep(IDLE).await;
                }
                Ok(None) => tokio::time::sleep(IDLE).await,
                Err(reached) => {
                    if let Some(reached) = reached {
                        let _ = files::replace(&self.position, reached.as_bytes());
                        after = Some(reached);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Brings one batch: the sequence number up to which the function has taken everything, `None` where
    /// there is nothing new.
    ///
    /// # Errors
    /// It has taken a part only, up to this number.
    async fn batch(&self, after: Option<&str>) -> Result<Option<String>, Option<String>> {
        let function = &self.mapping.function;
        let limit = self.mapping.batch_size;
        let records = self.aws.stream(function, after, limit).map_err(|_| None)?;
        let Some(last) = records.last().and_then(sequence_number) else {
            return Ok(None);
        };
        let batch: Vec<Value> = records
            .into_iter()
            .filter(|record| self.mapping.takes(record))
            .map(as_lambda_has_it)
            .collect();
        if batch.is_empty() {
            return Ok(Some(last));
        }
        let event = json!({"Records": batch});
        let answer = self.gateway.invoke(function, event).await;
        let answer = answer.map_err(|_| None)?;
        let failed = answer["batchItemFailures"].as_array();
        let failed = failed.into_iter().flatten();
        let first = failed
            .filter_map(|failure| failure["itemIdentifier"].as_str())
            .min();
        let Some(first) = first else {
            return Ok(Some(last));
        };
        let taken = batch.iter().filter_map(sequence_number);
        Err(taken.filter(|number| number.as_str() < first).max())
    }
}

fn sequence_number(record: &Value) -> Option<String> {
    Some(record["dynamodb"]["SequenceNumber"].as_str()?.to_owned())
}

/// The record with what Lambda says of it beside what the stream does.
fn as_lambda_has_it(mut record: Value) -> Value {
    record["awsRegion"] = Value::from(REGION);
    record["eventSourceARN"] = Value::from("wxpay.StreamArn");
    record
}
