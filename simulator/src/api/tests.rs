//! Every body's members, limits and values beside those of the official documents. The documents
//! are kept outside the repository, as tables; `WECHATPAY_VECTORS` names the folder that holds them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::schema::{Field, Kind};
use super::{orders, refunds};
use crate::ledger::TradeType;
use crate::vectors::published;

/// Where this simulator differs from the tables: the member, what differs, and why it is right.
/// Every line must be needed.
const DIFFERENCES: [(&str, &str, &str); 12] = [
    (
        "goods_tag",
        "max_length",
        "256 is of older documents; the pages say 32",
    ),
    (
        "notify_url",
        "max_length",
        "256 is of older documents; the pages say 255",
    ),
    (
        "notify_url",
        "min_length",
        "captured: an empty one breaks the pattern, not the length",
    ),
    (
        "payer.sp_openid",
        "required",
        "either of the two openids will do",
    ),
    (
        "scene_info.payer_client_ip",
        "required",
        "required by the pages and the Go SDK",
    ),
    (
        "scene_info.store_info.id",
        "required",
        "required by the pages and the Go SDK",
    ),
    (
        "scene_info.store_info.name",
        "required",
        "optional in the pages and the Go SDK",
    ),
    (
        "scene_info.store_info.area_code",
        "required",
        "optional in the pages and the Go SDK",
    ),
    (
        "scene_info.store_info.address",
        "required",
        "optional in the pages and the Go SDK",
    ),
    (
        "scene_info.h5_info",
        "required",
        "required by the pages and the Go SDK",
    ),
    (
        "scene_info.h5_info.type",
        "required",
        "required by the pages and the Go SDK",
    ),
    (
        "scene_info.h5_info.type",
        "enum",
        "the values stand in the text of the pages",
    ),
];

/// The bodies that this simulator reads, by the names of the tables.
fn bodies() -> Vec<(String, Vec<Field>)> {
    let mut bodies = Vec::new();
    for (partner, prefix) in [(false, ""), (true, "partner_")] {
        for (trade_type, name) in [
            (TradeType::Jsapi, "jsapi"),
            (TradeType::Native, "native"),
            (TradeType::App, "app"),
            (TradeType::H5, "h5"),
        ] {
            let fields = orders::fields(partner, trade_type);
            bodies.push((format!("{prefix}prepay_{name}"), fields));
        }
        bodies.push((
            format!("{prefix}close"),
            orders::close_fields(partner).to_vec(),
        ));
    }
    bodies.push(("refund_create".to_owned(), refunds::REFUND.to_vec()));
    bodies.push((
        "refund_apply_abnormal".to_owned(),
        refunds::ABNORMAL.to_vec(),
    ));
    bodies
}

/// What is said of a member, in the tables' words.
type Facts = BTreeMap<&'static str, Value>;

/// Lays fields out flat, as the tables are.
fn flat(fields: &[Field], prefix: &str, into: &mut BTreeMap<String, Facts>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let mut facts = Facts::from([("required", Value::from(field.required))]);
        let mut set = |fact: &'static str, value: Value| {
            facts.insert(fact, value);
        };
        let kind = match field.kind {
            Kind::Text { min, max, .. } => {
                set("max_length", max.into());
                set("min_length", min.into());
                "string"
            }
            Kind::Time { max } => {
                set("max_length", max.into());
                set("min_length", 1.into());
                set("format", "rfc3339".into());
                "string"
            }
            Kind::OneOf(values) => {
                set("enum", values.to_vec().into());
                "string"
            }
            Kind::Integer { .. } => "integer",
            Kind::IntegerOneOf(values) => {
                set("enum", values.to_vec().into());
                "integer"
            }
            Kind::Boolean => "boolean",
            Kind::Object(members) => {
                flat(members, &format!("{name}."), into);
                "object"
            }
            Kind::Objects(members) => {
                flat(members, &format!("{name}[]."), into);
                "array"
            }
            Kind::Texts(values) => {
                let item = Facts::from([
                    ("type", "string".into()),
                    ("required", true.into()),
                    ("enum", values.to_vec().into()),
                ]);
                into.insert(format!("{name}[]"), item);
                "array"
            }
        };
        facts.insert("type", kind.into());
        into.insert(name, facts);
    }
}

/// Whether a fact differs.
fn differ(fact: &str, ours: &Facts, theirs: &Value) -> bool {
    let own = ours.get(fact).unwrap_or(&Value::Null);
    let stated = &theirs[fact];
    match fact {
        // Lengths are of one source, which leaves some out; where it does, ours are room enough.
        "max_length" => !stated.is_null() && own != stated && ours.get("enum").is_none(),
        // Whether an optional text may be empty is not known, so it may.
        "min_length" => {
            let lenient = ours["required"] == false && *own == 0;
            !stated.is_null() && own != stated && !lenient && ours.get("enum").is_none()
        }
        // A sealed member is base64, which opening it shows.
        "format" => stated != "base64" && own != stated,
        _ => own != stated,
    }
}

#[test]
fn bodies_hold_what_the_official_documents_name() {
    let Some(folder) = published() else { return };
    let mut needed = BTreeSet::new();
    let mut wrong = Vec::new();
    for (operation, fields) in bodies() {
        let path = folder.join(format!("spec/{operation}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
        let table: Value = serde_json::from_str(&text).unwrap();
        let mut ours = BTreeMap::new();
        flat(&fields, "", &mut ours);
        for theirs in table["request"]["body"].as_array().unwrap() {
            let name = theirs["name"].as_str().unwrap();
            let Some(own) = ours.remove(name) else {
                wrong.push(format!("{operation}: {name} is missing here"));
                continue;
            };
            for fact in [
                "type",
                "required",
                "max_length",
                "min_length",
                "enum",
                "format",
            ] {
                if !differ(fact, &own, theirs) {
                    continue;
                }
                let known = DIFFERENCES
                    .iter()
                    .find(|(member, difference, _)| *member == name && *difference == fact);
                match known {
                    Some(known) => {
                        needed.insert(known);
                    }
                    None => wrong.push(format!(
                        "{operation}: {name} has {fact} {:?} here, {} there",
                        own.get(fact),
                        theirs[fact]
                    )),
                }
            }
        }
        let ours = ours.keys();
        wrong.extend(ours.map(|name| format!("{operation}: no document names {name}")));
    }
    for difference in &DIFFERENCES {
        if !needed.contains(difference) {
            wrong.push(format!(
                "there is no such difference any more: {difference:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
