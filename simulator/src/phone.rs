//! The payer's side: what happens when somebody pays, fails or cancels on the phone. The phone
//! checks what the merchant's page handed it (docs/simulator.md, `phone`): signature, app, life of
//! the id.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::beijing;
use crate::handle::SimulatorHandle;
use crate::ledger::{self, Order, OrderState, Payment, Ticket, TradeType};
use crate::notices;
use crate::random;
use crate::schedule;
use crate::state::State;

/// What a control call says about an attempt to pay; all of it is optional.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PaymentAttempt {
    /// Which merchant's order, where two use one number.
    pub(crate) mchid: Option<String>,
    /// Who pays; for a JSAPI order it must be the order's own payer.
    pub(crate) openid: Option<String>,
    /// The scanned code.
    pub(crate) code_url: Option<String>,
    pub(crate) prepay_id: Option<String>,
    /// The opened H5 link.
    pub(crate) h5_url: Option<String>,
    /// The five fields given to `wx.requestPayment`.
    pub(crate) pay: Option<RequestPayment>,
    /// The fields given to the OpenSDK's `PayReq`.
    pub(crate) app: Option<AppPayment>,
    /// The app the page runs in, when it is not the order's.
    pub(crate) appid: Option<String>,
    /// A coupon that takes this much off what the payer pays.
    pub(crate) coupon_fen: i64,
    /// The payer's bank, `OTHERS` by default.
    pub(crate) bank_type: Option<String>,
    /// The payer has confirmed a moment before the order was closed: the payment stands all the same.
    pub(crate) after_close: bool,
}

/// `wx.requestPayment`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestPayment {
    time_stamp: String,
    nonce_str: String,
    package: String,
    sign_type: String,
    pay_sign: String,
}

/// `PayReq`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppPayment {
    app_id: String,
    partner_id: String,
    prepay_id: String,
    package_value: String,
    nonce_str: String,
    time_stamp: String,
    sign: String,
}

/// Why the phone refuses: a stable code and a sentence.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

fn refused(code: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        status: 409,
        code,
        message: message.into(),
    }
}

/// How an attempt to pay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    Paid,
    Failed,
    Cancelled,
}

/// Plays an attempt to pay and answers the order's ledger row.
pub(crate) fn play(
    handle: &Arc<SimulatorHandle>,
    out_trade_no: &str,
    attempt: &PaymentAttempt,
    outcome: AttemptOutcome,
) -> Result<Value, Refused> {
    let row = {
        let mut state = handle.lock();
        let found = state
            .find_order(out_trade_no, attempt.mchid.as_deref())
            .cloned();
        let Some(mut order) = found else {
            return Err(Refused {
                status: 404,
                code: "ORDER_NOT_EXIST",
                message: format!("WeChat Pay has no order {out_trade_no}"),
            });
        };
        let now_ms = handle.now_ms();
        let payer = check(&state, &order, attempt, now_ms)?;
        order.bound_payer.clone_from(&payer);
        match outcome {
            AttemptOutcome::Paid => {
                let openid = payer.unwrap_or_else(ledger::fresh_openid);
                let payment = payment(&state, &order, attempt, openid, now_ms);
                order.state = OrderState::Paid(payment);
                state.put_order(order.clone());
                notices::announce_payment(handle, &mut state, &order);
            }
            AttemptOutcome::Failed | AttemptOutcome::Cancelled => {
                // The order stays payable (docs/simulator.md, `repeats` and `lifetimes`).
                order.failed_attempts += 1;
                state.put_order(order.clone());
            }
        }
        order.row(state.refunded(&order.key))
    };
    schedule::settle_due(handle);
    Ok(row)
}

