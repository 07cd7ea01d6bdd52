//! Operations that make trouble, and end it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use local::aws::{AwsCall, Fault};

use super::walker::Walk;
use crate::harness::{notice_body, payment_content};

impl Walk {
    pub(super) async fn calm(&mut self) {
        self.stack().no_faults().await;
        self.stack().watch.set_fault(None);
    }

    /// These of the next calls to the table fail, before or after they are done.
    pub(super) fn table_trouble(&mut self, calls: &[(u32, Fault)]) {
        let faults: BTreeMap<u32, Fault> = calls.iter().copied().collect();
        let next = AtomicU32::new(0);
        let hook = move |call: &AwsCall| {
            if call.operation == "GetSecretValue" {
                return None;
            }
            let fault = *faults.get(&next.fetch_add(1, Ordering::SeqCst))?;
            let possible = fault != Fault::Conflict || call.operation == "TransactWriteItems";
            possible.then_some(fault)
        };
        self.stack().watch.set_fault(Some(Arc::new(hook)));
    }

    /// A notification about an order of ours that WeChat Pay did not sign.
    pub(super) async fn forge(&mut self, order: u32) -> Option<()> {
        let noted = self.noted(order)?;
        let stack = self.stack();
        let content = payment_content(stack, &noted.number, noted.total).to_string();
        let key = stack.apiv3_key();
        let body = notice_body(key.as_bytes(), "TRANSACTION.SUCCESS", content.as_bytes());
        let mut headers = stack.signature_headers(&body, stack.now());
        headers[3].1 = headers[3].1.chars().rev().collect();
        let answer = stack.raw_notice(&headers, body).await;
        self.note(format!("    {}", answer.status));
        assert!(matches!(answer.status, 400 | 401 | 503), "{answer:?}");
        Some(())
    }
}
