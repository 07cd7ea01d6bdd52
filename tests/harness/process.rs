//! The real process, `wxpay up`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, contract};

/// How often a condition is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// `wxpay up` in a folder; killed when dropped.
pub struct Process {
    child: Child,
    // Kept open: a process that prints into a closed pipe dies of it.
    _told: BufReader<ChildStdout>,
    described: Value,
    pub http: reqwest::Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn wxpay(folder: &Path, more: &[&str]) -> Command {
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
    pub fn start(folder: &Path) -> Self {
        Self::start_in(folder, None)
    }

    /// Started in another folder, it takes the template that is there.
    pub fn start_in(folder: &Path, started_in: Option<&Path>) -> Self {
        Self::start_with(folder, started_in, &[])
    }

    pub fn start_with(folder: &Path, started_in: Option<&Path>, more: &[&str]) -> Self {
        let mut command = wxpay(folder, more);
        if let Some(started_in) = started_in {
            command.current_dir(started_in);
        }
        let mut child = command.spawn().unwrap();
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
            http: shared::process::Process::system().unwrap().http,
        }
    }

    /// SIGKILL: nothing of the process runs any more.
    pub fn kill(mut self) {
        self.die();
    }

    pub fn die(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Killed; what it wrote besides its greeting.
    pub fn complained(mut self) -> String {
        self.die();
        let mut told = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        told
    }

    pub fn text(&self, name: &str) -> &str {
        self.described[name].as_str().unwrap()
    }

    pub fn request(
        &self,
        url: String,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.post(url).json(&body).timeout(PATIENCE);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    pub async fn post(
        &self,
        url: String,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<(u16, Value), reqwest::Error> {
        contract::sent(self.request(url, credential, headers, body)).await
    }

    /// A request of the merchant's.
    pub async fn wish(&self, path: &str, body: Value) -> Result<(u16, Value), reqwest::Error> {
        let url = format!("{}{path}", self.text("api_url"));
        self.post(url, Some(self.text("merchant_api_key")), &[], body)
            .await
    }

    pub async fn order(&self, number: &str) -> Value {
        let url = format!("{}/orders/{number}", self.text("api_url"));
        let request = self
            .http
            .get(url)
            .bearer_auth(self.text("merchant_api_key"));
        contract::sent(request).await.unwrap().1
    }

    pub async fn until(&self, number: &str, wanted: impl Fn(&Value) -> bool) -> Value {
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

/// A merchant's order.
pub fn order(number: &str) -> Value {
    json!({
        "trade_type": "native", "out_trade_no": number, "description": "Coffee",
        "amount": {"total": 500},
    })
}
