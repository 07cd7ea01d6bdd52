//! What a day's bills and our record say of each other: ten kinds of difference, each decided from one
//! row and one record.
//!
//! A difference is a finding, never a change: what the bill proves paid and the record does not know is
//! asked about, and what WeChat Pay signs then is settled as ever.

use super::bill::{BillRow, BilledRefund, Entry};
use super::{BeijingDay, Mchid, Order, OrderState, OwnNumbers, Refund, Timestamp};

/// How far WeChat Pay's clock and ours may be apart, and how long a request may be on its way, in
/// seconds: what is dated so close to midnight may stand in the bill of either day.
const MIDNIGHT_SECONDS: i64 = 10 * 60;

/// The ways in which the books can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// The record says paid on that day; the bill has no such payment.
    PaidHereNotInBill,
    /// The bill has a payment of an order that is not on record.
    InBillNotHere,
    /// The bill has a payment of an order that is unpaid or closed on record.
    InBillUnpaidHere,
    /// The order's total differs.
    AmountDiffers,
    /// The payment's number differs.
    TransactionIdDiffers,
    /// The merchant or the app differs.
    MerchantDiffers,
    /// The record says that WeChat Pay took a refund on that day; the bill has none.
    RefundHereNotInBill,
    /// The bill has a refund that is not on record, or that WeChat Pay does not have by the record.
    RefundInBillNotHere,
    /// The amount of a refund differs.
    RefundAmountDiffers,
    /// Trade bill and fund-flow bill disagree about a payment or refund.
    FundFlowDiffers,
}

impl DifferenceKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PaidHereNotInBill,
        Self::InBillNotHere,
        Self::InBillUnpaidHere,
        Self::AmountDiffers,
        Self::TransactionIdDiffers,
        Self::MerchantDiffers,
        Self::RefundHereNotInBill,
        Self::RefundInBillNotHere,
        Self::RefundAmountDiffers,
        Self::FundFlowDiffers,
    ];

    /// The name in reports and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaidHereNotInBill => "paid_here_not_in_bill",
            Self::InBillNotHere => "in_bill_not_here",
            Self::InBillUnpaidHere => "in_bill_unpaid_here",
            Self::AmountDiffers => "amount_differs",
            Self::TransactionIdDiffers => "transaction_id_differs",
            Self::MerchantDiffers => "merchant_differs",
            Self::RefundHereNotInBill => "refund_here_not_in_bill",
            Self::RefundInBillNotHere => "refund_in_bill_not_here",
            Self::RefundAmountDiffers => "refund_amount_differs",
            Self::FundFlowDiffers => "fund_flow_differs",
        }
    }
}

/// One finding: what the bill says and what the record does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which kind.
    pub kind: DifferenceKind,
    /// The merchant's number of the order; empty where only a flow of money is known.
    pub order_no: String,
    /// The merchant's number of the refund, where it is about one.
    pub refund_no: Option<String>,
    /// What our record says; of a fund-flow difference, what the trade bill says.
    pub recorded: String,
    /// What the bill says; of a fund-flow difference, what the fund-flow bill says.
    pub billed: String,
}

/// What a row is evidence of that our record does not have, and that is worth a question to WeChat Pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing.
    Nothing,
    /// How the order stands.
    Order,
    /// How the refund stands.
    Refund,
    /// Whether WeChat Pay knows the refund, which never left from this record: its order then counts as refunded
    /// elsewhere.
    RefundElsewhere,
}

/// What comes of comparing one row with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What differs, in the order of [`DifferenceKind::ALL`].
    pub differences: Vec<Difference>,
    /// What to ask WeChat Pay, so that the record learns it by its signature.
    pub ask: Ask,
}

/// What our record has of a row's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'a> {
    /// The order of the row's number.
    pub order: Option<&'a Order>,
    /// The refund of the row's numbers.
    pub refund: Option<&'a Refund>,
}

/// Compares a row of the trade bill with the record of its numbers. `mchid` is the merchant of this stack.
pub fn compare(row: &BillRow, recorded: Recorded<'_>, mchid: &Mchid) -> Compared {
    let mut compared = Compared {
        differences: Vec::new(),
        ask: Ask::Nothing,
    };
    match &row.entry {
        Entry::Payment { total } => compared.payment(row, *total, recorded.order, mchid),
        Entry::Refund(billed) => compared.refund(row, billed, recorded, mchid),
        Entry::Revoked => {
            let refund_no = None;
            let state = recorded
                .order
                .map_or("nothing", |order| order.state.as_str());
            let kind = DifferenceKind::RefundInBillNotHere;
            compared.add(kind, row, refund_no, state, "REVOKED");
        }
    }
    compared
}

/// Whether a row is another system's of the merchant number: this stack cannot have given its order's number,
/// and has nothing on record under it. It is counted and not compared.
pub fn is_of_others(row: &BillRow, recorded: Recorded<'_>, own_numbers: &OwnNumbers) -> bool {
    let is_on_record = recorded.order.is_some() || recorded.refund.is_some();
    !is_on_record && !own_numbers.have(&row.order_no)
}

