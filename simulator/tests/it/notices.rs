//! The form of notices, when they are sent again, and when none is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::Bench;

const SLOWNESS: i64 = 1_000;

#[tokio::test]
async fn notice_bytes_envelope_and_resource_have_the_order_of_real_ones() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let row = bench.paid("ORDER-27", 1).await;
    let notice = bench.inbox.wait(1).await.pop().unwrap();
    let envelope = notice.envelope();
    let text = |pointer: &str| {
        envelope
            .pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        notice.text(),
        format!(
            "{{\"id\":\"{}\",\"create_time\":\"{}\",\"resource_type\":\"encrypt-resource\",\
             \"event_type\":\"TRANSACTION.SUCCESS\",\"summary\":\"支付成功\",\
             \"resource\":{{\"original_type\":\"transaction\",\"algorithm\":\"AEAD_AES_256_GCM\",\
             \"ciphertext\":\"{}\",\"associated_data\":\"transaction\",\"nonce\":\"{}\"}}}}",
            text("/id"),
            text("/create_time"),
            text("/resource/ciphertext"),
            text("/resource/nonce")
        )
    );
    assert_eq!(text("/id").len(), 36);
    let nonce = text("/resource/nonce");
    assert_eq!(nonce.len(), 12);
    assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(notice.header("user-agent"), "Mozilla/4.0");
    assert_eq!(notice.header("content-type"), "application/json");
    assert_eq!(notice.header("accept"), "*/*");
    assert_eq!(notice.header("pragma"), "no-cache");
    assert_eq!(
        notice.payload(&file.apiv3_key),
        format!(
            "{{\"appid\":\"{}\",\"mchid\":\"{}\",\"out_trade_no\":\"ORDER-27\",\
             \"transaction_id\":\"{}\",\"trade_type\":\"JSAPI\",\"trade_state\":\"SUCCESS\",\
             \"trade_state_desc\":\"支付成功\",\"bank_type\":\"OTHERS\",\"attach\":\"\",\
             \"success_time\":\"{}\",\"payer\":{{\"openid\":\"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\"}},\
             \"amount\":{{\"total\":1,\"payer_total\":1,\"currency\":\"CNY\",\
             \"payer_currency\":\"CNY\"}}}}",
            file.appid,
            file.mchid,
            row["transaction_id"].as_str().unwrap(),
            row["success_time"].as_str().unwrap()
        )
    );
    let refund = bench.refund("ORDER-27", "R-27", 1, 1).await.json();
    bench.advance(5).await;
    let notice = bench.inbox.wait(2).await.pop().unwrap();
    assert_eq!(notice.envelope()["resource"]["associated_data"], "refund");
    let done = bench
        .client
        .get("/v3/refund/domestic/refunds/R-27")
        .await
        .json();
    assert_eq!(
        notice.payload(&file.apiv3_key),
        format!(
            "{{\"mchid\":\"{}\",\"out_trade_no\":\"ORDER-27\",\"transaction_id\":\"{}\",\
             \"out_refund_no\":\"R-27\",\"refund_id\":\"{}\",\"refund_status\":\"SUCCESS\",\
             \"success_time\":\"{}\",\"amount\":{{\"total\":1,\"refund\":1,\"payer_total\":1,\
             \"payer_refund\":1}},\"user_received_account\":\"支付用户零钱\"}}",
            file.mchid,
            row["transaction_id"].as_str().unwrap(),
            refund["refund_id"].as_str().unwrap(),
            done["success_time"].as_str().unwrap()
        )
    );
}

