//! The console page: where everything of a stack is, what both sides have on record, and lines to
//! copy. It reads the table and the simulator's ledger and changes nothing; what can be done to a
//! payment is on the phone. The page and what it shows come from one address, so that no other web
//! page can read it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use shared::rfc3339;

use crate::template::physical;

const PAGE: &str = include_str!("console.html");
/// Orders that the page shows, the newest ones.
const ORDERS_MAX: usize = 100;
/// Items of the table that are looked at for them.
const ITEMS_MAX: usize = 5_000;
/// The page talks to nobody but this address, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What the page shows.
pub struct Console {
    /// Names and addresses, shown as they are.
    pub places: Value,
    /// Where the simulator is controlled.
    pub control_url: String,
    /// Asks the simulator.
    pub http: reqwest::Client,
    /// The table.
    pub table: dynoxide::Database,
}

impl Console {
    /// The answer to a GET of this path, if it is one of the console's.
    pub async fn answer(&self, path: &str) -> Option<Response> {
        if !matches!(path, "/console" | "/console/books") {
            return None;
        }
        let headers = [
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, POLICY),
        ];
        Some(match path {
            "/console" => (headers, Html(PAGE)).into_response(),
            _ => match self.books().await {
                Ok(books) => (headers, axum::Json(books)).into_response(),
                Err(why) => {
                    (StatusCode::BAD_GATEWAY, axum::Json(json!({"message": why}))).into_response()
                }
            },
        })
    }

    /// Every order with what the table says and what WeChat Pay says, newest first.
    async fn books(&self) -> Result<Value, String> {
        let ledger = self.ledger().await?;
        let mut orders: BTreeMap<String, Value> = BTreeMap::new();
        let text =
            |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let number = |item: &Value, name: &str| {
            let digits = item[name]["N"].as_str();
            digits.and_then(|digits| digits.parse::<i64>().ok())
        };
        for item in self.items()? {
            let order = entry(&mut orders, &text(&item, "out_trade_no"));
            if text(&item, "sk") == "ORDER" {
                order["description"] = json!(text(&item, "description"));
                order["amount_fen"] = json!(number(&item, "total"));
                order["created"] = json!(number(&item, "created_at"));
                order["here"] = json!(text(&item, "trade_state"));
                order["needs_human"] = item["needs_human"]["S"].clone();
            } else {
                let refund = &mut order["refunds"][text(&item, "out_refund_no")];
                refund["amount_fen"] = json!(number(&item, "refund"));
                refund["here"] = json!(text(&item, "status"));
            }
        }
        for row in ledger["items"].as_array().into_iter().flatten() {
            let order = entry(
                &mut orders,
                row["out_trade_no"].as_str().unwrap_or_default(),
            );
            if row["kind"] == "order" {
                order["there"] = row["trade_state"].clone();
                if order["here"].is_null() {
                    let created = row["created_at"].as_str().and_then(rfc3339::parse);
                    order["description"] = row["description"].clone();
                    order["amount_fen"] = row["amount"]["total"].clone();
                    order["created"] = json!(created.map(|created| created.unix_seconds()));
                }
            } else if let Some(number) = row["out_refund_no"].as_str() {
                let refund = &mut order["refunds"][number];
                refund["amount_fen"] = row["amount"]["refund"].clone();
                refund["there"] = row["status"].clone();
            }
        }
        let total = orders.len();
        let mut orders: Vec<Value> = orders.into_values().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(order["created"].as_i64()));
        orders.truncate(ORDERS_MAX);
        Ok(json!({"places": self.places, "orders": orders, "total": total}))
    }

    async fn ledger(&self) -> Result<Value, String> {
        let silent = |error: reqwest::Error| format!("the simulator does not answer: {error}");
        let url = format!("{}/_sim/ledger", self.control_url);
        let answer = self.http.get(url).send().await.map_err(silent)?;
        answer.json().await.map_err(silent)
    }

    /// The table's orders and refunds.
    fn items(&self) -> Result<Vec<Value>, String> {
        let unread = |error: &dyn std::fmt::Display| format!("the table cannot be read: {error}");
        let mut items = Vec::new();
        let mut start = Value::Null;
        while items.len() < ITEMS_MAX {
            let mut request = json!({
                "TableName": physical("Table"),
                "FilterExpression": "sk = :order OR begins_with(sk, :refund)",
                "ExpressionAttributeValues": {":order": {"S": "ORDER"}, ":refund": {"S": "REFUND#"}},
            });
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let request = serde_json::from_value(request).map_err(|error| unread(&error))?;
            let page = self.table.scan(request).map_err(|error| unread(&error))?;
            let mut page = serde_json::to_value(page).map_err(|error| unread(&error))?;
            if let Value::Array(found) = page["Items"].take() {
                items.extend(found);
            }
            start = page["LastEvaluatedKey"].take();
            if start.is_null() {
                break;
            }
        }
        Ok(items)
    }
}

fn entry<'a>(orders: &'a mut BTreeMap<String, Value>, number: &str) -> &'a mut Value {
    orders.entry(number.to_owned()).or_insert_with(
        || json!({"out_trade_no": number, "here": null, "there": null, "refunds": {}}),
    )
}