impl Compared {
    fn payment(&mut self, row: &BillRow, total: i64, order: Option<&Order>, mchid: &Mchid) {
        let Some(order) = order else {
            self.add(
                DifferenceKind::InBillNotHere,
                row,
                None,
                "nothing",
                "SUCCESS",
            );
            return self.merchant(row, None, mchid);
        };
        match &order.state {
            OrderState::NotPay | OrderState::Closing { .. } | OrderState::Closed { .. } => {
                let state = order.state.as_str();
                self.add(
                    DifferenceKind::InBillUnpaidHere,
                    row,
                    None,
                    state,
                    "SUCCESS",
                );
                self.ask = Ask::Order;
            }
            OrderState::Success(_) => {}
        }
        if order.terms.total.get() != total {
            let recorded = order.terms.total.to_string();
            let billed = total.to_string();
            self.add(DifferenceKind::AmountDiffers, row, None, &recorded, &billed);
        }
        match &order.state {
            OrderState::Success(payment) => {
                self.transaction(row, None, payment.transaction_id.as_str());
            }
            OrderState::NotPay | OrderState::Closing { .. } | OrderState::Closed { .. } => {}
        }
        self.merchant(row, Some(order), mchid);
    }

    fn refund(
        &mut self,
        row: &BillRow,
        billed: &BilledRefund,
        recorded: Recorded<'_>,
        mchid: &Mchid,
    ) {
        let number = Some(billed.refund_no.as_str());
        let Some(refund) = recorded.refund else {
            let kind = DifferenceKind::RefundInBillNotHere;
            self.add(kind, row, number, "nothing", "REFUND");
            // The order's own report would not tell of it beside a refund that is on record.
            self.ask = match recorded.order {
                Some(_) => Ask::RefundElsewhere,
                None => Ask::Nothing,
            };
            return self.merchant(row, recorded.order, mchid);
        };
        self.transaction(row, number, refund.transaction_id.as_str());
        self.merchant(row, recorded.order, mchid);
        if !refund.state.is_taken() {
            let kind = DifferenceKind::RefundInBillNotHere;
            self.add(kind, row, number, refund.state.as_str(), "REFUND");
            self.ask = if refund.state.may_have_left() {
                Ask::Refund
            } else {
                Ask::RefundElsewhere
            };
        }
        if refund.amount.get() != billed.amount {
            let (ours, theirs) = (refund.amount.to_string(), billed.amount.to_string());
            self.add(
                DifferenceKind::RefundAmountDiffers,
                row,
                number,
                &ours,
                &theirs,
            );
        }
    }

    fn transaction(&mut self, row: &BillRow, refund_no: Option<&str>, recorded: &str) {
        if row.transaction_id != recorded {
            let kind = DifferenceKind::TransactionIdDiffers;
            self.add(kind, row, refund_no, recorded, &row.transaction_id);
        }
    }

    fn merchant(&mut self, row: &BillRow, order: Option<&Order>, mchid: &Mchid) {
        let refund_no = row.refund().map(|refund| refund.refund_no.as_str());
        let kind = DifferenceKind::MerchantDiffers;
        let recorded = order.map_or(mchid, |order| &order.terms.mchid).as_str();
        if row.mchid != recorded {
            self.add(kind, row, refund_no, recorded, &row.mchid);
        } else if let Some(order) = order
            && row.appid != order.terms.appid.as_str()
        {
            self.add(kind, row, refund_no, order.terms.appid.as_str(), &row.appid);
        }
    }

    fn add(
        &mut self,
        kind: DifferenceKind,
        row: &BillRow,
        refund_no: Option<&str>,
        recorded: &str,
        billed: &str,
    ) {
        self.differences.push(Difference {
            kind,
            order_no: row.order_no.clone(),
            refund_no: refund_no.map(str::to_owned),
            recorded: recorded.to_owned(),
            billed: billed.to_owned(),
        });
    }
}

/// When WeChat Pay must have dated something, as far as the record can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    earliest: Timestamp,
    latest: Timestamp,
}

/// In which bill something on record has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// In none that is decided with this day's.
    Elsewhere,
    /// In this day's.
    Here,
    /// In this day's or in the one of the day before: it happened around midnight.
    HereOrBefore,
}

impl Span {
    /// When the order was paid; `None` where it was not.
    pub const fn of_payment(order: &Order) -> Option<Self> {
        match &order.state {
            OrderState::Success(payment) => {
                Some(Self::around(payment.success_time, payment.success_time))
            }
            OrderState::NotPay | OrderState::Closing { .. } | OrderState::Closed { .. } => None,
        }
    }

