//! Callers read problems in their own language; codes, fields and what they branch on stay as they are.

use reqwest::Method;
use reqwest::header::CONTENT_LANGUAGE;
use serde_json::{Value, json};

use crate::harness::TestStack;

/// The problem that a request with this `Accept-Language` gets, and the language that it says to be in.
async fn problem(
    stack: &TestStack,
    language: Option<&str>,
    path: &str,
    body: Option<Vec<u8>>,
) -> (Value, Option<String>) {
    let url = format!("{}{path}", stack.stack.api_url);
    let method = body.as_ref().map_or(Method::GET, |_| Method::POST);
    let mut request = stack.http.request(method, url).bearer_auth(&stack.merchant);
    if let Some(language) = language {
        request = request.header("Accept-Language", language);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json");
        request = request.body(body);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let said = answer.headers().get(CONTENT_LANGUAGE);
    let said = said.map(|value| value.to_str().unwrap().to_owned());
    (answer.json().await.unwrap(), said)
}

#[tokio::test]
async fn who_prefers_chinese_is_told_in_chinese_what_was_wrong() {
    let stack = TestStack::start().await;
    stack.paid("language-01", 100).await;
    let bytes = |value: Value| Some(value.to_string().into_bytes());
    let refunds = "/orders/language-01/refunds";
    let too_much = json!({"out_refund_no": "language-r1", "amount": {"refund": 101}});
    let odd = json!({"out_refund_no": "language-r2", "amount": {"refund": 1}, "speed": 2});
    // A path, a body, and the detail: what differs from case to case is in it.
    let cases = [
        ("/orders/language-00", None, "没有这笔订单或退款"),
        (
            refunds,
            bytes(too_much),
            "最多还可以退 100 分，处理中的退款已从中扣除",
        ),
        (refunds, bytes(odd), "有不认识的字段（unknown field `speed`"),
        (
            "/orders?speed=2",
            None,
            "请求头或参数缺失或格式错误（unknown query parameter \"speed\"）",
        ),
        (
            refunds,
            Some(vec![b'x'; 70_000]),
            "请求体过大（the body has 70000 bytes",
        ),
    ];
    for (path, body, detail) in cases {
        let (chinese, language) = problem(&stack, Some("zh-CN,zh;q=0.9"), path, body.clone()).await;
        assert_eq!(language.as_deref(), Some("zh-CN"), "{chinese}");
        let said = chinese["detail"].as_str().unwrap();
        assert!(said.starts_with(detail), "{said}");
        let (mut english, language) = problem(&stack, None, path, body).await;
        assert_eq!(language, None);
        assert!(english["detail"].as_str().unwrap().is_ascii(), "{english}");
        // Nothing but the two texts for people differs.
        for text in ["title", "detail"] {
            assert_ne!(chinese[text], english[text]);
            english[text] = chinese[text].clone();
        }
        assert_eq!(chinese, english);
    }
    let (english, language) =
        problem(&stack, Some("en,zh;q=0.9"), "/orders/language-00", None).await;
    assert_eq!((language, &english["title"]), (None, &json!("Not found")));
}
