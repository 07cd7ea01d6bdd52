//! The catalogue: what a payer may order, at which price.

use std::collections::BTreeMap;

use super::item::{Attributes, ItemReader, text};
use super::{StoreError, Table};
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
    /// The table is unavailable or an item unreadable.
    pub async fn articles(&self, skus: &[&str]) -> Result<BTreeMap<String, Article>, StoreError> {
        let key = |sku| {
            Attributes::from([
                ("pk".to_owned(), text(format!("SKU#{sku}"))),
                ("sk".to_owned(), text("SKU")),
            ])
        };
        let keys = skus.iter().map(key).collect();
        // A price a moment old is as good: the order keeps the one it was placed with.
        let found = self.0.batch("BatchGetItem articles", keys, false).await?;
        let mut articles = BTreeMap::new();
        for attributes in &found {
            let reader = ItemReader::new(attributes);
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
