//! Orders: placed once, changed only from the version that was read, claimed by one at a time.

use serde_json::json;
use shared::domain::order::ClosedBy;
use shared::domain::terms::Item;
use shared::domain::{Due, Order, OrderState, Payment, Terms, TradeType};
use shared::store::{Commit, KeptPrepay, Placed, PrepayClaim, Reserve, StoreError, StoredOrder};

use super::bench::Bench;
use super::{
    NOW, SLOT, changed, closed, every_extra, fen, merchants, order, order_id, paid, payment,
    refund, request, soon, sub_merchant, terms,
};

fn stored(order: &Order) -> StoredOrder {
    StoredOrder {
        order: order.clone(),
        due: None,
        code: None,
        prepay_claim: None,
    }
}

fn claim(token: &str) -> PrepayClaim {
    PrepayClaim {
        token: token.to_owned(),
        until: NOW.plus_seconds(12),
    }
}

#[tokio::test]
async fn a_number_is_placed_once_and_a_repeat_is_given_what_stands() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let first = order("placed-0001");
    let claim = claim("first");
    let placed = orders
        .place(&first, "attempt-1", Some(&claim), Some(soon()))
        .await;
    assert_eq!(placed.unwrap(), Placed::New);
    let other = Order::placed(Terms {
        total: fen(1),
        ..terms("placed-0001")
    });
    let repeat = orders.place(&other, "attempt-2", None, None).await;
    let stands = StoredOrder {
        due: Some(soon()),
        prepay_claim: Some(claim),
        ..stored(&first)
    };
    assert_eq!(
        repeat.unwrap(),
        Placed::Existing(Box::new(stands.clone())),
        "what stands, not what was asked"
    );
    assert_eq!(bench.load(&first.terms.order_id).await, stands);
}

#[tokio::test]
async fn sixteen_places_at_once_give_one_item() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = order("sixteen-01");
    let attempts: Vec<String> = (0..16).map(|index| format!("attempt-{index}")).collect();
    let placed = attempts
        .iter()
        .map(|attempt| orders.place(&order, attempt, None, None));
    let placed = bench.at_once(placed).await;
    let new = placed.iter().filter(|placed| **placed == Placed::New);
    assert!(new.count() <= 1, "{placed:?}");
    for placed in placed.into_iter().filter(|placed| *placed != Placed::New) {
        assert_eq!(placed, Placed::Existing(Box::new(stored(&order))));
    }
    assert_eq!(bench.items().await.len(), 1);
}

/// Every state, with each of its optional parts there and not there.
fn every_state(order: &Order) -> Vec<Order> {
    let absence = |confirmations| closed(ClosedBy::Absence { confirmations });
    let full = Payment {
        refundable: 0,
        refund_count: 50,
        next_refund_at: Some(NOW.plus_seconds(61)),
        closed_at: Some(NOW),
        ..payment(order)
    };
    let bare = Payment {
        payer_total: None,
        ..payment(order)
    };
    let mut states: Vec<Order> = [
        OrderState::NotPay,
        OrderState::Closing { since: NOW },
        closed(ClosedBy::Wechatpay),
        absence(0),
        absence(2),
        OrderState::Success(bare),
        OrderState::Success(full),
    ]
    .map(|state| changed(order, state))
    .into();
    states.push(Order {
        missing_since: Some(NOW.plus_seconds(2_400)),
        ..changed(order, OrderState::Closing { since: NOW })
    });
    states
}

#[tokio::test]
async fn what_was_placed_is_read_back_whole_in_every_state() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let h5 = Order::placed(Terms {
        payer_client_ip: Some("203.0.113.7".to_owned()),
        sub_merchant: Some(sub_merchant()),
        extras: every_extra(),
        ..merchants("whole-h5", TradeType::H5).terms
    });
    let placed = [
        order("whole-jsapi"),
        h5,
        merchants("whole-native", TradeType::Native),
        merchants("whole-app", TradeType::App),
    ];
    for order in placed {
        bench.placed(&order).await;
        assert_eq!(bench.load(&order.terms.order_id).await, stored(&order));
        let mut before = order.clone();
        for state in every_state(&order) {
            let after = Order {
                version: before.version + 1,
                ..state
            };
            let committed = orders.commit(&before, &after, None).await;
            assert_eq!(committed.unwrap(), Commit::Done);
            let mut expected = stored(&after);
            if let OrderState::Success(payment) = &mut expected.order.state {
                // The moment of the next refund belongs to those who claim it.
                payment.next_refund_at = None;
            }
            assert_eq!(bench.load(&order.terms.order_id).await, expected);
            before = after;
        }
    }
    assert_eq!(orders.load(&order_id("missing-01")).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_a_conflict() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let read = order("conflict-1");
    bench.placed(&read).await;
    let paid = paid(&read);
    let closing = changed(&read, OrderState::Closing { since: NOW });
    assert_eq!(
        orders.commit(&read, &paid, None).await.unwrap(),
        Commit::Done
    );
    assert_eq!(
        orders.commit(&read, &closing, Some(soon())).await.unwrap(),
        Commit::Conflict
    );
    assert_eq!(
        bench.load(&read.terms.order_id).await,
        stored(&paid),
        "a conflict changes nothing"
    );
}

