//! What docs/operations.md promises of alarms: they count what the functions write, a refund that does
//! not move on is counted until it moves, and payments without notices are seen.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use shared::telemetry::Metric;

use crate::documents::page;
use crate::harness::{ALICE, TestStack, payment_content, refund_of};

/// The pattern of template.yaml's `NoticesFilter`; [`arrived`] says the same.
const NOTICES: &str =
    r#"{ $.function = "notify-callback" && ($.settled = "changed" || $.settled = "unchanged") }"#;

/// The metric filters of template.yaml, as (metric, pattern).
fn filters() -> BTreeSet<(String, String)> {
    let template: Yaml = serde_yaml_ng::from_str(&page("template.yaml")).unwrap();
    let text = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
    let resources = template["Resources"].as_mapping().unwrap().values();
    resources
        .filter(|resource| resource["Type"] == "AWS::Logs::MetricFilter")
        .map(|filter| &filter["Properties"])
        .map(|filter| {
            let metric = &filter["MetricTransformations"][0]["MetricName"];
            (text(metric), text(&filter["FilterPattern"]))
        })
        .collect()
}

/// A name written differently on one side would leave an alarm silent for ever.
#[test]
fn the_template_counts_every_number_that_functions_write_and_no_other() {
    let written = Metric::ALL.iter().map(|metric| {
        let name = metric.as_str();
        let pattern = format!("{{ $.{name} > 0 }}");
        (name.to_owned(), pattern)
    });
    let others =
        [("notices", NOTICES)].map(|(name, pattern)| (name.to_owned(), pattern.to_owned()));
    let expected: BTreeSet<_> = written.chain(others).collect();
    assert_eq!(filters(), expected);
}

