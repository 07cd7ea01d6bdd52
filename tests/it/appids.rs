//! An appid per trade type.

use serde_json::{Value, json};

use crate::harness::{ALICE, TestStack, native_order, payment_content};

const MOBILE_APP: &str = "wx00000000000000a1";
const ACCOUNT: &str = "wx00000000000000a2";

/// A stack with another app for apps and for QR codes, both bound to the merchant.
async fn with_apps() -> TestStack {
    let stack = TestStack::with(|options| {
        for (name, appid) in [("AppidApp", MOBILE_APP), ("AppidNative", ACCOUNT)] {
            options.parameters.insert(name.to_owned(), appid.to_owned());
        }
    })
    .await;
    let merchant = format!("merchants/{}", stack.stack.simulator.merchant().mchid);
    for appid in [MOBILE_APP, ACCOUNT] {
        stack.control(&merchant, json!({"add_appid": appid})).await;
    }
    stack
}

fn order(trade_type: &str) -> Value {
    let mut order = native_order(&format!("appid-{trade_type}"), 100);
    order["trade_type"] = Value::from(trade_type);
    match trade_type {
        "jsapi" => order["payer"] = json!({"openid": ALICE}),
        "h5" => order["scene_info"] = json!({"payer_client_ip": "203.0.113.7"}),
        _ => {}
    }
    order
}

#[tokio::test]
async fn each_trade_type_goes_out_under_its_app_and_is_settled_under_no_other() {
    let stack = with_apps().await;
    let mini_program = stack.stack.simulator.merchant().appid.clone();
    for (trade_type, appid) in [
        ("jsapi", mini_program.as_str()),
        ("native", ACCOUNT),
        ("h5", &mini_program),
        ("app", MOBILE_APP),
    ] {
        let placed = stack.post(&stack.merchant, "/orders", order(trade_type));
        let placed = placed.await.expect(201);
        let path = format!("/v3/pay/transactions/{trade_type}");
        let requests = stack.wire.requests();
        let sent = requests.iter().rfind(|request| request.target == path);
        assert_eq!(sent.unwrap().json()["appid"], appid, "{trade_type}");
        if trade_type == "app" {
            assert_eq!(placed["pay"]["appId"], MOBILE_APP);
        }
    }

    // A payment of the mobile app's order under the mini-program is a contradiction.
    let mut content = payment_content(&stack, "appid-app", 100);
    let told = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(told.status, 409, "{}", told.body);
    assert_eq!(stack.order("appid-app").await["trade_state"], "NOTPAY");
    // The same under the order's own app pays it, and so does what WeChat Pay itself reports.
    content["appid"] = Value::from(MOBILE_APP);
    let told = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(told.status, 204, "{}", told.body);
    assert_eq!(stack.order("appid-app").await["trade_state"], "SUCCESS");
    stack.pay("appid-native").await;
    stack.until_state("appid-native", "SUCCESS").await;
}

#[tokio::test]
async fn a_trade_type_without_an_app_is_refused_and_an_order_keeps_the_app_it_was_placed_under() {
    let mut stack = with_apps().await;
    let placed = stack.post(&stack.merchant, "/orders", order("app")).await;
    placed.expect(201);
    stack
        .options
        .parameters
        .insert("AppidApp".to_owned(), String::new());
    stack
        .options
        .parameters
        .insert("AppidNative".to_owned(), String::new());
    let stack = stack.restarted().await;

    let mut another = order("app");
    another["out_trade_no"] = Value::from("appid-another");
    let refused = stack.post(&stack.merchant, "/orders", another).await;
    let refused = refused.refused(422, "trade_type_unavailable");
    assert_eq!(refused["field"], "trade_type");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("AppidApp is empty"), "{detail}");
    let missing = stack.get(&stack.merchant, "/orders/appid-another").await;
    missing.refused(404, "not_found");

    // What was placed before goes out again with the same bytes.
    let again = stack.post(&stack.merchant, "/orders", order("app")).await;
    assert_eq!(again.expect(200)["pay"]["appId"], MOBILE_APP);
    // Without another app for it, a QR code is the mini-program's.
    stack
        .post(&stack.merchant, "/orders", order("native"))
        .await
        .expect(201);
    let appid = &stack.stack.simulator.merchant().appid;
    assert_eq!(
        stack.order_item("appid-native")["appid"]["S"],
        appid.as_str()
    );
}
