//! A key is rotated while business goes on: nothing is lost, nothing is refused, nothing is started
//! again. Each step of a rotation, as docs/operations.md has it, falls between the steps of orders that are
//! under way: one is placed, one waits for its payment, one for its refund. The sweep runs meanwhile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use simulator::Mode;

use crate::harness::{ALICE, TestStack};

/// How long an operator waits for every function to have read its secrets again, in seconds.
const WAIT_SECONDS: i64 = 20 * 60;

/// The keys that are rotated.
#[derive(Clone, Copy, Debug)]
enum Rotated {
    Merchant,
    Apiv3,
    Platform,
    Api,
}

/// A shop that goes on.
struct Shop<'a> {
    stack: &'a TestStack,
    placed: u32,
}

impl<'a> Shop<'a> {
    async fn open(stack: &'a TestStack) -> Self {
        let mut shop = Self { stack, placed: 0 };
        for _ in 0..3 {
            shop.goes_on().await;
        }
        shop
    }

    /// An order is placed, the one before is paid, the one before that refunded, and the refund of the
    /// one before that has come to its end.
    async fn goes_on(&mut self) {
        let number = |back: u32| {
            self.placed
                .checked_sub(back)
                .map(|n| format!("shop-{n:04}"))
        };
        if let Some(third) = number(3) {
            self.stack.advance(10).await;
            self.stack
                .until_refund(&third, &format!("{third}-r"), "SUCCESS")
                .await;
        }
        if let Some(second) = number(2) {
            let refund = self.stack.refund(&second, &format!("{second}-r"), 40).await;
            refund.expect(202);
        }
        if let Some(first) = number(1) {
            self.stack.pay(&first).await;
            self.stack.until_state(&first, "SUCCESS").await;
        }
        self.stack
            .native(&format!("shop-{:04}", self.placed), 100)
            .await;
        self.placed += 1;
    }

    /// So long that the sweep has downloaded certificates again.
    async fn goes_on_for_an_hour(&mut self) {
        for _ in 0..4 {
            self.goes_on().await;
            self.stack.advance(WAIT_SECONDS).await;
            self.stack.sweep().await;
        }
    }

    /// The shop goes on before the functions know of a change, and after.
    async fn waits(&mut self) {
        self.goes_on().await;
        self.stack.advance(WAIT_SECONDS).await;
        self.stack.sweep().await;
        self.goes_on().await;
    }
}

fn merchant_path(stack: &TestStack, rest: &str) -> String {
    format!("merchants/{}{rest}", stack.stack.simulator.merchant().mchid)
}

fn file(stack: &TestStack, name: &str) -> String {
    std::fs::read_to_string(stack.simulator_file(name)).unwrap()
}

fn put(stack: &TestStack, id: &str, value: &Value) {
    stack.put_secret(id, &value.to_string());
}

async fn rotate_merchant_key(shop: &mut Shop<'_>) {
    let stack = shop.stack;
    let old = stack.secret("SigningSecret");
    let path = merchant_path(stack, "/certificates");
    let made = stack.control(&path, json!({})).await;
    let mut signing = old.clone();
    signing["serial_no"] = made["serial_no"].clone();
    signing["private_key"] = made["apiclient_key"].clone();
    put(stack, "SigningSecret", &signing);
    shop.waits().await;
    // Revoked at once, and nobody notices: nothing is signed with it any more.
    let before = stack.wire.requests().len();
    let serial = old["serial_no"].as_str().unwrap();
    let path = merchant_path(stack, &format!("/certificates/{serial}"));
    stack.control(&path, json!({"state": "revoked"})).await;
    shop.waits().await;
    let new = made["serial_no"].as_str().unwrap();
    let requests = stack.wire.requests();
    let signed = requests.iter().skip(before);
    let signed: Vec<&str> = signed
        .filter_map(|one| one.header("authorization"))
        .collect();
    assert!(!signed.is_empty());
    assert!(
        signed.iter().all(|signed| signed.contains(new)),
        "{signed:?}"
    );
}

