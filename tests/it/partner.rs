//! Partner mode (服务商): the stack signs as a partner, and all its orders are one sub-merchant's.

use serde_json::{Value, json};

use crate::harness::tap::Request;
use crate::harness::{ALICE, BOB, TestStack, payment_content, refund_content, refund_of};

/// The simulated partner's sub-merchant.
const SUB: &str = "1900000110";
/// The sub-merchant's mini-program.
const SUB_APP: &str = "wxd678efh567hg6788";
const OTHER: &str = "1900000111";

async fn partners(sub_appid: &str) -> TestStack {
    TestStack::with(|options| {
        for (name, value) in [("SubMchid", SUB), ("SubAppid", sub_appid)] {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await
}

fn order(number: &str) -> Value {
    json!({
        "trade_type": "jsapi", "out_trade_no": number, "description": "Coffee NOT-LOGGED",
        "amount": {"total": 600}, "payer": {"openid": ALICE},
    })
}

/// The last request of this method whose target begins like this.
fn last(stack: &TestStack, method: &str, target: &str) -> Request {
    let mut requests = stack.wire.requests();
    requests.retain(|request| request.method == method && request.target.starts_with(target));
    requests
        .pop()
        .unwrap_or_else(|| panic!("no {method} {target}"))
}

/// A payment's notice as a partner gets it.
fn paid(stack: &TestStack, number: &str) -> Value {
    let mut content = payment_content(stack, number, 600);
    let merchant = stack.stack.simulator.merchant();
    let members = content.as_object_mut().unwrap();
    members.remove("appid");
    members.remove("mchid");
    content["sp_appid"] = json!(merchant.appid);
    content["sp_mchid"] = json!(merchant.mchid);
    content["sub_appid"] = json!(SUB_APP);
    content["sub_mchid"] = json!(SUB);
    content["payer"] = json!({"sp_openid": BOB, "sub_openid": ALICE});
    content
}

#[tokio::test]
async fn an_order_of_a_sub_merchant_is_paid_closed_and_refunded_as_its_own() {
    let stack = partners(SUB_APP).await;
    let merchant = stack.stack.simulator.merchant().clone();
    let whose = format!("?sp_mchid={}&sub_mchid={SUB}", merchant.mchid);

    // Placed for the sub-merchant, under its mini-program, whose appid the phone's signature is for.
    let placed = stack.post(&stack.merchant, "/orders", order("partner-0001"));
    let placed = placed.await.expect(201);
    let sent = last(&stack, "POST", "/v3/pay/partner/transactions/jsapi").json();
    assert_eq!(sent["sp_appid"], merchant.appid.as_str());
    assert_eq!(sent["sp_mchid"], merchant.mchid.as_str());
    assert_eq!(sent["sub_appid"], SUB_APP);
    assert_eq!(sent["sub_mchid"], SUB);
    assert_eq!(sent["payer"], json!({"sub_openid": ALICE}));
    assert_eq!((sent.get("appid"), sent.get("mchid")), (None, None));
    let item = stack.order_item("partner-0001");
    assert_eq!(item["sub_mchid"]["S"], SUB);
    assert_eq!(item["sub_appid"]["S"], SUB_APP);
    // The same again is the same, in the same bytes.
    let first = last(&stack, "POST", "/v3/pay/partner/transactions/jsapi").body;
    stack
        .post(&stack.merchant, "/orders", order("partner-0001"))
        .await
        .expect(200);
    let again = last(&stack, "POST", "/v3/pay/partner/transactions/jsapi").body;
    assert_eq!(first, again);

    // Paid on the phone, which checks the signature; WeChat Pay's notification settles it.
    stack
        .control(
            "orders/partner-0001/pay",
            json!({"openid": ALICE, "pay": placed["pay"]}),
        )
        .await;
    let order_paid = stack.until_state("partner-0001", "SUCCESS").await;
    let told = stack.seen("notifications").await;
    let told = told
        .iter()
        .find(|notice| notice["out_trade_no"] == "partner-0001");
    assert_eq!(told.unwrap()["event_type"], "TRANSACTION.SUCCESS");

    // Asked about by both numbers.
    let transaction = order_paid["transaction_id"].as_str().unwrap();
    let found = format!("/orders?transaction_id={transaction}");
    let found = stack.get(&stack.merchant, &found).await.expect(200);
    assert_eq!(found["out_trade_no"], "partner-0001");
    let asked = last(&stack, "GET", "/v3/pay/partner/transactions/id/");
    assert!(asked.target.ends_with(&whose), "{}", asked.target);

    // Closed, after it was asked about.
    let second = stack.post(&stack.merchant, "/orders", order("partner-0002"));
    second.await.expect(201);
    stack.order("partner-0002").await;
    let asked = last(
        &stack,
        "GET",
        "/v3/pay/partner/transactions/out-trade-no/partner-0002",
    );
    assert!(asked.target.ends_with(&whose), "{}", asked.target);
    let closed = stack.post(&stack.merchant, "/orders/partner-0002/close", json!({}));
    assert_eq!(closed.await.expect(200)["trade_state"], "CLOSED");
    let target = "/v3/pay/partner/transactions/out-trade-no/partner-0002/close";
    let sent = last(&stack, "POST", target).json();
    assert_eq!(sent, json!({"sp_mchid": merchant.mchid, "sub_mchid": SUB}));

    // Refunded from the sub-merchant's money, and told so.
    stack
        .refund("partner-0001", "partner-r1", 200)
        .await
        .expect(202);
    let sent = last(&stack, "POST", "/v3/refund/domestic/refunds").json();
    assert_eq!(sent["sub_mchid"], SUB);
    let refunded = stack
        .until_refund("partner-0001", "partner-r1", "SUCCESS")
        .await;
    assert_eq!(refunded["amount"]["refunded"], 200);
    let refund_told = stack
        .until(
            async || json!(stack.seen("notifications").await),
            |notices| {
                notices.as_array().unwrap().iter().any(|notice| {
                    notice["event_type"] == "REFUND.SUCCESS"
                        && notice["attempts"][0]["status"] == 204
                })
            },
        )
        .await;
    assert!(refund_told.is_array());
    // One that nobody was told of is found by the sweep.
    stack.fault("notice_lost", json!({})).await;
    stack.advance(120).await;
    stack
        .refund("partner-0001", "partner-r2", 100)
        .await
        .expect(202);
    stack
        .sweep_until_refund("partner-0001", "partner-r2", "SUCCESS")
        .await;
    let asked = last(&stack, "GET", "/v3/refund/domestic/refunds/partner-r2");
    let target = format!("/v3/refund/domestic/refunds/partner-r2?sub_mchid={SUB}");
    assert_eq!(asked.target, target);
}

#[tokio::test]
async fn the_console_knows_the_app_that_payers_log_in_to() {
    let own = partners("").await;
    let appid = &own.stack.simulator.merchant().appid;
    assert_eq!(own.stack.described()["payer_appid"], appid.as_str());
    let stack = partners(SUB_APP).await;
    assert_eq!(stack.stack.described()["payer_appid"], SUB_APP);
    let http = shared::process::Process::system().unwrap().http;
    let books = http.get(format!("{}/console/books", stack.stack.api_url));
    let books: Value = books.send().await.unwrap().json().await.unwrap();
    let named = &books["places"]["payer_appid"];
    assert_eq!(*named, SUB_APP);
    // A code of that app is one that a payer logs in with, as the page does; of another app it is not.
    for (appid, status) in [(named, 200), (&books["places"]["appid"], 401)] {
        let code = stack.control("codes", json!({"appid": appid})).await;
        let body = json!({"code": code["code"]});
        let url = format!("{}/sessions", stack.stack.api_url);
        let answer = http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{appid}");
    }
}

#[tokio::test]
async fn a_partners_day_is_reconciled_by_its_sub_merchants_trade_bill_alone() {
    let stack = partners(SUB_APP).await;
    let date = stack.new_day().await;
    for number in ["partner-day1", "partner-day2"] {
        if number == "partner-day2" {
            stack.fault("notice_lost", json!({})).await;
        }
        let placed = stack.post(&stack.merchant, "/orders", order(number));
        placed.await.expect(201);
        stack
            .control(&format!("orders/{number}/pay"), json!({"openid": ALICE}))
            .await;
        if number == "partner-day1" {
            stack.until_state(number, "SUCCESS").await;
            stack.refund(number, "partner-rd1", 200).await.expect(202);
            stack.until_refund(number, "partner-rd1", "SUCCESS").await;
        }
    }
    stack.next_morning().await;
    let state = || stack.order_item("partner-day2")["trade_state"]["S"].clone();
    assert_eq!(state(), "NOTPAY", "nobody told of it yet");

    // What the bill proves paid is asked about in the partner's words, and settled.
    let done = json!({"date": date, "status": "done", "differences": 1});
    assert_eq!(stack.reconcile(&date).await.unwrap(), done);
    let found = |kind: &str, settled: Value| vec![(kind.to_owned(), Value::Null, settled)];
    assert_eq!(
        stack.findings(&date, "partner-day2"),
        found("in_bill_unpaid_here", json!("SUCCESS"))
    );
    assert_eq!(state(), "SUCCESS");
    let report = stack.report(&date);
    assert_eq!(report["trade_bill"]["total"], 1_200);
    assert_eq!(report["trade_bill"]["refunded"], 200);
    assert_eq!(report["on_record"], json!({"payments": 1, "refunds": 1}));
    // The sub-merchant's flows are a bill of their own.
    assert_eq!(report["fund_flow_bill"], Value::Null);
    let mut asked = stack.wire.requests();
    asked.retain(|request| request.target.starts_with("/v3/bill/"));
    assert_eq!(asked.len(), 1, "{asked:?}");
    let whose = format!("&sub_mchid={SUB}");
    assert!(asked[0].target.contains(&whose), "{}", asked[0].target);

    // And the other way round: the record has what the bill lacks.
    stack.no_faults().await;
    let lacking = json!({"operation": "trade_bill", "count": 1});
    stack.fault("bill_lacks_payment", lacking).await;
    assert_eq!(stack.reconcile(&date).await.unwrap(), done);
    let report = stack.report(&date);
    let kind = report["differences"][0]["kind"].as_str();
    assert_eq!(kind, Some("paid_here_not_in_bill"), "{report:#}");
    let agreed = json!({"date": date, "status": "done", "differences": 0});
    assert_eq!(stack.reconcile(&date).await.unwrap(), agreed);
}

#[tokio::test]
async fn a_payer_logs_in_and_pays_in_the_partners_app_where_the_sub_merchant_has_none() {
    let stack = partners("").await;
    let alice = stack.login(ALICE).await;
    let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]});
    let placed = stack
        .post_once(&alice, "/orders", "partner-key-00001", body)
        .await;
    let placed = placed.expect(201);
    let sent = last(&stack, "POST", "/v3/pay/partner/transactions/jsapi").json();
    assert_eq!(sent.get("sub_appid"), None);
    assert_eq!(sent["payer"], json!({"sp_openid": ALICE}));
    let number = placed["out_trade_no"].as_str().unwrap();
    let pay = json!({"openid": ALICE, "pay": placed["pay"]});
    stack.control(&format!("orders/{number}/pay"), pay).await;
    stack.until_state(number, "SUCCESS").await;
    // A mobile app pays under its own appid alone, whoever is paid.
    let mut app = order("partner-app1");
    app["trade_type"] = json!("app");
    app.as_object_mut().unwrap().remove("payer");
    let placed = stack
        .post(&stack.merchant, "/orders", app)
        .await
        .expect(201);
    let appid = stack.stack.simulator.merchant().appid.clone();
    assert_eq!(placed["pay"]["appId"], appid.as_str());
}

