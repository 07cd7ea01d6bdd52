//! Faults by name: listed, explained, counted, and the same for the same seed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Bench;

#[tokio::test]
async fn every_fault_is_named_and_explained_and_unknown_ones_are_refused() {
    let bench = Bench::new().await;
    let listed = bench.seen("/_sim/faults").await;
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    for name in [
        "notice_lost",
        "notice_duplicated",
        "notice_late",
        "notice_reordered",
        "notice_bad_signature",
        "notice_probe",
        "notice_unknown_serial",
        "response_probe",
        "response_unsigned",
        "response_stale",
        "response_lost",
        "request_lost",
        "server_error",
        "server_error_applied",
        "html_error",
        "rate_limited",
        "rate_limited_applied",
        "slow",
        "refund_not_found",
        "refund_not_enough",
        "close_user_paying",
        "unknown_fields",
        "bill_late",
        "bill_bad_hash",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let items = listed["items"].as_array().unwrap();
    assert!(
        items
            .iter()
            .all(|item| item["what"].as_str().unwrap().len() > 10)
    );
    let (status, answer) = bench
        .control_raw("/_sim/faults", json!({"name": "nonsense"}))
        .await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().contains("nonsense"));
    let (status, _) = bench
        .control_raw("/_sim/faults", json!({"name": "slow", "rate": 2.0}))
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_counted_fault_ends_and_delete_clears_all() {
    let bench = Bench::new().await;
    bench.order("ORDER-count", 1).await;
    bench
        .fault(json!({"name": "server_error", "count": 2}))
        .await;
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(bench.query("ORDER-count").await.status);
        }
        statuses
    };
    assert_eq!(statuses(3).await, [500, 500, 200]);
    bench
        .fault(json!({"name": "server_error", "out_trade_no": "ORDER-other"}))
        .await;
    assert_eq!(statuses(1).await, [200]);
    bench.fault(json!({"name": "rate_limited"})).await;
    assert_eq!(statuses(2).await, [429, 429]);
    let url = format!("{}/_sim/faults", bench.simulator.control_url());
    bench.client.http.delete(url).send().await.unwrap();
    assert_eq!(statuses(1).await, [200]);
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_faults() {
    let run = async |seed: u64| {
        let bench = Bench::with(|config| config.seed = seed).await;
        bench.order("ORDER-seed", 1).await;
        bench
            .fault(json!({"name": "server_error", "rate": 0.5}))
            .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(bench.query("ORDER-seed").await.status);
        }
        statuses
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    assert!(first.contains(&200) && first.contains(&500));
}

#[tokio::test]
async fn hostility_zero_is_kind_and_one_is_cruel() {
    let cruel = Bench::with(|config| {
        config.hostility = 1.0;
        config.speed = 1000.0;
    })
    .await;
    let mut odd = 0;
    for index in 0..60 {
        let body = cruel.native(&format!("ORDER-cruel-{index}"), 1).to_string();
        let path = "/v3/pay/transactions/native";
        let draft = cruel.client.draft("POST", path, body.as_bytes());
        // Six seconds of a slow answer are more than this test waits for.
        let sent = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            cruel.client.try_send(draft),
        );
        odd += match sent.await {
            Ok(Ok(answer)) => usize::from(
                answer.status != 200 || !cruel.client.verifies(&answer, &cruel.client.public_key()),
            ),
            Ok(Err(_)) | Err(_) => 1,
        };
    }
    assert!((5..55).contains(&odd), "{odd} of 60 went wrong");
    let struck: Vec<Value> = cruel.seen("/_sim/faults").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["struck"].as_u64().unwrap() > 0)
        .cloned()
        .collect();
    assert!(struck.len() > 3);
}

