//! Secrets: filled from WeChat's download, and nothing is written unless all of it is right.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::shop::Shop;

/// A folder as an operator has it after the download.
pub fn downloaded(shop: &Shop) -> PathBuf {
    let simulator = shop.file("simulator");
    let folder = shop.file("downloaded");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["apiclient_key.pem", "apiclient_cert.pem", "pub_key.pem"] {
        std::fs::copy(simulator.join(name), folder.join(name)).unwrap();
    }
    let merchant = std::fs::read(simulator.join("merchant.json")).unwrap();
    let merchant: Value = serde_json::from_slice(&merchant).unwrap();
    for (name, member) in [
        ("pub_key_id.txt", "public_key_id"),
        ("apiv3.txt", "apiv3_key"),
        ("appsecret.txt", "app_secret"),
    ] {
        let text = merchant[member].as_str().unwrap();
        // As editors leave it.
        std::fs::write(folder.join(name), format!("{text}\r\n")).unwrap();
    }
    folder
}

fn fates(answer: &Value) -> Vec<(&str, &str)> {
    let secrets = answer["secrets"].as_array().unwrap().iter();
    secrets
        .map(|it| (it["secret"].as_str().unwrap(), it["is"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn secrets_are_checked_before_they_are_written_and_own_keys_are_kept() {
    let shop = Shop::start();
    let folder = downloaded(&shop);
    let put = |more: &[&str]| {
        let mut arguments = vec!["secrets", "put", "--from", folder.to_str().unwrap()];
        arguments.extend(more);
        shop.run(&arguments)
    };
    let before = shop.secret("ApiSecret").await;
    let kept = put(&["--json"]).json();
    assert!(fates(&kept).iter().all(|(_, is)| *is == "kept"), "{kept}");
    assert!(kept["merchant_api_key"].is_null(), "{kept}");

    // What people really get wrong; each is named, and nothing of it is written.
    let written = all_secrets(&shop).await;
    for (file, broken, said) in wrong(&folder) {
        let sound = std::fs::read(folder.join(file)).unwrap();
        std::fs::write(folder.join(file), &broken).unwrap();
        let refused = put(&["--yes"]);
        assert!(refused.failed(5).contains(said), "{file}: {}", refused.err);
        assert!(
            !refused.err.contains(broken.trim()),
            "{file} is shown: {}",
            refused.err
        );
        std::fs::write(folder.join(file), sound).unwrap();
    }
    assert_eq!(all_secrets(&shop).await, written);

    // Another APIv3 key is a rotation: nobody confirms it here.
    let apiv3 = std::fs::read(folder.join("apiv3.txt")).unwrap();
    std::fs::write(folder.join("apiv3.txt"), "0123456789abcdefghijABCDEFGHIJ01").unwrap();
    assert!(put(&[]).failed(7).contains("Apiv3Secret"));
    assert_eq!(all_secrets(&shop).await, written);
    let replaced = put(&["--yes", "--json"]).json();
    assert_eq!(fates(&replaced)[2], ("Apiv3Secret", "replaced"));
    std::fs::write(folder.join("apiv3.txt"), apiv3).unwrap();
    put(&["--yes"]).text();

    // As after a first deployment: own keys are made, and the API key is shown this once.
    let record_key = shop.secret("SigningSecret").await["record_key"].clone();
    shop.put_secret("ApiSecret", json!({"number_key": before["number_key"]}))
        .await;
    let made = put(&["--json"]).json();
    assert_eq!(fates(&made)[4], ("ApiSecret", "completed"));
    let key = made["merchant_api_key"].as_str().unwrap().to_owned();
    let api = shop.secret("ApiSecret").await;
    assert_eq!(
        api["number_key"], before["number_key"],
        "the number key was not kept"
    );
    assert_ne!(api["token_key"], Value::Null);
    assert!(
        !api.to_string().contains(&key),
        "the stack keeps the hash alone"
    );
    assert_eq!(shop.secret("SigningSecret").await["record_key"], record_key);
    assert!(put(&["--json"]).json()["merchant_api_key"].is_null());
    shop.run(&["secrets", "check"]).text();

    shop.put_secret(
        "AppSecret",
        json!({"appid": "wx0000000000000000", "app_secret": "short"}),
    )
    .await;
    let found = shop.run(&["secrets", "check"]);
    assert_eq!(found.code, 8, "{found:?}");
    assert!(
        found.out.contains("✗ AppSecret: app_secret is not 32"),
        "{}",
        found.out
    );
}

/// A broken file of the folder, and what must be said of it.
fn wrong(folder: &Path) -> Vec<(&'static str, String, &'static str)> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let other = Shop::start();
    let other = other.file("simulator");
    let of_other = |name: &str| std::fs::read_to_string(other.join(name)).unwrap();
    vec![
        (
            "apiclient_key.pem",
            of_other("apiclient_key.pem"),
            "is not the key of apiclient_cert.pem",
        ),
        (
            "apiclient_key.pem",
            read("apiclient_cert.pem"),
            "holds a certificate and no key",
        ),
        (
            "apiclient_cert.pem",
            read("apiclient_key.pem"),
            "no certificate",
        ),
        ("pub_key.pem", read("apiclient_cert.pem"), "pub_key.pem"),
        (
            "pub_key_id.txt",
            "0123456789".to_owned(),
            "pub_key.pem and its id",
        ),
        (
            "apiv3.txt",
            "0123456789abcdefghijABCDEFGHIJ0".to_owned(),
            "31 bytes",
        ),
        (
            "apiv3.txt",
            "0123456789abcdefghijABCDEFGHIJ012".to_owned(),
            "33 bytes",
        ),
        (
            "appsecret.txt",
            "0123456789abcdef".to_owned(),
            "the AppSecret",
        ),
    ]
}

async fn all_secrets(shop: &Shop) -> Vec<Value> {
    let mut all = Vec::new();
    for name in [
        "SigningSecret",
        "WechatpaySecret",
        "Apiv3Secret",
        "AppSecret",
        "ApiSecret",
    ] {
        all.push(shop.secret(name).await);
    }
    all
}
