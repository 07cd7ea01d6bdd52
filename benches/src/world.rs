//! What the binaries run in: the local stack with its real table engine, secrets and simulator, behind
//! TLS; and an event for each of them that leads through the whole of its work.
//!
//! Permissions are the template's, so a binary that asks for more than its role allows fails here. The
//! notices that the simulator sends are caught, to be handed to whom they concern when it is measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use local::aws::{AwsCall, FaultHook, OPERATOR, access_key_of};
use local::{Options, Stack};
use serde_json::{Map, Value, json};
use shared::domain::BeijingDay;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use crate::Result;
use crate::authority::{Authority, Front, Way};
use crate::load::passage::Passage;
use crate::waits::{AWS_AWAY, WECHATPAY_AWAY};

/// How long a notice may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session token as long as Lambda's; it is hashed and sent with every call to AWS.
const SESSION_TOKEN_CHARACTERS: usize = 760;

/// The payer of all orders.
pub(crate) const OPENID: &str = "oBench0000000000000000000000";

/// How many notices may wait until somebody takes them.
const NOTICES_WAITING: usize = 64;

/// A stack to measure in.
pub(crate) struct World {
    stack: Stack,
    near: Fronts,
    far: Fronts,
    authority_file: String,
    calls: Arc<Mutex<Vec<AwsCall>>>,
    notices: AsyncMutex<mpsc::Receiver<Notice>>,
    http: reqwest::Client,
    orders: AtomicU32,
}

/// The services' TLS sides: three addresses, as in production, since a connection to one is of no use to
/// another.
struct Fronts {
    table: Front,
    secrets: Front,
    wechatpay: Front,
}

/// A notice as the simulator sent it.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    headers: HeaderMap,
    body: Bytes,
}

/// In what a world differs from the one in which single requests are measured.
pub(crate) struct Setting {
    /// The ways to AWS and to WeChat Pay.
    pub(crate) aws: Arc<Passage>,
    pub(crate) wechatpay: Arc<Passage>,
    /// Sees every call to AWS, in place of the list that is kept of them.
    pub(crate) hook: FaultHook,
    /// How many notices may wait until somebody takes them.
    pub(crate) notices_waiting: usize,
}

/// The calls to AWS of one run, by what they cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) writes: usize,
    pub(crate) reads: usize,
    pub(crate) transactions: usize,
    /// How often each secret was read.
    pub(crate) secrets: BTreeMap<String, usize>,
}

impl World {
    pub(crate) async fn start(folder: &Path, keys: &Path, authority: &Authority) -> Result<Self> {
        Self::start_in(folder, keys, authority, None).await
    }

    /// The same in another setting.
    pub(crate) async fn start_in(
        folder: &Path,
        keys: &Path,
        authority: &Authority,
        setting: Option<Setting>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let public_base_url = format!("http://{}", listener.local_addr()?);
        let waiting = setting.as_ref().map(|setting| setting.notices_waiting);
        let (caught, notices) = mpsc::channel(waiting.unwrap_or(NOTICES_WAITING));
        let router = Router::new().fallback(catch).with_state(caught);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let mut options = Options::new(folder);
        options.port = Some(0);
        options.simulator_port = Some(0);
        options.control_port = Some(0);
        options.aws_port = Some(0);
        options.schedules = false;
        options.stream = false;
        options.speed = 1.0;
        options.keys_from = Some(keys.to_owned());
        options
            .parameters
            .insert("PublicBaseUrl".to_owned(), public_base_url);
        let stack = Stack::start(options).await?;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let kept: FaultHook = Arc::new(move |call: &AwsCall| {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(call.clone());
            None
        });
        let (hook, to_aws, to_wechatpay) = match setting {
            Some(setting) => (
                setting.hook,
                Way::Through(setting.aws),
                Way::Through(setting.wechatpay),
            ),
            None => (kept, Way::Straight, Way::Straight),
        };
        stack.aws.set_fault(Some(hook));
        let aws = address(&stack.aws.url)?;
        let wechatpay = address(stack.simulator.base_url())?;
        let fronts = async |to_aws: Way, to_wechatpay: Way| -> Result<Fronts> {
            Ok(Fronts {
                table: authority.front(aws, to_aws.clone()).await?,
                secrets: authority.front(aws, to_aws).await?,
                wechatpay: authority.front(wechatpay, to_wechatpay).await?,
            })
        };
        let near = fronts(to_aws, to_wechatpay).await?;
        let far = fronts(Way::Far(AWS_AWAY), Way::Far(WECHATPAY_AWAY)).await?;
        Ok(Self {
            stack,
            near,
            far,
            authority_file: authority.file.display().to_string(),
            calls,
            notices: AsyncMutex::new(notices),
            http: shared::process::Process::system()?.http,
            orders: AtomicU32::new(0),
        })
    }

