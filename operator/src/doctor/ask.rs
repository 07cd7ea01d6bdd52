//! Asks WeChat Pay, the mini-program platform and the stack's own addresses, and hands back plain answers.
//!
//! What is asked changes nothing, with one exception: an order of one fen for a payer who does not exist, which
//! is closed again. Nothing that is sent is ever shown: an error is told by its kind, because its text may hold
//! the address, and that the AppSecret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, USER_AGENT};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use shared::domain::{Mchid, Timestamp};
use shared::wechatpay::{
    Apiv3Keys, CertificatesError, Endpoints, MerchantKey, PlatformCertificates, PlatformKeys,
    SignatureHeaders, VerifyError, authorization, verify,
};
use shared::{random, rfc3339};

use super::answers::{Answer, Asked, Opened, Proof, Silence};
use super::facts::Facts;
use super::pem::mended;
use super::subject::Subject;
use super::text::Text;
use super::texts;

/// WeChat Pay's own address.
const WECHATPAY: &str = "https://api.mch.weixin.qq.com";

/// The mini-program platform's own address.
const WECHAT_API: &str = "https://api.weixin.qq.com";

/// How long one question may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// How large an answer may be, in bytes.
const ANSWER_MAX: usize = 256 * 1024;

/// How long the order that nobody can pay could be paid, in seconds, if it could.
const ORDER_SECONDS: i64 = 300;

/// A payer who does not exist; of an openid's form.
const NOBODY: &str = "oWXPAYDOCTORnobody0000000000";

/// Where an order's notifications would go if there were any, where no address is known.
const NOWHERE: &str = "https://www.example.com/wechatpay/notify";

const AGENT: &str = concat!("wxpay-doctor/", env!("CARGO_PKG_VERSION"));

/// This machine's clock; a test's may be off.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// This machine: its connections and its clock.
#[derive(Clone)]
pub struct Machine {
    /// The HTTP client.
    pub http: reqwest::Client,
    /// This machine's clock.
    pub now: Now,
}

impl fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Machine").finish_non_exhaustive()
    }
}

/// An answer as it came.
struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    received: Timestamp,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        let alone = values.next().is_none();
        alone.then(|| first.to_str().ok()).flatten()
    }

    fn date(&self) -> Option<Timestamp> {
        let text = self.header(DATE.as_str())?;
        let seconds = httpdate::parse_http_date(text).ok()?;
        let seconds = seconds
            .duration_since(std::time::UNIX_EPOCH)
            .ok()?
            .as_secs();
        i64::try_from(seconds)
            .ok()
            .map(Timestamp::from_unix_seconds)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn proof(&self, keys: &PlatformKeys) -> Proof {
        let Ok(headers) = SignatureHeaders::parse(|name| self.header(name)) else {
            return Proof::Unsigned;
        };
        match verify(keys, &headers, &self.body, self.received) {
            Ok(_) => Proof::Holds,
            Err(VerifyError::StaleTimestamp { .. }) => Proof::Stale,
            Err(VerifyError::UnknownSerial) => Proof::UnknownKey,
            Err(VerifyError::BadSignature) => Proof::Broken,
        }
    }

    fn answer(&self, keys: &PlatformKeys) -> Answer {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Answer {
            status: self.status,
            code: text("code"),
            message: text("message"),
            date: self.date(),
            received: self.received,
            serial: self.header("wechatpay-serial").map(str::to_owned),
            proof: self.proof(keys),
            yes: None,
        }
    }

    /// The mini-program platform's: HTTP 200 for refusals too, `errcode` tells.
    fn errcode(&self, yes: &str) -> Answer {
        let body = self.json();
        let code = match (&body, body["errcode"].as_i64()) {
            (_, Some(code)) => code.to_string(),
            (Value::Object(_), None) => "0".to_owned(),
            (_, None) => format!("HTTP {}", self.status),
        };
        Answer {
            code,
            yes: body[yes].as_bool(),
            ..self.answer(&PlatformKeys::none())
        }
    }
}

