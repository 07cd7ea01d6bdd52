//! Steps that make trouble, and end it.

use std::sync::{Arc, Mutex};

use local::aws::{AwsCall, Fault};
use serde_json::json;

use super::{Walk, be_hostile};

/// Faults that cost seconds each time: once at a time.
const DEAR: [&str; 3] = ["slow", "slow_body", "request_late"];

/// Faults that are met half of the time: what they say is nearly right, or wrong about money.
const SHARP: [&str; 12] = [
    "accepted",
    "close_user_paying",
    "notice_lost",
    "rate_limited_applied",
    "refund_not_enough",
    "refund_not_found",
    "request_lost",
    "response_lost",
    "response_mixed_up",
    "response_wrong_amount",
    "server_error_applied",
    "unknown_state",
];

impl Walk {
    pub(super) async fn trouble(&mut self) {
        let name = if self.random.below(2) == 0 {
            (*self.random.choice(&SHARP).unwrap()).to_owned()
        } else {
            let faults = self.faults.clone();
            self.random.choice(&faults).unwrap().clone()
        };
        let count = if DEAR.contains(&name.as_str()) {
            1
        } else {
            1 + self.random.below(6)
        };
        let rate = [0.4, 0.7, 1.0, 1.0][self.random.below(4) as usize];
        self.stack()
            .fault(&name, json!({"count": count, "rate": rate}))
            .await;
        self.note(format!("fault {name} {count} times at {rate}"));
    }

    pub(super) async fn calm(&mut self) {
        self.stack().no_faults().await;
        self.stack().watch.set_fault(None);
        self.note("calm".to_owned());
    }

    /// Of the next calls to the table some fail, before or after they are done.
    pub(super) fn table_trouble(&mut self) {
        let dice = Mutex::new((self.random.clone(), 40_u32));
        self.stack()
            .watch
            .set_fault(Some(Arc::new(move |call: &AwsCall| {
                let (random, left) = &mut *dice.lock().unwrap();
                if *left == 0 || call.operation == "GetSecretValue" {
                    return None;
                }
                *left -= 1;
                match random.below(10) {
                    0 => Some(Fault::Fail),
                    1 => Some(Fault::LoseAnswer),
                    2 => Some(Fault::Throttle),
                    3 if call.operation == "TransactWriteItems" => Some(Fault::Conflict),
                    _ => None,
                }
            })));
        self.note("the table is in trouble".to_owned());
    }

    /// A notice about an order of ours that nobody signed.
    pub(super) async fn forge(&mut self) {
        let Some(number) = self.any(|_| true) else {
            return;
        };
        let content =
            crate::harness::payment_content(self.stack(), &number, self.orders[&number].total);
        let key = self.stack().apiv3_key();
        let body = crate::harness::notice_body(
            key.as_bytes(),
            "TRANSACTION.SUCCESS",
            content.to_string().as_bytes(),
        );
        let mut headers = self.stack().signature_headers(&body, self.stack().now());
        headers[3].1 = headers[3].1.chars().rev().collect();
        let answer = self.stack().raw_notice(&headers, body).await;
        self.note(format!("forge {number} -> {}", answer.status));
        assert!(matches!(answer.status, 400 | 401 | 503), "{answer:?}");
    }

    pub(super) async fn restart(&mut self) {
        self.note("stop and start".to_owned());
        let stack = self.stack.take().unwrap();
        stack.watch.set_fault(None);
        let stack = stack.restarted().await;
        be_hostile(&stack, self.diary.seed).await;
        self.stack = Some(stack);
    }
}
