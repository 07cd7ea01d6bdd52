//! Answers, notices and parameters beside the official documents: which members they hold, of which
//! types, with which values. The documents are kept outside the repository, as tables;
//! `WECHATPAY_VECTORS` names the folder that holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bills::tomorrow_at;
use crate::support::{Answer, Bench, Received};
use crate::vectors::published;

/// Where this simulator differs from the tables: how the tables' names end, the member, and why it is
/// right. Every line must be needed.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "notice_transaction_success",
        "resource.original_type",
        "captured, in every notice of a payment: transaction",
    ),
    (
        "notice_refund_closed",
        "refund_status",
        "captured: CLOSED, not CLOSE",
    ),
    (
        "partner_notice_transaction_success",
        "payer.openid",
        "captured: payer.sp_openid and payer.sub_openid instead",
    ),
    (
        "_success",
        "Request-ID",
        "captured: most notices have no such header",
    ),
    (
        "_closed",
        "Request-ID",
        "captured: most notices have no such header",
    ),
    (
        "_abnormal",
        "Request-ID",
        "captured: most notices have no such header",
    ),
];

/// The folder of the tables, where it is at hand.
pub(crate) fn tables() -> Option<PathBuf> {
    published().map(|folder| folder.join("spec"))
}

/// Tables whose answer is no JSON: the file that a bill's URL leads to, and nothing.
const WITHOUT_JSON: [&str; 3] = ["bill_download", "close", "partner_close"];

/// Every table by its operation.
pub(crate) fn all(folder: &Path) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if name != "index" {
                all.insert(name.clone(), table(folder, &name));
            }
        }
    }
    all
}

/// What the manual says not to be here: paths, and with a `*` what begins alike.
pub(crate) fn not_simulated() -> Vec<String> {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulator.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, rest) = manual.split_once("\n## Not simulated").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let paths = section.split('`').filter(|text| text.starts_with("/v3/"));
    paths.map(str::to_owned).collect()
}

/// Whether the manual says that a path is not here.
pub(crate) fn is_absent(absent: &[String], path: &str) -> bool {
    absent.iter().any(|absent| match absent.strip_suffix('*') {
        Some(family) => path.starts_with(family),
        None => path == absent,
    })
}

/// What was compared so far, and how it came out.
struct Comparison {
    folder: PathBuf,
    compared: BTreeSet<String>,
    needed: BTreeSet<(&'static str, &'static str)>,
    wrong: Vec<String>,
}

impl Comparison {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            compared: BTreeSet::new(),
            needed: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Compares a body with a part of a table, such as `/response/body`; `what` tells it from others of
    /// the same table, and `absent` are members that it cannot have.
    fn check(&mut self, operation: &str, part: &str, what: &str, body: &Value, absent: &[&str]) {
        self.compared.insert(operation.to_owned());
        let table = table(&self.folder, operation);
        let fields = table.pointer(part).and_then(Value::as_array);
        let fields = fields.unwrap_or_else(|| panic!("{operation} has no {part}"));
        let expected = |field: &&Value| !absent.contains(&field["name"].as_str().unwrap());
        let fields: Vec<Value> = fields.iter().filter(expected).cloned().collect();
        for (member, sentence) in compare(body, &fields) {
            self.differs(operation, what, &member, &sentence);
        }
    }

    fn differs(&mut self, operation: &str, what: &str, member: &str, sentence: &str) {
        let known = DIFFERENCES
            .iter()
            .find(|(table, differing, _)| operation.ends_with(table) && *differing == member);
        match known {
            Some((table, differing, _)) => {
                self.needed.insert((table, differing));
            }
            None => self
                .wrong
                .push(format!("{operation}, {what}: {member} {sentence}")),
        }
    }

    /// An answer with a JSON body.
    fn answer(&mut self, operation: &str, what: &str, answer: &Answer) -> Value {
        let status = &table(&self.folder, operation)["response"]["status"];
        assert_eq!(
            json!(answer.status),
            *status,
            "{operation}: {}",
            answer.text()
        );
        let body = answer.json();
        self.check(operation, "/response/body", what, &body, &[]);
        body
    }