/// A token outlives the key that made it, for as long as that key is accepted; so does a merchant's key.
async fn rotate_api_keys(shop: &mut Shop<'_>) {
    let stack = shop.stack;
    let old = stack.secret("ApiSecret");
    let new_token_key = STANDARD.encode(Sha256::digest("the next token key"));
    stack.watch.hide(&new_token_key);
    let new_key = "merchant-key-after-its-rotation-no-secret";
    stack.watch.hide(new_key);
    let hash = HEXLOWER.encode(&Sha256::digest(new_key));
    let before = stack.login(ALICE).await;
    let asks = async |credential: &str| stack.get(credential, "/orders/shop-0001").await.status;
    let mut both = old.clone();
    both["also_accepted_token_keys"] = json!([new_token_key]);
    both["merchant_key_hashes"] = json!([old["merchant_key_hashes"][0], hash]);
    put(stack, "ApiSecret", &both);
    shop.waits().await;
    assert_eq!(
        (asks(new_key).await, asks(&stack.merchant).await),
        (200, 200)
    );
    both["token_key"] = json!(new_token_key);
    both["also_accepted_token_keys"] = json!([old["token_key"]]);
    put(stack, "ApiSecret", &both);
    shop.waits().await;
    let after = stack.login(ALICE).await;
    // Not Alice's order: she is known, and sees nothing.
    assert_eq!((asks(&before).await, asks(&after).await), (404, 404));
    both["also_accepted_token_keys"] = json!([]);
    both["merchant_key_hashes"] = json!([hash]);
    put(stack, "ApiSecret", &both);
    stack.advance(WAIT_SECONDS).await;
    assert_eq!((asks(&before).await, asks(&after).await), (401, 404));
    assert_eq!(
        (asks(new_key).await, asks(&stack.merchant).await),
        (200, 401)
    );
    // The shop goes on with the key that it has: a credential that is not known has the secret read
    // again, at most once a minute.
    both["merchant_key_hashes"] = old["merchant_key_hashes"].clone();
    put(stack, "ApiSecret", &both);
    assert_eq!(asks(&stack.merchant).await, 401);
    stack.advance(61).await;
    shop.waits().await;
    assert_eq!(asks(new_key).await, 401);
}

async fn rotate_apiv3_key(shop: &mut Shop<'_>, new: &str) {
    let stack = shop.stack;
    stack.watch.hide(new);
    let old = stack.secret("Apiv3Secret")["apiv3_key"].clone();
    put(
        stack,
        "Apiv3Secret",
        &json!({"apiv3_key": old, "also_accepted": [new]}),
    );
    shop.waits().await;
    let path = merchant_path(stack, "");
    stack.control(&path, json!({"apiv3_key": new})).await;
    shop.waits().await;
    assert!(logged_slots(stack).contains(&"other".to_owned()));
    put(
        stack,
        "Apiv3Secret",
        &json!({"apiv3_key": new, "also_accepted": [old]}),
    );
    shop.waits().await;
    put(stack, "Apiv3Secret", &json!({"apiv3_key": new}));
    shop.waits().await;
    assert_eq!(logged_slots(stack).last().unwrap(), "current");
}

/// Which key opened each notification, as the log tells it.
fn logged_slots(stack: &TestStack) -> Vec<String> {
    let lines = stack.log_lines();
    let slots = lines.iter().filter_map(|line| line["notice.key"].as_str());
    slots.map(str::to_owned).collect()
}

/// Nobody puts anything anywhere: the next certificate is found before it signs anything.
async fn rotate_platform_certificate(shop: &mut Shop<'_>) {
    let stack = shop.stack;
    let share = async |share: f64| {
        let path = merchant_path(stack, "");
        stack
            .control(&path, json!({"new_certificate_share": share}))
            .await
    };
    let rotate = async |what: &str| {
        let path = merchant_path(stack, "/rotate");
        stack.control(&path, json!({"what": what})).await
    };
    rotate("platform_certificate").await;
    // WeChat Pay announces it months before; the sweep looks each hour.
    shop.goes_on_for_an_hour().await;
    for step in [0.0001, 0.5, 1.0] {
        share(step).await;
        shop.waits().await;
    }
    rotate("platform_certificate_end").await;
    shop.goes_on_for_an_hour().await;
}