    /// The stack.
    pub(crate) const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The functions that the template declares: logical id and binary.
    pub(crate) fn functions(&self) -> BTreeMap<String, String> {
        let functions = self.stack.template.functions.iter();
        functions
            .map(|(id, function)| (id.clone(), function.binary.clone()))
            .collect()
    }

    /// The environment of a function as Lambda would set it, with this machine's servers.
    pub(crate) fn environment(&self, binary: &str) -> Result<BTreeMap<String, String>> {
        self.environment_with(binary, &self.near)
    }

    /// The same, with servers that are as far away as the real ones.
    pub(crate) fn far_environment(&self, binary: &str) -> Result<BTreeMap<String, String>> {
        self.environment_with(binary, &self.far)
    }

    fn environment_with(&self, binary: &str, fronts: &Fronts) -> Result<BTreeMap<String, String>> {
        let (id, function) = self
            .stack
            .template
            .functions
            .iter()
            .find(|(_, function)| function.binary == binary)
            .ok_or_else(|| format!("the template declares no {binary}"))?;
        let mut environment = function.environment.clone();
        let wechatpay = fronts.wechatpay.url();
        for (name, value) in [
            ("WECHATPAY_BASE_URL", wechatpay.as_str()),
            ("WECHATPAY_BACKUP_URL", &wechatpay),
            ("WECHAT_API_BASE_URL", &wechatpay),
            ("WECHATPAY_TRUSTED_HOSTS", &fronts.wechatpay.authority),
        ] {
            if environment.contains_key(name) {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        for (name, value) in [
            ("EXTRA_CA_FILE", self.authority_file.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &fronts.table.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &fronts.secrets.url()),
            ("AWS_ENDPOINT_URL_S3", &fronts.table.url()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", &fronts.table.url()),
            ("AWS_REGION", local::template::REGION),
            ("AWS_DEFAULT_REGION", local::template::REGION),
            ("AWS_ACCESS_KEY_ID", &access_key_of(id)),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", &"A".repeat(SESSION_TOKEN_CHARACTERS)),
            ("AWS_LAMBDA_FUNCTION_NAME", id),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
            (
                "AWS_LAMBDA_LOG_STREAM_NAME",
                "2026/01/01/[1]00000000000000000000000000000000",
            ),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        Ok(environment)
    }

    /// An event that leads the binary through the whole of its work, with everything prepared.
    pub(crate) async fn event(&self, binary: &str) -> Result<Value> {
        match binary {
            "login" => {
                let code = self.control("codes", json!({"openid": OPENID})).await?;
                let body = json!({"code": code["code"]});
                Ok(self.http_event("POST /sessions", &[], Some(body), &[]))
            }
            "create-order" | "floor" | "hello" => {
                let body = json!({
                    "trade_type": "jsapi", "out_trade_no": self.number(), "description": "A cup of coffee",
                    "amount": {"total": 500}, "payer": {"openid": OPENID},
                });
                Ok(self.http_event("POST /orders", &[], Some(body), &[]))
            }
            "notify-callback" => self
                .paid_order()
                .await
                .map(|(_, notice)| notice_event(&notice)),
            "query" => {
                let (number, _) = self.paid_order().await?;
                let parameters = [("out_trade_no", number.as_str())];
                Ok(self.http_event("GET /orders/{out_trade_no}", &parameters, None, &[]))
            }
            "close-order" => {
                let number = self.order().await?;
                let parameters = [("out_trade_no", number.as_str())];
                Ok(self.http_event("POST /orders/{out_trade_no}/close", &parameters, None, &[]))
            }
            "refund" => {
                let (number, notice) = self.paid_order().await?;
                self.deliver(&notice).await?;
                let parameters = [("out_trade_no", number.as_str())];
                let body = json!({
                    "out_refund_no": format!("{number}-r"), "amount": {"refund": 200}, "reason": "a cup broke",
                });
                let route = "POST /orders/{out_trade_no}/refunds";
                Ok(self.http_event(route, &parameters, Some(body), &[]))
            }
            "sweep" => {
                let (number, _) = self.paid_order().await?;
                self.make_due(&number, 1)?;
                Ok(sweep_event())
            }
            // A day without trade: it has no bill to download, whose size would be all that is measured.
            "reconcile" => {
                let today = BeijingDay::of(self.stack.clock().business());
                let date = shared::rfc3339::format_day(today.days_before(3));
                Ok(json!({"date": date}))
            }
            "publish-events" => {
                // A payment, as the stream tells it.
                let (number, notice) = self.paid_order().await?;
                self.deliver(&notice).await?;
                let key = format!("ORDER#{number}");
                let mut after = None;
                let mut records = Vec::new();
                loop {
                    let page = self.stack.aws.stream(OPERATOR, after.as_deref(), 1_000)?;
                    let Some(last) = page.last() else { break };
                    after = last["dynamodb"]["SequenceNumber"]
                        .as_str()
                        .map(str::to_owned);
                    records.extend(page);
                }
                let told = |record: &Value| {
                    let change = &record["dynamodb"];
                    change["Keys"]["pk"]["S"] == key
                        && change["NewImage"]["events"]["S"].is_string()
                };
                records.retain(told);
                Ok(json!({"Records": records}))
            }
            other => Err(format!("there is no event for {other} yet: add one here").into()),
        }
    }

    /// A payer's order, as an event for create-order.
    pub(crate) async fn payers_order_event(&self) -> Result<Value> {
        let code = self.control("codes", json!({"openid": OPENID})).await?;
        let session = self
            .api("/sessions", json!({"code": code["code"]}), 200)
            .await?;
        let token = session["token"].as_str().unwrap_or_default();
        let body = json!({
            "trade_type": "jsapi",
            "items": [{"sku": "coffee", "quantity": 2}, {"sku": "tea", "quantity": 1}],
        });
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("idempotency-key", format!("bench-{}", self.number())),
        ];
        Ok(self.http_event("POST /orders", &[], Some(body), &headers))
    }

    /// An order's number and the notice that it is paid, as an event for notify-callback.
    pub(crate) async fn payments_notice(&self) -> Result<(String, Value)> {
        let (number, notice) = self.paid_order().await?;
        Ok((number, notice_event(&notice)))
    }

    /// Pays a JSAPI order with what create-order answered, which the simulator checks as WeChat Pay
    /// does; gives the notice as an event.
    pub(crate) async fn pay_with(&self, placed: &Value) -> Result<Value> {
        let number = placed["out_trade_no"].as_str().unwrap_or_default();
        let body = json!({"openid": OPENID, "pay": placed["pay"]});
        self.control(&format!("orders/{number}/pay"), body).await?;
        Ok(notice_event(&self.notice().await?))
    }

    /// The order's item as the table has it.
    pub(crate) fn item(&self, number: &str) -> Result<Value> {
        let request = json!({
            "TableName": local::template::physical("Table"), "ConsistentRead": true,
            "Key": {"pk": {"S": format!("ORDER#{number}")}, "sk": {"S": "ORDER"}},
        });
        let answer = self
            .stack
            .aws
            .table
            .get_item(serde_json::from_value(request)?)
            .map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(answer)?["Item"].clone())
    }

    /// What was asked of AWS since the last time, without what preparations asked.
    pub(crate) fn taken_calls(&self, binary: &str) -> Calls {
        let binary = if binary == "floor" {
            "create-order"
        } else {
            binary
        };
        let functions = &self.stack.template.functions;
        let id = functions
            .iter()
            .find(|(_, function)| function.binary == binary)
            .map_or("", |(id, _)| id.as_str());
        let mut seen = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut calls = Calls::default();
        for call in std::mem::take(&mut *seen) {
            if call.caller == id {
                calls.count(&call);
            }
        }
        calls
    }

    /// How many TLS connections were made so far.
    pub(crate) fn connections(&self) -> u64 {
        let fronts = [&self.near.table, &self.near.secrets, &self.near.wechatpay];
        fronts.into_iter().map(Front::connections).sum()
    }

    /// Whether WeChat Pay takes a request for a JSAPI order that carries this `Authorization` header.
    pub(crate) async fn takes(&self, target: &str, authorization: &str, body: &str) -> Result<()> {
        let url = format!("{}{target}", self.stack.simulator.base_url());
        let request = self.http.post(url).body(body.to_owned());
        let answer = request
            .header("authorization", authorization)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("user-agent", "bench/1")
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("it is answered with {status}: {text}").into())
        }
    }

