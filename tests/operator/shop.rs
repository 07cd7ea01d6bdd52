//! A stack that runs, and `wxpay` as an operator types it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long something may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A stack of its own, which ends with the last test that uses it.
pub struct Shop {
    child: Child,
    // Kept open: a process that prints into a closed pipe dies of it.
    _told: BufReader<ChildStdout>,
    described: Value,
    folder: tempfile::TempDir,
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

static SHARED: Mutex<Weak<Shop>> = Mutex::new(Weak::new());

/// The stack that tests share.
pub fn shop() -> Arc<Shop> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(Shop::start());
    *shared = Arc::downgrade(&started);
    started
}

/// The tool, with nothing of this machine's AWS in its environment.
pub fn wxpay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxpay"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env_remove("WXPAY_API_KEY")
        .stdin(Stdio::null());
    command
}

/// What a run of the tool came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its answer, if it did what was asked.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// Its answer as people get it, if it did what was asked.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }

    /// What it says, if it ended with this code.
    #[track_caller]
    pub fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        &self.err
    }
}

/// A client of its own for each request: connections end with the test that made them, and a stack is shared.
fn http() -> reqwest::Client {
    shared::process::Process::system().unwrap().http
}

impl Shop {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = wxpay();
        command.args(["up", "--data-dir"]).arg(folder.path());
        for port in ["--port", "--simulator-port", "--control-port", "--aws-port"] {
            command.args([port, "0"]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // Its first line is printed when everything answers.
        let mut first = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        told.read_line(&mut first).unwrap();
        assert!(first.starts_with("The API"), "{first:?}");
        let described = std::fs::read(folder.path().join("local.json")).unwrap();
        Self {
            child,
            _told: told,
            described: serde_json::from_slice(&described).unwrap(),
            folder,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.described[name].as_str().unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the tool on this stack.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// The tool on this stack.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wxpay();
        command.args(arguments).arg("--data-dir");
        command.arg(self.folder.path());
        command
    }

    /// Runs the tool as on AWS: by the stack's name and credentials of the environment, with AWS's address
    /// set to this stack's.
    pub fn run_as_on_aws(&self, stack: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command_as_on_aws(stack, arguments).output().unwrap())
    }

    /// The tool as on AWS.
    pub fn command_as_on_aws(&self, stack: &str, arguments: &[&str]) -> Command {
        let mut command = wxpay();
        command
            .args(arguments)
            .args(["--stack", stack])
            .env("AWS_ENDPOINT_URL", self.text("aws_url"))
            .env("AWS_REGION", "ap-southeast-1")
            .env("AWS_ACCESS_KEY_ID", "LOCALoperator")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("WXPAY_API_KEY", self.text("merchant_api_key"));
        command
    }

    async fn post(&self, url: String, credential: Option<&str>, key: &str, body: Value) -> Value {
        let mut request = http().post(&url).json(&body).timeout(PATIENCE);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }

    /// What happens at the phone.
    pub async fn phone(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/_sim/{path}", self.text("control_url"));
        self.post(url, None, "", body).await
    }

    /// A payer who logged in.
    pub async fn token(&self) -> String {
        let code = self.phone("codes", json!({})).await;
        let url = format!("{}/sessions", self.text("api_url"));
        let session = self
            .post(url, None, "", json!({"code": code["code"]}))
            .await;
        session["token"].as_str().unwrap().to_owned()
    }

    /// Two teas, ordered by this payer; their order's number.
    pub async fn ordered(&self, token: &str, key: &str) -> String {
        let order = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 2}]});
        let url = format!("{}/orders", self.text("api_url"));
        let placed = self.post(url, Some(token), key, order).await;
        placed["out_trade_no"].as_str().unwrap().to_owned()
    }

    /// Two teas, ordered and paid, and the notification settled: nobody asked before it came.
    pub async fn paid(&self, token: &str, key: &str) -> String {
        let number = self.ordered(token, key).await;
        self.phone(&format!("orders/{number}/pay"), json!({})).await;
        let started = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.file("log.jsonl")).unwrap_or_default();
            let mut lines = log.lines();
            let settled = |line: &str| line.contains("notify-callback") && line.contains(&number);
            if lines.any(settled) {
                return number;
            }
            assert!(started.elapsed() < PATIENCE, "no notification of {number}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A refund that this payer asks for; its number.
    pub async fn asked_back(&self, token: &str, number: &str, key: &str, fen: i64) -> String {
        let url = format!("{}/orders/{number}/refunds", self.text("api_url"));
        let body = json!({"amount": {"refund": fen}, "reason": "cold"});
        let asked = self.post(url, Some(token), key, body).await;
        asked["out_refund_no"].as_str().unwrap().to_owned()
    }

    pub async fn order(&self, number: &str) -> Value {
        let url = format!("{}/orders/{number}", self.text("api_url"));
        let request = http().get(url).bearer_auth(self.text("merchant_api_key"));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Moves the business clock of stack and simulator.
    pub async fn clock(&self, seconds: i64) {
        let url = format!("{}/_local/clock", self.text("control_url"));
        self.post(url, None, "", json!({"advance_s": seconds}))
            .await;
    }

    async fn secrets_manager(&self, operation: &str, request: Value) -> Value {
        let request = http()
            .post(self.text("aws_url"))
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=LOCALoperator/x",
            )
            .body(request.to_string());
        let answer = request.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{operation}: {}",
            answer.status()
        );
        answer.json().await.unwrap()
    }

    /// A secret's members.
    pub async fn secret(&self, name: &str) -> Value {
        let answer = self
            .secrets_manager("GetSecretValue", json!({"SecretId": name}))
            .await;
        serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap()
    }

    pub async fn put_secret(&self, name: &str, members: Value) {
        let request = json!({"SecretId": name, "SecretString": members.to_string()});
        self.secrets_manager("PutSecretValue", request).await;
    }
}
