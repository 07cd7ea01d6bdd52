//! The table itself: what stands in it, items put past every condition, and calls with the
//! credentials of a function's role.

use serde_json::{Value, json};
use shared::process::Process;

use super::{TestStack, watch};

/// Who may do everything at the local stack's table.
pub const OPERATOR: &str = "operator";

impl TestStack {
    /// An item of the table, as DynamoDB JSON.
    pub fn item(&self, partition: &str, sort: &str) -> Value {
        let request = json!({
            "TableName": local::template::physical("Table"),
            "Key": {"pk": {"S": partition}, "sk": {"S": sort}},
        });
        let answer = self
            .stack
            .aws
            .table
            .get_item(serde_json::from_value(request).unwrap())
            .unwrap();
        serde_json::to_value(answer).unwrap()["Item"].clone()
    }

    /// The order's item.
    pub fn order_item(&self, number: &str) -> Value {
        self.item(&format!("ORDER#{number}"), "ORDER")
    }

    /// All items of the table.
    pub fn items(&self) -> Vec<Value> {
        watch::items(&self.stack.aws.table)
    }

    /// All items but the evidence that refused notices may leave.
    pub fn books(&self) -> Vec<Value> {
        let mut items = self.items();
        items.retain(|item| !watch::key(item).starts_with("NOTICE#"));
        items.sort_by_key(|item| item.to_string());
        items
    }

    /// The evidence that refused notices left.
    pub fn evidence(&self) -> Vec<Value> {
        let mut items = self.items();
        items.retain(|item| watch::key(item).starts_with("NOTICE#"));
        items
    }

    /// Puts an article into the catalogue, as the operator would.
    pub fn put_article(&self, sku: &str, price_fen: i64, on_sale: bool) {
        self.put_item(&json!({
            "pk": {"S": format!("SKU#{sku}")}, "sk": {"S": "SKU"},
            "description": {"S": "An article"}, "price_fen": {"N": price_fen.to_string()},
            "on_sale": {"BOOL": on_sale},
            "list_shard": {"S": "SKU#ALL"}, "created_at": {"N": "1790000000"},
        }));
    }

    /// Puts an item as it is, past every condition: what a restored backup brings.
    pub fn put_item(&self, item: &Value) {
        let request = json!({"TableName": local::template::physical("Table"), "Item": item});
        let request = serde_json::from_value(request).unwrap();
        self.stack.aws.table.put_item(request).unwrap();
    }

    /// Takes an item away, past every condition.
    pub fn take_item(&self, item: &Value) {
        let request = json!({
            "TableName": local::template::physical("Table"),
            "Key": {"pk": item["pk"], "sk": item["sk"]},
        });
        let request = serde_json::from_value(request).unwrap();
        self.stack.aws.table.delete_item(request).unwrap();
    }

    /// Makes the table what it was when it held these items.
    pub fn restore(&self, items: &[Value]) {
        for item in self.items() {
            self.take_item(&item);
        }
        for item in items {
            self.put_item(item);
        }
    }

    /// Calls the table with the role of this function, or as [`OPERATOR`]; gives the status and the text
    /// of the answer.
    pub async fn call_table(
        &self,
        caller: &str,
        operation: &str,
        mut request: Value,
    ) -> (u16, String) {
        // Calls about several items name the table in each of them.
        if request.get("Key").or(request.get("Item")).is_some() {
            request["TableName"] = json!(local::template::physical("Table"));
        }
        let answer = Process::system()
            .unwrap()
            .http
            .post(&self.stack.aws.url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=LOCAL{caller}/20260101/local/dynamodb/\
                     aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
                ),
            )
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
