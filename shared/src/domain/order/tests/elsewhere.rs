//! Refunds that never left from the record: what a signed report of one does to its order.

use super::*;
use crate::domain::report::{RefundReport, RefundStatus};
use crate::domain::terms::SubMerchant;
use crate::domain::{RefundId, WechatpayRefundId};

/// A refund of the payment on record, of a part of it.
fn refund(status: RefundStatus) -> RefundReport {
    RefundReport {
        refund_id: RefundId::parse("ELSEWHERE_1").unwrap(),
        order_id: terms().order_id,
        mchid: None,
        sub_mchid: None,
        transaction_id: transaction("4200000001"),
        wechatpay_refund_id: WechatpayRefundId::parse("50300806962021012804996071642").unwrap(),
        amount: Fen::new(100).unwrap(),
        total: terms().total,
        status,
    }
}

fn statuses() -> [(RefundStatus, bool); 5] {
    [
        (RefundStatus::Processing, true),
        (RefundStatus::Success { at: Some(NOW) }, true),
        (RefundStatus::Abnormal, true),
        (RefundStatus::Closed, false),
        (RefundStatus::Unknown("REVIEWING".to_owned()), false),
    ]
}

#[test]
fn a_paid_order_counts_as_refunded_elsewhere_where_money_went_back_and_no_other_does() {
    for order in orders() {
        for (status, took_money) in statuses() {
            let change = order.observe_refund_elsewhere(&refund(status), LATER);
            let Some(payment) = order.payment_on_record().filter(|_| took_money) else {
                assert_eq!(change, OrderChange::Unchanged, "{order:?}");
                continue;
            };
            let after = changed(change);
            let expected = Payment {
                refunded_elsewhere: true,
                ..payment.clone()
            };
            assert_eq!(after.payment_on_record(), Some(&expected));
            assert_eq!(after.payment_on_record().unwrap().still_refundable(), 0);
            assert_eq!(after.version, order.version + 1);
            // Once is enough.
            let again = refund(RefundStatus::Processing);
            let again = after.observe_refund_elsewhere(&again, LATER);
            assert_eq!(again, OrderChange::Unchanged);
        }
    }
}

#[test]
fn a_report_that_is_not_about_this_payment_says_nothing_of_it() {
    let order = success(None);
    let told = refund(RefundStatus::Processing);
    let own = RefundReport {
        mchid: Some(terms().mchid),
        ..told.clone()
    };
    let change = order.observe_refund_elsewhere(&own, LATER);
    assert!(matches!(change, OrderChange::Changed(_)));
    let others = [
        RefundReport {
            order_id: OrderId::parse("ORDER_000002").unwrap(),
            ..told.clone()
        },
        RefundReport {
            transaction_id: transaction("4200000002"),
            ..told.clone()
        },
        RefundReport {
            total: Fen::new(TOTAL + 1).unwrap(),
            ..told.clone()
        },
        RefundReport {
            mchid: Some(Mchid::parse("1900007292").unwrap()),
            ..told.clone()
        },
        RefundReport {
            sub_mchid: Some(Mchid::parse("1900000109").unwrap()),
            ..told.clone()
        },
    ];
    for other in others {
        let change = order.observe_refund_elsewhere(&other, LATER);
        assert_eq!(change, OrderChange::Unchanged, "{other:?}");
    }
    // A partner's order is its sub-merchant's, where the report says whose.
    let sub_mchid = Mchid::parse("1900000109").unwrap();
    let mut partners = order;
    partners.terms.sub_merchant = Some(SubMerchant {
        mchid: sub_mchid.clone(),
        appid: None,
    });
    for (mchid, sub_mchid, fits) in [
        (None, None, true),
        (None, Some(sub_mchid.clone()), true),
        (Some(terms().mchid), Some(sub_mchid), true),
        (Some(terms().mchid), None, false),
    ] {
        let told = RefundReport {
            mchid,
            sub_mchid,
            ..told.clone()
        };
        let change = partners.observe_refund_elsewhere(&told, LATER);
        assert_eq!(matches!(change, OrderChange::Changed(_)), fits, "{told:?}");
    }
}
