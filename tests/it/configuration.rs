//! Configuration that is missing or broken: every problem named at once, no value ever shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use local::functions;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::Vars;
use shared::process::Process;
use shared::telemetry::Log;

use crate::harness::{TestStack, functions_with, native_order, payment_content};

type Variables = BTreeMap<String, String>;

/// Every function with the environment that the template gives it.
async fn environments() -> Vec<(String, Variables)> {
    let stack = TestStack::start().await;
    let functions = stack.stack.template.functions.values();
    functions
        .map(|function| {
            let mut variables = function.environment.clone();
            for (name, value) in [
                ("AWS_REGION", "local"),
                ("AWS_ACCESS_KEY_ID", "LOCALCANARY"),
                ("AWS_SECRET_ACCESS_KEY", "CANARY-of-the-credentials"),
            ] {
                variables.insert(name.to_owned(), value.to_owned());
            }
            (function.binary.clone(), variables)
        })
        .collect()
}

/// Why the function does not start with these variables; `None` where it does.
fn refusal(binary: &str, variables: &Variables) -> Option<String> {
    let process = Process::with(Clock::system(), Log::to(Arc::new(|_| {}))).unwrap();
    let vars = Vars::from_map(variables.clone());
    let refused = functions::link(binary, &vars, &process).err();
    refused.map(|error| error.to_string())
}

fn with(variables: &Variables, name: &str, value: &str) -> Variables {
    let mut changed = variables.clone();
    changed.insert(name.to_owned(), value.to_owned());
    changed
}

#[tokio::test]
async fn every_missing_variable_is_named_at_the_first_start() {
    for (binary, variables) in environments().await {
        assert_eq!(refusal(&binary, &variables), None, "{binary}");
        let required: Vec<&String> = variables
            .keys()
            .filter(|name| {
                let told = refusal(&binary, &with(&variables, name, ""));
                told.is_some_and(|told| told.contains(&format!("{name} is missing")))
            })
            .collect();
        assert!(required.len() >= 5, "{binary}: {required:?}");
        // One by one, each is named and nothing else is.
        for missing in &required {
            let told = refusal(&binary, &with(&variables, missing, "")).unwrap();
            for name in &required {
                let named = told.contains(&format!("{name} is missing"));
                assert_eq!(named, name == missing, "{binary}: {told}");
            }
        }
        // All together, all are named, each once.
        let told = refusal(&binary, &Variables::new()).unwrap();
        for name in &required {
            let times = told.matches(&format!("{name} is missing")).count();
            assert_eq!(times, 1, "{binary}: {name} in: {told}");
        }
    }
}

