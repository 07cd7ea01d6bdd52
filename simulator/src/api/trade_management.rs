//! `POST /cgi-bin/stable_token`, and the two questions whether an app owes shipping information
//! (docs/simulator.md, `trade-management`).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Draft;
use super::errcode;
use super::request::Request;
use super::route::Question;
use crate::access_tokens::{Limit, Validity};
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::merchants::{Merchant, TradeManagement};
use crate::state::State;

/// As api.weixin.qq.com writes it.
const JSON_TYPE: &str = "application/json; encoding=utf-8";

/// The body of a request for a token.
#[derive(Debug, Deserialize)]
struct Wanted {
    grant_type: Option<String>,
    appid: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    force_refresh: bool,
}

/// Hands out the app's token.
pub(crate) fn stable_token(handle: &Arc<SimulatorHandle>, request: &Request) -> Draft {
    let now_ms = handle.now_ms();
    let mut state = handle.lock();
    let Ok(wanted) = serde_json::from_slice::<Wanted>(&request.body) else {
        return refused(47001, "data format error");
    };
    if let Some(busy) = busy(&mut state, "stable_token", wanted.appid.as_deref()) {
        return busy;
    }
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    let Some(appid) = present(wanted.appid) else {
        return refused(41002, "appid missing");
    };
    let Some(secret) = present(wanted.secret) else {
        return refused(41004, "appsecret missing");
    };
    if wanted.grant_type.as_deref() != Some("client_credential") {
        return refused(40002, "invalid grant_type");
    }
    let Some(merchant) = owner(&state, &appid) else {
        return refused(40013, "invalid appid");
    };
    if merchant.app_secret(&appid) != Some(secret.as_str()) {
        return refused(40125, "invalid appsecret");
    }
    if !merchant.ip_listed {
        return refused(40164, "invalid ip 127.0.0.1, not in whitelist");
    }
    let granted = if wanted.force_refresh {
        state.access_tokens.replace(&appid, now_ms)
    } else {
        Ok(state.access_tokens.grant(&appid, now_ms))
    };
    match granted {
        Ok(granted) => errcode::said(
            JSON_TYPE,
            &json!({
                "access_token": granted.access_token,
                "expires_in": granted.expires_in,
            }),
        ),
        Err(Limit::TooSoon) => refused(45011, "api minute-quota reach limit"),
        Err(Limit::Daily) => refused(45009, "reach max api daily quota limit"),
    }
}

/// Answers a question about the app that the token speaks for.
pub(crate) fn answer(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    question: Question,
) -> Draft {
    let now_ms = handle.now_ms();
    let mut state = handle.lock();
    let token = request.parameter("access_token").unwrap_or_default();
    if token.is_empty() {
        return refused(41001, "access_token missing");
    }
    let appid = match state.access_tokens.look(&token, now_ms) {
        Validity::Holds(appid) => appid,
        Validity::Unknown => {
            return refused(
                40001,
                "invalid credential, access_token is invalid or not latest",
            );
        }
        Validity::Expired => return refused(42001, "access_token expired"),
    };
    if let Some(busy) = busy(&mut state, question.operation(), Some(&appid)) {
        return busy;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return refused(47001, "data format error");
    };
    let asked = body.get("appid").and_then(Value::as_str);
    if asked != Some(appid.as_str()) {
        return refused(40013, "invalid appid");
    }
    let Some(merchant) = owner(&state, &appid) else {
        return refused(40013, "invalid appid");
    };
    let (managed, confirmed) = match merchant.trade_management {
        TradeManagement::NotOpen => return refused(48001, "api unauthorized"),
        TradeManagement::Free => (false, false),
        TradeManagement::Unconfirmed => (true, false),
        TradeManagement::Confirmed => (true, true),
    };
    let said = match question {
        Question::Managed => json!({"errcode": 0, "errmsg": "ok", "is_trade_managed": managed}),
        Question::Confirmed => json!({"errcode": 0, "errmsg": "ok", "completed": confirmed}),
    };
    errcode::said(JSON_TYPE, &said)
}

fn owner<'a>(state: &'a State, appid: &str) -> Option<&'a Merchant> {
    let mut merchants = state.merchants.values().map(|merchant| &merchant.record);
    merchants.find(|merchant| merchant.app_secret(appid).is_some())
}

fn busy(state: &mut State, operation: &'static str, appid: Option<&str>) -> Option<Draft> {
    const NAME: &str = "trade_management_busy";
    let subject = format!("{operation} {}", appid.unwrap_or_default());
    let target = Target {
        operation,
        out_trade_no: None,
        subject: &subject,
    };
    let strikes = state.faults.strikes(NAME, target);
    strikes.then(|| refused(-1, "system error").fault(NAME))
}

fn refused(errcode: i64, errmsg: &str) -> Draft {
    errcode::refused(JSON_TYPE, errcode, errmsg)
}
