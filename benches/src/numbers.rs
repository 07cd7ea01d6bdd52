//! What was measured, and what was measured before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::artefacts::AtRest;
use crate::callgrind::Setting;
use crate::million::Million;
use crate::world::Calls;

/// How far instructions may be from what is recorded, in per cent, either way: a gain that is not
/// recorded would hide the next loss.
pub(crate) const TOLERANCE_PERCENT: f64 = 5.0;

/// The yardstick that does create-order's work by hand.
pub(crate) const FLOOR: &str = "floor";
/// The yardstick that does nothing on `lambda_http`.
pub(crate) const HELLO: &str = "hello";
/// The yardstick that does nothing but the Runtime API's two requests.
pub(crate) const EXCHANGE: &str = "exchange";
/// The function that the goals are about.
pub(crate) const CREATE_ORDER: &str = "create-order";
/// The function that compares a day's bills.
pub(crate) const RECONCILE: &str = "reconcile";
/// The signatures of an order alone.
pub(crate) const SIGNATURES: &str = "signatures";

/// One binary's numbers; times are medians.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) at_rest: AtRest,
    pub(crate) first_poll: Duration,
    pub(crate) first_answer: Duration,
    pub(crate) processor_first_poll: Duration,
    pub(crate) processor_first_answer: Duration,
    pub(crate) peak_kib: u64,
    /// TLS connections up to the first answer.
    pub(crate) connections: u64,
    /// Instructions up to the first poll and the first answer, where they could be counted.
    pub(crate) instructions: Option<Instructions>,
}

/// Instructions of one cold start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instructions {
    pub(crate) first_poll: u64,
    pub(crate) first_answer: u64,
}

/// Instructions and processor time of one more order in a process that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warm {
    /// Instructions, by binary; [`SIGNATURES`] is among them.
    pub(crate) instructions: BTreeMap<String, u64>,
    /// Processor time, likewise.
    pub(crate) processor: BTreeMap<String, Duration>,
}

/// How long a payer waits for an answer, and for what of it nothing can be done.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) what: &'static str,
    pub(crate) took: Duration,
    /// The round trips to WeChat Pay without which there is no answer.
    pub(crate) unavoidable: Duration,
}

/// What one paid order cost, from its creation to its notice.
#[derive(Clone, Debug)]
pub(crate) struct PaidOrder {
    /// Who placed it.
    pub(crate) placed_by: &'static str,
    /// How many reads it may take in all: one to settle it, and one more where it has to be priced.
    pub(crate) reads_max: usize,
    pub(crate) create: Calls,
    pub(crate) notify: Calls,
    pub(crate) requests_to_wechatpay: usize,
    pub(crate) item_bytes: usize,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) artefacts: String,
    pub(crate) rounds: usize,
    pub(crate) pinned: bool,
    pub(crate) setting: Option<Setting>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) warm: Warm,
    pub(crate) paid_orders: Vec<PaidOrder>,
    pub(crate) million: Million,
    pub(crate) waits: Vec<Wait>,
}

impl Numbers {
    pub(crate) fn of(&self, name: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.name == name)
    }

    /// The functions, without the yardsticks.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Measured> {
        self.measured
            .iter()
            .filter(|measured| measured.name != FLOOR && measured.name != HELLO)
    }
}

/// What `recorded.json` holds for one architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) date: String,
    #[serde(flatten)]
    pub(crate) setting: Setting,
    /// Instructions of a cold start, by binary.
    pub(crate) cold: BTreeMap<String, Instructions>,
    /// Instructions of one more order.
    pub(crate) warm: BTreeMap<String, u64>,
}

impl Recorded {
    /// What is recorded for this architecture.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        Ok(all(file)?.remove(std::env::consts::ARCH))
    }

    /// What the numbers come to; `None` where nothing was counted.
    pub(crate) fn from_numbers(numbers: &Numbers) -> Option<Self> {
        let cold = numbers.measured.iter().filter_map(|measured| {
            measured
                .instructions
                .map(|instructions| (measured.name.clone(), instructions))
        });
        Some(Self {
            date: numbers.date.clone(),
            setting: numbers.setting.clone()?,
            cold: cold.collect(),
            warm: numbers.warm.instructions.clone(),
        })
    }

    /// Writes this over what is recorded for this architecture.
    pub(crate) fn write(self, file: &Path) -> Result<()> {
        let mut all = all(file)?;
        all.insert(std::env::consts::ARCH.to_owned(), self);
        std::fs::write(file, serde_json::to_string_pretty(&all)? + "\n")?;
        Ok(())
    }
}

fn all(file: &Path) -> Result<BTreeMap<String, Recorded>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// The middle value; the upper one of two.
pub(crate) fn median<T: Ord + Copy + Default>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// By how many per cent a value differs from what it was.
pub(crate) fn change_percent(now: u64, before: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (now, before) = (now as f64, before.max(1) as f64);
    (now / before - 1.0) * 100.0
}

/// Millions.
pub(crate) fn millions(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = count as f64;
    count / 1e6
}

/// Milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::{change_percent, median};

    #[test]
    fn the_middle_is_not_moved_by_one_that_is_far_off() {
        assert_eq!(median([3, 1, 900]), 3);
        assert_eq!(median::<u32>([]), 0);
    }

    #[test]
    fn a_change_is_told_in_per_cent_of_what_was() {
        assert!((change_percent(105, 100) - 5.0).abs() < 1e-9);
        assert!((change_percent(90, 100) + 10.0).abs() < 1e-9);
    }
}
