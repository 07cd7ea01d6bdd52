//! Every write of the store as a value: what has to be there before it, and how it is made.

use shared::domain::refund::RefundableChange;
use shared::domain::{Due, Order, RefundState, Timestamp, TradeType};
use shared::store::{DueItem, EvidenceOf, KeptPrepay, SealedCertificates, SendSlot, StoreError};

use super::bench::Bench;
use super::{
    INTERVAL, NOW, SLOT, as_approved, as_rejected, merchants, order, paid, refund, reported,
    request, soon, withdrawn,
};

/// A write of the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Place,
    Commit,
    Postpone,
    ClaimAsking,
    ClaimAskingToRefund,
    ClaimCall,
    ClaimPrepay,
    KeepPrepay,
    ReleasePrepay,
    ClaimSend,
    Request,
    Reserve,
    ReserveForLater,
    Approve,
    ApproveForLater,
    Reject,
    CommitRefund,
    Release,
    BeginWithdrawal,
    Withdraw,
    TakeAgain,
    PostponeRefund,
    ClaimAskingRefund,
    ClaimDue,
    ClaimDueRefund,
    KeepEvidence,
    KeepFirstCertificates,
    ReplaceCertificates,
}

impl Write {
    pub const ALL: [Self; 28] = [
        Self::Place,
        Self::Commit,
        Self::Postpone,
        Self::ClaimAsking,
        Self::ClaimAskingToRefund,
        Self::ClaimCall,
        Self::ClaimPrepay,
        Self::KeepPrepay,
        Self::ReleasePrepay,
        Self::ClaimSend,
        Self::Request,
        Self::Reserve,
        Self::ReserveForLater,
        Self::Approve,
        Self::ApproveForLater,
        Self::Reject,
        Self::CommitRefund,
        Self::Release,
        Self::BeginWithdrawal,
        Self::Withdraw,
        Self::TakeAgain,
        Self::PostponeRefund,
        Self::ClaimAskingRefund,
        Self::ClaimDue,
        Self::ClaimDueRefund,
        Self::KeepEvidence,
        Self::KeepFirstCertificates,
        Self::ReplaceCertificates,
    ];