#[tokio::test]
async fn notice_schedule_failures_are_sent_again_on_the_schedule_at_most_15_times() {
    // So slow that what the test takes of real time makes nothing due.
    let bench = Bench::with(|config| config.speed = 1.0 / SLOWNESS as f64).await;
    bench.inbox.always(500, Duration::ZERO);
    bench.paid("ORDER-28", 1).await;
    bench.inbox.wait(1).await;
    bench
        .notice("ORDER-28", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    let delays = [
        15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600,
    ];
    for (index, delay) in delays.into_iter().enumerate() {
        bench.advance(delay * SLOWNESS - 100).await;
        let early = bench.inbox.received().len();
        assert_eq!(early, index + 1, "too early");
        bench.advance(100).await;
        bench.inbox.wait(index + 2).await;
    }
    bench
        .notice("ORDER-28", |row| row["state"] == "given_up")
        .await;
    bench.advance(86_400 * SLOWNESS).await;
    let received = bench.inbox.received();
    assert_eq!(received.len(), 16);
    let ids: std::collections::BTreeSet<String> = received
        .iter()
        .map(|notice| notice.envelope()["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    let nonces: std::collections::BTreeSet<&str> = received
        .iter()
        .map(|notice| notice.header("wechatpay-nonce"))
        .collect();
    assert_eq!(nonces.len(), 16, "signed afresh each time");
    let public = bench.client.public_key();
    assert!(received.iter().all(|notice| notice.verified_by(&public)));
}

#[tokio::test]
async fn notice_schedule_only_200_and_204_in_time_are_success() {
    let bench = Bench::new().await;
    for status in [200_u16, 204] {
        bench.inbox.answer(&[status]);
        let number = format!("ORDER-28-{status}");
        bench.paid(&number, 1).await;
        bench
            .notice(&number, |row| row["state"] == "delivered")
            .await;
    }
    for status in [201_u16, 202, 301, 302, 400, 401, 404, 409, 500, 503] {
        bench.inbox.answer(&[status]);
        let number = format!("ORDER-28-{status}");
        bench.paid(&number, 1).await;
        let row = bench
            .notice(&number, |row| {
                row["attempts"].as_array().unwrap().len() == 1
            })
            .await;
        assert_eq!(row["state"], "pending");
        assert_eq!(row["attempts"][0]["status"], status);
        assert!(
            row["attempts"][0]["verdict"]
                .as_str()
                .unwrap()
                .contains("only 200 or 204")
        );
    }
    bench.inbox.always(204, Duration::from_secs(20));
    bench.paid("ORDER-28-slow", 1).await;
    let row = bench
        .notice("ORDER-28-slow", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    assert!(row["attempts"][0]["status"].is_null());
    assert!(
        row["attempts"][0]["verdict"]
            .as_str()
            .unwrap()
            .contains("within 5 seconds")
    );
    let violations = bench.seen("/_sim/violations").await;
    assert_eq!(violations["items"][0]["kind"], "late_answer");
}

#[tokio::test]
async fn notice_disorder_notices_come_twice_late_out_of_order_or_not_at_all() {
    // So slow that only a moved clock brings what is due later.
    let bench = Bench::with(|config| config.speed = 1.0 / SLOWNESS as f64).await;
    let key = bench.client.file.apiv3_key.clone();
    bench
        .fault(json!({"name": "notice_duplicated", "count": 1}))
        .await;
    bench.paid("ORDER-29-twice", 1).await;
    bench
        .notice("ORDER-29-twice", |row| row["state"] == "delivered")
        .await;
    bench.advance(SLOWNESS - 10).await;
    assert_eq!(bench.inbox.received().len(), 1, "not within a second");
    bench.advance(10).await;
    let notices = bench.inbox.wait(2).await;
    assert_eq!(notices[0].envelope()["id"], notices[1].envelope()["id"]);

    bench
        .fault(json!({"name": "notice_lost", "count": 1}))
        .await;
    bench.paid("ORDER-29-lost", 1).await;
    bench
        .notice("ORDER-29-lost", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(bench.inbox.received().len(), 2);
    bench.advance(15 * SLOWNESS).await;
    bench.inbox.wait(3).await;
    let row = bench
        .notice("ORDER-29-lost", |row| row["state"] == "delivered")
        .await;
    assert_eq!(row["attempts"].as_array().unwrap().len(), 2);

    bench
        .fault(json!({"name": "notice_reordered", "count": 1}))
        .await;
    bench.paid("ORDER-29-first", 1).await;
    bench.paid("ORDER-29-second", 1).await;
    let notices = bench.inbox.wait(5).await;
    assert!(notices[3].payload(&key).contains("ORDER-29-second"));
    assert!(notices[4].payload(&key).contains("ORDER-29-first"));

    bench
        .fault(json!({"name": "notice_late", "count": 1}))
        .await;
    bench.paid("ORDER-29-late", 1).await;
    bench.advance(30 * SLOWNESS - 10).await;
    assert_eq!(bench.inbox.received().len(), 5, "not within 30 seconds");
    bench.advance(10).await;
    let row = bench
        .notice("ORDER-29-late", |row| row["state"] == "delivered")
        .await;
    assert_eq!(row["attempts"].as_array().unwrap().len(), 1);

    // Neither a failed payment nor a closed order has a callback.
    let before = bench.inbox.received().len();
    bench.order("ORDER-29-fail", 1).await;
    bench
        .control("/_sim/orders/ORDER-29-fail/fail", json!({}))
        .await;
    let mchid = bench.client.file.mchid.clone();
    let close = "/v3/pay/transactions/out-trade-no/ORDER-29-fail/close";
    bench.client.post(close, &json!({"mchid": mchid})).await;
    // Nor has anything once the merchant has no APIv3 key.
    bench.order("ORDER-29-keyless", 1).await;
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"apiv3_key": null}),
        )
        .await;
    bench
        .control("/_sim/orders/ORDER-29-keyless/pay", json!({}))
        .await;
    let row = bench
        .notice("ORDER-29-keyless", |row| row["state"] == "not_sent")
        .await;
    assert!(row["why"].as_str().unwrap().contains("APIv3 key"));
    assert_eq!(bench.inbox.received().len(), before);
    assert_eq!(
        bench.query("ORDER-29-late").await.json()["message"],
        "商户未设置APIv3密钥。"
    );
}

#[tokio::test]
async fn notify_urls_a_refund_without_notify_url_has_no_v3_callback() {
    let bench = Bench::new().await;
    bench.paid("ORDER-30", 2).await;
    bench.inbox.wait(1).await;
    let refund = async |number: &str| {
        let mut body = bench.refund_body("ORDER-30", number, 1, 2);
        body.as_object_mut().unwrap().remove("notify_url");
        let answer = bench
            .client
            .post("/v3/refund/domestic/refunds", &body)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        bench.advance(61).await;
        let out_refund_no = json!(number);
        bench
            .notice("ORDER-30", |row| row["out_refund_no"] == out_refund_no)
            .await
    };
    let row = refund("R-30-none").await;
    assert_eq!(row["state"], "not_sent");
    assert!(row["why"].as_str().unwrap().contains("nothing is sent"));
    let mchid = bench.client.file.mchid.clone();
    let url = bench.inbox.url.clone();
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"refund_notify_url": url}),
        )
        .await;
    let row = refund("R-30-v2").await;
    assert!(row["why"].as_str().unwrap().contains("v2 XML"));
    assert_eq!(
        bench.seen("/_sim/violations").await["items"][0]["kind"],
        "v2_callback"
    );
    assert_eq!(bench.inbox.received().len(), 1);
}

