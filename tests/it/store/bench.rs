//! A table of a test's own, and a proxy before it that sees every call and can lose or replace its
//! answer.
//!
//! When a bench is dropped, every call that went through it is looked at: each write carried a
//! condition, each decision was read consistently, nothing was deleted.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use local::aws::table_request;
use local::template::Template;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::{Environment, Vars};
use shared::domain::{Order, OrderId};
use shared::process::Process;
use shared::random;
use shared::store::{
    BatchReader, Catalogue, CertificateKeeper, Commit, DueIndex, Evidence, ListIndex, OrderRecords,
    Orders, PayerIndex, Placed, Refunds, StoreError, StoredOrder, Table,
};
use shared::telemetry::Log;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{order, paid};

/// A call as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `TransactWriteItems`.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// The SDK's name for the call; its own repeats have the same.
    pub invocation: String,
    /// The status that the table answered with; none where it was not asked.
    pub status: Option<u16>,
    /// What the table answered.
    pub answer: Value,
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The table answers.
    Pass,
    /// The connection breaks before anything is done.
    LoseRequest,
    /// It is done, then the connection breaks.
    LoseAnswer,
    /// It is done, then 500 is answered.
    FailAfterwards,
    /// It is not done, and this is answered.
    Answer(u16, Value),
    /// It is not done, and nothing is answered for as long as anybody waits.
    Hang,
    /// Of a batch of keys the first is answered, the others are left undone.
    PartOnly,
}

type Plan = Arc<dyn Fn(&Call) -> Fate + Send + Sync>;

struct Proxy {
    upstream: String,
    http: reqwest::Client,
    calls: Mutex<Vec<Call>>,
    plan: Mutex<Option<Plan>>,
    measures: Mutex<bool>,
}

/// A table, reached through the proxy by the store and directly by the test.
pub struct Bench {
    pub name: String,
    handles: Handles,
    proxy: Arc<Proxy>,
    tasks: Vec<JoinHandle<()>>,
}

