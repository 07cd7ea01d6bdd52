//! Evidence: kept once, and not for ever.

use serde_json::json;
use shared::store::EvidenceOf;

use super::NOW;
use super::bench::Bench;

#[tokio::test]
async fn a_notice_is_kept_once_with_the_day_it_expires() {
    let bench = Bench::start().await;
    let evidence = bench.evidence();
    let notice = EvidenceOf {
        notice_id: "EV-2018022511223320873",
        day: "20260921",
        event_type: "TRANSACTION.SUCCESS",
        outcome: "contradicts the record",
        out_trade_no: Some("evidence-1"),
        envelope: "{\"id\":\"EV-2018022511223320873\"}",
    };
    evidence.keep(&notice, NOW).await.unwrap();
    let kept = bench
        .item("NOTICE#20260921", "NOTICE#EV-2018022511223320873")
        .await;
    assert_eq!(kept["outcome"], json!({"S": "contradicts the record"}));
    assert_eq!(kept["out_trade_no"], json!({"S": "evidence-1"}));
    assert_eq!(kept["envelope"], json!({"S": notice.envelope}));
    assert_eq!(
        kept["expires_at"],
        json!({"N": (NOW.unix_seconds() + 45 * 86_400).to_string()}),
        "45 days in Unix seconds, as TTL wants them"
    );
    // The same notice again, later and decided otherwise: the first word stands.
    let again = EvidenceOf {
        outcome: "applied",
        ..notice
    };
    evidence.keep(&again, NOW.plus_seconds(15)).await.unwrap();
    let items = bench.items().await;
    assert_eq!(items, [kept]);
}

#[tokio::test]
async fn the_attribute_that_expires_is_the_one_the_template_names() {
    let template = include_str!("../../../template.yaml");
    assert!(
        template.contains("TimeToLiveSpecification: {Enabled: true, AttributeName: expires_at}")
    );
}

#[tokio::test]
async fn the_largest_notice_is_kept_whole() {
    let bench = Bench::start().await;
    let envelope = "咖".repeat(65_536 / 3);
    let notice = EvidenceOf {
        notice_id: "EV-large",
        day: "20260921",
        event_type: "-",
        outcome: "unreadable",
        out_trade_no: None,
        envelope: &envelope,
    };
    bench.evidence().keep(&notice, NOW).await.unwrap();
    let kept = bench.item("NOTICE#20260921", "NOTICE#EV-large").await;
    assert_eq!(kept["envelope"]["S"].as_str(), Some(envelope.as_str()));
    assert_eq!(kept["out_trade_no"], json!({"S": "-"}));
}
