//! AWS on this machine: one loopback address that speaks DynamoDB's, Secrets Manager's, EventBridge's and,
//! with paths, S3's protocol; and to the operator CloudFormation's, CloudWatch Logs' and Lambda's.
//!
//! Functions reach it through the real SDKs. Each has an access key of its own, and what the
//! template does not allow it, under the conditions that it names, is refused here as IAM would: a
//! permission that is missing shows on the developer's machine, not after the deployment. The table
//! is dynoxide, on disk.

mod access;
mod buckets;
mod bus;
mod lambda;
mod logs;
mod request;
pub mod secrets;
mod stacks;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use buckets::{Buckets, ObjectCall};
use logs::Logs;
use stacks::Stacks;

pub use access::{Access, Need, OPERATOR, access_key_of, bus_needs, secret_needs};
pub use bus::Events;
pub use lambda::{Invoked, Invoker};
pub use secrets::Secrets;

use crate::lock::locked;
use crate::loopback::{self, Pages};
use crate::recorder::Recorder;
use crate::template::{Permission, Template, physical};

/// A call on its way to the table, the secrets or a bucket.
#[derive(Clone, Debug)]
pub struct AwsCall {
    /// Who calls: a function's logical id, or [`OPERATOR`].
    pub caller: String,
    /// The operation, such as `TransactWriteItems`.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// The permissions that it needs, each with what it says for a policy's conditions.
    pub needs: Vec<Need>,
}

/// What may be made to happen to a call, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 before anything is done.
    Fail,
    /// Done, and then the connection breaks.
    LoseAnswer,
    /// `ProvisionedThroughputExceededException` before anything is done.
    Throttle,
    /// A transaction that met another one, before anything is done.
    Conflict,
    /// Of several events every second one is left behind; the others are put.
    LeaveSome,
}

/// Chooses a fault for a call.
pub type FaultHook = Arc<dyn Fn(&AwsCall) -> Option<Fault> + Send + Sync>;

/// The endpoint, running.
pub struct Aws {
    /// Its address, for `AWS_ENDPOINT_URL`.
    pub url: String,
    /// The table's engine.
    pub table: dynoxide::Database,
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

struct Inner {
    access: Access,
    buckets: Buckets,
    secrets: Secrets,
    bus: Events,
    stacks: Stacks,
    logs: Logs,
    invoker: OnceLock<Invoker>,
    used: Mutex<BTreeSet<(String, Permission)>>,
    fault: Mutex<Option<FaultHook>>,
    table_url: String,
    http: reqwest::Client,
    recorder: Arc<Recorder>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Aws")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Aws {
    /// Starts the endpoint on this listener, with its data in `folder`. What functions write is told to the
    /// recorder.
    ///
    /// # Errors
    /// Says in a sentence what could not be opened.
    pub async fn start(
        folder: &Path,
        outside: TcpListener,
        template: &Template,
        http: reqwest::Client,
        recorder: Arc<Recorder>,
    ) -> Result<Self, String> {
        let file = folder.join("table.sqlite");
        let table = open_table(&file, &template.table).map_err(|why| {
            format!(
                "the table {} cannot be used ({why}): move it away, with its orders, and the next \
                 start makes an empty one",
                file.display()
            )
        })?;
        let secrets = Secrets::open(folder.join("secrets.json"))?;
        let bus = Events::open(folder.join("events.jsonl"), Arc::clone(&recorder))?;
        let inside = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| format!("no port is free: {error}"))?;
        let address = |listener: &TcpListener| {
            listener
                .local_addr()
                .map(|address| format!("http://{address}"))
                .map_err(|error| error.to_string())
        };
        let (table_url, url) = (address(&inside)?, address(&outside)?);
        let inner = Arc::new(Inner {
            access: Access::new(template),
            buckets: Buckets::open(folder.to_owned()),
            secrets,
            bus,
            stacks: Stacks::of(template),
            logs: Logs::of(folder.join("log.jsonl")),
            invoker: OnceLock::new(),
            used: Mutex::new(BTreeSet::new()),
            fault: Mutex::new(None),
            table_url,
            http,
            recorder,
        });
        let guard = axum::middleware::from_fn_with_state(Pages::Own, loopback::guard);
        let router = Router::new()
            .fallback(call)
            // An object may be larger than what is usual; S3's own bound is far above what is put here.
            .layer(DefaultBodyLimit::max(OBJECT_MAX))
            .with_state(Arc::clone(&inner))
            .layer(guard);
        let tasks = vec![
            tokio::spawn(dynoxide::server::serve_on(inside, table.clone())),
            tokio::spawn(async move {
                // It ends only with the process or when the stack is stopped.
                let _ = axum::serve(outside, router).await;
            }),
        ];
        Ok(Self {
            url,
            table,
            inner,
            tasks,
        })
    }

