//! Why a day was not reconciled.

use shared::bucket::BucketError;
use shared::bus::BusError;
use shared::settling_client::{FetchError, SettlingError};
use shared::store::StoreError;
use shared::wechatpay::{BillError, DownloadError, NoBill};

/// Why a day was not reconciled; nothing of it counts, and the next run begins anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// The event names no day before today.
    #[error("date must be a day before today in Beijing, as YYYY-MM-DD")]
    Date,
    /// There is no bill of the day.
    #[error("{bill}: {}", said(.why))]
    NoBill {
        /// Which.
        bill: &'static str,
        /// What WeChat Pay said.
        why: NoBill,
    },
    /// What was downloaded is no bill.
    #[error("{bill} cannot be used: {source}")]
    Unusable {
        /// Which.
        bill: &'static str,
        /// Why.
        source: BillError,
    },
    /// A payment or refund stands twice in the trade bill.
    #[error("tradebill cannot be used: a payment or refund stands in it twice")]
    Twice,
    /// WeChat Pay offered no bill, or gave no usable answer about an order.
    #[error(transparent)]
    Asked(#[from] SettlingError),
    /// The download failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The event bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The temporary file, or a report that cannot be written.
    #[error("a file cannot be written or read: {0}")]
    File(#[from] std::io::Error),
    /// There was no time left.
    #[error("there was no time left")]
    Late,
}

fn said(why: &NoBill) -> &'static str {
    match why {
        NoBill::NotYet => "it is being made",
        NoBill::Never => {
            "WeChat Pay says there is none, and the record or the other bill says otherwise"
        }
    }
}

impl ReconcileError {
    /// Whether it is WeChat Pay's to mend: the bill comes later, or comes again. The next run asks.
    pub(crate) const fn is_wechat_pays(&self) -> bool {
        match self {
            Self::NoBill { .. }
            | Self::Unusable { .. }
            | Self::Twice
            | Self::Asked(SettlingError::Call(_))
            | Self::Fetch(FetchError::Download(DownloadError::Call(_) | DownloadError::TooLarge)) => {
                true
            }
            Self::Date
            | Self::Asked(
                SettlingError::Secret(_) | SettlingError::Store(_) | SettlingError::NotAuthentic(_),
            )
            | Self::Fetch(FetchError::Secret(_) | FetchError::Download(DownloadError::Spool(_)))
            | Self::Store(_)
            | Self::Bucket(_)
            | Self::Bus(_)
            | Self::File(_)
            | Self::Late => false,
        }
    }

    /// Whether a secret is missing or broken.
    pub(crate) const fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            Self::Asked(SettlingError::Secret(_)) | Self::Fetch(FetchError::Secret(_))
        )
    }
}
