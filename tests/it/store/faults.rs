//! What goes wrong between the store and the table: lost answers, late copies, conflicts, throttling.
//!
//! Every write of the store is one [`Write`], so that each law is checked of all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::domain::refund::RefundableChange;
use shared::domain::{Due, Order, OrderState, Refund, RefundState, Timestamp, TradeType};
use shared::store::{DueItem, EvidenceOf, KeptPrepay, SealedCertificates, SendSlot, StoreError};

use super::bench::{Bench, Call, Fate, cancelled, error};
use super::{
    INTERVAL, NOW, SLOT, as_approved, as_rejected, changed, fen, merchants, order, order_id, paid,
    payment, refund, reported, request, soon, withdrawn,
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
    const fn told_later(self) -> &'static str {
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

/// The table before and after the write where nothing goes wrong.
async fn undisturbed(bench: &Bench, write: Write) -> (Vec<Value>, Vec<Value>) {
    write.prepare(bench).await;
    let before = bench.items().await;
    let outcome = write.make(bench, "attempt").await.unwrap();
    let done = ["New", "Done", "Reserved", "Claimed", "()"];
    assert!(done.contains(&outcome.as_str()), "{write:?}: {outcome}");
    let after = bench.items().await;
    assert_ne!(before, after, "{write:?} writes something");
    (before, after)
}

/// The table is well; others were in the way.
fn assert_contended(outcome: &Result<String, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Contended { .. })),
        "{outcome:?}"
    );
}

fn assert_unavailable(outcome: &Result<String, StoreError>, cause: &str) {
    assert!(
        matches!(outcome, Err(StoreError::Unavailable { cause: told, .. }) if told.contains(cause)),
        "{outcome:?}, not {cause:?}"
    );
}

/// The calls of an operation.
fn calls_of(calls: &[Call], operation: &str) -> Vec<Call> {
    let of = |call: &&Call| call.operation == operation;
    calls.iter().filter(of).cloned().collect()
}

#[tokio::test]
async fn an_answer_that_is_lost_once_leaves_the_write_made_once() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (_, after) = undisturbed(&bench, write).await;
        for fate in [Fate::LoseAnswer, Fate::FailAfterwards] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 1, fate.clone());
            let outcome = write.make(&bench, "attempt").await.unwrap();
            assert_eq!(
                outcome,
                write.told_after_a_lost_answer(),
                "{write:?}, {fate:?}"
            );
            assert_eq!(bench.items().await, after, "{write:?}, {fate:?}");
            let sent = calls_of(&bench.calls(), write.operation());
            assert_eq!(sent.len(), 2, "{write:?}: the SDK sent it again by itself");
            assert_eq!(sent[0].invocation, sent[1].invocation);
            assert_eq!(
                sent[0].request, sent[1].request,
                "{write:?}: with the same token, if it has one"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_no_refusal_and_a_repeat_finds_out() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (_, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, Fate::FailAfterwards);
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "InternalServerError");
        assert_eq!(bench.items().await, after, "{write:?}");
        let later = write.make(&bench, "another attempt").await.unwrap();
        assert!(later.starts_with(write.told_later()), "{write:?}: {later}");
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_request_that_never_arrives_changes_nothing_and_a_repeat_is_made() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (before, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, Fate::LoseRequest);
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "no connection");
        assert_eq!(bench.items().await, before, "{write:?}");
        let later = write.make(&bench, "attempt").await.unwrap();
        assert!(
            ["New", "Done", "Reserved", "Claimed", "()"].contains(&later.as_str()),
            "{write:?}: {later}"
        );
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_copy_that_arrives_late_changes_nothing() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        write.prepare(&bench).await;
        write.make(&bench, "attempt").await.unwrap();
        let after = bench.items().await;
        for mut copy in calls_of(&bench.calls(), write.operation()) {
            // A transaction's token is forgotten after ten minutes: the conditions must hold alone.
            if let Some(request) = copy.request.as_object_mut() {
                request.remove("ClientRequestToken");
            }
            bench.repeat(&copy).await;
        }
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_throttled_is_sent_again_and_then_given_up() {
    let bench = Bench::start().await;
    for code in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ] {
        for write in [Write::Place, Write::Commit, Write::Reserve] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 2, Fate::Answer(400, error(code)));
            write.make(&bench, "attempt").await.unwrap();
            assert_eq!(calls_of(&bench.calls(), write.operation()).len(), 3);
            write.prepare(&bench).await;
            let before = bench.items().await;
            bench.next(write.operation(), 100, Fate::Answer(400, error(code)));
            assert_unavailable(&write.make(&bench, "attempt").await, code);
            assert_eq!(calls_of(&bench.calls(), write.operation()).len(), 3);
            assert_eq!(bench.items().await, before);
        }
    }
}

#[tokio::test]
async fn what_no_repeat_mends_is_told_at_once() {
    let bench = Bench::start().await;
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
    ] {
        for write in [Write::Place, Write::Commit, Write::Reserve] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 100, Fate::Answer(400, error(code)));
            assert_unavailable(&write.make(&bench, "attempt").await, code);
            assert_eq!(
                calls_of(&bench.calls(), write.operation()).len(),
                1,
                "{code}"
            );
        }
    }
}

