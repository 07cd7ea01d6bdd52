//! Steps that give money back.

use futures_util::future::join_all;
use serde_json::json;

use super::notebook::{Noted, NotedRefund};
use super::{Walk, end_refund};
use crate::harness::Answer;

impl Walk {
    pub(super) async fn refund(&mut self) {
        let anything = self.random.below(6) == 0;
        let Some(number) = self.any(|noted| noted.paid || anything) else {
            return;
        };
        let noted = self.orders[&number].clone();
        self.count += 1;
        let amount = match self.random.below(4) {
            0 => noted.total,
            1 => noted.total + 1,
            _ => 1 + self.random.below(noted.total as u64) as i64,
        };
        let refund = format!("walk-r{:04}", self.count);
        let by = if self.random.below(3) == 0 {
            noted.by
        } else {
            0
        };
        self.orders
            .get_mut(&number)
            .unwrap()
            .refunds
            .insert(refund.clone(), NotedRefund::new(by, amount));
        self.ask_back(&number, &refund).await;
    }

    pub(super) async fn refund_again(&mut self) {
        let Some(number) = self.any(|noted| !noted.refunds.is_empty()) else {
            return;
        };
        let refunds: Vec<String> = self.orders[&number].refunds.keys().cloned().collect();
        let refund = self.random.choice(&refunds).unwrap().clone();
        self.ask_back(&number, &refund).await;
    }

    pub(super) async fn ask_back(&mut self, number: &str, refund: &str) {
        let NotedRefund { by, amount, .. } = self.orders[number].refunds[refund];
        let credential = self.credentials[by].clone();
        let body = json!({"out_refund_no": refund, "amount": {"refund": amount}});
        let path = format!("/orders/{number}/refunds");
        let answer = self.stack().post(&credential, &path, body).await;
        self.answered(number, refund, &answer);
    }

    pub(super) fn answered(&mut self, number: &str, refund: &str, answer: &Answer) {
        self.note(format!(
            "refund {number} {refund} -> {} {} {}",
            answer.status, answer.body["status"], answer.body["code"]
        ));
        let refusals = [
            "order_not_paid",
            "refund_exceeds",
            "refund_too_late",
            "too_many_refunds",
            "not_found",
        ];
        self.expected("refund", answer, &refusals);
        let noted = self.orders.get_mut(number).unwrap();
        let accepted = matches!(answer.status, 200 | 202);
        assert!(
            !accepted || noted.paid,
            "money of an unpaid order: {answer:?}"
        );
        let back = noted.refunds.get_mut(refund).unwrap();
        assert!(
            !accepted || back.amount <= noted.total,
            "more than was paid: {answer:?}"
        );
        if accepted {
            assert_eq!(answer.body["amount"]["refund"], back.amount);
            self.refunds_taken += u32::from(!back.promised);
            back.promised = true;
            back.requested = answer.body["status"] == "REQUESTED";
        } else {
            let taken_back = back.promised && matches!(answer.status, 404 | 409);
            assert!(
                !taken_back,
                "{refund} was accepted and is refused: {answer:?}"
            );
        }
    }

    pub(super) async fn decide(&mut self) {
        let waits = |noted: &Noted| noted.refunds.values().any(|back| back.requested);
        let Some(number) = self.any(waits) else {
            return;
        };
        let refund = {
            let refunds = &self.orders[&number].refunds;
            let found = refunds.iter().find(|(_, back)| back.requested);
            found.unwrap().0.clone()
        };
        let decision = *self
            .random
            .choice(&["approve", "approve", "reject"])
            .unwrap();
        let path = format!("/orders/{number}/refunds/{refund}/{decision}");
        let merchant = self.credentials[0].clone();
        let answer = self.stack().post(&merchant, &path, json!({})).await;
        self.note(format!(
            "{decision} {number} {refund} -> {} {} {}",
            answer.status, answer.body["status"], answer.body["code"]
        ));
        self.expected(
            "decide",
            &answer,
            &[
                "refund_decided",
                "refund_exceeds",
                "too_many_refunds",
                "refund_too_late",
            ],
        );
        if answer.status < 300 {
            self.orders
                .get_mut(&number)
                .unwrap()
                .refunds
                .get_mut(&refund)
                .unwrap()
                .requested = false;
        }
    }

    /// The bank ends a refund in one of its ways.
    pub(super) async fn bank(&mut self) {
        let Some(number) = self.any(|noted| !noted.refunds.is_empty()) else {
            return;
        };
        let refunds: Vec<String> = self.orders[&number].refunds.keys().cloned().collect();
        let refund = self.random.choice(&refunds).unwrap().clone();
        let end = *self
            .random
            .choice(&["complete", "close", "abnormal"])
            .unwrap();
        let status = end_refund(self.stack(), &refund, end).await;
        self.note(format!("bank {end} {refund} -> {status}"));
    }

    /// Several refunds of one order in one moment, one of them twice: together more than was paid.
    pub(super) async fn refunds_at_once(&mut self) {
        let Some(number) = self.any(|noted| noted.paid && noted.total > 1) else {
            return;
        };
        let half = self.orders[&number].total / 2 + 1;
        let mut refunds = Vec::new();
        for _ in 0..3 {
            self.count += 1;
            let refund = format!("walk-r{:04}", self.count);
            let noted = self.orders.get_mut(&number).unwrap();
            noted
                .refunds
                .insert(refund.clone(), NotedRefund::new(0, half));
            refunds.push(refund);
        }
        refunds.push(refunds[0].clone());
        let stack = self.stack();
        let asked = refunds
            .iter()
            .map(|refund| stack.refund(&number, refund, half));
        let answers = join_all(asked).await;
        for (refund, answer) in refunds.iter().zip(&answers) {
            self.answered(&number, refund, answer);
        }
    }
}
