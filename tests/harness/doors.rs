//! The two doors of a function: over HTTP, through the local stack's gateway, and in process, with the
//! event that API Gateway makes of the request. The event is made here a second time, apart from the
//! gateway's own code, so that a mistake of either shows as two answers.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::contract::Exchange;
use super::{Answer, TestStack, declared};

/// The operations that change the table.
const WRITES: [&str; 5] = [
    "BatchWriteItem",
    "DeleteItem",
    "PutItem",
    "TransactWriteItems",
    "UpdateItem",
];

/// The template's routes: method, path, and the function behind it.
static ROUTES: LazyLock<Vec<(String, String, String)>> = LazyLock::new(|| {
    let functions = declared().into_iter();
    let routes = functions.flat_map(|(id, function)| {
        let routes = function.routes.into_iter();
        routes.map(move |(method, path)| (method, path, id.clone()))
    });
    routes.collect()
});

/// A request, as HTTP clients can send it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: Method, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a credential, unless it is empty.
    #[must_use]
    pub fn by(self, credential: &str) -> Self {
        match credential {
            "" => self,
            credential => self.header("authorization", &format!("Bearer {credential}")),
        }
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    fn header_named(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The function that API Gateway hands it to, and the event; `None` where no route takes it.
    pub fn event(&self) -> Option<(String, Value)> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let path = percent_decode_str(path).decode_utf8_lossy();
        let path = path.split('?').next().unwrap_or_default();
        let (method, known, function) = ROUTES.iter().find(|(method, known, _)| {
            *method == self.method.as_str() && parameters(known, path).is_some()
        })?;
        let route_key = format!("{method} {known}");
        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": self.joined_headers(),
            "requestContext": {
                "accountId": "000000000000", "apiId": "local", "domainName": "pay.example",
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                         "sourceIp": "127.0.0.1", "userAgent": "Mozilla/4.0"},
                "requestId": "in-process", "routeKey": route_key, "stage": "$default",
                "time": "28/Jan/2026:09:07:11 +0000", "timeEpoch": 1_769_591_231_000_i64,
            },
            "isBase64Encoded": false,
        });
        let held = parameters(known, path)?;
        if !held.is_empty() {
            event["pathParameters"] = Value::Object(held);
        }
        let body = self.body.as_deref().unwrap_or_default();
        if !body.is_empty() {
            let kind = self.header_named("content-type");
            let kind = kind.unwrap_or("application/json");
            let as_text = ["text/", "application/json", "application/xml"];
            let as_text = as_text.iter().any(|known| kind.starts_with(known));
            match std::str::from_utf8(body) {
                Ok(text) if as_text => event["body"] = json!(text),
                _ => {
                    event["body"] = json!(STANDARD.encode(body));
                    event["isBase64Encoded"] = json!(true);
                }
            }
        }
        Some((function.clone(), event))
    }

    /// Names in lower case, the values of one name joined by commas.
    fn joined_headers(&self) -> Map<String, Value> {
        let mut joined: Map<String, Value> = Map::new();
        joined.insert("x-forwarded-for".to_owned(), json!("127.0.0.1"));
        joined.insert("x-forwarded-proto".to_owned(), json!("https"));
        if self.body.is_some() && self.header_named("content-type").is_none() {
            joined.insert("content-type".to_owned(), json!("application/json"));
        }
        for (name, value) in &self.headers {
            // HTTP takes what is blank around a value away.
            let value = value.trim_matches([' ', '\t']);
            let name = name.to_ascii_lowercase();
            let before = joined.get(&name).and_then(Value::as_str);
            let both = match before {
                Some(before) if name != "x-forwarded-for" => format!("{before},{value}"),
                _ => value.to_owned(),
            };
            joined.insert(name, Value::from(both));
        }
        joined
    }
}

