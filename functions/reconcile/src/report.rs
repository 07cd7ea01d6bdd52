//! The report of a day: for machines (JSON), for spreadsheets (CSV) and for people (one HTML page).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::domain::bill::{FlowTotals, TradeTotals};
use shared::domain::reconciliation::{Difference, DifferenceKind};
use shared::domain::{BeijingDay, Mchid, Timestamp};
use shared::rfc3339;

use crate::ask::Outcomes;
use crate::compare::{Comparison, Counted, Hour};
use crate::error::ReconcileError;
use crate::page;

/// What begins a formula in a spreadsheet, or what it strips before one.
const FORMULA_STARTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The columns of the CSV.
const COLUMNS: [&str; 6] = [
    "kind",
    "out_trade_no",
    "out_refund_no",
    "recorded",
    "billed",
    "settled",
];

/// A finding, and what asking about it led to.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) difference: Difference,
    pub(crate) settled: Option<&'static str>,
}

/// What is told of a day.
pub(crate) struct Report {
    pub(crate) day: BeijingDay,
    pub(crate) mchid: String,
    pub(crate) made_at: Timestamp,
    pub(crate) trade: Option<TradeTotals>,
    pub(crate) flow: Option<FlowTotals>,
    pub(crate) here: Counted,
    pub(crate) of_others: Counted,
    pub(crate) hours: [Hour; 24],
    pub(crate) counts: BTreeMap<DifferenceKind, u64>,
    pub(crate) findings: Vec<Finding>,
}

/// The name of the mark that a day is done.
pub(crate) fn done_key(day: BeijingDay) -> String {
    format!("{}/done.json", rfc3339::format_day(day))
}

/// An object of the report: its name, content type and content.
type File = (String, &'static str, Vec<u8>);

impl Report {
    pub(crate) fn of(comparison: &Comparison<'_>, mchid: &Mchid, made_at: Timestamp) -> Self {
        let findings = comparison.findings.iter().cloned();
        Self {
            day: comparison.day,
            mchid: mchid.as_str().to_owned(),
            made_at,
            trade: comparison.trade,
            flow: comparison.flow,
            here: comparison.here,
            of_others: comparison.of_others,
            hours: comparison.hours,
            counts: comparison.counts.clone(),
            findings: findings
                .map(|difference| Finding {
                    difference,
                    settled: None,
                })
                .collect(),
        }
    }

    /// Notes what asking led to.
    pub(crate) fn settle(&mut self, settled: &Outcomes) {
        for finding in &mut self.findings {
            let Difference {
                order_no,
                refund_no,
                ..
            } = &finding.difference;
            finding.settled = settled.get(&(order_no.clone(), refund_no.clone())).copied();
        }
    }

    /// How many rows the trade bill has.
    pub(crate) fn rows(&self) -> u64 {
        self.trade.map_or(0, |trade| trade.rows)
    }

    /// How many differences there are, told or only counted.
    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The report's objects: name, content type and content.
    pub(crate) fn files(&self) -> Result<[File; 3], ReconcileError> {
        let date = rfc3339::format_day(self.day);
        let key = |kind: &str| format!("{date}/report.{kind}");
        Ok([
            (key("csv"), "text/csv; charset=utf-8", self.csv()?),
            (
                key("html"),
                "text/html; charset=utf-8",
                page::page(self).into_bytes(),
            ),
            (key("json"), "application/json", self.json()),
        ])
    }

    /// What says that the day is done.
    pub(crate) fn done_mark(&self) -> Vec<u8> {
        let mark = json!({
            "date": rfc3339::format_day(self.day),
            "made_at": rfc3339::format(self.made_at),
            "differences": self.count(),
        });
        mark.to_string().into_bytes()
    }

    fn json(&self) -> Vec<u8> {
        let counted = DifferenceKind::ALL.iter().map(|kind| {
            let count = self.counts.get(kind).copied().unwrap_or_default();
            (kind.as_str().to_owned(), Value::from(count))
        });
        let counts: Map<String, Value> = counted.collect();
        let hours = self.hours.iter().enumerate().map(
            |(hour, sums)| json!({"hour": hour, "paid": sums.paid, "refunded": sums.refunded}),
        );
        let report = json!({
            "date": rfc3339::format_day(self.day),
            "mchid": self.mchid,
            "made_at": rfc3339::format(self.made_at),
            "trade_bill": self.trade.as_ref().map(trade_totals),
            "fund_flow_bill": self.flow.as_ref().map(flow_totals),
            "on_record": of_both(self.here),
            "of_others": of_both(self.of_others),
            "hours": hours.collect::<Vec<_>>(),
            "difference_count": self.count(),
            "counts": counts,
            "differences": self.findings.iter().map(finding).collect::<Vec<_>>(),
        });
        report.to_string().into_bytes()
    }

    fn csv(&self) -> Result<Vec<u8>, ReconcileError> {
        // Spreadsheets take a file without the mark for one of the country's old encoding.
        let bytes = "\u{feff}".as_bytes().to_vec();
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(bytes);
        let broken = |error: csv::Error| ReconcileError::File(std::io::Error::other(error));
        writer.write_record(COLUMNS).map_err(broken)?;
        for finding in &self.findings {
            let Difference {
                kind,
                order_no,
                refund_no,
                recorded,
                billed,
            } = &finding.difference;
            let cells = [
                kind.as_str(),
                order_no,
                refund_no.as_deref().unwrap_or_default(),
                recorded,
                billed,
                finding.settled.unwrap_or_default(),
            ];
            writer.write_record(cells.map(harmless)).map_err(broken)?;
        }
        let error = |error: csv::IntoInnerError<_>| error.into_error();
        Ok(writer.into_inner().map_err(error)?)
    }
}

/// A cell that no spreadsheet takes for a formula: it shows the apostrophe as "text" or not at all.
fn harmless(cell: &str) -> String {
    if cell.starts_with(FORMULA_STARTS) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

fn of_both(counted: Counted) -> Value {
    json!({"payments": counted.payments, "refunds": counted.refunds})
}

fn trade_totals(totals: &TradeTotals) -> Value {
    json!({
        "rows": totals.rows,
        "payments": totals.payments,
        "refunds": totals.refunds,
        "total": totals.total,
        "settlement_total": totals.settled,
        "refunded": totals.refunded,
        "paid_back": totals.paid_back,
        "coupon_refunded": totals.coupon_back,
        "fee_thousandths": totals.fee,
    })
}

fn flow_totals(totals: &FlowTotals) -> Value {
    json!({
        "rows": totals.rows,
        "rows_in": totals.rows_in,
        "sum_in": totals.sum_in,
        "rows_out": totals.rows_out,
        "sum_out": totals.sum_out,
    })
}

fn finding(finding: &Finding) -> Value {
    let difference = &finding.difference;
    let mut told = json!({
        "kind": difference.kind.as_str(),
        "out_trade_no": difference.order_no,
        "recorded": difference.recorded,
        "billed": difference.billed,
    });
    if let Some(refund_no) = &difference.refund_no {
        told["out_refund_no"] = Value::from(refund_no.clone());
    }
    if let Some(settled) = finding.settled {
        told["settled"] = Value::from(settled);
    }
    told
}

#[cfg(test)]
mod tests;
