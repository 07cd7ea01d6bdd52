//! The real process: what it says at its start, what it says when it cannot start, and the demo.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use local::template::arn;
use serde_json::{Value, json};

use crate::harness::process::{LOOK_EVERY, Process, order, wxpay};
use crate::harness::{PATIENCE, declared, functions_with};

/// What a start that cannot be made says: one sentence, and that it failed.
fn refusal(mut command: Command) -> String {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    let mut greeting = BufReader::new(child.stdout.take().unwrap());
    greeting.read_line(&mut first).unwrap();
    if !first.is_empty() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(first, "", "it starts");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    told
}

#[test]
fn a_taken_port_is_said_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    command
        .args(["up", "--port", &port, "--data-dir"])
        .arg(folder.path());
    assert!(refusal(command).contains(&format!("{port} (--port)")));
    for option in ["--simulator-port", "--control-port", "--aws-port"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
        command
            .args(["up", "--port", "0", option, &port, "--data-dir"])
            .arg(folder.path());
        assert!(refusal(command).contains(&format!("{port} ({option})")));
    }
}

#[test]
fn a_usual_port_that_is_taken_is_said_and_another_one_is_used() {
    // Taken by this test, or by somebody else on this machine.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", local::stack::PORT));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    command
        .args(["up", "--simulator-port", "0", "--control-port", "0"])
        .args(["--aws-port", "0", "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    let mut greeting = BufReader::new(child.stdout.take().unwrap());
    greeting.read_line(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        first.starts_with("The API            http://127.0.0.1:"),
        "{first}"
    );
    assert!(!first.contains("127.0.0.1:3000"), "{first}");
    assert!(first.contains("port 3000 is taken"), "{first}");
    assert!(first.contains("--port"), "{first}");
}

#[test]
fn a_data_dir_that_is_a_file_is_said_in_one_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let told = refusal(wxpay(file.path(), &[]));
    assert!(
        told.contains("is a file") && told.contains("--data-dir"),
        "{told}"
    );
}

#[test]
fn a_damaged_file_of_the_folder_is_named_with_what_to_do_about_it() {
    for name in ["table.sqlite", "secrets.json"] {
        let folder = tempfile::tempdir().unwrap();
        Process::start(folder.path()).kill();
        let file = folder.path().join(name);
        std::fs::write(&file, vec![b'x'; 9_000]).unwrap();
        let told = refusal(wxpay(folder.path(), &[]));
        assert!(told.contains(&file.display().to_string()), "{told}");
        assert!(told.contains("move it away"), "{told}");
        assert!(!told.contains("Database"), "{told}");
        std::fs::remove_file(&file).unwrap();
        Process::start(folder.path()).kill();
    }
}

/// Options that cannot be meant, and what the refusal has to name.
#[test]
fn an_option_that_cannot_be_meant_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let untouched = folder.path().join("untouched");
    let data_dir = untouched.to_str().unwrap();
    let long_key = "k".repeat(2_049);
    for (arguments, said) in [
        (
            &["up", "--hostility", "7"][..],
            &["--hostility", "from 0 to 1"][..],
        ),
        (&["up", "--hostility=-0.1"], &["--hostility", "from 0 to 1"]),
        (
            &["up", "--hostility", "NaN"],
            &["--hostility", "from 0 to 1"],
        ),
        (&["up", "--speed", "0"], &["--speed", "from 0.001"]),
        (&["up", "--speed", "inf"], &["--speed", "from 0.001"]),
        (&["up", "--speed", "1e300"], &["--speed", "to 1000000"]),
        (&["up", "--speed", "1e-300"], &["--speed", "from 0.001"]),
        (&["up", "--merchant-api-key", ""], &["--merchant-api-key"]),
        (
            &["up", "--merchant-api-key", "a b"],
            &["--merchant-api-key", "spaces"],
        ),
        (
            &["up", "--merchant-api-key", &long_key],
            &["--merchant-api-key", "1 to 2048"],
        ),
        (&["demo"], &["--api-url"]),
        (
            &["demo", "--api-url", "127.0.0.1:4300"],
            &["--api-url", "such as http://"],
        ),
        (&["demo", "--api-url", ""], &["--api-url"]),
        (
            &["demo", "--api-url", "ftp://127.0.0.1"],
            &["--api-url", "such as http://"],
        ),
        // What stands before a subcommand would not reach it.
        (&["--port", "4391", "up"], &["--port", "up"]),
        (&["--data-dir", "elsewhere", "up"], &["--data-dir", "up"]),
        (&["--port", "4390", "demo"], &["--port", "demo"]),
        (&["--hostility", "0.5", "demo"], &["--hostility", "demo"]),
        (&["--speed", "60", "demo"], &["--speed", "demo"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_wxpay"))
            .args(arguments)
            .args(["--data-dir", data_dir])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        for part in said {
            assert!(
                told.contains(part),
                "{arguments:?}: {part} is not in {told}"
            );
        }
    }
    assert!(!untouched.exists());
}

#[cfg(unix)]
#[test]
fn a_data_dir_that_leads_nowhere_or_is_no_folder_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("gone"), &link).unwrap();
    let told = refusal(wxpay(&link, &[]));
    assert!(
        told.contains("is a link that leads nowhere") && told.contains("--data-dir"),
        "{told}"
    );
    let told = refusal(wxpay(Path::new("/dev/null"), &[]));
    assert!(
        told.contains("is not a folder") && told.contains("--data-dir"),
        "{told}"
    );
    // One that leads somewhere is as good as the folder.
    std::fs::create_dir(folder.path().join("gone")).unwrap();
    Process::start(&link).kill();
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_one_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let told = refusal(wxpay(&file.path().join("inside-a-file"), &[]));
    assert!(told.contains("folder"), "{told}");
}

