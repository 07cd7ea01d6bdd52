//! `GET /sns/jscode2session`: mini-program login (docs/simulator.md, `login`). Not APIv3: unsigned,
//! and HTTP 200 for errors too.

use std::sync::Arc;

use serde::Serialize;

use super::answer::Draft;
use super::errcode;
use super::request::Request;
use crate::beijing::MINUTE_MS;
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::ledger::MADE_UP;
use crate::random;

/// As it was captured, though the body is JSON.
const TEXT_TYPE: &str = "text/plain";
/// How long a code lives.
const CODE_LIFE_MS: i64 = 5 * MINUTE_MS;
/// Logins of one user within a minute.
const LOGINS_PER_MINUTE: usize = 100;

/// What a code is exchanged for, in the order of captured answers.
#[derive(Debug, Serialize)]
struct Session<'a> {
    session_key: &'a str,
    openid: &'a str,
}

/// Exchanges a code; it works once, for five minutes, for the app it was made for.
pub(crate) fn answer(handle: &Arc<SimulatorHandle>, request: &Request) -> Draft {
    let parameter = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
    let now_ms = handle.now_ms();
    let mut state = handle.lock();
    // Who logs in is what comes again in another run: codes do not, nor do openids made up here.
    let user = parameter("js_code")
        .and_then(|code| state.codes.get(&code))
        .map(|held| held.openid.as_str())
        .filter(|openid| !openid.starts_with(MADE_UP));
    let subject = format!("jscode2session {}", user.unwrap_or_default());
    let target = Target {
        operation: "login",
        out_trade_no: None,
        subject: &subject,
    };
    if state.faults.strikes("login_busy", target) {
        return failure(-1, "system error").fault("login_busy");
    }
    let Some(appid) = parameter("appid") else {
        return failure(41002, "appid missing");
    };
    let Some(secret) = parameter("secret") else {
        return failure(41004, "appsecret missing");
    };
    let Some(code) = parameter("js_code") else {
        return failure(41008, "missing code");
    };
    if parameter("grant_type").as_deref() != Some("authorization_code") {
        return failure(40002, "invalid grant_type");
    }
    let app_secret = state
        .merchants
        .values()
        .find_map(|merchant| merchant.record.app_secret(&appid).map(str::to_owned));
    let Some(app_secret) = app_secret else {
        return failure(40013, "invalid appid");
    };
    if app_secret != secret {
        return failure(40125, "invalid appsecret");
    }
    let Some(mut held) = state.codes.get(&code).cloned() else {
        return failure(40029, "invalid code");
    };
    if held.appid != appid || now_ms - held.issued_ms > CODE_LIFE_MS {
        return failure(40029, "invalid code");
    }
    if held.used_ms.is_some() {
        return failure(40163, "code been used");
    }
    let recent = state.logins.entry(held.openid.clone()).or_default();
    while recent
        .front()
        .is_some_and(|used_ms| now_ms - used_ms >= MINUTE_MS)
    {
        recent.pop_front();
    }
    if recent.len() >= LOGINS_PER_MINUTE {
        return failure(45011, "api minute-quota reach limit");
    }
    recent.push_back(now_ms);
    held.used_ms = Some(now_ms);
    let session_key = random::session_key();
    let body = serde_json::to_string(&Session {
        session_key: &session_key,
        openid: &held.openid,
    });
    state.put_code(held);
    Draft::plain(200, TEXT_TYPE, body.unwrap_or_default())
}

fn failure(errcode: i64, errmsg: &str) -> Draft {
    errcode::refused(TEXT_TYPE, errcode, errmsg)
}