#[tokio::test]
async fn every_malformed_variable_is_named_beside_the_missing_ones() {
    // A variable, one that its readers have and no other function, and values that it cannot have.
    let malformed: &[(&str, &str, &[&str])] = &[
        (
            "MCHID",
            "WECHATPAY_SECRET_ARN",
            &[
                "1234567",
                "12345678x",
                "１２３４５６７８",
                "190000010919000001091900000109190",
            ],
        ),
        (
            "APPID",
            "WECHATPAY_SECRET_ARN",
            &["wx 1", "wx/../..", "wx0000000000000000000000000000000"],
        ),
        (
            "SUB_MCHID",
            "WECHATPAY_SECRET_ARN",
            &["1234567", "12345678x", "190000010919000001091900000109190"],
        ),
        (
            "APPID_APP",
            "APPID_APP",
            &["wx 1", "wx0000000000000000000000000000000"],
        ),
        (
            "ORDER_NUMBER_PREFIX",
            "ORDER_NUMBER_PREFIX",
            &["toolong", "a b", "a#", "a/"],
        ),
        (
            "MERCHANT_NUMBER_SHARED",
            "MERCHANT_NUMBER_SHARED",
            // It needs a prefix, and there is none here.
            &["yes", "true", "1", "TRUE"],
        ),
        (
            "REFUND_INTERVAL_SECONDS",
            "REFUND_INTERVAL_SECONDS",
            &["0", "-1", "3601", "soon", "60s", "1e3"],
        ),
        (
            "OPEN_ORDERS_MAX",
            "OPEN_ORDERS_MAX",
            &["0", "101", "-1", "many", "2.5"],
        ),
        (
            "AUTO_APPROVE_REFUND_HOURS",
            "AUTO_APPROVE_REFUND_HOURS",
            &["-1", "8761", "1.5", "never"],
        ),
        (
            "WECHATPAY_BASE_URL",
            "WECHATPAY_BASE_URL",
            &[
                "nowhere",
                "ftp://api.mch.weixin.qq.com",
                "https://evil.example",
                "http://api.mch.weixin.qq.com",
                "https://api.mch.weixin.qq.com/path",
                "https://CANARY:CANARY@api.mch.weixin.qq.com",
            ],
        ),
        (
            "WECHATPAY_BACKUP_URL",
            "WECHATPAY_BACKUP_URL",
            &["nowhere", "https://api.mch.weixin.qq.com.evil.example"],
        ),
        (
            "WECHAT_API_BASE_URL",
            "WECHAT_API_BASE_URL",
            &[
                "nowhere",
                "https://api.weixin.qq.com.evil.example",
                "http://api.weixin.qq.com",
            ],
        ),
    ];
    for (binary, variables) in environments().await {
        let mut all = variables.clone();
        let mut named = Vec::new();
        for (name, readers_have, values) in malformed {
            if !variables.contains_key(*readers_have) {
                continue;
            }
            for value in *values {
                let told = refusal(&binary, &with(&variables, name, value));
                let told = told.unwrap_or_else(|| panic!("{binary} took {name}={value}"));
                assert!(told.contains(name), "{binary}: {name}={value}: {told}");
                assert!(!told.contains("CANARY"), "{binary}: {told}");
            }
            all.insert((*name).to_owned(), values[0].to_owned());
            named.push(*name);
        }
        all.remove("AWS_REGION");
        named.push("AWS_REGION");
        let told = refusal(&binary, &all).unwrap();
        for name in named {
            assert!(told.contains(name), "{binary}: {name} is not in: {told}");
        }
        assert!(!told.contains("CANARY"), "{binary}: {told}");
    }
}

#[tokio::test]
async fn a_stack_is_a_direct_merchants_or_a_partners_and_says_which_variable_is_wrong() {
    let (mchid, appid) = ("1900000109", "wx00000000000000a1");
    let (sub_mchid, sub_appid) = ("1900000110", "wx00000000000000b1");
    let environments = environments().await;
    for (binary, mut variables) in environments {
        if !variables.contains_key("WECHATPAY_SECRET_ARN") {
            continue;
        }
        variables.insert("MCHID".to_owned(), mchid.to_owned());
        variables.insert("APPID".to_owned(), appid.to_owned());
        let started = |sub_mchid, sub_appid| {
            let variables = with(&variables, "SUB_MCHID", sub_mchid);
            refusal(&binary, &with(&variables, "SUB_APPID", sub_appid))
        };
        assert_eq!(started("", ""), None, "{binary}");
        assert_eq!(started(sub_mchid, ""), None, "{binary}");
        assert_eq!(started(sub_mchid, sub_appid), None, "{binary}");
        for (sub_mchid, sub_appid, wrong) in [
            ("", sub_appid, "SUB_MCHID, its number, is missing"),
            (mchid, "", "SUB_MCHID is MCHID"),
            (sub_mchid, appid, "SUB_APPID is APPID"),
        ] {
            let told = started(sub_mchid, sub_appid).unwrap();
            assert!(told.contains(wrong), "{binary}: {told}");
        }
    }
    // An order's other apps are the partner's own, too.
    let stack = TestStack::start().await;
    let create_order = &stack.stack.template.functions["CreateOrderFunction"];
    let mut variables = create_order.environment.clone();
    for (name, value) in [
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", "LOCALCANARY"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-of-the-credentials"),
        ("SUB_MCHID", sub_mchid),
        ("SUB_APPID", sub_appid),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(refusal("create-order", &variables), None);
    for name in ["APPID_NATIVE", "APPID_H5", "APPID_APP"] {
        let told = refusal("create-order", &with(&variables, name, sub_appid)).unwrap();
        assert!(told.contains(&format!("{name} is SUB_APPID")), "{told}");
    }
}

