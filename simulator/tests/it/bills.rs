//! When bills are ready and what they look like, byte for byte.

use std::io::Read as _;

use serde_json::json;
use sha1::{Digest as _, Sha1};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{Answer, Bench, Client};

async fn business(bench: &Bench) -> OffsetDateTime {
    let clock = bench.seen("/_sim/clock").await;
    OffsetDateTime::parse(clock["business_time"].as_str().unwrap(), &Rfc3339).unwrap()
}

/// Moves the business clock to an hour and minute of the next day in Beijing.
async fn tomorrow_at(bench: &Bench, hour: i64, minute: i64) -> String {
    let now = business(bench).await;
    let today = now.date();
    let since_midnight =
        i64::from(now.hour()) * 3600 + i64::from(now.minute()) * 60 + i64::from(now.second());
    bench
        .advance(86_400 - since_midnight + hour * 3600 + minute * 60)
        .await;
    today.to_string()
}

async fn apply(bench: &Bench, query: &str) -> Answer {
    bench
        .client
        .get(&format!("/v3/bill/tradebill?{query}"))
        .await
}

async fn download(bench: &Bench, client: &Client, applied: &Answer) -> Answer {
    let url = applied.json()["download_url"].as_str().unwrap().to_owned();
    let target = url.strip_prefix(bench.simulator.base_url()).unwrap();
    client.get(target).await
}

#[tokio::test]
async fn bill_days_bills_are_ready_at_ten_and_only_for_days_that_have_one() {
    let bench = Bench::new().await;
    bench.paid("ORDER-31", 1).await;
    let today = business(&bench).await.date().to_string();
    let refused = apply(&bench, &format!("bill_date={today}")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "INVALID_REQUEST")
    );
    let day = tomorrow_at(&bench, 9, 50).await;
    let early = apply(&bench, &format!("bill_date={day}")).await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (400, "STATEMENT_CREATING")
    );
    bench.advance(11 * 60).await;
    assert_eq!(apply(&bench, &format!("bill_date={day}")).await.status, 200);
    bench.advance(86_400).await;
    let empty = (business(&bench).await.date() - time::Duration::days(1)).to_string();
    let nothing = apply(&bench, &format!("bill_date={empty}")).await;
    assert_eq!(
        (nothing.status, nothing.code().as_str()),
        (400, "NO_STATEMENT_EXIST")
    );
    bench.advance(95 * 86_400).await;
    assert_eq!(
        apply(&bench, &format!("bill_date={day}")).await.code(),
        "INVALID_REQUEST"
    );
    for query in [
        "bill_date=20210128",
        "",
        "bill_date=2021-01-28&bill_type=NONE",
    ] {
        assert_eq!(apply(&bench, query).await.code(), "PARAM_ERROR", "{query}");
    }
}

#[tokio::test]
async fn bill_files_the_trade_bill_has_the_exact_form_and_hash() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let mut body = bench.jsapi("ORDER-32", 528_801);
    body["description"] = json!("茶,大杯\n加糖");
    body["attach"] = json!("cipher code");
    bench.client.post("/v3/pay/transactions/jsapi", &body).await;
    let paid = bench.control("/_sim/orders/ORDER-32/pay", json!({})).await;
    let refund = bench.refund("ORDER-32", "R-32", 101, 528_801).await.json();
    let row = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap().to_owned();
    let day = tomorrow_at(&bench, 10, 30).await;
    let applied = apply(&bench, &format!("bill_date={day}&bill_type=ALL")).await;
    assert!(bench.client.verifies(&applied, &bench.client.public_key()));
    assert!(
        applied
            .text()
            .starts_with("{\"download_url\":\"http://127.0.0.1:")
    );
    let bill = download(&bench, &bench.client, &applied).await;
    assert_eq!(bill.status, 200);
    assert!(bill.is_unsigned());
    let hash: String = Sha1::digest(&bill.body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(applied.json()["hash_value"], hash);
    assert_eq!(applied.json()["hash_type"], "SHA1");
    let time = |text: String| text[..19].replace('T', " ");
    let expected = format!(
        "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n\
         `{},`{},`{},`0,`,`{txn},`ORDER-32,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`JSAPI,`SUCCESS,`OTHERS,`CNY,`5288.01,`0.00,`0,`0,`0.00,`0.00,`,`,`茶\\ 大杯\\n加糖,`cipher code,`0.00000,`1.00%,`5288.01,`0.00,`\r\n\
         `{},`{},`{},`0,`,`{txn},`ORDER-32,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`{},`R-32,`1.01,`0.00,`ORIGINAL,`PROCESSING,`茶\\ 大杯\\n加糖,`cipher code,`0.00000,`1.00%,`0.00,`1.01,`\r\n\
         总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n\
         `2,`5288.01,`1.01,`0.00,`0.00000,`5288.01,`1.01\r\n",
        time(row(&paid, "success_time")),
        file.appid,
        file.mchid,
        time(row(&refund, "create_time")),
        file.appid,
        file.mchid,
        row(&refund, "refund_id"),
        txn = row(&paid, "transaction_id"),
    );
    assert_eq!(bill.text(), expected);

    let zipped = apply(&bench, &format!("bill_date={day}&tar_type=GZIP")).await;
    assert_eq!(
        zipped.json()["hash_value"],
        hash,
        "over the uncompressed bytes"
    );
    assert!(
        zipped.json()["download_url"]
            .as_str()
            .unwrap()
            .ends_with("&tartype=gzip")
    );
    let packed = download(&bench, &bench.client, &zipped).await;
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, expected);

    let other = bench.control("/_sim/merchants", json!({})).await;
    let folder = std::path::PathBuf::from(other["folder"].as_str().unwrap());
    let stranger = Client::from_folder(&folder);
    let refused = download(&bench, &stranger, &applied).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "NO_AUTH"));
    let target = applied.json()["download_url"].as_str().unwrap().to_owned();
    let mut unsigned = bench
        .client
        .draft("GET", &target[bench.simulator.base_url().len()..], b"");
    unsigned.authorization = Some(None);
    assert_eq!(bench.client.send(unsigned).await.status, 401);
    bench.advance(301).await;
    let expired = download(&bench, &bench.client, &applied).await;
    assert_eq!(
        (expired.status, expired.code().as_str()),
        (400, "INVALID_REQUEST")
    );
}

