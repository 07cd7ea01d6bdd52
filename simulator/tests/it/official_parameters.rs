//! Parameters of paths and queries beside the official documents: what must be there, which values
//! there are, how long they may be.

use std::path::Path;

use serde_json::{Value, json};

use crate::bills::tomorrow_at;
use crate::official::{SUB_MCHID, all, for_sub_merchant, is_absent, not_simulated, tables};
use crate::support::Bench;

/// Where this simulator differs from the tables: the table, the parameter, the value that is met
/// otherwise, and why it is right. Every line must be needed.
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    ("bill_trade", "bill_type", "RECHARGE_REFUND", THREE_BILLS),
    ("bill_trade", "bill_type", "ALL_SPECIAL", THREE_BILLS),
    ("bill_trade", "bill_type", "SUC_SPECIAL", THREE_BILLS),
    ("bill_trade", "bill_type", "REF_SPECIAL", THREE_BILLS),
    ("bill_fund_flow", "account_type", "OPERATION", BASIC_ALONE),
    ("bill_fund_flow", "account_type", "FEES", BASIC_ALONE),
    (
        "certificates",
        "algorithm_type",
        "NOBODYS_VALUE",
        "no source says what it answers to one; here are RSA certificates alone",
    ),
];

/// docs/simulator.md, "Not simulated".
const BASIC_ALONE: &str = "no money moves in these accounts: NO_STATEMENT_EXIST";

const THREE_BILLS: &str = "the pages and the second source have ALL, SUCCESS and REFUND";

/// What a table's parameter is called with.
struct World {
    bench: Bench,
    day: String,
    transaction_id: String,
    partners_transaction_id: String,
    token: String,
}

impl World {
    /// Both merchants' orders, paid and refunded, and a bill that waits to be fetched.
    async fn new() -> Self {
        let bench = Bench::with(|config| config.mode = simulator::Mode::Both).await;
        // The fund-flow bill takes three calls a second.
        bench.knob("rate_limits", json!(false)).await;
        let path = "/v3/pay/partner/transactions/jsapi";
        let body = for_sub_merchant(bench.jsapi("PARAMETERS-partner", 100));
        assert_eq!(bench.client.post(path, &body).await.status, 200);
        bench.order("PARAMETERS-direct", 100).await;
        let mut ids = Vec::new();
        for number in ["PARAMETERS-direct", "PARAMETERS-partner"] {
            let pay = format!("/_sim/orders/{number}/pay");
            let paid = bench.control(&pay, json!({})).await;
            ids.push(paid["transaction_id"].as_str().unwrap().to_owned());
        }
        let refund = bench.refund("PARAMETERS-direct", "PARAMETERS-R", 10, 100);
        assert_eq!(refund.await.status, 200);
        let day = tomorrow_at(&bench, 10, 30).await;
        let target = format!("/v3/bill/tradebill?bill_date={day}");
        let applied = bench.client.get(&target).await.json();
        let url = applied["download_url"].as_str().unwrap();
        let (_, token) = url.split_once("token=").unwrap();
        let partners_transaction_id = ids.pop().unwrap();
        Self {
            transaction_id: ids.pop().unwrap(),
            partners_transaction_id,
            token: token.split('&').next().unwrap().to_owned(),
            day,
            bench,
        }
    }

    /// The value with which a parameter is in order; `None` for one that an order of the merchant's own
    /// is asked for without.
    fn value(&self, operation: &str, parameter: &str) -> Option<String> {
        let partner = operation.starts_with("partner_");
        let value = match parameter {
            "out_trade_no" if partner => "PARAMETERS-partner",
            "out_trade_no" => "PARAMETERS-direct",
            "transaction_id" if partner => &self.partners_transaction_id,
            "transaction_id" => &self.transaction_id,
            "out_refund_no" => "PARAMETERS-R",
            "mchid" | "sp_mchid" => &self.bench.client.file.mchid,
            "sub_mchid" if partner => SUB_MCHID,
            "bill_date" => &self.day,
            "token" => &self.token,
            _ => return None,
        };
        Some(value.to_owned())
    }

