//! Orders and the log: listed, told, closed, settled.

use serde_json::json;

use crate::shop::{Shop, shop};

#[tokio::test]
async fn an_orders_story_names_what_happened_and_where_each_fact_comes_from() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "two-teas-at-noon").await;
    let refund = shop
        .asked_back(&token, &number, "one-tea-was-cold", 300)
        .await;

    let listed = shop.run(&["orders", "list", "--json"]).json();
    let listed = listed["items"].as_array().unwrap().iter();
    let found: Vec<_> = listed
        .filter(|order| order["out_trade_no"] == number.as_str())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let paid = shop.run(&["orders", "list", "--state", "success"]);
    let line = paid
        .text()
        .lines()
        .find(|line| line.contains(&number))
        .unwrap();
    assert!(line.contains("6.00") && line.contains("SUCCESS"), "{line}");
    assert!(!paid.out.contains('\u{1b}'), "a pipe gets no colours");
    let none = shop.run(&["orders", "list", "--state", "CLOSING"]);
    assert!(!none.text().contains(&number), "{}", none.out);

    let shown = shop.run(&["orders", "show", &number, "--json"]).json();
    assert_eq!(shown["order"]["amount"]["total"], 600);
    let timeline = shown["timeline"].as_array().unwrap();
    let tells = |what: &str, source: &str| {
        let mut moments = timeline.iter();
        let found = moments.position(|moment| {
            moment["what"].as_str().unwrap().contains(what) && moment["source"] == source
        });
        found.unwrap_or_else(|| panic!("{what} from the {source} is not in {shown:#}"))
    };
    let placed = tells("placed by the payer, 6.00 yuan", "record");
    tells("paid, by WeChat Pay's clock, 4200", "record");
    tells("event order.paid", "record");
    tells("settled changed", "log");
    let asked = tells(
        &format!("refund {refund}: asked for by the payer, 3.00 yuan"),
        "record",
    );
    tells(
        &format!("refund {refund}: event refund.requested"),
        "record",
    );
    assert!(placed < asked, "{shown:#}");
    assert!(!shown.to_string().contains("\"source\":\"\""));
    let people = shop.run(&["orders", "show", &number]);
    assert!(
        people.text().contains("2 × Tea 茶 (tea) at 3.00"),
        "{}",
        people.out
    );

    shop.run(&["orders", "show", "there-is-none-of-it"])
        .failed(4);
    let settled = shop.run(&["orders", "settle", &number, "--json"]).json();
    assert_eq!(settled["trade_state"], "SUCCESS");
    let refused = shop.run(&["orders", "close", &number]);
    assert!(refused.failed(5).contains("order_paid"), "{}", refused.err);
}

#[tokio::test]
async fn a_lost_payment_is_settled_by_hand_and_an_unpaid_order_closed() {
    // Its notifications are lost: a stack of its own.
    let shop = Shop::start();
    let token = shop.token().await;
    let number = shop.ordered(&token, "nobody-pays-for-this").await;
    let closed = shop.run(&["orders", "close", &number, "--json"]).json();
    assert_eq!(closed["trade_state"], "CLOSED");
    assert_eq!(shop.order(&number).await["trade_state"], "CLOSED");

    // One whose close WeChat Pay does not confirm may still be paid.
    let open = shop.ordered(&token, "whose-close-is-not-confirmed").await;
    let broken = json!({"name": "server_error", "operation": "close"});
    shop.phone("faults", broken).await;
    let told = shop.run(&["orders", "close", &open, "--json"]);
    assert!(told.failed(6).contains("may still be paid"), "{}", told.err);
    assert!(told.out.contains("CLOSING"), "{}", told.out);
    let short = shop.run(&["orders", "list", "--limit", "1", "--json"]);
    assert_eq!(short.json()["more"], true);
    assert!(short.err.contains("--limit"), "{}", short.err);
    assert_eq!(
        shop.run(&["orders", "list", "--json"]).json()["more"],
        serde_json::Value::Null
    );

    let number = shop.ordered(&token, "its-notification-is-lost").await;
    let lost = json!({"name": "notice_lost", "count": 1});
    shop.phone("faults", lost).await;
    shop.phone(&format!("orders/{number}/pay"), json!({})).await;
    let settled = shop.run(&["orders", "settle", &number, "--json"]).json();
    assert_eq!(settled["trade_state"], "SUCCESS");
    assert_eq!(settled["fresh"], true);
}

#[tokio::test]
async fn the_log_tells_one_orders_story_across_functions() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "whose-story-is-told").await;
    let other = shop.paid(&token, "whose-story-is-not").await;
    let lines = shop.run(&["logs", "--order", &number, "--json"]);
    let lines: Vec<serde_json::Value> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |function: &str| {
        let mut lines = lines.iter();
        lines.any(|line| line["function"] == function)
    };
    assert!(said("create-order") && said("notify-callback"), "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line["order.out_trade_no"] == number.as_str())
    );
    let text = shop.run(&["logs", "--order", &number, "--function", "notify-callback"]);
    assert!(text.text().contains("settled=changed"), "{}", text.out);
    assert!(!text.text().contains("create-order"), "{}", text.out);
    assert!(!text.text().contains(&other), "{}", text.out);
    let errors = shop.run(&["logs", "--order", &number, "--level", "error"]);
    assert_eq!(errors.text(), "");
}