#[test]
fn the_runbooks_stand_in_the_order_of_their_numbers() {
    let page = page("docs/operations.md");
    let headings = page
        .lines()
        .filter_map(|line| line.strip_prefix("#### RB-"));
    let numbers: Vec<usize> = headings
        .map(|heading| heading.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.len() > 10, "{numbers:?}");
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

/// The runbooks, each with its text.
fn runbooks() -> Vec<(String, String)> {
    let page = page("docs/operations.md");
    let (_, alarms) = page.split_once("\n## Alarms\n").unwrap();
    let (alarms, _) = alarms.split_once("\n## ").unwrap();
    let books = alarms.split("\n#### ").skip(1).map(|book| {
        let (name, rest) = book.split_once('\n').unwrap();
        let text = rest.split("\n### ").next().unwrap();
        (name.to_owned(), text.to_owned())
    });
    books.collect()
}

/// Whoever is woken up types commands and looks for nothing.
#[test]
fn each_runbook_names_a_command_that_does_a_step() {
    let books = runbooks();
    assert!(books.len() >= 30, "{}", books.len());
    for (name, text) in &books {
        let quoted = text.split('`').skip(1).step_by(2);
        let commands: Vec<&str> = quoted.filter(|word| word.starts_with("wxpay ")).collect();
        assert!(!commands.is_empty(), "{name} names no command");
        for command in commands {
            let on_aws = command.contains("--stack wxpay");
            assert!(on_aws, "{name}: {command} is for the stack on this machine");
        }
    }
}

/// Names such as `FailedRecords`: resources, parameters and outputs of the template, and properties in it.
#[test]
fn no_step_names_what_the_stack_does_not_have() {
    let template = page("template.yaml");
    let keys: BTreeSet<&str> = template
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(key, _)| key)
        .collect();
    let mut found = 0;
    for (name, text) in runbooks() {
        let quoted = text.split('`').skip(1).step_by(2);
        let named = quoted.filter(|word| {
            let mut signs = word.chars();
            signs.next().is_some_and(|sign| sign.is_ascii_uppercase())
                && word.chars().all(|sign| sign.is_ascii_alphanumeric())
                && word.chars().any(|sign| sign.is_ascii_lowercase())
        });
        for word in named {
            assert!(keys.contains(word), "{name}: the stack has no {word}");
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

/// The tool itself reads each of its commands on the page. With `--help` behind them it does nothing more, and
/// refuses what it does not know before that.
#[test]
fn the_tools_commands_on_the_page_are_ones() {
    let read = |words: &str| {
        let mut wxpay = Command::new(env!("CARGO_BIN_EXE_wxpay"));
        wxpay
            .args(words.split_whitespace())
            .arg("--help")
            .output()
            .unwrap()
    };
    let page = page("docs/operations.md");
    let printed: BTreeSet<&str> = page
        .split("`wxpay ")
        .skip(1)
        .map(|rest| rest.split('`').next().unwrap())
        .collect();
    assert!(printed.len() >= 25, "{printed:?}");
    for words in printed {
        let told = read(words);
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "wxpay {words}: {said}");
    }
    for wrong in [
        "orders liszt",
        "orders list --stat NOTPAY",
        "orders list --state PAID",
    ] {
        assert!(!read(wrong).status.success(), "wxpay {wrong}");
    }
}

/// How many lines tell of a notice that was believed.
fn arrived(stack: &TestStack) -> usize {
    let lines = stack.log_lines();
    let believed = lines.iter().filter(|line| {
        line["function"] == "notify-callback"
            && (line["settled"] == "changed" || line["settled"] == "unchanged")
    });
    believed.count()
}

#[tokio::test]
async fn a_payment_that_no_notice_told_of_is_counted_as_paid_and_not_as_a_notice() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    let order = stack.paid("silence-01", 100).await;
    assert!(counted(&stack, "order_paid"));
    assert_eq!(arrived(&stack), 0, "{:#?}", stack.logged());
    // Neither a forgery nor a notice about somebody else's order shows that notices arrive.
    let mut content = payment_content(&stack, "silence-02", 100);
    let refused = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(refused.status, 404);
    let forged = stack.raw_notice(&[], b"{}".to_vec()).await;
    assert_eq!(forged.status, 400);
    assert_eq!(arrived(&stack), 0, "{:#?}", stack.logged());
    // One that comes after somebody asked settles nothing, and arrived.
    content["out_trade_no"] = json!("silence-01");
    for member in ["transaction_id", "success_time"] {
        content[member] = order[member].clone();
    }
    let late = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(late.status, 204);
    assert_eq!(arrived(&stack), 1, "{:#?}", stack.logged());
    // So did one that settles.
    stack.no_faults().await;
    stack.native("silence-03", 100).await;
    stack.pay("silence-03").await;
    let settled = async || stack.order_item("silence-03")["trade_state"]["S"].clone();
    stack.until(settled, |state| state == "SUCCESS").await;
    let lines = async || json!(arrived(&stack));
    stack.until(lines, |lines| lines.as_u64() >= Some(2)).await;
}

/// Whether a line counts this metric.
fn counted(stack: &TestStack, metric: &str) -> bool {
    let lines = stack.logged();
    let mut lines = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    lines.any(|line: Value| line[metric].as_i64().is_some_and(|count| count > 0))
}

#[tokio::test]
async fn a_refund_that_becomes_abnormal_counts_as_stuck_at_once() {
    // At WeChat Pay's own speed the bank takes five seconds, within which it is told to fail.
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("abnormal-01", 500).await;
    stack
        .refund("abnormal-01", "abnormal-r1", 500)
        .await
        .expect(202);
    assert!(!counted(&stack, "refund_stuck"));
    stack
        .control("refunds/abnormal-r1/abnormal", json!({}))
        .await;
    stack
        .until_refund("abnormal-01", "abnormal-r1", "ABNORMAL")
        .await;
    assert!(counted(&stack, "refund_stuck"), "{:#?}", stack.logged());
}

#[tokio::test]
async fn a_refund_that_lacked_funds_needs_nobody_once_it_is_taken() {
    let stack = TestStack::start().await;
    stack.paid("no-funds-01", 500).await;
    stack.fault("refund_not_enough", json!({"count": 1})).await;
    let asked = stack.refund("no-funds-01", "no-funds-r1", 500).await;
    let asked = asked.expect(202);
    assert_eq!(asked["status"], "RESERVED");
    assert_eq!(asked["needs_human"], true);
    assert!(counted(&stack, "needs_human"));
    assert!(!counted(&stack, "refund_stuck"));
    // Somebody tops the account up; the sweep tries again within the hour.
    stack.advance(61 * 60).await;
    stack.sweep().await;
    let order = stack
        .until_refund("no-funds-01", "no-funds-r1", "SUCCESS")
        .await;
    let refund = refund_of(&order, "no-funds-r1").unwrap();
    assert_eq!(refund["needs_human"], Value::Null, "{refund}");
}

/// The hours that the sweep counts of the oldest request, within the ten minutes in which it looks once.
async fn hours_waited(stack: &TestStack) -> Vec<i64> {
    let before = stack.log_lines().len();
    for _ in 0..10 {
        stack.advance(60).await;
        stack.sweep().await;
    }
    let lines = stack.log_lines();
    let told = lines[before..].iter();
    told.filter_map(|line| line["refund_request_hours"].as_i64())
        .collect()
}

#[tokio::test]
async fn a_request_that_waits_is_counted_in_hours_until_it_is_decided() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 1).await;
    assert_eq!(
        hours_waited(&stack).await,
        Vec::<i64>::new(),
        "nothing waits"
    );
    let mut asked = Vec::new();
    for key in ["key-0000000000002", "key-0000000000003"] {
        let answer = stack.asked_back(&alice, &number, key, 100).await;
        asked.push(answer["out_refund_no"].as_str().unwrap().to_owned());
        stack.advance(2 * 60 * 60 + 60).await;
    }
    // The younger one does not hide the older.
    assert_eq!(hours_waited(&stack).await, [4]);
    stack.advance(20 * 60 * 60).await;
    assert_eq!(hours_waited(&stack).await, [24]);
    let decide = async |refund: &str, decision: &str| {
        let path = format!("/orders/{number}/refunds/{refund}/{decision}");
        let decided = stack.post(&stack.merchant, &path, json!({})).await;
        assert!(matches!(decided.status, 200 | 202), "{decided:?}");
    };
    decide(&asked[0], "approve").await;
    assert_eq!(hours_waited(&stack).await, [22]);
    decide(&asked[1], "reject").await;
    assert_eq!(
        hours_waited(&stack).await,
        Vec::<i64>::new(),
        "decided is decided"
    );
}