#[tokio::test]
async fn hostile_answers_are_what_they_say() {
    let bench = Bench::new().await;
    bench.order("ORDER-hostile", 1).await;
    let public = bench.client.public_key();
    let strike = async |name: &str| {
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.query("ORDER-hostile").await
    };
    let unknown = strike("unknown_fields").await;
    assert!(unknown.json()["new_member"].is_object());
    assert!(bench.client.verifies(&unknown, &public));
    assert_eq!(
        strike("unknown_state").await.json()["trade_state"],
        "REVIEWING"
    );
    let wrong = strike("response_wrong_amount").await;
    assert_eq!(wrong.json()["amount"]["total"], 2);
    assert!(bench.client.verifies(&wrong, &public));
    assert!(strike("response_oversized").await.body.len() > 10_000_000);
    bench
        .fault(json!({"name": "response_truncated", "count": 1}))
        .await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-hostile?mchid={mchid}");
    let cut = bench
        .client
        .try_send(bench.client.draft("GET", &target, b""))
        .await;
    assert!(cut.is_err());
    let close = "/v3/pay/transactions/out-trade-no/ORDER-hostile/close";
    bench
        .fault(json!({"name": "close_user_paying", "count": 1}))
        .await;
    let paying = bench.client.post(close, &json!({"mchid": mchid})).await;
    assert_eq!((paying.status, paying.code().as_str()), (202, "USERPAYING"));
    assert_eq!(
        bench.query("ORDER-hostile").await.json()["trade_state"],
        "NOTPAY"
    );
    bench.fault(json!({"name": "prepay_odd", "count": 1})).await;
    let odd = bench
        .client
        .post("/v3/pay/transactions/jsapi", &bench.jsapi("ORDER-odd", 1))
        .await;
    assert!(odd.json()["prepay_id"].as_str().unwrap().contains('\n'));
    bench
        .fault(json!({"name": "request_late", "count": 1}))
        .await;
    let body = bench.jsapi("ORDER-late", 1).to_string();
    let path = "/v3/pay/transactions/jsapi";
    let sent = bench
        .client
        .try_send(bench.client.draft("POST", path, body.as_bytes()))
        .await;
    assert!(sent.is_err());
    assert_eq!(bench.query("ORDER-late").await.status, 404, "not yet");
    let applied = async {
        while bench.query("ORDER-late").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, applied)
        .await
        .unwrap();
}

#[tokio::test]
async fn accepting_a_forged_notice_is_a_violation() {
    for name in [
        "notice_bad_signature",
        "notice_unknown_serial",
        "notice_stale",
        "notice_unopenable",
    ] {
        let bench = Bench::with(|config| config.speed = 1000.0).await;
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.paid("ORDER-forged", 1).await;
        let row = bench
            .notice("ORDER-forged", |row| row["state"] == "delivered")
            .await;
        assert_eq!(
            row["attempts"].as_array().unwrap().len(),
            2,
            "then it comes properly"
        );
        let violations = bench.seen("/_sim/violations").await;
        assert_eq!(violations["items"].as_array().unwrap().len(), 1, "{name}");
        let first = &bench.inbox.received()[0];
        let genuine = first.verified_by(&bench.client.public_key());
        assert_eq!(genuine, name != "notice_bad_signature", "{name}");
    }
}

/// The statuses that each of these orders' placings came to, four each, in the order given.
async fn placed(seed: u64, numbers: &[&str]) -> BTreeMap<String, Vec<u16>> {
    let bench = Bench::with(|config| config.seed = seed).await;
    bench
        .fault(json!({"name": "server_error", "rate": 0.5}))
        .await;
    let mut statuses: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for number in numbers {
        let body = bench.native(number, 1);
        let answer = bench
            .client
            .post("/v3/pay/transactions/native", &body)
            .await;
        let of_number = statuses.entry((*number).to_owned()).or_default();
        of_number.push(answer.status);
    }
    statuses
}

#[tokio::test]
async fn what_happens_to_an_order_does_not_depend_on_what_others_do_meanwhile() {
    let numbers = [
        "DICE-one",
        "DICE-two",
        "DICE-three",
        "DICE-four",
        "DICE-five",
    ];
    let in_turn: Vec<&str> = numbers.iter().flat_map(|number| [*number; 4]).collect();
    let backwards: Vec<&str> = in_turn.iter().rev().copied().collect();
    let interleaved = numbers.repeat(4);
    let first = placed(7, &in_turn).await;
    assert_eq!(first, placed(7, &backwards).await);
    assert_eq!(first, placed(7, &interleaved).await);
    assert_eq!(
        placed(7, &["DICE-two"]).await["DICE-two"],
        first["DICE-two"][..1]
    );
    let all: Vec<u16> = first.into_values().flatten().collect();
    assert!(all.contains(&200) && all.contains(&500), "{all:?}");
}

