//! A refused request says, for a person, what to fix.

use serde_json::json;

use crate::support::{Bench, Draft};

async fn explained(bench: &Bench, draft: Draft, expect: &str) {
    let answer = bench.client.send(draft).await;
    assert_eq!(answer.status, 401);
    let explanation = bench.last_request().await["explanation"].clone();
    let text = explanation.as_str().unwrap_or_default();
    assert!(text.contains(expect), "expected {expect:?} in {text:?}");
}

#[tokio::test]
async fn misuse_is_explained_in_words_that_name_the_fix() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let path = "/v3/pay/transactions/out-trade-no/ORDER-e";
    let query = format!("{path}?mchid={mchid}");
    let get = || bench.client.draft("GET", &query, b"");
    let body = bench.jsapi("ORDER-explained", 1);
    let compact = body.to_string();
    let post = || {
        bench
            .client
            .draft("POST", "/v3/pay/transactions/jsapi", compact.as_bytes())
    };

    let mut draft = get();
    draft.signed_target = path.to_owned();
    explained(&bench, draft, "signed without its query: sign /v3/pay").await;
    let mut draft = get();
    draft.signed_target = format!("{}{query}", bench.client.base);
    explained(&bench, draft, "scheme and host").await;
    let mut draft = get();
    draft.signed_target = format!("https://api.mch.weixin.qq.com{query}");
    explained(&bench, draft, "only the path and the query").await;
    let mut draft = get();
    draft.signed_method = "get".to_owned();
    explained(&bench, draft, "use upper case").await;
    let mut draft = get();
    draft.signed_body = b"{}".to_vec();
    explained(&bench, draft, "without one: sign an empty line").await;
    let mut draft = get();
    draft.last_line_end = "";
    explained(&bench, draft, "lacks its line feed").await;
    let mut draft = post();
    draft.line_end = "\r\n";
    draft.last_line_end = "\r\n";
    explained(&bench, draft, "use a lone LF").await;

    let mut draft = post();
    draft.signed_body = serde_json::to_vec_pretty(&body).unwrap();
    explained(&bench, draft, "serialised again after signing").await;
    let mut draft = post();
    draft.signed_body = compact
        .replace(",\"", ", \"")
        .replace("\":", "\": ")
        .into_bytes();
    explained(&bench, draft, "serialised again after signing").await;
    let escaped: String = compact
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                format!("\\u{:04x}", c as u32)
            }
        })
        .collect();
    let mut draft = post();
    draft.signed_body = escaped.into_bytes();
    explained(&bench, draft, "serialised again after signing").await;
    // As Python signs by hand and its HTTP library sends: in the order of the merchant's own members.
    let unsorted = r#"{"mchid":"1900000109","appid":"wx","description":"咖啡☕😀 1/2"}"#;
    let sent = r#"{"mchid": "1900000109", "appid": "wx", "description": "\u5496\u5561\u2615\ud83d\ude00 1/2"}"#;
    let php = r#"{"mchid":"1900000109","appid":"wx","description":"\u5496\u5561\u2615\ud83d\ude00 1\/2"}"#;
    for (signed, sent) in [(unsorted, sent), (unsorted, php), (php, unsorted)] {
        let mut draft = bench
            .client
            .draft("POST", "/v3/pay/transactions/jsapi", sent.as_bytes());
        draft.signed_body = signed.as_bytes().to_vec();
        explained(&bench, draft, "sign the very bytes that are sent").await;
    }
    let mut draft = post();
    draft.signed_body = Vec::new();
    explained(&bench, draft, "body was left out").await;

    let mut draft = get();
    draft.timestamp = (draft.timestamp.parse::<i64>().unwrap() - 360).to_string();
    draft.signed_timestamp = draft.timestamp.clone();
    explained(&bench, draft, "6 minutes behind the server's clock").await;
    let mut draft = get();
    draft.timestamp = format!("{}000", draft.timestamp);
    explained(&bench, draft, "milliseconds: send seconds").await;
    let mut draft = get();
    draft.signed_timestamp = format!("{}000", draft.timestamp);
    explained(&bench, draft, "milliseconds were signed").await;
    let mut draft = get();
    draft.serial_no = bench.client.file.public_key_id.clone();
    explained(&bench, draft, "name the merchant's certificate").await;
    let mut draft = get();
    draft.signed_target = "/something/else".to_owned();
    explained(&bench, draft, "the key is right but other text was signed").await;
    // Two mistakes at once are both named.
    let mut draft = get();
    draft.signed_target = path.to_owned();
    draft.last_line_end = "";
    explained(&bench, draft.clone(), "without its query").await;
    explained(&bench, draft, "lacks its line feed").await;
}

#[tokio::test]
async fn a_wrong_key_is_told_whose_it_is() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let query = format!("/v3/pay/transactions/out-trade-no/ORDER-k?mchid={mchid}");
    let second = bench
        .control(&format!("/_sim/merchants/{mchid}/certificates"), json!({}))
        .await;
    let draft = bench.client.draft("GET", &query, b"");
    let mut other = bench.client.clone();
    let key = crate::support::private_key(second["apiclient_key"].as_str().unwrap());
    other.key = std::sync::Arc::new(key);
    let answer = other.send(draft.clone()).await;
    assert_eq!(answer.status, 401);
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        explanation.contains("wrong key for the serial"),
        "{explanation}"
    );
    assert!(explanation.contains(second["serial_no"].as_str().unwrap()));
    let pem = std::fs::read_to_string(bench.client.folder.join("platform_key.pem")).unwrap();
    other.key = std::sync::Arc::new(crate::support::private_key(&pem));
    other.send(draft.clone()).await;
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(explanation.contains("apiclient_key.pem"), "{explanation}");
    let stranger = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    other.key = std::sync::Arc::new(stranger);
    other.send(draft).await;
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(explanation.contains("no key known here"), "{explanation}");
}
