//! Answers and notices beside the official documents: which members they hold, of which types, with
//! which values. The documents are kept outside the repository, as tables; `WECHATPAY_VECTORS` names
//! the folder that holds them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::Bench;

/// The folder of the tables; none where nobody names it, which only CI must.
fn tables() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("WECHATPAY_VECTORS") else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI must set WECHATPAY_VECTORS to the folder that holds the official tables"
        );
        eprintln!("SKIPPED: WECHATPAY_VECTORS names no folder of official tables");
        return None;
    };
    Some(PathBuf::from(folder).join("spec"))
}

fn table(folder: &std::path::Path, operation: &str) -> Value {
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

/// Compares a body with the fields of a table; `more` are members that captures have beside them.
fn compare(what: &str, body: &Value, fields: &Value, more: &[&str]) -> Vec<String> {
    let fields: BTreeMap<&str, &Value> = fields
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["name"].as_str().unwrap(), field))
        .collect();
    let mut held = Vec::new();
    flat(body, "", &mut held);
    let mut wrong = Vec::new();
    for (name, value) in &held {
        let Some(field) = fields.get(name.as_str()) else {
            if !more.contains(&name.as_str()) {
                wrong.push(format!("{what}: no document names {name}"));
            }
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
            wrong.push(format!(
                "{what}: {name} is {kind}, the documents say {stated}"
            ));
        }
        if let Some(values) = field["enum"].as_array()
            && !values.contains(value)
        {
            wrong.push(format!(
                "{what}: {name} is {value}, the documents say {values:?}"
            ));
        }
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if let Some(max) = field["max_length"].as_u64()
            && length as u64 > max
        {
            wrong.push(format!(
                "{what}: {name} has {length} characters, {max} are allowed"
            ));
        }
        let time = name.ends_with("_time") && field["type"] == "string";
        if time && OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).is_err() {
            wrong.push(format!("{what}: {name} is no time: {value}"));
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
            wrong.push(format!("{what}: {name} is missing"));
        }
    }
    wrong
}

#[tokio::test]
async fn answers_hold_what_the_official_documents_name() {
    let Some(folder) = tables() else { return };
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let mut wrong = Vec::new();
    let mut check = |what: &str, body: &Value, fields: &Value, more: &[&str]| {
        wrong.extend(compare(what, body, fields, more));
    };
    for (name, body) in [
        ("jsapi", bench.jsapi("OFFICIAL-jsapi", 100)),
        ("app", bench.native("OFFICIAL-app", 100)),
        ("native", bench.native("OFFICIAL-native", 100)),
        ("h5", bench.h5("OFFICIAL-h5", 100)),
    ] {
        let path = format!("/v3/pay/transactions/{name}");
        let answer = bench.client.post(&path, &body).await;
        let fields = &table(&folder, &format!("prepay_{name}"))["response"]["body"];
        check(name, &answer.json(), fields, &[]);
    }
    // Not paid, paid with a coupon, refunded, closed: by the merchant's number and WeChat Pay's.
    let by_number = table(&folder, "query_by_out_trade_no");
    let by_id = table(&folder, "query_by_transaction_id");
    let query = async |number: &str| {
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}");
        bench.client.get(&target).await.json()
    };
    // Captured: orders that nobody paid have no payer.
    let unpaid = |table: &Value| {
        let mut fields = table["second"]["response"].clone();
        let list = fields.as_array_mut().unwrap();
        list.retain(|field| field["name"] != "payer");
        fields
    };
    check(
        "not paid",
        &query("OFFICIAL-app").await,
        &unpaid(&by_number),
        &[],
    );
    let pay = "/_sim/orders/OFFICIAL-jsapi/pay";
    bench.control(pay, json!({"coupon_fen": 10})).await;
    let paid = query("OFFICIAL-jsapi").await;
    check("paid", &paid, &by_number["second"]["response"], &[]);
    let target = format!(
        "/v3/pay/transactions/id/{}?mchid={mchid}",
        paid["transaction_id"].as_str().unwrap()
    );
    let found = bench.client.get(&target).await.json();
    check("by id", &found, &by_id["second"]["response"], &[]);
    let close = "/v3/pay/transactions/out-trade-no/OFFICIAL-native/close";
    let closed = bench.client.post(close, &json!({"mchid": mchid})).await;
    let status = &table(&folder, "close")["response"]["status"];
    assert_eq!(json!(closed.status), *status);
    check(
        "closed",
        &query("OFFICIAL-native").await,
        &unpaid(&by_number),
        &[],
    );

    let refund = bench
        .refund("OFFICIAL-jsapi", "OFFICIAL-R1", 60, 100)
        .await
        .json();
    let fields = &table(&folder, "refund_create")["response"]["body"];
    check("refund", &refund, fields, &[]);
    bench.advance(5).await;
    let target = "/v3/refund/domestic/refunds/OFFICIAL-R1";
    let ended = bench.client.get(target).await.json();
    assert_eq!(ended["status"], "SUCCESS");
    let fields = &table(&folder, "refund_query")["response"]["body"];
    check("refund that ended", &ended, fields, &[]);
    check(
        "refunded",
        &query("OFFICIAL-jsapi").await,
        &by_number["second"]["response"],
        &[],
    );

    for (index, operation) in ["notice_transaction_success", "notice_refund_success"]
        .into_iter()
        .enumerate()
    {
        let notice = bench.inbox.wait(index + 1).await[index].clone();
        let table = table(&folder, operation);
        let payload: Value =
            serde_json::from_str(&notice.payload(&bench.client.file.apiv3_key)).unwrap();
        check(operation, &payload, &table["plaintext"], &[]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_official_operation_is_here_or_said_not_to_be() {
    let Some(folder) = tables() else { return };
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulator.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, rest) = manual.split_once("\n## Not simulated").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let absent: Vec<&str> = section
        .split('`')
        .filter(|text| text.starts_with("/v3/"))
        .collect();
    let bench = Bench::new().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let table: Value = match path.extension() {
            Some(extension) if extension == "json" => {
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
            }
            _ => continue,
        };
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
        let said = absent.iter().any(|absent| match absent.strip_suffix('*') {
            Some(family) => official.starts_with(family),
            None => official == *absent,
        });
        assert!(
            here != said,
            "{official} answers {status}: it is {} here and {} under \"Not simulated\"",
            if here { "found" } else { "not found" },
            if said { "named" } else { "not named" },
        );
    }
    assert!(seen > 20, "{seen} operations were looked at");
}
