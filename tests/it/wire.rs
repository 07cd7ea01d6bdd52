//! What goes to WeChat Pay over HTTP, byte for byte, and how it is asked of the table.
//!
//! The bytes are a promise to WeChat Pay (a repeat with others is refused) and to every order that is
//! in a table already: a change needs another wire version beside this one.

use serde_json::json;

use crate::harness::tap::Request;
use crate::harness::{ALICE, TestStack};

fn text(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

/// The last request of this method to this path.
fn last(stack: &TestStack, method: &str, path: &str) -> Request {
    let mut requests = stack.wire.requests();
    requests.retain(|request| request.method == method && request.target == path);
    requests
        .pop()
        .unwrap_or_else(|| panic!("no {method} {path}"))
}

#[tokio::test]
async fn orders_closes_and_refunds_go_out_in_these_very_bytes() {
    let stack = TestStack::start().await;
    let merchant = stack.stack.simulator.merchant().clone();
    let (mchid, appid) = (&merchant.mchid, &merchant.appid);
    let notify_url = format!("{}/wechatpay/notify", stack.stack.api_url);
    let expires = stack.stack.clock().business().plus_seconds(3600);
    let expires = shared::rfc3339::format(expires);

    let order = json!({
        "trade_type": "jsapi", "out_trade_no": "golden-0001", "description": "Image形象店-\"QQ\"公仔",
        "amount": {"total": 600, "currency": "CNY"}, "payer": {"openid": ALICE},
        "time_expire": expires, "attach": "a/b\\c",
    });
    let placed = stack.post(&stack.merchant, "/orders", order).await;
    let placed = placed.expect(201);
    let sent = last(&stack, "POST", "/v3/pay/transactions/jsapi");
    assert_eq!(
        text(&sent),
        format!(
            r#"{{"appid":"{appid}","mchid":"{mchid}","description":"Image形象店-\"QQ\"公仔","out_trade_no":"golden-0001","time_expire":"{expires}","attach":"a/b\\c","notify_url":"{notify_url}","amount":{{"total":600,"currency":"CNY"}},"payer":{{"openid":"{ALICE}"}}}}"#
        )
    );
    let item = stack.order_item("golden-0001");
    assert_eq!(item["wire_version"]["N"], "1", "what these bytes are");
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("wechatpay-serial", merchant.public_key_id.as_str()),
    ] {
        assert_eq!(sent.header(name), Some(value), "{name}");
    }
    assert!(
        sent.header("user-agent")
            .is_some_and(|agent| !agent.is_empty())
    );

    stack.native("golden-0002", 1).await;
    let sent = last(&stack, "POST", "/v3/pay/transactions/native");
    let expires = &stack.order("golden-0002").await["time_expire"];
    assert_eq!(
        text(&sent),
        format!(
            r#"{{"appid":"{appid}","mchid":"{mchid}","description":"Coffee NOT-LOGGED","out_trade_no":"golden-0002","time_expire":{expires},"notify_url":"{notify_url}","amount":{{"total":1,"currency":"CNY"}}}}"#
        )
    );

    let close = "/orders/golden-0002/close";
    stack
        .post(&stack.merchant, close, json!({}))
        .await
        .expect(200);
    let path = "/v3/pay/transactions/out-trade-no/golden-0002/close";
    assert_eq!(
        text(&last(&stack, "POST", path)),
        format!(r#"{{"mchid":"{mchid}"}}"#)
    );

    let pay = json!({"openid": ALICE, "pay": placed["pay"]});
    stack.control("orders/golden-0001/pay", pay).await;
    stack.until_state("golden-0001", "SUCCESS").await;
    let refund = json!({
        "out_refund_no": "golden-r1", "amount": {"refund": 200}, "reason": "商品已售完 NOT-LOGGED",
    });
    let refunds = "/orders/golden-0001/refunds";
    stack
        .post(&stack.merchant, refunds, refund)
        .await
        .expect(202);
    let sent = last(&stack, "POST", "/v3/refund/domestic/refunds");
    assert_eq!(
        text(&sent),
        format!(
            r#"{{"out_trade_no":"golden-0001","out_refund_no":"golden-r1","reason":"商品已售完 NOT-LOGGED","notify_url":"{notify_url}","amount":{{"refund":200,"total":600,"currency":"CNY"}}}}"#
        )
    );
    // Questions carry the merchant in the query, and no body.
    let asked = format!("/v3/pay/transactions/out-trade-no/golden-0001?mchid={mchid}");
    assert_eq!(text(&last(&stack, "GET", &asked)), "");
}