    /// The secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }

    /// Lets the operator invoke functions through this, from now on.
    pub fn set_invoker(&self, invoker: Invoker) {
        // It is set once, by whoever starts the stack.
        let _ = self.inner.invoker.set(invoker);
    }

    /// The events that were put on the bus.
    pub fn events(&self) -> &Events {
        &self.inner.bus
    }

    /// The stream's records after this one, at most so many, as Lambda reads them with the right of the
    /// function that they are for.
    ///
    /// # Errors
    /// The function may not read the stream, or the stream cannot be read.
    pub fn stream(
        &self,
        function: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Value>, String> {
        let needs = access::stream_needs();
        self.inner
            .access
            .check(function, &needs)
            .map_err(|denied| {
                format!(
                    "{function} is not authorized to perform: {}",
                    denied.permission.action
                )
            })?;
        let used = needs.into_iter().map(|need| need.permission);
        locked(&self.inner.used).extend(used.map(|permission| (function.to_owned(), permission)));
        stream::records(&self.table, after, limit)
    }

    /// The table's changes after this one, at most so many, oldest first, for whoever shows them.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub fn changes(&self, after: Option<&str>, limit: usize) -> Result<Vec<Value>, String> {
        stream::records(&self.table, after, limit)
    }

    /// What functions did so far: who, and which action on which resource.
    pub fn used(&self) -> BTreeSet<(String, Permission)> {
        locked(&self.inner.used).clone()
    }

    /// Lets `hook` choose faults from now on; `None` ends it.
    pub fn set_fault(&self, hook: Option<FaultHook>) {
        *locked(&self.inner.fault) = hook;
    }