    /// When WeChat Pay took the refund; `None` where it has not by the record.
    ///
    /// It was sent after its amount was taken, or it was last tried again, and not after the last right
    /// to send it was given.
    pub fn of_refund(refund: &Refund) -> Option<Self> {
        if !refund.state.is_taken() {
            return None;
        }
        let earliest = refund.reserved_at.unwrap_or(refund.created_at);
        Some(Self::around(earliest, refund.last_sent_at()))
    }

    const fn around(earliest: Timestamp, latest: Timestamp) -> Self {
        Self {
            earliest: earliest.minus_seconds(MIDNIGHT_SECONDS),
            latest: latest.plus_seconds(MIDNIGHT_SECONDS),
        }
    }

    /// Where it has to stand. Each span is decided with one day, that of its end: what may stand in
    /// tomorrow's bill is no difference today.
    pub fn expected(self, day: BeijingDay) -> Expected {
        if BeijingDay::of(self.latest) != day {
            Expected::Elsewhere
        } else if BeijingDay::of(self.earliest) < day {
            Expected::HereOrBefore
        } else {
            Expected::Here
        }
    }
}

/// The finding that an order's payment is in no bill where it has to be.
pub fn payment_missing(order: &Order) -> Difference {
    Difference {
        kind: DifferenceKind::PaidHereNotInBill,
        order_no: order.terms.order_id.as_str().to_owned(),
        refund_no: None,
        recorded: order.state.as_str().to_owned(),
        billed: "nothing".to_owned(),
    }
}

/// The finding that a refund is in no bill where it has to be.
pub fn refund_missing(refund: &Refund) -> Difference {
    Difference {
        kind: DifferenceKind::RefundHereNotInBill,
        order_no: refund.order_id.as_str().to_owned(),
        refund_no: Some(refund.refund_id.as_str().to_owned()),
        recorded: refund.state.as_str().to_owned(),
        billed: "nothing".to_owned(),
    }
}

/// Compares a row of the trade bill with what the fund-flow bill of the day says of it: the amount that
/// moved for it in all, `None` where nothing did. `flows` is whether there is such a bill.
///
/// WeChat Pay books a payment or refund with its fee or apart from it, and a coupon's part with the
/// payment or not at all; each of these agrees.
pub fn compare_flow(row: &BillRow, day: BeijingDay, moved: Option<i64>) -> Option<Difference> {
    let (stated, coupon, refund_no) = match &row.entry {
        Entry::Payment { .. } => (row.settled, row.coupon, None),
        Entry::Refund(refund) => {
            let refund_no = Some(refund.refund_no.clone());
            (refund.paid_back, refund.coupon, refund_no)
        }
        // A revoked payment moved nothing, or its money in and out again.
        Entry::Revoked => return None,
    };
    let fee = rounded_fen(row.fee.saturating_abs());
    let agreeing = [stated, stated - fee, stated - coupon, stated - coupon - fee];
    let agrees = match moved {
        Some(amount) => agreeing.contains(&amount),
        None => agreeing.contains(&0) || is_near_midnight(row.at, day),
    };
    (!agrees).then(|| Difference {
        kind: DifferenceKind::FundFlowDiffers,
        order_no: row.order_no.clone(),
        refund_no,
        recorded: stated.to_string(),
        billed: moved.map_or_else(|| "nothing".to_owned(), |amount| amount.to_string()),
    })
}

/// The finding that money moved for a payment or refund that the trade bill does not have; `None` where
/// it moved around midnight and may belong to the neighbouring day.
pub fn flow_alone(row: &super::bill::FlowRow, day: BeijingDay) -> Option<Difference> {
    use super::bill::FlowKind;
    let (order_no, refund_no) = match row.kind {
        FlowKind::Payment => (row.voucher.clone(), None),
        FlowKind::Refund => (String::new(), Some(row.voucher.clone())),
        FlowKind::Other => return None,
    };
    (!is_near_midnight(row.at, day)).then(|| Difference {
        kind: DifferenceKind::FundFlowDiffers,
        order_no,
        refund_no,
        recorded: "nothing".to_owned(),
        billed: row.amount.to_string(),
    })
}

/// Whether money moved for a payment of another system of the merchant number. Whose a refund is cannot be
/// told by its own number.
pub fn moves_money_of_others(row: &super::bill::FlowRow, own_numbers: &OwnNumbers) -> bool {
    use super::bill::FlowKind;
    match row.kind {
        FlowKind::Payment => !own_numbers.have(&row.voucher),
        FlowKind::Refund | FlowKind::Other => false,
    }
}

fn is_near_midnight(at: Timestamp, day: BeijingDay) -> bool {
    at < day.starts_at().plus_seconds(MIDNIGHT_SECONDS)
        || at >= day.ends_at().minus_seconds(MIDNIGHT_SECONDS)
}

/// Thousandths of a fen as whole fen, half up.
const fn rounded_fen(thousandths: i64) -> i64 {
    thousandths.saturating_add(500).div_euclid(1000)
}

#[cfg(test)]
mod tests;
