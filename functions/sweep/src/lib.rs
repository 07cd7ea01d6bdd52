//! Every minute: what is due is looked at, so that every order and refund ends without anybody
//! watching.
//!
//! Orders that may be paid are asked about, expired ones are closed at WeChat Pay, reserved refunds
//! are sent, sent ones followed. Each item is claimed first, by moving its due time, so that two
//! sweeps at once share the work and one that dies leaves it to the next. An item that fails is due
//! again later and never holds up the others, not even by a panic. A prepay is never sent from here.
//! Where platform certificates are used, it downloads them before anything else (`certificates`).

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod certificates;
mod order;
mod refund;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::Timestamp;
use shared::panics::{Panicked, contained_future};
use shared::process::Process;
use shared::refund_sender::RefundSender;
use shared::scheduled::ScheduledFunction;
use shared::settlement::Settlement;
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{
    CertificateKeeper, Certificates, Commit, DueIndex, DueItem, Lane, ListIndex, Orders, Refunds,
    StoreError,
};
use shared::telemetry::{Level, LogLine, Metric};

use self::certificates::Downloads;

/// How long a claim keeps others away, in seconds: longer than this function may run.
const CLAIM_SECONDS: i64 = 120;

/// How many items are taken from a shard at a time.
const BATCH: i32 = 25;

/// How many items of a shard are looked at side by side, the longest due first: most of its time a look waits
/// for WeChat Pay.
const LOOKS_AT_ONCE: usize = 2;

/// How many rounds over a shard one run makes at most.
const ROUNDS_MAX: u32 = 40;

/// How many items of a shard may fail to be claimed before the table counts as unavailable.
const FAILED_CLAIMS_MAX: u32 = 3;

/// What must be left of the time for another item to be claimed.
const CLAIM_RESERVE: Duration = Duration::from_secs(12);

/// Once in so many minutes of the business clock it is seen how long requests wait for the merchant.
const REQUESTS_MINUTES: i64 = 10;

/// How long the first lane is left alone between two looks of one run.
const FIRST_LANE_PAUSE: Duration = Duration::from_secs(1);

/// Settles what is due.
#[derive(Debug)]
pub struct Sweep {
    due: DueIndex,
    list_index: ListIndex,
    orders: Orders,
    refunds: Refunds,
    sender: RefundSender,
    /// Where platform certificates are used.
    downloads: Option<Downloads>,
    process: Process,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    looked_at: u32,
    failed: u32,
    left: u32,
    unreadable: u32,
}

impl Done {
    /// Counts a look, and whether it went well.
    fn looked(&mut self, went_well: bool) {
        self.looked_at += 1;
        self.failed += u32::from(!went_well);
    }
}

/// What became of a shard: what was done, and how long the oldest entry had been due.
type Swept = Result<(Done, Option<i64>), StoreError>;