#[tokio::test]
async fn a_payer_logs_in_to_the_sub_merchants_app_where_it_has_one() {
    let stack = partners(SUB_APP).await;
    let code = json!({"openid": ALICE, "appid": SUB_APP});
    let code = stack.control("codes", code).await;
    stack.watch.hide(code["code"].as_str().unwrap());
    let login = json!({"code": code["code"]});
    let session = stack
        .send(reqwest::Method::POST, "/sessions", None, &[], Some(login))
        .await
        .expect(200);
    let token = session["token"].as_str().unwrap();
    stack.watch.hide(token);
    let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]});
    let placed = stack
        .post_once(token, "/orders", "partner-key-00002", body)
        .await;
    let number = placed.expect(201)["out_trade_no"].clone();
    let sent = last(&stack, "POST", "/v3/pay/partner/transactions/jsapi").json();
    assert_eq!(sent["payer"], json!({"sub_openid": ALICE}));
    assert_eq!(sent["out_trade_no"], number);
}

#[tokio::test]
async fn a_notice_of_another_merchant_or_mode_is_a_contradiction() {
    let stack = partners(SUB_APP).await;
    let placed = stack.post(&stack.merchant, "/orders", order("partner-0003"));
    placed.await.expect(201);
    let merchant = stack.stack.simulator.merchant().clone();
    type Change = fn(&mut serde_json::Map<String, Value>, &str);
    let forgeries: [(&str, Change); 9] = [
        ("another sub-merchant", |notice, _| {
            notice.insert("sub_mchid".to_owned(), json!(OTHER));
        }),
        ("no sub-merchant", |notice, _| {
            notice.remove("sub_mchid");
        }),
        ("a direct merchant", |notice, mchid| {
            notice.remove("sp_mchid");
            notice.remove("sub_mchid");
            notice.insert("mchid".to_owned(), json!(mchid));
        }),
        ("both modes", |notice, mchid| {
            notice.insert("mchid".to_owned(), json!(mchid));
        }),
        ("another partner", |notice, _| {
            notice.insert("sp_mchid".to_owned(), json!("1900009999"));
        }),
        ("another app of the sub-merchant", |notice, _| {
            notice.insert("sub_appid".to_owned(), json!("wx0000000000000000"));
        }),
        ("no app of the sub-merchant", |notice, _| {
            notice.remove("sub_appid");
        }),
        ("another app of the partner", |notice, _| {
            notice.insert("sp_appid".to_owned(), json!("wx0000000000000000"));
        }),
        ("another payer in the sub-merchant's app", |notice, _| {
            notice.insert(
                "payer".to_owned(),
                json!({"sp_openid": ALICE, "sub_openid": BOB}),
            );
        }),
    ];
    for (what, change) in forgeries {
        let mut content = paid(&stack, "partner-0003");
        change(content.as_object_mut().unwrap(), &merchant.mchid);
        let told = stack.notice("TRANSACTION.SUCCESS", &content).await;
        assert_eq!(told.status, 409, "{what}: {}", told.body);
        let order = stack.order("partner-0003").await;
        assert_eq!(order["trade_state"], "NOTPAY", "{what}");
    }
    let told = stack
        .notice("TRANSACTION.SUCCESS", &paid(&stack, "partner-0003"))
        .await;
    assert_eq!(told.status, 204, "{}", told.body);

    // A refund's notice is held against the refund's own sub-merchant.
    let knobs = json!({"refund_delay_s": null});
    stack.control("knobs", knobs).await;
    let placed = stack.post(&stack.merchant, "/orders", order("partner-0004"));
    let pay = json!({"openid": ALICE, "pay": placed.await.expect(201)["pay"]});
    stack.control("orders/partner-0004/pay", pay).await;
    let order = stack.until_state("partner-0004", "SUCCESS").await;
    let asked = stack.refund("partner-0004", "partner-r4", 200).await;
    assert_eq!(asked.expect(202)["status"], "PROCESSING");
    let direct = refund_content(&stack, &order, "partner-r4", 200, "SUCCESS");
    let mut content = direct.clone();
    content.as_object_mut().unwrap().remove("mchid");
    content["sp_mchid"] = json!(merchant.mchid);
    let mut other = content.clone();
    other["sub_mchid"] = json!(OTHER);
    for forged in [direct, content.clone(), other] {
        let told = stack.notice("REFUND.SUCCESS", &forged).await;
        assert_eq!(told.status, 409, "{forged}: {}", told.body);
        let order = stack.order("partner-0004").await;
        let refund = refund_of(&order, "partner-r4").unwrap();
        assert_eq!(refund["status"], "PROCESSING", "{forged}");
    }
    content["sub_mchid"] = json!(SUB);
    let told = stack.notice("REFUND.SUCCESS", &content).await;
    assert_eq!(told.status, 204, "{}", told.body);
}

