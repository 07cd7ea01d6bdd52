//! docs/openapi.yaml is what the code does: its routes, problem codes, names, fields and limits are the
//! types', and every example in it is valid. Each answer that any test receives is held against it too
//! (`harness::contract`).

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use shared::api::Code;
use shared::domain::order::CURRENCY;
use shared::domain::terms::Party;
use shared::domain::{
    FEN_MAX, Openid, OrderId, OrderState, RefundId, RefundState, Timestamp, TradeType,
    TransactionId,
};
use shared::wechatpay::{BankType, SENSITIVE_MAX};

use crate::harness::contract::{document, escaped, operation, resolved, wrong};
use crate::harness::{ALICE, TestStack, declared};

/// Every operation of the document: its method and path, its place, and what it says.
fn operations() -> Vec<(String, String, &'static Value)> {
    let mut found = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                let key = format!("{} {path}", method.to_uppercase());
                let at = format!("/paths/{}/{method}", escaped(path));
                found.push((key, at, operation));
            }
        }
    }
    found
}

/// Every answer of every operation: where it stands, its status, its media type and what it says.
fn answers() -> Vec<(String, u16, &'static str, &'static Value)> {
    let mut found = Vec::new();
    for (key, _, operation) in operations() {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(document(), answer);
            for (media, content) in answer["content"].as_object().into_iter().flatten() {
                let status = status.parse().unwrap();
                found.push((format!("{key} {status}"), status, media.as_str(), content));
            }
        }
    }
    found
}

/// The values of a list of names.
fn texts(list: &Value) -> Vec<&str> {
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("{list} is no list"));
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

fn schema(name: &str) -> &'static Value {
    let schema = &document()["components"]["schemas"][name];
    assert!(schema.is_object(), "there is no {name}");
    schema
}

#[test]
fn its_routes_are_the_templates() {
    let declared = declared().into_values();
    let routes = declared.flat_map(|function| function.routes);
    let routes: BTreeSet<String> = routes
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let described: BTreeSet<String> = operations().into_iter().map(|(key, ..)| key).collect();
    assert_eq!(described, routes);
    let parameters = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|part| part.starts_with('{'));
        parts
            .map(|part| part.trim_matches(['{', '}']).to_owned())
            .collect()
    };
    for (path, item) in document()["paths"].as_object().unwrap() {
        let named = item["parameters"].as_array().into_iter().flatten();
        let named: Vec<&str> = named
            .map(|parameter| resolved(document(), parameter)["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, parameters(path), "{path}");
    }
}

#[test]
fn its_problem_codes_are_the_codes() {
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(
        texts(&schema("Problem")["properties"]["code"]["enum"]),
        known
    );
    let place = |code: &&str| known.iter().position(|known| known == code).unwrap();
    let mut given = BTreeSet::new();
    for (at, status, media, content) in answers() {
        if media != "application/problem+json" {
            continue;
        }
        let named = &content["schema"];
        let own = resolved(document(), named);
        let codes = match &named["properties"]["code"]["enum"] {
            Value::Null => &own["properties"]["code"]["enum"],
            codes => codes,
        };
        let codes = texts(codes);
        assert!(
            codes.is_sorted_by_key(place),
            "{at}: the order is not the table's"
        );
        for code in &codes {
            let code = Code::ALL[place(code)];
            assert_eq!(code.status(), status, "{at}: {}", code.as_str());
        }
        let examples = content["examples"].as_object().unwrap();
        let examples: BTreeSet<&str> = examples.keys().map(String::as_str).collect();
        assert_eq!(
            examples,
            codes.iter().copied().collect(),
            "{at}: its examples"
        );
        given.extend(codes);
    }
    assert_eq!(
        given,
        known.into_iter().collect(),
        "what some operation gives"
    );
    for code in Code::ALL {
        let example = &document()["components"]["examples"][code.as_str()]["value"];
        let expected = json!({
            "type": format!("urn:wxpay:problem:{}", code.as_str()), "title": code.title(),
            "status": code.status(), "code": code.as_str(),
        });
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(example[member], *value, "{}", code.as_str());
        }
    }
}