    /// How many requests about an order reached WeChat Pay.
    pub(crate) async fn requests_about(&self, number: &str) -> Result<usize> {
        let rows = self.requests().await?;
        let own = rows.iter().filter(|row| row["out_trade_no"] == number);
        Ok(own.count())
    }

    /// The newest requests that reached WeChat Pay, with what became of each.
    pub(crate) async fn requests(&self) -> Result<Vec<Value>> {
        let url = format!("{}/_sim/requests", self.stack.simulator.control_url());
        let mut answer: Value = self.http.get(url).send().await?.json().await?;
        Ok(match answer["items"].take() {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        })
    }

    pub(crate) async fn stop(self) {
        self.stack.stop().await;
    }

    /// The number of an order that nobody has yet.
    pub(crate) fn number(&self) -> String {
        format!("bench{:08}", self.orders.fetch_add(1, Ordering::SeqCst))
    }

    /// An order that is not paid.
    pub(crate) async fn order(&self) -> Result<String> {
        let number = self.number();
        let body = json!({
            "trade_type": "native", "out_trade_no": number, "description": "A cup of coffee",
            "amount": {"total": 500},
        });
        self.api("/orders", body, 201).await?;
        Ok(number)
    }

    /// An order that is paid at WeChat Pay while we have not heard of it yet, and its notice.
    pub(crate) async fn paid_order(&self) -> Result<(String, Notice)> {
        let number = self.order().await?;
        self.control(&format!("orders/{number}/pay"), json!({}))
            .await?;
        Ok((number, self.notice().await?))
    }

