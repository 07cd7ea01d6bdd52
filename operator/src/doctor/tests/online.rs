//! What WeChat Pay tells: each mistake alone, asked of a simulator.

use serde_json::{Value, json};
use simulator::{Mode, Simulator};
use tempfile::TempDir;

use super::fixture::{assert_finding, config, control, http, made, names, report};
use super::web::serve;
use crate::doctor::{Asking, Language, Name, Report, Subject, Verdict, examine};

/// A simulator with the keys of [`made`], and its first merchant as the doctor sees it.
struct Bench {
    simulator: Simulator,
    subject: Subject,
    _folder: TempDir,
}

impl Bench {
    async fn start(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.keys_from = Some(made().path.clone());
        let simulator = Simulator::start(config).await.unwrap();
        let mchid = simulator.merchant().mchid.clone();
        let wanted = json!({"mode": mode.as_str()}).to_string();
        control(&simulator, &format!("merchants/{mchid}"), &wanted).await;
        let base_url = simulator.base_url().to_owned();
        Self {
            subject: Subject {
                wechatpay_url: Some(base_url.clone()),
                wechat_api_url: Some(base_url),
                notify_url: None,
                ..made().sound.clone()
            },
            simulator,
            _folder: folder,
        }
    }

    /// What the doctor says after a mistake.
    async fn told(&self, plant: impl FnOnce(&mut Subject)) -> Report {
        self.told_ahead(0, plant).await
    }

    async fn told_ahead(&self, ahead: i64, plant: impl FnOnce(&mut Subject)) -> Report {
        let mut subject = self.subject.clone();
        plant(&mut subject);
        report(&subject, ahead, true).await
    }

    /// What the merchant does on the platform.
    async fn platform(&self, wanted: Value) {
        let mchid = &self.simulator.merchant().mchid;
        control(
            &self.simulator,
            &format!("merchants/{mchid}"),
            &wanted.to_string(),
        )
        .await;
    }

    /// Searches what is said for the token that everybody gets while it lives, the doctor too.
    async fn assert_tells_no_token(&self, report: &Report) {
        let merchant = self.simulator.merchant();
        let wanted = json!({
            "grant_type": "client_credential",
            "appid": merchant.appid,
            "secret": merchant.app_secret,
        });
        let url = format!("{}/cgi-bin/stable_token", self.simulator.base_url());
        let answer = http().post(url).body(wanted.to_string()).send().await;
        let answer = answer.unwrap().bytes().await.unwrap();
        let granted: Value = serde_json::from_slice(&answer).unwrap();
        let Some(token) = granted["access_token"].as_str() else {
            assert_eq!(granted["errcode"], 40164, "{granted}");
            return;
        };
        let said = report.to_json(Language::En).to_string();
        assert!(!said.contains(token), "{said}");
    }

    /// The orders that WeChat Pay has.
    async fn orders(&self) -> Vec<Value> {
        let url = format!("{}/_sim/ledger", self.simulator.control_url());
        let ledger = http().get(url).send().await.unwrap().bytes().await.unwrap();
        let ledger: Value = serde_json::from_slice(&ledger).unwrap();
        let orders = ledger["items"].as_array().or(ledger["orders"].as_array());
        orders.cloned().unwrap_or_default()
    }
}

const ASKED: [Name; 6] = [
    Name::Clock,
    Name::Signature,
    Name::AnswerSignature,
    Name::Apiv3KeyOpens,
    Name::AppidBound,
    Name::AppLogin,
];

#[tokio::test]
async fn a_sound_set_up_is_accepted_and_leaves_no_open_order() {
    let bench = Bench::start(Mode::Both).await;
    let report = bench.told(|_| {}).await;
    assert_eq!(names(&report, Verdict::Fail), []);
    for name in ASKED {
        assert_finding(&report, name, Verdict::Ok, "", "");
    }
    assert_finding(
        &report,
        Name::PublicKeyId,
        Verdict::Ok,
        "WeChat Pay signed with it",
        "",
    );
    let orders = bench.orders().await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(orders[0]["trade_state"], "CLOSED", "{orders:?}");
}