#[tokio::test]
async fn of_sixteen_changes_of_one_version_one_is_made() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let read = order("conflict-2");
    bench.placed(&read).await;
    let paid = paid(&read);
    let commits = (0..16).map(|_| orders.commit(&read, &paid, None));
    let commits = bench.at_once(commits).await;
    let done = commits.iter().filter(|commit| **commit == Commit::Done);
    assert!(done.count() <= 1);
    assert_eq!(bench.load(&read.terms.order_id).await.order, paid);
}

#[tokio::test]
async fn nothing_makes_an_order_that_was_never_placed() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = order("never-0001");
    let id = &order.terms.order_id;
    let claim = claim("token");
    let code = KeptPrepay {
        text: "weixin://wxpay/bizpayurl?pr=1".to_owned(),
        at: NOW,
    };
    let writes = [
        orders.commit(&order, &paid(&order), Some(soon())).await,
        orders.postpone(&order, Some(soon())).await,
        orders.claim_asking(id, NOW, 2).await,
        orders
            .claim_prepay(id, TradeType::Native, &claim, NOW, NOW)
            .await,
        orders
            .keep_prepay(id, TradeType::Native, &claim, &code)
            .await,
        orders.release_prepay(id, &claim).await,
    ];
    for write in writes {
        assert_eq!(write.unwrap(), Commit::Conflict);
    }
    assert!(bench.items().await.is_empty());
}

#[tokio::test]
async fn postponing_leaves_the_version_and_yields_to_a_change() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let read = order("postponed1");
    bench.placed(&read).await;
    let later = Due {
        at: NOW.plus_seconds(300),
        attempts: 2,
    };
    assert_eq!(
        orders.postpone(&read, Some(later)).await.unwrap(),
        Commit::Done
    );
    let expected = StoredOrder {
        due: Some(later),
        ..stored(&read)
    };
    assert_eq!(bench.load(&read.terms.order_id).await, expected);
    // Off the index, and no count of looks is left behind.
    assert_eq!(orders.postpone(&read, None).await.unwrap(), Commit::Done);
    assert_eq!(bench.load(&read.terms.order_id).await, stored(&read));
    let paid = paid(&read);
    orders.commit(&read, &paid, None).await.unwrap();
    assert_eq!(
        orders.postpone(&read, Some(later)).await.unwrap(),
        Commit::Conflict,
        "a paid order is not put back on the index by who read it unpaid"
    );
    assert_eq!(bench.load(&read.terms.order_id).await, stored(&paid));
}

#[tokio::test]
async fn one_caller_in_the_floor_gets_to_ask() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = order("asking-001");
    let id = &order.terms.order_id;
    bench.placed(&order).await;
    let claims = (0..16).map(|_| orders.claim_asking(id, NOW, 2));
    let claims = bench.at_once(claims).await;
    let done = claims.iter().filter(|claim| **claim == Commit::Done);
    assert!(done.count() <= 1);
    // (seconds after the last claim, what is expected)
    for (after, expected) in [
        (0, Commit::Conflict),
        (1, Commit::Conflict),
        (2, Commit::Done),
    ] {
        let claimed = orders.claim_asking(id, NOW.plus_seconds(after), 2).await;
        assert_eq!(claimed.unwrap(), expected, "{after} s later");
    }
    let back = NOW.minus_seconds(3_600);
    assert_eq!(
        orders.claim_asking(id, back, 2).await.unwrap(),
        Commit::Done,
        "a reading from a clock that went back silences nobody"
    );
    assert_eq!(
        bench.load(id).await,
        stored(&order),
        "asking changes neither version nor due time"
    );
}