    /// The next notice of a payment.
    pub(crate) async fn notice(&self) -> Result<Notice> {
        let mut notices = self.notices.lock().await;
        loop {
            let notice = tokio::time::timeout(PATIENCE, notices.recv()).await;
            let notice = notice
                .map_err(|_| "the simulator sent no notice")?
                .ok_or("nobody catches notices")?;
            // Refunds of earlier rounds end whenever they do.
            if serde_json::from_slice::<Value>(&notice.body)?["event_type"] == "TRANSACTION.SUCCESS"
            {
                return Ok(notice);
            }
        }
    }

    /// Hands a notice to the stack's own function.
    pub(crate) async fn deliver(&self, notice: &Notice) -> Result<()> {
        let url = format!("{}/wechatpay/notify", self.stack.api_url);
        let mut request = self.http.post(url).body(notice.body.clone());
        for (name, value) in &notice.headers {
            if name.as_str().starts_with("wechatpay-") || name == "content-type" {
                request = request.header(name.clone(), value.clone());
            }
        }
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes an order due since this moment, in Unix seconds.
    pub(crate) fn make_due(&self, number: &str, since: i64) -> Result<()> {
        let request = json!({
            "TableName": local::template::physical("Table"),
            "Key": {"pk": {"S": format!("ORDER#{number}")}, "sk": {"S": "ORDER"}},
            "UpdateExpression": "SET due_at = :due_at",
            "ExpressionAttributeValues": {":due_at": {"N": since.to_string()}},
        });
        let made = self
            .stack
            .aws
            .table
            .update_item(serde_json::from_value(request)?);
        made.map(|_| ()).map_err(|error| error.to_string().into())
    }

    async fn api(&self, path: &str, body: Value, status: u16) -> Result<Value> {
        let answer = self
            .http
            .post(format!("{}{path}", self.stack.api_url))
            .bearer_auth(&self.stack.merchant_api_key)
            .json(&body)
            .send()
            .await?;
        let got = answer.status().as_u16();
        let body: Value = answer.json().await?;
        if got == status {
            Ok(body)
        } else {
            Err(format!("{path} answered {got}: {body}").into())
        }
    }

    /// A control call of the simulator.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Result<Value> {
        let url = format!("{}/_sim/{path}", self.stack.simulator.control_url());
        let answer = self.http.post(url).json(&body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() {
            Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
        } else {
            Err(format!("the simulator answered {path} with {status}: {text}").into())
        }
    }

    /// An HTTP API event, payload 2.0, as API Gateway sends it.
    pub(crate) fn http_event(
        &self,
        route: &str,
        parameters: &[(&str, &str)],
        body: Option<Value>,
        more_headers: &[(&str, String)],
    ) -> Value {
        let body = body.map(|body| body.to_string());
        let mut headers = Map::new();
        headers.insert(
            "authorization".to_owned(),
            Value::from(format!("Bearer {}", self.stack.merchant_api_key)),
        );
        if body.is_some() {
            headers.insert("content-type".to_owned(), Value::from("application/json"));
        }
        for (name, value) in more_headers {
            headers.insert((*name).to_owned(), Value::from(value.as_str()));
        }
        event(route, parameters, headers, body)
    }
}

impl Calls {
    fn count(&mut self, call: &AwsCall) {
        match call.operation.as_str() {
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" => self.writes += 1,
            "GetItem" | "Query" | "BatchGetItem" | "Scan" => self.reads += 1,
            "GetSecretValue" => {
                let secret = call.request["SecretId"].as_str().unwrap_or_default();
                let name = secret.rsplit(':').next().unwrap_or(secret).to_owned();
                *self.secrets.entry(name).or_default() += 1;
            }
            // Of S3's, which costs per object and not per unit.
            "HeadObject" | "PutObject" => {}
            _ => self.transactions += 1,
        }
    }
}

/// The bytes DynamoDB counts of an item: names and values.
pub(crate) fn item_bytes(item: &Value) -> usize {
    let attributes = item.as_object();
    let value_bytes = |value: &Value| {
        let (kind, value) = value
            .as_object()
            .and_then(|value| value.iter().next())
            .map_or(("", &Value::Null), |(kind, value)| (kind.as_str(), value));
        match (kind, value) {
            ("S", Value::String(text)) => text.len(),
            // Two digits a byte, and one more.
            ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
            ("BOOL" | "NULL", _) => 1,
            (_, other) => other.to_string().len(),
        }
    };
    attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| name.len() + value_bytes(value))
        .sum()
}

