//! Every day: yesterday's bills against the record, both ways.
//!
//! The bills are fetched into a temporary file and read twice: once to see that they are whole and
//! honest, once to compare. What the bill proves paid and the record does not know is asked about and
//! settled as ever, never taken from the file. The report goes to the bucket, what differs to the event
//! bus, and last a mark that the day is done: until then every run begins anew.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod ask;
mod bills;
mod chart;
mod compare;
mod error;
mod flows;
mod here;
mod keys;
mod page;
mod report;
mod told;

use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use shared::bucket::Bucket;
use shared::bus::Bus;
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::{BeijingDay, OwnNumbers, Timestamp};
use shared::process::Process;
use shared::rfc3339;
use shared::scheduled::ScheduledFunction;
use shared::settlement::Settlement;
use shared::settling_client::SettlingClient;
use shared::store::{BatchReader, ListIndex, Orders, Refunds};
use shared::telemetry::{Level, LogLine, Metric};

use bills::{Bills, Fetched};
use compare::Comparison;
use error::ReconcileError;
use report::Report;

/// How many days before yesterday are looked through for one that is not done.
const CAUGHT_UP_DAYS: u32 = 7;

/// At which hour of the next day, in Beijing, somebody is called if a day is not reconciled.
const OVERDUE_SECONDS: i64 = 14 * 60 * 60;

/// Compares a day's bills with the record.
#[derive(Debug)]
pub struct Reconcile {
    settling_client: SettlingClient,
    listed: ListIndex,
    records: BatchReader,
    bucket: Bucket,
    bus: Bus,
    own_numbers: OwnNumbers,
    process: Process,
}

impl ScheduledFunction for Reconcile {
    const NAME: &'static str = "reconcile";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let table = environment.table();
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table.clone()));
        let settlement = Settlement::new(orders, refunds);
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
        let bucket = environment.bucket("REPORTS_BUCKET");
        let bus = environment.bus();
        let prefix = environment.number_prefix();
        let own_numbers = environment.own_numbers(&prefix);
        environment.finish()?;
        Ok(Self {
            settling_client,
            listed: ListIndex::new(table.clone()),
            records: BatchReader::new(table),
            bucket,
            bus,
            own_numbers,
            process: process.clone(),
        })
    }

    /// Reconciles yesterday, or if that is done a day before it that is not; or the day that the event names
    /// (`{"date": "2026-01-31"}`) whether it is done or not.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        let clock = &self.process.clock;
        let deadline = Deadline::at_ms_of_wall(event.context.deadline, clock);
        let now = clock.business();
        let named = named_day(&event.payload, now)?;
        let day = match named {
            Some(day) => Some(day),
            None => self.next_day(now).await?,
        };
        let Some(day) = day else {
            let date = rfc3339::format_day(BeijingDay::of(now).before());
            return Ok(json!({"date": date, "status": "already_done"}));
        };
        let date = rfc3339::format_day(day);
        let mut line = LogLine::start(Self::NAME, clock);
        line.field("request_id", event.context.request_id)
            .field("date", date.clone());
        // Boxed, so that the compiler need not lay out all of it at once.
        let outcome = Box::pin(self.reconcile(day, &deadline, &mut line)).await;
        let is_late = now >= day.ends_at().plus_seconds(OVERDUE_SECONDS);
        if outcome.is_err() && is_late {
            line.count(Metric::ReconcileOverdue).raise(Level::Error);
        }
        match outcome {
            Ok(found) => {
                line.field("differences", found);
                if found > 0 {
                    let found = i64::try_from(found).unwrap_or(i64::MAX);
                    line.measure(Metric::ReconcileDifferences, found)
                        .raise(Level::Error);
                }
                line.write(&self.process.log, clock, "reconciled");
                Ok(json!({"date": date, "status": "done", "differences": found}))
            }
            Err(error) => {
                line.field("error", error.to_string()).raise(Level::Warn);
                if error.is_of_configuration() {
                    line.count(Metric::NotConfigured).raise(Level::Error);
                }
                line.write(&self.process.log, clock, "not reconciled");
                if error.is_wechat_pays() {
                    let why = error.to_string();
                    return Ok(json!({"date": date, "status": "waiting", "why": why}));
                }
                Err(error.into())
            }
        }
    }
}

/// The day that the event names, if it names one.
fn named_day(event: &Value, now: Timestamp) -> Result<Option<BeijingDay>, ReconcileError> {
    let day = match &event["date"] {
        Value::Null => return Ok(None),
        Value::String(date) => rfc3339::parse_day(date),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    day.filter(|day| *day < BeijingDay::of(now))
        .ok_or(ReconcileError::Date)
        .map(Some)
}

impl Reconcile {
    /// The day that is reconciled unasked: yesterday, and when that is done the latest day that is not, as far back
    /// as the last week has one that is. Before its first day a stack has nothing to compare.
    async fn next_day(&self, now: Timestamp) -> Result<Option<BeijingDay>, ReconcileError> {
        let mut day = BeijingDay::of(now).before();
        if !self.is_done(day).await? {
            return Ok(Some(day));
        }
        let mut left_over = None;
        for _ in 0..CAUGHT_UP_DAYS {
            day = day.before();
            match (self.is_done(day).await?, left_over) {
                (true, Some(found)) => return Ok(Some(found)),
                (false, None) => left_over = Some(day),
                (true, None) | (false, Some(_)) => {}
            }
        }
        Ok(None)
    }

    async fn is_done(&self, day: BeijingDay) -> Result<bool, ReconcileError> {
        Ok(self.bucket.has(&report::done_key(day)).await?)
    }

    /// Reconciles a day, and gives how many differences there are.
    async fn reconcile(
        &self,
        day: BeijingDay,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<u64, ReconcileError> {
        let bills = Bills {
            client: &self.settling_client,
            deadline,
        };
        let Fetched { trade, flow } = bills.fetch(day).await?;
        let payee = self.settling_client.payee();
        let mut comparison = Comparison::new(day, self, trade.as_ref(), flow.as_ref())?;
        if let Some(trade) = &trade {
            self.compare_bill(trade, &mut comparison, deadline).await?;
        }
        if let Some(flow) = &flow {
            comparison.unmatched_flows(flow)?;
        }
        self.compare_record(&bills, &mut comparison, deadline)
            .await?;
        comparison.is_whole()?;
        let mut report = Report::of(&comparison, &payee.mchid, self.process.clock.business());
        line.field("rows", report.rows())
            .field("orders", comparison.here.payments)
            .field("refunds", comparison.here.refunds)
            .field("of_others", comparison.of_others.all());
        // What settles vanishes from what a later run finds: it is kept and told before it is asked about.
        self.put(&report).await?;
        self.tell(told::differences(&report), deadline, line)
            .await?;
        if !comparison.asks.is_empty() {
            let asked = self.ask(&comparison.asks, deadline, line).await;
            report.settle(&asked.settled);
            self.put(&report).await?;
            if let Some(error) = asked.failed {
                return Err(error);
            }
        }
        self.tell(vec![told::done(&report)], deadline, line).await?;
        let mark = report.done_mark();
        self.bucket
            .put(&report::done_key(day), "application/json", mark)
            .await?;
        Ok(report.count())
    }

    async fn put(&self, report: &Report) -> Result<(), ReconcileError> {
        for (key, content_type, content) in report.files()? {
            self.bucket.put(&key, content_type, content).await?;
        }
        Ok(())
    }
}
