//! A server on loopback that says what a test tells it to, once per connection, and remembers what
//! it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{platform_keys, signed_headers};
use crate::clock::Clock;
use crate::wechatpay::SignatureHeaders;

/// What one connection is answered with.
pub(super) enum Reply {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, then the end, but only once the next request has come.
    Late(Vec<u8>),
    /// These bytes, then the end, but only once the next request was answered and its client hung up.
    Last(Vec<u8>),
    /// Nothing, and the connection stays open.
    Silence,
    /// Nothing, and the connection ends.
    Drop,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

pub(super) struct Server {
    pub(super) authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers one connection after another with these.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        Self::start_naming(|_| replies).await
    }

    /// The same, where what it answers names its own address.
    pub(super) async fn start_naming(replies: impl FnOnce(&str) -> Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let replies = replies(&authority);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, replies, Arc::clone(&asked)));
        Self {
            authority,
            asked,
            task,
        }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, replies: Vec<Reply>, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut silent = Vec::new();
    let mut late: Option<(TcpStream, Vec<u8>)> = None;
    let mut last: Option<(TcpStream, Vec<u8>)> = None;
    for reply in replies {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read(&mut stream).await;
        asked.lock().unwrap().push(request);
        if let Some((stream, bytes)) = late.take() {
            finish(stream, &bytes).await;
        }
        match reply {
            Reply::Bytes(bytes) => {
                let mut stream = finish(stream, &bytes).await;
                if let Some((last, bytes)) = last.take() {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    finish(last, &bytes).await;
                }
            }
            Reply::Late(bytes) => late = Some((stream, bytes)),
            Reply::Last(bytes) => last = Some((stream, bytes)),
            Reply::Silence => silent.push(stream),
            Reply::Drop => drop(stream),
        }
    }
    // Whoever is met with silence keeps an open connection until the test ends.
    std::future::pending::<()>().await;
}

async fn finish(mut stream: TcpStream, bytes: &[u8]) -> TcpStream {
    // The client may have hung up on an answer that is too large.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    stream
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let line = lines.next().unwrap().to_owned();
            let headers = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let asked = Asked {
                line,
                headers,
                body: body.to_owned(),
            };
            let length = asked
                .header("content-length")
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return asked;
            }
        }
        let read = stream.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// An answer with these headers besides the usual ones.
pub(super) fn answer(status: u16, headers: &[(&str, String)], body: &str) -> Reply {
    let mut head = format!(
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nConnection: close\r\n"
    );
    if status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    Reply::Bytes(format!("{head}\r\n{body}").into_bytes())
}

/// A signed answer that comes only once the next request has come.
pub(super) fn late(status: u16, body: &str) -> Reply {
    Reply::Late(signed_bytes(status, body))
}

/// A signed answer that comes only once the next request has its own.
pub(super) fn last(status: u16, body: &str) -> Reply {
    Reply::Last(signed_bytes(status, body))
}

fn signed_bytes(status: u16, body: &str) -> Vec<u8> {
    let Reply::Bytes(bytes) = signed(status, body) else {
        unreachable!("an answer is bytes");
    };
    bytes
}

/// An answer that WeChat Pay signed just now.
pub(super) fn signed(status: u16, body: &str) -> Reply {
    signed_at(status, body, 0)
}

/// An answer that WeChat Pay signed that many seconds from now.
pub(super) fn signed_at(status: u16, body: &str, seconds: i64) -> Reply {
    let now = Clock::system().wall();
    let headers = signed_headers(body.as_bytes(), now.plus_seconds(seconds));
    debug_assert!(
        SignatureHeaders::parse(|name| {
            headers
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
        })
        .is_ok_and(|parsed| {
            seconds != 0
                || crate::wechatpay::verify(&platform_keys(), &parsed, body.as_bytes(), now).is_ok()
        })
    );
    answer(status, &headers, body)
}
