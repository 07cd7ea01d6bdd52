//! The functions as processes: made when they are first needed, called with Lambda's events, dropped at
//! any point where they wait.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use lambda_runtime::Context as LambdaContext;
use local::functions::{Invoke, link};
use local::template::Template;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::Vars;
use shared::process::Process;
use shared::telemetry::Log;
use shared::transport::Transport;
use simulator::{Receive, Received, SentNotice};
use tokio::time::sleep;

use crate::fault::{Fault, Place};
use crate::network::{AWS_URL, Network};
use crate::weather::Weather;

/// By how many seconds a clock may be wrong, either way.
const SKEW_SECONDS: u64 = 20;

/// After how many waits a process dies, at most: what waits seldom would live through more.
const fn waits_max(place: Place) -> u64 {
    match place {
        Place::Notice | Place::Stream => 6,
        _ => 25,
    }
}

/// How long somebody who calls the API is kept waiting at most.
const LATE_MS: u64 = 4_000;

/// The HTTP client that builds requests; it sends none.
fn builder() -> Result<reqwest::Client, String> {
    static BUILDER: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let built = BUILDER.get_or_init(|| {
        let process = Process::with(Clock::system(), Log::stdout());
        process.map(|it| it.http).map_err(|error| error.to_string())
    });
    built.clone()
}

/// A region of its own for each world: the SDK shares what it has left for retries among all clients of a
/// region in the process, and one world must not use up another's.
fn region() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("eu-west-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What became of a call to the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, if it is JSON.
    pub body: Value,
    /// The function did not answer, and a fault explains it: this is the gateway's own.
    pub is_cut: bool,
}

impl Answer {
    /// The problem's code, empty where there is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// How an invocation ended that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process died, as the seed wanted.
    Died,
    /// It was not at its end when Lambda's time was over. By its own clock there was time left: nothing else
    /// excuses it.
    TookTooLong,
    /// The function says so itself.
    Failed(String),
}

/// The functions of one world.
pub struct Processes {
    template: Arc<Template>,
    network: Network,
    weather: Arc<Weather>,
    wall: Arc<dyn Fn() -> i64 + Send + Sync>,
    region: String,
    log: Log,
    running: Mutex<BTreeMap<String, Running>>,
}

/// A process.
#[derive(Clone)]
struct Running {
    invoke: Invoke,
    /// How far its clock is ahead of real time, in milliseconds.
    skew_ms: i64,
}

impl fmt::Debug for Processes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Processes").finish_non_exhaustive()
    }
}

/// What no log line may hold, whatever happens.
const NEVER_LOGGED: [&str; 6] = [
    "CANARY",
    "panicked",
    "BEGIN ",
    "Bearer ",
    "paySign",
    "ciphertext",
];

