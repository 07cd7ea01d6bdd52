//! What the bill proves and the record does not know is asked about, and settled by what is signed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use shared::deadline::Deadline;
use shared::domain::{Order, OrderId, Payment, Refund, RefundId, Timestamp};
use shared::settlement::Settled;
use shared::settlement::notes::note_call;
use shared::settling_client::SettlingError;
use shared::store::StoredOrder;
use shared::telemetry::{Level, LogLine, Metric};

use crate::Reconcile;
use crate::compare::FINDINGS_MAX;
use crate::error::ReconcileError;

/// How many questions one run asks; the next run draws among those that are open then.
const ASKS_MAX: usize = 1_000;

/// What became of an order whose refund is not on record.
const REFUNDED_ELSEWHERE: &str = "REFUNDED_ELSEWHERE";

/// A question to WeChat Pay.
#[derive(Debug)]
pub(crate) enum Question {
    /// How the order stands.
    Order(OrderId),
    /// How the refund stands.
    Refund(Box<Refund>),
    /// Whether it knows this refund of the order, which is not on record.
    RefundElsewhere(OrderId, RefundId),
}

/// An order's number, and a refund's where it is about one.
type Key = (String, Option<String>);

/// Questions, each once. Where there are more than one run asks, each run draws anew which it asks: one that
/// comes again however it is answered cannot keep another from its turn.
#[derive(Debug)]
pub(crate) struct Asks {
    /// What this run draws by.
    turn: i64,
    questions: BTreeMap<(u64, Key), Question>,
    /// Whether there are more than one run asks.
    more: bool,
    /// What needs no question, as the record says it.
    known: Outcomes,
}

/// What each order or refund is now, by its number; of a refund by both.
pub(crate) type Outcomes = BTreeMap<Key, &'static str>;

/// What came of the questions.
pub(crate) struct Asked {
    pub(crate) settled: Outcomes,
    /// Why some of them are open.
    pub(crate) failed: Option<ReconcileError>,
}