#[tokio::test]
async fn a_notice_arrives_within_a_moment_of_the_payment() {
    let bench = Bench::new().await;
    bench.order("ORDER-prompt", 1).await;
    let paid = std::time::Instant::now();
    bench
        .control("/_sim/orders/ORDER-prompt/pay", json!({}))
        .await;
    bench.inbox.wait(1).await;
    // Generous for a busy machine; on an idle one it is a few milliseconds.
    assert!(paid.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn reordered_notices_swap_places_for_as_long_as_the_fault_is_on() {
    let bench = Bench::new().await;
    let key = bench.client.file.apiv3_key.clone();
    bench.fault(json!({"name": "notice_reordered"})).await;
    for round in 0..2 {
        for place in ["first", "second"] {
            bench.paid(&format!("ORDER-{round}-{place}"), 1).await;
        }
        let notices = bench.inbox.wait(round * 2 + 2).await;
        for (notice, place) in notices[round * 2..].iter().zip(["second", "first"]) {
            let number = format!("ORDER-{round}-{place}");
            assert!(notice.payload(&key).contains(&number), "{number}");
        }
        bench
            .notice(&format!("ORDER-{round}-first"), |row| {
                row["state"] == "delivered"
            })
            .await;
    }
}

#[tokio::test]
async fn a_duplicate_beside_an_attempt_on_its_way_leaves_the_schedule_alone() {
    let bench = Bench::new().await;
    bench
        .fault(json!({"name": "notice_duplicated", "count": 1}))
        .await;
    // The copy, a second later, is answered while the first is still on its way.
    bench.inbox.always(500, Duration::from_secs(2));
    bench.paid("ORDER-beside", 1).await;
    bench.inbox.wait(1).await;
    bench.inbox.always(500, Duration::ZERO);
    let row = bench
        .notice("ORDER-beside", |row| {
            row["attempts"].as_array().unwrap().len() == 2
        })
        .await;
    assert_eq!(bench.inbox.received().len(), 2);
    let moment = |name: &str| {
        let text = row[name].as_str().unwrap();
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    let pause = moment("next_attempt_at") - moment("created_at");
    assert_eq!(
        pause.whole_seconds(),
        15,
        "one step of the schedule is done"
    );
}

#[tokio::test]
async fn the_copy_of_a_probe_on_its_way_is_genuine() {
    let bench = Bench::new().await;
    bench.fault(json!({"name": "notice_probe"})).await;
    bench
        .fault(json!({"name": "notice_duplicated", "count": 1}))
        .await;
    bench.inbox.always(401, Duration::from_secs(2));
    bench.paid("ORDER-probed", 1).await;
    let notices = bench.inbox.wait(2).await;
    let public = bench.client.public_key();
    assert!(!notices[0].verified_by(&public));
    assert!(notices[1].verified_by(&public));
}

#[tokio::test]
async fn notice_disorder_nothing_more_is_sent_once_the_apiv3_key_is_gone() {
    let bench = Bench::new().await;
    bench.inbox.always(500, Duration::ZERO);
    bench.paid("ORDER-29-gone", 1).await;
    bench
        .notice("ORDER-29-gone", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    let mchid = bench.client.file.mchid.clone();
    let path = format!("/_sim/merchants/{mchid}");
    bench.control(&path, json!({"apiv3_key": null})).await;
    bench.advance(15).await;
    let row = bench
        .notice("ORDER-29-gone", |row| row["state"] == "not_sent")
        .await;
    assert!(row["why"].as_str().unwrap().contains("APIv3 key"), "{row}");
    assert_eq!(bench.inbox.received().len(), 1);
}

#[tokio::test]
async fn an_attempt_that_a_restart_cut_off_is_made_again() {
    // So fast that the copy comes at once: the first attempt waits no longer than five seconds.
    let bench = Bench::with(|config| config.speed = 100.0).await;
    bench
        .fault(json!({"name": "notice_duplicated", "count": 1}))
        .await;
    bench.inbox.always(204, Duration::from_secs(60));
    bench.paid("ORDER-cut", 1).await;
    bench.inbox.wait(2).await;
    let (folder, inbox) = (Arc::clone(&bench.folder), bench.inbox.clone());
    bench.simulator.stop().await;
    inbox.always(204, Duration::ZERO);
    let bench = Bench::within(folder, |_| {}).await;
    bench
        .notice("ORDER-cut", |row| row["state"] == "delivered")
        .await;
    assert_eq!(inbox.received().len(), 3);
}

#[tokio::test]
async fn a_notice_that_waits_its_turn_is_not_sent_once_the_simulator_has_stopped() {
    // How many are on their way at once.
    const AT_ONCE: usize = 64;
    // A busy machine may take longer to send them than the first ones take to be answered.
    for _ in 0..5 {
        let bench = Bench::new().await;
        // Three notices an order, so that a few orders are enough.
        for name in ["notice_unknown_event", "notice_foreign_order"] {
            bench.fault(json!({"name": name})).await;
        }
        for index in 0..24 {
            bench.order(&format!("ORDER-turn-{index}"), 1).await;
        }
        let pause = Duration::from_secs(3);
        bench.inbox.always(204, pause);
        for index in 0..24 {
            let path = format!("/_sim/orders/ORDER-turn-{index}/pay");
            bench.control(&path, json!({})).await;
        }
        bench.inbox.wait(AT_ONCE).await;
        let inbox = bench.inbox.clone();
        bench.simulator.stop().await;
        if inbox.received().len() > AT_ONCE {
            continue;
        }
        // Until the first ones have been answered, and a second for those that would follow.
        tokio::time::sleep(pause + Duration::from_secs(1)).await;
        assert_eq!(inbox.received().len(), AT_ONCE);
        return;
    }
    panic!("the machine is too busy to stop a simulator while notices wait");
}

#[tokio::test]
async fn the_copy_of_a_notice_that_was_held_comes_a_second_after_it() {
    let bench = Bench::with(|config| config.speed = 1.0 / SLOWNESS as f64).await;
    let key = bench.client.file.apiv3_key.clone();
    for name in ["notice_reordered", "notice_duplicated"] {
        bench.fault(json!({"name": name, "count": 1})).await;
    }
    bench.paid("ORDER-held", 1).await;
    bench.paid("ORDER-next", 1).await;
    bench.inbox.wait(2).await;
    bench.advance(SLOWNESS - 10).await;
    assert_eq!(bench.inbox.received().len(), 2, "not within a second");
    bench.advance(10).await;
    let notices = bench.inbox.wait(3).await;
    assert!(notices[2].payload(&key).contains("ORDER-held"));
}

#[tokio::test]
async fn an_attempt_that_comes_back_once_the_apiv3_key_is_gone_is_the_last() {
    for (status, state) in [(204, "delivered"), (500, "not_sent")] {
        let bench = Bench::with(|config| config.speed = 1.0 / SLOWNESS as f64).await;
        bench
            .fault(json!({"name": "notice_duplicated", "count": 1}))
            .await;
        bench.inbox.always(status, Duration::from_secs(2));
        bench.paid("ORDER-gone", 1).await;
        bench.inbox.wait(1).await;
        let mchid = bench.client.file.mchid.clone();
        let path = format!("/_sim/merchants/{mchid}");
        bench.control(&path, json!({"apiv3_key": null})).await;
        // The copy is due, and cannot be sealed, while the first is still on its way.
        let clock = json!({"advance_s": SLOWNESS});
        bench.control("/_sim/clock", clock).await;
        let row = bench
            .notice("ORDER-gone", |row| row["state"] == "not_sent")
            .await;
        assert_eq!(row["attempts"], json!([]));
        let row = bench
            .notice("ORDER-gone", |row| {
                row["attempts"].as_array().unwrap().len() == 1
            })
            .await;
        assert_eq!(row["state"], state);
        assert_eq!(row["why"].is_null(), state == "delivered", "{row}");
        assert!(row["next_attempt_at"].is_null(), "{row}");
    }
}
