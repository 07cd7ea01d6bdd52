//! The books on both sides: our table beside WeChat Pay's ledger, when everything has come to rest.

use proof::books;

use super::TestStack;

impl TestStack {
    /// What differs between the two sides, or has not come to rest; empty where all is well.
    pub async fn open_ends(&self) -> Vec<String> {
        books::open_ends(self.items().iter(), &self.seen("ledger").await)
    }
}
