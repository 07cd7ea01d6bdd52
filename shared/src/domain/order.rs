//! An order: what was agreed, where it stands, and the one table of how a report moves it.
//!
//! States rank `NOTPAY < CLOSING < CLOSED < SUCCESS`; a rank only rises, SUCCESS absorbs everything
//! and CLOSED is left for SUCCESS alone (a payer may pay between WeChat Pay's last answer and the
//! close). So the order in which reports arrive does not matter, and hearing one twice is hearing
//! it once; `domain::order::tests` walks every state and every report.

mod events;

use super::absence::{ABSENCE_CONFIRM_SECONDS, ABSENCE_INTERVAL_SECONDS, Heard};
use super::contradiction::Contradiction;
use super::report::{PaidReport, RefundStatus, TradeState};
use super::schedule::{Due, backoff_seconds};
use super::terms::{Terms, TradeType};
use super::{EventLog, OrderReport, RefundReport, Timestamp, TransactionId};

/// The only currency of WeChat Pay's mainland API.
pub const CURRENCY: &str = "CNY";

/// How long after `time_expire` an order is still asked about before it is closed, in seconds.
///
/// A payer who confirmed in the last second is still being charged; WeChat Pay asks to query first.
pub const CLOSE_GRACE_SECONDS: i64 = 60;

/// How long after `time_expire` "no such order" starts to count, in seconds: a prepay that was
/// delayed on its way may still arrive before.
pub const ABSENCE_GRACE_SECONDS: i64 = 600;

/// How long before its order a payment may be dated, in seconds: by so much WeChat Pay's clock and ours
/// may differ. WeChat Pay refuses requests dated further from its own time (docs/wechatpay.md,
/// "Signing"), so an order that it knows was placed with clocks no further apart.
const CLOCKS_APART_SECONDS: i64 = 300;

/// How long after its time an order may stay unasked about before a person is asked to look, in
/// seconds.
pub const OVERDUE_SECONDS_MAX: i64 = 60 * 60;

/// What is known of a payment, and what of it may still be refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// WeChat Pay's number of the payment.
    pub transaction_id: TransactionId,
    /// When it was paid, by WeChat Pay's clock, or when we learnt it where that was left out.
    pub success_time: Timestamp,
    /// What the payer paid after coupons, in fen.
    pub payer_total: Option<i64>,
    /// What may still be refunded, in fen: the total less all that is reserved or refunded. Below zero
    /// where WeChat Pay took a refund although it was withdrawn, and its amount is in another by now.
    pub refundable: i64,
    /// How many refunds have been reserved, released ones included; WeChat Pay allows 50.
    pub refund_count: u32,
    /// The earliest moment for the next refund's request to WeChat Pay.
    pub next_refund_at: Option<Timestamp>,
    /// When the order had been closed here before the payment was learnt of.
    pub closed_at: Option<Timestamp>,
    /// Whether WeChat Pay reported a refund that never left from this record: how much was refunded elsewhere
    /// is not known.
    pub refunded_elsewhere: bool,
}

impl Payment {
    /// What can still be refunded, in fen, never less than nothing; nothing, where it is not known how
    /// much was refunded elsewhere, so that nothing is refunded twice.
    pub const fn still_refundable(&self) -> i64 {
        if self.refunded_elsewhere || self.refundable < 0 {
            0
        } else {
            self.refundable
        }
    }
}

/// What a CLOSED rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// A signed answer of WeChat Pay.
    Wechatpay,
    /// Two signed "no such order"; looked at again as [`ABSENCE_CONFIRM_SECONDS`] says.
    Absence {
        /// How often it was looked at since.
        confirmations: u32,
    },
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Stored here; WeChat Pay may or may not know it; not paid.
    NotPay,
    /// We decided to close it and do not know yet whether WeChat Pay has.
    Closing {
        /// When we decided.
        since: Timestamp,
    },
    /// Closed; only a payment that was under way leads out.
    Closed {
        /// When we learnt it.
        at: Timestamp,
        /// What it rests on.
        by: ClosedBy,
    },
    /// Paid. Refunds never change this; they take from `refundable`.
    Success(Payment),
}

impl OrderState {
    /// The names of all states, as [`Self::as_str`] gives them.
    pub const NAMES: [&'static str; 4] = ["NOTPAY", "CLOSING", "CLOSED", "SUCCESS"];

    /// The state's name on our wire and in the table.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::Closing { .. } => "CLOSING",
            Self::Closed { .. } => "CLOSED",
            Self::Success(_) => "SUCCESS",
        }
    }

    /// The state's rank; a change never lowers it.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::NotPay => 1,
            Self::Closing { .. } => 2,
            Self::Closed { .. } => 3,
            Self::Success(_) => 4,
        }
    }
}