    /// What makes it, as docs/data-model.md lists it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Place => "Orders::place",
            Self::Commit => "Orders::commit",
            Self::Postpone => "Orders::postpone",
            Self::ClaimAsking => "Orders::claim_asking",
            Self::ClaimAskingToRefund => "Orders::claim_asking_to_refund",
            Self::ClaimCall => "Orders::claim_call",
            Self::ClaimPrepay => "Orders::claim_prepay",
            Self::KeepPrepay => "Orders::keep_prepay",
            Self::ReleasePrepay => "Orders::release_prepay",
            Self::ClaimSend => "Refunds::claim_send",
            Self::Request => "Refunds::request",
            Self::Reserve => "Refunds::reserve, at once",
            Self::ReserveForLater => "Refunds::reserve, for later",
            Self::Approve => "Refunds::approve, at once",
            Self::ApproveForLater => "Refunds::approve, for later",
            Self::Reject => "Refunds::commit, rejecting",
            Self::CommitRefund => "Refunds::commit",
            Self::Release => "Refunds::commit, releasing",
            Self::BeginWithdrawal => "Refunds::commit, withdrawing",
            Self::Withdraw => "Refunds::commit, withdrawn",
            Self::TakeAgain => "Refunds::commit, taking again",
            Self::PostponeRefund => "Refunds::postpone",
            Self::ClaimAskingRefund => "Refunds::claim_asking",
            Self::ClaimDue => "DueIndex::claim, an order",
            Self::ClaimDueRefund => "DueIndex::claim, a refund",
            Self::KeepEvidence => "Evidence::keep",
            Self::KeepFirstCertificates => "CertificateKeeper::replace, the first",
            Self::ReplaceCertificates => "CertificateKeeper::replace",
        }
    }

    /// Its operation at the table.
    pub const fn operation(self) -> &'static str {
        match self {
            Self::Place | Self::KeepEvidence => "PutItem",
            Self::Request
            | Self::Reserve
            | Self::ReserveForLater
            | Self::Approve
            | Self::ApproveForLater
            | Self::Release
            | Self::BeginWithdrawal
            | Self::Withdraw
            | Self::TakeAgain
            | Self::ClaimSend => "TransactWriteItems",
            Self::KeepFirstCertificates
            | Self::ReplaceCertificates
            | Self::Commit
            | Self::Postpone
            | Self::ClaimAsking
            | Self::ClaimAskingToRefund
            | Self::ClaimCall
            | Self::ClaimPrepay
            | Self::KeepPrepay
            | Self::ReleasePrepay
            | Self::Reject
            | Self::CommitRefund
            | Self::PostponeRefund
            | Self::ClaimAskingRefund
            | Self::ClaimDue
            | Self::ClaimDueRefund => "UpdateItem",
        }
    }

    /// What is told where the table did it and the SDK, not knowing, sent it again: either it is
    /// told as done, or whoever asked reads the record again and finds it done.
    pub const fn told_after_a_lost_answer(self) -> &'static str {
        match self {
            // The item holds the attempt's own name.
            Self::Place => "New",
            // A transaction's token makes the repeat the same transaction.
            Self::Request
            | Self::Reserve
            | Self::ReserveForLater
            | Self::Release
            | Self::BeginWithdrawal
            | Self::Withdraw
            | Self::TakeAgain => "Done",
            Self::ClaimSend => "Claimed",
            Self::Approve | Self::ApproveForLater => "Reserved",
            // The condition still holds after the write, which sets the same again.
            Self::Postpone | Self::PostponeRefund | Self::ClaimCall | Self::ClaimPrepay => "Done",
            Self::KeepEvidence => "()",
            // Whoever lost the race to themselves: the record is read again, a claim runs out.
            Self::KeepFirstCertificates
            | Self::ReplaceCertificates
            | Self::Commit
            | Self::ClaimAsking
            | Self::ClaimAskingToRefund
            | Self::KeepPrepay
            | Self::ReleasePrepay
            | Self::Reject
            | Self::CommitRefund
            | Self::ClaimAskingRefund
            | Self::ClaimDue
            | Self::ClaimDueRefund => "Conflict",
        }
    }

    /// What the same call is told later, after it was done and given up.
    pub const fn told_later(self) -> &'static str {
        match self {
            Self::Place => "Existing",
            Self::Request | Self::Reserve | Self::ReserveForLater => "Exists",
            Self::Approve | Self::ApproveForLater => "AlreadyDecided",
            Self::Release | Self::BeginWithdrawal | Self::Withdraw | Self::TakeAgain => "Conflict",
            Self::ClaimSend => "SlotTaken",
            other => other.told_after_a_lost_answer(),
        }
    }

    fn order(self) -> Order {
        match self {
            Self::ClaimPrepay | Self::KeepPrepay | Self::ReleasePrepay => {
                merchants("write-0001", TradeType::Native)
            }
            _ => order("write-0001"),
        }
    }

    /// Brings the table to where the write can be made, and nothing else into it.
    pub async fn prepare(self, bench: &Bench) {
        bench.clear().await;
        let order = self.order();
        let claim = claim();
        match self {
            Self::Place | Self::KeepEvidence | Self::KeepFirstCertificates => {}
            Self::ReplaceCertificates => {
                let first = certificates(NOW);
                let kept = bench.certificates().replace(None, &first);
                kept.await.unwrap();
            }
            Self::ClaimAsking | Self::ClaimAskingToRefund | Self::ClaimCall | Self::ClaimPrepay => {
                bench.placed(&order).await;
            }
            Self::Commit | Self::Postpone | Self::ClaimDue => {
                let placed = bench.orders().place(&order, "attempt", None, Some(soon()));
                placed.await.unwrap();
            }
            Self::KeepPrepay | Self::ReleasePrepay => {
                let placed = bench.orders().place(&order, "token", Some(&claim), None);
                placed.await.unwrap();
            }
            Self::Request | Self::Reserve | Self::ReserveForLater => {
                bench.paid("write-0001").await;
            }
            Self::Approve | Self::ApproveForLater | Self::Reject => {
                bench.paid("write-0001").await;
                let asked = request("write-r1", &order, 200);
                bench.refunds().request(&asked).await.unwrap();
            }
            Self::Withdraw | Self::TakeAgain => {
                let order = bench.paid("write-0001").await;
                let refund = refund("write-r1", &order, 200);
                let refunds = bench.refunds();
                let reserved = refunds.reserve(&refund, NOW, SendSlot::Later, soon());
                reserved.await.unwrap();
                let (withdrawing, withdrawn) = withdrawn(&refund);
                let begun = refunds.commit(&refund, &withdrawing, RefundableChange::Stays, None);
                begun.await.unwrap();
                if self == Self::TakeAgain {
                    let released = RefundableChange::Released(refund.amount);
                    let ended = refunds.commit(&withdrawing, &withdrawn, released, None);
                    ended.await.unwrap();
                }
            }
            Self::CommitRefund
            | Self::Release
            | Self::BeginWithdrawal
            | Self::ClaimSend
            | Self::PostponeRefund
            | Self::ClaimAskingRefund
            | Self::ClaimDueRefund => {
                let order = bench.paid("write-0001").await;
                let refund = refund("write-r1", &order, 200);
                let reserved = bench
                    .refunds()
                    .reserve(&refund, NOW, SendSlot::Later, soon());
                reserved.await.unwrap();
            }
        }
        bench.calls();
    }

    /// Makes the write once and tells its outcome; `attempt` names an order's placing.
    pub async fn make(self, bench: &Bench, attempt: &str) -> Result<String, StoreError> {
        let (orders, refunds) = (bench.orders(), bench.refunds());
        let order = self.order();
        let id = &order.terms.order_id;
        let paid = paid(&order);
        let asked = request("write-r1", &order, 200);
        let refund = refund("write-r1", &order, 200);
        let due = Due {
            at: NOW.plus_seconds(120),
            attempts: 1,
        };
        let token = &claim();
        let code = KeptPrepay {
            text: "weixin://wxpay/bizpayurl?pr=p4lpSuKzz".to_owned(),
            at: NOW,
        };
        let evidence = EvidenceOf {
            notice_id: "EV-2018022511223320873",
            day: "20260921",
            event_type: "TRANSACTION.SUCCESS",
            outcome: "no such record here",
            out_trade_no: Some("write-0001"),
            envelope: "{}",
        };
        let index = bench.due_index();
        let certificate_keeper = bench.certificates();
        let of_refund = DueItem::Refund(id.clone(), refund.refund_id.clone());
        let closed = reported(&refund, RefundState::Closed);
        let processing = reported(&refund, RefundState::Processing);
        let told = match self {
            Self::Place => told(orders.place(&order, attempt, None, Some(soon())).await?),
            Self::Commit => told(orders.commit(&order, &paid, None).await?),
            Self::Postpone => told(orders.postpone(&order, Some(due)).await?),
            Self::ClaimAsking => told(orders.claim_asking(id, NOW, 2).await?),
            Self::ClaimAskingToRefund => told(orders.claim_asking_to_refund(id, NOW, 2).await?),
            Self::ClaimCall => told(orders.claim_call(id, NOW).await?),
            Self::ClaimPrepay => told(
                orders
                    .claim_prepay(id, TradeType::Native, token, NOW, NOW)
                    .await?,
            ),
            Self::KeepPrepay => told(
                orders
                    .keep_prepay(id, TradeType::Native, token, &code)
                    .await?,
            ),
            Self::ReleasePrepay => told(orders.release_prepay(id, token).await?),
            Self::ClaimSend => told(refunds.claim_send(&refund, NOW, INTERVAL).await?),
            Self::BeginWithdrawal => {
                let (withdrawing, _) = withdrawn(&refund);
                let stays = RefundableChange::Stays;
                told(
                    refunds
                        .commit(&refund, &withdrawing, stays, Some(due))
                        .await?,
                )
            }
            Self::Withdraw => {
                let (withdrawing, withdrawn) = withdrawn(&refund);
                let released = RefundableChange::Released(refund.amount);
                told(
                    refunds
                        .commit(&withdrawing, &withdrawn, released, None)
                        .await?,
                )
            }
            Self::TakeAgain => {
                let (_, withdrawn) = withdrawn(&refund);
                let processing = reported(&withdrawn, RefundState::Processing);
                let taken = RefundableChange::TakenAgain(refund.amount);
                told(
                    refunds
                        .commit(&withdrawn, &processing, taken, Some(due))
                        .await?,
                )
            }
            Self::Request => told(refunds.request(&asked).await?),
            Self::Reserve => told(refunds.reserve(&refund, NOW, SLOT, soon()).await?),
            Self::ReserveForLater => told(
                refunds
                    .reserve(&refund, NOW, SendSlot::Later, soon())
                    .await?,
            ),
            Self::Approve => told(
                refunds
                    .approve(&asked, &as_approved(&asked), NOW, SLOT, soon())
                    .await?,
            ),
            Self::ApproveForLater => told(
                refunds
                    .approve(&asked, &as_approved(&asked), NOW, SendSlot::Later, soon())
                    .await?,
            ),
            Self::Reject => told(
                refunds
                    .commit(&asked, &as_rejected(&asked), RefundableChange::Stays, None)
                    .await?,
            ),
            Self::CommitRefund => told(
                refunds
                    .commit(&refund, &processing, RefundableChange::Stays, Some(due))
                    .await?,
            ),
            Self::Release => {
                let amount = RefundableChange::Released(refund.amount);
                told(refunds.commit(&refund, &closed, amount, None).await?)
            }
            Self::PostponeRefund => told(refunds.postpone(&refund, Some(due)).await?),
            Self::ClaimAskingRefund => told(refunds.claim_asking(&refund, NOW, 2).await?),
            Self::ClaimDue => {
                let item = DueItem::Order(id.clone());
                told(index.claim(&item, soon().at, due.at).await?)
            }
            Self::ClaimDueRefund => told(index.claim(&of_refund, soon().at, due.at).await?),
            Self::KeepEvidence => told(bench.evidence().keep(&evidence, NOW).await?),
            Self::KeepFirstCertificates => {
                told(certificate_keeper.replace(None, &certificates(NOW)).await?)
            }
            Self::ReplaceCertificates => {
                let (seen, now) = (certificates(NOW), certificates(NOW.plus_seconds(3_600)));
                told(certificate_keeper.replace(Some(&seen), &now).await?)
            }
        };
        Ok(told)
    }
}

fn certificates(downloaded_at: Timestamp) -> SealedCertificates {
    SealedCertificates {
        answer: "{\"data\":[]}".to_owned(),
        downloaded_at,
    }
}

fn claim() -> shared::store::PrepayClaim {
    shared::store::PrepayClaim {
        token: "token".to_owned(),
        until: NOW.plus_seconds(12),
    }
}

/// The outcome without what it holds, unless that is a word itself.
fn told(outcome: impl std::fmt::Debug) -> String {
    let text = format!("{outcome:?}");
    match text.split_once("(Stored").or(text.split_once("(Refund")) {
        Some((word, _)) => word.to_owned(),
        None => text,
    }
}
