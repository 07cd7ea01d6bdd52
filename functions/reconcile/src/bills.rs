//! Fetches bills into temporary files, and lets nobody see one before it is whole.

use std::fs::File;
use std::io::{BufReader, Seek};

use shared::deadline::Deadline;
use shared::domain::BeijingDay;
use shared::domain::bill::{Entry, FlowTotals, TradeTotals};
use shared::settling_client::{SettlingClient, SettlingError};
use shared::wechatpay::{BillError, BillKind, BillSource, FundFlowBill, NoBill, TradeBill};

use crate::error::ReconcileError;
use crate::keys::{Keys, Named, key};

/// What reads a bill again.
pub(crate) type Source = BillSource<BufReader<File>>;

/// Fetches the bills of a day.
pub(crate) struct Bills<'a> {
    pub(crate) client: &'a SettlingClient,
    pub(crate) deadline: &'a Deadline,
}

/// The bills of a day; where WeChat Pay says that there is none, `None`.
pub(crate) struct Fetched {
    pub(crate) trade: Option<Trade>,
    pub(crate) flow: Option<Flow>,
}

/// A trade bill that was read to its end once: its hash held and its summary agreed.
pub(crate) struct Trade {
    file: File,
    pub(crate) totals: TradeTotals,
    /// The orders and refunds in it.
    pub(crate) keys: Keys,
}

/// A fund-flow bill that was read to its end once: its hash held and its summary agreed.
pub(crate) struct Flow {
    file: File,
    pub(crate) totals: FlowTotals,
}

impl Bills<'_> {
    /// Fetches both bills of the day.
    pub(crate) async fn fetch(&self, day: BeijingDay) -> Result<Fetched, ReconcileError> {
        Ok(Fetched {
            trade: self.trade(day).await?,
            // The money is on the sub-merchant's account, whose flows are another bill, sealed for the partner.
            flow: match &self.client.payee().sub_mchid {
                None => self.flow(day).await?,
                Some(_) => None,
            },
        })
    }

    /// Fetches the trade bill of a day.
    pub(crate) async fn trade(&self, day: BeijingDay) -> Result<Option<Trade>, ReconcileError> {
        match self.download(BillKind::Trade, day).await? {
            Some((file, hash)) => Ok(Some(Trade::checked(file, &hash)?)),
            None => Ok(None),
        }
    }

    async fn flow(&self, day: BeijingDay) -> Result<Option<Flow>, ReconcileError> {
        match self.download(BillKind::FundFlow, day).await? {
            Some((file, hash)) => Ok(Some(Flow::checked(file, &hash)?)),
            None => Ok(None),
        }
    }

    /// Downloads a bill into a file that has no name, and so goes with the process; gives its hash, too.
    async fn download(
        &self,
        kind: BillKind,
        day: BeijingDay,
    ) -> Result<Option<(File, String)>, ReconcileError> {
        let offer = match self.client.bill(kind, day, self.deadline).await {
            Ok(offer) => offer,
            Err(SettlingError::Call(error)) => match error.no_bill() {
                Some(NoBill::Never) => return Ok(None),
                Some(why @ NoBill::NotYet) => {
                    let bill = kind.as_str();
                    return Err(ReconcileError::NoBill { bill, why });
                }
                None => return Err(SettlingError::Call(error).into()),
            },
            Err(error) => return Err(error.into()),
        };
        let mut file = tempfile::tempfile()?;
        self.client
            .download(&offer, &mut file, self.deadline)
            .await?;
        Ok(Some((file, offer.get().hash().to_owned())))
    }
}

impl Trade {
    fn checked(file: File, hash: &str) -> Result<Self, ReconcileError> {
        let mut keys = Vec::new();
        let mut bill = TradeBill::open(source(&file)?).map_err(unusable_trade)?;
        while let Some(row) = bill.next_row().map_err(unusable_trade)? {
            match &row.entry {
                Entry::Payment { .. } => keys.push(key(Named::Order, &row.order_no)),
                Entry::Refund(refund) => keys.push(key(Named::Refund, &refund.refund_no)),
                Entry::Revoked => {}
            }
        }
        let totals = *bill.totals();
        let checked = bill.into_input().check_hash(hash);
        checked.map_err(unusable_trade)?;
        let keys = Keys::of(keys).ok_or(ReconcileError::Twice)?;
        Ok(Self { file, totals, keys })
    }

    /// Reads it again.
    pub(crate) fn rows(&self) -> Result<TradeBill<Source>, ReconcileError> {
        TradeBill::open(source(&self.file)?).map_err(unusable_trade)
    }
}

impl Flow {
    fn checked(file: File, hash: &str) -> Result<Self, ReconcileError> {
        let mut bill = FundFlowBill::open(source(&file)?).map_err(unusable_flow)?;
        while bill.next_row().map_err(unusable_flow)?.is_some() {}
        let totals = *bill.totals();
        let checked = bill.into_input().check_hash(hash);
        checked.map_err(unusable_flow)?;
        Ok(Self { file, totals })
    }

    /// Reads it again.
    pub(crate) fn rows(&self) -> Result<FundFlowBill<Source>, ReconcileError> {
        FundFlowBill::open(source(&self.file)?).map_err(unusable_flow)
    }
}

fn source(file: &File) -> Result<Source, ReconcileError> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    BillSource::new(BufReader::new(file)).map_err(unusable_trade)
}

pub(crate) fn unusable_trade(source: BillError) -> ReconcileError {
    let bill = BillKind::Trade.as_str();
    ReconcileError::Unusable { bill, source }
}

pub(crate) fn unusable_flow(source: BillError) -> ReconcileError {
    let bill = BillKind::FundFlow.as_str();
    ReconcileError::Unusable { bill, source }
}
