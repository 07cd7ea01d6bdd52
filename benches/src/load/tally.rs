//! What became of the requests of one kind: answers by status, and how long each took from the moment
//! at which it was meant to start, whoever was late.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::locked;
use crate::Result;

/// The longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;

/// The quantiles that are recorded, in per cent.
pub(crate) const QUANTILES: [f64; 7] = [50.0, 90.0, 95.0, 99.0, 99.5, 99.9, 100.0];

/// The requests of one kind.
#[derive(Debug)]
pub(crate) struct Tally {
    name: String,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    latency: Histogram<u64>,
    /// By status; 0 is an invocation that failed.
    statuses: BTreeMap<u16, u64>,
    /// Those that no process was given, by the status that the gateway answers.
    turned_away: BTreeMap<u16, u64>,
}

/// The requests of one kind, for the record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tallied {
    pub(crate) name: String,
    pub(crate) answered: u64,
    /// How often each status was answered; 0 is an invocation that failed.
    pub(crate) statuses: BTreeMap<u16, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) turned_away: BTreeMap<u16, u64>,
    /// Milliseconds at each of [`QUANTILES`].
    pub(crate) latency_ms: Vec<f64>,
}

impl Tally {
    pub(crate) fn new(name: impl Into<String>) -> Result<Self> {
        let counted = Counted {
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3)?,
            statuses: BTreeMap::new(),
            turned_away: BTreeMap::new(),
        };
        Ok(Self {
            name: name.into(),
            counted: Mutex::new(counted),
        })
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, intended: Instant, at: Instant, status: u16) {
        let took = at.saturating_duration_since(intended);
        let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        let mut counted = locked(&self.counted);
        counted.latency.saturating_record(took.max(1));
        *counted.statuses.entry(status).or_default() += 1;
    }

    /// Counts a request that the gateway answered by itself.
    pub(crate) fn turned_away(&self, status: u16) {
        *locked(&self.counted).turned_away.entry(status).or_default() += 1;
    }

    /// How many were answered with this status.
    pub(crate) fn with(&self, status: u16) -> u64 {
        let counted = locked(&self.counted);
        counted.statuses.get(&status).copied().unwrap_or_default()
    }

    /// How many were answered.
    pub(crate) fn count(&self) -> u64 {
        locked(&self.counted).latency.len()
    }

    /// The time at this quantile, in per cent.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        let counted = locked(&self.counted);
        Duration::from_micros(counted.latency.value_at_percentile(quantile))
    }

    pub(crate) fn tallied(&self) -> Tallied {
        let latency_ms = QUANTILES.map(|quantile| rounded(self.at(quantile).as_secs_f64() * 1e3));
        let counted = locked(&self.counted);
        Tallied {
            name: self.name.clone(),
            answered: counted.latency.len(),
            statuses: counted.statuses.clone(),
            turned_away: counted.turned_away.clone(),
            latency_ms: latency_ms.to_vec(),
        }
    }
}

/// To two digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::time::{Duration, Instant};

    use super::Tally;

    #[test]
    fn a_late_start_counts_as_waiting() {
        let tally = Tally::new("late").unwrap();
        let intended = Instant::now();
        for milliseconds in [1, 2, 900] {
            tally.answered(
                intended,
                intended + Duration::from_millis(milliseconds),
                204,
            );
        }
        assert_eq!(tally.with(204), 3);
        assert_eq!(tally.at(50.0).as_millis(), 2);
        assert!((900..902).contains(&tally.at(100.0).as_millis()));
    }
}
