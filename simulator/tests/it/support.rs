//! A merchant for the tests: signs with AWS-LC, verifies and opens what it gets, and listens for
//! notices. Nothing of the simulator's own code is used, only its files and sockets.

mod inbox;
mod keys;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rsa::KeyPair;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use simulator::{Config, MerchantFile, Mode, Simulator};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use inbox::Inbox;
pub use inbox::Received;
pub use keys::{PublicKey, open, private_key, seal_field, sign};

/// Waiting longer than this for something that should happen at once is a failure.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One folder whose keys all simulators of this process share: making keys is slow.
static TEMPLATE: OnceCell<PathBuf> = OnceCell::const_new();

async fn template() -> &'static Path {
    TEMPLATE
        .get_or_init(|| async {
            let folder = tempfile::tempdir().unwrap().keep();
            let simulator = Simulator::start(Config::new(&folder)).await.unwrap();
            simulator.stop().await;
            folder
        })
        .await
}

/// Everything a test needs: a simulator, its merchant, and a place where notices arrive.
pub struct Bench {
    pub simulator: Simulator,
    pub client: Client,
    pub inbox: Inbox,
    pub folder: Arc<TempDir>,
}

impl Bench {
    /// A quiet simulator in public-key mode.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A simulator with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::within(folder, change).await
    }

    /// A simulator in a folder that may have been used before.
    pub async fn within(folder: Arc<TempDir>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(folder.path());
        config.keys_from = Some(template().await.to_path_buf());
        change(&mut config);
        let simulator = Simulator::start(config).await.unwrap();
        let client = Client::from_folder(folder.path());
        Self {
            simulator,
            client,
            inbox: Inbox::open().await,
            folder,
        }
    }

    /// The body of a JSAPI order.
    pub fn jsapi(&self, out_trade_no: &str, total: i64) -> Value {
        json!({
            "appid": self.client.file.appid,
            "mchid": self.client.file.mchid,
            "description": "一杯咖啡",
            "out_trade_no": out_trade_no,
            "notify_url": self.inbox.url,
            "amount": {"total": total, "currency": "CNY"},
            "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        })
    }

    /// The body of a Native order.
    pub fn native(&self, out_trade_no: &str, total: i64) -> Value {
        let mut body = self.jsapi(out_trade_no, total);
        body.as_object_mut().unwrap().remove("payer");
        body
    }

    /// The body of an H5 order.
    pub fn h5(&self, out_trade_no: &str, total: i64) -> Value {
        let mut body = self.native(out_trade_no, total);
        body["scene_info"] = json!({"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}});
        body
    }

    /// Places a JSAPI order and answers its `prepay_id`.
    pub async fn order(&self, out_trade_no: &str, total: i64) -> String {
        let body = self.jsapi(out_trade_no, total);
        let answer = self.client.post("/v3/pay/transactions/jsapi", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["prepay_id"].as_str().unwrap().to_owned()
    }

    /// Places and pays an order; answers the ledger row.
    pub async fn paid(&self, out_trade_no: &str, total: i64) -> Value {
        self.order(out_trade_no, total).await;
        self.control(&format!("/_sim/orders/{out_trade_no}/pay"), json!({}))
            .await
    }

    /// Asks for an order by the merchant's number.
    pub async fn query(&self, out_trade_no: &str) -> Answer {
        let mchid = &self.client.file.mchid;
        let path = format!("/v3/pay/transactions/out-trade-no/{out_trade_no}?mchid={mchid}");
        self.client.get(&path).await
    }

    /// The body of a refund.
    pub fn refund_body(&self, out_trade_no: &str, number: &str, refund: i64, total: i64) -> Value {
        json!({
            "out_trade_no": out_trade_no,
            "out_refund_no": number,
            "notify_url": self.inbox.url,
            "amount": {"refund": refund, "total": total, "currency": "CNY"},
        })
    }

    pub async fn refund(
        &self,
        out_trade_no: &str,
        number: &str,
        refund: i64,
        total: i64,
    ) -> Answer {
        let body = self.refund_body(out_trade_no, number, refund, total);
        self.client.post("/v3/refund/domestic/refunds", &body).await
    }

    /// A control call that succeeds.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.control_raw(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub async fn control_raw(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.simulator.control_url());
        let response = self
            .client
            .http
            .post(url)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }

    pub async fn seen(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.simulator.control_url());
        let response = self.client.http.get(url).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    pub async fn fault(&self, fault: Value) {
        self.control("/_sim/faults", fault).await;
    }

    pub async fn knob(&self, name: &str, value: Value) {
        self.control("/_sim/knobs", json!({name: value})).await;
    }

    /// Moves the business clock and waits until what became due has been sent.
    pub async fn advance(&self, seconds: i64) {
        self.control("/_sim/clock", json!({"advance_s": seconds, "wait": true}))
            .await;
    }

    /// The last request as the simulator saw it.
    pub async fn last_request(&self) -> Value {
        let requests = self.seen("/_sim/requests").await;
        requests["items"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    }

    /// Waits until a notice of this order satisfies a condition, and answers its row.
    pub async fn notice(&self, out_trade_no: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/_sim/notifications?out_trade_no={out_trade_no}");
        let waited = async {
            loop {
                let rows = self.seen(&path).await;
                let found = rows["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|row| holds(row))
                    .cloned();
                if let Some(row) = found {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited)
            .await
            .unwrap_or_else(|_| panic!("no notice of {out_trade_no} came to hold"))
    }
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    pub fn is_signed(&self) -> bool {
        self.headers.contains_key("wechatpay-signature")
    }

    pub fn is_unsigned(&self) -> bool {
        !self
            .headers
            .keys()
            .any(|name| name.starts_with("wechatpay-"))
    }
}

/// A request that a test may spoil before it is sent.
#[derive(Debug, Clone)]
pub struct Draft {
    pub method: String,
    pub target: String,
    pub body: Vec<u8>,
    pub signed_method: String,
    pub signed_target: String,
    pub signed_body: Vec<u8>,
    pub line_end: &'static str,
    pub last_line_end: &'static str,
    pub timestamp: String,
    pub signed_timestamp: String,
    pub nonce: String,
    pub mchid: String,
    pub serial_no: String,
    pub authorization: Option<Option<String>>,
    pub headers: Vec<(String, String)>,
    pub user_agent: bool,
}

/// A merchant's side of the API.
#[derive(Clone)]
pub struct Client {
    pub file: MerchantFile,
    pub base: String,
    pub http: reqwest::Client,
    pub key: Arc<KeyPair>,
    pub folder: PathBuf,
}

impl Client {
    /// Reads `merchant.json` and the PEM files.
    pub fn from_folder(folder: &Path) -> Self {
        let file: MerchantFile =
            serde_json::from_slice(&std::fs::read(folder.join("merchant.json")).unwrap()).unwrap();
        let key = private_key(&std::fs::read_to_string(folder.join("apiclient_key.pem")).unwrap());
        Self {
            base: file.base_url.clone(),
            file,
            http: http(),
            key: Arc::new(key),
            folder: folder.to_path_buf(),
        }
    }

    pub fn draft(&self, method: &str, target: &str, body: &[u8]) -> Draft {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            .to_string();
        Draft {
            method: method.to_owned(),
            target: target.to_owned(),
            body: body.to_vec(),
            signed_method: method.to_owned(),
            signed_target: target.to_owned(),
            signed_body: body.to_vec(),
            line_end: "\n",
            last_line_end: "\n",
            timestamp: now.clone(),
            signed_timestamp: now,
            nonce: format!("{:032X}", rand::random::<u128>()),
            mchid: self.file.mchid.clone(),
            serial_no: self.file.serial_no.clone(),
            authorization: None,
            headers: Vec::new(),
            user_agent: true,
        }
    }

    pub async fn send(&self, draft: Draft) -> Answer {
        self.try_send(draft).await.unwrap()
    }

    /// Sends a draft with a body that is not JSON.
    pub async fn send_body(&self, draft: Draft, body: Vec<u8>) -> Answer {
        self.transmit(draft, Some(body)).await.unwrap()
    }

    pub async fn try_send(&self, draft: Draft) -> Result<Answer, reqwest::Error> {
        self.transmit(draft, None).await
    }

    async fn transmit(
        &self,
        draft: Draft,
        other_body: Option<Vec<u8>>,
    ) -> Result<Answer, reqwest::Error> {
        let end = draft.line_end;
        let mut message = format!(
            "{}{end}{}{end}{}{end}{}{end}",
            draft.signed_method, draft.signed_target, draft.signed_timestamp, draft.nonce
        )
        .into_bytes();
        message.extend_from_slice(&draft.signed_body);
        message.extend_from_slice(draft.last_line_end.as_bytes());
        let signature = sign(&self.key, &message);
        let authorization = draft.authorization.unwrap_or_else(|| {
            Some(format!(
                "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{}\",signature=\"{signature}\",\
                 timestamp=\"{}\",serial_no=\"{}\"",
                draft.mchid, draft.nonce, draft.timestamp, draft.serial_no
            ))
        });
        let url = format!("{}{}", self.base, draft.target);
        let method = reqwest::Method::from_bytes(draft.method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, url)
            .header("Accept", "application/json");
        if draft.user_agent {
            request = request.header("User-Agent", "simulator-tests/1");
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if !draft.body.is_empty() {
            request = request
                .header("Content-Type", "application/json")
                .body(draft.body);
        }
        for (name, value) in draft.headers {
            request = request.header(name, value);
        }
        if let Some(body) = other_body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = response.status().as_u16();
        Ok(Answer {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send(self.draft("GET", target, b"")).await
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        self.send(self.draft("POST", target, body.to_string().as_bytes()))
            .await
    }

    /// Whether an answer is signed by the key of the file `name` and by the serial it names.
    pub fn verifies(&self, answer: &Answer, public: &PublicKey) -> bool {
        public.verifies(
            answer.header("wechatpay-timestamp"),
            answer.header("wechatpay-nonce"),
            &answer.body,
            answer.header("wechatpay-signature"),
        )
    }

    pub fn public_key(&self) -> PublicKey {
        let pem = std::fs::read(self.folder.join("pub_key.pem")).unwrap();
        PublicKey::of_pem(&pem)
    }

    pub fn platform_certificate(&self) -> PublicKey {
        PublicKey::of_certificate(
            &std::fs::read_to_string(self.folder.join("platform_cert.pem")).unwrap(),
        )
    }

    /// The five fields of `wx.requestPayment`.
    pub fn request_payment(&self, appid: &str, package: &str) -> Value {
        let (stamp, nonce) = ("1414561699", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
        let text = format!("{appid}\n{stamp}\n{nonce}\n{package}\n");
        json!({
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": sign(&self.key, text.as_bytes()),
        })
    }
}

pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(None))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// TLS that trusts one CA, or none.
pub fn tls(ca_pem: Option<&[u8]>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(pem) = ca_pem {
        roots
            .add(rustls_pki_types::CertificateDer::from_pem_slice(pem).unwrap())
            .unwrap();
    }
    rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth()
}

/// What comes of calls that the simulator counts within one second of its clock: begun when one
/// starts, and again where it ended before they did.
pub async fn within_a_second<T>(calls: impl AsyncFn() -> T) -> T {
    let now_ms = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    };
    for _ in 0..20 {
        let left_ms = 1_000 - now_ms() % 1_000;
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
        let begun_s = now_ms() / 1_000;
        let outcome = calls().await;
        if now_ms() / 1_000 == begun_s {
            return outcome;
        }
    }
    panic!("a second was too short, twenty times")
}

/// In public-key mode unless a test says otherwise.
pub fn certificate_mode(config: &mut Config) {
    config.mode = Mode::Certificate;
}
