//! Callers who ask too much, or for what cannot be: they are answered at once, they cost WeChat Pay
//! little, they take nothing from others, and no answer of theirs is a 5xx.

use std::sync::Arc;

use futures_util::future::join_all;
use local::aws::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::tap::Held;
use crate::harness::{ALICE, Answer, BOB, TestStack, native_order};

fn tea() -> Value {
    json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]})
}

/// How many requests to WeChat Pay went out whose path ends in this.
fn asked(stack: &TestStack, end: &str) -> usize {
    let requests = stack.wire.requests();
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    requests
        .iter()
        .filter(|request| path(&request.target).ends_with(end))
        .count()
}

#[tokio::test]
async fn a_payers_refunds_of_an_unpaid_order_wait_for_nobody_and_starve_nobody() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let placed = stack
        .post_once(&alice, "/orders", "key-0000000000001", tea())
        .await
        .expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    let refunds = format!("/orders/{number}/refunds");
    let body = |number: String| json!({"out_refund_no": number, "amount": {"refund": 1}});
    let one = async |place: usize| {
        let number = format!("flood-{place}");
        stack.post(&alice, &refunds, body(number)).await
    };
    let answers: Vec<Answer> = join_all((0..8).map(one)).await;
    for answer in &answers {
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(answer.body["code"], "order_not_paid");
    }
    let told_to_wait = answers
        .iter()
        .filter(|answer| answer.retry_after == Some(2));
    let questions = asked(&stack, number);
    assert_eq!(
        told_to_wait.count() + questions,
        8,
        "the others read the record"
    );
    // Paid meanwhile, without a notification; a payer asked a moment ago.
    stack.fault("notice_lost", json!({"count": 9})).await;
    stack
        .control(
            &format!("orders/{number}/pay"),
            json!({"openid": ALICE, "pay": placed["pay"]}),
        )
        .await;
    one(8).await;
    let merchants = stack
        .post(&stack.merchant, &refunds, body("merchants-1".to_owned()))
        .await;
    assert_eq!(merchants.status, 202, "{merchants:?}");
}

#[tokio::test]
async fn what_the_merchants_account_lacks_is_no_fault_of_the_servers() {
    let stack = TestStack::start().await;
    let mchid = stack.stack.simulator.merchant().mchid.clone();
    let products = async |open: Value| {
        let path = format!("merchants/{mchid}");
        stack.control(&path, json!({"products": open})).await;
    };
    products(json!(["jsapi"])).await;
    let place = async || {
        stack
            .post(&stack.merchant, "/orders", native_order("closed-0001", 100))
            .await
    };
    for _ in 0..2 {
        let refused = place().await.refused(422, "trade_type_unavailable");
        assert_eq!(refused["wechatpay_code"], "NO_AUTH");
        assert_eq!(refused["wechatpay_status"], 403);
    }
    // Once the product is open, the same request is an order.
    products(json!(["jsapi", "native"])).await;
    let placed = place().await.expect(200);
    assert!(placed["pay"]["code_url"].is_string(), "{placed}");
}

#[tokio::test]
async fn what_an_order_says_is_no_fault_of_the_servers() {
    let stack = TestStack::start().await;
    // An openid of another app: only WeChat Pay can know.
    let elsewhere = json!({"appid": "wxanother", "openid": "oOfAnotherApp000000000000000"});
    stack.control("codes", elsewhere).await;
    let body = json!({
        "trade_type": "jsapi", "out_trade_no": "stranger-01", "description": "Coffee",
        "amount": {"total": 100}, "payer": {"openid": "oOfAnotherApp000000000000000"},
    });
    for _ in 0..2 {
        let answer = stack
            .send(
                Method::POST,
                "/orders",
                Some(&stack.merchant),
                &[],
                Some(body.clone()),
            )
            .await;
        let refused = answer.refused(422, "terms_refused");
        assert!(refused["wechatpay_code"].is_string(), "{refused}");
    }
}