impl Machine {
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Silence> {
        let request = request.header(USER_AGENT, AGENT).timeout(TIME_MAX);
        let mut answer = request.send().await.map_err(|error| silence(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| silence(&error))? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(Silence::Broken);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: answer.status().as_u16(),
            headers: std::mem::take(answer.headers_mut()),
            body,
            received: (self.now)(),
        })
    }

    /// What answers at the address of notifications, to one that is not signed by WeChat Pay. Its headers
    /// have their shape, so that the function reads its secrets to refuse it.
    pub(super) async fn notify(&self, address: &Url) -> Asked {
        let request = self
            .http
            .post(address.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Wechatpay-Timestamp", (self.now)().to_string())
            .header("Wechatpay-Nonce", random::nonce())
            .header("Wechatpay-Serial", "PUB_KEY_ID_0")
            .header("Wechatpay-Signature", "bm90IHNpZ25lZA==")
            .body("{}");
        asked(self.send(request).await, &PlatformKeys::none())
    }

    /// What the API says to a caller that it does not know.
    pub(super) async fn api(&self, base: &Url) -> Asked {
        let mut address = base.clone();
        address.set_path("/orders/wxpay-doctor");
        let request = self.http.get(address).bearer_auth("wxpay-doctor");
        asked(self.send(request).await, &PlatformKeys::none())
    }
}

fn silence(error: &reqwest::Error) -> Silence {
    if error.is_timeout() {
        Silence::Timeout
    } else if error.is_connect() {
        Silence::Unreachable
    } else {
        Silence::Broken
    }
}

fn asked(came: Result<Response, Silence>, keys: &PlatformKeys) -> Asked {
    match came {
        Ok(response) => Asked::Answered(response.answer(keys)),
        Err(silence) => Asked::Silent(silence),
    }
}

