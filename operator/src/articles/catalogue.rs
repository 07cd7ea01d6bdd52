//! The catalogue's items (docs/data-model.md, "Article"), read and written with the operator's own right: no
//! function may write a price.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::aws::refused;
use crate::exit::Failure;
use crate::target::Target;

/// The shard of the index `listed` that articles are on.
const LISTED: &str = "SKU#ALL";

/// What the table answers to a write whose condition does not hold.
const CHANGED: &str = "ConditionalCheckFailedException";

/// An article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Article {
    pub(super) description: String,
    pub(super) price_fen: i64,
    pub(super) on_sale: bool,
}

impl Article {
    pub(super) fn json(&self, sku: &str) -> Value {
        json!({
            "sku": sku, "description": self.description,
            "price_fen": self.price_fen, "on_sale": self.on_sale,
        })
    }

    fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        Some(Self {
            description: item.get("description")?.as_s().ok()?.clone(),
            price_fen: item.get("price_fen")?.as_n().ok()?.parse().ok()?,
            on_sale: matches!(item.get("on_sale"), Some(AttributeValue::Bool(true))),
        })
    }
}

/// The catalogue of a stack.
#[derive(Debug)]
pub(super) struct Catalogue {
    client: Client,
    table: String,
}

impl Catalogue {
    pub(super) fn of(target: &Target) -> Result<Self, Failure> {
        Ok(Self {
            client: target.aws.table(),
            table: target.described.output("TableName")?.to_owned(),
        })
    }

    /// All articles that are on the list, in its order; the index may lag by moments.
    pub(super) async fn listed(&self) -> Result<Vec<(String, Article)>, Failure> {
        let mut listed = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("listed")
                .key_condition_expression("list_shard = :articles")
                .expression_attribute_values(":articles", text(LISTED))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| refused("dynamodb:Query", error))?;
            for row in page.items() {
                let key = row.get("pk").and_then(|pk| pk.as_s().ok());
                let Some(sku) = key.and_then(|key| key.strip_prefix("SKU#")) else {
                    continue;
                };
                if let Some(article) = self.read(sku).await? {
                    listed.push((sku.to_owned(), article));
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(listed);
            }
        }
    }

    /// An article; `None` where there is none.
    pub(super) async fn read(&self, sku: &str) -> Result<Option<Article>, Failure> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", key(sku))
            .key("sk", text("SKU"))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| refused("dynamodb:GetItem", error))?;
        match answer.item {
            None => Ok(None),
            Some(item) => Article::of(&item).map(Some).ok_or_else(|| {
                Failure::Failed(format!("the item of {sku} is not an article: remove it"))
            }),
        }
    }

    /// Writes an article over what was `known` of it, and only over that. A new one is listed as placed at
    /// `now`.
    pub(super) async fn write(
        &self,
        sku: &str,
        known: Option<&Article>,
        wanted: &Article,
        now: i64,
    ) -> Result<(), Failure> {
        let put = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", key(sku))
            .key("sk", text("SKU"))
            .update_expression(
                "SET description = :description, price_fen = :price, on_sale = :sale, \
                 list_shard = if_not_exists(list_shard, :articles), \
                 created_at = if_not_exists(created_at, :now)",
            )
            .expression_attribute_values(":description", text(&wanted.description))
            .expression_attribute_values(":price", number(wanted.price_fen))
            .expression_attribute_values(":sale", AttributeValue::Bool(wanted.on_sale))
            .expression_attribute_values(":articles", text(LISTED))
            .expression_attribute_values(":now", number(now));
        let put = match known {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(known) => put
                .condition_expression("description = :was AND price_fen = :cost")
                .expression_attribute_values(":was", text(&known.description))
                .expression_attribute_values(":cost", number(known.price_fen)),
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(CHANGED) => Err(Failure::Refused(format!(
                "somebody else changed {sku} just now: look at it and try again"
            ))),
            Err(error) => Err(refused("dynamodb:UpdateItem", error)),
        }
    }

    /// Removes an article.
    pub(super) async fn remove(&self, sku: &str) -> Result<(), Failure> {
        let removed = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", key(sku))
            .key("sk", text("SKU"))
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        match removed {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(CHANGED) => {
                Err(Failure::NotFound(format!("there is no article {sku}")))
            }
            Err(error) => Err(refused("dynamodb:DeleteItem", error)),
        }
    }
}

fn key(sku: &str) -> AttributeValue {
    text(&format!("SKU#{sku}"))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