impl ScheduledFunction for Sweep {
    const NAME: &'static str = "sweep";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let table = environment.table();
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table.clone()));
        let settlement = Settlement::new(orders.clone(), refunds.clone());
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
        let interval_seconds = environment.refund_interval_seconds();
        let downloads = environment.platform_certificates().then(|| {
            let keeper = CertificateKeeper::new(table.clone());
            Downloads::new(
                Certificates::new(table.clone()),
                keeper,
                process.clock.clone(),
            )
        });
        environment.finish()?;
        Ok(Self {
            downloads,
            list_index: ListIndex::new(table.clone()),
            due: DueIndex::new(table),
            orders,
            sender: RefundSender::new(
                settling_client,
                refunds.clone(),
                process.clock.clone(),
                interval_seconds,
            ),
            refunds,
            process: process.clone(),
        })
    }

    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        let clock = &self.process.clock;
        let deadline = Deadline::at_ms_of_wall(event.context.deadline, clock);
        let mut line = LogLine::start(Self::NAME, clock);
        line.field("request_id", event.context.request_id);
        if let Some(downloads) = &self.downloads {
            let settling_client = self.sender.settling_client();
            downloads
                .look(settling_client, &deadline, &self.process.log)
                .await;
        }
        let mut done = Done::default();
        let (mut unavailable, mut any_due) = (None, false);
        let (first, later) = self.both_lanes(deadline).await;
        for outcome in first.into_iter().chain(later) {
            match outcome {
                Ok((shard, oldest)) => {
                    any_due |= oldest.is_some();
                    done.looked_at += shard.looked_at;
                    done.failed += shard.failed;
                    done.left += shard.left;
                    done.unreadable += shard.unreadable;
                    if let Some(seconds) = oldest {
                        line.measure(Metric::DueBacklogSeconds, seconds);
                    }
                }
                Err(error) => unavailable = Some(error),
            }
        }
        let mut waited = None;
        // Boxed: the compiler gives up on laying out all of a run's futures in one.
        match Box::pin(self.hours_waited()).await {
            Ok(hours) => waited = hours,
            Err(error) => unavailable = Some(error),
        }
        if let Some(hours) = waited {
            line.measure(Metric::RefundRequestHours, hours);
        }
        line.field("looked_at", done.looked_at)
            .field("failed", done.failed)
            .field("left", done.left);
        if done.unreadable > 0 {
            // Entries of the index that another version made, or nobody: they wait for a person.
            line.field("strange", done.unreadable).raise(Level::Warn);
        }
        if let Some(error) = &unavailable {
            line.field("error", error.to_string()).raise(Level::Error);
        }
        // Nothing was due, which is so at most minutes: not worth a line.
        if any_due || waited.is_some() || done != Done::default() || unavailable.is_some() {
            line.write(&self.process.log, clock, "swept");
        }
        match unavailable {
            // The next minute's run does the same work again.
            Some(error) => Err(error.into()),
            None => {
                Ok(json!({"looked_at": done.looked_at, "failed": done.failed, "left": done.left}))
            }
        }
    }
}

impl Sweep {
    /// Looks at both lanes side by side: [`LOOKS_AT_ONCE`] in each shard at most. While the later lane is
    /// busy, the first one is looked at again and again: what comes due in it does not wait for the end of
    /// this run.
    async fn both_lanes(&self, deadline: Deadline) -> (Vec<Swept>, Vec<Swept>) {
        let later_over = AtomicBool::new(false);
        let later = async {
            let swept = self.lane(Lane::Later, deadline).await;
            later_over.store(true, Ordering::Relaxed);
            swept
        };
        let first = async {
            let mut swept = self.lane(Lane::First, deadline).await;
            while !later_over.load(Ordering::Relaxed) {
                tokio::time::sleep(FIRST_LANE_PAUSE).await;
                swept.extend(self.lane(Lane::First, deadline).await);
            }
            swept
        };
        tokio::join!(first, later)
    }

    async fn lane(&self, lane: Lane, deadline: Deadline) -> Vec<Swept> {
        // The shards are independent; one that is slow must not starve the others.
        join_all(lane.shards().map(|shard| self.shard(shard, deadline))).await
    }