#[tokio::test]
async fn one_caller_at_a_time_asks_for_a_code() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = merchants("native-001", TradeType::Native);
    let id = &order.terms.order_id;
    let (mine, other) = (claim("mine"), claim("other"));
    let stale = NOW.minus_seconds(6_600);
    let placed = orders.place(&order, "mine", Some(&mine), None).await;
    assert_eq!(placed.unwrap(), Placed::New);
    let ask = async |claim: &PrepayClaim, now| {
        orders
            .claim_prepay(id, TradeType::Native, claim, stale, now)
            .await
            .unwrap()
    };
    assert_eq!(ask(&other, NOW).await, Commit::Conflict, "it is held");
    assert_eq!(ask(&mine, NOW).await, Commit::Done, "the holder repeats");
    let code = |number, at| KeptPrepay {
        text: format!("weixin://wxpay/bizpayurl?pr={number}"),
        at,
    };
    let early = code(0, NOW);
    assert_eq!(
        orders
            .keep_prepay(id, TradeType::Native, &other, &early)
            .await
            .unwrap(),
        Commit::Conflict,
        "only the holder keeps one"
    );
    assert_eq!(
        orders.release_prepay(id, &other).await.unwrap(),
        Commit::Conflict
    );
    // The claim runs out at `until`, not a second before.
    let before = mine.until.minus_seconds(1);
    assert_eq!(ask(&other, before).await, Commit::Conflict);
    assert_eq!(ask(&other, mine.until).await, Commit::Done);
    assert_eq!(
        orders
            .keep_prepay(id, TradeType::Native, &mine, &early)
            .await
            .unwrap(),
        Commit::Conflict,
        "whose claim ran out has the dead code"
    );
    let first = code(1, NOW);
    assert_eq!(
        orders
            .keep_prepay(id, TradeType::Native, &other, &first)
            .await
            .unwrap(),
        Commit::Done
    );
    let known = bench.load(id).await;
    assert_eq!((known.code, known.prepay_claim), (Some(first), None));
    // A good code is not replaced; a stale one is.
    assert_eq!(ask(&mine, NOW).await, Commit::Conflict);
    let replaced = orders
        .claim_prepay(id, TradeType::Native, &mine, NOW, NOW)
        .await;
    assert_eq!(replaced.unwrap(), Commit::Done);
    assert_eq!(
        orders.release_prepay(id, &mine).await.unwrap(),
        Commit::Done
    );
    assert_eq!(bench.load(id).await.prepay_claim, None);
    let closing = changed(&order, OrderState::Closing { since: NOW });
    orders.commit(&order, &closing, None).await.unwrap();
    let closed = orders
        .claim_prepay(id, TradeType::Native, &other, NOW, NOW)
        .await;
    assert_eq!(closed.unwrap(), Commit::Conflict, "nothing left to pay");
}

#[tokio::test]
async fn of_sixteen_who_ask_for_a_code_at_once_one_may() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = merchants("native-002", TradeType::Native);
    bench.placed(&order).await;
    let claims: Vec<PrepayClaim> = (0..16)
        .map(|index| claim(&format!("token-{index}")))
        .collect();
    let asked = claims.iter().map(|claim| {
        orders.claim_prepay(&order.terms.order_id, TradeType::Native, claim, NOW, NOW)
    });
    let asked = bench.at_once(asked).await;
    let done = asked.iter().filter(|claim| **claim == Commit::Done);
    assert!(done.count() <= 1);
    let holder = bench.load(&order.terms.order_id).await.prepay_claim;
    assert!(claims.contains(&holder.unwrap()));
}

