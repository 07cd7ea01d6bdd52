//! Bills: application and download (docs/simulator.md, `bill-days` and `bill-files`). The files
//! themselves are `bill_file.rs`'s.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha1::{Digest as _, Sha1};

use super::answer::{Draft, Refusal};
use super::context::Context;
use crate::beijing::{self, DAY_MS, HOUR_MS, SECOND_MS};
use crate::bill_file::{self, BillDistortions, TradeKind};
use crate::ledger::BillToken;
use crate::{compression, random};

/// A bill is ready at this hour of the next day, Beijing time (docs/simulator.md, `bill-days`).
const READY_MS: i64 = 10 * HOUR_MS;
/// Bills reach this far back.
const KEPT_MS: i64 = 92 * DAY_MS;

/// Applies for a trade bill.
pub(crate) fn trade(context: &mut Context<'_>) -> Result<Draft, Refusal> {
    let kind = match context.request.parameter("bill_type").as_deref() {
        None | Some("ALL") => TradeKind::All,
        Some("SUCCESS") => TradeKind::Success,
        Some("REFUND") => TradeKind::Refund,
        Some(_) => return Err(parameter("bill_type is ALL, SUCCESS or REFUND")),
    };
    let day_ms = day(context, "trade_bill")?;
    let sub_mchid = context.request.parameter("sub_mchid");
    let mchid = context.caller.mchid().to_owned();
    let file = |context: &Context<'_>, distortions: BillDistortions| {
        let sub_mchid = sub_mchid.as_deref();
        bill_file::trade(context.state, &mchid, sub_mchid, day_ms, kind, distortions)
    };
    let bill = file(context, BillDistortions::default());
    let mut bill = there(context, bill, "trade_bill")?;
    let distortions = BillDistortions {
        formula: context.fault("bill_formula", "trade_bill"),
        totals: context.fault("bill_bad_totals", "trade_bill"),
        lacking: context.fault("bill_lacks_payment", "trade_bill"),
    };
    if distortions.formula || distortions.totals || distortions.lacking {
        bill = file(context, distortions).unwrap_or(bill);
    }
    Ok(offer(context, bill, "trade_bill"))
}

/// Applies for a fund-flow bill.
pub(crate) fn fund_flow(context: &mut Context<'_>) -> Result<Draft, Refusal> {
    let basic = match context.request.parameter("account_type").as_deref() {
        None | Some("BASIC") => true,
        Some("OPERATION" | "FEES") => false,
        Some(_) => return Err(parameter("account_type is BASIC, OPERATION or FEES")),
    };
    let day_ms = day(context, "fund_flow_bill")?;
    // All money moves through the basic account here; the other two have empty days.
    let file = if basic {
        bill_file::fund_flow(context.state, context.caller.mchid(), day_ms)
    } else {
        None
    };
    let file = there(context, file, "fund_flow_bill")?;
    Ok(offer(context, file, "fund_flow_bill"))
}

/// Downloads a bill by its token, for the merchant who applied.
pub(crate) fn download(context: &mut Context<'_>) -> Result<Draft, Refusal> {
    let unsigned = |refusal: Refusal| refusal.unsigned();
    let token = context.request.parameter("token").unwrap_or_default();
    let held = context.state.tokens.get(&token).cloned();
    let Some(held) = held.filter(|held| held.expires_ms > context.now_ms) else {
        return Err(unsigned(
            Refusal::new(400, "INVALID_REQUEST", "token已失效，请重新申请账单")
                .because("download_url lives five minutes: apply for the bill again"),
        ));
    };
    if held.mchid != context.caller.mchid() {
        return Err(unsigned(
            Refusal::new(403, "NO_AUTH", "没有权限下载该账单")
                .because("another merchant applied for this bill"),
        ));
    }
    Ok(Draft::file(held.bytes.to_vec()))
}

fn day(context: &mut Context<'_>, operation: &str) -> Result<i64, Refusal> {
    let stated = context.request.parameter("bill_date").unwrap_or_default();
    let day_ms = beijing::day_start(&stated)
        .ok_or_else(|| parameter("bill_date is a day in Beijing, yyyy-MM-dd"))?;
    if context
        .request
        .parameter("tar_type")
        .is_some_and(|kind| kind != "GZIP")
    {
        return Err(parameter("tar_type is GZIP or absent"));
    }
    let ready_ms = day_ms + DAY_MS + READY_MS;
    if day_ms + DAY_MS > context.now_ms {
        return Err(Refusal::new(400, "INVALID_REQUEST", "账单日期不正确")
            .because("today's bill is ready tomorrow at ten, Beijing time"));
    }
    if day_ms < context.now_ms - KEPT_MS {
        return Err(Refusal::new(400, "INVALID_REQUEST", "账单日期不正确")
            .because("bills reach three months back"));
    }
    if ready_ms > context.now_ms || context.fault("bill_late", operation) {
        return Err(
            Refusal::new(400, "STATEMENT_CREATING", "请求的账单正在生成中")
                .because("the bill is ready at ten in the morning, Beijing time: ask again later"),
        );
    }
    Ok(day_ms)
}

/// The bill of a day that has one.
fn there(
    context: &mut Context<'_>,
    file: Option<String>,
    operation: &'static str,
) -> Result<String, Refusal> {
    let none = Refusal::new(400, "NO_STATEMENT_EXIST", "账单文件不存在");
    let Some(file) = file else {
        return Err(none.because("nothing was paid or refunded on that day"));
    };
    if context.fault("bill_missing", operation) {
        return Err(none.because("fault bill_missing"));
    }
    Ok(file)
}

fn offer(context: &mut Context<'_>, file: String, operation: &'static str) -> Draft {
    let bytes = file.into_bytes();
    let mut hash = HEXLOWER.encode(&Sha1::digest(&bytes));
    if context.fault("bill_bad_hash", operation) {
        hash = random::lower_hex(40);
    }
    let bomb = context.fault("bill_bomb", operation);
    let gzip = bomb || context.request.parameter("tar_type").is_some();
    let bytes = match (bomb, gzip) {
        (true, _) => compression::bomb(&bytes),
        (false, true) => compression::gzip(&bytes),
        (false, false) => bytes,
    };
    let token = random::alphanumeric(48);
    let base = if context.fault("bill_foreign_url", operation) {
        "https://bills.example.com".to_owned()
    } else {
        context
            .handle
            .urls()
            .map(|urls| urls.base.clone())
            .unwrap_or_default()
    };
    let tail = if gzip { "&tartype=gzip" } else { "" };
    let life_s = i64::from(context.state.behaviours.download_url_life_s);
    let held = BillToken {
        mchid: context.caller.mchid().to_owned(),
        expires_ms: context.now_ms + life_s * SECOND_MS,
        bytes: Arc::new(bytes),
        subject: context.subject.draw_key.clone(),
    };
    let now_ms = context.now_ms;
    context
        .state
        .tokens
        .retain(|_, held| held.expires_ms > now_ms);
    context.state.tokens.insert(token.clone(), held);
    Draft::ok(&json!({
        "download_url": format!("{base}/v3/billdownload/file?token={token}{tail}"),
        "hash_type": "SHA1",
        "hash_value": hash,
    }))
}

fn parameter(why: &str) -> Refusal {
    Refusal::new(400, "PARAM_ERROR", "参数错误").because(why)
}