/// A request that many routes can be refused with says so at each of them.
#[test]
fn every_operation_says_what_any_can_answer() {
    for (key, _, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        let mut wanted = vec!["400", "413", "429", "500", "503"];
        if operation["security"] != json!([]) {
            wanted.push("401");
        }
        if key.contains('{') {
            wanted.push("404");
        }
        if operation["requestBody"].is_object() && !key.contains("notify") {
            wanted.push("422");
        }
        for status in wanted {
            assert!(responses.contains_key(status), "{key}: {status}");
        }
        for member in ["operationId", "summary"] {
            assert!(operation[member].is_string(), "{key}: {member}");
        }
    }
}

#[test]
fn its_examples_are_valid() {
    let mut checked = 0;
    for (at, status, media, content) in answers() {
        let shown = content["examples"].as_object();
        assert!(
            shown.is_some() || content["schema"]["$ref"] == "#/components/schemas/GatewayMessage",
            "{at}: {media} has no example"
        );
        let (method, rest) = at.split_once(' ').unwrap();
        let (path, _) = rest.split_once(' ').unwrap();
        let (operation, said) = operation(method, path).unwrap();
        let answer = &said["responses"][status.to_string()];
        let answer = match answer["$ref"].as_str() {
            Some(to) => to.trim_start_matches('#').to_owned(),
            None => format!("{operation}/responses/{status}"),
        };
        let place = format!("{answer}/content/{}/schema", escaped(media));
        for (name, example) in shown.into_iter().flatten() {
            let value = &resolved(document(), example)["value"];
            assert_eq!(wrong(&place, value, true), None, "{at}: {name}");
            checked += 1;
        }
    }
    for (key, at, operation) in operations() {
        let Some(body) = operation.get("requestBody") else {
            continue;
        };
        let place = match body["$ref"].as_str() {
            Some(to) => to.trim_start_matches('#').to_owned(),
            None => format!("{at}/requestBody"),
        };
        let content = &document().pointer(&place).unwrap()["content"]["application/json"];
        let place = format!("{place}/content/application~1json/schema");
        for (name, example) in content["examples"].as_object().unwrap() {
            assert_eq!(
                wrong(&place, &example["value"], false),
                None,
                "{key}: {name}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} examples were found");
}

/// One of each state, in the order of the table of docs/api.md.
fn refund_states() -> Vec<RefundState> {
    let at = Timestamp::from_unix_seconds(0);
    vec![
        RefundState::Requested,
        RefundState::Reserved,
        RefundState::Processing,
        RefundState::Abnormal,
        RefundState::Closed,
        RefundState::Success { at },
        RefundState::Rejected,
        RefundState::Withdrawing {
            since: at,
            missing_since: None,
        },
        RefundState::Withdrawn {
            at,
            confirmations: 0,
        },
    ]
}

#[test]
fn its_names_are_the_types() {
    let trade_types = TradeType::ALL.map(TradeType::as_str);
    assert_eq!(texts(&schema("TradeType")["enum"]), trade_types);
    assert_eq!(texts(&schema("TradeState")["enum"]), OrderState::NAMES);
    let refund_states: Vec<&str> = refund_states().iter().map(|state| state.as_str()).collect();
    assert_eq!(texts(&schema("RefundStatus")["enum"]), refund_states);
    let parties = [Party::Payer, Party::Merchant].map(Party::as_str);
    assert_eq!(texts(&schema("Party")["enum"]), parties);
    assert_eq!(schema("Currency")["const"], CURRENCY);
    // serde says which banks it knows.
    let told = serde_json::from_value::<BankType>(json!("NONE")).unwrap_err();
    let banks = &schema("ToUsersCard")["properties"]["bank_type"]["enum"];
    assert_eq!(texts(banks), quoted(&told.to_string())[1..]);
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether a schema of the document takes a value.
fn takes(name: &str, value: impl Into<Value>) -> bool {
    wrong(&format!("/components/schemas/{name}"), &value.into(), false).is_none()
}

#[test]
fn its_ids_and_amounts_are_the_types() {
    let mut samples: Vec<String> = Vec::new();
    for length in [0, 1, 5, 6, 31, 32, 33, 63, 64, 65, 128, 129] {
        samples.push("a".repeat(length));
    }
    for letter in (0..=127_u8).map(char::from).chain(['é', '茶', '\u{ff10}']) {
        samples.push(format!("aaaaaa{letter}"));
    }
    for sample in &samples {
        let sample = sample.as_str();
        let parsed = [
            ("OrderNumber", OrderId::parse(sample).is_ok()),
            ("RefundNumber", RefundId::parse(sample).is_ok()),
            ("TransactionId", TransactionId::parse(sample).is_ok()),
            ("Openid", Openid::parse(sample).is_ok()),
        ];
        for (name, fits) in parsed {
            assert_eq!(takes(name, sample), fits, "{name}: {sample:?}");
        }
    }
    let most = i64::from(FEN_MAX);
    for (amount, fits) in [(0, false), (1, true), (most, true), (most + 1, false)] {
        assert_eq!(takes("Fen", amount), fits, "{amount}");
        assert_eq!(
            takes("FenOrNothing", amount),
            fits || amount == 0,
            "{amount}"
        );
    }
    let time = shared::rfc3339::format(Timestamp::from_unix_seconds(1_795_917_660));
    assert!(takes("Time", time));
    assert!(!takes("Time", "2026-11-29T02:01:00Z"));
    let card = &schema("ToUsersCard")["properties"];
    for member in ["bank_account", "real_name"] {
        assert_eq!(card[member]["maxLength"], SENSITIVE_MAX, "{member}");
    }
}

/// The members of a request's schema, of all its forms, by the object that they are in ("" for the whole).
fn members(schema: &'static Value, inside: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let schema = resolved(document(), schema);
    for form in schema["oneOf"].as_array().into_iter().flatten() {
        members(form, inside, found);
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let names = found.entry(inside.to_owned()).or_default();
    names.extend(properties.keys().cloned());
    for (name, member) in properties {
        let at = if inside.is_empty() {
            name.clone()
        } else {
            format!("{inside}.{name}")
        };
        members(member, &at, found);
        if member["items"].is_object() {
            members(&member["items"], &format!("{at}[0]"), found);
        }
    }
}

/// A body with an unknown member in the object at this place, and nothing else.
fn strange(inside: &str) -> Value {
    let mut body = json!({"no_such_field": 1});
    for name in inside.split('.').rev().filter(|name| !name.is_empty()) {
        body = match name.strip_suffix("[0]") {
            Some(name) => json!({name: [body]}),
            None => json!({name: body}),
        };
    }
    body
}

/// serde names the fields of a type in its refusal of another: these are the document's.
#[tokio::test]
async fn its_fields_are_the_types() {
    let stack = TestStack::start().await;
    let mut compared = 0;
    for (key, _, operation) in operations() {
        let Some(body) = operation.get("requestBody") else {
            continue;
        };
        let (method, path) = key.split_once(' ').unwrap();
        if path == "/wechatpay/notify" {
            // An envelope may have whatever WeChat Pay puts in it.
            continue;
        }
        let path = path
            .replace("{out_trade_no}", "openapi-0001")
            .replace("{out_refund_no}", "r");
        let body = resolved(document(), body);
        let mut described = BTreeMap::new();
        members(
            &body["content"]["application/json"]["schema"],
            "",
            &mut described,
        );
        described.entry(String::new()).or_default();
        for (inside, names) in described {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let (merchant, body) = (Some(stack.merchant.as_str()), strange(&inside));
            let refused = stack.send(method, &path, merchant, &[], Some(body)).await;
            let refused = refused.refused(422, "unknown_field");
            let told = refused["detail"].as_str().unwrap();
            let told: BTreeSet<String> = quoted(told)[1..]
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            assert_eq!(names, told, "{key}: {inside:?}: {refused}");
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} objects were compared");
}

/// A place in a body, and what is put there.
type Edge = (&'static str, Value);

/// Puts a value at a place of a body.
fn with(mut body: Value, place: &str, value: Value) -> Value {
    *body.pointer_mut(place).unwrap() = value;
    body
}

/// What the document allows is taken, and what it does not allow is refused, at the very edges.
#[tokio::test]
async fn its_limits_are_the_routes() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    stack.paid("openapi-0002", 1000).await;
    let merchants = json!({
        "trade_type": "h5", "out_trade_no": "x", "description": "Cake",
        "amount": {"total": 1, "currency": "CNY"}, "attach": "x",
        "scene_info": {"payer_client_ip": "192.0.2.1"},
    });
    let payers = json!({
        "trade_type": "native", "items": [{"sku": "tea", "quantity": 1}], "attach": "x",
    });
    let refunds = json!({
        "amount": {"refund": 1, "currency": "CNY"}, "reason": "x", "out_refund_no": "x",
    });
    let skus: Vec<Value> = (0..51)
        .map(|sku| json!({"sku": format!("s{sku}"), "quantity": 1}))
        .collect();
    let text = |length| Value::from("a".repeat(length));
    let merchants_edges: Vec<Edge> = vec![
        ("/out_trade_no", text(5)),
        ("/out_trade_no", text(6)),
        ("/out_trade_no", text(32)),
        ("/out_trade_no", text(33)),
        ("/description", text(0)),
        ("/description", text(1)),
        ("/description", text(127)),
        ("/description", text(128)),
        ("/amount/total", json!(0)),
        ("/amount/total", json!(FEN_MAX)),
        ("/amount/total", json!(u64::from(FEN_MAX) + 1)),
        ("/amount/total", json!(1.5)),
        ("/amount/total", json!("1")),
        ("/amount/currency", Value::Null),
        ("/amount/currency", json!("USD")),
        ("/attach", Value::Null),
        ("/attach", text(0)),
        ("/attach", text(128)),
        ("/attach", text(129)),
        ("/scene_info", Value::Null),
        ("/scene_info/payer_client_ip", json!("2001:db8::1")),
        ("/scene_info/payer_client_ip", json!("192.0.2")),
        ("/trade_type", json!("native")),
        ("/trade_type", json!("facepay")),
    ];
    let payers_edges: Vec<Edge> = vec![
        ("/items", json!([])),
        ("/items", json!(skus)),
        ("/items/0/quantity", json!(0)),
        ("/items/0/quantity", json!(9999)),
        ("/items/0/quantity", json!(10_000)),
        ("/items/0/sku", text(0)),
        ("/items/0/sku", text(65)),
        ("/items/0/sku", json!("tea pot")),
        ("/attach", text(128)),
        ("/attach", text(129)),
    ];
    let refunds_edges: Vec<Edge> = vec![
        ("/out_refund_no", text(64)),
        ("/out_refund_no", text(65)),
        ("/out_refund_no", json!("a b")),
        ("/amount/refund", json!(0)),
        ("/amount/refund", json!(-1)),
        ("/reason", Value::Null),
        ("/reason", text(0)),
        ("/reason", text(80)),
        ("/reason", text(81)),
    ];
    let routes = [
        (
            "PlaceOrder",
            "/orders",
            stack.merchant.clone(),
            merchants,
            merchants_edges,
        ),
        ("PlaceOrder", "/orders", alice, payers, payers_edges),
        (
            "RequestRefund",
            "/orders/openapi-0002/refunds",
            stack.merchant.clone(),
            refunds,
            refunds_edges,
        ),
    ];
    let mut number = 0;
    for (name, path, credential, body, edges) in routes {
        for (place, value) in edges {
            number += 1;
            let mut body = body.clone();
            if path == "/orders" && body["out_trade_no"] == "x" {
                body["out_trade_no"] = json!(format!("openapi-edge-{number}"));
            }
            if body["out_refund_no"] == "x" {
                body["out_refund_no"] = json!(format!("openapi-edge-{number}"));
            }
            let body = with(body, place, value);
            let shown = format!("{path} {place}: {body}");
            let key = format!("openapi-edge-{number:05}");
            let answer = stack.post_once(&credential, path, &key, body.clone()).await;
            let allowed = takes(name, body);
            assert_eq!(answer.status < 300, allowed, "{shown}: {answer:?}");
        }
    }
}
