//! The real process: killed in the middle and started again; and what it says when it cannot start.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use shared::platform::Platform;

/// `wxpay up` in a folder; killed when dropped.
struct Process {
    child: Child,
    // Kept open: a process that prints into a closed pipe dies of it.
    _told: BufReader<ChildStdout>,
    described: Value,
    http: reqwest::Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wxpay(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    command.arg("up").arg("--data-dir").arg(folder);
    command
        .args([
            "--port",
            "0",
            "--simulator-port",
            "0",
            "--control-port",
            "0",
        ])
        .args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = wxpay(folder, &[]).spawn().unwrap();
        // Its first line is printed when everything answers.
        let mut first = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        told.read_line(&mut first).unwrap();
        assert!(first.starts_with("The API"), "{first:?}");
        let described = std::fs::read(folder.join("local.json")).unwrap();
        let described = serde_json::from_slice(&described).unwrap();
        Self {
            child,
            _told: told,
            described,
            http: Platform::system().unwrap().http,
        }
    }

    /// SIGKILL: nothing of the process runs any more.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn text(&self, name: &str) -> &str {
        self.described[name].as_str().unwrap()
    }

    async fn post(&self, url: String, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(url)
            .bearer_auth(self.text("merchant_api_key"))
            .json(&body);
        let answer = request
            .timeout(Duration::from_secs(20))
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    async fn order(&self, number: &str) -> Value {
        let url = format!("{}/orders/{number}", self.text("api_url"));
        let request = self
            .http
            .get(url)
            .bearer_auth(self.text("merchant_api_key"));
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn until(&self, number: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            let order = self.order(number).await;
            if wanted(&order) {
                return order;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{number} is {}", self.order(number).await);
    }
}

fn order() -> Value {
    json!({
        "trade_type": "native", "out_trade_no": "killed-001", "description": "Coffee",
        "amount": {"total": 500},
    })
}

#[tokio::test]
async fn killed_between_any_two_steps_the_same_request_continues_where_it_was() {
    let folder = tempfile::tempdir().unwrap();

    let first = Process::start(folder.path());
    let orders = format!("{}/orders", first.text("api_url"));
    let (status, placed) = first.post(orders, order()).await;
    assert_eq!(status, 201, "{placed}");
    let code = placed["pay"]["code_url"].clone();
    first.kill();

    let second = Process::start(folder.path());
    let (status, again) = second
        .post(format!("{}/orders", second.text("api_url")), order())
        .await;
    assert_eq!(
        (status, &again["pay"]["code_url"]),
        (200, &code),
        "the code on the screen still pays"
    );
    let pay = format!("{}/_sim/orders/killed-001/pay", second.text("control_url"));
    assert_eq!(second.post(pay, json!({"code_url": code})).await.0, 200);
    second.kill();

    // Whether or not the notice got through, the payment is found.
    let third = Process::start(folder.path());
    third
        .until("killed-001", |order| order["trade_state"] == "SUCCESS")
        .await;
    let refund = json!({"out_refund_no": "killed-r1", "amount": {"refund": 500}});
    let refunds = format!("{}/orders/killed-001/refunds", third.text("api_url"));
    // The answer is not waited for: the process dies while it may be under way.
    let asked = third
        .http
        .post(&refunds)
        .bearer_auth(third.text("merchant_api_key"))
        .json(&refund);
    let asked = tokio::spawn(asked.send());
    tokio::task::yield_now().await;
    third.kill();
    let _ = asked.await.unwrap();

    let fourth = Process::start(folder.path());
    let refunds = format!("{}/orders/killed-001/refunds", fourth.text("api_url"));
    let (status, answer) = fourth.post(refunds, refund).await;
    assert!(matches!(status, 200 | 202), "{status} {answer}");
    let ended = fourth
        .until("killed-001", |order| {
            order["refunds"][0]["status"] == "SUCCESS"
        })
        .await;
    assert_eq!(ended["amount"]["refunded"], 500);
    assert_eq!(ended["refunds"].as_array().unwrap().len(), 1);
    let ledger = fourth
        .http
        .get(format!("{}/_sim/ledger", fourth.text("control_url")));
    let ledger: Value = ledger.send().await.unwrap().json().await.unwrap();
    let rows = ledger["items"].as_array().unwrap();
    let refunded = rows
        .iter()
        .filter(|row| row["out_refund_no"].is_string())
        .count();
    assert_eq!(refunded, 1, "one refund at WeChat Pay: {rows:?}");
}

/// What a start that cannot be made says: one sentence, and that it failed.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
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
    assert!(refusal(command).contains(&port));
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    command
        .args(["up", "--port", "0", "--simulator-port", &port, "--data-dir"])
        .arg(folder.path());
    assert!(refusal(command).contains(&port));
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

#[test]
fn a_broken_template_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("template.yaml"),
        "Resources: {Thing: {}}",
    )
    .unwrap();
    let mut command = wxpay(&folder.path().join("data"), &[]);
    command.current_dir(folder.path());
    let told = refusal(command);
    assert!(told.contains("template.yaml"), "{told}");
}

#[test]
fn the_demo_is_green() {
    let output = Command::new(env!("CARGO_BIN_EXE_wxpay"))
        .arg("demo")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.contains("The books balance."), "{told}");
}