fn event(
    route: &str,
    parameters: &[(&str, &str)],
    mut headers: Map<String, Value>,
    body: Option<String>,
) -> Value {
    let (method, path) = route.split_once(' ').unwrap_or((route, "/"));
    let mut path = path.to_owned();
    for (name, value) in parameters {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    for (name, value) in [
        ("accept", "*/*"),
        ("host", "abcdefghij.execute-api.local.amazonaws.com"),
        ("user-agent", "bench/1"),
        (
            "x-amzn-trace-id",
            "Root=1-00000000-000000000000000000000000",
        ),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ] {
        headers.entry(name).or_insert_with(|| Value::from(value));
    }
    if let Some(body) = &body {
        headers.insert(
            "content-length".to_owned(),
            Value::from(body.len().to_string()),
        );
    }
    let mut event = json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000", "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.local.amazonaws.com", "domainPrefix": "abcdefghij",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "bench/1",
            },
            "requestId": "AAAAAAAAAAAAAAA=", "routeKey": route, "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1_767_225_600_000_u64,
        },
        "isBase64Encoded": false,
    });
    if !parameters.is_empty() {
        let named: Map<String, Value> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        event["pathParameters"] = Value::Object(named);
    }
    if let Some(body) = body {
        event["body"] = Value::from(body);
    }
    event
}

/// The event of the sweep's schedule.
pub(crate) fn sweep_event() -> Value {
    json!({
        "version": "0", "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Scheduled Event", "source": "aws.scheduler",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "local",
        "resources": ["arn:aws:scheduler:local:000000000000:schedule/default/sweep"],
        "detail": "{}",
    })
}

/// The event of a notice.
pub(crate) fn notice_event(notice: &Notice) -> Value {
    let headers = notice.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        (name != "host").then(|| (name.as_str().to_owned(), Value::from(value)))
    });
    let body = String::from_utf8_lossy(&notice.body).into_owned();
    event("POST /wechatpay/notify", &[], headers.collect(), Some(body))
}

async fn catch(
    State(caught): State<mpsc::Sender<Notice>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    match caught.send(Notice { headers, body }).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn address(url: &str) -> Result<std::net::SocketAddr> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    authority
        .parse()
        .map_err(|_| format!("{url} is not an address of this machine").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::item_bytes;

    #[test]
    fn an_items_bytes_are_its_names_and_values() {
        let item = json!({"pk": {"S": "ORDER#1"}, "total": {"N": "500"}, "flag": {"BOOL": true}});
        assert_eq!(item_bytes(&item), (2 + 7) + (5 + 3) + (4 + 1));
    }
}
