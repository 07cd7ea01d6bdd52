//! What a report says, to each of its readers.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;

fn report(order_no: &str) -> Report {
    let mut hours = [Hour::default(); 24];
    hours[8] = Hour {
        paid: 2_850,
        refunded: 850,
    };
    let difference = Difference {
        kind: DifferenceKind::AmountDiffers,
        order_no: order_no.to_owned(),
        refund_no: None,
        recorded: "2850".to_owned(),
        billed: "2851".to_owned(),
    };
    Report {
        day: rfc3339::parse_day("2026-01-01").unwrap(),
        mchid: "1900007291".to_owned(),
        made_at: rfc3339::parse("2026-01-02T10:15:00+08:00").unwrap(),
        trade: Some(TradeTotals {
            rows: 2,
            payments: 1,
            refunds: 1,
            total: 2_850,
            refunded: 850,
            ..TradeTotals::default()
        }),
        flow: None,
        here: Counted {
            payments: 1,
            refunds: 1,
        },
        of_others: Counted::default(),
        hours,
        counts: BTreeMap::from([(DifferenceKind::AmountDiffers, 1)]),
        findings: vec![Finding {
            difference,
            settled: None,
        }],
    }
}

fn file(report: &Report, kind: &str) -> String {
    let files = report.files().unwrap();
    let name = format!("2026-01-01/report.{kind}");
    let found = files.into_iter().find(|(key, ..)| *key == name);
    String::from_utf8(found.unwrap().2).unwrap()
}

#[test]
fn no_cell_is_taken_for_a_formula() {
    for start in FORMULA_STARTS {
        let cell = format!("{start}cmd|' /C calc'!A0");
        let csv = file(&report(&cell), "csv");
        let mut reader = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[1], format!("'{cell}"));
        for field in &record {
            assert!(!field.starts_with(FORMULA_STARTS), "{field}");
        }
    }
}

#[test]
fn a_csv_is_what_spreadsheets_read() {
    let csv = file(&report("a,\"b\"\r\nc"), "csv");
    let expected = "\u{feff}kind,out_trade_no,out_refund_no,recorded,billed,settled\r\n\
        amount_differs,\"a,\"\"b\"\"\r\nc\",,2850,2851,\r\n";
    assert_eq!(csv, expected);
}

#[test]
fn a_page_needs_nothing_else_and_runs_nothing() {
    let page = file(&report("<script>alert(1)</script>&\"'"), "html");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
    for foreign in [
        "<script", "http:", "https:", "src=", "href=", "@import", "url(",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("<svg") && page.contains("08:00 – paid 28.50, refunded 8.50"));
    assert!(page.contains("1 difference."));
}

#[test]
fn every_kind_is_counted_in_the_json() {
    let mut told = report("ORDER-1");
    let settled = BTreeMap::from([(("ORDER-1".to_owned(), None), "SUCCESS")]);
    told.settle(&settled);
    let json: Value = serde_json::from_str(&file(&told, "json")).unwrap();
    assert_eq!(json["counts"].as_object().unwrap().len(), 10);
    assert_eq!(json["difference_count"], 1);
    assert_eq!(json["counts"]["amount_differs"], 1);
    assert_eq!(
        json["differences"],
        json!([{
            "kind": "amount_differs", "out_trade_no": "ORDER-1", "recorded": "2850",
            "billed": "2851", "settled": "SUCCESS",
        }])
    );
    assert_eq!(json["trade_bill"]["total"], 2_850);
    assert_eq!(json["fund_flow_bill"], Value::Null);
    assert_eq!(
        json["hours"][8],
        json!({"hour": 8, "paid": 2850, "refunded": 850})
    );
}

#[test]
fn what_was_settled_is_told_of_the_very_order_or_refund() {
    let mut told = report("ORDER-1");
    told.findings[0].difference.refund_no = Some("R-1".to_owned());
    let of_order = (("ORDER-1".to_owned(), None), "SUCCESS");
    let of_refund = (("ORDER-1".to_owned(), Some("R-1".to_owned())), "PROCESSING");
    // That its order is paid does not say that the refund is on record.
    told.settle(&BTreeMap::from([of_order.clone()]));
    assert_eq!(told.findings[0].settled, None);
    told.settle(&BTreeMap::from([of_order, of_refund]));
    assert_eq!(told.findings[0].settled, Some("PROCESSING"));
}