    /// Stops answering.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The operations by which functions write to the table.
const WRITES: [&str; 3] = ["PutItem", "UpdateItem", "TransactWriteItems"];

/// How large an object may be, in bytes.
const OBJECT_MAX: usize = 64 << 20;

/// What every SQLite file begins with.
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";

fn open_table(file: &Path, properties: &Value) -> Result<dynoxide::Database, String> {
    let begins = match std::fs::File::open(file) {
        Ok(opened) => {
            let mut begins = Vec::new();
            let length = SQLITE_HEADER.len() as u64;
            let read = opened.take(length).read_to_end(&mut begins);
            read.map_err(|error| error.to_string())?;
            begins
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    if !begins.is_empty() && begins != SQLITE_HEADER {
        return Err("it is damaged: it does not begin as a table's file does".to_owned());
    }
    let table = dynoxide::Database::new(&file.to_string_lossy());
    let table = table.map_err(|error| error.to_string())?;
    create_table(&table, properties)?;
    Ok(table)
}

fn create_table(database: &dynoxide::Database, properties: &Value) -> Result<(), String> {
    let name = physical("Table");
    let known = database
        .get_table_metadata(&name)
        .map_err(|error| error.to_string())?;
    if known.is_some() {
        return Ok(());
    }
    let request = serde_json::from_value(table_request(&name, properties))
        .map_err(|error| format!("template.yaml's table cannot be made here: {error}"))?;
    database
        .create_table(request)
        .map_err(|error| format!("template.yaml's table cannot be made here: {error}"))?;
    Ok(())
}

/// The `CreateTable` request for the template's table under this name: its keys, indexes and
/// stream. What an emulator has no use for (backups, encryption, alarms) stays the template's.
pub fn table_request(name: &str, properties: &Value) -> Value {
    let mut request = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST"});
    for part in [
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
    ] {
        request[part] = properties[part].clone();
    }
    request["StreamSpecification"] = json!({
        "StreamEnabled": true,
        "StreamViewType": properties["StreamSpecification"]["StreamViewType"],
    });
    request
}

/// What this port is, for whoever asks it for anything else.
const ABOUT: &str = "this port speaks the AWS API of DynamoDB, Secrets Manager and, as far as objects are put, S3: point \
                     an AWS tool at it with --endpoint-url or AWS_ENDPOINT_URL. It has no pages; the console is \
                     at the API's /console";

async fn call(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if is_form(&headers) {
        return form_call(&inner, &headers, &body);
    }
    if let Some(function) = lambda::invoked(uri.path()) {
        if inner.access.caller(&headers) != OPERATOR {
            return StatusCode::FORBIDDEN.into_response();
        }
        return lambda::invoke(inner.invoker.get(), &function, &body).await;
    }
    let object = ObjectCall::parse(&method, uri.path());
    if let Some(call) = object.filter(|_| !headers.contains_key("x-amz-target")) {
        return object_call(&inner, &call, &headers, &body);
    }
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some((service, operation)) = target.split_once('.') else {
        return refusal("UnknownOperationException", ABOUT);
    };
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refusal("SerializationException", "the request is not JSON");
    };
    let caller = inner.access.caller(&headers);
    let needs = match service {
        "DynamoDB_20120810" => inner.access.table_needs(operation, &request),
        "secretsmanager" => access::secret_needs(operation, &request),
        "AWSEvents" => access::bus_needs(operation, &request),
        "Logs_20140328" => access::log_needs(operation),
        _ => {
            return refusal(
                "UnknownOperationException",
                "only DynamoDB, Secrets Manager, EventBridge, S3 and what the operator asks for are here",
            );
        }
    };
    if let Err(denied) = inner.access.check(&caller, &needs) {
        return refusal(
            "AccessDeniedException",
            &format!(
                "{caller} is not authorized to perform: {} on resource: {}{}",
                denied.permission.action,
                denied.permission.resource,
                conditions_of(&denied)
            ),
        );
    }
    if caller != OPERATOR {
        let mut used = locked(&inner.used);
        used.extend(
            needs
                .iter()
                .map(|need| (caller.clone(), need.permission.clone())),
        );
    }
    let asked = AwsCall {
        caller,
        operation: operation.to_owned(),
        request,
        needs,
    };
    let hook = locked(&inner.fault).clone();
    match hook.and_then(|hook| hook(&asked)) {
        Some(Fault::Fail) => return failure("InternalServerError"),
        Some(Fault::Throttle) => {
            return refusal(
                "ProvisionedThroughputExceededException",
                "throttled on purpose",
            );
        }
        Some(Fault::Conflict) => return conflict(&asked.request),
        Some(Fault::LeaveSome) => {
            return answered(inner.bus.put(&asked.request, true));
        }
        Some(Fault::LoseAnswer) => {
            inner.answer(service, &asked, &headers, body).await;
            // A body that breaks before its end: the caller cannot know what became of the call.
            let broken = futures_util::stream::once(async {
                Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into())
            });
            return Body::from_stream(broken).into_response();
        }
        None => {}
    }
    inner.answer(service, &asked, &headers, body).await
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(axum::http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    })
}

