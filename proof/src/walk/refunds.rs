//! What the walk does about refunds.

use serde_json::{Value, json};

use super::{Walk, pass};
use crate::notebook::{Noted, NotedRefund};
use crate::op::{BankEnd, Decision, Person};
use crate::process::Answer;
use crate::witness::FORGED;

/// A refund's number in the list.
fn refund_number(refund: u32) -> String {
    format!("proof-r{refund:04}")
}

impl Walk<'_> {
    async fn send_refund(&self, noted: &Noted, refund: u32) -> Option<Answer> {
        let asked = noted.refunds.get(&refund)?;
        let amount = asked.amount;
        let body = json!({"out_refund_no": refund_number(refund), "amount": {"refund": amount}});
        let path = format!("/orders/{}/refunds", noted.number);
        Some(self.ask(asked.by, "POST", &path, "", &body).await)
    }

    pub(super) async fn refund(&mut self, order: u32, refund: u32) {
        let Some(noted) = self.known(order) else {
            return;
        };
        if let Some(answer) = self.send_refund(&noted, refund).await {
            self.refund_answered(order, refund, &answer);
        }
    }

    fn refund_answered(&mut self, order: u32, refund: u32, answer: &Answer) {
        self.expected(
            "refund",
            answer,
            &[
                "order_not_paid",
                "refund_exceeds",
                "refund_too_late",
                "too_many_refunds",
                "refund_decided",
                "refund_number_taken",
                "not_found",
            ],
        );
        let Some(noted) = self.orders.get_mut(&order) else {
            return;
        };
        let (paid, total) = (noted.paid, noted.total);
        let Some(asked) = noted.refunds.get_mut(&refund) else {
            return;
        };
        let accepted = matches!(answer.status, 200 | 202);
        let (was_promised, amount) = (asked.promised, asked.amount);
        asked.promised |= accepted;
        self.promise(!accepted || paid, || {
            format!("a refund of an unpaid order: {answer:?}")
        });
        self.promise(!accepted || amount <= total, || {
            format!("more than was paid: {answer:?}")
        });
        let refused = matches!(answer.status, 404 | 409);
        self.promise(!was_promised || !refused, || {
            format!("refund {refund} was accepted and is refused: {answer:?}")
        });
        if accepted {
            self.promise(answer.body["amount"]["refund"] == amount, || {
                format!("refund {refund} has another amount: {answer:?}")
            });
        }
    }

    pub(super) async fn refunds_at_once(&mut self, order: u32, first: u32) {
        let Some(noted) = self.known(order).filter(|noted| noted.total > 1) else {
            return;
        };
        let half = noted.total / 2 + 1;
        if let Some(noted) = self.orders.get_mut(&order) {
            for refund in first..first + 3 {
                let asked = NotedRefund::new(Person::Merchant, half);
                noted.refunds.insert(refund, asked);
            }
        }
        let Some(noted) = self.known(order) else {
            return;
        };
        let refunds = [first, first + 1, first + 2, first];
        let asked = refunds.map(|refund| self.send_refund(&noted, refund));
        let answers = futures_util::future::join_all(asked).await;
        let mut answers: Vec<(u32, Answer)> = refunds
            .into_iter()
            .zip(answers)
            .filter_map(|(refund, answer)| Some((refund, answer?)))
            .collect();
        // Asked at once, a twin may be refused while the other one is just finding out that the order is
        // paid: its refusal came first.
        answers.sort_by_key(|(_, answer)| answer.status < 300);
        for (refund, answer) in &answers {
            self.refund_answered(order, *refund, answer);
        }
    }

    /// Asks for a refund of each of two orders with one number: it is given to one of them at most.
    pub(super) async fn refunds_of_two(&mut self, orders: [u32; 2], refund: u32, amount: i64) {
        for order in orders {
            if let Some(noted) = self.orders.get_mut(&order) {
                let asked = NotedRefund::new(Person::Merchant, amount);
                noted.refunds.entry(refund).or_insert(asked);
            }
        }
        let [Some(one), Some(other)] = orders.map(|order| self.known(order)) else {
            return;
        };
        let (one, other) = tokio::join!(
            self.send_refund(&one, refund),
            self.send_refund(&other, refund)
        );
        let (Some(one), Some(other)) = (one, other) else {
            return;
        };
        self.promise(one.status >= 300 || other.status >= 300, || {
            format!("two orders have a refund of one number: {one:?} {other:?}")
        });
        self.refund_answered(orders[0], refund, &one);
        self.refund_answered(orders[1], refund, &other);
    }

    /// Applies for an abnormal refund to go to the merchant's own bank card.
    pub(super) async fn apply(&mut self, order: u32, refund: u32) {
        let Some((noted, number)) = self.refund_known(order, refund) else {
            return;
        };
        let path = format!("/orders/{}/refunds/{number}/abnormal", noted.number);
        let body = json!({"type": "MERCHANT_BANK_CARD"});
        let answer = self.ask(Person::Merchant, "POST", &path, "", &body).await;
        self.expected("apply", &answer, &["refund_not_abnormal", "not_found"]);
        pass(1).await;
    }

    /// Writes a copy of a refund under another number, past the code, as due now and with its guard: it
    /// must never be sent.
    pub(super) fn forge(&mut self, order: u32, refund: u32) {
        let Some((noted, number)) = self.refund_known(order, refund) else {
            return;
        };
        let key = (
            format!("ORDER#{}", noted.number),
            format!("REFUND#{number}"),
        );
        let Some(Value::Object(mut item)) = self.mirror.items.get(&key).cloned() else {
            return;
        };
        let forged = format!("{FORGED}{number}");
        for name in [
            "refund_id",
            "success_time",
            "events",
            "needs_human",
            "list_shard",
        ] {
            item.remove(name);
        }
        let texts = [
            ("sk", format!("REFUND#{forged}")),
            ("out_refund_no", forged.clone()),
            ("status", "RESERVED".to_owned()),
            ("due_shard", "14".to_owned()),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), json!({"S": text})));
        item.extend(texts);
        item.insert(
            "due_at".to_owned(),
            json!({"N": self.world.now().to_string()}),
        );
        let guard = json!({
            "pk": {"S": format!("REFUNDNO#{forged}")}, "sk": {"S": "REFUNDNO"},
            "out_trade_no": {"S": noted.number},
        });
        for item in [Value::Object(item), guard] {
            if let Err(why) = self.world.aws.put(item) {
                self.world.weather.broken(why);
            }
        }
    }

    /// The order of a refund and the refund's number, where both may be named.
    fn refund_known(&self, order: u32, refund: u32) -> Option<(Noted, String)> {
        let noted = self.known(order)?;
        let asked = noted.refunds.get(&refund)?;
        let number = asked.number(&refund_number(refund));
        Some((noted, number))
    }

    pub(super) async fn decide(&mut self, order: u32, refund: u32, decision: Decision) {
        let Some((noted, number)) = self.refund_known(order, refund) else {
            return;
        };
        if decision == Decision::Retry {
            self.world.weather.seen(|witness, _| {
                witness.refund_retried(&number);
                Ok(())
            });
        }
        let segment = decision.segment();
        let path = format!("/orders/{}/refunds/{number}/{segment}", noted.number);
        let answer = self
            .ask(Person::Merchant, "POST", &path, "", &json!({}))
            .await;
        let refusals = [
            "refund_decided",
            "refund_exceeds",
            "refund_number_taken",
            "too_many_refunds",
            "refund_too_late",
            "order_not_paid",
            "not_found",
        ];
        self.expected(segment, &answer, &refusals);
        let counts = match decision {
            Decision::Approve => matches!(answer.status, 200..=202),
            // What nobody heard of may have been done.
            Decision::Reject | Decision::Withdraw | Decision::Retry => {
                !refusals.contains(&answer.code())
            }
        };
        let noted = self.orders.get_mut(&order);
        let asked = noted.and_then(|noted| noted.refunds.get_mut(&refund));
        if let Some(asked) = asked.filter(|_| counts) {
            asked.decided.insert(decision);
        }
    }

    pub(super) async fn bank(&mut self, order: u32, refund: u32, end: BankEnd) {
        let Some((_, number)) = self.refund_known(order, refund) else {
            return;
        };
        let path = format!("refunds/{number}/{}", end.control());
        let (status, _) = self.world.control(&path, json!({})).await;
        self.world
            .weather
            .note(&format!("  {}: {status}", end.control()));
        pass(1).await;
    }
}
