//! Point 32 once more: bills have the form of the known ones (`tests/vectors`), column by column.

use sha1::{Digest as _, Sha1};

use crate::bills::{download, tomorrow_at};
use crate::support::Bench;
use crate::vectors::{Case, every, published_text};

/// A bill, taken apart.
struct Bill {
    header: String,
    rows: Vec<Vec<String>>,
    summary_header: String,
    summary: Vec<String>,
}

/// Takes a bill apart, and fails where it has no byte order mark, another line ending or a field
/// without its backtick.
fn bill(text: &str) -> Bill {
    let text = text.strip_prefix('\u{feff}').unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
    let text = text.strip_suffix("\r\n").unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    let [header, rows @ .., summary_header, summary] = lines.as_slice() else {
        panic!("a bill has a header and a summary: {text}");
    };
    let fields = |line: &str| -> Vec<String> {
        let fields = line.split(',').map(|field| field.strip_prefix('`'));
        fields.map(|field| field.unwrap().to_owned()).collect()
    };
    Bill {
        header: (*header).to_owned(),
        rows: rows.iter().map(|row| fields(row)).collect(),
        summary_header: (*summary_header).to_owned(),
        summary: fields(summary),
    }
}

/// The form of a field: digits become 9, runs of them before a point one 9; `None` where the field is
/// somebody's text or number, which has no form.
fn form(field: &str) -> Option<String> {
    let plain = |rest: &str| rest.bytes().all(|byte| b"0123456789.-: %".contains(&byte));
    if !field.contains(['.', ':']) || !plain(field) {
        return None;
    }
    let nines: String = field
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '9' } else { letter })
        .collect();
    Some(match nines.split_once('.') {
        Some((_, decimals)) => format!("9.{decimals}"),
        None => nines,
    })
}

fn forms(row: &[String]) -> Vec<Option<String>> {
    row.iter().map(|field| form(field)).collect()
}

/// Downloads the bill of a day on which an order was paid and partly given back.
async fn made(path: &str) -> Bill {
    let bench = Bench::new().await;
    bench.paid("ORDER-shape", 2850).await;
    let refund = bench.refund("ORDER-shape", "R-shape", 850, 2850).await;
    assert_eq!(refund.status, 200);
    let day = tomorrow_at(&bench, 10, 30).await;
    let applied = bench.client.get(&format!("{path}{day}")).await;
    bill(&download(&bench, &bench.client, &applied).await.text())
}

/// Holds a bill that the simulator made against a known one; rows are told apart by a column.
fn assert_same_form(made: &Bill, known: &Bill, column: usize) {
    assert_eq!(made.header, known.header);
    assert_eq!(made.summary_header, known.summary_header);
    assert_eq!(forms(&made.summary), forms(&known.summary));
    assert!(!known.rows.is_empty());
    for row in &known.rows {
        let same = made.rows.iter().find(|made| made[column] == row[column]);
        assert_eq!(forms(same.unwrap()), forms(row), "{row:?}");
    }
}

/// A known bill, whose description has to fit.
fn known(case: &Case) -> Bill {
    let text = case.file("file");
    let hash: String = Sha1::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hash, case.at("hash_value"), "{}", case.name);
    assert_eq!(case.value["bytes"], text.len(), "{}", case.name);
    let bill = bill(&text);
    assert_eq!(case.value["data_rows"], bill.rows.len(), "{}", case.name);
    assert_eq!(case.value["columns"], bill.header.split(',').count());
    for row in &bill.rows {
        assert_eq!(case.value["columns"], row.len(), "{}: {row:?}", case.name);
    }
    bill
}

#[tokio::test]
async fn point_32_the_trade_bill_has_the_form_of_the_known_ones() {
    let made = made("/v3/bill/tradebill?bill_date=").await;
    for case in every(&["trade_bill"]) {
        assert_same_form(&made, &known(&case), 9);
    }
}

#[tokio::test]
async fn point_32_the_fund_flow_bill_has_the_form_of_the_known_ones() {
    let made = made("/v3/bill/fundflowbill?bill_date=").await;
    for case in every(&["fund_flow_bill"]) {
        assert_same_form(&made, &known(&case), 5);
    }
    // Published without its length and hash, and with a row less than its summary says.
    if let Some(text) = published_text("bill/fundflow_BASIC_2021-02-01.csv") {
        assert_same_form(&made, &bill(&text), 5);
    }
}