impl Processes {
    /// None runs yet.
    pub fn new(
        template: Arc<Template>,
        network: Network,
        wall: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Self {
        let weather = Arc::clone(&network.weather);
        let watching = Arc::clone(&weather);
        let log = Log::to(Arc::new(move |line| {
            if let Some(word) = NEVER_LOGGED.iter().find(|word| line.contains(**word)) {
                watching.broken(format!("{word:?} was logged: {line}"));
            }
        }));
        Self {
            template,
            network,
            weather,
            wall,
            region: region(),
            log,
            running: Mutex::default(),
        }
    }

    fn process(&self, id: &str, place: Place) -> Result<Running, String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = running.get(id) {
            return Ok(process.clone());
        }
        let skew_ms = match self.weather.strike(place) {
            Some(Fault::Skew) => {
                self.weather.struck(Fault::Skew, place);
                let skew = self.weather.draw(2 * SKEW_SECONDS + 1);
                1_000 * (i64::try_from(skew).unwrap_or(0) - 20)
            }
            _ => 0,
        };
        let wall = Arc::clone(&self.wall);
        let http = builder()?;
        let process = Process {
            clock: Clock::reading(Arc::new(move || wall() + skew_ms)),
            transport: Transport::in_process(http.clone(), Arc::new(self.network.clone())),
            http,
            log: self.log.clone(),
        };
        let function = self.template.functions.get(id);
        let function = function.ok_or_else(|| format!("there is no function {id}"))?;
        let mut variables = function.environment.clone();
        for (name, value) in [
            ("AWS_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", local::aws::access_key_of(id)),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_ENDPOINT_URL", AWS_URL.to_owned()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        let invoke = link(&function.binary, &Vars::from_map(variables), &process)
            .map_err(|error| error.to_string())?;
        let process = Running { invoke, skew_ms };
        running.insert(id.to_owned(), process.clone());
        Ok(process)
    }

    /// Every process ends; the next call makes new ones.
    pub fn restart(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.clear();
    }

    /// Invokes a function as Lambda does: within its time, and perhaps it dies on the way. One that does not
    /// keep to its time breaks a promise, unless its clock is behind.
    ///
    /// # Errors
    /// It brought nothing.
    pub async fn invoke(&self, id: &str, place: Place, event: Value) -> Result<Value, Ended> {
        let Running { invoke, skew_ms } = self.process(id, place).map_err(Ended::Failed)?;
        let seconds = self.template.functions[id].timeout_seconds;
        let mut context = LambdaContext::default();
        context.request_id = "request".to_owned();
        let deadline = (self.wall)() + i64::try_from(seconds * 1_000).unwrap_or(0);
        context.deadline = u64::try_from(deadline).unwrap_or(0);
        let dies = match self.weather.strike(place) {
            Some(Fault::Crash) => Some(1 + self.weather.draw(waits_max(place))),
            _ => None,
        };
        let mortal = Mortal {
            work: invoke(event, context),
            waits_left: dies,
        };
        let ended = match tokio::time::timeout(Duration::from_secs(seconds), mortal).await {
            Ok(Some(done)) => return done.map_err(Ended::Failed),
            Ok(None) => {
                self.weather.struck(Fault::Crash, place);
                Ended::Died
            }
            Err(_) => {
                if skew_ms >= 0 {
                    let over = format!("{id} does not keep to its {seconds} s");
                    self.weather.broken(over);
                }
                Ended::TookTooLong
            }
        };
        // What the process knew is gone with it.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(id);
        Err(ended)
    }

    /// Calls the API.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let place = if path.starts_with("/wechatpay/") {
            Place::Notice
        } else {
            Place::Request
        };
        let Some((id, event)) = self.event(method, path, headers, body) else {
            return Answer {
                status: 404,
                body: Value::Null,
                is_cut: false,
            };
        };
        let answered = self.invoke(&id, place, event).await;
        let is_cut = matches!(answered, Err(Ended::Died | Ended::TookTooLong));
        let answer = answered.unwrap_or_else(|ended| {
            self.weather.note(&format!("    {id}: {ended:?}"));
            json!({"statusCode": 500, "body": r#"{"message":"Internal Server Error"}"#})
        });
        let status = answer["statusCode"].as_u64().unwrap_or_default();
        let text = answer["body"].as_str().unwrap_or_default();
        let answer = Answer {
            status: u16::try_from(status).unwrap_or_default(),
            body: serde_json::from_str(text).unwrap_or_default(),
            is_cut,
        };
        self.weather.note(&format!(
            "  {method} {path}: {} {} {}{}",
            answer.status,
            answer.code(),
            answer.body["trade_state"].as_str().unwrap_or_default(),
            answer.body["status"].as_str().unwrap_or_default(),
        ));
        answer
    }

    /// API Gateway's event, and which function it is for.
    fn event(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(String, Value)> {
        let functions = self.template.functions.iter();
        let (id, route, parameters) = functions
            .flat_map(|(id, function)| function.routes.iter().map(move |route| (id, route)))
            .find_map(|(id, (wanted, route))| {
                let parameters = parameters(route, path).filter(|_| wanted == method)?;
                Some((id, route, parameters))
            })?;
        let mut all: BTreeMap<String, &str> = BTreeMap::new();
        all.insert("content-type".to_owned(), "application/json");
        for (name, value) in headers {
            all.insert(name.to_ascii_lowercase(), value);
        }
        let event = json!({
            "version": "2.0",
            "routeKey": format!("{method} {route}"),
            "rawPath": path,
            "rawQueryString": "",
            "headers": all,
            "pathParameters": parameters,
            "body": String::from_utf8_lossy(body),
            "isBase64Encoded": false,
            "requestContext": {
                "accountId": "000000000000", "apiId": "proof", "domainName": "proof.test",
                "domainPrefix": "proof", "requestId": "request", "stage": "$default",
                "routeKey": format!("{method} {route}"),
                "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": (self.wall)(),
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                         "sourceIp": "203.0.113.7", "userAgent": "proof"},
            },
        });
        Some((id.clone(), event))
    }
}

/// What a path holds for a route's parameters; `None` where it does not fit.
fn parameters(route: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    let mut found = BTreeMap::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(wanted), Some(given)) => {
                let name = wanted.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
                match name {
                    Some(name) => {
                        found.insert(name.to_owned(), given.to_owned());
                    }
                    None if wanted == given => {}
                    None => return None,
                }
            }
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Work that may end at one of its waits.
struct Mortal<T> {
    work: Pin<Box<dyn Future<Output = T> + Send>>,
    waits_left: Option<u64>,
}

impl<T> Future for Mortal<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.work.as_mut().poll(context);
        match (polled, &mut self.waits_left) {
            (Poll::Ready(done), _) => Poll::Ready(Some(done)),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(0 | 1)) => Poll::Ready(None),
            (Poll::Pending, Some(left)) => {
                *left -= 1;
                Poll::Pending
            }
        }
    }
}

