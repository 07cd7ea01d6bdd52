//! Where callers send it: paths and parameters that are not as they should be.
//!
//! A case is one line. Every one is answered as it says, changes nothing in the table and asks WeChat
//! Pay nothing.

use reqwest::Method;
use serde_json::json;

use crate::harness::{ALICE, TestStack};

#[tokio::test]
async fn a_path_is_taken_as_api_gateway_decodes_it() {
    let stack = TestStack::start().await;
    stack.paid("path-00001", 100).await;
    let merchant = stack.merchant.clone();
    let (books, asked) = (stack.books(), stack.wire.requests().len());
    let long = format!("/orders/{}", "n".repeat(33));
    // 404 without a code is the gateway's own: there is no such route.
    for (method, path, status, code) in [
        ("GET", "/orders/..", 400, "invalid_number"),
        ("GET", "/orders/%2e%2e", 400, "invalid_number"),
        ("GET", "/orders/../orders", 404, ""),
        ("GET", "/orders/path-00001%2Frefunds", 400, "invalid_number"),
        (
            "GET",
            "/orders/path-00001%2frefunds%2fr1",
            400,
            "invalid_number",
        ),
        (
            "POST",
            "/orders/path-00001%2Fx/close",
            400,
            "invalid_number",
        ),
        ("GET", "/orders/path-00001%00", 400, "invalid_number"),
        ("GET", "/orders/path-00001%0a", 400, "invalid_number"),
        ("GET", "/orders/path%252d00001", 400, "invalid_number"),
        // An escaped letter is that letter, as API Gateway hands it over.
        ("GET", "/orders/path%2d00001", 200, ""),
        ("GET", "/orders/path-00001;v=1", 400, "invalid_number"),
        ("GET", "/orders/%E8%B7%AF%E5%BE%84", 400, "invalid_number"),
        ("GET", "/orders/path-00001|", 400, "invalid_number"),
        ("GET", "/orders/short", 400, "invalid_number"),
        ("GET", &long, 400, "invalid_number"),
        ("GET", "/orders/PATH-00001", 404, "not_found"),
        ("GET", "/orders/path-00001/", 404, ""),
        ("GET", "/orders//path-00001", 404, ""),
        ("GET", "//orders/path-00001", 404, ""),
        ("GET", "/./orders/path-00001", 404, ""),
        ("GET", "/ORDERS/path-00001", 404, ""),
        ("GET", "/orders/path-00001/close", 404, ""),
        ("DELETE", "/orders/path-00001", 404, ""),
        ("PUT", "/orders/path-00001/close", 404, ""),
        ("GET", "/orders/path-00001/refunds", 404, ""),
        (
            "GET",
            "/orders/path-00001/refunds/..",
            400,
            "invalid_number",
        ),
        ("POST", "/orders/../close", 400, "invalid_number"),
        (
            "POST",
            "/orders/path-00001/refunds/%2e%2e/approve",
            400,
            "invalid_number",
        ),
        ("POST", "/orders/x/../path-00001/close", 404, ""),
        (
            "GET",
            "/orders/path-00001/refunds/a%2Fb",
            400,
            "invalid_number",
        ),
        ("GET", "/orders/path-00001/refunds/nobody", 404, "not_found"),
        (
            "POST",
            "/orders/path-00001/refunds/nobody/approve",
            404,
            "not_found",
        ),
        (
            "POST",
            "/orders/path-00001/refunds/no%20body/approve",
            400,
            "invalid_number",
        ),
        ("POST", "/orders/path-00001/refunds/nobody/forget", 404, ""),
        (
            "POST",
            "/orders/path-00001/refunds/nobody/approve/",
            404,
            "",
        ),
    ] {
        let answer = stack.send_raw(method, path, &merchant).await;
        let told = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!(
            (answer.status, told),
            (status, code),
            "{method} {path}: {answer:?}"
        );
    }
    assert_eq!((stack.books(), stack.wire.requests().len()), (books, asked));
}

#[tokio::test]
async fn a_route_knows_its_own_parameters_and_no_others() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    stack.paid("query-00001", 100).await;
    let merchant = stack.merchant.clone();
    let (books, asked) = (stack.books(), stack.wire.requests().len());
    let (post, get) = (Method::POST, Method::GET);
    for (method, path, credential, code) in [
        (
            &get,
            "/orders/query-00001?force=1",
            &merchant,
            "malformed_request",
        ),
        (
            &get,
            "/orders/query-00001?mchid=1900009999",
            &merchant,
            "malformed_request",
        ),
        (
            &get,
            "/orders/query-00001?transaction_id=1",
            &merchant,
            "malformed_request",
        ),
        (
            &get,
            "/orders/query-00001?a",
            &merchant,
            "malformed_request",
        ),
        (
            &post,
            "/orders/query-00001/close?force=1",
            &merchant,
            "malformed_request",
        ),
        (
            &post,
            "/orders/query-00001/refunds?amount=1",
            &merchant,
            "malformed_request",
        ),
        (
            &get,
            "/orders/query-00001/refunds/r1?x=1",
            &merchant,
            "malformed_request",
        ),
        (
            &post,
            "/orders/query-00001/refunds/r1/approve?x=1",
            &merchant,
            "malformed_request",
        ),
        (&post, "/orders?total=1", &merchant, "malformed_request"),
        (&get, "/orders", &merchant, "malformed_request"),
        (&get, "/orders?transaction_id=", &merchant, "invalid_number"),
        (
            &get,
            "/orders?transaction_id=a%2Fb",
            &merchant,
            "invalid_number",
        ),
        (
            &get,
            "/orders?transaction_id=420000%3Fmchid%3D1",
            &merchant,
            "invalid_number",
        ),
        (
            &get,
            "/orders?transaction_id=4200&transaction_id=4201",
            &merchant,
            "malformed_request",
        ),
        (
            &get,
            "/orders?transaction_id=4200&openid=x",
            &merchant,
            "malformed_request",
        ),
        (&get, "/orders?next_token=x", &merchant, "malformed_request"),
        (
            &get,
            "/orders?transaction_id=4200",
            &alice,
            "malformed_request",
        ),
        (&get, "/orders?openid=x", &alice, "malformed_request"),
        (&get, "/orders?next_token=", &alice, "malformed_request"),
        (
            &get,
            "/orders?next_token=garbage",
            &alice,
            "malformed_request",
        ),
        (
            &get,
            "/orders?next_token=1.short",
            &alice,
            "malformed_request",
        ),
        (
            &get,
            "/orders?next_token=99999999999999999999.query-00001",
            &alice,
            "malformed_request",
        ),
        (&get, "/orders?token=abc", &alice, "malformed_request"),
    ] {
        let body = (*method == post).then(|| json!({}));
        let answer = stack
            .send(method.clone(), path, Some(credential), &[], body)
            .await;
        let told = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!(
            (answer.status, told),
            (400, code),
            "{method} {path}: {answer:?}"
        );
    }
    assert_eq!((stack.books(), stack.wire.requests().len()), (books, asked));
}
