//! `wxpay reconcile`: a day's bills against the record, again.

use clap::Args;
use serde_json::json;
use shared::rfc3339;

use crate::day::Day;
use crate::exit::Failure;
use crate::output::{GOOD, text};
use crate::target::Which;
use crate::wait::Waiting;

/// Which day.
#[derive(Args, Debug)]
#[command(
    after_help = "The function fetches both bills and compares them with the record, both ways; the report replaces the day's
earlier one. The exit code is 8 where there are differences, and 6 where WeChat Pay has no bill yet.

Example:
  wxpay reconcile --date 2026-11-28 --stack wxpay"
)]
pub struct Reconcile {
    #[command(flatten)]
    which: Which,
    /// The day in Beijing: 2026-11-29 or yesterday.
    #[arg(long, default_value = "yesterday", value_parser = Day::parse)]
    date: Day,
}

/// Has the day reconciled.
///
/// # Errors
/// There are differences, there is no bill yet, or the function failed.
pub async fn run(reconcile: Reconcile) -> Result<(), Failure> {
    let target = reconcile.which.find().await?;
    let date = rfc3339::format_day(reconcile.date.on(&target.process.clock));
    let function = target.described.output("ReconcileFunctionArn")?;
    let answer = {
        let _waiting = Waiting::for_(format!("Reconciling {date}"));
        target.aws.invoke(function, &json!({"date": date})).await?
    };
    let bucket = target.described.output("ReportsBucketName")?;
    let report = format!("s3://{bucket}/{date}/report.html");
    let differences = answer["differences"].as_u64().unwrap_or_default();
    let mut told = answer.clone();
    if answer["status"] == "done" {
        told["report"] = json!(report);
    }
    reconcile
        .which
        .output()
        .answer(&told, || match answer["status"].as_str() {
            Some("done") if differences == 0 => {
                format!("{GOOD}{date}: bills and record agree.{GOOD:#} Report: {report}")
            }
            Some("done") => format!("{date}: {differences} differences. Report: {report}"),
            _ => format!("{date}: {}", text(&answer["why"])),
        });
    match answer["status"].as_str() {
        Some("done") if differences == 0 => Ok(()),
        Some("done") => Err(Failure::Found(format!("{differences} differences (RB-22)"))),
        _ => Err(Failure::NoAnswer(format!(
            "{date} is not reconciled: {}",
            text(&answer["why"])
        ))),
    }
}