/// A WeChat Pay that refuses everything in the same way; its base URL.
async fn refusing(status: u16, code: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refuse = async move || {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let body = json!({"code": code, "message": "no"});
        (status, [("connection", "close")], axum::Json(body))
    };
    let router = axum::Router::new().fallback(refuse);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn no_refusal_of_business_is_a_fault_of_the_servers() {
    let stack = TestStack::start().await;
    for (place, (status, code, told, problem)) in [
        (403, "RULE_LIMIT", 422, "terms_refused"),
        (403, "TRADE_ERROR", 422, "terms_refused"),
        (403, "ACCOUNT_ERROR", 422, "terms_refused"),
        (403, "USER_ACCOUNT_ABNORMAL", 422, "terms_refused"),
        (403, "A_CODE_OF_TOMORROW", 422, "terms_refused"),
        (403, "NO_AUTH", 422, "trade_type_unavailable"),
        (404, "MCH_NOT_EXISTS", 422, "trade_type_unavailable"),
        (401, "SIGN_ERROR", 502, "wechatpay_refused"),
        (409, "A_CODE_OF_TOMORROW", 502, "wechatpay_refused"),
    ]
    .into_iter()
    .enumerate()
    {
        stack.wire.lead_to(&refusing(status, code).await);
        let order = native_order(&format!("refused-{place:03}"), 100);
        for _ in 0..2 {
            let placed = stack.post(&stack.merchant, "/orders", order.clone()).await;
            let refused = placed.refused(told, problem);
            assert_eq!(refused["wechatpay_code"], code);
            assert_eq!(refused["wechatpay_status"], status);
        }
        if code != "MCH_NOT_EXISTS" {
            let path = "/orders?transaction_id=4200002050202311060000000000";
            let asked = stack.get(&stack.merchant, path).await;
            assert_eq!(asked.refused(told, problem)["wechatpay_code"], code);
        }
    }
    stack.wire.lead_to(stack.stack.simulator.base_url());
}

/// Refunds of one order at once, of which DynamoDB lets one through at a time.
#[tokio::test]
async fn requests_that_are_in_each_others_way_are_no_fault_of_the_servers() {
    let stack = TestStack::start().await;
    stack.paid("crowded-01", 500).await;
    stack.watch.set_fault(Some(Arc::new(|call| {
        (call.operation == "TransactWriteItems").then_some(Fault::Conflict)
    })));
    let asked = stack.refund("crowded-01", "crowded-r1", 100).await;
    stack.watch.set_fault(None);
    assert_eq!(asked.retry_after, Some(1));
    asked.refused(429, "concurrent_changes");
    let again = stack.refund("crowded-01", "crowded-r1", 100).await;
    again.expect(202);
}

/// Troubles in which an answer of some kind comes.
const ANSWERED: [&str; 9] = [
    "rate_limited",
    "server_error",
    "server_error_applied",
    "html_error",
    "response_unsigned",
    "response_html",
    "accepted",
    "redirected",
    "unavailable",
];

#[tokio::test]
async fn a_native_order_can_be_sent_again_as_soon_as_wechat_pay_has_answered_anything() {
    let stack = TestStack::start().await;
    for fault in ANSWERED {
        let number = format!("claim-{fault}")
            .replace('_', "-")
            .chars()
            .take(32)
            .collect::<String>();
        let place = async || {
            stack
                .post(&stack.merchant, "/orders", native_order(&number, 100))
                .await
        };
        stack.fault(fault, json!({"count": 2})).await;
        let first = place().await;
        first.refused(503, "wechatpay_unavailable");
        stack.no_faults().await;
        let again = place().await.expect(200);
        assert!(again["pay"]["code_url"].is_string(), "{fault}: {again}");
    }
}

#[tokio::test]
async fn a_native_order_in_doubt_says_so_at_once_and_until_when() {
    let stack = TestStack::start().await;
    let place = async || {
        stack
            .post(&stack.merchant, "/orders", native_order("doubt-0001", 100))
            .await
    };
    stack.fault("response_lost", json!({"count": 1})).await;
    let first = place().await;
    let claimed = stack.order_item("doubt-0001")["code_claim_until"]["N"]
        .as_str()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let wait = first.retry_after.unwrap();
    first.refused(503, "wechatpay_unavailable");
    assert!((1..=12).contains(&wait), "{wait}");
    stack.no_faults().await;
    let again = place().await;
    let wait = again.retry_after.unwrap();
    let ends = stack.now() + wait;
    again.refused(503, "code_pending");
    assert!(
        (claimed..=claimed + 2).contains(&ends),
        "{ends}, not {claimed}"
    );
    let lines = stack.log_lines();
    let line = lines.iter().find(|line| line["code"] == "code_pending");
    let line = line.unwrap();
    // Two seconds of waiting, and a machine that does other things, too.
    assert!(line["duration_ms"].as_i64().unwrap() < 4_000, "{line}");
    assert_eq!(line["level"], "INFO");
    let order = stack.until(
        async || place().await.body,
        |body| body["pay"]["code_url"].is_string(),
    );
    let order = order.await;
    stack
        .control(
            "orders/doubt-0001/pay",
            json!({"code_url": order["pay"]["code_url"]}),
        )
        .await;
    stack.until_state("doubt-0001", "SUCCESS").await;
}

#[tokio::test]
async fn repeats_of_an_order_within_two_seconds_share_one_prepay() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let place = async || {
        stack
            .post_once(&alice, "/orders", "key-0000000000001", tea())
            .await
    };
    let placed = place().await.expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    assert!(
        stack.order_item(number).get("prepay").is_none(),
        "a first order writes nothing more"
    );
    let (began, before) = (stack.now(), asked(&stack, "/transactions/jsapi"));
    let repeats = async || {
        let answers = join_all((0..12).map(|_| place())).await;
        for answer in answers {
            let order = answer.expect(200);
            assert!(order["pay"]["paySign"].is_string(), "{order}");
        }
    };
    repeats().await;
    repeats().await;
    let seconds = stack.now() - began;
    let prepays = asked(&stack, "/transactions/jsapi") - before;
    let most = usize::try_from(1 + seconds / 2 + 1).unwrap();
    assert!(
        (1..=most).contains(&prepays),
        "{prepays} prepays in {seconds} s"
    );
    // And whatever a repeat was answered with can be paid, by nobody who reads the table.
    let again = place().await.expect(200);
    let prepay_id = again["pay"]["package"].as_str().unwrap();
    let prepay_id = prepay_id.strip_prefix("prepay_id=").unwrap();
    let item = stack.order_item(number);
    assert!(item["prepay"]["S"].is_string() && !item.to_string().contains(prepay_id));
    stack
        .control(
            &format!("orders/{number}/pay"),
            json!({"openid": ALICE, "pay": again["pay"]}),
        )
        .await;
    stack.until_state(number, "SUCCESS").await;
}

