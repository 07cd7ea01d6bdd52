//! How long things live, told by those who end them: WeChat Pay its codes, Lambda a function's work, an
//! operator a key. Nothing here knows the constants; each is wrong in both directions.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::domain::order::ABSENCE_GRACE_SECONDS;
use shared::domain::refund::SENDING_SECONDS_MAX;

use crate::harness::{ALICE, TestStack, declared, native_order};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// The longest that a function may run, in seconds.
fn timeout(binary: &str) -> i64 {
    let functions = declared().into_values();
    let mut named = functions.filter(|function| function.binary == binary);
    i64::try_from(named.next().unwrap().timeout_seconds).unwrap()
}

/// Places an order again and again, and gives what it is paid with each time.
struct Orders<'a> {
    stack: &'a TestStack,
    expires: String,
}

impl<'a> Orders<'a> {
    /// Their orders outlive whatever WeChat Pay gives for them.
    fn of(stack: &'a TestStack) -> Self {
        let expires = stack.stack.clock().business().plus_seconds(6 * HOUR);
        Self {
            stack,
            expires: shared::rfc3339::format(expires),
        }
    }

    async fn native(&self, number: &str) -> Value {
        let order = native_order(number, 100);
        let pay = self.placed(order).await;
        json!({"code_url": pay["code_url"]})
    }

    async fn jsapi(&self, number: &str) -> Value {
        let mut order = native_order(number, 100);
        order["trade_type"] = json!("jsapi");
        order["payer"] = json!({"openid": ALICE});
        let pay = self.placed(order).await;
        json!({"openid": ALICE, "pay": pay})
    }

    async fn placed(&self, mut order: Value) -> Value {
        order["time_expire"] = json!(self.expires);
        let placed = self.stack.post(&self.stack.merchant, "/orders", order);
        let placed = placed.await;
        assert!(matches!(placed.status, 200 | 201), "{}", placed.body);
        placed.body["pay"].clone()
    }

    /// The payer pays with what was given; the simulator refuses what died or was replaced.
    async fn paid(&self, number: &str, with: Value) {
        let path = format!("orders/{number}/pay");
        self.stack.control(&path, with).await;
        self.stack.until_state(number, "SUCCESS").await;
    }
}

#[tokio::test]
async fn what_an_order_is_paid_with_lives_when_it_is_given_and_stays_good_on_the_screen() {
    let stack = TestStack::start().await;
    let orders = Orders::of(&stack);
    let shown = orders.native("screen-001").await;
    let first = orders.native("repeat-001").await;
    for _ in 0..3 {
        // The first order keeps nothing; its repeats do.
        orders.jsapi("jsapi-0001").await;
    }
    // A new code ends the one before it: as long as that lives, a repeat must not ask for another.
    stack.advance(100 * MINUTE).await;
    assert_eq!(orders.native("screen-001").await, shown);
    orders.paid("screen-001", shown).await;
    // WeChat Pay ends a code after two hours, and whoever is given one needs minutes to pay.
    stack.advance(15 * MINUTE).await;
    let given = orders.native("repeat-001").await;
    assert_ne!(given, first);
    stack.advance(10 * MINUTE).await;
    orders.paid("repeat-001", given).await;
    // The same of what the mini-program pays with, whose newer ones end none.
    let given = orders.jsapi("jsapi-0001").await;
    orders.paid("jsapi-0001", given).await;
}

