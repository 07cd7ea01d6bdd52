//! The laws of what is decided here, for reports, amounts and numbers as they come: how often and in which
//! sequence a report is heard does not matter, ranks do not fall, money is neither made nor lost, and
//! integers do what integers of any size would.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::books::{books_balance, not_refundable};
use super::order::OrderChange;
use super::refund::tests::{STATES, order as paid_order, refund};
use super::refund::{RefundChange, RefundableChange};
use super::report::{OrderReport, PaidReport, RefundReport, RefundStatus, TradeState};
use super::{
    Appid, FEN_MAX, Fen, Mchid, Openid, Order, OrderId, OrderState, Refund, RefundId, RefundState,
    Timestamp, TransactionId, WechatpayRefundId,
};

/// The cases of a law; what fails is printed, and kept nowhere.
fn law() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    }
}

const HEARD: Timestamp = Timestamp::from_unix_seconds(1_800_003_600);

/// Every state that an order can be in, of the same terms.
fn orders() -> Vec<Order> {
    let paid = paid_order();
    let mut not_paid = paid.clone();
    not_paid.state = OrderState::NotPay;
    let closing = decided(&not_paid, &not_paid.begin_close(HEARD));
    let closed = decided(&not_paid, &not_paid.observe_close(HEARD));
    let mut missed = not_paid.clone();
    missed.missing_since = Some(HEARD);
    vec![not_paid, missed, closing, closed, paid]
}

/// What is on record after a decision; a contradiction leaves it.
fn decided(order: &Order, change: &OrderChange) -> Order {
    match change {
        OrderChange::Changed(changed) => (**changed).clone(),
        OrderChange::Unchanged | OrderChange::Contradiction(_) => order.clone(),
    }
}

fn about(order: &Order, state: TradeState) -> OrderReport {
    OrderReport {
        order_id: order.terms.order_id.clone(),
        mchid: Some(order.terms.mchid.clone()),
        appid: Some(order.terms.appid.clone()),
        sub_mchid: None,
        sub_appid: None,
        total: Some(order.terms.total),
        currency: Some("CNY".to_owned()),
        state,
    }
}

/// Something that is said of the order and its one payment: true, and told in whichever way.
fn true_reports() -> impl Strategy<Value = OrderReport> {
    let order = paid_order();
    let total = order.terms.total.get();
    let paid = (
        proptest::option::of(-100_i64..100),
        proptest::option::of(0..=total),
        any::<bool>(),
        any::<bool>(),
    );
    let paid = paid.prop_map(|(seconds, payer_total, somebody, refunded)| {
        TradeState::Paid(PaidReport {
            transaction_id: TransactionId::parse("4200000001").unwrap(),
            success_time: seconds.map(|seconds| HEARD.plus_seconds(seconds)),
            payer_total,
            openid: somebody.then(|| Openid::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap()),
            attach: None,
            refunded,
        })
    });
    let state = prop_oneof![
        2 => Just(TradeState::Unpaid),
        2 => Just(TradeState::Closed),
        3 => paid,
        1 => "[A-Z]{1,12}".prop_filter("a state that is known", |state| {
            !["NOTPAY", "USERPAYING", "CLOSED", "SUCCESS", "REFUND"].contains(&state.as_str())
        }).prop_map(TradeState::Unknown),
    ];
    state.prop_map(move |state| about(&order, state))
}

/// A report that may be about another amount, order, merchant, app or payment.
fn any_reports() -> impl Strategy<Value = OrderReport> {
    (true_reports(), 0_u8..8).prop_map(|(mut report, wrong)| {
        match wrong {
            0 => report.total = Some(Fen::new(1).unwrap()),
            1 => report.mchid = Some(Mchid::parse("1900009999").unwrap()),
            2 => report.appid = Some(Appid::parse("wx0000000000000000").unwrap()),
            3 => report.currency = Some("USD".to_owned()),
            4 => report.order_id = OrderId::parse("another-order").unwrap(),
            5 => {
                if let TradeState::Paid(paid) = &mut report.state {
                    paid.transaction_id = TransactionId::parse("4200000002").unwrap();
                }
            }
            _ => {}
        }
        report
    })
}

/// Where an order has come to: what nobody may see differently.
fn standing(order: &Order) -> (u8, Option<(&TransactionId, i64, u32)>) {
    let payment = order.payment_on_record();
    let payment = payment.map(|payment| {
        (
            &payment.transaction_id,
            payment.refundable,
            payment.refund_count,
        )
    });
    (order.state.rank(), payment)
}

fn heard(start: &Order, reports: &[OrderReport]) -> Order {
    reports.iter().fold(start.clone(), |order, report| {
        decided(&order, &order.observe(report, HEARD))
    })
}