const SIGNING: &str = "the signing secret cannot be used";
const WECHATPAY: &str = "the wechatpay secret cannot be used";
const APIV3: &str = "the apiv3 secret cannot be used";
const APP: &str = "the app secret cannot be used";
const API: &str = "the api secret cannot be used";

/// A serial number of the right length.
const SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";

/// A secret, a text for it, and what has to be told about it.
fn broken() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let key = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----";
    vec![
        ("SigningSecret", json!(""), vec!["line 1"]),
        ("SigningSecret", json!("CANARY"), vec!["line 1"]),
        (
            "SigningSecret",
            json!({"serial_no": "00"}),
            vec!["expected shape"],
        ),
        (
            "SigningSecret",
            json!({"serial_no": 7, "private_key": "CANARY"}),
            vec!["expected shape"],
        ),
        (
            "SigningSecret",
            json!({"serial_no": "CANARY", "private_key": "CANARY"}),
            vec!["serial number", "private key is not PEM"],
        ),
        (
            "SigningSecret",
            json!({"serial_no": SERIAL, "private_key": key}),
            vec!["private key", "record_key is missing"],
        ),
        (
            "SigningSecret",
            json!({"serial_no": "0A", "private_key": "CANARY", "record_key": "CANARY", "also_accepted_record_keys": ["CANARY"]}),
            vec![
                "serial number",
                "private key is not PEM",
                "record_key is not base64",
                "also_accepted_record_keys is not base64",
            ],
        ),
        (
            "WechatpaySecret",
            json!({"public_key_id": "0119000001092026112800001000000000", "public_key": key}),
            vec!["public key's id"],
        ),
        ("WechatpaySecret", json!("{}"), vec!["expected shape"]),
        (
            "WechatpaySecret",
            json!({"public_key_id": "CANARY", "public_key": "CANARY"}),
            vec!["public key's id"],
        ),
        (
            "WechatpaySecret",
            json!({"public_key_id": key, "public_key": "PUB_KEY_ID_01"}),
            vec!["public key's id"],
        ),
        (
            "WechatpaySecret",
            json!({"public_key_id": "PUB_KEY_ID_01", "public_key": "CANARY", "also_accepted": [{"public_key_id": "PUB_KEY_ID_02", "public_key": key}]}),
            vec!["PUB_KEY_ID_01 is not PEM", "PUB_KEY_ID_02 is not PEM"],
        ),
        (
            "Apiv3Secret",
            json!({"apiv3_key": "CANARY"}),
            vec!["6 bytes"],
        ),
        (
            "Apiv3Secret",
            json!({"apiv3_key": "", "also_accepted": ["CANARY-CANARY"]}),
            vec!["0 bytes", "13 bytes"],
        ),
        (
            "AppSecret",
            json!({"appid": "", "app_secret": "CANARY"}),
            vec!["appid", "app_secret"],
        ),
        (
            "ApiSecret",
            json!({"token_key": "CANARY", "merchant_key_hashes": ["CANARY"], "number_key": "CANARY"}),
            vec!["token_key", "merchant key hash", "number_key"],
        ),
        (
            "ApiSecret",
            json!({"token_key": "CANARY"}),
            vec!["expected shape"],
        ),
    ]
}

/// What a broken secret is told by: a route that needs it, and the function's name in the log.
fn route(secret: &str) -> (Method, &'static str, Value, &'static str) {
    match secret {
        "SigningSecret" | "WechatpaySecret" | "ApiSecret" => (
            Method::POST,
            "/orders",
            native_order("broken-0001", 100),
            "create-order",
        ),
        "AppSecret" => (
            Method::POST,
            "/sessions",
            json!({"code": "a-code-0000000000000000000000000"}),
            "login",
        ),
        other => panic!("{other} has no route of callers"),
    }
}

