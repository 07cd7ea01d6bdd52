//! The bounds of the search, which no answer shows.

use hyper::HeaderMap;

use super::*;

fn search(body: &[u8]) -> (usize, bool) {
    let request = Request {
        method: "POST".to_owned(),
        target: "/v3/pay/transactions/jsapi".to_owned(),
        headers: HeaderMap::new(),
        body: body.to_vec().into(),
    };
    let authorization = Authorization {
        mchid: "1900000109".to_owned(),
        nonce: "593BEC0C930BF1AFEB40B4A08C8FB242".to_owned(),
        signature: String::new(),
        timestamp: "1554208460".to_owned(),
        serial_no: String::new(),
    };
    // A digest that no text has, so that everything is tried.
    let mut search = Search::new(&[0; 32]);
    assert!(search.all(&request, body, &authorization).is_continue());
    (search.worked, search.cut_short)
}

/// A JSON object of about so many bytes.
fn object(bytes: usize) -> Vec<u8> {
    let members: Vec<String> = (0..bytes / 16)
        .map(|member| format!("\"{member:08}\":\"咖\""))
        .collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

#[test]
fn the_work_is_bounded_however_long_the_body_is() {
    for bytes in [1 << 10, 16 << 10, 60 << 10, 1 << 20, 4 << 20] {
        let (worked, cut_short) = search(&object(bytes));
        assert!(worked <= 3 * STAGE_BYTES_MAX, "{bytes}: {worked}");
        assert!(cut_short || bytes < 16 << 10, "{bytes}");
    }
}

#[test]
fn a_usual_order_is_tried_to_the_end() {
    let body = r#"{"appid":"wxd678efh567hg6787","mchid":"1900000109","description":"一杯咖啡 & more","out_trade_no":"1217752501201407033233368018","notify_url":"https://www.example.com/wechatpay/notify","amount":{"total":100,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}"#;
    let (worked, cut_short) = search(body.as_bytes());
    assert!(!cut_short, "{worked}");
}