/// An address on this machine: a simulator's or a test's.
pub(super) fn is_loopback(address: &str) -> bool {
    let url = Url::parse(address).ok();
    let host = url.as_ref().and_then(Url::host_str);
    let host = host.map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    host.is_some_and(|host| {
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// WeChat Pay, as this merchant asks it.
pub(super) struct Wechatpay<'a> {
    machine: &'a Machine,
    base: String,
    mchid: Mchid,
    key: MerchantKey,
    keys: PlatformKeys,
}

impl<'a> Wechatpay<'a> {
    /// The merchant as far as it can sign.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(super) fn of(subject: &Subject, facts: &Facts, machine: &'a Machine) -> Result<Self, Text> {
        let base = subject.wechatpay_url.as_deref().unwrap_or(WECHATPAY);
        let base = base.trim_end_matches('/');
        if !is_wechatpays(base) {
            return Err(texts::HOST_NOT_TRUSTED);
        }
        let cannot = texts::CANNOT_SIGN;
        let mchid = subject.mchid.as_deref().ok_or(cannot)?;
        if !super::merchant::is_mchid(mchid) {
            return Err(cannot);
        }
        let mchid = Mchid::parse(mchid.to_owned()).map_err(|_| cannot)?;
        let serial_no = facts.serial_no(subject).ok_or(cannot)?;
        let private_key = mended(subject.private_key.as_deref().ok_or(cannot)?);
        let key = MerchantKey::parse(serial_no, &private_key).map_err(|_| cannot)?;
        Ok(Self {
            machine,
            base: base.to_owned(),
            mchid,
            key,
            keys: public_keys(subject),
        })
    }

    /// Asks for the platform certificates and opens them; those that open are held from here on.
    pub(super) async fn certificates(&mut self, apiv3_key: Option<&str>) -> (Asked, Opened) {
        let Some(apiv3_keys) = apiv3_key.and_then(|key| Apiv3Keys::parse(&[key]).ok()) else {
            return (Asked::Not(texts::CANNOT_OPEN), Opened::Nothing);
        };
        let came = self.send(Method::GET, "/v3/certificates", "").await;
        let response = match came {
            Ok(response) => response,
            Err(silence) => return (Asked::Silent(silence), Opened::Nothing),
        };
        let opened = match PlatformCertificates::open(&response.body, &apiv3_keys) {
            Ok(certificates) => {
                let keys = self.keys.clone();
                self.keys = certificates.added_to(keys, response.received);
                Opened::Yes
            }
            Err(CertificatesError::Sealed(_)) => Opened::No,
            Err(
                CertificatesError::Shape
                | CertificatesError::Empty
                | CertificatesError::NotX509
                | CertificatesError::Serial
                | CertificatesError::Key(_),
            ) => Opened::Nothing,
        };
        (Asked::Answered(response.answer(&self.keys)), opened)
    }

    /// Asks about an order that cannot exist.
    pub(super) async fn order(&self) -> Asked {
        let number = number();
        let mchid = &self.mchid;
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}");
        self.ask(Method::GET, &target, "").await
    }

    /// Places an order of one fen for a payer who does not exist, and closes it again. Where the payer is
    /// what WeChat Pay refuses, a code that is shown to nobody is asked for in its place: that needs none.
    pub(super) async fn bound(
        &self,
        appid: &str,
        notify_url: Option<&str>,
    ) -> (Asked, Option<bool>) {
        let notify_url = notify_url.unwrap_or(NOWHERE);
        let nobody = json!({"openid": NOBODY});
        let (asked, closed) = self.place("jsapi", appid, notify_url, Some(nobody)).await;
        let undecided =
            |answer: &Answer| answer.status == 400 && answer.code != "APPID_MCHID_NOT_MATCH";
        if !asked.answer().is_some_and(undecided) {
            return (asked, closed);
        }
        let (native, native_closed) = self.place("native", appid, notify_url, None).await;
        let decided =
            |answer: &Answer| answer.status == 200 || answer.code == "APPID_MCHID_NOT_MATCH";
        if native.answer().is_some_and(decided) {
            (native, native_closed)
        } else {
            (asked, closed)
        }
    }

    async fn place(
        &self,
        trade_type: &str,
        appid: &str,
        notify_url: &str,
        payer: Option<Value>,
    ) -> (Asked, Option<bool>) {
        let number = number();
        let expires = (self.machine.now)().plus_seconds(ORDER_SECONDS);
        let mut order = json!({
            "appid": appid,
            "mchid": self.mchid.to_string(),
            "description": "wxpay doctor",
            "out_trade_no": number,
            "time_expire": rfc3339::format(expires),
            "notify_url": notify_url,
            "amount": {"total": 1, "currency": "CNY"},
        });
        if let Some(payer) = payer {
            order["payer"] = payer;
        }
        let target = format!("/v3/pay/transactions/{trade_type}");
        let asked = self.ask(Method::POST, &target, &order.to_string()).await;
        if asked.answer().is_none_or(|answer| answer.status != 200) {
            return (asked, None);
        }
        let target = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        let body = json!({"mchid": self.mchid.to_string()}).to_string();
        let closed = self.ask(Method::POST, &target, &body).await;
        let closed = closed.answer().is_some_and(|answer| answer.status == 204);
        (asked, Some(closed))
    }

    async fn ask(&self, method: Method, target: &str, body: &str) -> Asked {
        asked(self.send(method, target, body).await, &self.keys)
    }

    async fn send(&self, method: Method, target: &str, body: &str) -> Result<Response, Silence> {
        let now = (self.machine.now)();
        let (key, mchid) = (&self.key, &self.mchid);
        let nonce = random::nonce();
        let signed = authorization(
            key,
            mchid,
            method.as_str(),
            target,
            now,
            &nonce,
            body.as_bytes(),
        );
        let url = format!("{}{target}", self.base);
        let mut request = self
            .machine
            .http
            .request(method.clone(), url)
            .header(AUTHORIZATION, signed)
            .header(ACCEPT, "application/json");
        if !self.keys.is_none() {
            request = request.header("Wechatpay-Serial", self.keys.newest_id());
        }
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
            request = request.body(body.to_owned());
        }
        self.machine.send(request).await
    }
}