#[test]
fn a_second_stack_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Process::start(folder.path());
    let told = refusal(wxpay(folder.path(), &[]));
    assert!(told.contains("another wxpay"), "{told}");
}

/// What is changed in the template, into what, and what the sentence has to tell.
const BROKEN: &[(&str, &str, &[&str])] = &[
    (
        "Path: /sessions",
        "Path: sessions",
        &["CreateSession", "slash"],
    ),
    (
        "Path: /sessions",
        "Pfad: /sessions",
        &["CreateSession", "Path"],
    ),
    (
        "Method: POST, Path: /orders}",
        "Method: PSOT, Path: /orders}",
        &["CreateOrder", "PSOT"],
    ),
    (
        "      Events:\n        Notify:",
        "      Event:\n        Notify:",
        &["NotifyCallbackFunction", "Events"],
    ),
    (
        "      Events:\n        EveryMinute:",
        "      Evnets:\n        EveryMinute:",
        &["SweepFunction", "Events"],
    ),
    ("IndexName: due", "IndexName: dew", &["index due"]),
    ("IndexName: payer", "IndexNames: payer", &["index payer"]),
    (
        "Action: kms:Decrypt",
        "Action: 7",
        &["LoginFunction", "Action"],
    ),
    (
        "Action: kms:Decrypt",
        "Aktion: kms:Decrypt",
        &["LoginFunction", "Action"],
    ),
    (
        "[dynamodb:BatchGetItem,",
        "[7,",
        &["ReconcileFunction", "Action"],
    ),
    (
        "Resource: !GetAtt SecretsKey.Arn",
        "Resource: []",
        &["LoginFunction", "Resource"],
    ),
];

#[test]
fn a_broken_template_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |template: &str| {
        std::fs::write(folder.path().join("template.yaml"), template).unwrap();
        let mut command = wxpay(&folder.path().join("data"), &[]);
        command.current_dir(folder.path());
        let told = refusal(command);
        assert!(told.contains("template.yaml"), "{told}");
        told
    };
    refused("Resources: {Thing: {}}");
    let whole = include_str!("../../template.yaml");
    for (part, broken, parts) in BROKEN {
        assert!(whole.contains(part), "{part} is not in the template");
        let told = refused(&whole.replacen(part, broken, 1));
        for part in *parts {
            assert!(told.contains(part), "{broken}: {part} is not in {told}");
        }
    }
}