proptest! {
    #![proptest_config(law())]

    /// Confluence: what is heard in any sequence, and some of it again, comes to the same.
    #[test]
    fn any_sequence_of_true_reports_with_repeats_ends_where_the_first_one_does(
        start in select(orders()),
        (reports, shuffled) in vec(true_reports(), 1..7).prop_flat_map(|reports| {
            let twice = [&reports[..], &reports[..]].concat();
            let repeats = subsequence(reports.clone(), 0..=reports.len());
            let shuffled = (Just(twice), repeats)
                .prop_map(|(twice, repeats)| [twice, repeats].concat())
                .prop_shuffle();
            (Just(reports), shuffled)
        }),
    ) {
        let (once, often) = (heard(&start, &reports), heard(&start, &shuffled));
        prop_assert_eq!(standing(&once), standing(&often));
    }

    /// Monotone: no report of whatever kind lowers a rank, changes a term, or skips a version.
    #[test]
    fn no_sequence_of_reports_takes_an_order_back(
        start in select(orders()),
        reports in vec(any_reports(), 1..12),
    ) {
        let mut order = start;
        for report in &reports {
            let change = order.observe(report, HEARD);
            let next = decided(&order, &change);
            prop_assert!(next.state.rank() >= order.state.rank());
            prop_assert_eq!(&next.terms, &order.terms);
            let raised = u64::from(matches!(change, OrderChange::Changed(_)));
            prop_assert_eq!(next.version, order.version + raised);
            // A payment that is known stays that payment.
            if let Some(payment) = order.payment_on_record() {
                let now = next.payment_on_record().map(|now| &now.transaction_id);
                prop_assert_eq!(now, Some(&payment.transaction_id));
            }
            // Idempotent: heard again at once it changes nothing.
            let again = next.observe(report, HEARD.plus_seconds(1));
            prop_assert!(!matches!(again, OrderChange::Changed(_)), "{:?}", again);
            order = next;
        }
    }

    /// Nothing is paid but by a report of exactly this order, amount, currency, merchant and app.
    #[test]
    fn only_what_fits_in_everything_pays_an_order(
        start in select(orders()),
        report in any_reports(),
    ) {
        let paid_before = start.payment_on_record().is_some();
        let after = decided(&start, &start.observe(&report, HEARD));
        if !paid_before && after.payment_on_record().is_some() {
            let fitting = about(&start, report.state.clone());
            prop_assert_eq!(&report, &fitting);
            prop_assert!(matches!(report.state, TradeState::Paid(_)));
        }
    }
}

fn statuses() -> impl Strategy<Value = RefundStatus> {
    prop_oneof![
        Just(RefundStatus::Processing),
        Just(RefundStatus::Abnormal),
        Just(RefundStatus::Closed),
        proptest::option::of(Just(HEARD)).prop_map(|at| RefundStatus::Success { at }),
        Just(RefundStatus::Unknown("CHANGE".to_owned())),
    ]
}

/// Without both of the ends that exclude each other.
fn agreeing_statuses() -> impl Strategy<Value = Vec<RefundStatus>> {
    (vec(statuses(), 1..8), any::<bool>()).prop_map(|(mut statuses, closes)| {
        statuses.retain(|status| match status {
            RefundStatus::Success { .. } => !closes,
            RefundStatus::Closed => closes,
            RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Unknown(_) => true,
        });
        statuses
    })
}

fn told(refund: &Refund, status: &RefundStatus) -> RefundReport {
    RefundReport {
        refund_id: refund.refund_id.clone(),
        order_id: refund.order_id.clone(),
        mchid: None,
        sub_mchid: None,
        transaction_id: refund.transaction_id.clone(),
        wechatpay_refund_id: WechatpayRefundId::parse("50300000001").unwrap(),
        amount: refund.amount,
        total: refund.total,
        status: status.clone(),
    }
}