/// Checks an attempt; gives who makes it, where anything tells.
fn check(
    state: &State,
    order: &Order,
    attempt: &PaymentAttempt,
    now_ms: i64,
) -> Result<Option<String>, Refused> {
    match &order.state {
        OrderState::Paid(_) => return Err(refused("ORDERPAID", "the order is paid already")),
        OrderState::Closed { .. } if attempt.after_close => {}
        OrderState::Closed { .. } => return Err(refused("ORDER_CLOSED", "the order is closed")),
        OrderState::NotPaid => {}
    }
    if order.payable_until_ms <= now_ms && !attempt.after_close {
        let until = beijing::rfc3339(order.payable_until_ms);
        return Err(refused(
            "TIME_EXPIRED",
            format!("the order could be paid until {until}"),
        ));
    }
    check_app(order, attempt)?;
    let ticket = ticket(order, attempt)?;
    if ticket.replaced {
        return Err(refused(
            "CODE_REPLACED",
            "a newer code_url replaced this one: show the newer",
        ));
    }
    if ticket.expires_ms <= now_ms {
        let life = if order.trade_type == TradeType::H5 {
            "five minutes"
        } else {
            "two hours"
        };
        return Err(refused(
            "PREPAY_EXPIRED",
            format!("the id lived {life}: order again with identical parameters for a fresh one"),
        ));
    }
    if state.behaviours.h5_loopback_fails
        && order.trade_type == TradeType::H5
        && order.is_from_loopback()
    {
        return Err(refused(
            "BAD_CLIENT_IP",
            "the H5 cashier turns away a payer whose payer_client_ip is a loopback address: send \
             the address that the payer's browser comes from, or, where that is this machine, turn the \
             knob h5_loopback_fails off",
        ));
    }
    if let Some(pay) = &attempt.pay {
        check_pay_sign(state, order, ticket, pay)?;
    }
    if let Some(app) = &attempt.app {
        check_app_sign(state, order, ticket, app)?;
    }
    if attempt.coupon_fen < 0 || attempt.coupon_fen >= order.total_fen {
        return Err(refused("BAD_COUPON", "a coupon leaves something to pay"));
    }
    let payer = attempt
        .openid
        .as_ref()
        .or(order.bound_payer.as_ref())
        .or(order.openid.as_ref());
    let another = |expected: &Option<String>| {
        expected.is_some() && payer.is_some() && expected.as_ref() != payer
    };
    if another(&order.openid) {
        return Err(refused(
            "OPENID_MISMATCH",
            "the order was placed for another payer",
        ));
    }
    if another(&order.bound_payer) {
        return Err(refused(
            "OTHER_PAYER",
            "another payer opened this order; one user pays it",
        ));
    }
    Ok(payer.cloned())
}