#[tokio::test]
async fn a_payer_has_a_bound_on_unpaid_orders_and_nobody_else_feels_it() {
    let stack = TestStack::with(|options| {
        let bound = ("MaxOpenOrdersPerPayer".to_owned(), "3".to_owned());
        options.parameters.extend([bound]);
    })
    .await;
    let (alice, bob) = (stack.login(ALICE).await, stack.login(BOB).await);
    let place = async |payer: &str, place: usize| {
        let key = format!("key-{place:013}");
        stack.post_once(payer, "/orders", &key, tea()).await
    };
    let mut orders = Vec::new();
    for number in 0..3 {
        orders.push(place(&alice, number).await.expect(201));
    }
    let refused = place(&alice, 3).await;
    assert!(
        (1_700..=1_800).contains(&refused.retry_after.unwrap()),
        "{refused:?}"
    );
    let refused = refused.refused(429, "too_many_open_orders");
    assert_eq!(refused["open_orders"], 3);
    assert_eq!(
        stack.seen("ledger").await.len(),
        3,
        "WeChat Pay hears nothing of it"
    );
    // A repeat is no further order; another payer and the merchant have no part in it.
    assert!(place(&alice, 0).await.expect(200)["pay"].is_object());
    place(&bob, 0).await.expect(201);
    let merchants = json!({
        "trade_type": "jsapi", "out_trade_no": "for-alice-01", "description": "Coffee",
        "amount": {"total": 100}, "payer": {"openid": ALICE},
    });
    stack
        .post(&stack.merchant, "/orders", merchants)
        .await
        .expect(201);
    // One paid, closed or expired is no longer open.
    let number = |place: usize| orders[place]["out_trade_no"].as_str().unwrap();
    let pay = json!({"openid": ALICE, "pay": orders[0]["pay"]});
    stack
        .control(&format!("orders/{}/pay", number(0)), pay)
        .await;
    stack.until_state(number(0), "SUCCESS").await;
    place(&alice, 4).await.expect(201);
    place(&alice, 5).await.refused(429, "too_many_open_orders");
    let close = format!("/orders/{}/close", number(1));
    stack.post(&alice, &close, json!({})).await.expect(200);
    place(&alice, 5).await.expect(201);
    place(&alice, 6).await.refused(429, "too_many_open_orders");
    stack.advance(31 * 60).await;
    place(&alice, 6).await.expect(201);
    // Nor is it passed by who closes so many that the unpaid ones are behind them.
    let mut closed = stack.order_item(number(1));
    let now = stack.stack.clock().business().unix_seconds();
    closed["created_at"] = json!({"N": now.to_string()});
    for at in 0..100 {
        let copy = format!("alices-closed-{at:03}");
        closed["out_trade_no"] = json!({"S": copy});
        closed["pk"] = json!({"S": format!("ORDER#{copy}")});
        stack.put_item(&closed);
    }
    let hidden = place(&alice, 7).await;
    assert!((1_700..=1_800).contains(&hidden.retry_after.unwrap()));
    let told = hidden.refused(429, "too_many_open_orders");
    assert!(told["detail"].as_str().unwrap().contains("100"), "{told}");
    place(&bob, 7).await.expect(201);
}

