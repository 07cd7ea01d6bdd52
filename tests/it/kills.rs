//! The real process, killed in the middle and started again: the same requests continue where they were.

mod withdrawal;

use std::path::Path;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{LOOK_EVERY, Process, order};
use crate::harness::tap::{Held, Tap};
use crate::harness::{PATIENCE, keys, rows};

#[tokio::test]
async fn killed_after_an_answer_the_code_on_the_screen_still_pays() {
    let folder = tempfile::tempdir().unwrap();

    let first = Process::start(folder.path());
    let placed = first.wish("/orders", order("killed-001")).await.unwrap();
    assert_eq!(placed.0, 201, "{}", placed.1);
    let code = placed.1["pay"]["code_url"].clone();
    first.kill();

    let second = Process::start(folder.path());
    let (status, again) = second.wish("/orders", order("killed-001")).await.unwrap();
    assert_eq!((status, &again["pay"]["code_url"]), (200, &code));
    let pay = format!("{}/_sim/orders/killed-001/pay", second.text("control_url"));
    let paid = second.post(pay, None, &[], json!({"code_url": code})).await;
    assert_eq!(paid.unwrap().0, 200);
    second.kill();

    // Whether or not the notice got through, the payment is found.
    let third = Process::start(folder.path());
    third
        .until("killed-001", |order| order["trade_state"] == "SUCCESS")
        .await;
}

/// WeChat Pay beside the process, which outlives it, and the wires between the two.
struct Outside {
    simulator: simulator::Simulator,
    /// What the process asks.
    wire: Tap,
    /// What it is told without asking.
    notices: Tap,
}

impl Outside {
    /// Starts it, and writes a template whose functions speak to it.
    async fn start(folder: &Path) -> Self {
        let mut config = simulator::Config::new(folder.join("outside"));
        config.keys_from = Some(keys().await);
        config.speed = 60.0;
        let outside = Self {
            simulator: simulator::Simulator::start(config).await.unwrap(),
            wire: Tap::start().await,
            notices: Tap::start().await,
        };
        outside.wire.lead_to(outside.simulator.base_url());
        let mut template = include_str!("../../template.yaml").to_owned();
        for (parameter, value) in [
            ("WechatpayBaseUrl", &outside.wire.url),
            ("WechatpayBackupUrl", &outside.wire.url),
            ("WechatApiBaseUrl", &outside.wire.url),
            ("WechatpayTrustedHosts", &outside.wire.authority),
            ("PublicBaseUrl", &outside.notices.url),
        ] {
            template = template.replace(&format!("!Ref {parameter}\n"), &format!("{value:?}\n"));
        }
        std::fs::write(folder.join("template.yaml"), template).unwrap();
        outside
    }
}

