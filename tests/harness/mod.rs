//! The harness: a whole stack per test, reached by HTTP as its users reach it.
//!
//! Every stack has its own folder, ports, table and simulator; they share only the RSA keys, which
//! take a moment to make. Schedules are off: a test sweeps when it wants to. Nothing sleeps for luck;
//! [`TestStack::until`] looks until a condition holds. A stack is watched (see `watch`): when it is
//! dropped, what no test mentions is checked too.

pub mod books;
pub mod contract;
mod days;
pub mod doors;
pub mod forge;
mod payer;
pub mod process;
mod table;
pub mod tap;
pub mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use local::gateway::InvokeError;
use local::template::Function;
use local::{Options, Stack};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::BeijingDay;
use shared::process::Process;
use shared::telemetry::Log;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use contract::Exchange;
pub use forge::{notice_body, payment_content, refund_content};
pub use table::OPERATOR;
use tap::Tap;
use watch::Watch;

/// How long a condition is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The payer that most tests are about.
pub const ALICE: &str = "oAliceCANARY0000000000000000";
/// Another payer.
pub const BOB: &str = "oBobCANARY000000000000000000";

/// Keys made once for all tests of the process.
static KEYS: OnceCell<TempDir> = OnceCell::const_new();

pub async fn keys() -> PathBuf {
    let folder = KEYS
        .get_or_init(|| async {
            let folder = tempfile::tempdir().unwrap();
            let simulator =
                simulator::Simulator::start(simulator::Config::new(folder.path())).await;
            simulator.unwrap().stop().await;
            folder
        })
        .await;
    folder.path().to_owned()
}

/// The functions that the template declares, by logical id.
pub fn declared() -> BTreeMap<String, Function> {
    let text = std::fs::read_to_string("../template.yaml").unwrap();
    let given = ["Mchid", "Appid"].map(|name| (name.to_owned(), "0".to_owned()));
    let template = local::template::Template::parse(&text, &given.into());
    template.unwrap().functions
}

/// The crates of those functions to which the template gives this variable, in alphabetical order.
pub fn functions_with(variable: &str) -> Vec<String> {
    let functions = declared().into_values();
    let reading = functions.filter(|function| function.environment.contains_key(variable));
    let mut names: Vec<String> = reading.map(|function| function.binary).collect();
    names.sort();
    names
}

/// A runtime of one thread, for tests that are not one future themselves.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// An answer of the API's.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<i64>,
    pub body: Value,
}

impl Answer {
    /// The body, if the status is as expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Checks that it is a problem document of this code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], status);
        assert_eq!(self.content_type, "application/problem+json");
        self.body
    }
}

/// A stack of a test's own.
pub struct TestStack {
    pub stack: Stack,
    pub merchant: String,
    /// What the functions say to WeChat Pay, and are told.
    pub wire: Tap,
    /// What is checked when the stack is dropped.
    pub watch: Watch,
    pub http: reqwest::Client,
    /// How it was started, and will be when it is restarted.
    pub options: Options,
    folder: Arc<TempDir>,
}