#[tokio::test]
async fn a_user_who_logs_in_all_the_time_is_told_that_it_is_too_often() {
    let stack = TestStack::start().await;
    let login = async || {
        let code = stack.control("codes", json!({"openid": ALICE})).await;
        let body = json!({"code": code["code"]});
        let answer = stack
            .send(Method::POST, "/sessions", None, &[], Some(body))
            .await;
        if let Some(token) = answer.body["token"].as_str() {
            stack.watch.hide(token);
        }
        answer
    };
    for _ in 0..100 {
        login().await.expect(200);
    }
    let refused = login().await;
    assert_eq!(refused.retry_after, Some(60));
    refused.refused(429, "too_many_logins");
}

/// What a stranger's refund waits for is counted in questions to WeChat Pay, not in seconds: alone it
/// takes two, and beside unpaid orders each shard may be about two more.
#[tokio::test]
async fn a_strangers_refund_waits_behind_no_unpaid_orders() {
    let stack = TestStack::start().await;
    stack.paid("stranger-0001", 500).await;
    stack.native("flood-template", 100).await;
    stack
        .fault("request_lost", json!({"operation": "refund"}))
        .await;
    let asked = stack.refund("stranger-0001", "stranger-r1", 500).await;
    assert_eq!(asked.expect(202)["status"], "RESERVED");
    stack.no_faults().await;
    let template = stack.order_item("flood-template");
    for place in 0..1_500 {
        let mut order = template.clone();
        let number = format!("flood-{place:04}");
        order["pk"] = json!({"S": format!("ORDER#{number}")});
        order["out_trade_no"] = json!({"S": number});
        order["due_shard"] = json!({"S": (place % 10).to_string()});
        order["due_at"] = json!({"N": "1"});
        stack.put_item(&order);
    }
    // Past the minute between two refunds of an order.
    stack.advance(90).await;
    let before = stack.wire.requests().len();
    // No call of the flood's is answered, so a refund that waited for one would wait until it is given up.
    stack.wire.hold(
        Held::Unsent,
        &["GET /v3/pay/transactions/out-trade-no/flood-"],
    );
    let sent = || {
        let requests = stack.wire.requests();
        requests[before..].iter().any(|it| it.method == "POST")
    };
    let both = async || json!([sent(), stack.wire.held()]);
    let shards_of_a_lane = u64::from(shared::store::SHARDS / 2);
    let seen = tokio::select! {
        _ = stack.sweep() => both().await,
        seen = stack.until(both, |seen| seen[0] == true && seen[1] != 0) => seen,
    };
    assert_eq!(seen[0], true, "the refund is sent");
    // Nobody has given up a first call yet: each shard is at the flood's first two orders.
    assert!(seen[1].as_u64() <= Some(2 * shards_of_a_lane), "{seen}");
}