/// A request that a caller sends until it is answered well.
struct Wish {
    path: String,
    credential: String,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

/// A process that is killed while it does everything at once, and started again.
struct Killed {
    process: Process,
    outside: Option<Outside>,
    wishes: Vec<Wish>,
    folder: TempDir,
}

/// A payer.
const PAYER: &str = "oKilled0000000000000000000000";

/// How many orders are placed before anything is wished for.
const PREPARED: usize = 3;

/// The calls to WeChat Pay that the wishes lead to.
const CALLS: [&str; 4] = [
    "POST /v3/pay/transactions/native",
    "POST /v3/pay/transactions/jsapi",
    "POST /v3/pay/transactions/out-trade-no/to-close-001/close",
    "POST /v3/refund/domestic/refunds",
];

impl Killed {
    /// Everything that the wishes need: a payer, a paid order, one to be closed, and one to be paid
    /// in that moment.
    async fn prepare(outside: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // The same keys as everybody's, so that both sides of a wire know each other.
        let mut config = simulator::Config::new(data.join("simulator"));
        config.keys_from = Some(keys().await);
        let keyed = simulator::Simulator::start(config).await.unwrap();
        keyed.stop().await;
        let outside = match outside {
            true => Some(Outside::start(folder.path()).await),
            false => None,
        };
        let mut killed = Self {
            process: Process::start_in(&data, outside.as_ref().map(|_| folder.path())),
            outside,
            wishes: Vec::new(),
            folder,
        };
        killed.lead_notices();
        let numbers: [&str; PREPARED] = ["to-refund-001", "to-close-001", "to-pay-00001"];
        for number in numbers {
            let placed = killed.process.wish("/orders", order(number)).await;
            assert_eq!(placed.unwrap().0, 201);
        }
        killed.pay("to-refund-001", json!({})).await;
        killed.until("to-refund-001", "SUCCESS").await;
        let code = killed.control("codes", json!({"openid": PAYER})).await;
        let sessions = format!("{}/sessions", killed.process.text("api_url"));
        let session = json!({"code": code["code"]});
        let session = killed.process.post(sessions, None, &[], session).await;
        let token = session.unwrap().1["token"].as_str().unwrap().to_owned();
        let merchant = killed.process.text("merchant_api_key").to_owned();
        let wish = |path: &str, body| Wish {
            path: path.to_owned(),
            credential: merchant.clone(),
            headers: &[],
            body,
        };
        killed.wishes = vec![
            wish("/orders", order("to-place-001")),
            Wish {
                credential: token,
                headers: &[("Idempotency-Key", "the-killed-order")],
                ..wish(
                    "/orders",
                    json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]}),
                )
            },
            wish("/orders/to-close-001/close", json!({})),
            wish(
                "/orders/to-refund-001/refunds",
                json!({"out_refund_no": "killed-r1", "amount": {"refund": 500}}),
            ),
        ];
        killed
    }

    /// Asks for everything at once, kills the process when `reached` says so, starts it again, and
    /// asks for the same. Gives how many had been answered with what was asked for.
    async fn kill_when(&mut self, reached: impl AsyncFn(&Self, usize) -> bool) -> usize {
        let api_url = self.process.text("api_url").to_owned();
        let asked: Vec<_> = self
            .wishes
            .iter()
            .map(|wish| {
                let url = format!("{api_url}{}", wish.path);
                let credential = Some(wish.credential.as_str());
                let request =
                    self.process
                        .request(url, credential, wish.headers, wish.body.clone());
                tokio::spawn(request.send())
            })
            .collect();
        let answered = || asked.iter().filter(|asked| asked.is_finished()).count();
        let mut patience = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        while !reached(self, answered()).await {
            patience -= 1;
            assert!(patience > 0, "{} are answered", answered());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.process.die();
        let mut answered = 0;
        for asked in asked {
            let served = |answer: &reqwest::Response| matches!(answer.status().as_u16(), 200 | 201);
            answered += usize::from(asked.await.unwrap().is_ok_and(|answer| served(&answer)));
        }
        if let Some(outside) = &self.outside {
            outside.wire.release();
            outside.notices.release();
        }
        let started_in = self.outside.as_ref().map(|_| self.folder.path());
        self.process = Process::start_in(&self.folder.path().join("data"), started_in);
        self.lead_notices();
        answered
    }

    /// Sends every request again, as often as its answer says to; then pays what was placed, and
    /// compares the books.
    async fn ends_well(&self) {
        let wished = self.wishes.iter().map(|wish| self.granted(wish));
        let answers = join_all(wished).await;
        let [native, jsapi, _, _] = answers.as_slice() else {
            panic!("{answers:?}");
        };
        let number = jsapi["out_trade_no"].as_str().unwrap();
        let again = self.granted(&self.wishes[1]).await;
        assert_eq!(again["out_trade_no"], number, "one wish, one order");
        self.pay(
            "to-place-001",
            json!({"code_url": native["pay"]["code_url"]}),
        )
        .await;
        self.pay(number, json!({"openid": PAYER, "pay": again["pay"]}))
            .await;
        for number in ["to-place-001", number] {
            self.until(number, "SUCCESS").await;
        }
        self.until("to-close-001", "CLOSED").await;
        self.process
            .until("to-refund-001", |order| {
                order["refunds"][0]["status"] == "SUCCESS"
            })
            .await;
        let mut numbers = vec!["to-refund-001", "to-close-001", "to-place-001", number];
        // In the end WeChat Pay's word about the payment came through, too.
        if self.outside.is_some() {
            numbers.push("to-pay-00001");
            self.until("to-pay-00001", "SUCCESS").await;
            self.noticed("to-pay-00001").await;
        } else {
            let closed = self.process.wish("/orders/to-pay-00001/close", json!({}));
            assert_eq!(closed.await.unwrap().0, 200);
            numbers.push("to-pay-00001");
        }
        self.books_balance(&numbers).await;
        let mut violations = self.seen("violations").await;
        // The dead answer late.
        violations.retain(|violation| violation["kind"] != "late_answer");
        assert_eq!(violations, Vec::<Value>::new());
    }

    /// The same on both sides, and nothing else there.
    async fn books_balance(&self, numbers: &[&str]) {
        let ledger = self.seen("ledger").await;
        let mut expected = 0;
        for number in numbers {
            let ours = self.process.order(number).await;
            let rows = ledger.iter().filter(|row| row["out_trade_no"] == *number);
            let (refunds, orders): (Vec<&Value>, Vec<&Value>) =
                rows.partition(|row| row["out_refund_no"].is_string());
            let [theirs] = orders.as_slice() else {
                panic!("{number} is there {} times: {ledger:?}", orders.len());
            };
            let state = match theirs["trade_state"].as_str() {
                Some("REFUND") => "SUCCESS",
                state => state.unwrap(),
            };
            assert_eq!(ours["trade_state"], state, "{ours} {theirs}");
            assert_eq!(ours["amount"]["total"], theirs["amount"]["total"]);
            let given: Vec<&Value> = ours["refunds"].as_array().into_iter().flatten().collect();
            assert_eq!(given.len(), refunds.len(), "{ours} {refunds:?}");
            for (ours, theirs) in given.iter().zip(&refunds) {
                for field in ["out_refund_no", "status"] {
                    assert_eq!(ours[field], theirs[field]);
                }
                assert_eq!(ours["amount"]["refund"], theirs["amount"]["refund"]);
            }
            expected += 1 + given.len();
        }
        assert_eq!(ledger.len(), expected, "{ledger:?}");
        let refunds = ledger.iter().filter(|row| row["out_refund_no"].is_string());
        assert_eq!(refunds.count(), 1, "{ledger:?}");
    }

    /// Sends the request until it is answered well; whatever else comes says to send it again.
    async fn granted(&self, wish: &Wish) -> Value {
        let url = format!("{}{}", self.process.text("api_url"), wish.path);
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            let (url, credential) = (url.clone(), Some(wish.credential.as_str()));
            let asked = self
                .process
                .post(url, credential, wish.headers, wish.body.clone());
            let (status, answer) = asked.await.unwrap();
            match status {
                200 | 201 => return answer,
                202 if wish.path.ends_with("refunds") => return answer,
                202 | 503 => tokio::time::sleep(LOOK_EVERY).await,
                _ => panic!("{}: {status} {answer}", wish.path),
            }
        }
        panic!("{} is never answered well", wish.path);
    }

    /// Waits until WeChat Pay's notice of the payment was answered well.
    async fn noticed(&self, number: &str) {
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            let notices = self.seen("notifications").await;
            let attempts = notices
                .iter()
                .filter(|notice| notice["out_trade_no"] == number)
                .flat_map(|notice| notice["attempts"].as_array().unwrap());
            if attempts.clone().any(|attempt| attempt["status"] == 204) {
                // The attempt that the process died in is one more.
                assert!(attempts.count() > 1, "{notices:?}");
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("no notice of {number} was answered well");
    }

    async fn until(&self, number: &str, state: &str) {
        self.process
            .until(number, |order| order["trade_state"] == state)
            .await;
    }

    async fn pay(&self, number: &str, with: Value) {
        self.control(&format!("orders/{number}/pay"), with).await;
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/_sim/{path}", self.control_url());
        let (status, answer) = self.process.post(url, None, &[], body).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn seen(&self, list: &str) -> Vec<Value> {
        rows(&self.process.http, self.control_url(), list).await
    }

    fn control_url(&self) -> &str {
        match &self.outside {
            Some(outside) => outside.simulator.control_url(),
            None => self.process.text("control_url"),
        }
    }

    fn lead_notices(&self) {
        if let Some(outside) = &self.outside {
            outside.notices.lead_to(self.process.text("api_url"));
        }
    }
}

/// Faults of the simulator's for each operation, and how many of the requests may have been answered
/// when the process dies.
type Faults = (&'static [(&'static str, &'static str)], usize);

/// The machine goes: the backend and WeChat Pay's simulator, in one process, in the same moment.
#[tokio::test]
async fn killed_with_every_operation_under_way_the_same_requests_continue_where_they_were() {
    let faults: [Faults; 4] = [
        // Asked, and no answer yet.
        (
            &[("order", "slow"), ("close", "slow"), ("refund", "slow")],
            0,
        ),
        // Done there, and half an answer; a close has none to be halved.
        (
            &[
                ("order", "slow_body"),
                ("close", "slow"),
                ("refund", "slow_body"),
            ],
            3,
        ),
        // Done there, and never heard of.
        (
            &[
                ("order", "response_lost"),
                ("close", "response_lost"),
                ("refund", "response_lost"),
            ],
            4,
        ),
        // Asked, and never heard there.
        (
            &[
                ("order", "request_lost"),
                ("close", "request_lost"),
                ("refund", "request_lost"),
            ],
            4,
        ),
    ];
    join_all(faults.map(async |(faults, answered_most)| {
        let mut killed = Killed::prepare(false).await;
        for (operation, name) in faults {
            let body = json!({"name": name, "operation": operation});
            killed.control("faults", body).await;
        }
        let answered = killed
            .kill_when(async |killed, answered| {
                let mut struck = 0;
                for fault in killed.seen("faults").await {
                    struck += fault["struck"].as_u64().unwrap();
                }
                // A client's second attempt is struck too: all four have to be among them.
                let requests = killed.seen("requests").await;
                let met = |operation: &str, least| {
                    let rows = requests.iter().filter(|row| row["operation"] == operation);
                    rows.count() >= least
                };
                let all_met = met("order", PREPARED + 2) && met("close", 1) && met("refund", 1);
                // A lost answer leaves nothing under way: what is known of it is on record.
                struck >= 4 && all_met && (answered_most < 4 || answered == 4)
            })
            .await;
        assert!(answered <= answered_most, "{faults:?}: {answered} answered");
        killed.ends_well().await;
    }))
    .await;
}

/// The backend alone goes, and WeChat Pay lives on: each of its calls, and a notice it is being told,
/// stops at the same point of its way.
#[tokio::test]
async fn killed_before_within_and_after_each_call_the_same_requests_continue_where_they_were() {
    join_all([Held::Unsent, Held::Half, Held::Done].map(async |at| {
        let mut killed = Killed::prepare(true).await;
        let outside = killed.outside.as_ref().unwrap();
        outside.wire.hold(at, &CALLS);
        outside.notices.hold(at, &["POST /wechatpay/notify"]);
        killed.pay("to-pay-00001", json!({})).await;
        let answered = killed
            .kill_when(async |killed, _| {
                let outside = killed.outside.as_ref().unwrap();
                outside.wire.held() == CALLS.len() && outside.notices.held() == 1
            })
            .await;
        assert_eq!(answered, 0, "{at:?}");
        killed.ends_well().await;
    }))
    .await;
}