#[tokio::test]
async fn bill_files_the_fund_flow_bill_balances() {
    let bench = Bench::new().await;
    bench.paid("ORDER-32-flow", 500).await;
    bench.refund("ORDER-32-flow", "R-32-flow", 200, 500).await;
    let day = tomorrow_at(&bench, 10, 30).await;
    let target = format!("/v3/bill/fundflowbill?bill_date={day}&account_type=BASIC");
    let applied = bench.client.get(&target).await;
    let bill = download(&bench, &bench.client, &applied).await.text();
    let lines: Vec<&str> = bill.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
    );
    assert!(lines[1].contains("`收入,`5.00,`5.00,"));
    assert!(lines[2].contains("`支出,`2.00,`3.00,"));
    assert!(lines[2].ends_with("`退款总金额2.00元;含手续费0.00元,`R-32-flow"));
    assert_eq!(
        lines[3],
        "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
    );
    assert_eq!(lines[4], "`2,`1,`5.00,`1,`2.00");
    let target = format!("/v3/bill/fundflowbill?bill_date={day}&account_type=FEES");
    assert_eq!(bench.client.get(&target).await.code(), "NO_STATEMENT_EXIST");
}

#[tokio::test]
async fn bills_can_be_late_misleading_or_hostile() {
    let bench = Bench::new().await;
    bench.paid("ORDER-bad-bill", 1).await;
    let day = tomorrow_at(&bench, 10, 30).await;
    let query = format!("bill_date={day}");
    let strike = async |name: &str| {
        bench.fault(json!({"name": name, "count": 1})).await;
        apply(&bench, &query).await
    };
    assert_eq!(strike("bill_late").await.code(), "STATEMENT_CREATING");
    let hash = |bill: &Answer| -> String {
        Sha1::digest(&bill.body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let bad = strike("bill_bad_hash").await;
    assert_ne!(
        bad.json()["hash_value"],
        hash(&download(&bench, &bench.client, &bad).await)
    );
    let foreign = strike("bill_foreign_url").await;
    assert!(
        foreign.json()["download_url"]
            .as_str()
            .unwrap()
            .contains("example.com")
    );
    let formula = strike("bill_formula").await;
    assert!(
        download(&bench, &bench.client, &formula)
            .await
            .text()
            .contains("`=cmd|")
    );
    let totals = strike("bill_bad_totals").await;
    assert!(
        download(&bench, &bench.client, &totals)
            .await
            .text()
            .contains("`1,`0.02,")
    );
}

#[tokio::test]
async fn bills_add_up_the_largest_amounts() {
    let bench = Bench::new().await;
    for number in ["ORDER-vast-1", "ORDER-vast-2"] {
        bench.paid(number, i64::MAX).await;
        let refund = bench.refund(number, number, i64::MAX, i64::MAX).await;
        assert_eq!(refund.status, 200, "{}", refund.text());
    }
    let day = tomorrow_at(&bench, 10, 30).await;
    let twice = "184467440737095516.14";
    bench
        .fault(json!({"name": "bill_bad_totals", "count": 1}))
        .await;
    let spoilt = apply(&bench, &format!("bill_date={day}")).await;
    let spoilt = download(&bench, &bench.client, &spoilt).await.text();
    assert!(spoilt.contains("`4,`184467440737095516.15,"), "{spoilt}");
    let trade = apply(&bench, &format!("bill_date={day}")).await;
    let trade = download(&bench, &bench.client, &trade).await.text();
    let summary = format!("`4,`{twice},`{twice},`0.00,`0.00000,`{twice},`{twice}\r\n");
    assert!(trade.ends_with(&summary), "{trade}");
    let target = format!("/v3/bill/fundflowbill?bill_date={day}");
    let flow = bench.client.get(&target).await;
    let flow = download(&bench, &bench.client, &flow).await.text();
    assert!(
        flow.ends_with(&format!("`4,`2,`{twice},`2,`{twice}\r\n")),
        "{flow}"
    );
}

#[tokio::test]
async fn bill_files_a_past_days_bills_stay_as_they_are_however_a_refund_ends() {
    let bench = Bench::new().await;
    bench.knob("refund_delay_s", json!(null)).await;
    for (order, refund) in [("ORDER-kept", "R-kept"), ("ORDER-back", "R-back")] {
        bench.paid(order, 500).await;
        assert_eq!(bench.refund(order, refund, 200, 500).await.status, 200);
    }
    let day = tomorrow_at(&bench, 10, 30).await;
    let bills = async |day: &str| {
        let mut bills = Vec::new();
        for target in [
            format!("/v3/bill/tradebill?bill_date={day}&bill_type=REFUND"),
            format!("/v3/bill/tradebill?bill_date={day}"),
            format!("/v3/bill/fundflowbill?bill_date={day}"),
        ] {
            let applied = bench.client.get(&target).await;
            bills.push(match applied.status {
                200 => download(&bench, &bench.client, &applied).await.text(),
                _ => applied.code(),
            });
        }
        bills
    };
    let before = bills(&day).await;
    bench
        .control("/_sim/refunds/R-kept/complete", json!({}))
        .await;
    bench.control("/_sim/refunds/R-back/close", json!({})).await;
    assert_eq!(bills(&day).await, before);

    // What a closed refund held comes back as a movement of the day on which it closed.
    let next = tomorrow_at(&bench, 10, 30).await;
    let [refunds, all, flow] = bills(&next).await.try_into().unwrap();
    assert_eq!(
        (refunds.as_str(), all.as_str()),
        ("NO_STATEMENT_EXIST", "NO_STATEMENT_EXIST")
    );
    let lines: Vec<&str> = flow.split("\r\n").collect();
    assert!(lines[1].contains("`退款,`收入,`2.00,`8.00,"), "{flow}");
    assert!(lines[1].ends_with(",`R-back"), "{flow}");
    assert_eq!(lines[3], "`1,`1,`2.00,`0,`0.00");
}

#[tokio::test]
async fn a_formula_is_in_the_bill_of_a_day_that_only_has_refunds_too() {
    let bench = Bench::new().await;
    bench.paid("ORDER-formula", 5).await;
    bench.advance(86_400).await;
    assert_eq!(
        bench
            .refund("ORDER-formula", "R-formula", 5, 5)
            .await
            .status,
        200
    );
    let day = tomorrow_at(&bench, 11, 0).await;
    for kind in ["ALL", "REFUND"] {
        bench
            .fault(json!({"name": "bill_formula", "count": 1}))
            .await;
        let query = format!("bill_date={day}&bill_type={kind}");
        let spoilt = apply(&bench, &query).await;
        let text = download(&bench, &bench.client, &spoilt).await.text();
        assert!(text.contains("`=cmd"), "{kind}: {text}");
        let right = apply(&bench, &query).await;
        let text = download(&bench, &bench.client, &right).await.text();
        assert!(text.contains("R-formula"), "{text}");
        assert!(!text.contains("`=cmd"), "used up: {text}");
    }
}

#[tokio::test]
async fn a_bill_that_is_missing_uses_up_nothing_that_spoils_bills() {
    let bench = Bench::new().await;
    bench.paid("ORDER-spared", 5).await;
    let day = tomorrow_at(&bench, 11, 0).await;
    for name in ["bill_missing", "bill_formula", "bill_bad_totals"] {
        bench.fault(json!({"name": name, "count": 1})).await;
    }
    let query = format!("bill_date={day}");
    assert_eq!(apply(&bench, &query).await.code(), "NO_STATEMENT_EXIST");
    let spoilt = apply(&bench, &query).await;
    let text = download(&bench, &bench.client, &spoilt).await.text();
    assert!(text.contains("`=cmd"), "{text}");
    assert!(text.contains("`0.06"), "{text}");
}
