//! The scenarios: what each runs, and what it says nothing of.

mod cold;
mod notices;
mod steady;
mod wechatpay;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use super::outcome::Outcome;
use super::scene::Stage;
use crate::Result;

/// How long what was given may take to be answered after the last was given.
const PATIENCE: Duration = Duration::from_secs(120);

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// L-1: orders, notices and queries, evenly; with --minutes 30 the soak
    Steady,
    /// L-2: from nothing to a burst, every notice twice
    Burst,
    /// L-3: one notice 20 000 times
    Duplicates,
    /// L-4: one order that everybody wants
    Hot,
    /// L-5: a backlog of orders of which no notice came
    Drain,
    /// L-6: a flood of forged notices
    Forged,
    /// L-7: a campaign of refunds
    Refunds,
    /// L-8: many cold starts at once
    Cold,
    /// L-9: everybody polls
    Polls,
    /// L-10: WeChat Pay is slow
    Slow,
}

impl Scenario {
    /// Its number and its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Steady => "L-1 steady",
            Self::Burst => "L-2 burst",
            Self::Duplicates => "L-3 duplicates",
            Self::Hot => "L-4 hot order",
            Self::Drain => "L-5 drain",
            Self::Forged => "L-6 forged flood",
            Self::Refunds => "L-7 refund campaign",
            Self::Cold => "L-8 cold wave",
            Self::Polls => "L-9 poll storm",
            Self::Slow => "L-10 slow WeChat Pay",
        }
    }

    /// What it does not measure.
    pub(crate) const fn does_not_measure(self) -> &'static str {
        match self {
            Self::Steady => {
                "Lambda's scaling, API Gateway, the network, and what DynamoDB does under load: its 10 ms are slept"
            }
            Self::Burst => {
                "how fast Lambda starts processes in a burst, and API Gateway's own throttle, of which a bucket with the \
                 template's rate stands here"
            }
            Self::Duplicates => {
                "1000 a second, which one processor cannot generate and answer; DynamoDB's own conditional writes"
            }
            Self::Hot => {
                "DynamoDB's adaptive capacity: the bound on the key is counted here, and throttles at once"
            }
            Self::Drain => {
                "the 430 000 orders of a day; what WeChat Pay allows a merchant's queries, of which no number is published"
            }
            Self::Forged => {
                "a flood over many connections, API Gateway and its throttle in front of the function, and Lambda's price"
            }
            Self::Refunds => {
                "a spiral over hours: refused refunds wait by a clock that the release binaries take from the system"
            }
            Self::Cold => {
                "Lambda's own start of an environment, its download of the zip, and a processor for each process"
            }
            Self::Polls => "5000 polls a second, and DynamoDB's price of them",
            Self::Slow => {
                "ten minutes of it; Lambda's and API Gateway's own refusals, of which a full pool stands here"
            }
        }
    }

    /// Runs it at a part of its rates.
    pub(crate) async fn run(self, stage: &Stage, scale: f64, steady: Duration) -> Result<Outcome> {
        match self {
            Self::Steady => steady::steady(stage, scale, steady).await,
            Self::Burst => steady::burst(stage, scale).await,
            Self::Duplicates => notices::duplicates(stage, scale).await,
            Self::Hot => notices::hot(stage, scale).await,
            Self::Drain => wechatpay::drain(stage, scale).await,
            Self::Forged => notices::forged(stage, scale).await,
            Self::Refunds => wechatpay::refunds(stage, scale).await,
            Self::Cold => cold::wave(stage, scale).await,
            Self::Polls => wechatpay::polls(stage, scale).await,
            Self::Slow => wechatpay::slow(stage, scale).await,
        }
    }
}

/// How many in all.
fn sum_of(counts: &BTreeMap<u16, u64>) -> u64 {
    counts.values().sum()
}