/// An order as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was agreed.
    pub terms: Terms,
    /// Where it stands.
    pub state: OrderState,
    /// Raised by one with every change of the record that tells something.
    pub version: u64,
    /// When WeChat Pay was first heard, after expiry, not to know the order.
    pub missing_since: Option<Timestamp>,
    /// What others are told of it.
    pub events: EventLog,
}

/// What a report means for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderChange {
    /// The record becomes this.
    Changed(Box<Order>),
    /// The record knew it, or knows better.
    Unchanged,
    /// The report does not fit the record: nothing changes and a person has to look.
    Contradiction(Contradiction),
}

impl Order {
    /// A new order: stored, not yet known to be known to WeChat Pay.
    pub const fn placed(terms: Terms) -> Self {
        Self {
            terms,
            state: OrderState::NotPay,
            version: 1,
            missing_since: None,
            events: EventLog::new(),
        }
    }

    /// Decides what a signed report means; changes nothing itself, and hearing a report twice is
    /// hearing it once.
    pub fn observe(&self, report: &OrderReport, now: Timestamp) -> OrderChange {
        if let Some(contradiction) = self.contradiction(report) {
            return OrderChange::Contradiction(contradiction);
        }
        match (&self.state, &report.state) {
            (_, TradeState::Unknown(state)) => {
                OrderChange::Contradiction(Contradiction::UnknownState(state.clone()))
            }
            (OrderState::Success(payment), TradeState::Paid(paid)) => {
                if payment.transaction_id == paid.transaction_id {
                    self.refunded_report(payment, paid, now)
                } else {
                    OrderChange::Contradiction(Contradiction::SecondTransaction {
                        recorded: payment.transaction_id.clone(),
                        reported: paid.transaction_id.clone(),
                    })
                }
            }
            (OrderState::Success(_), TradeState::Unpaid | TradeState::Closed) => {
                OrderChange::Unchanged
            }
            (OrderState::NotPay | OrderState::Closing { .. }, TradeState::Paid(paid)) => {
                self.changed(OrderState::Success(self.payment(paid, None, now)), now)
            }
            (OrderState::Closed { at, .. }, TradeState::Paid(paid)) => {
                self.changed(OrderState::Success(self.payment(paid, Some(*at), now)), now)
            }
            (OrderState::NotPay | OrderState::Closing { .. }, TradeState::Closed) => self.changed(
                OrderState::Closed {
                    at: now,
                    by: ClosedBy::Wechatpay,
                },
                now,
            ),
            (
                OrderState::Closed {
                    at,
                    by: ClosedBy::Absence { .. },
                },
                TradeState::Closed,
            ) => self.changed(
                OrderState::Closed {
                    at: *at,
                    by: ClosedBy::Wechatpay,
                },
                now,
            ),
            (
                OrderState::Closed {
                    by: ClosedBy::Wechatpay,
                    ..
                },
                TradeState::Closed,
            )
            | (OrderState::Closed { .. }, TradeState::Unpaid) => OrderChange::Unchanged,
            (OrderState::NotPay | OrderState::Closing { .. }, TradeState::Unpaid) => {
                if self.missing_since.is_some() {
                    self.changed(self.state.clone(), now)
                } else {
                    OrderChange::Unchanged
                }
            }
        }
    }

    /// Decides what a signed report means of a refund that never left from the record: it is not there, or waits for
    /// a decision, or was rejected. Somebody else gave money back, or the record was lost; how much is left is not
    /// known here then. A report that is not about this payment, or of a refund that came to nothing, says
    /// nothing of it.
    pub fn observe_refund_elsewhere(&self, report: &RefundReport, now: Timestamp) -> OrderChange {
        let took_money = match &report.status {
            RefundStatus::Processing | RefundStatus::Success { .. } | RefundStatus::Abnormal => {
                true
            }
            RefundStatus::Closed | RefundStatus::Unknown(_) => false,
        };
        let terms = &self.terms;
        // A report that names a merchant says by that whether it is a sub-merchant's.
        let names_merchant = report.mchid.is_some() || report.sub_mchid.is_some();
        let is_own = report.order_id == terms.order_id
            && report.total == terms.total
            && report
                .mchid
                .as_ref()
                .is_none_or(|mchid| *mchid == terms.mchid)
            && !(names_merchant && report.sub_mchid.as_ref() != terms.sub_mchid());
        match &self.state {
            OrderState::Success(payment)
                if took_money
                    && is_own
                    && payment.transaction_id == report.transaction_id
                    && !payment.refunded_elsewhere =>
            {
                self.changed(
                    OrderState::Success(Payment {
                        refunded_elsewhere: true,
                        ..payment.clone()
                    }),
                    now,
                )
            }
            // Of an order that is not paid on record the report of its payment will say so.
            OrderState::Success(_)
            | OrderState::NotPay
            | OrderState::Closing { .. }
            | OrderState::Closed { .. } => OrderChange::Unchanged,
        }
    }

