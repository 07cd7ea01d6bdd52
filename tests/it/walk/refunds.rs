//! Operations about refunds.

use futures_util::future::join_all;
use serde_json::json;

use super::notebook::NotedRefund;
use super::op::{BankEnd, Decision, Person, refund_number};
use super::walker::{Walk, control};
use crate::harness::{Answer, TestStack};

impl Walk {
    pub(super) async fn refund(
        &mut self,
        order: u32,
        refund: u32,
        by: Person,
        amount: i64,
    ) -> Option<()> {
        self.noted(order)?;
        let asked = NotedRefund::new(by, amount);
        self.noted_mut(order).refunds.insert(refund, asked);
        self.refund_again(order, refund).await
    }

    pub(super) async fn refund_again(&mut self, order: u32, refund: u32) -> Option<()> {
        let noted = self.noted(order)?;
        let NotedRefund { by, amount, .. } = *noted.refunds.get(&refund)?;
        let credential = self.credential(by);
        let body = json!({"out_refund_no": refund_number(refund), "amount": {"refund": amount}});
        let path = format!("/orders/{}/refunds", noted.number);
        let answer = self.stack().post(&credential, &path, body).await;
        self.answered(order, refund, &answer);
        Some(())
    }

    fn answered(&mut self, order: u32, refund: u32, answer: &Answer) {
        self.note(format!(
            "    refund {refund}: {} {} {}",
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
        let noted = self.noted_mut(order);
        let accepted = matches!(answer.status, 200 | 202);
        assert!(
            !accepted || noted.paid,
            "a refund of an unpaid order: {answer:?}"
        );
        let asked = noted.refunds.get_mut(&refund).unwrap();
        assert!(
            !accepted || asked.amount <= noted.total,
            "more than was paid: {answer:?}"
        );
        if !accepted {
            let withdrawn = asked.promised && matches!(answer.status, 404 | 409);
            assert!(
                !withdrawn,
                "refund {refund} was accepted and is refused: {answer:?}"
            );
            return;
        }
        assert_eq!(answer.body["amount"]["refund"], asked.amount);
        let new = !asked.promised;
        asked.promised = true;
        asked.requested = answer.body["status"] == "REQUESTED";
        self.tally.refunds_accepted += u32::from(new);
    }

    pub(super) async fn decide(
        &mut self,
        order: u32,
        refund: u32,
        decision: Decision,
    ) -> Option<()> {
        let noted = self.noted(order)?;
        let asked = noted.refunds.get(&refund).filter(|asked| asked.requested)?;
        let (number, refund_no) = (&noted.number, asked.number(refund));
        let path = format!(
            "/orders/{number}/refunds/{refund_no}/{}",
            decision.segment()
        );
        let merchant = self.credential(Person::Merchant);
        let answer = self.stack().post(&merchant, &path, json!({})).await;
        self.note(format!(
            "    {} {} {}",
            answer.status, answer.body["status"], answer.body["code"]
        ));
        let refusals = [
            "refund_decided",
            "refund_exceeds",
            "too_many_refunds",
            "refund_too_late",
        ];
        self.expected("decide", &answer, &refusals);
        if answer.status < 300 {
            let refunds = &mut self.noted_mut(order).refunds;
            refunds.get_mut(&refund).unwrap().requested = false;
        }
        Some(())
    }

    pub(super) async fn bank(&mut self, order: u32, refund: u32, end: BankEnd) -> Option<()> {
        let refund_no = self.noted(order)?.refunds.get(&refund)?.number(refund);
        let status = end_refund(self.stack(), &refund_no, end).await;
        self.note(format!("    {status}"));
        Some(())
    }

    pub(super) async fn refunds_at_once(&mut self, order: u32, first: u32) -> Option<()> {
        let noted = self
            .noted(order)
            .filter(|noted| noted.paid && noted.total > 1)?;
        let half = noted.total / 2 + 1;
        for refund in first..first + 3 {
            let asked = NotedRefund::new(Person::Merchant, half);
            self.noted_mut(order).refunds.insert(refund, asked);
        }
        let refunds = [first, first + 1, first + 2, first];
        let stack = self.stack();
        let number = &noted.number;
        let asked = refunds.map(|refund| async move {
            let refund_no = refund_number(refund);
            stack.refund(number, &refund_no, half).await
        });
        let answers = join_all(asked).await;
        let mut answers: Vec<(u32, &Answer)> = refunds.into_iter().zip(&answers).collect();
        // Asked at once, a twin may be refused while the other one is just finding out that the order
        // is paid: its refusal came first.
        answers.sort_by_key(|(_, answer)| answer.status < 300);
        for (refund, answer) in answers {
            self.answered(order, refund, answer);
        }
        Some(())
    }
}

/// The bank ends a refund, if it can.
pub(super) async fn end_refund(stack: &TestStack, refund: &str, end: BankEnd) -> u16 {
    let path = format!("refunds/{refund}/{}", end.control());
    control(stack, &path, json!({})).await
}
