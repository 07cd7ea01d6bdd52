//! The mini-program platform's token, and whether an app owes shipping information.

use serde_json::{Value, json};

use crate::support::Bench;

const TOKEN: &str = "/cgi-bin/stable_token";
const MANAGED: &str = "is_trade_managed";
const CONFIRMED: &str = "is_trade_management_confirmation_completed";

impl Bench {
    async fn token(&self, change: impl FnOnce(&mut Value)) -> Value {
        let file = &self.client.file;
        let mut wanted = json!({
            "grant_type": "client_credential",
            "appid": file.appid,
            "secret": file.app_secret,
        });
        change(&mut wanted);
        let answer = self.client.post(TOKEN, &wanted).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("wechatpay-signature"), "");
        answer.json()
    }

    async fn asked(&self, question: &str, token: &str) -> Value {
        let body = json!({"appid": self.client.file.appid});
        self.asked_of(question, token, &body).await
    }

    async fn asked_of(&self, question: &str, token: &str, body: &Value) -> Value {
        let target = format!("/wxa/sec/order/{question}?access_token={token}");
        let answer = self.client.post(&target, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn settings(&self, wanted: Value) {
        let path = format!("/_sim/merchants/{}", self.client.file.mchid);
        self.control(&path, wanted).await;
    }
}

fn token(granted: &Value) -> &str {
    granted["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{granted}"))
}

#[tokio::test]
async fn trade_management_is_answered_as_the_merchants_setting_says() {
    let bench = Bench::new().await;
    let granted = bench.token(|_| {}).await;
    let token = token(&granted);
    for (state, managed, confirmed) in [
        (None, false, false),
        (Some("unconfirmed"), true, false),
        (Some("confirmed"), true, true),
        (Some("free"), false, false),
    ] {
        if let Some(state) = state {
            bench.settings(json!({"trade_management": state})).await;
        }
        assert_eq!(
            bench.asked(MANAGED, token).await,
            json!({"errcode": 0, "errmsg": "ok", "is_trade_managed": managed})
        );
        assert_eq!(
            bench.asked(CONFIRMED, token).await,
            json!({"errcode": 0, "errmsg": "ok", "completed": confirmed})
        );
    }
    bench
        .settings(json!({"trade_management": "not_open"}))
        .await;
    assert_eq!(bench.asked(MANAGED, token).await["errcode"], 48001);
    let path = format!("/_sim/merchants/{}", bench.client.file.mchid);
    for wanted in [
        json!({"trade_management": "maybe"}),
        json!({"ip_listed": 1}),
    ] {
        let (status, told) = bench.control_raw(&path, wanted).await;
        assert_eq!(status, 400, "{told}");
    }
    let seen = bench.seen(&path).await;
    assert_eq!(seen["trade_management"], "not_open");
}

#[tokio::test]
async fn trade_management_needs_the_token_of_the_very_app() {
    let bench = Bench::new().await;
    let granted = bench.token(|_| {}).await;
    let own = token(&granted);
    assert_eq!(granted["expires_in"], 7_200);
    let errcode = async |token: &str| bench.asked(MANAGED, token).await["errcode"].clone();
    assert_eq!(errcode("").await, 41001);
    assert_eq!(errcode("nonsense").await, 40001);
    for (body, errcode) in [
        (json!({"appid": "wxnobody"}), 40013),
        (json!({}), 40013),
        (json!({"appid": bench.client.file.appid}), 0),
    ] {
        assert_eq!(
            bench.asked_of(MANAGED, own, &body).await["errcode"],
            errcode,
            "{body}"
        );
    }
    let replaced = bench
        .token(|wanted| wanted["force_refresh"] = json!(true))
        .await;
    assert_eq!(errcode(own).await, 40001);
    assert_eq!(errcode(token(&replaced)).await, 0);
    let soon = bench
        .token(|wanted| wanted["force_refresh"] = json!(true))
        .await;
    assert_eq!(soon["errcode"], 45011, "{soon}");
    assert_eq!(token(&bench.token(|_| {}).await), token(&replaced));
    bench.advance(7_201).await;
    assert_eq!(errcode(token(&replaced)).await, 42001);
    assert_eq!(errcode(token(&bench.token(|_| {}).await)).await, 0);
}

#[tokio::test]
async fn a_token_is_refused_by_the_first_thing_that_is_wrong() {
    type Change = fn(&mut Value);
    let bench = Bench::new().await;
    let cases: [(Change, i64); 6] = [
        (|wanted| wanted["appid"] = json!(""), 41002),
        (|wanted| wanted["secret"] = json!(null), 41004),
        (
            |wanted| wanted["grant_type"] = json!("authorization_code"),
            40002,
        ),
        (|wanted| wanted["appid"] = json!("wxnobody"), 40013),
        (|wanted| wanted["secret"] = json!("0123"), 40125),
        (|wanted| *wanted = json!([]), 47001),
    ];
    for (change, errcode) in cases {
        let answer = bench.token(change).await;
        assert_eq!(answer["errcode"], errcode, "{answer}");
        assert!(answer["errmsg"].as_str().unwrap().contains("rid: "));
    }
    bench.settings(json!({"ip_listed": false})).await;
    assert_eq!(bench.token(|_| {}).await["errcode"], 40164);
}

#[tokio::test]
async fn neither_secret_nor_token_is_shown() {
    let bench = Bench::new().await;
    let granted = bench.token(|_| {}).await;
    bench.asked(MANAGED, token(&granted)).await;
    let wanted = json!({"secret": bench.client.file.app_secret});
    bench.client.post("/cgi-bin/token", &wanted).await;
    let rows = bench.seen("/_sim/requests").await;
    let mut all = rows.to_string();
    for row in rows["items"].as_array().unwrap() {
        let path = format!("/_sim/requests/{}", row["entered"]);
        all.push_str(&bench.seen(&path).await.to_string());
    }
    assert!(
        all.contains("client_credential") && all.contains("7200"),
        "{all}"
    );
    assert!(
        !all.contains(&bench.client.file.app_secret),
        "the secret is shown"
    );
    assert!(!all.contains(token(&granted)), "the token is shown");
}
