//! The connector against a server that sends an answer's head and body apart, as they come over a
//! long way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::AGENT;
use crate::clock::Clock;
use crate::config::{Environment, Vars};
use crate::process::Process;
use crate::telemetry::Log;

#[tokio::test]
async fn one_call_after_the_other_takes_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream));
        }
    });
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", &url),
    ];
    let variables: BTreeMap<String, String> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let vars = Vars::from_map(variables);
    let process = Process::with(Clock::system(), Log::stdout()).unwrap();
    let mut reader = Environment::new(&vars, &process);
    let client = reader.secrets_client();
    for _ in 0..5 {
        let secret = client.get_secret_value().secret_id("any").send().await;
        assert_eq!(secret.unwrap().secret_string(), Some("text"));
    }
    // What was begun in the background would have arrived by now.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Answers every request on the connection.
async fn answer(mut stream: TcpStream) {
    let body = r#"{"SecretString":"text"}"#;
    let mut received = Vec::new();
    while stream
        .read_buf(&mut received)
        .await
        .is_ok_and(|read| read > 0)
    {
        // A call's body is a line of JSON.
        if !received.ends_with(b"}") {
            continue;
        }
        // A request of another kind gets no answer, and the call fails.
        let asked = String::from_utf8(std::mem::take(&mut received)).unwrap();
        let agents: Vec<&str> = asked
            .lines()
            .filter(|line| line.to_ascii_lowercase().contains("user-agent"))
            .collect();
        assert_eq!(agents, [format!("user-agent: {AGENT}")]);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // The client, on the same thread, gets to read the head before there is a body.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        stream.write_all(body.as_bytes()).await.unwrap();
    }
}