#[tokio::test]
async fn many_orders_are_loaded_in_the_order_they_were_asked_for() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let numbers: Vec<String> = (0..30).map(|index| format!("many-{index:04}")).collect();
    for number in &numbers {
        bench.placed(&order(number)).await;
    }
    let mut asked: Vec<_> = numbers
        .iter()
        .rev()
        .map(|number| order_id(number))
        .collect();
    asked.insert(3, order_id("many-missing"));
    let found = orders.load_many(&asked).await.unwrap();
    let found: Vec<&str> = found
        .iter()
        .map(|order| order.terms.order_id.as_str())
        .collect();
    let expected: Vec<&str> = numbers.iter().rev().map(String::as_str).collect();
    assert_eq!(found, expected, "what is missing is left out");
    bench.calls();
    assert!(orders.load_many(&[]).await.unwrap().is_empty());
    assert!(bench.calls().is_empty(), "nothing is asked for nothing");
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_an_error_that_names_it() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let order = bench.paid("unreadable").await;
    let good = bench.order_item("unreadable").await;
    let wrong = [
        ("total", json!({"S": "600"})),
        ("total", json!({"N": "600.5"})),
        ("total", json!({"N": "0"})),
        ("total", json!({"N": "99999999999999999999"})),
        ("total", json!(null)),
        ("version", json!({"N": "-1"})),
        ("trade_state", json!({"S": "REVOKED"})),
        ("trade_type", json!({"S": "micropay"})),
        ("placed_by", json!({"S": "nobody"})),
        ("out_trade_no", json!({"S": "a|b|c|d"})),
        ("transaction_id", json!(null)),
        ("success_time", json!({"S": "2026-09-22T00:00:00+08:00"})),
        ("refundable", json!(null)),
        ("refund_count", json!({"N": "-1"})),
        ("items", json!({"S": "coffee:2"})),
        ("items", json!({"S": "[[\"coffee\",2,250]]"})),
        (
            "items",
            json!({"S": "[[\"coffee\",\"many\",250,\"Coffee\"]]"}),
        ),
        ("items", json!({"S": "[[\"coffee\",2,0,\"Coffee\"]]"})),
        ("attach", json!({"N": "12"})),
        ("due_at", json!({"N": "1.5"})),
    ];
    for (attribute, value) in wrong {
        bench.alter(good.clone(), attribute, value.clone()).await;
        let error = orders.load(&order.terms.order_id).await.unwrap_err();
        let StoreError::Unreadable { key, cause } = &error else {
            panic!("{attribute} = {value}: {error}");
        };
        assert_eq!(key, "ORDER#unreadable");
        assert!(
            cause.contains(attribute) || attribute == "total",
            "{attribute}: {cause}"
        );
        let placed = orders.place(&order, "again", None, None).await;
        assert!(
            matches!(placed, Err(StoreError::Unreadable { .. })),
            "{attribute} = {value}: {placed:?}"
        );
    }
    // What this version does not know is left alone, and does not keep it from reading the rest.
    bench
        .alter(good, "attribute_of_tomorrow", json!({"S": "-"}))
        .await;
    assert_eq!(bench.load(&order.terms.order_id).await.order, order);
    let noted = Order {
        version: order.version + 1,
        ..order.clone()
    };
    orders.commit(&order, &noted, None).await.unwrap();
    let kept = bench.order_item("unreadable").await;
    assert_eq!(kept["attribute_of_tomorrow"], json!({"S": "-"}));
}

/// The size of an order with `articles` of names of `length` and descriptions of `described` bytes, and
/// everything else that one can have.
async fn full_size(bench: &Bench, articles: usize, length: usize, described: usize) -> usize {
    let orders = bench.orders();
    let longest = |length: usize| "x".repeat(length);
    let order = Order::placed(Terms {
        trade_type: TradeType::Native,
        // As priced: the first article's, and that there are more.
        description: longest((described + 4).min(127)),
        attach: Some(longest(128)),
        items: (0..articles)
            .map(|index| Item {
                sku: format!("{index:0length$}"),
                description: longest(described),
                quantity: 9_999,
                unit_price: fen(99_999),
            })
            .collect(),
        ..terms(&format!("{articles:032}"))
    });
    bench.placed(&order).await;
    let claimed = claim(&longest(26));
    let id = &order.terms.order_id;
    orders
        .claim_prepay(id, TradeType::Native, &claimed, NOW, NOW)
        .await
        .unwrap();
    let code = KeptPrepay {
        text: "weixin://wxpay/bizpayurl?pr=p4lpSuKzz".to_owned(),
        at: NOW,
    };
    orders
        .keep_prepay(id, TradeType::Native, &claimed, &code)
        .await
        .unwrap();
    orders.claim_asking(id, NOW, 2).await.unwrap();
    let paid = changed(
        &order,
        OrderState::Success(Payment {
            closed_at: Some(NOW),
            ..payment(&order)
        }),
    );
    orders.commit(&order, &paid, Some(soon())).await.unwrap();
    let asked = request(&format!("size-{articles}"), &paid, 1);
    let sent = refund(&format!("size-sent-{articles}"), &paid, 1);
    let reserved = bench.refunds().reserve(&sent, NOW, SLOT, soon()).await;
    assert_eq!(reserved.unwrap(), Reserve::Done);
    assert_eq!(
        bench.refunds().request(&asked).await.unwrap(),
        Reserve::Done
    );
    super::model::size(&bench.order_item(id.as_str()).await)
}

#[tokio::test]
async fn an_order_with_three_articles_and_everything_else_is_one_write_unit() {
    let bench = Bench::start().await;
    let size = full_size(&bench, 3, 12, 24).await;
    assert!(size <= 1024, "{size} bytes");
    let largest = full_size(&bench, 50, 64, 127).await;
    assert!(
        (11 * 1024..=12 * 1024).contains(&largest),
        "{largest} bytes"
    );
}