    /// The status of a call with these values in the table's path and query.
    async fn status(&self, table: &Value, changed: Option<(&str, Option<&str>)>) -> u16 {
        let operation = table["operation"].as_str().unwrap();
        let value = |name: &str| match changed {
            Some((parameter, value)) if parameter == name => value.map(str::to_owned),
            _ => self.value(operation, name),
        };
        let mut target = String::new();
        for part in table["path"].as_str().unwrap().split('/').skip(1) {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            let part = name.map_or_else(|| part.to_owned(), |name| value(name).unwrap_or_default());
            target.push('/');
            target.push_str(&part);
        }
        let mut separator = '?';
        for parameter in table["request"]["query"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if let Some(value) = value(name) {
                target.push_str(&format!("{separator}{name}={value}"));
                separator = '&';
            }
        }
        self.bench.client.get(&target).await.status
    }
}

/// What is wrong with a parameter, as the value that is met otherwise and a sentence.
async fn faults(world: &World, table: &Value, parameter: &Value) -> Vec<(String, String)> {
    let name = parameter["name"].as_str().unwrap();
    let mut wrong = Vec::new();
    let mut check = |value: &str, status: u16, wanted: bool, what: &str| {
        if (status == 200) != wanted {
            wrong.push((value.to_owned(), format!("{what} answers {status}")));
        }
    };
    if parameter["required"] == true {
        let status = world.status(table, Some((name, None))).await;
        check("(absent)", status, false, "a call without it");
    }
    if let Some(values) = parameter["enum"].as_array() {
        for value in values {
            let value = value.as_str().unwrap();
            let status = world.status(table, Some((name, Some(value)))).await;
            check(value, status, true, value);
        }
        let status = world
            .status(table, Some((name, Some("NOBODYS_VALUE"))))
            .await;
        check("NOBODYS_VALUE", status, false, "a value of nobody's");
    }
    if let Some(max) = parameter["max_length"].as_u64() {
        let long = "9".repeat(usize::try_from(max).unwrap() + 1);
        let status = world.status(table, Some((name, Some(&long)))).await;
        check("(too long)", status, false, "one that is too long");
    }
    wrong
}

async fn differing(folder: &Path) -> Vec<String> {
    let world = World::new().await;
    let absent = not_simulated();
    let (mut wrong, mut needed, mut looked_at) = (Vec::new(), Vec::new(), 0);
    for (operation, table) in all(folder) {
        // A body names what a POST is about; what is sent to the merchant has no parameters.
        if table["method"] != "GET" || is_absent(&absent, table["path"].as_str().unwrap()) {
            continue;
        }
        let usual = world.status(&table, None).await;
        assert_eq!(usual, 200, "{operation} in order");
        let request = &table["request"];
        let parameters = [&request["path"], &request["query"]];
        for parameter in parameters
            .into_iter()
            .flat_map(|list| list.as_array().unwrap())
        {
            looked_at += 1;
            let name = parameter["name"].as_str().unwrap();
            for (value, sentence) in faults(&world, &table, parameter).await {
                let known = DIFFERENCES.iter().find(|(table, differing, met, _)| {
                    *table == operation && *differing == name && *met == value
                });
                match known {
                    Some(known) => needed.push(known),
                    None => wrong.push(format!("{operation}, {name}: {sentence}")),
                }
            }
        }
    }
    for difference in DIFFERENCES {
        if !needed.contains(&difference) {
            wrong.push(format!(
                "there is no such difference any more: {difference:?}"
            ));
        }
    }
    assert!(looked_at > 15, "{looked_at} parameters were looked at");
    wrong
}

#[tokio::test]
async fn parameters_are_taken_as_the_official_documents_name_them() {
    let Some(folder) = tables() else { return };
    let wrong = differing(&folder).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