    async fn shard(&self, shard: u32, deadline: Deadline) -> Swept {
        let clock = &self.process.clock;
        let mut done = Done::default();
        let mut oldest = None;
        // One run looks at what was due when it began: an item that comes due again meanwhile, as a
        // refund does whose order's minute is not over, waits for the next.
        let began = clock.business();
        let mut failed_claims = 0;
        for _ in 0..ROUNDS_MAX {
            let page = self.due.due(shard, began, BATCH).await?;
            done.unreadable = done.unreadable.max(page.unreadable);
            let found = page.items;
            if let Some((_, due_at)) = found.first() {
                oldest.get_or_insert_with(|| began.seconds_since(*due_at));
            }
            if found.is_empty() {
                break;
            }
            let mut looks = FuturesUnordered::new();
            let (mut claimed_any, mut unclaimable) = (false, None);
            for (item, seen) in found {
                while looks.len() >= LOOKS_AT_ONCE
                    && let Some(went_well) = looks.next().await
                {
                    done.looked(went_well);
                }
                if deadline.left(clock, CLAIM_RESERVE) < CLAIM_RESERVE {
                    done.left += 1;
                    continue;
                }
                let until = clock.business().plus_seconds(CLAIM_SECONDS);
                match self.due.claim(&item, seen, until).await {
                    Ok(Commit::Done) => {
                        claimed_any = true;
                        looks.push(self.look_at(item, deadline));
                    }
                    Ok(Commit::Conflict) => {}
                    // A transaction may hold this very item; the others are not held up by it.
                    Err(error) => {
                        done.failed += 1;
                        failed_claims += 1;
                        if failed_claims >= FAILED_CLAIMS_MAX {
                            unclaimable = Some(error);
                            break;
                        }
                    }
                }
            }
            while let Some(went_well) = looks.next().await {
                done.looked(went_well);
            }
            if let Some(error) = unclaimable {
                return Err(error);
            }
            if !claimed_any {
                break;
            }
        }
        Ok((done, oldest))
    }

    /// Looks at one item and writes its line; says whether it went well. An error stays with the item,
    /// and so does a panic.
    async fn look_at(&self, item: DueItem, deadline: Deadline) -> bool {
        let clock: &Clock = &self.process.clock;
        let mut line = LogLine::start(Self::NAME, clock);
        let looked = contained_future(self.look(&item, deadline, &mut line)).await;
        match &looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => note_error(error, &mut line),
            // It is looked at again and again, and fails alike until somebody mends the function.
            Err(Panicked) => {
                line.field("error", "the look at it panicked")
                    .count(Metric::NeedsHuman)
                    .raise(Level::Error);
            }
        }
        line.write(&self.process.log, clock, "looked at");
        matches!(looked, Ok(Ok(())))
    }

    async fn look(
        &self,
        item: &DueItem,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<(), SettlingError> {
        match item {
            DueItem::Order(order_id) => {
                line.field("order.out_trade_no", order_id.as_str());
                self.order(order_id, deadline, line).await
            }
            DueItem::Refund(order_id, refund_id) => {
                line.field("order.out_trade_no", order_id.as_str());
                line.field("refund.out_refund_no", refund_id.as_str());
                self.refund(order_id, refund_id, deadline, line).await
            }
        }
    }

    /// For how many whole hours the oldest request waits for the merchant; `None` where none waits for an
    /// hour, and in the minutes in which nobody looks.
    async fn hours_waited(&self) -> Result<Option<i64>, StoreError> {
        let now = self.now();
        if now.unix_seconds().div_euclid(60) % REQUESTS_MINUTES != 0 {
            return Ok(None);
        }
        let since = self.list_index.waiting_since().await?;
        let hours = since.map(|since| now.seconds_since(since) / (60 * 60));
        Ok(hours.filter(|hours| *hours > 0))
    }

    fn now(&self) -> Timestamp {
        self.process.clock.business()
    }
}

/// Notes why a look came to nothing.
fn note_error(error: &SettlingError, line: &mut LogLine) {
    line.field("error", error.to_string()).raise(Level::Warn);
    match error {
        SettlingError::Secret(_) => {
            line.count(Metric::NotConfigured).raise(Level::Error);
        }
        // It is looked at again and again, and no look mends it.
        SettlingError::Store(StoreError::Unreadable { .. }) => {
            line.count(Metric::NeedsHuman).raise(Level::Error);
        }
        SettlingError::Store(StoreError::Unavailable { .. } | StoreError::Contended { .. })
        | SettlingError::Call(_)
        // Flagged in the record and in this line already.
        | SettlingError::NotAuthentic(_) => {}
    }
}
