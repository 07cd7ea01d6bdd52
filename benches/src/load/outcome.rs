//! What a run showed, for the terminal, the record and the page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::processor::{Used, load_average};
use super::tally::{Tallied, Tally, rounded};

/// The generator may use so much of its processor, in per cent; above it the generator would be what is
/// measured.
pub(crate) const GENERATOR_MAX: f64 = 80.0;

/// What one scenario showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// When, and on what.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) artefacts: String,
    /// The load, in words.
    pub(crate) load: String,
    /// What part of the scenario's own rates was run: 1 is all of it.
    pub(crate) scale: f64,
    pub(crate) seconds: f64,
    pub(crate) requests: Vec<Tallied>,
    /// Other numbers, by name.
    pub(crate) numbers: BTreeMap<String, f64>,
    /// What has to hold; one that does not fails the command.
    pub(crate) held: Vec<Check>,
    /// Speeds, which a reader judges.
    pub(crate) goals: Vec<Check>,
    /// Processor time of the generator, with the services it stands in for, in per cent of a processor.
    pub(crate) generator_percent: f64,
    /// The same of the functions.
    pub(crate) functions_percent: f64,
    /// How long functions were ready to run while something else ran, in per cent of the time.
    pub(crate) functions_waited_percent: f64,
    /// How late the generator began a request at worst, in milliseconds.
    pub(crate) latest_start_ms: f64,
    pub(crate) load_average: f64,
    /// Seconds since the start, and the memory of all processes in KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) memory: Vec<(f64, u64)>,
}

/// Something that holds or does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) holds: bool,
    pub(crate) found: String,
}

impl Outcome {
    pub(crate) fn of(load: impl Into<String>, scale: f64) -> Self {
        Self {
            load: load.into(),
            scale,
            ..Self::default()
        }
    }

    /// Notes what the processes used meanwhile.
    pub(crate) fn used(&mut self, used: Used, latest_start: Duration) {
        self.seconds = rounded(used.elapsed.as_secs_f64());
        self.generator_percent = rounded(used.percent(used.generator));
        self.functions_percent = rounded(used.percent(used.system.ran));
        self.functions_waited_percent = rounded(used.percent(used.system.waited));
        self.latest_start_ms = rounded(latest_start.as_secs_f64() * 1e3);
        self.load_average = load_average();
    }

    /// Adds requests of a kind.
    pub(crate) fn tally(&mut self, tally: &Tally) {
        self.requests.push(tally.tallied());
    }

    pub(crate) fn number(&mut self, name: &str, value: f64) {
        self.numbers.insert(name.to_owned(), rounded(value));
    }

    /// Adds what has to hold.
    pub(crate) fn holds(&mut self, what: &str, holds: bool, found: impl ToString) {
        self.held.push(check(what, holds, found));
    }

    /// Adds what has to be so many.
    pub(crate) fn equals(&mut self, what: &str, found: u64, wanted: u64) {
        self.holds(what, found == wanted, format!("{found} of {wanted}"));
    }

    /// Adds a goal for a speed.
    pub(crate) fn goal(&mut self, what: &str, met: bool, found: impl ToString) {
        self.goals.push(check(what, met, found));
    }

    /// Whether the generator had too little of its processor to be believed.
    pub(crate) fn is_discarded(&self) -> bool {
        self.generator_percent > GENERATOR_MAX
    }

    /// Whether something does not hold.
    pub(crate) fn fails(&self) -> bool {
        self.held.iter().any(|check| !check.holds)
    }
}

fn check(what: &str, holds: bool, found: impl ToString) -> Check {
    Check {
        what: what.to_owned(),
        holds,
        found: found.to_string(),
    }
}

/// By how much a series rises, in its unit per second: the slope of the straight line closest to it.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred points")]
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let under: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_slope_is_that_of_the_line() {
        let points: Vec<(f64, f64)> = (0..50)
            .map(|x| (f64::from(x), 7.0 + 0.5 * f64::from(x)))
            .collect();
        assert!((slope(&points) - 0.5).abs() < 1e-9);
        assert!(slope(&[(1.0, 4.0)]).abs() < 1e-9);
    }
}