    /// Decides what WeChat Pay's signed 204 to our close means.
    pub fn observe_close(&self, now: Timestamp) -> OrderChange {
        match &self.state {
            OrderState::NotPay | OrderState::Closing { .. } => self.changed(
                OrderState::Closed {
                    at: now,
                    by: ClosedBy::Wechatpay,
                },
                now,
            ),
            OrderState::Closed {
                at,
                by: ClosedBy::Absence { .. },
            } => self.changed(
                OrderState::Closed {
                    at: *at,
                    by: ClosedBy::Wechatpay,
                },
                now,
            ),
            OrderState::Closed {
                by: ClosedBy::Wechatpay,
                ..
            }
            | OrderState::Success(_) => OrderChange::Unchanged,
        }
    }

    /// Decides what a signed "no such order" means.
    ///
    /// It counts from [`ABSENCE_GRACE_SECONDS`] after expiry on; two that are
    /// [`ABSENCE_INTERVAL_SECONDS`] apart close the order.
    pub fn observe_absence(&self, now: Timestamp) -> OrderChange {
        match &self.state {
            OrderState::NotPay | OrderState::Closing { .. } => {
                if now < self.terms.time_expire.plus_seconds(ABSENCE_GRACE_SECONDS) {
                    return OrderChange::Unchanged;
                }
                match self.missing_since {
                    None => {
                        let mut order = self.next(self.state.clone(), now);
                        order.missing_since = Some(now);
                        OrderChange::Changed(Box::new(order))
                    }
                    Some(since) if now.seconds_since(since) >= ABSENCE_INTERVAL_SECONDS => self
                        .changed(
                            OrderState::Closed {
                                at: now,
                                by: ClosedBy::Absence { confirmations: 0 },
                            },
                            now,
                        ),
                    Some(_) => OrderChange::Unchanged,
                }
            }
            OrderState::Closed {
                at,
                by: ClosedBy::Absence { confirmations },
            } => {
                // Only a look at its planned time counts: a caller who asks in between must not use
                // up the looks that find a prepay which arrived late.
                let looks = usize::try_from(*confirmations).unwrap_or(usize::MAX);
                let planned = ABSENCE_CONFIRM_SECONDS.get(looks);
                if planned.is_none_or(|seconds| now < at.plus_seconds(*seconds)) {
                    return OrderChange::Unchanged;
                }
                self.changed(
                    OrderState::Closed {
                        at: *at,
                        by: ClosedBy::Absence {
                            confirmations: confirmations + 1,
                        },
                    },
                    now,
                )
            }
            OrderState::Closed {
                by: ClosedBy::Wechatpay,
                ..
            }
            | OrderState::Success(_) => OrderChange::Unchanged,
        }
    }

    /// Decides to close: the intention is stored before WeChat Pay is asked.
    pub fn begin_close(&self, now: Timestamp) -> OrderChange {
        match &self.state {
            OrderState::NotPay => self.changed(OrderState::Closing { since: now }, now),
            OrderState::Closing { .. } | OrderState::Closed { .. } | OrderState::Success(_) => {
                OrderChange::Unchanged
            }
        }
    }

    /// Whether the payer may still be sent to pay.
    pub fn is_payable(&self, now: Timestamp) -> bool {
        match self.state {
            OrderState::NotPay => now < self.terms.time_expire,
            OrderState::Closing { .. } | OrderState::Closed { .. } | OrderState::Success(_) => {
                false
            }
        }
    }

    /// Whether nothing that WeChat Pay may still say moves the order.
    pub const fn is_settled(&self) -> bool {
        match &self.state {
            OrderState::Success(_)
            | OrderState::Closed {
                by: ClosedBy::Wechatpay,
                ..
            } => true,
            OrderState::NotPay
            | OrderState::Closing { .. }
            | OrderState::Closed {
                by: ClosedBy::Absence { .. },
                ..
            } => false,
        }
    }