/// The writes that are transactions.
fn transactions() -> impl Iterator<Item = Write> {
    let all = Write::ALL.into_iter();
    all.filter(|write| write.operation() == "TransactWriteItems")
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again_as_a_new_one() {
    let bench = Bench::start().await;
    for code in [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ] {
        for write in transactions() {
            let (_, after) = undisturbed(&bench, write).await;
            write.prepare(&bench).await;
            let met = cancelled(&["None", code]);
            bench.next("TransactWriteItems", 3, Fate::Answer(400, met));
            let outcome = write.make(&bench, "attempt").await.unwrap();
            let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
            assert!(made, "{write:?}: {outcome}");
            assert_eq!(bench.items().await, after, "{write:?}");
            let sent = calls_of(&bench.calls(), "TransactWriteItems");
            let mut tokens: Vec<&str> = sent
                .iter()
                .map(|call| call.request["ClientRequestToken"].as_str().unwrap())
                .collect();
            tokens.sort_unstable();
            tokens.dedup();
            assert_eq!(tokens.len(), 4, "each is a transaction of its own");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_keeps_meeting_others_is_given_up_after_four_tries() {
    let bench = Bench::start().await;
    for write in transactions() {
        write.prepare(&bench).await;
        let before = bench.items().await;
        let met = cancelled(&["TransactionConflict", "None"]);
        bench.next("TransactWriteItems", 100, Fate::Answer(400, met));
        let began = Instant::now();
        let outcome = write.make(&bench, "attempt").await;
        assert_contended(&outcome);
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(bench.calls().len(), 4, "{write:?}");
        assert_eq!(bench.items().await, before, "{write:?}");
    }
}

#[tokio::test]
async fn a_cancellation_with_a_conflict_in_it_decides_nothing() {
    let bench = Bench::start().await;
    // While another transaction is half-way, one item can show its outcome and the next still be
    // held: a repeat of a refund would be told that nothing is left for it.
    for write in [Write::Reserve, Write::ReserveForLater, Write::Approve] {
        write.prepare(&bench).await;
        let half_way = cancelled(&["ConditionalCheckFailed", "TransactionConflict", "None"]);
        bench.next("TransactWriteItems", 1, Fate::Answer(400, half_way.clone()));
        let outcome = write.make(&bench, "attempt").await.unwrap();
        let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
        assert!(made, "{write:?}: {outcome}");
        write.prepare(&bench).await;
        bench.next("TransactWriteItems", 100, Fate::Answer(400, half_way));
        assert_contended(&write.make(&bench, "attempt").await);
        assert_eq!(bench.calls().len(), 4);
    }
}

#[tokio::test]
async fn a_transaction_that_is_not_valid_is_not_tried_again() {
    let bench = Bench::start().await;
    for write in transactions() {
        write.prepare(&bench).await;
        let invalid = cancelled(&["ValidationError", "None"]);
        bench.next("TransactWriteItems", 100, Fate::Answer(400, invalid));
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "ValidationError");
        assert_eq!(bench.calls().len(), 1, "{write:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_still_in_progress_is_waited_for() {
    let bench = Bench::start().await;
    for write in transactions() {
        let (_, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        let busy = error("TransactionInProgressException");
        bench.next("TransactWriteItems", 2, Fate::Answer(400, busy));
        let outcome = write.make(&bench, "attempt").await.unwrap();
        let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
        assert!(made, "{write:?}: {outcome}");
        let sent = bench.calls();
        assert_eq!(sent[0].request, sent[2].request, "the token stays");
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_single_write_that_met_a_transaction_is_tried_again() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        if write.operation() == "TransactWriteItems" {
            continue;
        }
        let (before, after) = undisturbed(&bench, write).await;
        let met = || Fate::Answer(400, error("TransactionConflictException"));
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, met());
        let outcome = write.make(&bench, "attempt").await.unwrap();
        assert!(
            ["New", "Done", "()"].contains(&outcome.as_str()),
            "{outcome}"
        );
        assert_eq!(bench.items().await, after, "{write:?}");
        write.prepare(&bench).await;
        bench.next(write.operation(), 100, met());
        let outcome = write.make(&bench, "attempt").await;
        assert_contended(&outcome);
        assert_eq!(bench.calls().len(), 4, "{write:?}");
        assert_eq!(bench.items().await, before, "{write:?}");
    }
}

#[tokio::test]
async fn a_table_that_hangs_is_given_up_in_time_for_a_notice() {
    let bench = Bench::start().await;
    let order = bench.paid("hanging-01").await;
    bench.next("GetItem", 100, Fate::Hang);
    let began = Instant::now();
    let error = bench
        .orders()
        .load(&order.terms.order_id)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("timeout"), "{error}");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3_900), "{took:?}");
    bench.next("GetItem", 1, Fate::Hang);
    let stored = bench.load(&order.terms.order_id).await;
    assert_eq!(stored.order, order, "one that hangs once is asked again");
}

#[tokio::test]
async fn reads_that_are_lost_are_made_again() {
    let bench = Bench::start().await;
    let order = bench.paid("reads-0001").await;
    let id = &order.terms.order_id;
    let openid = order.terms.openid.clone().unwrap();
    for fate in [
        Fate::LoseAnswer,
        Fate::Answer(500, error("InternalServerError")),
    ] {
        bench.next("GetItem", 2, fate.clone());
        assert_eq!(bench.load(id).await.order, order);
        bench.next("BatchGetItem", 2, fate.clone());
        let ids = [id.clone()];
        assert_eq!(bench.orders().load_many(&ids).await.unwrap().len(), 1);
        bench.next("Query", 2, fate.clone());
        assert_eq!(bench.refunds().of_order(id).await.unwrap(), []);
        bench.next("Query", 2, fate.clone());
        let page = bench.payer_index().page(&openid, None, 20).await.unwrap();
        assert_eq!(page.order_ids, ids);
    }
}

/// Lets BatchGetItem leave all but one key undone, `count` times.
fn part_only(bench: &Bench, count: usize) {
    let left = std::sync::Mutex::new(count);
    bench.plan(move |call| {
        let mut left = left.lock().unwrap();
        if call.operation != "BatchGetItem" || *left == 0 {
            return Fate::Pass;
        }
        *left -= 1;
        Fate::PartOnly
    });
}

#[tokio::test]
async fn a_batch_that_is_answered_in_part_is_asked_for_the_rest() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let mut ids = Vec::new();
    for index in 0..5 {
        ids.push(bench.paid(&format!("part-{index:04}")).await.terms.order_id);
    }
    bench.calls();
    part_only(&bench, 2);
    let found = orders.load_many(&ids).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|order| order.terms.order_id)
        .collect();
    assert_eq!(found, ids, "whole, and in the order asked for");
    let asked: Vec<usize> = bench
        .calls()
        .iter()
        .map(|call| {
            let tables = call.request["RequestItems"].as_object().unwrap();
            let read = tables.values().next().unwrap();
            read["Keys"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(asked, [5, 4, 3]);
    // For ever in part: given up, never answered in part.
    part_only(&bench, 100);
    let error = orders.load_many(&ids[..1]).await;
    assert!(error.is_ok(), "one key is answered whole");
    let mut many = ids.clone();
    for index in 5..20 {
        many.push(bench.paid(&format!("part-{index:04}")).await.terms.order_id);
    }
    bench.calls();
    let error = orders.load_many(&many).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(bench.calls().len() <= 4);
}

#[tokio::test]
async fn prices_that_come_in_part_are_asked_for_again() {
    let bench = Bench::start().await;
    for sku in ["coffee", "tea", "cake"] {
        bench
            .put(json!({
                "pk": {"S": format!("SKU#{sku}")}, "sk": {"S": "SKU"},
                "description": {"S": "-"}, "price_fen": {"N": "1"}, "on_sale": {"BOOL": true},
            }))
            .await;
    }
    part_only(&bench, 1);
    let articles = bench.catalogue().articles(&["coffee", "tea", "cake"]).await;
    assert_eq!(articles.unwrap().len(), 3, "none is taken for not on sale");
}

#[tokio::test]
async fn an_error_tells_the_code_and_nothing_of_the_request() {
    let bench = Bench::start().await;
    let order = order("silent-001");
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ValidationException",
        "message": format!("the value {} is odd", order.terms.openid.as_ref().unwrap().as_str()),
    });
    bench.next("PutItem", 1, Fate::Answer(400, refusal));
    let error = bench.orders().place(&order, "attempt", None, None).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the table did not complete PutItem order: ValidationException"
    );
}