/// The public key changes without notice: what is refused meanwhile comes again.
async fn replace_public_key(shop: &mut Shop<'_>) {
    let stack = shop.stack;
    stack.native("shop-surprise", 100).await;
    let path = merchant_path(stack, "/rotate");
    stack.control(&path, json!({"what": "public_key"})).await;
    stack.pay("shop-surprise").await;
    let refused = |line: &Value| line["notice"] == "unauthorized" && line["reason"] == "serial";
    let look = async || json!(stack.log_lines().iter().any(refused));
    stack.until(look, |seen| *seen == true).await;
    let described: Value = serde_json::from_str(&file(stack, "merchant.json")).unwrap();
    let old = stack.secret("WechatpaySecret");
    let new = json!({
        "public_key_id": described["public_key_id"],
        "public_key": file(stack, "pub_key.pem"),
        "also_accepted": [old],
    });
    put(stack, "WechatpaySecret", &new);
    stack.advance(WAIT_SECONDS).await;
    stack.until_state("shop-surprise", "SUCCESS").await;
    shop.waits().await;
    let mut only_new = new.clone();
    only_new["also_accepted"] = json!([]);
    put(stack, "WechatpaySecret", &only_new);
    shop.waits().await;
}

/// From certificate to public key: WeChat Pay moves notifications over share by share.
async fn switch_to_the_public_key(shop: &mut Shop<'_>) {
    let stack = shop.stack;
    for share in [0.1, 0.5, 1.0] {
        let path = merchant_path(stack, "");
        stack
            .control(&path, json!({"public_key_share": share}))
            .await;
        shop.waits().await;
    }
    let path = merchant_path(stack, "");
    stack.control(&path, json!({"mode": "public-key"})).await;
    shop.waits().await;
}

async fn every_key_is_rotated(mode: Mode, seed: u64) {
    let stack = TestStack::with(|options| {
        options.mode = mode;
        options.seed = seed;
    })
    .await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut order = [
        Rotated::Merchant,
        Rotated::Apiv3,
        Rotated::Platform,
        Rotated::Api,
    ];
    order.shuffle(&mut random);
    println!("seed {seed}: {order:?}");
    let mut shop = Shop::open(&stack).await;
    for rotated in order {
        for _ in 0..random.random_range(0..3) {
            shop.goes_on().await;
        }
        match (rotated, mode) {
            (Rotated::Api, _) => rotate_api_keys(&mut shop).await,
            (Rotated::Merchant, _) => rotate_merchant_key(&mut shop).await,
            (Rotated::Apiv3, _) => {
                let new = format!("ROTATED{seed:025}");
                rotate_apiv3_key(&mut shop, &new).await;
            }
            (Rotated::Platform, Mode::PublicKey) => replace_public_key(&mut shop).await,
            (Rotated::Platform, Mode::Certificate) => rotate_platform_certificate(&mut shop).await,
            (Rotated::Platform, Mode::Both) => {
                // Not both at once: WeChat Pay allows one of these changes at a time.
                rotate_platform_certificate(&mut shop).await;
                switch_to_the_public_key(&mut shop).await;
            }
        }
    }
    // Two more, so that every order but the newest two was paid and refunded.
    shop.waits().await;
    let unauthorized = stack.log_lines();
    let unauthorized = unauthorized
        .iter()
        .filter(|line| line["notice"] == "unauthorized")
        .count();
    if !matches!(mode, Mode::PublicKey) {
        assert_eq!(unauthorized, 0, "an announced rotation refuses nothing");
    }
    let given_up = stack.seen("notifications").await;
    let given_up = given_up.iter().filter(|row| row["state"] == "given_up");
    assert_eq!(given_up.count(), 0, "no notification is refused for ever");
}

#[tokio::test]
async fn every_key_is_rotated_while_the_public_key_signs() {
    every_key_is_rotated(Mode::PublicKey, 1).await;
}

#[tokio::test]
async fn every_key_is_rotated_while_a_certificate_signs() {
    every_key_is_rotated(Mode::Certificate, 2).await;
}

#[tokio::test]
async fn every_key_is_rotated_while_both_sign() {
    every_key_is_rotated(Mode::Both, 3).await;
}
