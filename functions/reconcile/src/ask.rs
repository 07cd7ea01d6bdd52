//! What the bill proves and the record does not know is asked about, and settled by what is signed.

use std::collections::BTreeMap;

use shared::deadline::Deadline;
use shared::domain::{OrderId, Refund};
use shared::settlement::Settled;
use shared::settlement::notes::note_call;
use shared::settling_client::SettlingError;
use shared::telemetry::{Level, LogLine, Metric};

use crate::Reconcile;
use crate::error::ReconcileError;

/// How many questions one run asks; the next run asks the rest.
const ASKS_MAX: usize = 1_000;

/// A question to WeChat Pay.
pub(crate) enum Question {
    /// How the order stands.
    Order(OrderId),
    /// How the refund stands.
    Refund(Box<Refund>),
}

/// Questions, each once.
#[derive(Default)]
pub(crate) struct Asks {
    questions: BTreeMap<(String, Option<String>), Question>,
    /// Whether there are more than one run asks.
    more: bool,
}

/// What came of the questions.
pub(crate) struct Asked {
    /// What each order or refund is now, by its number; of a refund by both.
    pub(crate) settled: BTreeMap<(String, Option<String>), &'static str>,
    /// Why some of them are open.
    pub(crate) failed: Option<ReconcileError>,
}

impl Asks {
    pub(crate) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    pub(crate) fn extend(&mut self, question: Option<Question>) {
        let Some(question) = question else {
            return;
        };
        if self.questions.len() == ASKS_MAX {
            self.more = true;
            return;
        }
        let key = match &question {
            Question::Order(order_id) => (order_id.as_str().to_owned(), None),
            Question::Refund(refund) => {
                let number = refund.refund_id.as_str().to_owned();
                (refund.order_id.as_str().to_owned(), Some(number))
            }
        };
        self.questions.insert(key, question);
    }
}

impl Reconcile {
    /// Asks all of it; one that fails holds up none.
    pub(crate) async fn ask(&self, asks: &Asks, deadline: &Deadline, line: &mut LogLine) -> Asked {
        let mut asked = Asked {
            settled: BTreeMap::new(),
            failed: asks.more.then_some(ReconcileError::Late),
        };
        for (key, question) in &asks.questions {
            if let Err(late) = self.in_time(deadline) {
                asked.failed = Some(late);
                break;
            }
            match self.ask_one(question, deadline).await {
                Ok(state) => {
                    asked.settled.insert(key.clone(), state);
                }
                // An answer, and it stands in the report that the record is as it was.
                Err(SettlingError::Call(error)) if error.refund_absence().is_some() => {}
                Err(error) => asked.failed = Some(error.into()),
            }
        }
        line.field("asked", asks.questions.len())
            .field("settled", asked.settled.len());
        asked
    }

    async fn ask_one(
        &self,
        question: &Question,
        deadline: &Deadline,
    ) -> Result<&'static str, SettlingError> {
        let clock = &self.process.clock;
        let mut line = LogLine::start("reconcile", clock);
        let asked = match question {
            Question::Order(order_id) => {
                line.field("order.out_trade_no", order_id.as_str());
                let client = &self.settling_client;
                let asked = client.ask_order(order_id, deadline, &mut line).await;
                asked.map(|asked| state_of(asked.settled, |stored| stored.order.state.as_str()))
            }
            Question::Refund(refund) => {
                line.field("order.out_trade_no", refund.order_id.as_str())
                    .field("refund.out_refund_no", refund.refund_id.as_str());
                let client = &self.settling_client;
                let asked = client.ask_refund(refund, deadline, &mut line).await;
                asked.map(|settled| state_of(settled, |stored| stored.refund.state.as_str()))
            }
        };
        match &asked {
            Ok(_) => {}
            Err(SettlingError::Call(error)) => note_call(error, &mut line),
            Err(error) => {
                line.field("error", error.to_string())
                    .count(Metric::NeedsHuman)
                    .raise(Level::Error);
            }
        }
        line.write(&self.process.log, clock, "asked for what the bill has");
        asked
    }
}

/// The state after what was settled; a contradiction changes nothing and is told as one.
fn state_of<T>(settled: Settled<T>, state: impl Fn(&T) -> &'static str) -> &'static str {
    match settled {
        Settled::Changed(record) | Settled::Unchanged(record) => state(&record),
        Settled::Contradiction(..) => "CONTRADICTION",
        Settled::Unknown => "UNKNOWN",
    }
}