/// The keys that are configured; none where they cannot be used, so that an answer still tells its own.
fn public_keys(subject: &Subject) -> PlatformKeys {
    let (Some(id), Some(pem)) = (&subject.public_key_id, &subject.public_key) else {
        return PlatformKeys::none();
    };
    PlatformKeys::parse(&[(id.as_str(), mended(pem).as_str())])
        .unwrap_or_else(|_| PlatformKeys::none())
}

/// Whether what the merchant's key signs may be sent there: to WeChat Pay's own hosts over TLS, and to this
/// machine.
fn is_wechatpays(base: &str) -> bool {
    is_loopback(base) || Endpoints::parse(base, base, &[]).is_ok()
}

/// A number that no order has.
fn number() -> String {
    format!("doctor{}", random::token())
}

/// The mini-program platform, as this app asks it.
pub(super) struct WechatApi<'a> {
    machine: &'a Machine,
    base: Url,
    appid: String,
    secret: String,
}

impl<'a> WechatApi<'a> {
    /// The app as far as it can ask.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(super) fn of(subject: &Subject, machine: &'a Machine) -> Result<Self, Text> {
        let base = subject.wechat_api_url.as_deref().unwrap_or(WECHAT_API);
        let own = base.trim_end_matches('/') == WECHAT_API;
        let url = Url::parse(base).map_err(|_| texts::HOST_NOT_TRUSTED)?;
        if !own && !is_loopback(base) {
            return Err(texts::HOST_NOT_TRUSTED);
        }
        let appid = subject.appid_of_secret.as_ref().or(subject.appid.as_ref());
        match (appid, &subject.app_secret) {
            (Some(appid), Some(secret)) => Ok(Self {
                machine,
                base: url,
                appid: appid.clone(),
                secret: secret.trim().to_owned(),
            }),
            _ => Err(texts::CANNOT_LOG_IN),
        }
    }

    /// Logs in with a code that cannot exist: WeChat looks at appid and secret first.
    pub(super) async fn login(&self) -> Asked {
        let mut url = self.address("/sns/jscode2session");
        url.query_pairs_mut()
            .append_pair("appid", &self.appid)
            .append_pair("secret", &self.secret)
            .append_pair("js_code", &random::nonce())
            .append_pair("grant_type", "authorization_code");
        let came = self.machine.send(self.machine.http.get(url)).await;
        errcode(&came, "")
    }

    /// Asks whether the app owes shipping information, and if so whether its administrator has confirmed.
    /// The token is the one that everybody gets within its life; none is made invalid.
    pub(super) async fn trade_management(&self) -> [Asked; 3] {
        let further = || Asked::Not(texts::NOT_ASKED_FURTHER);
        let body = json!({
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
        });
        let url = self.address("/cgi-bin/stable_token");
        let came = self.post(url, &body).await;
        let token = errcode(&came, "");
        let granted = came.ok().map(|response| response.json());
        let granted = granted
            .as_ref()
            .and_then(|body| body["access_token"].as_str());
        let Some(granted) = granted else {
            return [token, further(), further()];
        };
        let managed = self
            .asks(granted, "is_trade_managed", "is_trade_managed")
            .await;
        if managed.answer().and_then(|answer| answer.yes) != Some(true) {
            return [token, managed, further()];
        }
        let call = "is_trade_management_confirmation_completed";
        let confirmed = self.asks(granted, call, "completed").await;
        [token, managed, confirmed]
    }

    async fn asks(&self, token: &str, call: &str, yes: &str) -> Asked {
        let mut url = self.address(&format!("/wxa/sec/order/{call}"));
        url.query_pairs_mut().append_pair("access_token", token);
        errcode(&self.post(url, &json!({"appid": self.appid})).await, yes)
    }

    async fn post(&self, url: Url, body: &Value) -> Result<Response, Silence> {
        let request = self.machine.http.post(url).body(body.to_string());
        let request = request.header(CONTENT_TYPE, "application/json");
        self.machine.send(request).await
    }

    fn address(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

fn errcode(came: &Result<Response, Silence>, yes: &str) -> Asked {
    match came {
        Ok(response) => Asked::Answered(response.errcode(yes)),
        Err(silence) => Asked::Silent(*silence),
    }
}
