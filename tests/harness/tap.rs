//! A tap on the wire to WeChat Pay: what the functions really send and are sent, byte for byte.
//!
//! It passes bytes and understands nothing, so whatever the simulator does to a connection (drops it,
//! drips, cuts it short) reaches the functions as it was done. It keeps its address when the simulator
//! behind it is started anew. It can hold a request where it is, so that something else happens
//! meanwhile ([`Tap::hold`]).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How much of the answers on one connection is kept.
const ANSWERS_MAX: usize = 256 * 1024;

/// One direction of one connection, as far as it came.
type Bytes = Arc<Mutex<Vec<u8>>>;

/// A request as it went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// How far a held request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The server has nothing of it.
    Unsent,
    /// The server has its head and half of what followed at once.
    Half,
    /// The server did it, and its answer is on the way.
    Done,
}

/// Which requests are held where, and which of them are there.
struct Hold {
    at: Held,
    lines: Vec<String>,
    reached: BTreeSet<String>,
}

/// The tap.
pub struct Tap {
    /// Its address, for `WechatpayBaseUrl`.
    pub url: String,
    /// `host:port`, for `WechatpayTrustedHosts`.
    pub authority: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    target: Mutex<Option<String>>,
    asked: Mutex<Vec<Bytes>>,
    answered: Mutex<Vec<Bytes>>,
    hold: Mutex<Option<Hold>>,
    released: Notify,
}

impl Tap {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let passing = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(Arc::clone(&passing), client));
            }
        });
        Self {
            url: format!("http://{authority}"),
            authority,
            shared,
            task,
        }
    }

    /// Passes new connections to this base URL from now on.
    pub fn lead_to(&self, base_url: &str) {
        let target = base_url.trim_start_matches("http://").to_owned();
        *self.shared.target.lock().unwrap() = Some(target);
    }

    /// Holds requests whose first line begins like one of these, until [`Self::release`].
    pub fn hold(&self, at: Held, lines: &[&str]) {
        *self.shared.hold.lock().unwrap() = Some(Hold {
            at,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            reached: BTreeSet::new(),
        });
    }

    /// How many different requests are held.
    pub fn held(&self) -> usize {
        let hold = self.shared.hold.lock().unwrap();
        hold.as_ref().map_or(0, |hold| hold.reached.len())
    }

    /// Holds no more requests; the connections of those that were held are dropped.
    pub fn release(&self) {
        *self.shared.hold.lock().unwrap() = None;
        self.shared.released.notify_waiters();
    }

    /// Every whole request so far; in order within a connection.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests()
    }

    /// Reads what went over the wire, requests and whatever came back, also after the tap is gone.
    pub fn reader(&self) -> Arc<dyn Fn() -> (Vec<Request>, Vec<String>) + Send + Sync> {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || (shared.requests(), shared.answers()))
    }
}

impl Shared {
    /// Where the request that begins with these bytes is to be held, and its first line.
    fn holds(&self, begins: &[u8]) -> Option<(Held, String)> {
        let hold = self.hold.lock().unwrap();
        let hold = hold.as_ref()?;
        let end = begins.windows(2).position(|two| two == b"\r\n")?;
        let line = String::from_utf8_lossy(&begins[..end]).into_owned();
        let wanted = hold.lines.iter().any(|wanted| line.starts_with(wanted));
        wanted.then_some((hold.at, line))
    }

    /// Notes that the request is held, and stays with it until it is let go.
    async fn stay(&self, line: String) {
        // Made first: whoever releases from now on is heard.
        let released = self.released.notified();
        if let Some(hold) = self.hold.lock().unwrap().as_mut() {
            hold.reached.insert(line);
        } else {
            return;
        }
        released.await;
    }

    fn requests(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap();
        let of = |bytes: &Bytes| parsed(&bytes.lock().unwrap());
        asked.iter().flat_map(of).collect()
    }

    fn answers(&self) -> Vec<String> {
        let answered = self.answered.lock().unwrap();
        let text = |bytes: &Bytes| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        answered.iter().map(text).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(shared: Arc<Shared>, client: TcpStream) {
    let target = shared.target.lock().unwrap().clone();
    // Without a server behind it the connection is dropped, as by a server that died.
    let Some(target) = target else { return };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (asked, answered) = (Bytes::default(), Bytes::default());
    shared.asked.lock().unwrap().push(Arc::clone(&asked));
    shared.answered.lock().unwrap().push(Arc::clone(&answered));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The request whose answer is to be held on this connection.
    let awaited = Mutex::new(None);
    tokio::select! {
        () = ask(&shared, from_client, to_server, &asked, &awaited) => {}
        () = answer(&shared, from_server, to_client, &answered, &awaited) => {}
    }
}

async fn ask(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    kept: &Bytes,
    awaited: &Mutex<Option<String>>,
) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let mut passed = &chunk[..read];
        let held = shared.holds(passed);
        match &held {
            Some((Held::Unsent, line)) => return shared.stay(line.clone()).await,
            Some((Held::Half, _)) => passed = &passed[..half(passed)],
            Some((Held::Done, line)) => *awaited.lock().unwrap() = Some(line.clone()),
            None => {}
        }
        keep(kept, passed, usize::MAX);
        if to.write_all(passed).await.is_err() {
            break;
        }
        if let Some((Held::Half, line)) = held {
            return shared.stay(line).await;
        }
    }
}

async fn answer(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    kept: &Bytes,
    awaited: &Mutex<Option<String>>,
) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let line = awaited.lock().unwrap().take();
        if let Some(line) = line {
            return shared.stay(line).await;
        }
        keep(kept, &chunk[..read], ANSWERS_MAX);
        if to.write_all(&chunk[..read]).await.is_err() {
            break;
        }
    }
}

/// The head, and half of the body's bytes that came with it.
fn half(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = head.map_or(0, |end| end + 4);
    head + (bytes.len() - head) / 2
}

fn keep(kept: &Bytes, passed: &[u8], most: usize) {
    let mut kept = kept.lock().unwrap();
    let left = most.saturating_sub(kept.len());
    kept.extend_from_slice(&passed[..passed.len().min(left)]);
}

/// The requests in one connection's bytes; the client frames every body by `content-length`.
fn parsed(mut bytes: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap().split(' ');
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .map_or(0, |(_, value)| value.parse().unwrap());
        let Some(body) = bytes.get(end + 4..end + 4 + length) else {
            break;
        };
        requests.push(Request {
            method: first.next().unwrap().to_owned(),
            target: first.next().unwrap().to_owned(),
            headers,
            body: body.to_vec(),
        });
        bytes = &bytes[end + 4 + length..];
    }
    requests
}
