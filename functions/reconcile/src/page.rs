//! The report as one page that needs nothing else: no script, no font, no address.

use std::fmt::Write as _;

use shared::domain::reconciliation::DifferenceKind;
use shared::rfc3339;

use crate::chart::{chart, yuan};
use crate::report::{Finding, Report};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:#176b3a}.bad{color:#a4161a}\
svg{width:100%;height:auto}.axis{stroke:#888}.paid{fill:#2a9d5c}.refunded{fill:#d1495b}text{font-size:11px;fill:#555}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let date = rfc3339::format_day(report.day);
    let count = report.count();
    let (class, verdict) = match count {
        0 => ("good", "The books agree. 账目一致。".to_owned()),
        1 => ("bad", "1 difference. 1 处差异。".to_owned()),
        _ => ("bad", format!("{count} differences. {count} 处差异。")),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Reconciliation {date}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Reconciliation 对账 {date}</h1>\n\
         <p>Merchant 商户 {}, made 生成于 {}</p>\n<p class=\"{class}\"><strong>{verdict}</strong></p>\n",
        escaped(&report.mchid),
        rfc3339::format(report.made_at),
    );
    page.push_str(&chart(&report.hours));
    page.push_str(&totals(report));
    if count > 0 {
        page.push_str(&differences(report));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn totals(report: &Report) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    match &report.trade {
        Some(trade) => rows.extend([
            (
                "Payments in the bill 账单支付笔数",
                trade.payments.to_string(),
            ),
            ("Paid, yuan 支付金额（元）", yuan(trade.total)),
            (
                "Refunds in the bill 账单退款笔数",
                trade.refunds.to_string(),
            ),
            ("Refunded, yuan 退款金额（元）", yuan(trade.refunded)),
            ("Fees, yuan 手续费（元）", yuan(trade.fee / 1_000)),
        ]),
        None => rows.push(("Trade bill 交易账单", "none 无".to_owned())),
    }
    match &report.flow {
        Some(flow) => rows.extend([
            ("Money in, yuan 收入（元）", yuan(flow.sum_in)),
            ("Money out, yuan 支出（元）", yuan(flow.sum_out)),
        ]),
        None => rows.push(("Fund-flow bill 资金账单", "none 无".to_owned())),
    }
    rows.extend([
        (
            "Payments on record 本地支付笔数",
            report.here.payments.to_string(),
        ),
        (
            "Refunds on record 本地退款笔数",
            report.here.refunds.to_string(),
        ),
    ]);
    if report.of_others.all() > 0 {
        rows.push((
            "Of other systems of the merchant number, not compared 其他系统的交易，未核对",
            report.of_others.all().to_string(),
        ));
    }
    let mut table = "<table>\n".to_owned();
    for (name, value) in rows {
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>"
        );
    }
    table.push_str("</table>\n");
    table
}

fn differences(report: &Report) -> String {
    let mut text = "<h2>Differences 差异</h2>\n<ul>\n".to_owned();
    for kind in DifferenceKind::ALL {
        if let Some(count) = report.counts.get(&kind) {
            let _ = writeln!(text, "<li><code>{}</code> {count}</li>", kind.as_str());
        }
    }
    text.push_str(
        "</ul>\n<table>\n<tr><th>Kind 类型</th><th>Order 商户订单号</th><th>Refund 商户退款单号</th>\
         <th>On record 本地</th><th>In the bill 账单</th><th>Settled 已处理</th></tr>\n",
    );
    for finding in &report.findings {
        text.push_str(&row(finding));
    }
    text.push_str("</table>\n");
    let told = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    if report.count() > told {
        let _ = writeln!(
            text,
            "<p>The first {told} are listed. 仅列出前 {told} 条。</p>"
        );
    }
    text
}

fn row(finding: &Finding) -> String {
    let difference = &finding.difference;
    let cells = [
        difference.kind.as_str(),
        &difference.order_no,
        difference.refund_no.as_deref().unwrap_or_default(),
        &difference.recorded,
        &difference.billed,
        finding.settled.unwrap_or_default(),
    ];
    let cells: String = cells
        .iter()
        .map(|cell| format!("<td>{}</td>", escaped(cell)))
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
