//! AWS in this process: the table is the local stack's engine in memory, called directly; secrets, bus and
//! bucket are maps. What the template does not allow a function of them breaks a promise here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::errors::DynoxideError;
use http::HeaderMap;
use local::aws::{Access, Need, bus_needs, secret_needs, table_request};
use local::condition::Context;
use local::template::{Permission, Template, bucket_arn, physical};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::Place;

/// A status and a body.
pub type Answered = (u16, Vec<u8>);

/// A call to a service.
#[derive(Debug)]
pub struct Call {
    /// Who calls: a function's logical id.
    pub caller: String,
    /// The operation, such as `UpdateItem`.
    pub operation: String,
    /// The request; nothing for the bucket.
    pub request: Value,
    /// The path, for the bucket.
    path: String,
    content: Vec<u8>,
    /// Where it goes.
    pub place: Place,
}

/// The services.
pub struct Aws {
    /// The table's engine.
    pub table: dynoxide::Database,
    access: Arc<Access>,
    secrets: Mutex<BTreeMap<String, Value>>,
    events: Mutex<Vec<Value>>,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What each partition of an index last said.
    index: Mutex<BTreeMap<String, Vec<u8>>>,
    claims: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Aws").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Aws {
    /// Empty services as the template declares them.
    ///
    /// # Errors
    /// Says what is wrong with the table.
    pub fn new(template: &Template, access: Arc<Access>) -> Result<Self, String> {
        let table = dynoxide::Database::memory().map_err(|error| error.to_string())?;
        let request = table_request(&physical("Table"), &template.table);
        let request = serde_json::from_value(request).map_err(|error| error.to_string())?;
        table
            .create_table(request)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            table,
            access,
            secrets: Mutex::default(),
            events: Mutex::default(),
            objects: Mutex::default(),
            index: Mutex::default(),
            claims: Mutex::default(),
        })
    }

    /// Reads a request; what is none of these services' is an error.
    ///
    /// # Errors
    /// Says what was asked.
    pub fn read(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Call, String> {
        let caller = self.access.caller(headers);
        let target = headers.get("x-amz-target");
        let Some(target) = target.and_then(|value| value.to_str().ok()) else {
            self.allowed(&caller, &self.object_needs(method, path)?)?;
            return Ok(Call {
                caller,
                operation: method.to_owned(),
                request: Value::Null,
                path: path.to_owned(),
                content: body.to_vec(),
                place: Place::Bucket,
            });
        };
        let (service, operation) = target.split_once('.').unwrap_or_default();
        let request: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let place = match (service, operation) {
            ("secretsmanager", "GetSecretValue") => Place::Secrets,
            ("AWSEvents", "PutEvents") => Place::Bus,
            (_, "GetItem" | "BatchGetItem") => Place::Read,
            (_, "Query") if request["IndexName"].is_string() => Place::Index,
            (_, "Query") => Place::Read,
            (_, "PutItem" | "UpdateItem") => Place::Write,
            (_, "TransactWriteItems") => Place::Transaction,
            _ => return Err(format!("nobody expects {target}")),
        };
        let needs = match place {
            Place::Secrets => secret_needs(operation, &request),
            Place::Bus => bus_needs(operation, &request),
            _ => self.access.table_needs(operation, &request),
        };
        self.allowed(&caller, &needs)?;
        Ok(Call {
            caller,
            operation: operation.to_owned(),
            request,
            path: String::new(),
            content: Vec::new(),
            place,
        })
    }

    /// What a call to the bucket needs. Who may not list it is told of no missing object that it is missing.
    fn object_needs(&self, method: &str, path: &str) -> Result<Vec<Need>, String> {
        let strange = || format!("nobody expects {method} {path}");
        let bucket = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let (bucket, _) = bucket.ok_or_else(strange)?;
        let bucket = bucket_arn(bucket);
        let objects = format!("{bucket}/*");
        let need = |action: &str, resource: &str| Need {
            permission: Permission {
                action: format!("s3:{action}"),
                resource: resource.to_owned(),
            },
            context: Context::new(),
        };
        match method {
            "PUT" => Ok(vec![need("PutObject", &objects)]),
            "HEAD" if locked(&self.objects).contains_key(path) => {
                Ok(vec![need("GetObject", &objects)])
            }
            "HEAD" => Ok(vec![
                need("GetObject", &objects),
                need("ListBucket", &bucket),
            ]),
            _ => Err(strange()),
        }
    }

    fn allowed(&self, caller: &str, needs: &[Need]) -> Result<(), String> {
        let checked = self.access.check(caller, needs);
        checked.map_err(|denied| format!("{caller} may not {denied:?}"))
    }

    /// Does what is asked.
    pub fn serve(&self, call: &Call) -> Answered {
        match call.place {
            Place::Secrets => self.secret(&call.request),
            Place::Bus => self.put_events(&call.request, false).0,
            Place::Bucket => self.object(call),
            _ => {
                let answer = self.dispatch(&call.operation, &call.request);
                if call.place == Place::Index && answer.0 == 200 {
                    locked(&self.index).insert(index_partition(&call.request), answer.1.clone());
                }
                answer
            }
        }
    }

    /// Whether this was taken by a sweep already, at the very moment at which it was due: a due thing is one
    /// sweep's.
    pub fn is_second_claim(&self, call: &Call) -> bool {
        let seen = &call.request["ExpressionAttributeValues"][":seen"]["N"];
        let is_claim = call.operation == "UpdateItem" && call.caller == "SweepFunction";
        if !is_claim || seen.is_null() {
            return false;
        }
        let claim = format!("{} {seen}", call.request["Key"]);
        !locked(&self.claims).insert(claim)
    }

    /// What the index said the last time, or nothing: it lags.
    pub fn stale(&self, call: &Call) -> Answered {
        let known = locked(&self.index)
            .get(&index_partition(&call.request))
            .cloned();
        let nothing = || br#"{"Items":[],"Count":0,"ScannedCount":0}"#.to_vec();
        (200, known.unwrap_or_else(nothing))
    }

    /// Takes every second event, the first one too; gives how many it left out.
    pub fn part(&self, call: &Call) -> (Answered, u32) {
        self.put_events(&call.request, true)
    }

    fn dispatch(&self, operation: &str, request: &Value) -> Answered {
        let table = &self.table;
        match operation {
            "GetItem" => run(request, |it| table.get_item(it)),
            "BatchGetItem" => run(request, |it| table.batch_get_item(it)),
            "Query" => run(request, |it| table.query(it)),
            "PutItem" => run(request, |it| table.put_item(it)),
            "UpdateItem" => run(request, |it| table.update_item(it)),
            _ => run(request, |it| table.transact_write_items(it)),
        }
    }

    fn secret(&self, request: &Value) -> Answered {
        let id = request["SecretId"].as_str().unwrap_or_default();
        match locked(&self.secrets).get(id) {
            Some(text) => {
                let answer = json!({"ARN": id, "SecretString": text.to_string()});
                (200, answer.to_string().into_bytes())
            }
            None => error(400, "ResourceNotFoundException"),
        }
    }

    /// Makes this the secret's text.
    pub fn put_secret(&self, arn: &str, text: Value) {
        locked(&self.secrets).insert(arn.to_owned(), text);
    }

    /// The secret's text.
    pub fn secret_text(&self, arn: &str) -> Value {
        locked(&self.secrets).get(arn).cloned().unwrap_or_default()
    }

    fn put_events(&self, request: &Value, leave_some: bool) -> (Answered, u32) {
        let entries = request["Entries"].as_array().into_iter().flatten();
        let (mut answered, mut failed) = (Vec::new(), 0);
        let mut events = locked(&self.events);
        for (place, entry) in entries.enumerate() {
            let detail = entry["Detail"].as_str().unwrap_or_default();
            let detail: Value = serde_json::from_str(detail).unwrap_or_default();
            if leave_some && place % 2 == 1 || !detail.is_object() {
                failed += 1;
                answered.push(json!({"ErrorCode": "InternalFailure"}));
                continue;
            }
            answered.push(json!({"EventId": "00000000"}));
            events.push(json!({
                "source": entry["Source"], "detail-type": entry["DetailType"], "detail": detail,
            }));
        }
        let answer = json!({"FailedEntryCount": failed, "Entries": answered});
        ((200, answer.to_string().into_bytes()), failed)
    }

    /// The events that were put so far.
    pub fn events(&self) -> Vec<Value> {
        locked(&self.events).clone()
    }

    fn object(&self, call: &Call) -> Answered {
        let mut objects = locked(&self.objects);
        match call.operation.as_str() {
            "PUT" => {
                objects.insert(call.path.clone(), call.content.clone());
                (200, Vec::new())
            }
            _ if objects.contains_key(&call.path) => (200, Vec::new()),
            _ => (404, Vec::new()),
        }
    }

    /// Writes an item past the functions.
    ///
    /// # Errors
    /// The engine takes no such item.
    pub fn put(&self, item: Value) -> Result<(), String> {
        let request = json!({"TableName": physical("Table"), "Item": item});
        let request = serde_json::from_value(request).map_err(|error| error.to_string())?;
        let put = self.table.put_item(request);
        put.map(drop).map_err(|error| error.to_string())
    }

    /// The object whose path ends so.
    pub fn object_ending(&self, end: &str) -> Option<Vec<u8>> {
        let objects = locked(&self.objects);
        let mut found = objects.iter().filter(|(path, _)| path.ends_with(end));
        found.next().map(|(_, content)| content.clone())
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    request: &Value,
    act: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Answered {
    let request = match Q::deserialize(request) {
        Ok(request) => request,
        Err(_) => return error(400, "SerializationException"),
    };
    match act(request) {
        Ok(answer) => (200, serde_json::to_vec(&answer).unwrap_or_default()),
        Err(error) => (error.status_code(), error.to_json().into_bytes()),
    }
}

/// An answer that says what is wrong.
pub fn error(status: u16, code: &str) -> Answered {
    let body = json!({"__type": code, "message": "on purpose"});
    (status, body.to_string().into_bytes())
}

/// A transaction that met another one, or a write that met a transaction.
pub fn conflict(call: &Call) -> Answered {
    let Some(parts) = call.request["TransactItems"].as_array() else {
        return error(400, "TransactionConflictException");
    };
    let mut reasons = vec![json!({"Code": "TransactionConflict", "Message": "on purpose"})];
    reasons.resize(parts.len().max(1), json!({"Code": "None"}));
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled [TransactionConflict]",
        "CancellationReasons": reasons,
    });
    (400, body.to_string().into_bytes())
}

/// The partition of an index that is asked: its name and the values that are no time.
fn index_partition(request: &Value) -> String {
    let mut partition = request["IndexName"].to_string();
    for (_, value) in request["ExpressionAttributeValues"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if let Some(text) = value["S"].as_str() {
            partition.push(' ');
            partition.push_str(text);
        }
    }
    partition.push_str(&request["ExclusiveStartKey"].to_string());
    partition
}