#[tokio::test]
async fn a_claim_and_a_doubt_last_longer_than_the_function_that_may_still_be_at_work() {
    let stack = TestStack::start().await;
    let began = stack.now();
    stack.fault("response_lost", json!({"count": 1})).await;
    let placed = stack.post(&stack.merchant, "/orders", native_order("doubt-0001", 100));
    placed.await.refused(503, "wechatpay_unavailable");
    let order = stack.order_item("doubt-0001");
    let claim: i64 = order["code_claim_until"]["N"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // Whoever asks while the first one is still at work ends its code.
    assert!(claim > began + timeout("create-order"), "{claim} {began}");
    // What a function sent is on its way until that function is stopped.
    assert!(SENDING_SECONDS_MAX >= timeout("refund").max(timeout("sweep")));
    assert!(ABSENCE_GRACE_SECONDS > timeout("create-order"));
}

/// What a function had begun when it was stopped is taken up once it must be over, and soon then: the next
/// minute's sweep has to find it.
#[tokio::test]
async fn what_was_begun_is_looked_at_again_once_its_function_must_be_over_and_soon_then() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("begun-0001", 500).await;
    stack.native("begun-0002", 100).await;
    let business = || stack.stack.clock().business().unix_seconds();
    // How far ahead of the call the next look is that a function writes into an item, in seconds.
    let ahead = |caller: &str, began: i64, written: &dyn Fn(&Value) -> Value| {
        let calls = stack.watch.calls();
        let ours = calls.iter().filter(|call| call.caller == caller);
        let mut all = ours.filter_map(|call| {
            let at = written(&call.request);
            Some(at["N"].as_str()?.parse::<i64>().unwrap() - began)
        });
        all.next().unwrap()
    };
    let began = business();
    let refund = stack.refund("begun-0001", "begun-r001", 100);
    refund.await.expect(202);
    let reserved = ahead("RefundFunction", began, &|request| {
        let items = request["TransactItems"].as_array().into_iter().flatten();
        let mut refunds =
            items.filter(|item| item["Put"]["Item"]["sk"]["S"] == "REFUND#begun-r001");
        refunds
            .next()
            .map_or(Value::Null, |item| item["Put"]["Item"]["due_at"].clone())
    });
    let over = timeout("refund");
    assert!(
        (over + 1..=MINUTE / 2 + 5).contains(&reserved),
        "{reserved}"
    );
    stack.advance(3 * HOUR).await;
    let began = business();
    stack.sweep().await;
    let claimed = ahead("SweepFunction", began, &|request| {
        let is_claim = request["ConditionExpression"] == "#due_at = :seen";
        let values = &request["ExpressionAttributeValues"];
        if is_claim {
            values[":due_at"].clone()
        } else {
            Value::Null
        }
    });
    let over = timeout("sweep");
    assert!((over + 1..=2 * MINUTE + 5).contains(&claimed), "{claimed}");
}

#[tokio::test]
async fn a_key_that_was_taken_away_opens_nothing_soon_and_the_secret_is_not_read_each_time() {
    let stack = TestStack::start().await;
    let asks = async |key: &str| stack.get(key, "/orders/nobody-001").await.status;
    let secret = local::template::arn("ApiSecret");
    let reads = || {
        let calls = stack.watch.calls();
        let reads = calls.iter().filter(|call| {
            call.operation == "GetSecretValue" && call.request["SecretId"] == secret
        });
        reads.count()
    };
    assert_eq!(asks(&stack.merchant).await, 404);
    let before = reads();
    assert!(before > 0, "nothing is known without it");
    for _ in 0..5 {
        stack.advance(2 * MINUTE).await;
        assert_eq!(asks(&stack.merchant).await, 404);
    }
    assert_eq!(reads(), before, "read within a quarter of an hour");
    // An operator who takes a key away waits a quarter of an hour (docs/operations.md).
    let mut api = stack.secret("ApiSecret");
    let hash: String = Sha256::digest("the-key-that-is-left-in-its-place")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    api["merchant_key_hashes"] = json!([hash]);
    stack.put_secret("ApiSecret", &api.to_string());
    stack.advance(15 * MINUTE).await;
    assert_eq!(asks(&stack.merchant).await, 401);
    assert_eq!(asks("the-key-that-is-left-in-its-place").await, 404);
}

#[tokio::test]
async fn a_payers_token_ends_two_hours_after_its_login() {
    use base64::Engine;
    let stack = TestStack::start().await;
    let began = stack.now();
    let token = stack.login(ALICE).await;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let lives = claims["exp"].as_i64().unwrap() - began;
    // WeChat's own session_key says nothing about its end; docs/api.md says what ours does.
    assert!((2 * HOUR..2 * HOUR + MINUTE).contains(&lives), "{lives}");
}
