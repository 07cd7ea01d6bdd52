//! Every file of `events/` gets the answer that `events/expected.json` promises.
//!
//! The functions are fed the files as Lambda would feed them, without HTTP in front.
//! `.ci/lambda-contract` does the same to the release binaries, with the same expectations; how they
//! are to be read is told in `events/README.md`.

mod mutations;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shared::domain::BeijingDay;

use crate::harness::forge::seal;
use crate::harness::{TestStack, declared};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn read(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The function's logical id, as the template has it: `create-order.happy` is `CreateOrderFunction`'s.
fn function_of(event: &str) -> String {
    let name = event.split('.').next().unwrap();
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    format!("{}Function", words.collect::<String>())
}

/// What placeholders stand for so far.
struct Kept(BTreeMap<String, String>);

impl Kept {
    fn keep(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    /// Keeps what `wanted` (name to JSON pointer) finds in `answer`.
    fn keep_from(&mut self, wanted: &Value, answer: &Value) {
        for (name, pointer) in wanted.as_object().into_iter().flatten() {
            let found = answer.pointer(pointer.as_str().unwrap());
            let found = found.and_then(Value::as_str);
            let found = found.unwrap_or_else(|| panic!("{pointer} is no text in {answer}"));
            self.keep(name, found);
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.0 {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        text
    }

    fn filled_in(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.filled(text)),
            Value::Array(values) => values.iter().map(|value| self.filled_in(value)).collect(),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.filled_in(value)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }
}

/// The event as it is sent: placeholders filled, also inside a base64 body; a notice sealed and
/// signed.
fn prepared(file: &Value, step: &Value, kept: &mut Kept, stack: &TestStack) -> Value {
    let mut event = file.clone();
    let encoded = event["isBase64Encoded"] == true;
    let mut body = event["body"].as_str().map(|body| {
        if encoded {
            String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
        } else {
            body.to_owned()
        }
    });
    if let Some(content) = step.get("seals") {
        let text = body.take().unwrap();
        let envelope: Value = serde_json::from_str(&text).unwrap();
        let resource = &envelope["resource"];
        let part = |name: &str| resource[name].as_str().unwrap().to_owned();
        let ciphertext = seal(
            stack.apiv3_key().as_bytes(),
            part("nonce").as_bytes().try_into().unwrap(),
            part("associated_data").as_bytes(),
            kept.filled_in(content).to_string().as_bytes(),
        );
        kept.keep("ciphertext", ciphertext);
        let text = kept.filled(&text);
        let nonce = event["headers"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("wechatpay-nonce"))
            .unwrap();
        let signed = format!("{}\n{}\n{text}\n", kept.0["now"], nonce.1.as_str().unwrap());
        kept.keep("signature", stack.platform_signature(signed.as_bytes()));
        body = Some(text);
    }
    if let Some(body) = body {
        let body = kept.filled(&body);
        event["body"] = Value::from(if encoded { STANDARD.encode(body) } else { body });
    }
    kept.filled_in(&event)
}

/// The expectation with each `<wildcard>` replaced by what was answered, if that is of its kind.
fn with_wildcards(expected: &Value, answered: &Value) -> Value {
    match (expected, answered) {
        (Value::String(wildcard), Value::String(found)) if is_wildcard(wildcard) => {
            assert!(is_of(wildcard, found), "{found:?} is no {wildcard}");
            answered.clone()
        }
        (Value::Array(expected), Value::Array(answered)) => expected
            .iter()
            .enumerate()
            .map(|(index, expected)| {
                with_wildcards(expected, answered.get(index).unwrap_or(&Value::Null))
            })
            .collect(),
        (Value::Object(expected), Value::Object(answered)) => {
            let filled: Map<String, Value> = expected
                .iter()
                .map(|(name, expected)| {
                    let answered = answered.get(name).unwrap_or(&Value::Null);
                    (name.clone(), with_wildcards(expected, answered))
                })
                .collect();
            Value::Object(filled)
        }
        (expected, _) => expected.clone(),
    }
}

fn is_wildcard(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>')
}

fn is_of(wildcard: &str, text: &str) -> bool {
    match wildcard {
        "<moment>" => shared::rfc3339::parse(text).is_some() && text.ends_with("+08:00"),
        "<seconds>" => text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit()),
        "<text>" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
        "<svg>" => text.starts_with("<svg ") && text.ends_with("</svg>"),
        other => panic!("there is no wildcard {other}"),
    }
}

/// Whether a step's answer is one to a request of API Gateway's.
fn is_request(step: &Value) -> bool {
    step["answer"].get("statusCode").is_some()
}

/// The answer as it should be, its body as text; and the body read, for what is kept of it.
fn expected_answer(step: &Value, kept: &Kept, answered: &Value) -> (Value, Value) {
    let mut expected = kept.filled_in(&step["answer"]);
    let text = answered["body"].as_str().unwrap_or_default();
    let read: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if !is_request(step) {
        return (expected, answered.clone());
    }
    if let Some(body) = expected.get("body") {
        // The whole text: no member more or less, in this order, in these bytes.
        expected["body"] = Value::from(with_wildcards(body, &read).to_string());
    }
    expected["multiValueHeaders"] = json!({});
    expected["isBase64Encoded"] = Value::from(false);
    expected["cookies"] = json!([]);
    (expected, read)
}

async fn prepare(step: &Value, kept: &mut Kept, stack: &TestStack) {
    for action in step["before"].as_array().into_iter().flatten() {
        if let Some(path) = action["control"].as_str() {
            let body = kept.filled_in(action.get("body").unwrap_or(&json!({})));
            let answer = stack.control(&kept.filled(path), body).await;
            kept.keep_from(&action["keep"], &answer);
        } else if let Some(number) = action["due"].as_str() {
            let request = json!({
                "TableName": local::template::physical("Table"),
                "Key": {"pk": {"S": format!("ORDER#{number}")}, "sk": {"S": "ORDER"}},
                "UpdateExpression": "SET due_at = :now",
                "ConditionExpression": "attribute_exists(due_at)",
                "ExpressionAttributeValues": {":now": {"N": kept.0["now"]}},
            });
            let request = serde_json::from_value(request).unwrap();
            stack.stack.aws.table.update_item(request).unwrap();
        } else {
            panic!("there is no preparation {action}");
        }
    }
}

#[tokio::test]
async fn every_event_gets_its_answer() {
    let expected = read("expected");
    let key = expected["merchant_api_key"].as_str().unwrap();
    let stack = TestStack::with(|options| {
        options.merchant_api_key = Some(key.to_owned());
        // Nobody listens there: notices come from the files alone.
        let nowhere = "http://127.0.0.1:9".to_owned();
        options
            .parameters
            .insert("PublicBaseUrl".to_owned(), nowhere);
        options.speed = 1.0;
    })
    .await;
    let merchant = stack.stack.simulator.merchant();
    let mut kept = Kept(BTreeMap::new());
    kept.keep("mchid", &merchant.mchid);
    kept.keep("appid", &merchant.appid);
    kept.keep("public_key_id", &merchant.public_key_id);
    for step in expected["steps"].as_array().unwrap() {
        let event = step["event"].as_str().unwrap();
        kept.keep("now", stack.stack.clock().wall().unix_seconds());
        let today = BeijingDay::of(stack.stack.clock().business());
        kept.keep("day", shared::rfc3339::format_day(today.days_before(3)));
        prepare(step, &mut kept, &stack).await;
        let sent = prepared(&read(event), step, &mut kept, &stack);
        assert!(
            !sent.to_string().contains("{{"),
            "{event} has a placeholder that nothing fills: {sent}"
        );
        let answered = stack.stack.invoke(&function_of(event), sent).await.unwrap();
        let (wanted, body) = expected_answer(step, &kept, &answered);
        assert!(
            answered == wanted,
            "{event}\nanswered {answered}\nexpected {wanted}"
        );
        kept.keep_from(&step["keep"], &body);
    }
}

#[test]
fn every_file_is_expected_once_and_every_function_has_its_cases() {
    let expected = read("expected");
    let steps: Vec<&str> = expected["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["event"].as_str().unwrap())
        .collect();
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name.contains('.'))
        .collect();
    assert_eq!(
        steps
            .iter()
            .map(|step| (*step).to_owned())
            .collect::<BTreeSet<_>>(),
        files
    );
    assert_eq!(steps.len(), files.len(), "a file is expected twice");
    for function in declared().into_values().filter(|it| !it.routes.is_empty()) {
        let function = function.binary;
        for case in ["happy", "base64", "header-case"] {
            assert!(
                files.contains(&format!("{function}.{case}")),
                "{function}.{case}"
            );
        }
        let refused = |step: &&Value| {
            step["event"].as_str().unwrap().split('.').next() == Some(&function)
                && step["answer"]["statusCode"].as_u64().unwrap() >= 400
        };
        let refusals = expected["steps"].as_array().unwrap().iter().filter(refused);
        assert!(refusals.count() > 0, "{function} refuses nothing");
    }
    let behind_routes: BTreeSet<String> = declared()
        .into_values()
        .filter(|it| !it.routes.is_empty())
        .map(|it| it.binary)
        .collect();
    for file in &files {
        let event = read(file);
        let function = file.split('.').next().unwrap();
        if !behind_routes.contains(function) {
            continue;
        }
        assert_eq!(event["version"], "2.0", "{file}");
        assert_eq!(
            event["isBase64Encoded"],
            file.ends_with(".base64"),
            "{file}"
        );
        let lower = |name: &String| name.bytes().all(|byte| !byte.is_ascii_uppercase());
        assert_eq!(
            event["headers"].as_object().unwrap().keys().all(lower),
            !file.ends_with(".header-case"),
            "{file}"
        );
        // The route is one of the template's: API Gateway sends no other.
        let route = event["routeKey"].as_str().unwrap();
        assert_eq!(event["requestContext"]["routeKey"], route, "{file}");
        let (method, path) = route.split_once(' ').unwrap();
        let routes = template_routes(file);
        assert!(
            routes.contains(&(method.to_owned(), path.to_owned())),
            "{file}: {routes:?}"
        );
    }
}

fn template_routes(file: &str) -> Vec<(String, String)> {
    declared()[&function_of(file)].routes.clone()
}

#[tokio::test]
async fn env_json_points_at_the_local_stack() {
    let values = read("env");
    let stack = TestStack::start().await;
    let functions = stack.stack.template.functions.values();
    let ports = [
        ("AWS_ENDPOINT_URL", local::stack::AWS_PORT),
        ("WECHATPAY_TRUSTED_HOSTS", local::stack::SIMULATOR_PORT),
        ("WECHATPAY_BASE_URL", local::stack::SIMULATOR_PORT),
        ("WECHATPAY_BACKUP_URL", local::stack::SIMULATOR_PORT),
        ("WECHAT_API_BASE_URL", local::stack::SIMULATOR_PORT),
    ];
    for (name, value) in values["Parameters"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let here: BTreeSet<&String> = functions
            .clone()
            .filter_map(|function| function.environment.get(name))
            .collect();
        assert!(
            !here.is_empty(),
            "no function declares {name}, so SAM drops it"
        );
        if let Some((_, port)) = ports.iter().find(|(known, _)| known == name) {
            let address = value.strip_prefix("http://").unwrap_or(value);
            assert_eq!(address, format!("host.docker.internal:{port}"), "{name}");
        } else if name == "PUBLIC_BASE_URL" {
            // Where `sam local start-api` listens, as the simulator reaches it.
            assert_eq!(value, "http://127.0.0.1:3001");
        } else {
            assert!(
                here.iter().all(|here| *here == value),
                "{name} is {here:?} here"
            );
        }
    }
}
