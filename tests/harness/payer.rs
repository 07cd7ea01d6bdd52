//! A payer at the shop: buys tea, pays for it, and asks for some of the money back.

use serde_json::{Value, json};

use super::TestStack;

impl TestStack {
    /// A payer's Native order of so many teas, 300 fen each, placed, paid and known to be; gives its number.
    pub async fn bought(&self, token: &str, key: &str, teas: u32) -> String {
        let order = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": teas}]});
        let placed = self.post_once(token, "/orders", key, order).await;
        let number = placed.expect(201)["out_trade_no"]
            .as_str()
            .unwrap()
            .to_owned();
        self.pay(&number).await;
        self.until_state(&number, "SUCCESS").await;
        number
    }

    /// A payer's request for a part of an order, because the tea was cold; gives the answer.
    pub async fn asked_back(&self, token: &str, number: &str, key: &str, fen: i64) -> Value {
        let path = format!("/orders/{number}/refunds");
        let body = json!({"amount": {"refund": fen}, "reason": "cold"});
        self.post_once(token, &path, key, body).await.expect(202)
    }
}
