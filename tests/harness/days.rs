//! Days and their books: the clock moved to the next morning, and what reconciling it led to.

use local::gateway::InvokeError;
use serde_json::{Value, json};
use shared::domain::BeijingDay;

use super::TestStack;

impl TestStack {
    /// Moves the business clock to this second of the next day in Beijing.
    pub async fn next_day_at(&self, second: i64) {
        let now = self.stack.clock().business();
        let then = BeijingDay::of(now).ends_at().plus_seconds(second);
        self.advance(then.seconds_since(now)).await;
    }

    /// Moves it to half past ten of the next day, when the bills of today are there.
    pub async fn next_morning(&self) {
        self.next_day_at(10 * 3_600 + 1_800).await;
    }

    /// Reconciles this day, whether it is done or not.
    pub async fn reconcile(&self, date: &str) -> Result<Value, InvokeError> {
        let event = json!({"date": date});
        self.stack.invoke("ReconcileFunction", event).await
    }

    /// A file of a day's report, if there is one.
    pub fn report_file(&self, date: &str, name: &str) -> Option<String> {
        let bucket = local::template::physical("ReportsBucket");
        let file = self.stack.data_dir.join(bucket).join(date).join(name);
        std::fs::read_to_string(file).ok()
    }

    /// A day's report.
    pub fn report(&self, date: &str) -> Value {
        let text = self.report_file(date, "report.json").unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What a day's report finds of an order: the kinds, and of each the refund's number and what was
    /// settled.
    pub fn findings(&self, date: &str, number: &str) -> Vec<(String, Value, Value)> {
        let report = self.report(date);
        let found = report["differences"].as_array().unwrap().iter();
        let found = found.filter(|found| found["out_trade_no"] == number);
        found
            .map(|found| {
                let kind = found["kind"].as_str().unwrap().to_owned();
                (
                    kind,
                    found["out_refund_no"].clone(),
                    found["settled"].clone(),
                )
            })
            .collect()
    }
}
