//! What docs/openapi.yaml says of requests and answers, held against each that a test sees.
//!
//! The document lets answers gain members, since its readers must; here an answer with a member that the
//! document does not have is wrong.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The document, with its place in the repository.
const DOCUMENT: &str = "../docs/openapi.yaml";

/// Read once for all tests of the process.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    Contract::of(serde_yaml_ng::from_str(&text).unwrap())
});

/// A request with its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    pub body: &'a [u8],
    pub status: u16,
    pub content_type: &'a str,
    pub retry_after: Option<i64>,
    pub answer: &'a str,
}

impl Exchange<'_> {
    /// Checks that the document knows the answer, and the request where it was accepted.
    #[track_caller]
    pub fn check(&self) {
        if let Err(wrong) = CONTRACT.check(self) {
            panic!(
                "docs/openapi.yaml does not know this: {} {} {}: {wrong}\n{}",
                self.method, self.path, self.status, self.answer
            );
        }
    }
}

/// Sends a request, checks the exchange, and gives the answer's status and JSON.
pub async fn sent(request: reqwest::RequestBuilder) -> Result<(u16, Value), reqwest::Error> {
    let (http, request) = request.build_split();
    let request = request?;
    let (method, url) = (request.method().clone(), request.url().clone());
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let body = body.unwrap_or_default().to_vec();
    let answer = http.execute(request).await?;
    let status = answer.status().as_u16();
    let header = |name| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let content_type = header("content-type").unwrap_or_default();
    let retry_after = header("retry-after").map(|value| value.parse().unwrap());
    // Where the other side died in the middle there is nothing to check.
    let Ok(text) = answer.text().await else {
        return Ok((status, Value::Null));
    };
    let exchange = Exchange {
        method: method.as_str(),
        path: &path,
        body: &body,
        status,
        content_type: &content_type,
        retry_after,
        answer: &text,
    };
    exchange.check();
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}

/// The document.
pub fn document() -> &'static Value {
    &CONTRACT.document
}

/// What a schema of the document has against a value; `at` is the schema's place in the document, and an
/// answer's schema has no members but those that it names.
pub fn wrong(at: &str, value: &Value, answer: bool) -> Option<String> {
    CONTRACT.validator(at, answer).against(value)
}

/// The operation that a request is one of, with its place in the document.
pub fn operation(method: &str, path: &str) -> Option<(String, &'static Value)> {
    CONTRACT.operation(method, path)
}

/// What stands where the value points at, if it only points.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// A name as a JSON pointer has it.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct Contract {
    document: Value,
    /// The components as answers are held to them.
    closed: Value,
    validators: Mutex<HashMap<(String, bool), Arc<Schema>>>,
}

/// A compiled schema.
struct Schema(Validator);

impl Schema {
    /// Everything that it has against the value.
    fn against(&self, value: &Value) -> Option<String> {
        let told =
            |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        let wrong: Vec<String> = self.0.iter_errors(value).map(told).collect();
        (!wrong.is_empty()).then(|| wrong.join("\n"))
    }
}

impl Contract {
    fn of(document: Value) -> Self {
        let mut closed = document["components"]["schemas"].clone();
        for schema in closed.as_object_mut().unwrap().values_mut() {
            close_members(schema);
        }
        Self {
            document,
            closed,
            validators: Mutex::default(),
        }
    }