impl Asks {
    /// None so far, of the run that begins now.
    pub(crate) const fn at(now: Timestamp) -> Self {
        Self {
            turn: now.unix_seconds(),
            questions: BTreeMap::new(),
            more: false,
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.questions.is_empty() && self.known.is_empty()
    }

    /// Adds the question what became of a refund of this order that the bill has and the record has not.
    pub(crate) fn about_elsewhere(&mut self, order: &Order, refund_no: &str) {
        let order_id = order.terms.order_id.clone();
        let is_known = order
            .payment_on_record()
            .is_some_and(|payment| payment.refunded_elsewhere);
        if is_known {
            // More than a report has are not told of.
            if self.known.len() < FINDINGS_MAX {
                let key = (order_id.as_str().to_owned(), Some(refund_no.to_owned()));
                self.known.insert(key, REFUNDED_ELSEWHERE);
            }
            return;
        }
        self.extend(match RefundId::parse(refund_no) {
            Ok(refund_id) => Question::RefundElsewhere(order_id, refund_id),
            // No number that this API could ask about.
            Err(_) => Question::Order(order_id),
        });
    }

    pub(crate) fn extend(&mut self, question: Question) {
        let key = match &question {
            Question::Order(order_id) => (order_id.as_str().to_owned(), None),
            Question::Refund(refund) => {
                let number = refund.refund_id.as_str().to_owned();
                (refund.order_id.as_str().to_owned(), Some(number))
            }
            Question::RefundElsewhere(order_id, refund_id) => {
                let number = refund_id.as_str().to_owned();
                (order_id.as_str().to_owned(), Some(number))
            }
        };
        let mut hasher = DefaultHasher::new();
        (self.turn, &key).hash(&mut hasher);
        self.questions.insert((hasher.finish(), key), question);
        if self.questions.len() > ASKS_MAX {
            self.questions.pop_last();
            self.more = true;
        }
    }
}

impl Reconcile {
    /// Asks all of it; one that fails holds up none.
    pub(crate) async fn ask(&self, asks: &Asks, deadline: &Deadline, line: &mut LogLine) -> Asked {
        let mut asked = Asked {
            settled: asks.known.clone(),
            failed: asks.more.then_some(ReconcileError::Late),
        };
        for ((_, key), question) in &asks.questions {
            if let Err(late) = self.in_time(deadline) {
                asked.failed = Some(late);
                break;
            }
            match self.ask_one(question, deadline).await {
                Ok(Some(state)) => {
                    asked.settled.insert(key.clone(), state);
                }
                Ok(None) => {}
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
    ) -> Result<Option<&'static str>, SettlingError> {
        let clock = &self.process.clock;
        let mut line = LogLine::start("reconcile", clock);
        let asked = match question {
            Question::Order(order_id) => {
                line.field("order.out_trade_no", order_id.as_str());
                let client = &self.settling_client;
                let asked = client.ask_order(order_id, deadline, &mut line).await;
                asked.map(|asked| {
                    Some(state_of(asked.settled, |stored| {
                        stored.order.state.as_str()
                    }))
                })
            }
            Question::Refund(refund) => {
                line.field("order.out_trade_no", refund.order_id.as_str())
                    .field("refund.out_refund_no", refund.refund_id.as_str());
                let client = &self.settling_client;
                let asked = client.ask_refund(refund, deadline, &mut line).await;
                asked.map(|settled| Some(state_of(settled, |stored| stored.refund.state.as_str())))
            }
            Question::RefundElsewhere(order_id, refund_id) => {
                line.field("order.out_trade_no", order_id.as_str())
                    .field("refund.out_refund_no", refund_id.as_str());
                self.ask_elsewhere(order_id, refund_id, deadline, &mut line)
                    .await
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

    /// Asks about a refund that never left from the record. Where WeChat Pay knows none by that number, or the order
    /// is not paid on record, the order's own report may tell.
    async fn ask_elsewhere(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Option<&'static str>, SettlingError> {
        let client = &self.settling_client;
        let asked = client.ask_refund_elsewhere(order_id, refund_id, deadline, line);
        match asked.await {
            Ok(settled) => {
                let stored = settled.record();
                if let Some(payment) = stored.as_ref().and_then(payment) {
                    return Ok(elsewhere(payment));
                }
            }
            Err(SettlingError::Call(error)) if error.refund_absence().is_some() => {}
            Err(error) => return Err(error),
        }
        let asked = client.ask_order(order_id, deadline, line).await?;
        let stored = asked.settled.record();
        Ok(stored.as_ref().and_then(payment).and_then(elsewhere))
    }
}

fn payment(stored: &StoredOrder) -> Option<&Payment> {
    stored.order.payment_on_record()
}

/// What an order is called whose payment is marked as refunded elsewhere.
fn elsewhere(payment: &Payment) -> Option<&'static str> {
    payment.refunded_elsewhere.then_some(REFUNDED_ELSEWHERE)
}

/// The state after what was settled; a contradiction changes nothing and is told as one.
fn state_of<T>(settled: Settled<T>, state: impl Fn(&T) -> &'static str) -> &'static str {
    match settled {
        Settled::Changed(record) | Settled::Unchanged(record) => state(&record),
        Settled::Contradiction(..) => "CONTRADICTION",
        Settled::Unknown => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::collections::BTreeSet;

    use shared::domain::{OrderId, Timestamp};

    use super::{ASKS_MAX, Asks, Question};

    #[test]
    fn of_more_questions_than_one_run_asks_each_has_its_turn() {
        let numbers: Vec<String> = (0..2 * ASKS_MAX)
            .map(|place| format!("ORDER-{place:06}"))
            .collect();
        let mut asked = BTreeSet::new();
        for run in 0..24 {
            let mut asks = Asks::at(Timestamp::from_unix_seconds(1_790_000_000 + run * 1_800));
            for number in &numbers {
                // Each twice, as where two rows are about one order.
                asks.extend(Question::Order(OrderId::parse(number).unwrap()));
                asks.extend(Question::Order(OrderId::parse(number).unwrap()));
            }
            assert_eq!(asks.questions.len(), ASKS_MAX);
            assert!(asks.more);
            asked.extend(asks.questions.into_keys().map(|(_, (order, _))| order));
        }
        assert_eq!(asked.len(), numbers.len());
        let mut few = Asks::at(Timestamp::from_unix_seconds(1_790_000_000));
        for number in &numbers[..ASKS_MAX] {
            few.extend(Question::Order(OrderId::parse(number).unwrap()));
        }
        assert!(!few.more);
    }
}
