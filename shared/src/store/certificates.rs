//! WeChat Pay's platform certificates as the sweep downloaded them: sealed, and byte for byte.

use std::collections::HashMap;

use super::item::{Attributes, ItemReader, text, timestamp};
use super::write::commit;
use super::{Commit, StoreError, Table, unavailable};
use crate::domain::Timestamp;

/// The one item's partition key.
const PK: &str = "KEYS#wechatpay";

/// Its sort key.
const SK: &str = "CERTIFICATES";

/// An answer to a download of certificates, which only an APIv3 key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCertificates {
    /// The answer's body as it came.
    pub answer: String,
    /// When it came.
    pub downloaded_at: Timestamp,
}

/// Reads the certificates.
#[derive(Clone, Debug)]
pub struct Certificates(Table);

impl Certificates {
    /// The certificates in this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The last download, if there was one.
    ///
    /// # Errors
    /// The table is unavailable or the item unreadable.
    pub async fn load(&self) -> Result<Option<SealedCertificates>, StoreError> {
        const ACTION: &str = "GetItem certificates";
        let found = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .set_key(Some(key()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(ACTION, &error))?;
        let Some(attributes) = found.item else {
            return Ok(None);
        };
        let reader = ItemReader::new(&attributes);
        Ok(Some(SealedCertificates {
            answer: reader.text("answer")?.to_owned(),
            downloaded_at: reader.timestamp("downloaded_at")?,
        }))
    }
}

/// Writes the certificates. Held by the sweep alone, which may download them.
#[derive(Clone, Debug)]
pub struct CertificateKeeper(Table);

impl CertificateKeeper {
    /// Certificates go into this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Keeps a download in place of the one that was seen, if any was.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn replace(
        &self,
        seen: Option<&SealedCertificates>,
        certificates: &SealedCertificates,
    ) -> Result<Commit, StoreError> {
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(key()))
            .update_expression("SET answer = :answer, downloaded_at = :now")
            .expression_attribute_values(":answer", text(&certificates.answer))
            .expression_attribute_values(":now", timestamp(certificates.downloaded_at));
        let update = match seen {
            None => update.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => update
                .condition_expression("downloaded_at = :seen")
                .expression_attribute_values(":seen", timestamp(seen.downloaded_at)),
        };
        commit("UpdateItem certificates", update).await
    }
}

fn key() -> Attributes {
    HashMap::from([("pk".to_owned(), text(PK)), ("sk".to_owned(), text(SK))])
}