    fn validator(&self, at: &str, answer: bool) -> Arc<Schema> {
        let key = (at.to_owned(), answer);
        if let Some(known) = self.validators.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        let mut schema = self.document.pointer(at).unwrap().clone();
        let schemas = if answer {
            close_members(&mut schema);
            close(&mut schema);
            &self.closed
        } else {
            &self.document["components"]["schemas"]
        };
        schema["components"] = json!({"schemas": schemas});
        let compiled = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&schema);
        let compiled = compiled.unwrap_or_else(|error| panic!("{at}: {error}"));
        let compiled = Arc::new(Schema(compiled));
        let mut validators = self.validators.lock().unwrap();
        Arc::clone(validators.entry(key).or_insert(compiled))
    }

    fn operation(&self, method: &str, path: &str) -> Option<(String, &Value)> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let paths = self.document["paths"].as_object().unwrap();
        // A path that is written out goes before one with a parameter in its place.
        let mut fitting: Vec<&String> = paths.keys().filter(|known| fits(known, &path)).collect();
        fitting.sort_by_key(|known| known.matches('{').count());
        let known = fitting.first()?;
        let method = method.to_ascii_lowercase();
        let operation = self.document["paths"][known.as_str()].get(&method)?;
        Some((format!("/paths/{}/{method}", escaped(known)), operation))
    }

    fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let (path, query) = exchange.path.split_once('?').unwrap_or((exchange.path, ""));
        let Some((at, operation)) = self.operation(exchange.method, path) else {
            // The gateway's own answer, or a page beside the API.
            return match exchange.status {
                404 if exchange.method != "HEAD" => {
                    self.json("/components/schemas/GatewayMessage", exchange.answer)
                }
                _ => Ok(()),
            };
        };
        // What `local::loopback` refuses never reaches the API, whose own refusals are problems.
        if exchange.status == 403 && exchange.content_type == "application/json" {
            return self.json("/components/schemas/GatewayMessage", exchange.answer);
        }
        self.check_answer(&at, operation, exchange)?;
        if (200..300).contains(&exchange.status) {
            self.check_query(path, operation, query)?;
            self.check_body(&at, operation, exchange.body)?;
        }
        Ok(())
    }

    fn check_answer(
        &self,
        at: &str,
        operation: &Value,
        exchange: &Exchange<'_>,
    ) -> Result<(), String> {
        let status = exchange.status.to_string();
        let Some(answer) = operation["responses"].get(&status) else {
            return Err("the operation has no such status".to_owned());
        };
        let (at, answer) = self.followed(format!("{at}/responses/{status}"), answer);
        if exchange.retry_after.is_some() && answer["headers"]["Retry-After"].is_null() {
            return Err("Retry-After is not among its headers".to_owned());
        }
        let Some(content) = answer["content"].as_object() else {
            return match exchange.answer {
                "" => Ok(()),
                _ => Err("it has no body".to_owned()),
            };
        };
        let media = exchange.content_type.split(';').next().unwrap_or_default();
        if !content.contains_key(media) {
            return Err(format!("it has no body of the type {media:?}"));
        }
        self.json(
            &format!("{at}/content/{}/schema", escaped(media)),
            exchange.answer,
        )?;
        match media {
            "application/problem+json" => self.check_problem(exchange),
            _ => Ok(()),
        }
    }

    /// What a schema cannot say: the members of a problem agree with each other and with the status.
    fn check_problem(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let problem: Value = serde_json::from_str(exchange.answer).unwrap();
        let code = problem["code"].as_str().unwrap_or_default();
        if problem["type"] != format!("urn:wxpay:problem:{code}") {
            return Err(format!("its type is not of {code}"));
        }
        if problem["status"] != exchange.status {
            return Err("its status is not the answer's".to_owned());
        }
        Ok(())
    }

    fn check_query(&self, path: &str, operation: &Value, query: &str) -> Result<(), String> {
        let parameters = operation["parameters"].as_array();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let known = parameters.into_iter().flatten().find_map(|parameter| {
                let parameter = resolved(&self.document, parameter);
                (parameter["in"] == "query" && parameter["name"] == *name).then_some(parameter)
            });
            let Some(known) = known else {
                return Err(format!("{path} has no parameter {name}"));
            };
            if let Some(wrong) = self.parameter(known, &value) {
                return Err(format!("{name}: {wrong}"));
            }
        }
        Ok(())
    }

    fn parameter(&self, parameter: &Value, value: &str) -> Option<String> {
        let mut schema = parameter["schema"].clone();
        schema["components"] = json!({"schemas": self.document["components"]["schemas"]});
        let compiled = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        Schema(compiled).against(&Value::from(value))
    }

    fn check_body(&self, at: &str, operation: &Value, body: &[u8]) -> Result<(), String> {
        let Some(described) = operation.get("requestBody") else {
            return Ok(());
        };
        let (at, described) = self.followed(format!("{at}/requestBody"), described);
        if body.is_empty() && described["required"] != true {
            return Ok(());
        }
        let mut sent: Value = match serde_json::from_slice(body) {
            Ok(sent) => sent,
            // WeChat Pay's own envelope may hold, in members that nobody reads, what this reader cannot.
            Err(_) if operation["operationId"] == "receiveNotification" => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        without_nulls(&mut sent);
        let schema = format!("{at}/content/application~1json/schema");
        match self.validator(&schema, false).against(&sent) {
            Some(wrong) => Err(format!("the request was accepted: {wrong}")),
            None => Ok(()),
        }
    }

    fn json(&self, at: &str, text: &str) -> Result<(), String> {
        let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        self.validator(at, true).against(&value).map_or(Ok(()), Err)
    }

    /// The place and the value, or those that the value points at.
    fn followed<'a>(&'a self, at: String, value: &'a Value) -> (String, &'a Value) {
        match value["$ref"].as_str() {
            Some(to) => {
                let to = to.trim_start_matches('#');
                (to.to_owned(), self.document.pointer(to).unwrap())
            }
            None => (at, value),
        }
    }
}

/// Takes out the members that are null, which a request may have for any that it leaves out.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a decoded path is one of this form.
fn fits(known: &str, path: &str) -> bool {
    let (known, path) = (known.split('/'), path.split('/'));
    known.clone().count() == path.clone().count()
        && known.zip(path).all(|(known, part)| {
            known == part || known.starts_with('{') && known.ends_with('}') && !part.is_empty()
        })
}

/// Lets each object that the schema holds have no members but those that are named.
fn close_members(schema: &mut Value) {
    for name in ["allOf", "anyOf", "oneOf"] {
        let parts = schema.get_mut(name).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(close_members);
    }
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(Map::values_mut) {
        close_members(member);
        close(member);
    }
    if let Some(items) = schema.get_mut("items") {
        close_members(items);
        close(items);
    }
}

fn close(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema
            .entry("unevaluatedProperties")
            .or_insert(Value::Bool(false));
    }
}