    /// Whether the order has to be closed at WeChat Pay now, given what that answered a moment ago:
    /// expired and unpaid, decided to be closed, or closed for absence and found there after all.
    ///
    /// "No such order" leaves nothing to close, and a close burns the number for a prepay that may
    /// still be on its way; so it never leads to one.
    pub fn must_close(&self, heard: Heard, now: Timestamp) -> bool {
        match (heard, &self.state) {
            (Heard::Absence, _) => false,
            (Heard::Report, OrderState::NotPay) => {
                now >= self.terms.time_expire.plus_seconds(CLOSE_GRACE_SECONDS)
            }
            (
                Heard::Report,
                OrderState::Closing { .. }
                | OrderState::Closed {
                    by: ClosedBy::Absence { .. },
                    ..
                },
            ) => true,
            (
                Heard::Report,
                OrderState::Closed {
                    by: ClosedBy::Wechatpay,
                    ..
                }
                | OrderState::Success(_),
            ) => false,
        }
    }

    /// Whether WeChat Pay's answer about the order is missing for so long after its time that a
    /// person has to look. Before its time is over an order may wait for it.
    pub const fn is_overdue(&self, now: Timestamp) -> bool {
        !self.is_settled() && now.seconds_since(self.terms.time_expire) > OVERDUE_SECONDS_MAX
    }

    /// The payment, if there is one.
    pub const fn payment_on_record(&self) -> Option<&Payment> {
        match &self.state {
            OrderState::Success(payment) => Some(payment),
            OrderState::NotPay | OrderState::Closing { .. } | OrderState::Closed { .. } => None,
        }
    }

    /// When a payment counts as made for what policy grants a payer from then on: not after the order's own
    /// time, whatever was reported, since WeChat Pay takes no payment later. Whoever may write down reports
    /// can date a payment anew, but not the order.
    pub fn counts_as_paid_at(&self, payment: &Payment) -> Timestamp {
        let last = self.terms.time_expire.plus_seconds(CLOSE_GRACE_SECONDS);
        payment.success_time.min(last)
    }

    /// When the sweep has to look at the order, after `attempts` looks without a change; `None`
    /// where nothing is left to be learnt.
    pub fn due_after(&self, now: Timestamp, attempts: u32) -> Option<Due> {
        let at = self.due_at(now, attempts)?;
        Some(Due { at, attempts })
    }

    fn due_at(&self, now: Timestamp, attempts: u32) -> Option<Timestamp> {
        match &self.state {
            OrderState::NotPay => {
                let expired = self.terms.time_expire.plus_seconds(CLOSE_GRACE_SECONDS);
                Some(if now < expired {
                    now.plus_seconds(unpaid_seconds(attempts)).min(expired)
                } else {
                    now.plus_seconds(backoff_seconds(attempts))
                })
            }
            OrderState::Closing { .. } => {
                let asked = now.plus_seconds(backoff_seconds(attempts));
                // Absence starts to count at a known moment; there is no use in passing it by.
                let counts = self.terms.time_expire.plus_seconds(ABSENCE_GRACE_SECONDS);
                Some(match self.missing_since {
                    Some(since) => since.plus_seconds(ABSENCE_INTERVAL_SECONDS).max(now),
                    None if now < counts => asked.min(counts),
                    None => asked,
                })
            }
            OrderState::Closed {
                at,
                by: ClosedBy::Absence { confirmations },
            } => {
                let looks = usize::try_from(*confirmations).unwrap_or(usize::MAX);
                ABSENCE_CONFIRM_SECONDS.get(looks).map(|seconds| {
                    let planned = at.plus_seconds(*seconds);
                    if planned > now {
                        planned
                    } else {
                        now.plus_seconds(backoff_seconds(attempts))
                    }
                })
            }
            OrderState::Closed {
                by: ClosedBy::Wechatpay,
                ..
            }
            | OrderState::Success(_) => None,
        }
    }