impl TestStack {
    /// A stack at the usual speed of 60.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A stack with options changed.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let wire = Tap::start().await;
        let mut options = Options::new(folder.path());
        options.port = Some(0);
        options.simulator_port = Some(0);
        options.control_port = Some(0);
        options.aws_port = Some(0);
        options.schedules = false;
        options.stream = false;
        options.keys_from = Some(keys().await);
        for (name, value) in [
            ("WechatpayBaseUrl", &wire.url),
            ("WechatpayBackupUrl", &wire.url),
            ("WechatApiBaseUrl", &wire.url),
            ("WechatpayTrustedHosts", &wire.authority),
        ] {
            options.parameters.insert(name.to_owned(), value.clone());
        }
        change(&mut options);
        let logged = watch::Lines::default();
        let lines = Arc::clone(&logged);
        options.log = Some(Log::to(Arc::new(move |line| {
            lines.lock().unwrap().push(line.to_owned());
        })));
        let stack = Stack::start(options.clone()).await.unwrap();
        let stack = Self::around(stack, options, wire, logged, folder);
        // Hours pass within a moment here, and WeChat Pay counts calls by seconds of real time.
        stack.control("knobs", json!({"rate_limits": false})).await;
        if !matches!(stack.options.mode, simulator::Mode::PublicKey) {
            // The first platform certificates; until then the tap leads nowhere.
            stack.sweep().await;
        }
        stack
    }

    fn around(
        stack: Stack,
        options: Options,
        wire: Tap,
        logged: watch::Lines,
        folder: Arc<TempDir>,
    ) -> Self {
        wire.lead_to(stack.simulator.base_url());
        Self {
            merchant: stack.merchant_api_key.clone(),
            watch: Watch::over(&stack, &wire, logged),
            http: Process::system().unwrap().http,
            wire,
            options,
            folder,
            stack,
        }
    }

    /// Stops the stack and starts it again from its folder, at the same addresses: what WeChat Pay
    /// was told of the webhook stays true, as it does where a service is deployed anew.
    pub async fn restarted(self) -> Self {
        let Self {
            stack,
            wire,
            watch,
            mut options,
            folder,
            ..
        } = self;
        let port = |url: &str| url.rsplit(':').next().unwrap().parse().ok();
        options.port = port(&stack.api_url);
        options.simulator_port = port(stack.simulator.base_url());
        options.control_port = port(stack.simulator.control_url());
        let logged = watch.logged.clone();
        stack.stop().await;
        drop(watch);
        let mut patience = PATIENCE;
        let stack = loop {
            match Stack::start(options.clone()).await {
                Ok(stack) => break stack,
                // The ports are free as soon as the tasks that held them are gone.
                Err(error) if patience.is_zero() => panic!("{error}"),
                Err(_) => {
                    let pause = Duration::from_millis(20);
                    tokio::time::sleep(pause).await;
                    patience = patience.saturating_sub(pause);
                }
            }
        };
        Self::around(stack, options, wire, logged, folder)
    }

    /// A payer's token.
    pub async fn login(&self, openid: &str) -> String {
        let code = self.control("codes", json!({"openid": openid})).await;
        self.watch.hide(code["code"].as_str().unwrap());
        let session = self
            .send(
                Method::POST,
                "/sessions",
                None,
                &[],
                Some(json!({"code": code["code"]})),
            )
            .await;
        let token = session.expect(200)["token"].as_str().unwrap().to_owned();
        self.watch.hide(&token);
        token
    }

    /// A request with a JSON body, if any.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.send_bytes(method, path, credential, headers, body)
            .await
    }

    /// A request with any body.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.stack.api_url))
            .timeout(PATIENCE);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        if let Some(body) = &body {
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            self.watch.sent(body);
            request = request.body(body.clone());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let content_type = answer.headers().get("content-type");
        let content_type = content_type.map_or("", |value| value.to_str().unwrap());
        let content_type = content_type.to_owned();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
        let text = answer.text().await.unwrap();
        let given = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let given = given.and_then(|(_, value)| value.strip_prefix("Bearer "));
        self.watch.answered(path, credential.or(given), &text);
        let exchange = Exchange {
            method: method.as_str(),
            path,
            body: body.as_deref().unwrap_or_default(),
            status,
            content_type: &content_type,
            retry_after,
            answer: &text,
        };
        exchange.check();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Answer {
            status,
            content_type,
            retry_after,
            body,
        }
    }

    /// A request whose path is sent as it stands; HTTP clients tidy paths up.
    pub async fn send_raw(&self, method: &str, path: &str, credential: &str) -> Answer {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let authority = self.stack.api_url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {credential}\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        self.watch.answered(path, Some(credential), body);
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
        };
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            content_type: header("content-type:").unwrap_or_default(),
            retry_after: header("retry-after:").map(|value| value.parse().unwrap()),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        };
        let exchange = Exchange {
            method,
            path,
            body: &[],
            status: answer.status,
            content_type: &answer.content_type,
            retry_after: answer.retry_after,
            answer: body,
        };
        exchange.check();
        answer
    }

    /// `GET` with a credential.
    pub async fn get(&self, credential: &str, path: &str) -> Answer {
        self.send(Method::GET, path, Some(credential), &[], None)
            .await
    }

    /// `POST` with a credential.
    pub async fn post(&self, credential: &str, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(credential), &[], Some(body))
            .await
    }

    /// `POST` with a credential and an `Idempotency-Key`.
    pub async fn post_once(&self, credential: &str, path: &str, key: &str, body: Value) -> Answer {
        self.send(
            Method::POST,
            path,
            Some(credential),
            &[("Idempotency-Key", key)],
            Some(body),
        )
        .await
    }

    /// A merchant's Native order of this total, placed.
    pub async fn native(&self, number: &str, total: i64) -> Value {
        self.post(&self.merchant, "/orders", native_order(number, total))
            .await
            .expect(201)
    }

    /// A merchant's Native order, placed, paid and known to be.
    pub async fn paid(&self, number: &str, total: i64) -> Value {
        self.native(number, total).await;
        self.pay(number).await;
        self.until_state(number, "SUCCESS").await
    }

    /// The merchant's view of an order.
    pub async fn order(&self, number: &str) -> Value {
        self.get(&self.merchant, &format!("/orders/{number}"))
            .await
            .expect(200)
    }

    /// Asks for a refund as the merchant.
    pub async fn refund(&self, number: &str, refund_number: &str, amount: i64) -> Answer {
        let body = json!({"out_refund_no": refund_number, "amount": {"refund": amount}});
        self.post(&self.merchant, &format!("/orders/{number}/refunds"), body)
            .await
    }

    /// What the payer does on the phone.
    pub async fn pay(&self, number: &str) -> Value {
        self.control(&format!("orders/{number}/pay"), json!({}))
            .await
    }

    /// Waits until the order is in this state, as queries tell it.
    pub async fn until_state(&self, number: &str, state: &str) -> Value {
        self.until(|| self.order(number), |order| order["trade_state"] == state)
            .await
    }

    /// Waits until a refund of the order is in this status, as queries tell it.
    pub async fn until_refund(&self, number: &str, refund_number: &str, status: &str) -> Value {
        self.until(
            || self.order(number),
            |order| {
                refund_of(order, refund_number).is_some_and(|refund| refund["status"] == status)
            },
        )
        .await
    }

    /// Sweeps, minutes apart, until a refund of the order is in this status.
    pub async fn sweep_until_refund(&self, number: &str, refund_number: &str, status: &str) {
        let look = async || {
            self.advance(150).await;
            self.sweep().await;
            self.order(number).await
        };
        let wanted = |order: &Value| {
            refund_of(order, refund_number).is_some_and(|refund| refund["status"] == status)
        };
        self.until(look, wanted).await;
    }

    /// Looks until what is seen is as wanted; gives what was seen.
    pub async fn until<F: Future<Output = Value>>(
        &self,
        look: impl Fn() -> F,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut seen = Value::Null;
        for _ in 0..PATIENCE.as_millis() / 40 {
            seen = look().await;
            if wanted(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("it did not come to be; last seen: {seen}");
    }

    /// A control call of the simulator's.
    #[track_caller]
    pub fn control(&self, path: &str, body: Value) -> impl Future<Output = Value> {
        let request = self
            .http
            .post(format!(
                "{}/_sim/{path}",
                self.stack.simulator.control_url()
            ))
            .timeout(PATIENCE)
            .json(&body);
        let path = path.to_owned();
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or(Value::Null)
        }
    }

    /// The rows of a control list: `ledger`, `notifications`, `requests`, `violations`.
    pub async fn seen(&self, list: &str) -> Vec<Value> {
        rows(&self.http, self.stack.simulator.control_url(), list).await
    }

    /// A fault by name; `more` is `rate` or `count`.
    pub async fn fault(&self, name: &str, more: Value) {
        let mut body = more;
        body["name"] = Value::from(name);
        self.control("faults", body).await;
    }

    /// No faults any more.
    pub async fn no_faults(&self) {
        let url = format!("{}/_sim/faults", self.stack.simulator.control_url());
        assert!(
            self.http
                .delete(url)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }

    /// Moves the business clock of the service and of WeChat Pay.
    pub async fn advance(&self, seconds: i64) {
        let url = format!("{}/_local/clock", self.stack.simulator.control_url());
        let moved = self
            .http
            .post(url)
            .json(&json!({"advance_s": seconds}))
            .send()
            .await
            .unwrap();
        assert!(moved.status().is_success());
    }

    /// Runs the sweep once. One that the table was too slow for is run again, as the schedule does.
    pub async fn sweep(&self) -> Value {
        let mut failure = None;
        for _ in 0..5 {
            match self.stack.run_scheduled("SweepFunction").await {
                Ok(swept) => return swept,
                Err(error) => failure = Some(error),
            }
        }
        panic!("no sweep came to its end: {failure:?}");
    }

    /// Sends a notice that the platform signed and sealed; `content` is what is inside.
    pub async fn notice(&self, event_type: &str, content: &Value) -> Answer {
        self.notice_sealing(event_type, content.to_string().as_bytes())
            .await
    }

    /// Sends a notice around these bytes.
    pub async fn notice_sealing(&self, event_type: &str, content: &[u8]) -> Answer {
        self.signed_notice(notice_body(
            self.apiv3_key().as_bytes(),
            event_type,
            content,
        ))
        .await
    }

    /// Sends a body with a platform signature that holds.
    pub async fn signed_notice(&self, body: Vec<u8>) -> Answer {
        let headers = self.signature_headers(&body, self.now());
        self.raw_notice(&headers, body).await
    }

    /// Sends a body with these headers to the webhook.
    pub async fn raw_notice(&self, headers: &[(String, String)], body: Vec<u8>) -> Answer {
        let envelope: Value = serde_json::from_slice(&body).unwrap_or_default();
        let sealed = envelope["resource"]["ciphertext"].as_str();
        self.watch.hide(sealed.unwrap_or_default());
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.send_bytes(
            Method::POST,
            "/wechatpay/notify",
            None,
            &headers,
            Some(body),
        )
        .await
    }

    /// Invokes a function with an event of API Gateway's, made by the test.
    pub async fn event(&self, function: &str, event: Value) -> Result<Answer, InvokeError> {
        let answer = self.stack.invoke(function, event).await?;
        let body = answer["body"].as_str().unwrap_or_default();
        self.watch.answered(function, None, body);
        let content_type = answer["headers"]["content-type"].as_str();
        Ok(Answer {
            status: u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap(),
            content_type: content_type.unwrap_or_default().to_owned(),
            retry_after: answer["headers"]["retry-after"]
                .as_str()
                .map(|value| value.parse().unwrap()),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        })
    }

    /// The wall clock's seconds, as signatures count them.
    pub fn now(&self) -> i64 {
        self.stack.clock().wall().unix_seconds()
    }

    /// Moves the business clock an hour into the next day in Beijing, and names that day: what follows
    /// belongs to it, at whatever time of a day the tests run.
    pub async fn new_day(&self) -> String {
        let now = self.stack.clock().business();
        let next = BeijingDay::of(now).ends_at().plus_seconds(60 * 60);
        self.advance(next.seconds_since(now)).await;
        self.today()
    }

    /// The day in Beijing by the business clock, as the merchant's lists name it.
    pub fn today(&self) -> String {
        shared::rfc3339::format_day(BeijingDay::of(self.stack.clock().business()))
    }

    /// The headers of a platform signature over the body at this time.
    pub fn signature_headers(&self, body: &[u8], timestamp: i64) -> Vec<(String, String)> {
        let mut message = format!("{timestamp}\n{}\n", forge::NONCE).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        self.headers_with(timestamp, self.platform_signature(&message))
    }

    /// The four headers around a signature.
    pub fn headers_with(&self, timestamp: i64, signature: String) -> Vec<(String, String)> {
        self.watch.hide(&signature);
        let serial = self.stack.simulator.merchant().public_key_id.clone();
        [
            ("wechatpay-timestamp", timestamp.to_string()),
            ("wechatpay-nonce", forge::NONCE.to_owned()),
            ("wechatpay-serial", serial),
            ("wechatpay-signature", signature),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 by the platform's key, in base64.
    pub fn platform_signature(&self, message: &[u8]) -> String {
        self.signature_by("platform_key.pem", message)
    }

    /// The same by the key in this file of the simulator's.
    pub fn signature_by(&self, file: &str, message: &[u8]) -> String {
        let pem = std::fs::read_to_string(self.simulator_file(file)).unwrap();
        // The signature does not depend on the serial number, which must have its 40 digits.
        shared::wechatpay::MerchantKey::parse(&"0".repeat(40), &pem)
            .unwrap()
            .sign(message)
    }

    /// The merchant's APIv3 key.
    pub fn apiv3_key(&self) -> String {
        self.stack.simulator.merchant().apiv3_key.clone()
    }

    /// A file of the simulator's data folder.
    pub fn simulator_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("simulator").join(name)
    }

    /// What a secret's text is now.
    pub fn secret(&self, id: &str) -> Value {
        let text = self.stack.aws.secrets().current(&local::template::arn(id));
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    /// Puts a secret's text.
    pub fn put_secret(&self, id: &str, text: &str) {
        let arn = local::template::arn(id);
        self.stack.aws.secrets().put(&arn, text.to_owned()).unwrap();
    }

    /// What the functions logged so far.
    pub fn logged(&self) -> Vec<String> {
        self.watch.logged.lock().unwrap().clone()
    }

    /// The log's lines as JSON.
    pub fn log_lines(&self) -> Vec<Value> {
        let lines = self.logged();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The refund of this number in an order's answer.
pub fn refund_of<'a>(order: &'a Value, refund_number: &str) -> Option<&'a Value> {
    order["refunds"]
        .as_array()?
        .iter()
        .find(|refund| refund["out_refund_no"] == refund_number)
}

/// A merchant's Native order.
pub fn native_order(number: &str, total: i64) -> Value {
    json!({
        "trade_type": "native", "out_trade_no": number, "description": "Coffee NOT-LOGGED",
        "amount": {"total": total},
    })
}

/// The rows of a list of the control port at this address.
pub async fn rows(http: &reqwest::Client, control_url: &str, list: &str) -> Vec<Value> {
    let asked = http.get(format!("{control_url}/_sim/{list}")).send().await;
    let answer: Value = asked.unwrap().json().await.unwrap();
    answer["items"].as_array().unwrap().clone()
}