/// A call to a service that takes forms, which of those here is CloudFormation alone. No function has a
/// permission of it.
fn form_call(inner: &Inner, headers: &HeaderMap, body: &Bytes) -> Response {
    let caller = inner.access.caller(headers);
    if caller != OPERATOR {
        return stacks::denied(&caller);
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    inner.stacks.answer(&form)
}

/// A call to S3, which has a path where the others have a target.
fn object_call(inner: &Inner, call: &ObjectCall, headers: &HeaderMap, body: &Bytes) -> Response {
    let caller = inner.access.caller(headers);
    let needs = inner.buckets.needs(call);
    if inner.access.check(&caller, &needs).is_err() {
        return StatusCode::FORBIDDEN.into_response();
    }
    if caller != OPERATOR {
        let mut used = locked(&inner.used);
        let permissions = needs.iter().map(|need| need.permission.clone());
        used.extend(permissions.map(|permission| (caller.clone(), permission)));
    }
    let asked = AwsCall {
        caller,
        operation: call.operation.to_owned(),
        request: call.request(),
        needs,
    };
    let hook = locked(&inner.fault).clone();
    match hook.and_then(|hook| hook(&asked)) {
        Some(Fault::Fail | Fault::Conflict) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Fault::Throttle) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::LoseAnswer) => {
            let done = inner.buckets.answer(call, body);
            drop(done);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        // Of several entries, which an object is not.
        Some(Fault::LeaveSome) | None => inner.buckets.answer(call, body),
    }
}

/// What a refused call said for conditions, for whoever looks for the statement that would allow it.
fn conditions_of(denied: &Need) -> String {
    let keys: Vec<&str> = denied.leading_keys().collect();
    if keys.is_empty() {
        String::new()
    } else {
        format!(" with the leading keys {keys:?}")
    }
}

impl Inner {
    async fn answer(
        &self,
        service: &str,
        call: &AwsCall,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        if service != "DynamoDB_20120810" {
            return answered(match service {
                "AWSEvents" => self.bus.call(&call.operation, &call.request),
                "Logs_20140328" => self.logs.call(&call.operation, &call.request),
                _ => self.secrets.call(&call.operation, &call.request),
            });
        }
        let mut forwarded = self.http.post(&self.table_url).body(body);
        for name in [
            "content-type",
            "x-amz-target",
            "authorization",
            "x-amz-date",
        ] {
            if let Some(value) = headers.get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let Ok(answer) = forwarded.send().await else {
            return failure("InternalServerError");
        };
        let status = answer.status();
        let mut passed = HeaderMap::new();
        for name in ["content-type", "x-amz-crc32", "x-amzn-requestid"] {
            if let (Some(value), Ok(name)) =
                (answer.headers().get(name), HeaderName::try_from(name))
            {
                passed.insert(name, value.clone());
            }
        }
        if status.is_success() && WRITES.contains(&call.operation.as_str()) {
            self.recorder.write(&call.caller, &call.request);
        }
        match answer.bytes().await {
            Ok(bytes) => (status, passed, bytes).into_response(),
            Err(_) => failure("InternalServerError"),
        }
    }
}

/// The answer of a service that speaks JSON.
fn answered(answer: Result<Value, (&'static str, String)>) -> Response {
    match answer {
        Ok(answer) => (
            StatusCode::OK,
            [(
                axum::http::header::CONTENT_TYPE,
                "application/x-amz-json-1.1",
            )],
            answer.to_string(),
        )
            .into_response(),
        Err((code, message)) => refusal(code, &message),
    }
}

fn refusal(code: &str, message: &str) -> Response {
    error_answer(
        StatusCode::BAD_REQUEST,
        &json!({"__type": code, "message": message}),
    )
}

fn failure(code: &str) -> Response {
    error_answer(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({"__type": code, "message": "failed on purpose"}),
    )
}

fn conflict(request: &Value) -> Response {
    let writes = request["TransactItems"].as_array().map_or(1, Vec::len);
    let mut reasons = vec![json!({"Code": "TransactionConflict", "Message": "on purpose"})];
    reasons.resize(writes.max(1), json!({"Code": "None"}));
    error_answer(
        StatusCode::BAD_REQUEST,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled [TransactionConflict]",
            "CancellationReasons": reasons,
        }),
    )
}

fn error_answer(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(
            axum::http::header::CONTENT_TYPE,
            "application/x-amz-json-1.0",
        )],
        body.to_string(),
    )
        .into_response()
}
