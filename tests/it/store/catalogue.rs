//! The catalogue: prices by SKU, and nothing that is not on sale.

use serde_json::json;
use shared::store::StoreError;

use super::bench::Bench;
use super::fen;

async fn put(bench: &Bench, sku: &str, more: serde_json::Value) {
    let mut item = json!({
        "pk": {"S": format!("SKU#{sku}")}, "sk": {"S": "SKU"},
        "description": {"S": "美式咖啡"}, "price_fen": {"N": "300"}, "on_sale": {"BOOL": true},
        "list_shard": {"S": "SKU#ALL"}, "created_at": {"N": "1790000000"},
    });
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    bench.put(item).await;
}

#[tokio::test]
async fn only_what_is_on_sale_has_a_price() {
    let bench = Bench::start().await;
    put(&bench, "coffee", json!({})).await;
    put(&bench, "tea", json!({"price_fen": {"N": "250"}})).await;
    put(&bench, "gone", json!({"on_sale": {"BOOL": false}})).await;
    put(&bench, "odd", json!({"on_sale": {"S": "true"}})).await;
    let asked = ["tea", "coffee", "gone", "odd", "never"];
    let articles = bench.catalogue().articles(&asked).await.unwrap();
    let prices: Vec<_> = articles
        .iter()
        .map(|(sku, article)| (sku.as_str(), article.price))
        .collect();
    assert_eq!(prices, [("coffee", fen(300)), ("tea", fen(250))]);
    assert_eq!(articles["coffee"].description, "美式咖啡");
}

#[tokio::test]
async fn a_price_that_is_none_is_an_error_that_names_the_article() {
    let bench = Bench::start().await;
    for price in [
        json!({"N": "0"}),
        json!({"N": "-1"}),
        json!({"N": "2.5"}),
        json!({"S": "300"}),
    ] {
        put(&bench, "coffee", json!({"price_fen": price})).await;
        let error = bench.catalogue().articles(&["coffee"]).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unreadable { key, .. } if key == "SKU#coffee"),
            "{price}: {error}"
        );
    }
}

#[tokio::test]
async fn fifty_articles_are_read_in_one_call() {
    let bench = Bench::start().await;
    let skus: Vec<String> = (0..50).map(|index| format!("article-{index:02}")).collect();
    for sku in &skus {
        put(&bench, sku, json!({})).await;
    }
    let asked: Vec<&str> = skus.iter().map(String::as_str).collect();
    bench.calls();
    assert_eq!(bench.catalogue().articles(&asked).await.unwrap().len(), 50);
    assert_eq!(bench.calls().len(), 1);
}
