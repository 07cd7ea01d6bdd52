//! An operator's first day, with `wxpay` alone: secrets, catalogue, an order, a refund, its log.

use crate::follow::Following;
use crate::secrets::downloaded;
use crate::shop::Shop;

#[tokio::test]
async fn an_operator_needs_nothing_but_wxpay() {
    // Its secrets are written: a stack of its own.
    let shop = Shop::start();
    let simulator = shop.file("simulator");
    let without = shop.run(&["secrets", "put", "--from", simulator.to_str().unwrap()]);
    let said = without.failed(7);
    for name in ["pub_key_id.txt", "apiv3.txt", "appsecret.txt"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    let folder = downloaded(&shop);
    shop.run(&["secrets", "put", "--from", folder.to_str().unwrap()])
        .text();
    shop.run(&["secrets", "check"]).text();

    let catalogue = shop.file("catalogue.csv");
    std::fs::write(
        &catalogue,
        "sku,description,price_fen,on_sale\ntea,Tea 茶,350,true\n",
    )
    .unwrap();
    let import = ["articles", "import", catalogue.to_str().unwrap(), "--yes"];
    let shown = shop.run(&import);
    assert!(shown.err.contains("3.00 → 3.50 yuan"), "{shown:?}");

    let token = shop.token().await;
    let number = shop.paid(&token, "the-first-order-of-a-shop").await;
    let listed = shop.run(&["orders", "list"]);
    assert!(listed.text().contains(&number), "{}", listed.out);
    let order = shop.run(&["orders", "show", &number]);
    assert!(order.text().contains("SUCCESS  7.00 yuan"), "{}", order.out);
    assert!(order.out.contains("event order.paid"), "{}", order.out);

    let refund = shop
        .asked_back(&token, &number, "the-tea-was-too-cold", 350)
        .await;
    let waiting = shop.run(&["refunds", "list"]);
    assert!(waiting.text().contains(&refund), "{}", waiting.out);
    let follow = ["logs", "--order", &number, "--follow", "--json"];
    let mut log = Following::start(shop.command(&follow));
    log.line(|line| line.contains("notify-callback"));
    shop.run(&["refunds", "approve", &number, &refund, "--yes"])
        .text();
    log.line(|line| line.contains("/approve"));
    // The bank pays it back, and WeChat Pay says so.
    log.line(|line| line.contains("notify-callback") && line.contains(&refund));
    log.interrupt();
    let told = shop.run(&["orders", "show", &number]);
    assert!(told.text().contains("refunded 3.50"), "{}", told.out);
}