/// Puts a text into the api secret of a folder whose stack is down; gives the one before.
fn put_api_secret(folder: &Path, text: &str) -> String {
    let file = folder.join("secrets.json");
    let mut secrets: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let current = &mut secrets[arn("ApiSecret")]["current"];
    let before = current.as_str().unwrap().to_owned();
    *current = Value::from(text);
    std::fs::write(&file, secrets.to_string()).unwrap();
    before
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_said_at_start_and_picked_up_when_it_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let well = Process::start(folder.path());
    assert_eq!(well.complained(), "");
    let good = put_api_secret(folder.path(), "CANARY");
    let process = Process::start(folder.path());
    let told = process.complained();
    assert!(told.contains("the api secret"), "{told}");
    assert!(told.contains("expected shape"), "{told}");
    // JSON, but nothing of the sort; and the shape of it, with nothing filled in.
    put_api_secret(folder.path(), "\"CANARY\"");
    Process::start(folder.path()).kill();
    let mut placeholders: Value = serde_json::from_str(&good).unwrap();
    placeholders["number_key"] = json!("CANARY");
    placeholders["token_key"] = json!("CANARY");
    put_api_secret(folder.path(), &placeholders.to_string());

    let process = Process::start(folder.path());
    let (status, refused) = process.wish("/orders", order("waits-001")).await.unwrap();
    assert_eq!((status, &refused["code"]), (503, &json!("not_configured")));
    let put = process
        .http
        .post(process.text("aws_url"))
        .header("x-amz-target", "secretsmanager.PutSecretValue")
        .header("authorization", "Credential=LOCALoperator/")
        .body(json!({"SecretId": arn("ApiSecret"), "SecretString": good}).to_string());
    assert_eq!(put.send().await.unwrap().status(), 200);
    let mut patience = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
    loop {
        let (status, placed) = process.wish("/orders", order("waits-001")).await.unwrap();
        if status == 201 {
            break;
        }
        patience -= 1;
        assert!((status, patience > 0) == (503, true), "{status} {placed}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let told = process.complained();
    // One problem, one line, with everybody whom it stops and nothing of the secret.
    assert_eq!(told.lines().count(), 1, "{told}");
    for part in ["the api secret", "number_key", "token_key"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let stopped = functions_with("API_SECRET_ARN");
    for function in declared().into_values().map(|function| function.binary) {
        let is_stopped = stopped.contains(&function);
        assert_eq!(told.contains(&function), is_stopped, "{function}: {told}");
    }
    assert!(!told.contains("CANARY"), "{told}");
}

/// Runs the demo until it is green; gives what it printed.
fn demo(more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    let output = command.arg("demo").args(more).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.contains("The books balance."), "{told}");
    told
}

#[test]
fn the_demo_is_green() {
    demo(&[]);
}

#[test]
fn the_whole_demo_is_green() {
    let told = demo(&["--all"]);
    for ended in [
        "the sweep asked WeChat Pay by itself: order SUCCESS",
        "closed by the sweep, here and at WeChat Pay",
        "WeChat Pay is asked before it is closed: SUCCESS",
        "to the merchant's bank card: refund SUCCESS",
        "an order.paid of each payment among them",
        "it is found: fund_flow_differs, paid_here_not_in_bill",
    ] {
        assert!(told.contains(ended), "{ended}: {told}");
    }
}

#[tokio::test]
async fn the_demo_names_the_knob_that_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let knobs = format!("{}/_sim/knobs", process.text("control_url"));
    let turned = process.post(knobs, None, &[], json!({"refund_delay_s": null}));
    assert_eq!(turned.await.unwrap().0, 200);
    let output = Command::new(env!("CARGO_BIN_EXE_wxpay"))
        .args(["demo", "--api-url", process.text("api_url"), "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in ["PROCESSING", "refund_delay_s", process.text("control_url")] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("--speed"), "{told}");
}

#[test]
fn the_demo_says_where_the_api_is_if_it_is_led_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for (url, said) in [
        (process.text("simulator_url"), "is not the API"),
        (process.text("control_url"), "is not the API"),
        (process.text("aws_url"), "is not the API"),
        (&nobody, "nothing listens at"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_wxpay"))
            .args(["demo", "--api-url", url, "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
        for part in [said, url, process.text("api_url")] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
}

/// At this speed WeChat Pay's minute between two refunds is longer than anything else is waited for.
#[test]
fn the_demo_waits_for_the_minute_of_a_stack_that_is_not_fast() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_with(folder.path(), None, &["--speed", "4"]);
    let url = process.text("api_url");
    let data_dir = folder.path().to_str().unwrap();
    let told = demo(&["--api-url", url, "--data-dir", data_dir]);
    assert!(told.contains("until the next refund may be sent"), "{told}");
}
