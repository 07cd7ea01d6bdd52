//! The doctor as an operator types it: on the stack here, on a folder, on a stack that is not to be had.

use serde_json::Value;

use crate::shop::{Ran, shop, wxpay};

fn verdict(told: &Value, name: &str) -> String {
    let checks = told["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap()["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn the_stack_here_has_nothing_to_mend() {
    let shop = shop();
    let told = shop.run(&["doctor", "--json"]).json();
    for name in [
        "stack",
        "iam",
        "secrets",
        "signature",
        "answer_signature",
        "functions",
        "notify_reachable",
        "app_login",
        "trade_management",
    ] {
        assert_eq!(verdict(&told, name), "ok", "{name}: {told:#}");
    }
    let ran = shop.run(&["doctor", "--lang", "zh"]);
    assert!(ran.text().contains("✓ 部署："), "{}", ran.out);
    // A pipe has no colours.
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn a_folder_is_looked_at_without_a_stack_and_what_is_wrong_ends_with_8() {
    let shop = shop();
    let folder = shop.file("simulator");
    let doctor = |more: &[&str]| {
        let mut command = wxpay();
        command.args(["doctor", "--offline", "--json", "--from"]);
        command.arg(&folder).args(more).env("LANG", "zh_CN.UTF-8");
        Ran::of(command.output().unwrap())
    };
    let told = doctor(&[]).json();
    assert_eq!(verdict(&told, "key_pair"), "ok", "{told:#}");
    assert_eq!(verdict(&told, "signature"), "skipped");
    let ran = doctor(&["--mchid", "1900000222"]);
    assert_eq!(ran.failed(8), "wxpay: 2 of 26 checks failed\n");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(verdict(&told, "mchid"), "fail");
    assert!(ran.out.contains("证书却属于商户"), "{}", ran.out);
    let mut missing = wxpay();
    missing.args(["doctor", "--from", "/nonexistent"]);
    let ran = Ran::of(missing.output().unwrap());
    assert!(
        ran.failed(3).contains("/nonexistent cannot be read"),
        "{ran:?}"
    );
}

#[test]
fn a_stack_that_may_not_be_looked_at_or_is_not_there_is_told() {
    let shop = shop();
    let told = |ran: Ran| -> Value {
        ran.failed(8);
        serde_json::from_str(&ran.out).unwrap()
    };
    let mut denied = wxpay();
    denied
        .args(["doctor", "--json", "--stack", "local"])
        .env("AWS_ENDPOINT_URL", shop.text("aws_url"))
        .env("AWS_REGION", "ap-southeast-1")
        .env("AWS_ACCESS_KEY_ID", "LOCALQueryFunction")
        .env("AWS_SECRET_ACCESS_KEY", "local");
    let denied = told(Ran::of(denied.output().unwrap()));
    assert_eq!(verdict(&denied, "stack"), "fail", "{denied:#}");
    assert_eq!(verdict(&denied, "iam"), "skipped", "{denied:#}");
    let evidence = denied["checks"][0]["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("cloudformation:DescribeStacks"),
        "{evidence}"
    );
    let mut missing = wxpay();
    missing.args(["doctor", "--json", "--data-dir", "/nonexistent"]);
    let missing = told(Ran::of(missing.output().unwrap()));
    assert_eq!(verdict(&missing, "stack"), "fail", "{missing:#}");
}