/// The refund afterwards, and by how much the order's `refundable` rises.
fn settled(refund: &Refund, status: &RefundStatus) -> (Refund, i64) {
    match refund.observe(&told(refund, status), HEARD) {
        RefundChange::Changed { refund, money } => match money {
            RefundableChange::Released(fen) => (*refund, fen.get()),
            RefundableChange::TakenAgain(fen) => (*refund, -fen.get()),
            RefundableChange::Stays => (*refund, 0),
        },
        RefundChange::Unchanged | RefundChange::Contradiction(_) => (refund.clone(), 0),
    }
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn any_sequence_of_a_refunds_reports_with_repeats_ends_where_the_first_one_does(
        start in select(STATES.to_vec()),
        (first, shuffled) in agreeing_statuses().prop_flat_map(|statuses| {
            let twice = [&statuses[..], &statuses[..]].concat();
            (Just(statuses), Just(twice).prop_shuffle())
        }),
    ) {
        let end = |statuses: &[RefundStatus]| {
            let refund = statuses.iter().fold(refund(start), |refund, status| {
                settled(&refund, status).0
            });
            refund.state.as_str()
        };
        prop_assert_eq!(end(&first), end(&shuffled));
    }

    /// What a refund gives back to its order in all is what it stopped holding, and never twice.
    #[test]
    fn no_sequence_of_a_refunds_reports_makes_or_loses_money(
        start in select(STATES.to_vec()),
        statuses in vec(statuses(), 1..12),
    ) {
        let mut refund = refund(start);
        let holds = |refund: &Refund| match refund.state.holds_money() {
            true => refund.amount.get(),
            false => 0,
        };
        let (before, mut released) = (holds(&refund), 0);
        for status in &statuses {
            let (next, money) = settled(&refund, status);
            released += money;
            prop_assert_eq!(next.amount, refund.amount);
            prop_assert!(next.version == refund.version || next.version == refund.version + 1);
            let (again, nothing) = settled(&next, status);
            prop_assert_eq!((&again, nothing), (&next, 0), "heard again");
            refund = next;
        }
        prop_assert_eq!(released, before - holds(&refund));
        prop_assert!((-refund.amount.get()..=refund.amount.get()).contains(&released));
    }

    /// However refunds are asked for and end, what is left and what they hold make the total.
    #[test]
    fn the_books_balance_after_whatever_happens(
        total in 1_i64..2_000,
        steps in vec((1_i64..800, statuses(), any::<prop::sample::Index>()), 0..90),
    ) {
        let mut order = paid_order();
        order.terms.total = Fen::new(total).unwrap();
        let OrderState::Success(payment) = &mut order.state else {
            return Err(TestCaseError::fail("the order is paid"));
        };
        payment.refundable = total;
        let mut refunds: Vec<Refund> = Vec::new();
        for (amount, status, place) in steps {
            let OrderState::Success(payment) = &mut order.state else {
                return Err(TestCaseError::fail("the order stays paid"));
            };
            let amount = Fen::new(amount).unwrap();
            match not_refundable(payment, amount, HEARD) {
                None => {
                    payment.refundable -= amount.get();
                    payment.refund_count += 1;
                    let mut reserved = refund(RefundState::Reserved);
                    reserved.amount = amount;
                    refunds.push(reserved);
                }
                Some(_) if refunds.is_empty() => {}
                Some(_) => {
                    let place = place.index(refunds.len());
                    let (next, released) = settled(&refunds[place], &status);
                    payment.refundable += released;
                    refunds[place] = next;
                }
            }
            prop_assert!((0..=total).contains(&payment.refundable));
            prop_assert!(payment.refund_count <= 50);
            prop_assert!(books_balance(&order, &refunds));
        }
    }

    /// Fen do what integers of any size do, and say so where the result is no amount.
    #[test]
    fn fen_are_integers_between_their_bounds(given: i64, other in 1..=i64::from(FEN_MAX), times: u32) {
        let max = i128::from(FEN_MAX);
        let in_bounds = |value: i128| (1..=max).contains(&value);
        prop_assert_eq!(Fen::new(given).map(Fen::get).ok(), in_bounds(given.into()).then_some(given));
        let other = Fen::new(other).unwrap();
        let one = Fen::new(given.rem_euclid(i64::from(FEN_MAX)) + 1).unwrap();
        let wide = |fen: Fen| i128::from(fen.get());
        for (result, exact) in [
            (one.plus(other), wide(one) + wide(other)),
            (other.plus(one), wide(one) + wide(other)),
            (one.times(times), wide(one) * i128::from(times)),
            (one.times(times % 64), wide(one) * i128::from(times % 64)),
        ] {
            prop_assert_eq!(result.map(wide).ok(), in_bounds(exact).then_some(exact));
        }
        prop_assert_eq!(one.to_string(), one.get().to_string());
    }

    /// A number is taken as it is or not at all: of its alphabet, of its length.
    #[test]
    fn numbers_are_of_their_alphabet_or_none(text in "(?s).{0,70}", plain in "[0-9A-Za-z_-]{0,70}") {
        for text in [text, plain] {
            let legal = text.bytes().all(|byte| {
                byte.is_ascii_digit() || byte.is_ascii_alphabetic() || b"_-".contains(&byte)
            });
            let fits = |lengths: std::ops::RangeInclusive<usize>| legal && lengths.contains(&text.len());
            let order = OrderId::parse(text.as_str()).map(|id| id.as_str().to_owned()).ok();
            prop_assert_eq!(order, fits(6..=32).then(|| text.clone()));
            let refund = RefundId::parse(text.as_str()).map(|id| id.as_str().to_owned()).ok();
            prop_assert_eq!(refund, fits(1..=64).then(|| text.clone()));
            let payment = TransactionId::parse(text.as_str()).map(|id| id.as_str().to_owned()).ok();
            prop_assert_eq!(payment, fits(1..=32).then(|| text.clone()));
        }
    }
}
