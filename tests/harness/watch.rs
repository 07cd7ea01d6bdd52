//! What is watched in every test, whatever it is about, and checked when its stack is dropped:
//!
//! - no log line and no answer holds a secret or a payer's identity; canaries are in every secret and
//!   personal field, and what is made on the way (tokens, signatures, prepay ids, session keys,
//!   sealed texts) is gathered from the wire;
//! - the books balance: what is left to give back and what refunds hold make the total;
//! - nothing unsettled is without a due time, and every refund has its number's guard;
//! - one number went to WeChat Pay with the same bytes each time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use local::Stack;
use local::aws::{AwsCall, FaultHook};
use local::template::{arn, physical};
use serde_json::{Value, json};

use super::tap::{Request, Tap};

/// Log lines.
pub type Lines = Arc<Mutex<Vec<String>>>;

/// Words that no log line has a reason to hold. Openids have CANARY in them; the texts that callers
/// send (descriptions, reasons) have NOT-LOGGED.
const WORDS: [&str; 11] = [
    "CANARY",
    "NOT-LOGGED",
    "BEGIN ",
    "Bearer ",
    "ciphertext",
    "paySign",
    "prepay_id",
    "session_key",
    "WECHATPAY2-SHA256",
    "Wechatpay-Signature",
    "code_url",
];

/// The watch over one stack.
pub struct Watch {
    /// What the functions logged.
    pub logged: Lines,
    /// Whether a test that fails prints it.
    pub loud: bool,
    /// What must be nowhere: not in logs, not in answers, not in the table.
    secrets: Vec<String>,
    /// What must not be logged, though its owner may see it.
    hidden: Mutex<BTreeSet<String>>,
    answers: Mutex<Vec<(String, String)>>,
    /// The merchant's key: who sends it is told whose an order is.
    merchant: String,
    calls: Arc<Mutex<Vec<AwsCall>>>,
    fault: Arc<Mutex<Option<FaultHook>>>,
    table: dynoxide::Database,
    tapped: Arc<dyn Fn() -> (Vec<Request>, Vec<String>) + Send + Sync>,
}