#[tokio::test]
async fn what_wechat_pay_says_of_one_sub_merchant_tells_nothing_of_anothers_order() {
    let mut stack = partners(SUB_APP).await;
    let placed = stack.post(&stack.merchant, "/orders", order("partner-0005"));
    placed.await.expect(201);
    let merchants = format!("merchants/{}", stack.stack.simulator.merchant().mchid);
    let other = json!({"add_sub_merchant": {"sub_mchid": OTHER}});
    stack.control(&merchants, other).await;
    for (name, value) in [("SubMchid", OTHER), ("SubAppid", "")] {
        stack
            .options
            .parameters
            .insert(name.to_owned(), value.to_owned());
    }
    let stack = stack.restarted().await;
    let closed = stack.post(&stack.merchant, "/orders/partner-0005/close", json!({}));
    let closed = closed.await;
    assert_ne!(closed.status, 200, "{}", closed.body);
    assert_eq!(
        stack.order_item("partner-0005")["trade_state"]["S"],
        "NOTPAY"
    );
    // Long after its time, neither sub-merchant's silence closes it.
    stack.advance(2 * 60 * 60).await;
    for _ in 0..3 {
        stack.sweep().await;
        stack.advance(10 * 60).await;
    }
    assert_eq!(
        stack.order_item("partner-0005")["trade_state"]["S"],
        "NOTPAY"
    );
}
