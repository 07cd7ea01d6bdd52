//! `POST /sessions`: a fresh `wx.login` code becomes a token.
//!
//! WeChat turns the code into the payer's openid (`jscode2session`); the session key that comes with
//! it is dropped at once. This function reads no order and holds no table.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;
use shared::api::{Answer, Callers, Code, HttpFunction, Incoming, Problem, request_body};
use shared::config::secrets::{AnySecret, AppSecret, Secret};
use shared::config::{ConfigError, Environment, Vars};
use shared::domain::{Appid, Openid};
use shared::process::Process;
use shared::rfc3339;
use shared::telemetry::{LogLine, Metric};
use shared::transport::Failure;

/// WeChat's own host of `jscode2session`.
const WECHAT_API: &str = "https://api.weixin.qq.com";

/// How long WeChat may take, in milliseconds.
const CALL_MAX_MS: u64 = 3_000;

/// How long a code may be, in characters; WeChat's have 32 letters and digits. What has another form
/// is refused here, since each call counts against WeChat's daily quota of the app.
const CODE_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// WeChat's errcodes for an app or app secret that it does not know.
const APP_REFUSED: [i64; 2] = [40013, 40125];

/// How large WeChat's answer may be, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// Logs payers in.
#[derive(Debug)]
pub struct Login {
    app: Secret<AppSecret>,
    callers: Callers,
    appid: Appid,
    jscode2session: Url,
    process: Process,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRequest {
    code: String,
}

#[derive(Deserialize)]
struct SessionAnswer {
    openid: Option<String>,
    errcode: Option<i64>,
}

impl HttpFunction for Login {
    const NAME: &'static str = "login";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let app = Secret::from_environment(&mut environment, "APP_SECRET_ARN");
        let callers = Callers::from_environment(&mut environment);
        let appid = environment.payers_appid();
        let base = environment
            .optional("WECHAT_API_BASE_URL")
            .unwrap_or_else(|| WECHAT_API.to_owned());
        let url = jscode2session(&base, &environment.trusted_hosts());
        let Some(jscode2session) = environment.check("WECHAT_API_BASE_URL", url) else {
            return Err(environment.into_error());
        };
        environment.finish()?;
        Ok(Self {
            app,
            callers,
            appid,
            jscode2session,
            process: process.clone(),
        })
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        vec![&self.app, self.callers.secret()]
    }

    async fn serve(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        let request: SessionRequest = request_body::read(&incoming.body)?;
        let code = request.code;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !CODE_LENGTHS.contains(&code.len()) || !code.bytes().all(legal) {
            return Err(Problem::new(
                Code::InvalidValue,
                "code does not have the form of a wx.login code",
            )
            .field("code"));
        }
        let openid = self.openid(&code, incoming, line).await?;
        let (token, expires_at) = self.callers.issue(&openid).await?;
        let body = json!({"token": token, "expires_at": rfc3339::format(expires_at)});
        Ok(Answer::json(200, body))
    }
}

impl Login {
    /// Asks WeChat whose code it is. A code is good once and for five minutes; a second use is
    /// refused by WeChat (wechatpay docs, code2session: 40029, 40163).
    async fn openid(
        &self,
        code: &str,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Openid, Problem> {
        let app = self.app.get().await?;
        if app.appid != self.appid.as_str() {
            return Err(Problem::new(
                Code::NotConfigured,
                "the service is configured for another app",
            )
            .because("the app secret belongs to another appid than SUB_APPID or else APPID")
            .counting(Metric::NotConfigured));
        }
        let answer = self
            .ask(&app, code, incoming)
            .await
            .map_err(|cause| unavailable().because(cause))?;
        match (answer.errcode.unwrap_or(0), answer.openid) {
            (0, Some(openid)) => {
                Openid::parse(openid).map_err(|error| unavailable().because(error.to_string()))
            }
            (0, None) => Err(unavailable().because("an answer without an openid")),
            (errcode, _) => {
                line.field("wechat.errcode", errcode);
                if APP_REFUSED.contains(&errcode) {
                    // The secret may have been reset: a newer one is read for the next login.
                    let _ = self.app.refreshed().await;
                }
                Err(refusal(errcode))
            }
        }
    }

    async fn ask(
        &self,
        app: &AppSecret,
        code: &str,
        incoming: &Incoming,
    ) -> Result<SessionAnswer, String> {
        let mut url = self.jscode2session.clone();
        url.query_pairs_mut()
            .append_pair("appid", &app.appid)
            .append_pair("secret", app.secret())
            .append_pair("js_code", code)
            .append_pair("grant_type", "authorization_code");
        let most = std::time::Duration::from_millis(CALL_MAX_MS);
        let timeout = incoming.deadline.left(&self.process.clock, most);
        // The URL holds the app secret: no error may carry it into a log.
        let told = |failure: Failure| failure.without_url().to_string();
        let transport = &self.process.transport;
        let request = transport.request(Method::GET, url).timeout(timeout);
        let mut answer = transport.send(request).await.map_err(told)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| told(error.into()))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err("an answer that is too large".to_owned());
            }
            bytes.extend_from_slice(&chunk);
        }
        // HTTP 200 and text/plain also for refusals: the body alone tells.
        serde_json::from_slice(&bytes).map_err(|_| format!("HTTP {} without JSON", answer.status()))
    }
}

fn unavailable() -> Problem {
    Problem::new(
        Code::WechatpayUnavailable,
        "WeChat gave no usable answer; log in again",
    )
    .retry_after(2)
    .counting(Metric::WechatpayErrors)
}

/// What WeChat's errcode means for the caller (docs/wechatpay.md, "Login").
fn refusal(errcode: i64) -> Problem {
    match errcode {
        40029 | 40163 | 40226 => Problem::new(
            Code::LoginRefused,
            "WeChat refused the code; get a fresh one from wx.login",
        ),
        45011 => Problem::new(
            Code::TooManyLogins,
            "WeChat takes 100 logins of a user a minute; use the token you have",
        )
        .retry_after(60),
        -1 => unavailable().because(format!("errcode {errcode}")),
        _ => Problem::new(Code::NotConfigured, "WeChat refused the app's credentials")
            .because(format!("jscode2session answered errcode {errcode}"))
            .counting(Metric::NotConfigured),
    }
}

fn jscode2session(base: &str, trusted_hosts: &[String]) -> Result<Url, String> {
    let mut url = Url::parse(base).map_err(|_| "is not a URL".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    if url.as_str().trim_end_matches('/') != WECHAT_API && !trusted_hosts.contains(&authority) {
        return Err(format!(
            "{authority} is neither WeChat's host nor in WECHATPAY_TRUSTED_HOSTS"
        ));
    }
    url.set_path("/sns/jscode2session");
    Ok(url)
}