impl Watch {
    /// Watches this stack.
    pub fn over(stack: &Stack, wire: &Tap, logged: Lines) -> Self {
        let merchant = stack.simulator.merchant();
        let secret = |id: &str| -> Value {
            serde_json::from_str(&stack.aws.secrets().current(&arn(id)).unwrap())
                .unwrap_or_default()
        };
        let (api, signing) = (secret("ApiSecret"), secret("SigningSecret"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut secrets = vec![
            stack.merchant_api_key.clone(),
            merchant.apiv3_key.clone(),
            merchant.app_secret.clone(),
            text(&api["token_key"]),
            text(&api["number_key"]),
        ];
        secrets.extend(
            text(&signing["private_key"])
                .lines()
                .filter(|line| !line.starts_with("---"))
                .map(str::to_owned),
        );
        secrets.retain(|secret| !secret.is_empty());
        let calls = Arc::<Mutex<Vec<AwsCall>>>::default();
        let fault = Arc::<Mutex<Option<FaultHook>>>::default();
        let (seen, chosen) = (Arc::clone(&calls), Arc::clone(&fault));
        stack.aws.set_fault(Some(Arc::new(move |call| {
            seen.lock().unwrap().push(call.clone());
            let hook = chosen.lock().unwrap().clone();
            hook.and_then(|hook| hook(call))
        })));
        Self {
            logged,
            loud: true,
            secrets,
            hidden: Mutex::default(),
            answers: Mutex::default(),
            merchant: stack.merchant_api_key.clone(),
            calls,
            fault,
            table: stack.aws.table.clone(),
            tapped: wire.reader(),
        }
    }

    /// This must not be logged from now on, nor have been.
    pub fn hide(&self, text: &str) {
        self.hidden.lock().unwrap().insert(text.to_owned());
    }

    /// A body that somebody sends: how it begins must not be logged, as it stands or in a string.
    pub fn sent(&self, body: &[u8]) {
        let begins: String = String::from_utf8_lossy(body).chars().take(60).collect();
        if begins.len() > 20 {
            let quoted = Value::from(begins.as_str()).to_string();
            self.hide(quoted.trim_matches('"'));
            self.hide(&begins);
        }
    }

    /// An answer that whoever sent this credential was given. The merchant is told an order's
    /// `payer.openid`, and no openid elsewhere.
    pub fn answered(&self, path: &str, credential: Option<&str>, text: &str) {
        let mut shown = text.to_owned();
        if credential == Some(self.merchant.as_str()) {
            for openid in between(text, "\"payer\":{\"openid\":\"", "\"}") {
                let payer = format!("\"payer\":{{\"openid\":\"{openid}\"}}");
                shown = shown.replace(&payer, "\"payer\":{}");
            }
        }
        self.answers.lock().unwrap().push((path.to_owned(), shown));
    }

    /// Every call to the table and the secrets so far.
    pub fn calls(&self) -> Vec<AwsCall> {
        self.calls.lock().unwrap().clone()
    }

    /// Lets the hook choose faults of the table and the secrets from now on.
    pub fn set_fault(&self, hook: Option<FaultHook>) {
        *self.fault.lock().unwrap() = hook;
    }

    fn check(&self) {
        let items = items(&self.table);
        let (requests, told) = (self.tapped)();
        self.check_texts(&items, &requests, &told);
        check_books(&items);
        check_bytes(&requests);
    }

    fn check_texts(&self, items: &[Value], requests: &[Request], told: &[String]) {
        let mut never = self.secrets.clone();
        let mut hidden: Vec<String> = self.hidden.lock().unwrap().iter().cloned().collect();
        hidden.extend(WORDS.map(str::to_owned));
        for request in requests {
            let signed = request.header("authorization").unwrap_or_default();
            hidden.extend(between(signed, "signature=\"", "\""));
        }
        for text in told {
            never.extend(between(text, "\"session_key\":\"", "\""));
            hidden.extend(between(text, "\"prepay_id\":\"", "\""));
            hidden.extend(between(text, "\"code_url\":\"", "\""));
            hidden.extend(between(text, "Wechatpay-Signature: ", "\r\n"));
        }
        for item in items {
            let envelope = item["envelope"]["S"].as_str().unwrap_or_default();
            hidden.extend(between(envelope, "\"ciphertext\":\"", "\""));
        }
        for (_, answer) in self.answers.lock().unwrap().iter() {
            hidden.extend(between(answer, "\"paySign\":\"", "\""));
            hidden.extend(between(answer, "\"token\":\"", "\""));
        }
        hidden.retain(|text| text.len() > 4);
        let logged = self.logged.lock().unwrap().join("\n");
        for text in never.iter().chain(&hidden) {
            if let Some(line) = logged.lines().find(|line| line.contains(text.as_str())) {
                panic!("{text:?} was logged: {line}");
            }
        }
        for (path, answer) in self.answers.lock().unwrap().iter() {
            for text in never.iter().map(String::as_str).chain(["CANARY"]) {
                assert!(
                    !answer.contains(text),
                    "{text:?} was answered to {path}: {answer}"
                );
            }
        }
        let table = Value::from(items.to_vec()).to_string();
        for text in &never {
            assert!(!table.contains(text.as_str()), "{text:?} is in the table");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.logged.lock().unwrap();
            for line in lines.iter().filter(|_| self.loud) {
                eprintln!("{line}");
            }
            return;
        }
        self.check();
    }
}

/// All items of a table.
pub fn items(table: &dynoxide::Database) -> Vec<Value> {
    let mut items = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut request = json!({"TableName": physical("Table")});
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let page = table.scan(serde_json::from_value(request).unwrap());
        let page = serde_json::to_value(page.unwrap()).unwrap();
        items.extend(page["Items"].as_array().unwrap().iter().cloned());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return items;
        }
    }
}

/// An item's partition key.
pub fn key(item: &Value) -> &str {
    item["pk"]["S"].as_str().unwrap()
}

/// A text of an item's, empty where it has none.
pub fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// A number of an item's, 0 where it has none.
pub fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"]
        .as_str()
        .map_or(0, |text| text.parse().unwrap())
}

/// What must hold of the items at any moment.
pub fn check_books(items: &[Value]) {
    let broken = proof::books::broken_books(items.iter());
    assert!(broken.is_empty(), "{broken:#?}");
}

/// One number, one set of bytes, however often it was sent.
fn check_bytes(requests: &[Request]) {
    let mut sent: BTreeMap<(String, String), &[u8]> = BTreeMap::new();
    for request in requests {
        let field = match request.target.as_str() {
            "/v3/refund/domestic/refunds" => "out_refund_no",
            target
                if target.starts_with("/v3/pay/transactions/")
                    || target.starts_with("/v3/pay/partner/transactions/") =>
            {
                "out_trade_no"
            }
            _ => continue,
        };
        if request.method != "POST" || request.target.ends_with("/close") {
            continue;
        }
        let number = request.json()[field].as_str().unwrap().to_owned();
        let first = sent
            .entry((field.to_owned(), number.clone()))
            .or_insert(&request.body);
        assert_eq!(
            String::from_utf8_lossy(first),
            String::from_utf8_lossy(&request.body),
            "{number} went out with other bytes"
        );
    }
}

/// Every text between two marks.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split(after).next())
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}