/// The webhook, as WeChat Pay reaches it.
#[derive(Debug)]
pub struct Webhook {
    weather: Arc<Weather>,
    processes: Arc<OnceLock<Weak<Processes>>>,
}

impl Webhook {
    /// The webhook of processes that are named later: they need WeChat Pay, which needs this.
    pub fn new(weather: Arc<Weather>) -> (Self, Arc<OnceLock<Weak<Processes>>>) {
        let processes = Arc::new(OnceLock::new());
        let webhook = Self {
            weather,
            processes: Arc::clone(&processes),
        };
        (webhook, processes)
    }
}

async fn deliver(processes: &Processes, notice: &SentNotice) -> Answer {
    if let Some(order) = &notice.tells_payment_of {
        processes.weather.seen(|witness, _| {
            witness.payment_told(order);
            Ok(())
        });
    }
    let headers: Vec<(&str, &str)> = notice
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let body = notice.body.as_bytes();
    processes
        .call("POST", "/wechatpay/notify", &headers, body)
        .await
}

impl Receive for Webhook {
    fn receive(&self, notice: SentNotice) -> Received {
        let weather = Arc::clone(&self.weather);
        let processes = self.processes.get().and_then(Weak::upgrade);
        Box::pin(async move {
            let processes = processes?;
            let fault = weather.strike(Place::Notice);
            let fault = fault.filter(|fault| !matches!(fault, Fault::Crash | Fault::Skew));
            if let Some(fault) = fault {
                weather.struck(fault, Place::Notice);
            }
            sleep(weather.latency()).await;
            let answer = match fault {
                Some(Fault::Refused) => return None,
                Some(Fault::Late) => {
                    let late = Duration::from_millis(weather.draw(LATE_MS));
                    tokio::spawn(async move {
                        sleep(late).await;
                        deliver(&processes, &notice).await;
                    });
                    return None;
                }
                Some(Fault::Delayed) => {
                    sleep(Duration::from_millis(300 + weather.draw(LATE_MS))).await;
                    deliver(&processes, &notice).await
                }
                Some(Fault::Twice) => {
                    let (first, _) =
                        tokio::join!(deliver(&processes, &notice), deliver(&processes, &notice));
                    first
                }
                _ => deliver(&processes, &notice).await,
            };
            if fault == Some(Fault::Lost) {
                return None;
            }
            let body = answer.body.to_string().into_bytes();
            http::Response::builder()
                .status(answer.status)
                .body(body)
                .ok()
        })
    }
}