/// The one line that a function wrote about a request it could not serve.
fn line(stack: &TestStack, function: &str, before: usize) -> Value {
    let mut lines = stack.log_lines().split_off(before);
    lines.retain(|line| line["function"] == function);
    assert_eq!(lines.len(), 1, "one line tells it: {lines:?}");
    let line = lines.remove(0);
    assert_eq!(
        (&line["level"], &line["not_configured"]),
        (&json!("ERROR"), &json!(1))
    );
    line
}

#[tokio::test]
async fn a_broken_secret_is_named_with_all_that_is_wrong_and_nothing_of_its_value() {
    for (secret, text, told) in broken() {
        let stack = TestStack::start().await;
        // A text of JSON is put as it stands, an object as its JSON.
        let put = text
            .as_str()
            .map_or_else(|| text.to_string(), str::to_owned);
        stack.put_secret(secret, &put);
        let line = if secret == "Apiv3Secret" {
            let content = payment_content(&stack, "broken-0001", 100);
            let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
            assert_eq!(answer.status, 503);
            line(&stack, "notify-callback", 0)
        } else {
            let (method, path, body, function) = route(secret);
            let credential = (path == "/orders").then_some(stack.merchant.as_str());
            let answer = stack.send(method, path, credential, &[], Some(body)).await;
            answer.refused(503, "not_configured");
            line(&stack, function, 0)
        };
        let shown = line.to_string();
        for part in told {
            assert!(
                shown.contains(part),
                "{secret} = {text}: {part:?} is not in {shown}"
            );
        }
        assert!(stack.seen("ledger").await.is_empty());
    }
}

#[tokio::test]
async fn after_a_first_deployment_one_line_names_every_secret_that_is_wanting() {
    let stack = TestStack::start().await;
    for secret in [
        "SigningSecret",
        "WechatpaySecret",
        "Apiv3Secret",
        "AppSecret",
        "ApiSecret",
    ] {
        stack.put_secret(secret, "");
    }
    let any = Some(stack.merchant.clone());
    let order = native_order("unusable-001", 100);
    let refund = json!({"out_refund_no": "unusable-r1", "amount": {"refund": 1}});
    let (post, get) = (Method::POST, Method::GET);
    let settling = [API, SIGNING, WECHATPAY];
    for (method, path, body, function, named) in [
        (
            &post,
            "/sessions",
            Some(json!({"code": "a-code-0000000000000000000000000"})),
            "login",
            &[APP, API][..],
        ),
        (&post, "/orders", Some(order), "create-order", &settling),
        (&get, "/orders/unusable-001", None, "query", &settling),
        (
            &post,
            "/orders/unusable-001/close",
            Some(json!({})),
            "close-order",
            &settling,
        ),
        (
            &post,
            "/orders/unusable-001/refunds",
            Some(refund),
            "refund",
            &settling,
        ),
    ] {
        let before = stack.logged().len();
        let answer = stack
            .send(method.clone(), path, any.as_deref(), &[], body)
            .await;
        answer.refused(503, "not_configured");
        let told = line(&stack, function, before)["problems"].to_string();
        for secret in named {
            let times = told.matches(secret).count();
            assert_eq!(times, 1, "{path}: {secret:?} in {told}");
        }
    }
    let before = stack.logged().len();
    let content = payment_content(&stack, "unusable-001", 100);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        503
    );
    let line = line(&stack, "notify-callback", before).to_string();
    assert!(line.contains(WECHATPAY) && line.contains(APIV3), "{line}");
    assert!(
        stack
            .items()
            .iter()
            .all(|item| item["pk"]["S"].as_str().unwrap().starts_with("SKU#"))
    );
}

