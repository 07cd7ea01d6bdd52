//! What goes on until somebody stops it: log lines and events as they come.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shop::{PATIENCE, Shop, shop};

/// SIGINT, as Ctrl-C sends it.
const INTERRUPT: i32 = 2;

/// A command that runs until it is stopped, and the lines that it prints.
pub struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Following {
    pub fn start(mut command: Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The first line that fits, while it goes on.
    #[track_caller]
    pub fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE - started.elapsed()) {
            if fits(&line) {
                return line;
            }
        }
        panic!("no line fits; {:?}", self.child.try_wait());
    }

    /// What is said of one order from here on, until nothing more comes for a while.
    fn rest(&self, quiet: Duration, number: &str) -> Vec<String> {
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(quiet).ok());
        lines.filter(|line| line.contains(number)).collect()
    }

    pub fn interrupt(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        self.ended()
    }

    #[track_caller]
    fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn here(shop: &Shop, arguments: &[&str]) -> Following {
    Following::start(shop.command(arguments))
}

fn as_on_aws(shop: &Shop, arguments: &[&str]) -> Following {
    Following::start(shop.command_as_on_aws("local", arguments))
}

#[tokio::test]
async fn log_lines_and_events_come_while_somebody_follows_and_each_once() {
    // Nobody replays anything here: a stack of its own.
    let shop = Shop::start();
    let token = shop.token().await;
    let before = shop.paid(&token, "paid-before-anybody-followed").await;
    let logs = ["logs", "--follow", "--json"];
    let tail = ["events", "tail", "--follow", "--json"];
    let mut all = [
        here(&shop, &logs),
        here(&shop, &tail),
        as_on_aws(&shop, &tail),
    ];
    // Each shows first what was there, so it follows from here on.
    for one in &mut all {
        one.line(|line| line.contains(&before));
    }
    let number = shop.paid(&token, "paid-while-somebody-follows").await;
    let is_notice = |line: &str| line.contains("notify-callback") && line.contains(&number);
    let [logs, local, aws] = &mut all;
    let notice = logs.line(is_notice);
    let quiet = Duration::from_secs(4);
    assert!(
        !logs.rest(quiet, &number).contains(&notice),
        "a line came twice"
    );
    let id = format!("{number}:order:2");
    for events in [local, aws] {
        let paid = events.line(|line| line.contains(&id));
        let paid: Value = serde_json::from_str(&paid).unwrap();
        assert_eq!(paid["detail-type"], "order.paid", "{paid}");
        assert_eq!(paid["detail"]["id"], id.as_str(), "{paid}");
        assert!(paid["detail"]["occurred_at"].is_string(), "{paid}");
        assert_eq!(events.rest(quiet, &number), [""; 0], "an event came twice");
    }
    for one in &mut all {
        assert_eq!(one.interrupt().signal(), Some(INTERRUPT));
    }
}

#[tokio::test]
async fn whoever_stops_reading_ends_it_quietly() {
    let shop = shop();
    let token = shop.token().await;
    let before = shop.paid(&token, "paid-before-the-pipe-closed").await;
    let logs: &[&str] = &["logs", "--follow", "--json"];
    let events: &[&str] = &["events", "tail", "--follow", "--last", "10000"];
    let mut all = Vec::new();
    for arguments in [logs, events] {
        let piped = shop
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = piped.unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(&before) {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended");
        }
        // As `head` does once it has what it wants.
        drop(out);
        let (_, lines) = channel();
        all.push(Following { child, lines });
    }
    shop.paid(&token, "paid-once-nobody-reads").await;
    for mut one in all {
        assert_eq!(one.ended().code(), Some(0));
        let mut said = String::new();
        let mut err = one.child.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
    }
}