    /// An answer about an order. The second source alone has what answers hold; captured are orders
    /// that nobody paid, which have no payer.
    fn order(&mut self, operation: &str, what: &str, answer: &Answer) -> Value {
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
        let order = answer.json();
        let paid = matches!(order["trade_state"].as_str(), Some("SUCCESS" | "REFUND"));
        let payer = ["payer", "payer.sp_openid", "payer.sub_openid"];
        let absent = if paid { &[][..] } else { &payer };
        self.check(operation, "/second/response", what, &order, absent);
        order
    }

    /// A notice: its envelope, and what is sealed in it.
    fn notice(&mut self, operation: &str, notice: &Received, apiv3_key: &str) {
        let sealed: Value = serde_json::from_str(&notice.payload(apiv3_key)).unwrap();
        let envelope = notice.envelope();
        let table = table(&self.folder, operation);
        assert_eq!(envelope["event_type"], table["event_type"], "{operation}");
        self.check(operation, "/request/body", "envelope", &envelope, &[]);
        self.check(operation, "/plaintext", "sealed", &sealed, &[]);
        for header in table["request"]["headers"].as_array().unwrap() {
            let name = header["name"].as_str().unwrap();
            let sent = notice.header(&name.to_ascii_lowercase());
            let fits = header["enum"].as_array();
            let fits = fits.is_none_or(|values| values.contains(&json!(sent)));
            if sent.is_empty() || !fits {
                self.differs(operation, "headers", name, &format!("is {sent:?}"));
            }
        }
    }

