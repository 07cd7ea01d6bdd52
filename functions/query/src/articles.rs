//! What is on sale, for anybody: read from the table at most once a minute by each process, so that no
//! number of visitors reads the items that orders are priced from.

use std::sync::Mutex;

use serde_json::{Value, json};
use shared::api::{Answer, Incoming, Problem, representation};
use shared::domain::Timestamp;

use super::Query;

/// How long an answer is good, in seconds: here, and in every cache on its way. Prices that callers see
/// may be old by twice that; an order is priced when it is placed.
const FRESH_SECONDS: u32 = 60;

/// How many articles one call reads; the table takes no more.
const CALL: usize = 100;

/// The last answer, and when it was read.
#[derive(Debug, Default)]
pub(super) struct LastRead(Mutex<Option<(Timestamp, Value)>>);

impl LastRead {
    /// The last answer, as long as it is good.
    fn get(&self, now: Timestamp) -> Option<Value> {
        let kept = self.0.lock().ok()?;
        let (read_at, body) = kept.as_ref()?;
        // A clock that went back makes nothing good for longer.
        let age = now.seconds_since(*read_at);
        (0..i64::from(FRESH_SECONDS))
            .contains(&age)
            .then(|| body.clone())
    }

    fn keep(&self, now: Timestamp, body: &Value) {
        if let Ok(mut kept) = self.0.lock() {
            *kept = Some((now, body.clone()));
        }
    }
}

impl Query {
    /// The articles on sale, in the order of the list.
    pub(super) async fn listed_articles(&self, incoming: &Incoming) -> Result<Answer, Problem> {
        incoming.query([])?;
        let now = self.process.clock.business();
        let body = match self.last_articles.get(now) {
            Some(body) => body,
            None => {
                let body = self.articles_on_sale().await?;
                self.last_articles.keep(now, &body);
                body
            }
        };
        let answer = Answer::json(200, body).cacheable(FRESH_SECONDS);
        Ok(answer.unless_known(incoming.header("if-none-match")))
    }

    async fn articles_on_sale(&self) -> Result<Value, Problem> {
        let skus = self.list_index.articles().await?;
        let mut items = Vec::new();
        for skus in skus.chunks(CALL) {
            let asked: Vec<&str> = skus.iter().map(String::as_str).collect();
            let articles = self.catalogue.articles(&asked).await?;
            let told = asked
                .iter()
                .filter_map(|sku| Some(representation::article(sku, articles.get(*sku)?)));
            items.extend(told);
        }
        Ok(json!({"items": items}))
    }
}
