//! Numbers of orders, refunds and payments as hashes: a million of them fit in a few megabytes.

use sha2::{Digest, Sha256};

/// What a number names.
#[derive(Clone, Copy)]
pub(crate) enum Named {
    Order,
    Refund,
    Payment,
    WechatpayRefund,
}

/// A number, hashed: of two that differ, one day in ten to the twenty has two that meet.
pub(crate) fn key(named: Named, number: &str) -> u128 {
    let kind: u8 = match named {
        Named::Order => 1,
        Named::Refund => 2,
        Named::Payment => 3,
        Named::WechatpayRefund => 4,
    };
    let digest = Sha256::new()
        .chain_update([kind])
        .chain_update(number.as_bytes())
        .finalize();
    digest
        .iter()
        .take(16)
        .fold(0, |key, byte| key << 8 | u128::from(*byte))
}

/// A set of them, sorted.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<u128>);

impl Keys {
    /// The set; `None` where one comes twice.
    pub(crate) fn of(mut keys: Vec<u128>) -> Option<Self> {
        keys.sort_unstable();
        let twice = keys.windows(2).any(|pair| pair.first() == pair.last());
        (!twice).then_some(Self(keys))
    }

    pub(crate) fn has(&self, named: Named, number: &str) -> bool {
        self.0.binary_search(&key(named, number)).is_ok()
    }
}
