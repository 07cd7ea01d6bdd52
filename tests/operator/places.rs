//! The same commands by the ways of AWS: a stack's name, credentials of the environment, CloudFormation's
//! outputs, and the merchant's key from the environment or a file.

use crate::shop::{Ran, shop, wxpay};

#[tokio::test]
async fn a_stack_is_found_by_its_name_and_its_outputs() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "seen-by-the-ways-of-aws").await;
    let listed = shop.run_as_on_aws("local", &["orders", "list"]);
    assert!(listed.text().contains(&number), "{}", listed.out);
    let shown = shop.run_as_on_aws("local", &["orders", "show", &number]);
    assert!(shown.text().contains("event order.paid"), "{}", shown.out);
    let story = shop.run_as_on_aws("local", &["logs", "--order", &number]);
    assert!(story.text().contains("notify-callback"), "{}", story.out);
    let articles = shop.run_as_on_aws("local", &["articles", "list"]);
    assert!(articles.text().contains("Coffee 咖啡"), "{}", articles.out);
    shop.run_as_on_aws("local", &["secrets", "check"]).text();
    let tail = shop.run_as_on_aws("local", &["events", "tail"]);
    assert_eq!(tail.code, 0, "{tail:?}");

    let missing = shop.run_as_on_aws("wxpy", &["orders", "list"]);
    let said = missing.failed(3);
    assert!(
        said.contains("wxpy does not exist") && said.contains("ap-southeast-1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_key_that_the_api_does_not_know_is_told_as_that() {
    let shop = shop();
    let file = shop.file("key.txt");
    let run = |key: &str, arguments: &[&str]| {
        std::fs::write(&file, key).unwrap();
        let mut command = wxpay();
        command
            .args(arguments)
            .args([
                "--stack",
                "local",
                "--region",
                "eu-west-1",
                "--api-key-file",
            ])
            .arg(&file)
            .env("AWS_ENDPOINT_URL", shop.text("aws_url"))
            .env("AWS_ACCESS_KEY_ID", "LOCALoperator")
            .env("AWS_SECRET_ACCESS_KEY", "local");
        Ran::of(command.output().unwrap())
    };
    let key = format!("{}\n", shop.text("merchant_api_key"));
    run(&key, &["orders", "list"]).text();
    let refused = run("another-key", &["orders", "list"]);
    assert!(
        refused.failed(3).contains("does not know this key"),
        "{}",
        refused.err
    );
    assert!(!refused.err.contains("another-key"), "a key is never shown");
    run("", &["orders", "list"]).failed(3);
}