#[tokio::test]
async fn numbers_made_up_anew_in_every_run_change_no_decision() {
    // The same day in both runs, whatever the time: noon, ten days from now.
    let day = 86_400;
    let noon = (time::OffsetDateTime::now_utc().unix_timestamp() / day + 10) * day + 4 * 3_600;
    let run = async || {
        let bench = Bench::with(|config| config.seed = 7).await;
        let ahead = noon - time::OffsetDateTime::now_utc().unix_timestamp();
        bench.advance(ahead).await;
        let paid = bench.paid("DICE-id", 2).await;
        let bill_day = paid["success_time"].as_str().unwrap()[..10].to_owned();
        let refund = bench.refund("DICE-id", "R-DICE", 1, 2).await.json();
        bench.advance(day).await;
        let apply = format!("/v3/bill/tradebill?bill_date={bill_day}");
        let bill = bench.client.get(&apply).await.json();
        let download = bill["download_url"].as_str().unwrap().to_owned();
        let (_, download) = download.split_once("/v3/").unwrap();
        let mchid = &bench.client.file.mchid;
        let id = paid["transaction_id"].as_str().unwrap();
        let refund_id = refund["refund_id"].as_str().unwrap();
        let body = json!({"out_refund_no": "R-DICE", "type": "MERCHANT_BANK_CARD"});
        bench
            .fault(json!({"name": "server_error", "rate": 0.5}))
            .await;
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let by_id = format!("/v3/pay/transactions/id/{id}?mchid={mchid}");
            statuses.push(bench.client.get(&by_id).await.status);
            statuses.push(bench.client.get(&format!("/v3/{download}")).await.status);
            let abnormal = format!("/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund");
            statuses.push(bench.client.post(&abnormal, &body).await.status);
        }
        statuses
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(first.contains(&200) && first.contains(&500), "{first:?}");
}

#[tokio::test]
async fn a_fault_of_one_order_strikes_all_that_is_asked_about_it() {
    let bench = Bench::new().await;
    bench.knob("rate_limits", json!(false)).await;
    let paid = bench.paid("ORDER-its", 10).await;
    let other = bench.paid("ORDER-others", 10).await;
    bench
        .fault(json!({"name": "refund_abnormal", "out_trade_no": "ORDER-its"}))
        .await;
    let mchid = bench.client.file.mchid.clone();
    let refund_body = |row: &Value, number: &str| {
        json!({
            "transaction_id": row["transaction_id"], "out_refund_no": number,
            "amount": {"refund": 1, "total": 10, "currency": "CNY"},
        })
    };
    let refunds = "/v3/refund/domestic/refunds";
    let refund = bench
        .client
        .post(refunds, &refund_body(&paid, "R-its"))
        .await;
    let other_refund = bench
        .client
        .post(refunds, &refund_body(&other, "R-others"))
        .await;
    assert_eq!((refund.status, other_refund.status), (200, 200));
    bench.advance(5).await;
    bench
        .fault(json!({"name": "server_error", "out_trade_no": "ORDER-its"}))
        .await;
    let statuses = async |row: &Value, number: &str, refund: &str, refund_id: &Value| {
        let id = row["transaction_id"].as_str().unwrap();
        let refund_id = refund_id.as_str().unwrap();
        let by_id = format!("/v3/pay/transactions/id/{id}?mchid={mchid}");
        let abnormal = format!("{refunds}/{refund_id}/apply-abnormal-refund");
        let card = json!({"out_refund_no": refund, "type": "MERCHANT_BANK_CARD"});
        let client = &bench.client;
        [
            bench.query(number).await.status,
            client.get(&by_id).await.status,
            client.post(refunds, &refund_body(row, refund)).await.status,
            client.get(&format!("{refunds}/{refund}")).await.status,
            client.post(&abnormal, &card).await.status,
        ]
    };
    let its = statuses(&paid, "ORDER-its", "R-its", &refund.json()["refund_id"]).await;
    assert_eq!(its, [500; 5]);
    let row = bench.last_request().await;
    assert_eq!(row["out_trade_no"], "ORDER-its");
    let refund_id = &other_refund.json()["refund_id"];
    let others = statuses(&other, "ORDER-others", "R-others", refund_id).await;
    assert_eq!(others, [200, 200, 200, 200, 400], "it ended well");
}