fn check_app(order: &Order, attempt: &PaymentAttempt) -> Result<(), Refused> {
    let sp_appid = order
        .partner
        .as_ref()
        .map(|partner| partner.sp_appid.as_str());
    match attempt.appid.as_deref() {
        Some(appid) if appid != order.appid && Some(appid) != sp_appid => Err(refused(
            "APPID_MISMATCH",
            format!(
                "the page runs in {appid}, the order belongs to {}",
                order.appid
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// The id that the phone was handed; without one, the newest.
fn ticket<'a>(order: &'a Order, attempt: &PaymentAttempt) -> Result<&'a Ticket, Refused> {
    let from_package = match &attempt.pay {
        Some(pay) => match pay.package.strip_prefix("prepay_id=") {
            Some(prepay_id) => Some(prepay_id.to_owned()),
            None => {
                return Err(refused(
                    "BAD_PACKAGE",
                    "package is prepay_id=… for wx.requestPayment",
                ));
            }
        },
        None => attempt.app.as_ref().map(|app| app.prepay_id.clone()),
    };
    let prepay_id = from_package.or_else(|| attempt.prepay_id.clone());
    let found = if let Some(code_url) = &attempt.code_url {
        order
            .tickets
            .iter()
            .find(|ticket| ticket.code_url.as_ref() == Some(code_url))
    } else if let Some(h5_url) = &attempt.h5_url {
        order.tickets.iter().find(|ticket| {
            ticket
                .h5_url
                .as_ref()
                .is_some_and(|held| h5_url.starts_with(held))
        })
    } else if let Some(prepay_id) = prepay_id {
        order
            .tickets
            .iter()
            .find(|ticket| ticket.prepay_id == prepay_id)
    } else {
        order.tickets.last()
    };
    found.ok_or_else(|| refused("NO_SUCH_ID", "this id was never handed out for this order"))
}

fn check_pay_sign(
    state: &State,
    order: &Order,
    ticket: &Ticket,
    pay: &RequestPayment,
) -> Result<(), Refused> {
    let signed_by = |text: &str| signed_by(state, order, ticket, text, &pay.pay_sign);
    if pay.sign_type != "RSA" {
        return Err(refused("BAD_SIGN_TYPE", "signType is RSA"));
    }
    let text = |appid: &str, line: &str| {
        format!("{appid}\n{}\n{}\n{line}\n", pay.time_stamp, pay.nonce_str)
    };
    let mut appids = vec![order.appid.as_str()];
    appids.extend(
        order
            .partner
            .as_ref()
            .map(|partner| partner.sp_appid.as_str()),
    );
    if pay.time_stamp.len() > 10 {
        return Err(refused(
            "BAD_TIMESTAMP",
            "timeStamp is in seconds, ten digits, as a string",
        ));
    }
    if appids
        .iter()
        .any(|appid| signed_by(&text(appid, &pay.package)))
    {
        return Ok(());
    }
    let bare = pay.package.trim_start_matches("prepay_id=");
    let why = if signed_by(&text(&order.appid, bare)) {
        "line 4 was signed without its prefix: sign prepay_id=… for wx.requestPayment".to_owned()
    } else if let Some(other) =
        other_app(state, order, |appid| signed_by(&text(appid, &pay.package)))
    {
        format!("signed for {other}, the order belongs to {}", order.appid)
    } else {
        "paySign fits neither the four lines (appId, timeStamp, nonceStr, package) nor the key that \
         asked for this prepay_id: sign with the certificate that placed the order"
            .to_owned()
    };
    Err(refused("BAD_PAY_SIGN", why))
}

fn check_app_sign(
    state: &State,
    order: &Order,
    ticket: &Ticket,
    app: &AppPayment,
) -> Result<(), Refused> {
    let signed_by = |text: &str| signed_by(state, order, ticket, text, &app.sign);
    if app.package_value != "Sign=WXPay" {
        return Err(refused(
            "BAD_PACKAGE",
            "packageValue is Sign=WXPay for PayReq",
        ));
    }
    if app.partner_id != order.key.mchid {
        return Err(refused(
            "BAD_PARTNER",
            "partnerId is the mchid of the order",
        ));
    }
    let text = |line: &str| {
        format!(
            "{}\n{}\n{}\n{line}\n",
            app.app_id, app.time_stamp, app.nonce_str
        )
    };
    if app.app_id == order.appid && signed_by(&text(&app.prepay_id)) {
        return Ok(());
    }
    let prefixed = format!("prepay_id={}", app.prepay_id);
    let why = if app.app_id != order.appid {
        format!(
            "signed for {}, the order belongs to {}",
            app.app_id, order.appid
        )
    } else if signed_by(&text(&prefixed)) {
        "line 4 was signed with the prefix prepay_id=, which PayReq does not have".to_owned()
    } else {
        "sign fits neither the four lines (appId, timeStamp, nonceStr, prepayId) nor the key that \
         asked for this prepay_id: sign with the certificate that placed the order"
            .to_owned()
    };
    Err(refused("BAD_PAY_SIGN", why))
}

/// The merchant certificate that asked for the id must have signed (docs/simulator.md, `phone`).
fn signed_by(state: &State, order: &Order, ticket: &Ticket, text: &str, signature: &str) -> bool {
    let Some(merchant) = state.merchants.get(&order.key.mchid) else {
        return false;
    };
    let serials = if ticket.serials.is_empty() {
        std::slice::from_ref(&order.serial_no)
    } else {
        &ticket.serials
    };
    serials.iter().any(|serial| {
        merchant
            .certificate(serial)
            .is_some_and(|(facts, _)| facts.key.verifies(text.as_bytes(), signature))
    })
}

fn other_app(state: &State, order: &Order, signed_for: impl Fn(&str) -> bool) -> Option<String> {
    let merchant = state.merchants.get(&order.key.mchid)?;
    let apps = merchant.record.apps.iter().map(|app| app.appid.clone());
    apps.into_iter().find(|appid| signed_for(appid))
}

fn payment(
    state: &State,
    order: &Order,
    attempt: &PaymentAttempt,
    openid: String,
    now_ms: i64,
) -> Payment {
    let partner_order = order.partner.is_some();
    let by_sub = order
        .partner
        .as_ref()
        .is_some_and(|partner| partner.sub_appid.is_some());
    // A user has another openid in each app; the partner's is derived so that it is always the
    // same.
    let (openid, sub_openid) = if partner_order && by_sub {
        (
            format!("oSp{}", openid.trim_start_matches('o')),
            Some(openid),
        )
    } else {
        (openid, None)
    };
    let mut transaction_id = fresh_transaction(now_ms);
    while state.payments.contains_key(&transaction_id) {
        transaction_id = fresh_transaction(now_ms);
    }
    Payment {
        at_ms: now_ms,
        transaction_id,
        openid,
        sub_openid,
        bank_type: attempt
            .bank_type
            .clone()
            .unwrap_or_else(|| "OTHERS".to_owned()),
        payer_total_fen: order.total_fen - attempt.coupon_fen,
    }
}

/// 28 digits: `4200`, six digits, the day, ten digits (docs/simulator.md, `query-bodies` and
/// `transaction-ids`).
fn fresh_transaction(now_ms: i64) -> String {
    format!(
        "420000{}{}{}",
        random::digits(4),
        beijing::compact_day(now_ms),
        random::digits(10)
    )
}
