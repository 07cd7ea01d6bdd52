//! The catalogue: imported with its difference shown, and changed only as confirmed.

use crate::shop::shop;

#[tokio::test]
async fn an_import_is_checked_shown_and_confirmed_before_it_is_written() {
    let shop = shop();
    let file = shop.file("catalogue.csv");
    let path = file.to_str().unwrap();
    let price = |sku: &str| {
        let listed = shop.run(&["articles", "list", "--json"]).json();
        let mut items = listed["items"].as_array().unwrap().clone().into_iter();
        items
            .find(|item| item["sku"] == sku)
            .map(|item| item["price_fen"].clone())
    };
    std::fs::write(
        &file,
        "sku,description,price_fen,on_sale\nscone,Scone,450,true\nbun,Bun,x,true\n",
    )
    .unwrap();
    let refused = shop.run(&["articles", "import", path, "--yes"]);
    assert!(refused.failed(5).contains("line 3"), "{}", refused.err);
    assert_eq!(price("scone"), None, "half a file was written");

    std::fs::write(
        &file,
        "sku,description,price_fen,on_sale\nscone,Scone,450,true\nbun,Bun 包子,200,false\n",
    )
    .unwrap();
    let shown = shop.run(&["articles", "import", path, "--dry-run"]);
    assert!(shown.text().contains("2 would change"), "{}", shown.out);
    assert!(
        shown.err.contains("scone: new, Scone, 4.50 yuan"),
        "{}",
        shown.err
    );
    shop.run(&["articles", "import", path]).failed(7);
    assert_eq!(price("scone"), None, "nobody confirmed");
    let written = shop
        .run(&["articles", "import", path, "--yes", "--json"])
        .json();
    assert_eq!(written["changes"].as_array().unwrap().len(), 2, "{written}");
    assert_eq!(price("scone").unwrap(), 450);
    let again = shop.run(&["articles", "import", path, "--json"]).json();
    assert_eq!(again["unchanged"], 2, "{again}");

    std::fs::write(&file, "sku,description,price_yuan\nscone,Scone,5\n").unwrap();
    assert!(
        shop.run(&["articles", "import", path, "--yes"])
            .failed(5)
            .contains("--yuan")
    );
    let shown = shop.run(&["articles", "import", path, "--yuan", "--yes"]);
    assert!(
        shown.err.contains("scone: 4.50 → 5.00 yuan"),
        "{}",
        shown.err
    );
    assert_eq!(price("scone").unwrap(), 500);
}

#[tokio::test]
async fn an_article_is_put_changed_and_removed() {
    let shop = shop();
    let refused = shop.run(&["articles", "put", "juice", "--price", "900"]);
    assert!(
        refused.failed(5).contains("--description"),
        "{}",
        refused.err
    );
    shop.run(&[
        "articles",
        "put",
        "juice",
        "--description",
        "Juice",
        "--price",
        "9.00",
        "--yuan",
    ])
    .text();
    let changed = shop.run(&["articles", "put", "juice", "--off-sale"]);
    assert!(
        changed.text().contains("on sale → not on sale"),
        "{}",
        changed.out
    );
    let listed = shop.run(&["articles", "list"]);
    let line = listed
        .text()
        .lines()
        .find(|line| line.starts_with("juice"))
        .unwrap();
    assert!(line.contains("9.00") && line.contains("no"), "{line}");
    shop.run(&["articles", "remove", "juice"]).text();
    shop.run(&["articles", "remove", "juice"]).failed(4);
    shop.run(&["articles", "remove", "ju ice"]).failed(2);
}