/// What `wxpay up` says at its start.
#[tokio::test]
async fn a_stack_knows_every_secret_that_is_wanting_and_whom_it_stops() {
    let stack = TestStack::start().await;
    assert_eq!(stack.stack.unusable_secrets().await, Vec::new());
    for (secret, message, variable) in [
        ("SigningSecret", SIGNING, "SIGNING_SECRET_ARN"),
        ("WechatpaySecret", WECHATPAY, "WECHATPAY_SECRET_ARN"),
        ("Apiv3Secret", APIV3, "APIV3_SECRET_ARN"),
        ("AppSecret", APP, "APP_SECRET_ARN"),
        ("ApiSecret", API, "API_SECRET_ARN"),
    ] {
        let good = stack.secret(secret).to_string();
        stack.put_secret(secret, "CANARY");
        let told = stack.stack.unusable_secrets().await;
        let [unusable] = told.as_slice() else {
            panic!("{secret}: {told:?}");
        };
        assert!(unusable.problem.contains(message), "{told:?}");
        let mut stopped: Vec<String> = unusable.functions.clone();
        stopped.sort();
        assert_eq!(stopped, functions_with(variable), "{secret}");
        stack.put_secret(secret, &good);
    }
    assert_eq!(stack.stack.unusable_secrets().await, Vec::new());
}

#[tokio::test]
async fn secrets_that_are_filled_in_are_used_without_a_start() {
    let stack = TestStack::start().await;
    let good = stack.secret("SigningSecret").to_string();
    stack.put_secret("SigningSecret", "REPLACE ME");
    let place = async || {
        let order = native_order("filled-0001", 100);
        stack.post(&stack.merchant, "/orders", order).await
    };
    place().await.refused(503, "not_configured");
    stack.put_secret("SigningSecret", &good);
    let placed = async || place().await.body;
    stack.until(placed, |body| body["pay"].is_object()).await;
    assert_eq!(stack.seen("ledger").await.len(), 1);
}

/// The sweep has no caller to tell: it says in its lines what is wrong, and goes on when it is mended.
#[tokio::test]
async fn a_sweep_without_keys_says_so_and_loses_nothing() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("sweep-keys1", 100).await;
    stack.pay("sweep-keys1").await;
    let (signing, wechatpay) = (
        stack.secret("SigningSecret"),
        stack.secret("WechatpaySecret"),
    );
    for secret in ["SigningSecret", "WechatpaySecret"] {
        stack.put_secret(secret, "");
    }
    stack.advance(301).await;
    let before = stack.logged().len();
    let swept = stack.sweep().await;
    assert_eq!(
        (&swept["looked_at"], &swept["failed"]),
        (&json!(1), &json!(1))
    );
    let lines = stack.log_lines().split_off(before);
    let line = lines
        .iter()
        .find(|line| line["message"] == "looked at")
        .unwrap();
    assert_eq!(
        (&line["level"], &line["not_configured"]),
        (&json!("ERROR"), &json!(1))
    );
    let told = line.to_string();
    assert!(told.contains(SIGNING) && told.contains(WECHATPAY), "{told}");
    stack.put_secret("SigningSecret", &signing.to_string());
    stack.put_secret("WechatpaySecret", &wechatpay.to_string());
    let settled = async || {
        stack.advance(150).await;
        stack.sweep().await;
        stack.order_item("sweep-keys1")["trade_state"]["S"].clone()
    };
    stack.until(settled, |state| state == "SUCCESS").await;
}

/// A value may be long: it is the list of problems that must not be cut.
#[test]
fn a_log_line_keeps_a_list_of_problems_whole() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&written);
    let log = Log::to(Arc::new(move |line| {
        lines.lock().unwrap().push(line.to_owned());
    }));
    let clock = Clock::system();
    let mut record = shared::telemetry::LogLine::start("a-function", &clock);
    let problems: Vec<String> = (0..40)
        .map(|place| format!("VARIABLE_{place} is missing"))
        .collect();
    record.field("problems", problems.clone());
    record.write(&log, &clock, "not configured");
    let line = written.lock().unwrap().concat();
    for problem in problems {
        assert!(line.contains(&problem), "{problem} is not in {line}");
    }
}
