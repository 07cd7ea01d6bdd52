//! What functions asked of AWS: counts by function and operation, and what one function did to which
//! item where that is wanted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use local::aws::{AwsCall, Fault, FaultHook};
use serde_json::Value;

use super::locked;

/// What was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    counts: Mutex<BTreeMap<(String, String), u64>>,
    secrets: Mutex<BTreeMap<String, u64>>,
    listed: Mutex<Option<(String, Vec<Touched>)>>,
    partition: Mutex<Option<Partition>>,
}

/// A call that touched an item.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    pub(crate) operation: String,
    pub(crate) partition_key: String,
    /// The update, where it is one.
    pub(crate) expression: String,
}

/// What DynamoDB allows one partition key in a second, and what was used of it.
#[derive(Debug)]
struct Partition {
    key: String,
    writes_max: f64,
    reads_max: f64,
    second: Instant,
    writes: f64,
    reads: f64,
    used: Units,
}

/// Capacity units that one partition key took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Units {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
    /// Calls that were throttled.
    pub(crate) throttled: u64,
}

impl Seen {
    /// What the stack is to call before each call to AWS.
    pub(crate) fn hook(self: &Arc<Self>) -> FaultHook {
        let seen = Arc::clone(self);
        Arc::new(move |call: &AwsCall| seen.note(call))
    }

    fn note(&self, call: &AwsCall) -> Option<Fault> {
        let who = (call.caller.clone(), call.operation.clone());
        *locked(&self.counts).entry(who).or_default() += 1;
        if call.operation == "GetSecretValue" {
            let id = text(&call.request["SecretId"]).to_owned();
            *locked(&self.secrets).entry(id).or_default() += 1;
            return None;
        }
        let key = partition_key(&call.request);
        if let Some((caller, list)) = &mut *locked(&self.listed)
            && *caller == call.caller
        {
            list.push(Touched {
                operation: call.operation.clone(),
                partition_key: key.to_owned(),
                expression: text(&call.request["UpdateExpression"]).to_owned(),
            });
        }
        let mut partition = locked(&self.partition);
        let partition = partition.as_mut().filter(|held| held.key == key)?;
        partition.takes(call).then_some(Fault::Throttle)
    }

    /// How often a function asked for an operation.
    pub(crate) fn count(&self, function: &str, operation: &str) -> u64 {
        let who = (function.to_owned(), operation.to_owned());
        locked(&self.counts).get(&who).copied().unwrap_or_default()
    }

    /// How often a function called the table.
    pub(crate) fn table_calls(&self, function: &str) -> u64 {
        let counts = locked(&self.counts);
        let own = counts
            .iter()
            .filter(|((who, operation), _)| who == function && operation != "GetSecretValue");
        own.map(|(_, count)| count).sum()
    }

    /// How often each secret was read.
    pub(crate) fn secrets(&self) -> BTreeMap<String, u64> {
        locked(&self.secrets).clone()
    }

    /// Lists from now on what this function touches.
    pub(crate) fn list(&self, function: &str) {
        *locked(&self.listed) = Some((function.to_owned(), Vec::new()));
    }

    /// What was listed.
    pub(crate) fn listed(&self) -> Vec<Touched> {
        locked(&self.listed)
            .take()
            .map_or_else(Vec::new, |(_, list)| list)
    }

    /// From now on one partition key has so many units a second, and whoever asks for more is
    /// throttled.
    pub(crate) fn bound(&self, key: String, writes_max: f64, reads_max: f64) {
        *locked(&self.partition) = Some(Partition {
            key,
            writes_max,
            reads_max,
            second: Instant::now(),
            writes: 0.0,
            reads: 0.0,
            used: Units::default(),
        });
    }

    /// What that key took.
    pub(crate) fn units(&self) -> Units {
        let partition = locked(&self.partition);
        partition
            .as_ref()
            .map_or_else(Units::default, |held| held.used)
    }
}

impl Partition {
    /// Counts a call; whether it is throttled. Items and their pages here are under a kilobyte, so a
    /// write is one unit, a consistent read one, another one half, and a failed condition costs as
    /// much as a write.
    fn takes(&mut self, call: &AwsCall) -> bool {
        if self.second.elapsed().as_secs() >= 1 {
            (self.second, self.writes, self.reads) = (Instant::now(), 0.0, 0.0);
        }
        let (writes, reads) = match call.operation.as_str() {
            "GetItem" | "Query" if call.request["ConsistentRead"] == true => (0.0, 1.0),
            "GetItem" | "Query" => (0.0, 0.5),
            _ => (1.0, 0.0),
        };
        let throttled =
            self.writes + writes > self.writes_max || self.reads + reads > self.reads_max;
        if throttled {
            self.used.throttled += 1;
        } else {
            (self.writes, self.reads) = (self.writes + writes, self.reads + reads);
            self.used.writes += writes;
            self.used.reads += reads;
        }
        throttled
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The partition key that a call touches; a query's is among its values.
fn partition_key(request: &Value) -> &str {
    for place in ["Key", "Item"] {
        if let Some(key) = request[place]["pk"]["S"].as_str() {
            return key;
        }
    }
    let values = request["ExpressionAttributeValues"].as_object();
    values
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value["S"].as_str())
        .find(|value| value.starts_with("ORDER#"))
        .unwrap_or_default()
}
