//! The catalogue: what a payer may order, at which price.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::item::{Attributes, Reader, text};
use super::{StoreError, Table, unavailable};
use crate::domain::Fen;

/// An article of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// What the payer sees in the bill.
    pub description: String,
    /// The price of one.
    pub price: Fen,
}

/// Reads prices.
#[derive(Clone, Debug)]
pub struct Catalogue(Table);

impl Catalogue {
    /// The catalogue in this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The articles on sale among `skus` (at most 100, no two equal), by SKU; what is missing is
    /// not on sale.
    ///
    /// # Errors
    /// The table is unavailable, or gave only a part of the answer.
    pub async fn articles(&self, skus: &[&str]) -> Result<BTreeMap<String, Article>, StoreError> {
        const ACTION: &str = "BatchGetItem articles";
        let mut keys = KeysAndAttributes::builder();
        for sku in skus {
            keys = keys.keys(Attributes::from([
                ("pk".to_owned(), text(format!("SKU#{sku}"))),
                ("sk".to_owned(), text("SKU")),
            ]));
        }
        let keys = keys.build().map_err(|_| StoreError::Unavailable {
            action: ACTION,
            cause: "the request could not be built".to_owned(),
        })?;
        let answer = self
            .0
            .client
            .batch_get_item()
            .request_items(&self.0.name, keys)
            .send()
            .await
            .map_err(|error| unavailable(ACTION, &error))?;
        if answer
            .unprocessed_keys()
            .is_some_and(|unprocessed| !unprocessed.is_empty())
        {
            return Err(StoreError::Unavailable {
                action: ACTION,
                cause: "a part only".to_owned(),
            });
        }
        let mut articles = BTreeMap::new();
        for attributes in answer
            .responses()
            .and_then(|tables| tables.get(&self.0.name))
            .into_iter()
            .flatten()
        {
            let reader = Reader::new(attributes);
            if !reader.flag("on_sale") {
                continue;
            }
            let Some(sku) = reader.text("pk")?.strip_prefix("SKU#") else {
                continue;
            };
            let article = Article {
                description: reader.text("description")?.to_owned(),
                price: reader.fen("price_fen")?,
            };
            articles.insert(sku.to_owned(), article);
        }
        Ok(articles)
    }
}