#[tokio::test]
async fn a_slow_request_is_applied_and_noted_though_nobody_waits_for_its_answer() {
    let bench = Bench::new().await;
    bench.fault(json!({"name": "slow", "count": 1})).await;
    let body = bench.native("ORDER-slow", 1).to_string();
    let path = "/v3/pay/transactions/native";
    let draft = bench.client.draft("POST", path, body.as_bytes());
    let row = tokio::select! {
        _ = bench.client.try_send(draft) => panic!("it is slow"),
        row = noted(&bench, "ORDER-slow") => row,
    };
    assert_eq!(
        (&row["out_trade_no"], &row["status"], &row["fault"]),
        (&json!("ORDER-slow"), &json!(200), &json!("slow"))
    );
    assert_eq!(bench.query("ORDER-slow").await.status, 200);
}

#[tokio::test]
async fn a_counted_fault_waits_for_an_answer_that_it_can_spoil() {
    let bench = Bench::new().await;
    bench.order("ORDER-bite", 5).await;
    bench.order("ORDER-bite-close", 5).await;
    let mchid = bench.client.file.mchid.clone();
    for (name, operation) in [
        ("unknown_fields", "query"),
        ("unknown_state", "query"),
        ("response_wrong_amount", "query"),
        ("response_oversized", "query"),
        ("response_mixed_up", "query"),
        ("response_other_merchant", "query"),
        ("response_altered", "close"),
        ("response_compressed", "close"),
        ("response_truncated", "close"),
        ("response_bomb", "close"),
        ("response_wrong_amount", "order"),
        ("prepay_odd", "order"),
        ("prepay_long", "order"),
        ("prepay_empty", "order"),
    ] {
        bench
            .fault(json!({"name": name, "operation": operation, "count": 1}))
            .await;
        let status = match operation {
            "query" => bench.query("ORDER-bite-none").await.status,
            "close" => {
                let path = "/v3/pay/transactions/out-trade-no/ORDER-bite-close/close";
                bench
                    .client
                    .post(path, &json!({"mchid": mchid}))
                    .await
                    .status
            }
            _ => {
                let body = bench.native(&format!("ORDER-bite-{name}"), 5);
                let path = "/v3/pay/transactions/native";
                bench.client.post(path, &body).await.status
            }
        };
        assert!(matches!(status, 200 | 204 | 404), "{name}: {status}");
        assert_eq!(struck(&bench, name).await, (0, 1), "{name} of {operation}");
        let url = format!("{}/_sim/faults", bench.simulator.control_url());
        bench.client.http.delete(url).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_notice_that_is_not_sent_uses_up_no_fault() {
    let bench = Bench::new().await;
    bench.paid("ORDER-unsent", 5).await;
    let names = [
        "notice_duplicated",
        "notice_late",
        "notice_reordered",
        "notice_unknown_fields",
        "notice_unknown_event",
        "notice_foreign_order",
        "notice_lost",
    ];
    for name in names {
        bench.fault(json!({"name": name, "count": 1})).await;
    }
    let mut body = bench.refund_body("ORDER-unsent", "R-unsent", 5, 5);
    body.as_object_mut().unwrap().remove("notify_url");
    let path = "/v3/refund/domestic/refunds";
    assert_eq!(bench.client.post(path, &body).await.status, 200);
    bench.advance(5).await;
    bench
        .notice("ORDER-unsent", |row| row["state"] == "not_sent")
        .await;
    for name in names {
        assert_eq!(struck(&bench, name).await, (0, 1), "{name}");
    }
}

/// How often a fault struck, and how often it is switched on.
async fn struck(bench: &Bench, name: &str) -> (u64, usize) {
    let listed = bench.seen("/_sim/faults").await;
    let items = listed["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["name"] == name);
    let item = item.unwrap_or_else(|| panic!("there is no {name}"));
    (
        item["struck"].as_u64().unwrap(),
        item["active"].as_array().unwrap().len(),
    )
}

#[tokio::test]
async fn a_misspelt_member_of_a_fault_is_refused() {
    let bench = Bench::new().await;
    let (status, told) = bench
        .control_raw("/_sim/faults", json!({"name": "slow", "cuont": 3}))
        .await;
    assert_eq!(status, 400);
    assert!(
        told["message"].as_str().unwrap().contains("cuont"),
        "{told}"
    );
    assert_eq!(struck(&bench, "slow").await, (0, 0));
}

#[tokio::test]
async fn of_two_faults_of_one_name_the_second_strikes_where_the_first_does_not() {
    let bench = Bench::new().await;
    bench.order("ORDER-second", 1).await;
    for fault in [
        json!({"name": "server_error", "rate": 0.0}),
        json!({"name": "server_error", "count": 2}),
        json!({"name": "server_error", "out_trade_no": "ORDER-second", "count": 1}),
    ] {
        bench.fault(fault).await;
    }
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(bench.query("ORDER-second").await.status);
    }
    assert_eq!(statuses, [500, 500, 500, 200]);
}

#[tokio::test]
async fn the_largest_amount_there_is_can_be_stated_wrongly() {
    let bench = Bench::new().await;
    bench.order("ORDER-most", i64::MAX).await;
    bench
        .fault(json!({"name": "response_wrong_amount", "count": 1}))
        .await;
    let wrong = bench.query("ORDER-most").await;
    assert_eq!(wrong.json()["amount"]["total"], i64::MAX - 1);
}

#[tokio::test]
async fn what_happens_to_a_login_depends_on_who_logs_in() {
    let run = async |users: &[&str]| {
        let bench = Bench::with(|config| config.seed = 7).await;
        bench
            .fault(json!({"name": "login_busy", "rate": 0.5}))
            .await;
        let file = &bench.client.file;
        let mut busy: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for user in users {
            let code = bench.control("/_sim/codes", json!({"openid": user})).await;
            let target = format!(
                "/sns/jscode2session?appid={}&secret={}&js_code={}&grant_type=authorization_code",
                file.appid,
                file.app_secret,
                code["code"].as_str().unwrap()
            );
            let answer = bench.client.get(&target).await.json();
            let of_user = busy.entry((*user).to_owned()).or_default();
            of_user.push(answer["errcode"] == -1);
        }
        busy
    };
    let users = ["oAlice", "oBob", "oCarol", "oDave"];
    let in_turn: Vec<&str> = users.iter().flat_map(|user| [*user; 4]).collect();
    let backwards: Vec<&str> = in_turn.iter().rev().copied().collect();
    let first = run(&in_turn).await;
    assert_eq!(first, run(&backwards).await);
    assert_eq!(first, run(&users.repeat(4)).await);
    let all: Vec<bool> = first.into_values().flatten().collect();
    assert!(all.contains(&true) && all.contains(&false), "{all:?}");
}

#[tokio::test]
async fn a_late_request_is_not_applied_once_the_simulator_has_stopped() {
    let bench = Bench::new().await;
    bench.fault(json!({"name": "request_late"})).await;
    let body = bench.native("ORDER-after", 1).to_string();
    let path = "/v3/pay/transactions/native";
    let sent = bench
        .client
        .try_send(bench.client.draft("POST", path, body.as_bytes()));
    sent.await.unwrap_err();
    let folder = bench.folder.clone();
    bench.simulator.stop().await;
    // The two seconds after which it would have been, and one for a busy machine.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let bench = Bench::within(folder, |_| {}).await;
    assert_eq!(bench.query("ORDER-after").await.status, 404);
}

#[tokio::test]
async fn one_fault_hides_no_other_and_uses_up_none_after_it() {
    let bench = Bench::new().await;
    bench.order("ORDER-hidden", 5).await;
    let mchid = &bench.client.file.mchid;
    let path = "/v3/pay/transactions/out-trade-no/ORDER-hidden/close";
    for (name, after, status) in [
        ("close_user_paying", "server_error_applied", 202),
        ("close_user_paying", "response_lost", 202),
        ("accepted", "response_lost", 202),
    ] {
        for name in [name, after] {
            bench.fault(json!({"name": name, "count": 1})).await;
        }
        let body = json!({"mchid": mchid}).to_string();
        let draft = bench.client.draft("POST", path, body.as_bytes());
        let answer = bench.client.try_send(draft).await.unwrap();
        assert_eq!(answer.status, status, "{name}, {after}");
        assert_eq!(struck(&bench, after).await, (0, 1), "{after}");
        let url = format!("{}/_sim/faults", bench.simulator.control_url());
        bench.client.http.delete(url).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_of_refunds_waits_for_a_refund_that_would_be_accepted() {
    let bench = Bench::new().await;
    bench.knob("rate_limits", json!(false)).await;
    bench.paid("ORDER-refusal", 5).await;
    bench.order("ORDER-refusal-unpaid", 5).await;
    let accepted = bench.refund("ORDER-refusal", "R-refusal", 1, 5).await;
    assert_eq!(accepted.status, 200);
    for name in ["refund_not_found", "refund_not_enough"] {
        bench.fault(json!({"name": name, "count": 1})).await;
    }
    let repeat = bench.refund("ORDER-refusal", "R-refusal", 1, 5).await;
    assert_eq!(repeat.status, 200);
    for number in ["ORDER-refusal-none", "ORDER-refusal-unpaid"] {
        let refused = bench.refund(number, "R-none", 1, 5).await;
        assert_eq!(refused.status, 404, "{number}");
    }
    let path = "/v3/refund/domestic/refunds/R-none";
    assert_eq!(bench.client.get(path).await.status, 404);
    for name in ["refund_not_found", "refund_not_enough"] {
        assert_eq!(struck(&bench, name).await, (0, 1), "{name}");
    }
    let path = "/v3/refund/domestic/refunds/R-refusal";
    assert_eq!(bench.client.get(path).await.status, 404);
    assert_eq!(struck(&bench, "refund_not_found").await, (1, 0));
    bench.advance(60).await;
    let poor = bench.refund("ORDER-refusal", "R-poor", 1, 5).await;
    assert_eq!((poor.status, poor.code().as_str()), (403, "NOT_ENOUGH"));
}

/// The row of the first request about an order, as soon as there is one.
async fn noted(bench: &Bench, out_trade_no: &str) -> Value {
    let waited = async {
        loop {
            let rows = bench.seen("/_sim/requests").await;
            let rows = rows["items"].as_array().unwrap();
            let row = rows.iter().find(|row| row["out_trade_no"] == out_trade_no);
            if let Some(row) = row {
                return row.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, waited)
        .await
        .unwrap_or_else(|_| panic!("nothing was asked about {out_trade_no}"))
}

#[tokio::test]
async fn a_slow_request_is_noted_as_slow_however_it_ends() {
    let bench = Bench::new().await;
    let path = "/v3/pay/transactions/native";
    for (number, signed, lost, status) in [
        ("ORDER-slow-forged", "other", false, 401),
        ("ORDER-slow-lost", "", true, 0),
    ] {
        bench.fault(json!({"name": "slow", "count": 1})).await;
        if lost {
            bench
                .fault(json!({"name": "request_lost", "count": 1}))
                .await;
        }
        let body = bench.native(number, 1).to_string();
        let mut draft = bench.client.draft("POST", path, body.as_bytes());
        draft.signed_body.extend_from_slice(signed.as_bytes());
        let row = tokio::select! {
            _ = bench.client.try_send(draft) => panic!("it is slow"),
            row = noted(&bench, number) => row,
        };
        assert_eq!(
            (&row["status"], &row["fault"]),
            (&json!(status), &json!("slow")),
            "{row}"
        );
    }
}