#[tokio::test]
async fn a_reservation_that_was_given_up_is_found_by_its_number() {
    let bench = Bench::start().await;
    let order = bench.paid("given-up-1").await;
    let refunds = bench.refunds();
    let asked = refund("given-up-r1", &order, 600);
    bench.next("TransactWriteItems", 3, Fate::LoseAnswer);
    let reserved = refunds.reserve(&asked, NOW, SLOT, soon()).await;
    assert!(matches!(reserved, Err(StoreError::Unavailable { .. })));
    let stored = refunds.load(&order.terms.order_id, &asked.refund_id).await;
    let stored = stored.unwrap().unwrap();
    let sent = Refund {
        sent_at: Some(NOW),
        ..asked.clone()
    };
    assert_eq!(stored.refund, sent);
    let payment = changed(
        &order,
        OrderState::Success(shared::domain::Payment {
            refundable: 0,
            refund_count: 1,
            next_refund_at: Some(NOW.plus_seconds(INTERVAL + 1)),
            ..payment(&order)
        }),
    );
    assert_eq!(bench.load(&order.terms.order_id).await.order, payment);
    let due = bench.due_index();
    let mut found = Vec::new();
    for shard in 0..shared::store::SHARDS {
        found.extend(due.due(shard, soon().at, 25).await.unwrap().items);
    }
    let item = DueItem::Refund(order_id("given-up-1"), asked.refund_id.clone());
    assert_eq!(found, [(item, soon().at)], "the sweep sends it");
    assert_eq!(asked.amount, fen(600));
}