#[tokio::test]
async fn without_leave_no_order_is_placed() {
    let bench = Bench::start(Mode::Both).await;
    let asking = Asking {
        machine: super::fixture::machine(0),
        online: true,
        place_order: false,
    };
    let report = examine(&bench.subject, &asking).await;
    assert_finding(
        &report,
        Name::AppidBound,
        Verdict::Skipped,
        "--place-order",
        ".",
    );
    assert_eq!(bench.orders().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_refused_signature_says_which_part_is_wrong() {
    let bench = Bench::start(Mode::PublicKey).await;
    let (signature, fail) = (Name::Signature, Verdict::Fail);
    let other = &made().other;
    let serial = bench
        .told(|subject| {
            subject.serial_no = other.serial_no.clone();
            subject.certificate = None;
        })
        .await;
    assert_finding(
        &serial,
        signature,
        fail,
        "401 SIGN_ERROR",
        "Use the serial number",
    );
    let key = bench
        .told(|subject| {
            subject.private_key = other.private_key.clone();
            subject.certificate = None;
        })
        .await;
    assert_finding(
        &key,
        signature,
        fail,
        "401 SIGN_ERROR",
        "Use the private key",
    );
    let mchid = bench
        .told(|subject| {
            subject.mchid = Some("1900000333".to_owned());
            subject.certificate = None;
        })
        .await;
    assert_finding(
        &mchid,
        signature,
        fail,
        "401 SIGN_ERROR",
        "number of the merchant",
    );
    // A 401 is not signed: it says nothing about the public key, the APIv3 key and the appid.
    for name in [Name::AnswerSignature, Name::AppidBound] {
        assert_finding(&key, name, Verdict::Skipped, "", "signature");
    }
}

#[tokio::test]
async fn a_merchant_without_an_apiv3_key_is_told_to_set_one() {
    let bench = Bench::start(Mode::PublicKey).await;
    bench.platform(json!({"apiv3_key": null})).await;
    let report = bench.told(|_| {}).await;
    let (name, fail) = (Name::Signature, Verdict::Fail);
    assert_finding(&report, name, fail, "APIv3", "Set the APIv3 key");
}

#[tokio::test]
async fn a_wrong_public_key_or_id_is_named_and_the_right_id_is_told() {
    let bench = Bench::start(Mode::PublicKey).await;
    let (name, fail) = (Name::AnswerSignature, Verdict::Fail);
    let right = bench.simulator.merchant().public_key_id.clone();
    let id = bench
        .told(|subject| subject.public_key_id = made().other.public_key_id.clone())
        .await;
    assert_finding(&id, name, fail, &format!("signed with {right}"), &right);
    let key = bench
        .told(|subject| subject.public_key = made().other.public_key.clone())
        .await;
    assert_finding(&key, name, fail, "does not hold", "pub_key.pem");
}

#[tokio::test]
async fn a_merchant_that_still_has_platform_certificates_is_told() {
    let bench = Bench::start(Mode::Certificate).await;
    let (name, fail) = (Name::AnswerSignature, Verdict::Fail);
    // Without the right APIv3 key the certificates cannot be had either.
    let report = bench
        .told(|subject| subject.apiv3_key = Some("CANARYapiv3key0CANARYapiv3key012".to_owned()))
        .await;
    assert_finding(
        &report,
        name,
        fail,
        "platform certificate",
        "PlatformCertificates=on",
    );
    let sound = bench.told(|_| {}).await;
    assert_finding(&sound, name, Verdict::Ok, "holds", "");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_alone() {
    let bench = Bench::start(Mode::Both).await;
    for (ahead, words) in [(400, "ahead of"), (-400, "behind")] {
        let report = bench.told_ahead(ahead, |_| {}).await;
        assert_eq!(names(&report, Verdict::Fail), [Name::Clock]);
        assert_finding(&report, Name::Clock, Verdict::Fail, words, "NTP");
        let signature = Name::Signature;
        assert_finding(&report, signature, Verdict::Skipped, "401", "clock, then");
    }
    // Near enough to be accepted, too far to be kept.
    let report = bench.told_ahead(90, |_| {}).await;
    assert_eq!(names(&report, Verdict::Fail), [Name::Clock]);
    assert_finding(&report, Name::Signature, Verdict::Ok, "belong together", "");
    let near = bench.told_ahead(5, |_| {}).await;
    assert_finding(&near, Name::Clock, Verdict::Ok, "seconds", "");
}

#[tokio::test]
async fn another_key_does_not_open_and_may_be_the_apiv2_key() {
    let bench = Bench::start(Mode::Both).await;
    let report = bench
        .told(|subject| subject.apiv3_key = Some("0123456789abcdef0123456789abcdef".to_owned()))
        .await;
    let name = Name::Apiv3KeyOpens;
    assert_finding(&report, name, Verdict::Fail, "APIv2", "APIv3密钥");
    // Whoever has the public key alone has nothing sealed to try it on.
    let bench = Bench::start(Mode::PublicKey).await;
    let report = bench.told(|_| {}).await;
    assert_finding(
        &report,
        name,
        Verdict::Skipped,
        "nothing else",
        "first notification",
    );
}

#[tokio::test]
async fn an_appid_that_is_not_bound_and_a_product_that_is_not_open_are_told() {
    let bench = Bench::start(Mode::PublicKey).await;
    let name = Name::AppidBound;
    let unbound = bench
        .told(|subject| subject.appid = Some("wx0123456789abcdef".to_owned()))
        .await;
    assert_finding(
        &unbound,
        name,
        Verdict::Fail,
        "APPID_MCHID_NOT_MATCH",
        "Bind the appid",
    );
    bench.platform(json!({"products": []})).await;
    let closed = bench.told(|_| {}).await;
    assert_finding(&closed, name, Verdict::Fail, "NO_AUTH", "产品中心");
}

#[tokio::test]
async fn an_app_secret_that_wechat_refuses_is_told() {
    let bench = Bench::start(Mode::PublicKey).await;
    let name = Name::AppLogin;
    let secret = bench
        .told(|subject| subject.app_secret = Some("CANARYsecret0000CANARYsecret0000".to_owned()))
        .await;
    assert_finding(&secret, name, Verdict::Fail, "40125", "AppSecret");
    let appid = bench
        .told(|subject| subject.appid = Some("wx0123456789abcdef".to_owned()))
        .await;
    assert_finding(&appid, name, Verdict::Fail, "40013", "AppID");
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_is_not_wechats() {
    let subject = Subject {
        wechatpay_url: Some("https://api.mch.weixin.qq.com.example.com".to_owned()),
        wechat_api_url: Some("https://api.weixin.qq.com.example.com".to_owned()),
        notify_url: None,
        ..made().sound.clone()
    };
    let report = report(&subject, 0, true).await;
    for name in ASKED {
        assert_finding(&report, name, Verdict::Skipped, "neither WeChat's own", ".");
    }
}

#[tokio::test]
async fn whoever_does_not_answer_is_told_so_and_blamed_for_nothing() {
    let subject = Subject {
        // A port that was free a moment ago.
        wechatpay_url: Some(free_address().await),
        wechat_api_url: Some(free_address().await),
        notify_url: None,
        ..made().sound.clone()
    };
    let report = report(&subject, 0, true).await;
    assert_eq!(names(&report, Verdict::Fail), []);
    for name in ASKED {
        assert_finding(&report, name, Verdict::Skipped, "no connection", "https");
    }
}

pub(super) async fn free_address() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// How the platform has the app, and what the doctor makes of it.
struct Managed {
    platform: Value,
    verdict: Verdict,
    words: [&'static str; 2],
}

#[tokio::test]
async fn trade_management_is_asked_where_the_app_secret_allows() {
    let bench = Bench::start(Mode::PublicKey).await;
    let name = Name::TradeManagement;
    let cases = [
        Managed {
            platform: json!({"trade_management": "free"}),
            verdict: Verdict::Ok,
            words: ["no shipping information", ""],
        },
        Managed {
            platform: json!({"trade_management": "confirmed"}),
            verdict: Verdict::Ok,
            words: ["48 hours", ""],
        },
        Managed {
            platform: json!({"trade_management": "unconfirmed"}),
            verdict: Verdict::Fail,
            words: ["has not confirmed", "super administrator"],
        },
        Managed {
            platform: json!({"trade_management": "not_open"}),
            verdict: Verdict::Skipped,
            words: ["48001", "发货信息管理"],
        },
        Managed {
            platform: json!({"ip_listed": false}),
            verdict: Verdict::Skipped,
            words: ["40164", "IP白名单"],
        },
    ];
    for case in cases {
        bench.platform(case.platform).await;
        let report = bench.told(|_| {}).await;
        assert_finding(&report, name, case.verdict, case.words[0], case.words[1]);
        bench.assert_tells_no_token(&report).await;
    }
    bench.platform(json!({"ip_listed": true})).await;
    let secret = bench
        .told(|subject| subject.app_secret = Some("CANARYsecret0000CANARYsecret0000".to_owned()))
        .await;
    assert_finding(&secret, name, Verdict::Skipped, "40125", "AppSecret");
    let busy = json!({"name": "trade_management_busy", "operation": "trade_managed"});
    control(&bench.simulator, "faults", &busy.to_string()).await;
    let busy = bench.told(|_| {}).await;
    assert_finding(&busy, name, Verdict::Skipped, "errcode -1", "发货信息管理");
}

#[tokio::test]
async fn a_page_in_the_place_of_a_token_is_told_as_what_came() {
    let page = (200, "<html>busy</html>");
    let subject = Subject {
        wechat_api_url: Some(serve([("/cgi-bin/stable_token", page)].into()).await),
        private_key: None,
        notify_url: None,
        ..made().sound.clone()
    };
    let report = report(&subject, 0, true).await;
    let name = Name::TradeManagement;
    assert_finding(&report, name, Verdict::Skipped, "HTTP 200", "发货信息管理");
}
