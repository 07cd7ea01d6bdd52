//! Refunds: nothing moves unless somebody confirmed it.

use crate::shop::shop;

#[tokio::test]
async fn money_moves_only_once_it_was_confirmed() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "to-be-refunded-by-hand").await;
    let refund = shop
        .asked_back(&token, &number, "it-was-cold-again", 200)
        .await;
    let waiting = shop.run(&["refunds", "list"]);
    assert!(
        waiting.text().contains(&refund) && waiting.text().contains("2.00"),
        "{}",
        waiting.out
    );

    // Nobody can be asked here.
    for arguments in [
        &["refunds", "approve", &number, &refund][..],
        &["refunds", "create", &number, "--amount", "100"],
        &["refunds", "create", &number, "--all"],
    ] {
        let refused = shop.run(arguments);
        assert!(refused.failed(7).contains("--yes"), "{}", refused.err);
    }
    let untouched = shop.order(&number).await;
    assert_eq!(untouched["amount"]["refundable"], 600, "{untouched}");
    assert_eq!(
        untouched["refunds"][0]["status"], "REQUESTED",
        "{untouched}"
    );

    let approved = shop
        .run(&["refunds", "approve", &number, &refund, "--yes", "--json"])
        .json();
    assert_ne!(approved["status"], "REQUESTED", "{approved}");
    let number_of = |fen: &str| format!("by-hand-{}", fen.replace('.', "-"));
    let create = |fen: &str, more: &[&str]| {
        let own = number_of(fen);
        let mut arguments = vec![
            "refunds", "create", &number, "--amount", fen, "--number", &own, "--yes",
        ];
        arguments.extend(more);
        shop.run(&arguments)
    };
    let created = create("100", &["--json"]).json();
    assert_eq!(created["amount"]["refund"], 100, "{created}");
    // The same again is the same.
    assert_eq!(
        create("100", &["--json"]).json()["out_refund_no"],
        "by-hand-100"
    );
    let left = shop.order(&number).await;
    assert_eq!(left["amount"]["refundable"], 300, "{left}");
    // Yuan that were not said to be are refused before anything is sent.
    assert!(create("1.00", &[]).failed(5).contains("--yuan"));
    assert!(create("301", &[]).failed(5).contains("refund_exceeds"));
    let all = shop
        .run(&["refunds", "create", &number, "--all", "--yes", "--json"])
        .json();
    assert_eq!(all["amount"]["refund"], 300, "{all}");
    let nothing = shop.run(&["refunds", "create", &number, "--all", "--yes"]);
    assert!(
        nothing.failed(5).contains("nothing can be refunded"),
        "{}",
        nothing.err
    );
}

#[tokio::test]
async fn a_request_is_rejected_and_a_decision_stands() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "whose-refund-is-rejected").await;
    let refund = shop
        .asked_back(&token, &number, "it-was-not-even-cold", 200)
        .await;
    let rejected = shop
        .run(&["refunds", "reject", &number, &refund, "--json"])
        .json();
    assert_eq!(rejected["status"], "REJECTED");
    let approved = shop.run(&["refunds", "approve", &number, &refund, "--yes"]);
    assert!(
        approved.failed(5).contains("refund_decided"),
        "{}",
        approved.err
    );
    let shown = shop.run(&["refunds", "show", &number, &refund]);
    assert!(shown.text().contains("REJECTED"), "{}", shown.out);
    for verb in ["withdraw", "retry"] {
        let refused = shop.run(&["refunds", verb, &number, &refund, "--yes"]);
        assert!(
            refused.failed(5).contains("refund_decided"),
            "{}",
            refused.err
        );
    }
    let to_card = [
        "refunds", "abnormal", &number, &refund, "--to", "merchant", "--yes",
    ];
    assert!(shop.run(&to_card).failed(5).contains("refund_not_abnormal"));
    let of_today = shop.run(&["refunds", "list", "--date", "today"]);
    assert!(of_today.text().contains(&refund), "{}", of_today.out);
    assert!(!shop.run(&["refunds", "list"]).text().contains(&refund));
}