impl Bench {
    /// An empty table.
    pub async fn start() -> Self {
        let process = Process::with(Clock::system(), Log::to(Arc::new(|_| {}))).unwrap();
        let mut tasks = Vec::new();
        let upstream = match std::env::var("DYNAMODB_ENDPOINT") {
            Ok(endpoint) => endpoint,
            Err(_) => {
                let database = dynoxide::Database::memory().unwrap();
                let (listener, url) = listen().await;
                tasks.push(tokio::spawn(dynoxide::server::serve_on(listener, database)));
                url
            }
        };
        let (listener, url) = listen().await;
        let proxy = Arc::new(Proxy {
            upstream,
            http: process.http.clone(),
            calls: Mutex::default(),
            plan: Mutex::default(),
            measures: Mutex::default(),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&proxy));
        tasks.push(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
        let name = format!("wxpay-{}", random::token());
        let bench = Self {
            handles: Handles::new(&table(&process, &url, &name)),
            name,
            proxy,
            tasks,
        };
        bench
            .raw("CreateTable", table_request(&bench.name, &template().table))
            .await;
        bench
    }

    pub const fn orders(&self) -> &Orders {
        &self.handles.orders
    }

    pub const fn refunds(&self) -> &Refunds {
        &self.handles.refunds
    }

    pub const fn catalogue(&self) -> &Catalogue {
        &self.handles.catalogue
    }

    pub const fn evidence(&self) -> &Evidence {
        &self.handles.evidence
    }

    pub const fn certificates(&self) -> &CertificateKeeper {
        &self.handles.certificates
    }

    pub const fn due_index(&self) -> &DueIndex {
        &self.handles.due_index
    }

    pub const fn list_index(&self) -> &ListIndex {
        &self.handles.list_index
    }

    pub const fn payer_index(&self) -> &PayerIndex {
        &self.handles.payer_index
    }

    pub const fn batch_reader(&self) -> &BatchReader {
        &self.handles.batch_reader
    }

    pub const fn order_records(&self) -> &OrderRecords {
        &self.handles.order_records
    }

    /// Places a new order as the store does.
    pub async fn placed(&self, order: &Order) {
        let placed = self.orders().place(order, "the first", None, None).await;
        assert_eq!(placed.unwrap(), Placed::New);
    }

    /// A paid order of 600 fen in the table.
    pub async fn paid(&self, number: &str) -> Order {
        let order = order(number);
        self.placed(&order).await;
        let paid = paid(&order);
        let committed = self.orders().commit(&order, &paid, None).await;
        assert_eq!(committed.unwrap(), Commit::Done);
        paid
    }

    /// The order as it stands.
    pub async fn load(&self, order_id: &OrderId) -> StoredOrder {
        self.orders().load(order_id).await.unwrap().unwrap()
    }

    /// Does an operation past the proxy and the store.
    pub async fn raw(&self, operation: &str, request: Value) -> Value {
        let (status, answer) = self.proxy.forward(operation, &request).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// An item as it stands, as DynamoDB JSON; null where there is none.
    pub async fn item(&self, partition: &str, sort: &str) -> Value {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        let request = json!({"TableName": self.name, "Key": key, "ConsistentRead": true});
        self.raw("GetItem", request).await["Item"].clone()
    }

    /// An order's item.
    pub async fn order_item(&self, number: &str) -> Value {
        self.item(&format!("ORDER#{number}"), "ORDER").await
    }

    /// Every item, by its keys.
    pub async fn items(&self) -> Vec<Value> {
        let mut request = json!({"TableName": self.name, "ConsistentRead": true});
        let mut items = Vec::new();
        loop {
            let page = self.raw("Scan", request.clone()).await;
            items.extend(page["Items"].as_array().unwrap().iter().cloned());
            match &page["LastEvaluatedKey"] {
                Value::Null => break,
                last => request["ExclusiveStartKey"] = last.clone(),
            }
        }
        items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
        items
    }

    /// Empties the table and lets every call pass again; making a table takes longer.
    pub async fn clear(&self) {
        *self.proxy.plan.lock().unwrap() = None;
        for item in self.items().await {
            let key = json!({"pk": item["pk"], "sk": item["sk"]});
            let request = json!({"TableName": self.name, "Key": key});
            self.raw("DeleteItem", request).await;
        }
        self.calls();
    }

    /// Puts an item as it is, as an operator or another version might.
    pub async fn put(&self, item: Value) {
        let request = json!({"TableName": self.name, "Item": item});
        self.raw("PutItem", request).await;
    }

    /// Changes an attribute of an item past the store; null takes it off.
    pub async fn alter(&self, mut item: Value, attribute: &str, value: Value) {
        match value {
            Value::Null => {
                item.as_object_mut().unwrap().remove(attribute);
            }
            value => item[attribute] = value,
        }
        self.put(item).await;
    }

    /// The outcomes of calls that are made at once; one that was given up has none. The table has
    /// come to rest afterwards.
    pub async fn at_once<T>(
        &self,
        calls: impl IntoIterator<Item = impl Future<Output = Result<T, StoreError>>>,
    ) -> Vec<T> {
        let made = futures_util::future::join_all(calls).await;
        // What was given up may still be waiting for its turn, and others behind it.
        self.items().await;
        made.into_iter()
            .filter_map(|outcome| match outcome {
                Ok(outcome) => Some(outcome),
                Err(StoreError::Unavailable { .. }) => None,
                Err(error) => panic!("{error}"),
            })
            .collect()
    }

    /// Lets `plan` decide what becomes of each call from now on.
    pub fn plan(&self, plan: impl Fn(&Call) -> Fate + Send + Sync + 'static) {
        *self.proxy.plan.lock().unwrap() = Some(Arc::new(plan));
    }

    /// Lets the next `count` calls of the operation have this fate, and all others pass.
    pub fn next(&self, operation: &'static str, count: usize, fate: Fate) {
        let left = Mutex::new(count);
        self.plan(move |call| {
            let mut left = left.lock().unwrap();
            if call.operation != operation || *left == 0 {
                return Fate::Pass;
            }
            *left -= 1;
            fate.clone()
        });
    }

    /// Asks the table from now on what each call costs; it stands in the answers.
    pub fn measure(&self) {
        *self.proxy.measures.lock().unwrap() = true;
    }

    /// Sends a copy of a call past the store, as a network may that held it back.
    pub async fn repeat(&self, call: &Call) -> (u16, Value) {
        self.proxy.forward(&call.operation, &call.request).await
    }

    /// Takes the calls that the proxy saw since it was last asked.
    pub fn calls(&self) -> Vec<Call> {
        let calls = std::mem::take(&mut *self.proxy.calls.lock().unwrap());
        check(&calls);
        calls
    }
}

/// Every capability that the store offers.
struct Handles {
    orders: Orders,
    refunds: Refunds,
    catalogue: Catalogue,
    evidence: Evidence,
    certificates: CertificateKeeper,
    due_index: DueIndex,
    list_index: ListIndex,
    payer_index: PayerIndex,
    batch_reader: BatchReader,
    order_records: OrderRecords,
}

impl Handles {
    fn new(table: &Table) -> Self {
        Self {
            orders: Orders::new(table.clone()),
            refunds: Refunds::new(table.clone()),
            catalogue: Catalogue::new(table.clone()),
            evidence: Evidence::new(table.clone()),
            certificates: CertificateKeeper::new(table.clone()),
            due_index: DueIndex::new(table.clone()),
            list_index: ListIndex::new(table.clone()),
            payer_index: PayerIndex::new(table.clone()),
            batch_reader: BatchReader::new(table.clone()),
            order_records: OrderRecords::new(table.clone()),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if !std::thread::panicking() {
            check(&self.proxy.calls.lock().unwrap());
        }
    }
}

/// What holds for every call of the store.
fn check(calls: &[Call]) {
    for call in calls {
        let request = &call.request;
        let consistent = |read: &Value| read["ConsistentRead"] == true;
        let right = match call.operation.as_str() {
            "PutItem" | "UpdateItem" => request["ConditionExpression"].is_string(),
            "TransactWriteItems" => {
                let writes = request["TransactItems"].as_array().unwrap();
                request["ClientRequestToken"].is_string()
                    && writes.iter().all(|write| {
                        let (kind, write) = write.as_object().unwrap().iter().next().unwrap();
                        matches!(kind.as_str(), "Put" | "Update" | "ConditionCheck")
                            && write["ConditionExpression"].is_string()
                    })
            }
            "GetItem" => consistent(request),
            // An index cannot be read consistently: it only suggests.
            "Query" => request["IndexName"].is_string() || consistent(request),
            "BatchGetItem" => request["RequestItems"]
                .as_object()
                .unwrap()
                .values()
                .all(|read| {
                    let keys = read["Keys"].as_array().unwrap();
                    let prices = |key: &Value| key["sk"]["S"] == "SKU";
                    consistent(read) || keys.iter().all(prices)
                }),
            _ => false,
        };
        assert!(right, "{}: {request}", call.operation);
    }
}

async fn serve(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let target = header("x-amz-target");
    let (_, operation) = target.split_once('.').unwrap();
    let mut call = Call {
        operation: operation.to_owned(),
        request: serde_json::from_slice(&body).unwrap(),
        invocation: header("amz-sdk-invocation-id"),
        status: None,
        answer: Value::Null,
    };
    let plan = proxy.plan.lock().unwrap().clone();
    let fate = plan.map_or(Fate::Pass, |plan| plan(&call));
    let mut undone = Value::Null;
    if matches!(
        fate,
        Fate::Pass | Fate::LoseAnswer | Fate::FailAfterwards | Fate::PartOnly
    ) {
        let mut request = call.request.clone();
        if matches!(fate, Fate::PartOnly) {
            undone = leave_undone(&mut request);
        }
        if *proxy.measures.lock().unwrap() {
            request["ReturnConsumedCapacity"] = Value::from("INDEXES");
        }
        let (status, answer) = proxy.forward(operation, &request).await;
        call.status = Some(status);
        call.answer = answer;
        if !undone.is_null() {
            call.answer["UnprocessedKeys"] = undone;
        }
    }
    let (status, answer) = (call.status, call.answer.clone());
    proxy.calls.lock().unwrap().push(call);
    match fate {
        Fate::Pass | Fate::PartOnly => answered(status.unwrap(), &answer),
        Fate::Hang => std::future::pending().await,
        Fate::FailAfterwards => answered(500, &error("InternalServerError")),
        Fate::Answer(status, answer) => answered(status, &answer),
        // A body that breaks before its end: the caller cannot know what became of the call.
        Fate::LoseRequest | Fate::LoseAnswer => {
            Body::from_stream(futures_util::stream::once(async {
                Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into())
            }))
            .into_response()
        }
    }
}

impl Proxy {
    async fn forward(&self, operation: &str, request: &Value) -> (u16, Value) {
        // The stream is a service of its own, beside the table's.
        let target = match operation {
            "DescribeStream" | "GetShardIterator" | "GetRecords" => {
                format!("DynamoDBStreams_20120810.{operation}")
            }
            _ => format!("DynamoDB_20120810.{operation}"),
        };
        let sent = self
            .http
            .post(&self.upstream)
            .timeout(Duration::from_secs(30))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=LOCALoperator/20260101/local/dynamodb/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .body(request.to_string())
            .send()
            .await;
        let answer = sent.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// Takes all keys but the first off a batch; gives what is left undone.
fn leave_undone(request: &mut Value) -> Value {
    let tables = request["RequestItems"].as_object_mut().unwrap();
    let (table, read) = tables.iter_mut().next().unwrap();
    let keys = read["Keys"].as_array_mut().unwrap();
    let mut undone = json!({"Keys": keys.split_off(1)});
    if undone["Keys"].as_array().unwrap().is_empty() {
        return Value::Null;
    }
    if let Some(consistent) = read.get("ConsistentRead") {
        undone["ConsistentRead"] = consistent.clone();
    }
    json!({ table.as_str(): undone })
}

fn answered(status: u16, body: &Value) -> Response {
    (
        StatusCode::from_u16(status).unwrap(),
        [("content-type", "application/x-amz-json-1.0")],
        body.to_string(),
    )
        .into_response()
}

/// An error of DynamoDB's as it stands on the wire.
pub fn error(code: &str) -> Value {
    json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "on purpose",
    })
}

/// A transaction that was cancelled for these reasons.
pub fn cancelled(codes: &[&str]) -> Value {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled {codes:?}"),
        "CancellationReasons": reasons,
    })
}

/// The store's own client, configured as in Lambda, for this table at this address.
fn table(process: &Process, url: &str, name: &str) -> Table {
    let variables = [
        ("TABLE_NAME", name),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "LOCALoperator"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_ENDPOINT_URL", url),
    ];
    let variables: BTreeMap<String, String> = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let vars = Vars::from_map(variables);
    let mut reader = Environment::new(&vars, process);
    let table = reader.table();
    reader.finish().unwrap();
    table
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// The template with its parameters filled in; the table needs none of them.
fn template() -> Template {
    let given = [("Mchid", "1230000109"), ("Appid", "wxd678efh567hg6787")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Template::parse(include_str!("../../../template.yaml"), &given.into()).unwrap()
}