    fn contradiction(&self, report: &OrderReport) -> Option<Contradiction> {
        let differs = |field| Some(Contradiction::Differs { field });
        if report.order_id != self.terms.order_id {
            return differs("out_trade_no");
        }
        if report
            .mchid
            .as_ref()
            .is_some_and(|mchid| *mchid != self.terms.mchid)
        {
            return differs("mchid");
        }
        if report
            .appid
            .as_ref()
            .is_some_and(|appid| *appid != self.terms.appid)
        {
            return differs("appid");
        }
        if let Some(field) = self.differing_sub_merchant(report) {
            return differs(field);
        }
        if report.total.is_some_and(|total| total != self.terms.total) {
            return differs("amount.total");
        }
        if report
            .currency
            .as_ref()
            .is_some_and(|currency| currency != CURRENCY)
        {
            return differs("amount.currency");
        }
        // A payment is only believed with everything in it that makes it ours.
        if let TradeState::Paid(paid) = &report.state {
            if report.mchid.is_none() {
                return differs("mchid");
            }
            if report.appid.is_none() {
                return differs("appid");
            }
            if report.total.is_none() {
                return differs("amount.total");
            }
            if report.currency.is_none() {
                return differs("amount.currency");
            }
            if paid
                .payer_total
                .is_some_and(|fen| fen < 0 || fen > self.terms.total.get())
            {
                return differs("amount.payer_total");
            }
            return self.older_payment(paid);
        }
        None
    }

    /// In what a report names another sub-merchant than the order's. One that names a merchant says by that
    /// whether it is a sub-merchant's, and a payment has to say whose it is.
    fn differing_sub_merchant(&self, report: &OrderReport) -> Option<&'static str> {
        let is_payment = match report.state {
            TradeState::Paid(_) => true,
            TradeState::Unpaid | TradeState::Closed | TradeState::Unknown(_) => false,
        };
        let names_merchant = is_payment || report.mchid.is_some() || report.sub_mchid.is_some();
        if names_merchant && report.sub_mchid.as_ref() != self.terms.sub_mchid() {
            return Some("sub_mchid");
        }
        let names_app = is_payment || report.sub_appid.is_some();
        if names_app && report.sub_appid.as_ref() != self.terms.sub_appid() {
            return Some("sub_appid");
        }
        None
    }

    /// How a payment shows that it was made for another order of this number: an earlier one, whose
    /// record was lost or was never here.
    fn older_payment(&self, paid: &PaidReport) -> Option<Contradiction> {
        let terms = &self.terms;
        let paid_before_seconds = paid
            .success_time
            .map_or(0, |paid_at| terms.created_at.seconds_since(paid_at));
        if paid_before_seconds > CLOCKS_APART_SECONDS {
            return Some(Contradiction::PaidBeforePlaced);
        }
        if paid.attach.is_some() && paid.attach != terms.attach {
            return Some(Contradiction::Differs { field: "attach" });
        }
        let fixed = match terms.trade_type {
            TradeType::Jsapi => terms.openid.as_ref(),
            TradeType::Native | TradeType::H5 | TradeType::App => None,
        };
        match (fixed, &paid.openid) {
            (Some(ordered_by), Some(paid_by)) if ordered_by != paid_by => {
                Some(Contradiction::Differs {
                    field: "payer.openid",
                })
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    fn payment(&self, paid: &PaidReport, closed_at: Option<Timestamp>, now: Timestamp) -> Payment {
        Payment {
            transaction_id: paid.transaction_id.clone(),
            success_time: paid.success_time.unwrap_or(now),
            payer_total: paid.payer_total,
            refundable: self.terms.total.get(),
            refund_count: 0,
            next_refund_at: None,
            closed_at,
            refunded_elsewhere: paid.refunded,
        }
    }

    /// What a repeated report of the payment means: news only where it says for the first time that
    /// money went back of which nothing is known here.
    fn refunded_report(&self, payment: &Payment, paid: &PaidReport, now: Timestamp) -> OrderChange {
        // A refund that was closed leaves "refunded" behind at WeChat Pay, so one that ended without
        // money explains it as well as any other.
        if !paid.refunded || payment.refund_count > 0 || payment.refunded_elsewhere {
            return OrderChange::Unchanged;
        }
        self.changed(
            OrderState::Success(Payment {
                refunded_elsewhere: true,
                ..payment.clone()
            }),
            now,
        )
    }

    fn changed(&self, state: OrderState, now: Timestamp) -> OrderChange {
        debug_assert!(state.rank() >= self.state.rank(), "a rank only rises");
        OrderChange::Changed(Box::new(self.next(state, now)))
    }
}

/// How long an order that may still be paid is left alone after `attempts` looks, in seconds.
///
/// The notification and the payer's own query are the usual ways to learn of a payment; a look is for
/// the order whose notification was lost and whose payer does not ask. Anybody can place many orders, so
/// each look of each counts.
const fn unpaid_seconds(attempts: u32) -> i64 {
    match attempts {
        0 => 5 * 60,
        1 => 30 * 60,
        _ => 60 * 60,
    }
}

#[cfg(test)]
mod tests;
