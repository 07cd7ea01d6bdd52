//! Reports that do not fit the record: what differs is named, and nothing changes.

use super::*;
use crate::domain::terms::{Payee, SubMerchant};

#[test]
fn a_field_that_differs_is_named_in_every_state_and_changes_nothing() {
    for state in [TradeState::Unpaid, TradeState::Closed, paid().state] {
        let report = report(state);
        let cases = [
            (
                "out_trade_no",
                OrderReport {
                    order_id: OrderId::parse("ORDER_000002").unwrap(),
                    ..report.clone()
                },
            ),
            (
                "mchid",
                OrderReport {
                    mchid: Some(Mchid::parse("1900007292").unwrap()),
                    ..report.clone()
                },
            ),
            (
                "appid",
                OrderReport {
                    appid: Some(Appid::parse("wx0000000000000000").unwrap()),
                    ..report.clone()
                },
            ),
            (
                "amount.total",
                OrderReport {
                    total: Some(Fen::new(1).unwrap()),
                    ..report.clone()
                },
            ),
            (
                "amount.total",
                OrderReport {
                    total: Some(Fen::new(TOTAL + 1).unwrap()),
                    ..report.clone()
                },
            ),
            (
                "amount.currency",
                OrderReport {
                    currency: Some("USD".to_owned()),
                    ..report.clone()
                },
            ),
            (
                "amount.currency",
                OrderReport {
                    currency: Some("cny".to_owned()),
                    ..report.clone()
                },
            ),
        ];
        for order in orders() {
            for (field, report) in &cases {
                assert_eq!(order.observe(report, NOW), differs(field), "{order:?}");
            }
        }
    }
}

#[test]
fn a_partners_order_is_the_sub_merchants_that_it_was_placed_for() {
    let sub = |mchid: &str| Mchid::parse(mchid).ok();
    let app = |appid: &str| Appid::parse(appid).ok();
    let of = |mchid: Option<Mchid>, sub_mchid, sub_appid, state: &TradeState| OrderReport {
        mchid,
        sub_mchid,
        sub_appid,
        ..report(state.clone())
    };
    let own = || Some(terms().mchid);
    for state in [TradeState::Unpaid, TradeState::Closed, paid().state] {
        for direct in orders() {
            let fits = direct.observe(&report(state.clone()), NOW);
            // A direct merchant's order is no sub-merchant's.
            let partners = of(own(), sub("1900000110"), None, &state);
            assert_eq!(direct.observe(&partners, NOW), differs("sub_mchid"));
            let partners = of(None, sub("1900000110"), None, &state);
            let observed = direct.observe(&partners, NOW);
            assert!(matches!(observed, OrderChange::Contradiction(_)));

            let mut order = direct.clone();
            order.terms.sub_merchant = Some(SubMerchant {
                mchid: sub("1900000110").unwrap(),
                appid: app("wxd678efh567hg6788"),
            });
            let whole = of(own(), sub("1900000110"), app("wxd678efh567hg6788"), &state);
            let mut told = order.observe(&whole, NOW);
            if let OrderChange::Changed(after) = &mut told {
                assert!(after.terms.sub_merchant.take().is_some());
            }
            assert_eq!(told, fits, "what fits means the same in both modes");
            let (sub_mchid, sub_appid) = (&whole.sub_mchid, &whole.sub_appid);
            for (field, other) in [
                (
                    "sub_mchid",
                    of(own(), sub("1900000111"), sub_appid.clone(), &state),
                ),
                ("sub_mchid", of(own(), None, None, &state)),
                (
                    "sub_appid",
                    of(own(), sub_mchid.clone(), app("wx02"), &state),
                ),
            ] {
                assert_eq!(order.observe(&other, NOW), differs(field), "{other:?}");
            }
            // A payment has to say in whose app it was paid; other reports need not.
            let without = order.observe(&of(own(), sub_mchid.clone(), None, &state), NOW);
            let is_payment = matches!(state, TradeState::Paid(_));
            assert_eq!(without == differs("sub_appid"), is_payment);
        }
    }
}

#[test]
fn an_answer_to_another_merchant_tells_nothing_of_an_order() {
    let mut terms = terms();
    let payee = |mchid: &str, sub_mchid: Option<&str>| Payee {
        mchid: Mchid::parse(mchid).unwrap(),
        sub_mchid: sub_mchid.map(|mchid| Mchid::parse(mchid).unwrap()),
    };
    let own = terms.mchid.as_str().to_owned();
    assert_eq!(payee(&own, None).differing_field(&terms), None);
    let other = payee("1900007292", None).differing_field(&terms);
    assert_eq!(other, Some("mchid"));
    let other = payee(&own, Some("1900000110")).differing_field(&terms);
    assert_eq!(other, Some("sub_mchid"));
    terms.sub_merchant = Some(SubMerchant {
        mchid: Mchid::parse("1900000110").unwrap(),
        appid: None,
    });
    let own_sub = payee(&own, Some("1900000110"));
    assert_eq!(own_sub.differing_field(&terms), None);
    for sub_mchid in [None, Some("1900000111")] {
        let other = payee(&own, sub_mchid).differing_field(&terms);
        assert_eq!(other, Some("sub_mchid"));
    }
}