    /// Fails if anything differed, if a difference is none any more, or if a table that is of an
    /// operation here was not looked at.
    fn finish(mut self) {
        let absent = not_simulated();
        for (name, table) in all(&self.folder) {
            let path = table["path"].as_str().unwrap();
            let elsewhere = is_absent(&absent, path) || name.starts_with("notice_complaint_");
            let looked_at = self.compared.contains(&name) || WITHOUT_JSON.contains(&name.as_str());
            if !elsewhere && !looked_at {
                self.wrong.push(format!("{name} was not compared"));
            }
        }
        for (table, member, _) in DIFFERENCES {
            if !self.needed.contains(&(table, member)) {
                self.wrong
                    .push(format!("{table} does not differ in {member} any more"));
            }
        }
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

fn table(folder: &Path, operation: &str) -> Value {
    let path = folder.join(format!("{operation}.json"));
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Lays a value out flat, as the tables are: `a.b`, `a[].b`.
fn flat<'a>(value: &'a Value, prefix: &str, into: &mut Vec<(String, &'a Value)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        into.push((name.clone(), value));
        flat(value, &format!("{name}."), into);
        for item in value.as_array().into_iter().flatten() {
            flat(item, &format!("{name}[]."), into);
        }
    }
}

/// Compares a body with the fields of a table: each member that differs, and how.
fn compare(body: &Value, fields: &[Value]) -> Vec<(String, String)> {
    let fields: BTreeMap<&str, &Value> = fields
        .iter()
        .map(|field| (field["name"].as_str().unwrap(), field))
        .collect();
    let mut held = Vec::new();
    flat(body, "", &mut held);
    let mut wrong = Vec::new();
    for (name, value) in &held {
        let Some(field) = fields.get(name.as_str()) else {
            wrong.push((name.clone(), "stands in no document".to_owned()));
            continue;
        };
        let kind = match value {
            Value::String(_) => "string",
            Value::Number(_) => "integer",
            Value::Bool(_) => "boolean",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        // One source calls its integers numbers.
        let stated = field["type"].as_str().unwrap().replace("number", "integer");
        if kind != stated {
            let sentence = format!("is {kind}, the documents say {stated}");
            wrong.push((name.clone(), sentence));
        }
        if let Some(values) = field["enum"].as_array()
            && !values.contains(value)
        {
            let sentence = format!("is {value}, the documents say {values:?}");
            wrong.push((name.clone(), sentence));
        }
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if let Some(max) = field["max_length"].as_u64()
            && length as u64 > max
        {
            let sentence = format!("has {length} characters, {max} are allowed");
            wrong.push((name.clone(), sentence));
        }
        let time = name.ends_with("_time") && field["type"] == "string";
        if time && OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).is_err() {
            wrong.push((name.clone(), format!("is no time: {value}")));
        }
    }
    for (name, field) in fields {
        let parent = name.rsplit_once('.').map(|(parent, _)| parent);
        let parent_is_there = parent.is_none_or(|parent| {
            let list = parent.trim_end_matches("[]");
            let found = held.iter().find(|(held, _)| held == list);
            found.is_some_and(|(_, value)| value.as_array().is_none_or(|items| !items.is_empty()))
        });
        let there = held.iter().any(|(held, _)| held == name);
        if field["required"] == true && parent_is_there && !there {
            wrong.push(((*name).to_owned(), "is missing".to_owned()));
        }
    }
    wrong
}

#[tokio::test]
async fn answers_and_notices_hold_what_the_official_documents_name() {
    let Some(folder) = tables() else { return };
    let mut comparison = Comparison::new(folder);
    orders(&mut comparison).await;
    refunds(&mut comparison, None).await;
    partner_orders(&mut comparison).await;
    refunds(&mut comparison, Some(SUB_MCHID)).await;
    certificates_and_bills(&mut comparison).await;
    comparison.finish();
}

/// The sub-merchant of the tests.
pub(crate) const SUB_MCHID: &str = "1900000110";

/// Orders of a merchant: placed, not paid, paid with a coupon, closed; by either number, and the notice.
async fn orders(comparison: &mut Comparison) {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    for (name, body) in [
        ("jsapi", bench.jsapi("OFFICIAL-jsapi", 100)),
        ("app", bench.native("OFFICIAL-app", 100)),
        ("native", bench.native("OFFICIAL-native", 100)),
        ("h5", bench.h5("OFFICIAL-h5", 100)),
    ] {
        let path = format!("/v3/pay/transactions/{name}");
        let answer = bench.client.post(&path, &body).await;
        comparison.answer(&format!("prepay_{name}"), "", &answer);
    }
    let query = async |number: &str| {
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}");
        bench.client.get(&target).await
    };
    let by_number = "query_by_out_trade_no";
    comparison.order(by_number, "not paid", &query("OFFICIAL-app").await);
    let pay = "/_sim/orders/OFFICIAL-jsapi/pay";
    bench.control(pay, json!({"coupon_fen": 10})).await;
    let paid = comparison.order(by_number, "paid", &query("OFFICIAL-jsapi").await);
    let id = paid["transaction_id"].as_str().unwrap();
    let target = format!("/v3/pay/transactions/id/{id}?mchid={mchid}");
    let found = bench.client.get(&target).await;
    comparison.order("query_by_transaction_id", "paid", &found);
    let close = "/v3/pay/transactions/out-trade-no/OFFICIAL-native/close";
    let closed = bench.client.post(close, &json!({"mchid": mchid})).await;
    assert_eq!((closed.status, closed.text().as_str()), (204, ""));
    comparison.order(by_number, "closed", &query("OFFICIAL-native").await);
    bench.refund("OFFICIAL-jsapi", "OFFICIAL-R", 60, 100).await;
    comparison.order(by_number, "refunded", &query("OFFICIAL-jsapi").await);
    let notice = &bench.inbox.wait(1).await[0];
    let key = &bench.client.file.apiv3_key;
    comparison.notice("notice_transaction_success", notice, key);
}

/// The same of a partner's sub-merchant.
async fn partner_orders(comparison: &mut Comparison) {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    for (name, body) in [
        ("jsapi", bench.jsapi("OFFICIAL-jsapi", 100)),
        ("app", bench.native("OFFICIAL-app", 100)),
        ("native", bench.native("OFFICIAL-native", 100)),
        ("h5", bench.h5("OFFICIAL-h5", 100)),
    ] {
        let path = format!("/v3/pay/partner/transactions/{name}");
        let answer = bench.client.post(&path, &for_sub_merchant(body)).await;
        comparison.answer(&format!("partner_prepay_{name}"), "", &answer);
    }
    let merchants = format!("sp_mchid={mchid}&sub_mchid={SUB_MCHID}");
    let query = async |number: &str| {
        let path = "/v3/pay/partner/transactions/out-trade-no";
        bench
            .client
            .get(&format!("{path}/{number}?{merchants}"))
            .await
    };
    let by_number = "partner_query_by_out_trade_no";
    comparison.order(by_number, "not paid", &query("OFFICIAL-app").await);
    let pay = "/_sim/orders/OFFICIAL-jsapi/pay";
    bench.control(pay, json!({"coupon_fen": 10})).await;
    let paid = comparison.order(by_number, "paid", &query("OFFICIAL-jsapi").await);
    let id = paid["transaction_id"].as_str().unwrap();
    let target = format!("/v3/pay/partner/transactions/id/{id}?{merchants}");
    let found = bench.client.get(&target).await;
    comparison.order("partner_query_by_transaction_id", "paid", &found);
    let close = "/v3/pay/partner/transactions/out-trade-no/OFFICIAL-native/close";
    let closing = json!({"sp_mchid": mchid, "sub_mchid": SUB_MCHID});
    let closed = bench.client.post(close, &closing).await;
    assert_eq!((closed.status, closed.text().as_str()), (204, ""));
    comparison.order(by_number, "closed", &query("OFFICIAL-native").await);
    let notice = &bench.inbox.wait(1).await[0];
    let key = &bench.client.file.apiv3_key;
    comparison.notice("partner_notice_transaction_success", notice, key);
}

/// A merchant's order as a partner places it for the sub-merchant.
pub(crate) fn for_sub_merchant(mut body: Value) -> Value {
    let members = body.as_object_mut().unwrap();
    for (own, partners) in [("appid", "sp_appid"), ("mchid", "sp_mchid")] {
        let value = members.remove(own).unwrap();
        members.insert(partners.to_owned(), value);
    }
    body["sub_appid"] = json!("wxd678efh567hg6788");
    body["sub_mchid"] = json!(SUB_MCHID);
    if body["payer"].is_object() {
        body["payer"] = json!({"sub_openid": "oSubMerchantsPayer"});
    }
    body
}

/// Refunds, of a sub-merchant where one is named: asked for, and each of their endings with its notice.
async fn refunds(comparison: &mut Comparison, sub_mchid: Option<&str>) {
    let bench = Bench::new().await;
    let mut order = bench.jsapi("OFFICIAL-1", 100);
    let (mut path, mut prefix) = ("/v3/pay/transactions/jsapi", "");
    if sub_mchid.is_some() {
        order = for_sub_merchant(order);
        (path, prefix) = ("/v3/pay/partner/transactions/jsapi", "partner_");
    }
    let placed = bench.client.post(path, &order).await;
    assert_eq!(placed.status, 200, "{}", placed.text());
    bench
        .control("/_sim/orders/OFFICIAL-1/pay", json!({}))
        .await;
    bench.inbox.wait(1).await;
    bench.knob("refund_delay_s", Value::Null).await;
    let mut abnormal = Value::Null;
    for (index, ending) in ["complete", "close", "abnormal"].into_iter().enumerate() {
        let number = format!("OFFICIAL-{ending}");
        let mut body = bench.refund_body("OFFICIAL-1", &number, 10, 100);
        let mut query = format!("/v3/refund/domestic/refunds/{number}");
        if let Some(sub_mchid) = sub_mchid {
            body["sub_mchid"] = json!(sub_mchid);
            query.push_str(&format!("?sub_mchid={sub_mchid}"));
        }
        let taken = bench
            .client
            .post("/v3/refund/domestic/refunds", &body)
            .await;
        abnormal = comparison.answer("refund_create", ending, &taken);
        let end = format!("/_sim/refunds/{number}/{ending}");
        bench.control(&end, json!({})).await;
        let ended = bench.client.get(&query).await;
        comparison.answer("refund_query", ending, &ended);
        let notice = &bench.inbox.wait(index + 2).await[index + 1];
        let name = match ending {
            "complete" => "success",
            "close" => "closed",
            other => other,
        };
        let key = &bench.client.file.apiv3_key;
        comparison.notice(&format!("{prefix}notice_refund_{name}"), notice, key);
        // WeChat Pay takes one refund of an order a minute.
        bench.advance(60).await;
    }
    let applied = apply_abnormal(&bench, &abnormal, sub_mchid).await;
    comparison.answer("refund_apply_abnormal", "", &applied);
}

/// Applies for the money of an abnormal refund, to a card of the payer's.
async fn apply_abnormal(bench: &Bench, refund: &Value, sub_mchid: Option<&str>) -> Answer {
    let sealed = |text: &str| crate::support::seal_field(&bench.client.public_key(), text);
    let mut body = json!({
        "out_refund_no": refund["out_refund_no"],
        "type": "USER_BANK_CARD",
        "bank_type": "ICBC_DEBIT",
        "bank_account": sealed("6222020200112230000"),
        "real_name": sealed("张三"),
    });
    if let Some(sub_mchid) = sub_mchid {
        body["sub_mchid"] = json!(sub_mchid);
    }
    let id = refund["refund_id"].as_str().unwrap();
    let path = format!("/v3/refund/domestic/refunds/{id}/apply-abnormal-refund");
    let text = body.to_string();
    let mut draft = bench.client.draft("POST", &path, text.as_bytes());
    let serial = bench.client.file.public_key_id.clone();
    draft.headers.push(("Wechatpay-Serial".to_owned(), serial));
    bench.client.send(draft).await
}

async fn certificates_and_bills(comparison: &mut Comparison) {
    let bench = Bench::with(|config| config.mode = simulator::Mode::Both).await;
    let answer = bench.client.get("/v3/certificates").await;
    let listed = comparison.answer("certificates", "", &answer);
    assert!(!listed["data"].as_array().unwrap().is_empty());
    bench.paid("OFFICIAL-bill", 100).await;
    let day = tomorrow_at(&bench, 10, 30).await;
    for (operation, path) in [
        ("bill_trade", "/v3/bill/tradebill"),
        ("bill_fund_flow", "/v3/bill/fundflowbill"),
    ] {
        let target = format!("{path}?bill_date={day}");
        let answer = bench.client.get(&target).await;
        comparison.answer(operation, "", &answer);
    }
}

#[tokio::test]
async fn every_official_operation_is_here_or_said_not_to_be() {
    let Some(folder) = tables() else { return };
    let absent = not_simulated();
    let bench = Bench::new().await;
    let mut seen = 0;
    for table in all(&folder).values() {
        // Notices go the other way, and their path is the merchant's.
        let Some(official) = table["path"]
            .as_str()
            .filter(|path| path.starts_with("/v3/"))
        else {
            continue;
        };
        seen += 1;
        let mut target = String::new();
        for part in official.split('/').skip(1) {
            let value = if part.starts_with('{') { "1" } else { part };
            target.push_str(&format!("/{value}"));
        }
        let status = match table["method"].as_str().unwrap() {
            "GET" => bench.client.get(&target).await.status,
            _ => bench.client.post(&target, &json!({})).await.status,
        };
        let row = bench.last_request().await;
        let here = row["operation"] != "unknown";
        let said = is_absent(&absent, official);
        assert!(
            here != said,
            "{official} answers {status}: it is {} here and {} under \"Not simulated\"",
            if here { "found" } else { "not found" },
            if said { "named" } else { "not named" },
        );
    }
    assert!(seen > 20, "{seen} operations were looked at");
}