/// What a decoded path holds for the parameters of a route; `None` where it is not of that route.
fn parameters(known: &str, path: &str) -> Option<Map<String, Value>> {
    let (known, path): (Vec<&str>, Vec<&str>) =
        (known.split('/').collect(), path.split('/').collect());
    let mut held = Map::new();
    for (known, part) in known.iter().zip(&path) {
        let name = known.strip_prefix('{');
        match name.and_then(|name| name.strip_suffix('}')) {
            Some(name) if !part.is_empty() => {
                held.insert(name.to_owned(), Value::from(*part));
            }
            None if known == part => {}
            _ => return None,
        }
    }
    (known.len() == path.len()).then_some(held)
}

/// What the spy saw while something was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Calls that change the table, whether or not their conditions held.
    pub writes: Vec<String>,
    /// All calls to the table, the secrets and the bus.
    pub calls: usize,
    /// Requests to WeChat Pay.
    pub asked: usize,
    /// Log lines that tell of a panic.
    pub panics: Vec<String>,
}

/// Where the spy's lists stood.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    calls: usize,
    asked: usize,
    lines: usize,
}

impl TestStack {
    /// Marks where the spy's lists stand.
    pub fn mark(&self) -> Mark {
        Mark {
            calls: self.watch.calls().len(),
            asked: self.wire.requests().len(),
            lines: self.logged().len(),
        }
    }

    /// What was seen since.
    pub fn seen_since(&self, mark: Mark) -> Seen {
        let calls = self.watch.calls().split_off(mark.calls);
        let operations = calls.iter().map(|call| call.operation.clone());
        let panics = self.logged().split_off(mark.lines);
        let panics = panics.into_iter().filter(|line| line.contains("panicked"));
        Seen {
            writes: operations
                .filter(|operation| WRITES.contains(&operation.as_str()))
                .collect(),
            calls: calls.len(),
            asked: self.wire.requests().len() - mark.asked,
            panics: panics.collect(),
        }
    }

    /// Sends a request over HTTP.
    pub async fn over_http(&self, request: &Request) -> Answer {
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (method, body) = (request.method.clone(), request.body.clone());
        self.send_bytes(method, &request.target, None, &headers, body)
            .await
    }

    /// Hands a request's event to its function; `None` where API Gateway has no route for it.
    pub async fn in_process(&self, request: &Request) -> Option<Answer> {
        let (function, event) = request.event()?;
        self.watch.sent(request.body.as_deref().unwrap_or_default());
        let answer = self.stack.invoke(&function, event).await;
        let answer = answer.unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
        let text = answer["body"].as_str().unwrap_or_default();
        let header = |name: &str| answer["headers"][name].as_str().unwrap_or_default();
        let given = request.header_named("authorization");
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        self.watch.answered(&request.target, given, text);
        let answer = Answer {
            status: u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap(),
            content_type: header("content-type").to_owned(),
            retry_after: header("retry-after").parse().ok(),
            body: serde_json::from_str(text).unwrap_or(Value::Null),
        };
        let exchange = Exchange {
            method: request.method.as_str(),
            path: &request.target,
            body: request.body.as_deref().unwrap_or_default(),
            status: answer.status,
            content_type: &answer.content_type,
            retry_after: answer.retry_after,
            answer: text,
        };
        exchange.check();
        Some(answer)
    }

    /// Plays an attack at both doors and gives the one answer, with everything that is wrong about it:
    /// two answers, a write, a question to WeChat Pay, a panic.
    pub async fn attacked(&self, request: &Request) -> (Answer, Vec<String>) {
        let mark = self.mark();
        let answer = self.over_http(request).await;
        let inside = self.in_process(request).await;
        let mut wrong = Vec::new();
        if let Some(inside) = inside.filter(|inside| *inside != answer) {
            wrong.push(format!("in process it is answered {inside:?}"));
        }
        let seen = self.seen_since(mark);
        // What the record refuses may have been tried, under a condition; what its form does is not even tried.
        if !matches!(answer.status, 409 | 429) && !seen.writes.is_empty() {
            wrong.push(format!("it came to {:?}", seen.writes));
        }
        if seen.asked != 0 {
            wrong.push("WeChat Pay was asked".to_owned());
        }
        if !seen.panics.is_empty() {
            wrong.push(format!("it panicked: {:?}", seen.panics));
        }
        (answer, wrong)
    }
}