#[test]
fn a_payment_needs_every_field_that_makes_it_ours_and_other_reports_do_not() {
    type LeaveOut = fn(&mut OrderReport);
    let absences: [(&str, LeaveOut); 4] = [
        ("mchid", |report| report.mchid = None),
        ("appid", |report| report.appid = None),
        ("amount.total", |report| report.total = None),
        ("amount.currency", |report| report.currency = None),
    ];
    for order in orders() {
        for (field, leave_out) in absences {
            let mut bare = paid();
            leave_out(&mut bare);
            assert_eq!(order.observe(&bare, NOW), differs(field), "{order:?}");
            for state in [TradeState::Unpaid, TradeState::Closed] {
                let whole = report(state);
                let mut bare = whole.clone();
                leave_out(&mut bare);
                assert_eq!(
                    order.observe(&bare, NOW),
                    order.observe(&whole, NOW),
                    "{field}"
                );
            }
        }
    }
}

#[test]
fn a_payer_pays_between_nothing_and_the_total() {
    for (payer_total, fits) in [
        (None, true),
        (Some(0), true),
        (Some(TOTAL), true),
        (Some(-1), false),
        (Some(TOTAL + 1), false),
        (Some(i64::MIN), false),
        (Some(i64::MAX), false),
    ] {
        let observation = not_pay().observe(&paid_with(|paid| paid.payer_total = payer_total), NOW);
        if fits {
            let changed = changed(observation);
            assert_eq!(
                changed.payment_on_record().unwrap().payer_total,
                payer_total
            );
        } else {
            assert_eq!(
                observation,
                differs("amount.payer_total"),
                "{payer_total:?}"
            );
        }
    }
}

#[test]
fn only_a_jsapi_order_is_paid_by_the_one_who_ordered() {
    for trade_type in TradeType::ALL {
        let ordered_by = terms().openid;
        for (fixed, payer, fits) in [
            (ordered_by.clone(), ordered_by.clone(), true),
            (ordered_by.clone(), None, true),
            (None, Some(openid("someone-else")), true),
            (
                ordered_by,
                Some(openid("someone-else")),
                trade_type != TradeType::Jsapi,
            ),
        ] {
            let mut order = not_pay();
            (order.terms.trade_type, order.terms.openid) = (trade_type, fixed.clone());
            let observation = order.observe(&paid_with(|paid| paid.openid = payer.clone()), NOW);
            if fits {
                assert_eq!(changed(observation).state.as_str(), "SUCCESS");
            } else {
                assert_eq!(observation, differs("payer.openid"), "{trade_type:?}");
            }
        }
    }
}

#[test]
fn another_note_than_the_orders_is_another_orders_payment() {
    let note = |note: &str| Some(note.to_owned());
    for (ordered, echoed, fits) in [
        (note("a"), note("a"), true),
        (note("a"), None, true),
        (None, None, true),
        (note("a"), note("b"), false),
        (note("a"), note("a "), false),
        (None, note("b"), false),
    ] {
        let mut order = not_pay();
        order.terms.attach = ordered.clone();
        let observation = order.observe(&paid_with(|paid| paid.attach = echoed.clone()), NOW);
        if fits {
            assert_eq!(changed(observation).state.as_str(), "SUCCESS");
        } else {
            assert_eq!(observation, differs("attach"), "{ordered:?} {echoed:?}");
        }
    }
}

#[test]
fn a_payment_is_not_older_than_its_order_by_more_than_clocks_differ() {
    for (before_seconds, fits) in [
        (-86_400, true),
        (0, true),
        // As far as WeChat Pay lets a signature's time be off.
        (300, true),
        (301, false),
        (86_400, false),
        (i64::MAX, false),
    ] {
        let paid_at = CREATED.minus_seconds(before_seconds);
        let report = paid_with(|paid| paid.success_time = Some(paid_at));
        let older = OrderChange::Contradiction(Contradiction::PaidBeforePlaced);
        for order in orders() {
            assert_eq!(
                order.observe(&report, NOW) == older,
                !fits,
                "{before_seconds} {order:?}"
            );
        }
    }
}

#[test]
fn a_state_without_a_meaning_is_a_contradiction_everywhere() {
    for order in orders() {
        for name in ["REVOKED", "PAYERROR", "", "success", "REFUNDED"] {
            let observation = order.observe(&report(TradeState::Unknown(name.to_owned())), NOW);
            let contradiction = Contradiction::UnknownState(name.to_owned());
            assert_eq!(
                observation,
                OrderChange::Contradiction(contradiction),
                "{order:?}"
            );
        }
    }
}

#[test]
fn a_contradiction_is_told_without_what_it_was_about() {
    let told = |contradiction: Contradiction| contradiction.to_string();
    assert_eq!(
        told(Contradiction::Differs { field: "mchid" }),
        "mchid differs from the record"
    );
    assert_eq!(
        told(Contradiction::PaidBeforePlaced),
        "it was paid before the order was placed"
    );
    let (recorded, reported) = (transaction("4200000001"), transaction("4200000002"));
    let second = told(Contradiction::SecondTransaction { recorded, reported });
    assert_eq!(second, "a second payment of a paid order");
    let unknown = told(Contradiction::UnknownState("<script>".to_owned()));
    assert_eq!(unknown, "a state that has no meaning here");
    let impossible = Contradiction::Impossible {
        recorded: "CLOSED",
        reported: "SUCCESS",
    };
    assert_eq!(told(impossible), "SUCCESS cannot follow CLOSED");
}
