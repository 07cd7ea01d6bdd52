//! Each fault in turn, switched on once: it strikes once and shows as what its name says. A fault that
//! is added without a case here is a failure.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::support::{Answer, Bench, Client, PATIENCE, open, tls};

const NATIVE: &str = "/v3/pay/transactions/native";
const REFUNDS: &str = "/v3/refund/domestic/refunds";
/// How much slower than at WeChat Pay schedules run here: what is due in a second is due when the
/// test moves the clock by a thousand.
const SLOWNESS: i64 = 1_000;
/// What a bomb inflates to, at least.
const BOMB_BYTES: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn each_fault_strikes_once_and_shows_as_what_it_says() {
    let listed = Bench::new().await.seen("/_sim/faults").await;
    let names: Vec<String> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect();
    let outcomes: Vec<(String, bool)> = futures_util::stream::iter(names)
        .map(|name| async move {
            let case = Case::open(&name).await;
            // Apart, so that all that fail are named.
            let shown = tokio::spawn(async move { case.shows().await }).await;
            (name, shown.is_ok())
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let failed: BTreeSet<&str> = outcomes
        .iter()
        .filter(|(_, shown)| !shown)
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// A simulator to which nothing else happens.
struct Case {
    name: String,
    bench: Bench,
    mchid: String,
}

impl Case {
    async fn open(name: &str) -> Self {
        let with_tls = name.starts_with("tls_");
        let bench = Bench::with(|config| {
            config.speed = 1.0 / SLOWNESS as f64;
            config.tls_port = with_tls.then_some(0);
        })
        .await;
        Self {
            name: name.to_owned(),
            mchid: bench.client.file.mchid.clone(),
            bench,
        }
    }

    async fn shows(self) {
        match self.name.as_str() {
            name if name.starts_with("notice_") => self.notice().await,
            name if name.starts_with("response_") => self.response().await,
            name if name.starts_with("refund_") => self.refund().await,
            name if name.starts_with("bill_") => self.bill().await,
            name if name.starts_with("prepay_") => self.prepay().await,
            name if name.starts_with("tls_") => self.handshake().await,
            _ => self.request().await,
        }
        let listed = self.bench.seen("/_sim/faults").await;
        let items = listed["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["name"] == *self.name);
        let item = item.unwrap();
        assert_eq!(item["struck"], 1, "{item}");
        assert_eq!(item["active"], json!([]), "it is used up");
    }

    async fn strike(&self) {
        self.bench
            .fault(json!({"name": self.name, "count": 1}))
            .await;
    }

    /// Places an order that does not exist yet.
    async fn place(&self) -> Result<Answer, reqwest::Error> {
        let body = self.bench.native("ORDER-NEW", 5).to_string();
        let draft = self.bench.client.draft("POST", NATIVE, body.as_bytes());
        self.bench.client.try_send(draft).await
    }

    /// Whether that order was placed after all.
    async fn placed(&self) -> bool {
        match self.bench.query("ORDER-NEW").await.status {
            200 => true,
            404 => false,
            status => panic!("{status}"),
        }
    }

    fn verifies(&self, answer: &Answer) -> bool {
        let client = &self.bench.client;
        client.verifies(answer, &client.public_key())
    }

    async fn notice(&self) {
        let (bench, key) = (&self.bench, &self.bench.client.file.apiv3_key);
        let public = bench.client.public_key();
        let attempts = |row: &Value| row["attempts"].as_array().unwrap().len();
        let forgery = matches!(
            self.name.as_str(),
            "notice_bad_signature"
                | "notice_probe"
                | "notice_unknown_serial"
                | "notice_stale"
                | "notice_unopenable"
        );
        if forgery {
            bench.inbox.answer(&[401]);
        }
        self.strike().await;
        bench.paid("ORDER1", 5).await;
        let first = async |count| bench.inbox.wait(count).await.remove(0);
        match self.name.as_str() {
            "notice_lost" => {
                let row = bench.notice("ORDER1", |row| attempts(row) == 1).await;
                assert_eq!(row["attempts"][0]["twist"], "lost");
                assert_eq!(row["state"], "pending");
                assert_eq!(bench.inbox.received().len(), 0);
                bench.advance(15 * SLOWNESS).await;
                assert!(first(1).await.verified_by(&public));
            }
            "notice_lost_for_good" => {
                // The last of its 16 attempts is due a day later.
                bench.advance(25 * 3_600 * SLOWNESS).await;
                let row = bench
                    .notice("ORDER1", |row| row["state"] == "given_up")
                    .await;
                assert_eq!(attempts(&row), 16);
                assert!(
                    row["attempts"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|attempt| attempt["twist"] == "lost")
                );
                assert_eq!(bench.inbox.received().len(), 0);
                bench.paid("ORDER2", 5).await;
                let next = first(1).await;
                assert!(next.payload(key).contains("ORDER2"), "only the next one");
            }
            "notice_duplicated" => {
                bench
                    .notice("ORDER1", |row| row["state"] == "delivered")
                    .await;
                bench.advance(SLOWNESS - 10).await;
                assert_eq!(bench.inbox.received().len(), 1, "not yet");
                bench.advance(10).await;
                let notices = bench.inbox.wait(2).await;
                assert_eq!(notices[0].envelope()["id"], notices[1].envelope()["id"]);
            }
            "notice_late" => {
                bench.advance(30 * SLOWNESS - 10).await;
                assert_eq!(bench.inbox.received().len(), 0, "not yet");
                bench.advance(10).await;
                bench.inbox.wait(1).await;
            }
            "notice_reordered" => {
                bench.paid("ORDER-LATER", 5).await;
                let notices = bench.inbox.wait(2).await;
                assert!(notices[0].payload(key).contains("ORDER-LATER"));
                assert!(!notices[1].payload(key).contains("ORDER-LATER"));
            }
            "notice_unknown_fields" => {
                let notice = first(1).await;
                assert!(notice.envelope().get("new_member").is_some());
                let payload: Value = serde_json::from_str(&notice.payload(key)).unwrap();
                assert!(payload.get("new_member").is_some());
            }
            "notice_unknown_event" => {
                let notices = bench.inbox.wait(2).await;
                let types: BTreeSet<String> = notices
                    .iter()
                    .map(|notice| notice.envelope()["event_type"].to_string())
                    .collect();
                assert_eq!(types.len(), 2, "{types:?}");
                assert!(notices.iter().all(|notice| notice.verified_by(&public)));
            }
            "notice_foreign_order" => {
                let notices = bench.inbox.wait(2).await;
                let own = notices
                    .iter()
                    .filter(|notice| notice.payload(key).contains("\"ORDER1\""));
                assert_eq!(own.count(), 1);
                assert!(notices.iter().all(|notice| notice.verified_by(&public)));
            }
            _ => {
                assert!(forgery, "no case shows {}", self.name);
                let notice = first(1).await;
                let row = bench.notice("ORDER1", |row| attempts(row) == 1).await;
                let verdict = row["attempts"][0]["verdict"].as_str().unwrap();
                assert!(verdict.starts_with("rightly refused"), "{verdict}");
                assert_eq!(
                    format!("notice_{}", text(&row["attempts"][0]["twist"])),
                    self.name
                );
                let probed = notice
                    .header("wechatpay-signature")
                    .starts_with("WECHATPAY/SIGNTEST/");
                assert_eq!(probed, self.name == "notice_probe");
                let spoilt = matches!(self.name.as_str(), "notice_probe" | "notice_bad_signature");
                assert_eq!(notice.verified_by(&public), !spoilt);
                let serial = &bench.client.file.public_key_id;
                let known = notice.header("wechatpay-serial") == serial;
                assert_eq!(known, self.name != "notice_unknown_serial");
                let age_s = now_s() - notice.header("wechatpay-timestamp").parse::<i64>().unwrap();
                assert_eq!(age_s > 300, self.name == "notice_stale", "{age_s}");
                let opens = open(key, &notice.envelope()["resource"]).is_some();
                assert_eq!(opens, self.name != "notice_unopenable");
                bench.advance(15 * SLOWNESS).await;
                assert!(bench.inbox.wait(2).await[1].verified_by(&public));
            }
        }
    }

    async fn response(&self) {
        let bench = &self.bench;
        bench.order("ORDER1", 5).await;
        let right = bench.query("ORDER1").await;
        self.strike().await;
        let asked = async || bench.query("ORDER1").await;
        let target = format!(
            "/v3/pay/transactions/out-trade-no/ORDER1?mchid={}",
            self.mchid
        );
        let asked_in_vain = async || {
            let draft = bench.client.draft("GET", &target, b"");
            let error = bench.client.try_send(draft).await.unwrap_err();
            assert_eq!(bench.last_request().await["status"], 200);
            format!("{error:?}")
        };
        match self.name.as_str() {
            "response_probe" => {
                let answer = asked().await;
                assert_eq!(answer.body, right.body);
                let signature = answer.header("wechatpay-signature");
                assert!(signature.starts_with("WECHATPAY/SIGNTEST/"));
            }
            "response_unsigned" => assert!(asked().await.is_unsigned()),
            "response_bad_signature" => {
                let path = "/v3/pay/transactions/out-trade-no/ORDER1/close";
                let body = json!({"mchid": self.mchid});
                let answer = bench.client.post(path, &body).await;
                assert_eq!((answer.status, answer.body.len()), (204, 0));
                assert_eq!(answer.header("wechatpay-signature").len(), 344);
                assert!(!self.verifies(&answer));
                assert!(self.verifies(&bench.client.post(path, &body).await));
            }
            "response_stale" => {
                let answer = asked().await;
                let signed_s: i64 = answer.header("wechatpay-timestamp").parse().unwrap();
                assert!(now_s() - signed_s > 300);
                assert!(self.verifies(&answer), "only its date is wrong");
            }
            "response_unknown_serial" => {
                let serial = &bench.client.file.public_key_id;
                assert_ne!(asked().await.header("wechatpay-serial"), serial);
            }
            "response_altered" => {
                let answer = asked().await;
                assert_ne!(answer.body, right.body);
                assert_eq!(answer.body.len(), right.body.len());
                assert!(!self.verifies(&answer));
            }
            "response_mixed_up" | "response_other_merchant" | "response_wrong_amount" => {
                let answer = asked().await;
                assert!(self.verifies(&answer));
                let (mut said, mut truth) = (answer.json(), right.json());
                let member = match self.name.as_str() {
                    "response_mixed_up" => "/out_trade_no",
                    "response_other_merchant" => "/mchid",
                    _ => "/amount/total",
                };
                let wrong = said.pointer_mut(member).unwrap().take();
                let right = truth.pointer_mut(member).unwrap().take();
                assert_ne!(wrong, right);
                if self.name == "response_wrong_amount" {
                    assert_eq!((wrong, right), (json!(6), json!(5)));
                }
                assert_eq!(said, truth, "the rest is as it was");
            }
            "response_compressed" => {
                let answer = asked().await;
                assert_eq!(answer.header("content-encoding"), "deflate");
                let mut text = Vec::new();
                flate2::read::ZlibDecoder::new(&answer.body[..])
                    .read_to_end(&mut text)
                    .unwrap();
                assert_eq!(text, right.body);
            }
            "response_bomb" => {
                let answer = asked().await;
                assert_eq!(answer.header("content-encoding"), "gzip");
                assert!(answer.body.len() < 1024 * 1024, "{}", answer.body.len());
                assert!(inflated(&answer.body).starts_with(&right.body));
            }
            "response_truncated" => {
                asked_in_vain().await;
            }
            "response_oversized" => assert!(asked().await.body.len() > 10 * 1024 * 1024),
            "response_endless_headers" => {
                let why = asked_in_vain().await;
                assert!(why.contains("TooLarge"), "{why}");
            }
            "response_html" => {
                let answer = self.place().await.unwrap();
                let kind = answer.header("content-type");
                assert_eq!((answer.status, kind), (200, "text/html"));
                assert!(answer.is_unsigned() && answer.text().contains("<html>"));
                assert!(!self.placed().await);
            }
            "response_lost" => {
                self.place().await.unwrap_err();
                assert!(self.placed().await);
            }
            other => panic!("no case shows {other}"),
        }
    }

    async fn request(&self) {
        let bench = &self.bench;
        bench.order("ORDER1", 5).await;
        self.strike().await;
        match self.name.as_str() {
            "request_lost" => {
                self.place().await.unwrap_err();
                assert!(!self.placed().await);
            }
            "request_late" => {
                self.place().await.unwrap_err();
                assert!(!self.placed().await, "not yet");
                let applied = async {
                    while !self.placed().await {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                tokio::time::timeout(PATIENCE, applied).await.unwrap();
            }
            "server_error" => self.refuses(500, "SYSTEM_ERROR", false).await,
            "server_error_applied" => self.refuses(500, "SYSTEM_ERROR", true).await,
            "rate_limited" => self.refuses(429, "FREQUENCY_LIMITED", false).await,
            "rate_limited_applied" => self.refuses(429, "FREQUENCY_LIMITED", true).await,
            "unavailable" => self.refuses(503, "SERVICE_UNAVAILABLE", false).await,
            "rate_limited_day" => {
                let answer = self.place().await.unwrap();
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (429, "FREQUENCY_LIMITED")
                );
                assert_eq!(answer.header("retry-after"), "86400");
                assert!(self.verifies(&answer));
                assert!(!self.placed().await);
            }
            "accepted" => {
                let answer = self.place().await.unwrap();
                assert_eq!((answer.status, answer.body.len()), (202, 0));
                assert!(self.placed().await);
            }
            "html_error" => {
                let answer = self.place().await.unwrap();
                let kind = answer.header("content-type");
                assert_eq!((answer.status, kind), (502, "text/html"));
                assert!(answer.text().contains("WECHATPAY2-SHA256-RSA2048"));
                assert!(!self.placed().await);
            }
            "redirected" => {
                let answer = self.place().await.unwrap();
                assert_eq!(answer.status, 302);
                let away = answer.header("location");
                assert!(away.starts_with("http://169.254."), "{away}");
                assert!(!self.placed().await);
            }
            "slow" => {
                let asked = Instant::now();
                assert_eq!(self.place().await.unwrap().status, 200);
                assert!(asked.elapsed() >= Duration::from_secs(6));
            }
            "slow_body" => {
                let asked = Instant::now();
                let answer = bench.query("ORDER-NONE").await;
                assert_eq!(answer.code(), "ORDER_NOT_EXIST");
                // Seven pieces and six pauses.
                assert!(asked.elapsed() >= Duration::from_secs(1));
            }
            "close_user_paying" => {
                let path = "/v3/pay/transactions/out-trade-no/ORDER1/close";
                let body = json!({"mchid": self.mchid});
                let answer = bench.client.post(path, &body).await;
                assert_eq!((answer.status, answer.code().as_str()), (202, "USERPAYING"));
                assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "NOTPAY");
            }
            "unknown_fields" => {
                let answer = bench.query("ORDER1").await;
                assert!(answer.json().get("new_member").is_some());
                assert!(self.verifies(&answer));
            }
            "unknown_state" => {
                let answer = bench.query("ORDER1").await;
                assert_eq!(answer.json()["trade_state"], "REVIEWING");
                assert!(self.verifies(&answer));
            }
            "login_busy" => {
                let code = bench.control("/_sim/codes", json!({})).await;
                let file = &bench.client.file;
                let target = format!(
                    "/sns/jscode2session?appid={}&secret={}&js_code={}&grant_type=authorization_code",
                    file.appid,
                    file.app_secret,
                    text(&code["code"])
                );
                assert_eq!(bench.client.get(&target).await.json()["errcode"], -1);
                assert!(bench.client.get(&target).await.json()["openid"].is_string());
            }
            "trade_management_busy" => {
                let file = &bench.client.file;
                let wanted = json!({
                    "grant_type": "client_credential",
                    "appid": file.appid,
                    "secret": file.app_secret,
                });
                let ask = async || bench.client.post("/cgi-bin/stable_token", &wanted).await;
                assert_eq!(ask().await.json()["errcode"], -1);
                assert!(ask().await.json()["access_token"].is_string());
            }
            other => panic!("no case shows {other}"),
        }
    }

    async fn refuses(&self, status: u16, code: &str, applied: bool) {
        let answer = self.place().await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        let pause = answer.header("retry-after");
        assert_eq!(pause, if status == 503 { "86400" } else { "" });
        assert_eq!(self.placed().await, applied);
    }

    async fn refund(&self) {
        let bench = &self.bench;
        bench.paid("ORDER1", 5).await;
        self.strike().await;
        let answer = bench.refund("ORDER1", "R1", 5, 5).await;
        let ends = async |status: &str| {
            assert_eq!(answer.json()["status"], "PROCESSING");
            bench.advance(5 * SLOWNESS).await;
            let path = format!("{REFUNDS}/R1");
            assert_eq!(bench.client.get(&path).await.json()["status"], status);
        };
        match self.name.as_str() {
            "refund_not_found" => {
                let said = (answer.status, answer.code());
                assert_eq!(said, (404, "RESOURCE_NOT_EXISTS".to_owned()));
            }
            "refund_not_enough" => {
                assert_eq!(
                    (answer.status, answer.code()),
                    (403, "NOT_ENOUGH".to_owned())
                );
            }
            "refund_abnormal" => ends("ABNORMAL").await,
            "refund_closed" => ends("CLOSED").await,
            other => panic!("no case shows {other}"),
        }
        if answer.status != 200 {
            assert_eq!(bench.refund("ORDER1", "R1", 5, 5).await.status, 200);
        }
    }

    async fn bill(&self) {
        let bench = &self.bench;
        let paid = bench.paid("ORDER1", 5).await;
        bench.advance(2 * 86_400).await;
        let day = &text(&paid["success_time"])[..10];
        let apply = format!("/v3/bill/tradebill?bill_date={day}");
        let file = async |applied: &Answer| {
            let url = text(&applied.json()["download_url"]).to_owned();
            let target = url.strip_prefix(&bench.client.base).unwrap().to_owned();
            bench.client.get(&target).await.body
        };
        let right = bench.client.get(&apply).await;
        let right_file = file(&right).await;
        self.strike().await;
        let answer = bench.client.get(&apply).await;
        let refused = |code: &str| {
            assert_eq!((answer.status, answer.code().as_str()), (400, code));
        };
        let right_lines: Vec<String> = lines(&right_file);
        match self.name.as_str() {
            "bill_late" => refused("STATEMENT_CREATING"),
            "bill_missing" => refused("NO_STATEMENT_EXIST"),
            "bill_bad_hash" => {
                let bytes = file(&answer).await;
                assert_eq!(bytes, right_file);
                assert_eq!(right.json()["hash_value"], hash(&bytes));
                assert_ne!(answer.json()["hash_value"], hash(&bytes));
            }
            "bill_foreign_url" => {
                let url = answer.json()["download_url"].clone();
                assert!(
                    text(&url).starts_with("https://bills.example.com/"),
                    "{url}"
                );
            }
            "bill_formula" => {
                let bytes = file(&answer).await;
                assert!(lines(&bytes)[1].contains("`=cmd"));
                assert!(!right_lines[1].contains("`=cmd"));
            }
            "bill_bad_totals" => {
                let spoilt = lines(&file(&answer).await);
                let last = spoilt.len() - 1;
                assert_eq!(spoilt[..last], right_lines[..last]);
                assert_ne!(spoilt[last], right_lines[last]);
            }
            "bill_lacks_payment" => {
                let lacking = lines(&file(&answer).await);
                assert_eq!(lacking.len(), right_lines.len() - 1);
                assert!(lacking.last().unwrap().starts_with("`0,`0.00,"));
            }
            "bill_bomb" => {
                let bytes = file(&answer).await;
                assert!(bytes.len() < 1024 * 1024, "{}", bytes.len());
                assert!(inflated(&bytes).starts_with(&right_file));
            }
            other => panic!("no case shows {other}"),
        }
        assert_eq!(bench.client.get(&apply).await.status, 200);
    }

    async fn prepay(&self) {
        self.strike().await;
        let id = self.bench.order("ORDER1", 5).await;
        match self.name.as_str() {
            "prepay_odd" => assert!(id.contains('\n')),
            "prepay_long" => assert_eq!(id.len(), 10 * 1024),
            "prepay_empty" => assert_eq!(id, ""),
            other => panic!("no case shows {other}"),
        }
        let right = self.bench.order("ORDER1", 5).await;
        assert!(right.starts_with("wx") && right.len() == 36, "{right}");
    }

    async fn handshake(&self) {
        let file = &self.bench.client.file;
        let ca = std::fs::read(&file.ca_file).unwrap();
        let secured = || Client {
            base: file.tls_url.clone().unwrap(),
            http: reqwest::Client::builder()
                .tls_backend_preconfigured(tls(Some(&ca)))
                .no_proxy()
                .build()
                .unwrap(),
            ..self.bench.client.clone()
        };
        self.strike().await;
        let client = secured();
        let refused = client.try_send(client.draft("GET", "/v3/certificates", b""));
        let why = format!("{:?}", refused.await.unwrap_err());
        let wanted = match self.name.as_str() {
            "tls_expired" => "Expired",
            "tls_wrong_host" => "NotValidForName",
            "tls_untrusted" => "BadSignature",
            other => panic!("no case shows {other}"),
        };
        assert!(why.contains(wanted), "{why}");
        assert_eq!(secured().get("/v3/certificates").await.status, 404);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn lines(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8(file.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha1::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is inside GZIP, which has to be a bomb.
fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut inflated)
        .unwrap();
    assert!(inflated.len() >= BOMB_BYTES, "{}", inflated.len());
    inflated
}

fn now_s() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}
