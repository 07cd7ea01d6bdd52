//! Reads `template.yaml`: functions with their environments and permissions, routes, schedules, the
//! table. It is the only list of these; the local stack has none of its own.
//!
//! Of CloudFormation's language it knows what the template uses; anything else is an error that names
//! the resource, not a guess.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

/// What resources of the template are called on this machine.
pub const REGION: &str = "local";
const ACCOUNT: &str = "000000000000";

/// The table's indexes that the store asks (`shared::store`).
const INDEXES: [&str; 2] = ["due", "payer"];

/// The methods of routes. `ANY` is not among them: the functions' routes name theirs.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A template that cannot be used, in one sentence.
#[derive(Debug)]
pub struct TemplateError(String);

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "template.yaml cannot be used: {}", self.0)
    }
}

impl std::error::Error for TemplateError {}

fn fail<T>(sentence: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(sentence.into()))
}

/// The template with its parameters and references filled in.
#[derive(Clone, Debug)]
pub struct Template {
    /// The functions, by logical id.
    pub functions: BTreeMap<String, Function>,
    /// The table's properties.
    pub table: Value,
}

/// A function as the template declares it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The crate and binary that implements it.
    pub binary: String,
    /// Its environment, the globals' included.
    pub environment: BTreeMap<String, String>,
    /// How long one invocation may take, in seconds.
    pub timeout_seconds: u64,
    /// The API's routes that lead to it, as (method, path).
    pub routes: Vec<(String, String)>,
    /// Whether a schedule runs it.
    pub scheduled: bool,
    /// What it may do.
    pub allowed: Vec<Permission>,
}

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
}

/// The name of a resource on this machine: what `!Ref` gives.
pub fn physical(logical_id: &str) -> String {
    match logical_id {
        "Table" => "wxpay".to_owned(),
        secret if secret.ends_with("Secret") => arn(secret),
        other => other.to_owned(),
    }
}

/// The ARN of a resource on this machine: what `!GetAtt …​.Arn` gives.
pub fn arn(logical_id: &str) -> String {
    match logical_id {
        "Table" => format!(
            "arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}",
            physical("Table")
        ),
        secret if secret.ends_with("Secret") => {
            format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}")
        }
        other => format!("arn:aws:local:{REGION}:{ACCOUNT}:{other}"),
    }
}

impl Template {
    /// Reads the template's text; `given` overrides parameters' defaults.
    ///
    /// # Errors
    /// Says in one sentence which part cannot be used.
    pub fn parse(text: &str, given: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let yaml: Yaml = serde_yaml_ng::from_str(text)
            .map_err(|error| TemplateError(format!("it is not YAML ({error})")))?;
        let resolver = Resolver::new(&yaml, given)?;
        let globals = resolver.resolve("Globals", &yaml["Globals"]["Function"])?;
        let Some(resources) = yaml["Resources"].as_mapping() else {
            return fail("it has no Resources");
        };
        let mut functions = BTreeMap::new();
        let mut table = Value::Null;
        for (name, resource) in resources {
            let name = name.as_str().unwrap_or_default();
            match resource["Type"].as_str() {
                Some("AWS::Serverless::Function") => {
                    let function = function(name, resource, &globals, &resolver)?;
                    functions.insert(name.to_owned(), function);
                }
                Some("AWS::DynamoDB::Table") => {
                    table = resolver.resolve(name, &resource["Properties"])?;
                }
                Some(_) => {}
                None => return fail(format!("the resource {name} has no Type")),
            }
        }
        if functions.is_empty() {
            return fail("it declares no function");
        }
        if table.is_null() {
            return fail("it declares no table");
        }
        for index in INDEXES {
            let declared = table["GlobalSecondaryIndexes"].as_array();
            let mut declared = declared.into_iter().flatten();
            if !declared.any(|declared| declared["IndexName"] == index) {
                return fail(format!(
                    "its table has no index {index}, which the functions ask"
                ));
            }
        }
        Ok(Self { functions, table })
    }
}

fn function(
    name: &str,
    resource: &Yaml,
    globals: &Value,
    resolver: &Resolver<'_>,
) -> Result<Function, TemplateError> {
    let Some(binary) = resource["Metadata"]["BuildProperties"]["Binary"].as_str() else {
        return fail(format!(
            "the function {name} names no Binary in its Metadata"
        ));
    };
    let properties = resolver.resolve(name, &resource["Properties"])?;
    let mut environment = BTreeMap::new();
    for variables in [
        &globals["Environment"]["Variables"],
        &properties["Environment"]["Variables"],
    ] {
        for (variable, value) in variables.as_object().into_iter().flatten() {
            environment.insert(variable.clone(), plain(value));
        }
    }
    let timeout_seconds = properties["Timeout"]
        .as_u64()
        .or_else(|| globals["Timeout"].as_u64())
        .ok_or_else(|| TemplateError(format!("the function {name} has no Timeout")))?;
    let (mut routes, mut scheduled) = (Vec::new(), false);
    for (event, declared) in properties["Events"].as_object().into_iter().flatten() {
        match declared["Type"].as_str() {
            Some("HttpApi") => {
                let of = |property: &str| {
                    declared["Properties"][property]
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| {
                            TemplateError(format!("the event {event} of {name} has no {property}"))
                        })
                };
                let (method, path) = (of("Method")?.to_ascii_uppercase(), of("Path")?);
                if !METHODS.contains(&method.as_str()) {
                    return fail(format!(
                        "the event {event} of {name} has the Method {method:?}, which is none"
                    ));
                }
                if !path.starts_with('/') {
                    return fail(format!(
                        "the event {event} of {name} has the Path {path:?}, which does not begin \
                         with a slash"
                    ));
                }
                routes.push((method, path));
            }
            Some("Schedule" | "ScheduleV2") => scheduled = true,
            other => {
                return fail(format!(
                    "the event {event} of {name} is of the type {}, which the local stack does not have",
                    other.unwrap_or("(none)")
                ));
            }
        }
    }
    if routes.is_empty() && !scheduled {
        return fail(format!(
            "the function {name} has no Events: neither a route nor a schedule leads to it"
        ));
    }
    Ok(Function {
        binary: binary.to_owned(),
        environment,
        timeout_seconds,
        routes,
        scheduled,
        allowed: permissions(name, &properties["Policies"])?,
    })
}

fn permissions(name: &str, policies: &Value) -> Result<Vec<Permission>, TemplateError> {
    let mut allowed = Vec::new();
    for policy in policies.as_array().into_iter().flatten() {
        let Some(statements) = policy["Statement"].as_array() else {
            return fail(format!("a policy of {name} has no Statement"));
        };
        for statement in statements {
            if statement["Effect"] != "Allow" {
                return fail(format!("a statement of {name} does not allow"));
            }
            let (actions, resources) = (
                texts(name, statement, "Action")?,
                texts(name, statement, "Resource")?,
            );
            for action in &actions {
                for resource in &resources {
                    allowed.push(Permission {
                        action: action.clone(),
                        resource: resource.clone(),
                    });
                }
            }
        }
    }
    Ok(allowed)
}

/// A part of a statement: a text or several.
fn texts(name: &str, statement: &Value, part: &str) -> Result<Vec<String>, TemplateError> {
    let values = match &statement[part] {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts: Option<Vec<String>> = values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
        TemplateError(format!(
            "a statement of {name} has a part, {part}, that is not a text or several"
        ))
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Fills in parameters, references and conditions.
struct Resolver<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: &'a Yaml,
    resources: &'a Yaml,
}

impl<'a> Resolver<'a> {
    fn new(yaml: &'a Yaml, given: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut parameters = BTreeMap::new();
        for (name, declared) in yaml["Parameters"].as_mapping().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default().to_owned();
            let value = match given.get(&name) {
                Some(value) => Value::from(value.clone()),
                None => serde_json::to_value(&declared["Default"]).unwrap_or(Value::Null),
            };
            if value.is_null() {
                return fail(format!("the parameter {name} has no value"));
            }
            parameters.insert(name, value);
        }
        if let Some(unknown) = given.keys().find(|name| !parameters.contains_key(*name)) {
            return fail(format!(
                "it has no parameter {unknown}, which the local stack sets"
            ));
        }
        Ok(Self {
            parameters,
            conditions: &yaml["Conditions"],
            resources: &yaml["Resources"],
        })
    }

    fn resolve(&self, place: &str, yaml: &Yaml) -> Result<Value, TemplateError> {
        match yaml {
            Yaml::Mapping(mapping) => {
                let mut resolved = Map::new();
                for (name, value) in mapping {
                    let value = self.resolve(place, value)?;
                    if !value.is_null() {
                        resolved.insert(name.as_str().unwrap_or_default().to_owned(), value);
                    }
                }
                Ok(Value::Object(resolved))
            }
            Yaml::Sequence(values) => {
                let values: Result<Vec<Value>, _> = values
                    .iter()
                    .map(|value| self.resolve(place, value))
                    .collect();
                Ok(values?
                    .into_iter()
                    .filter(|value| !value.is_null())
                    .collect())
            }
            Yaml::Tagged(tagged) => {
                let tag = tagged.tag.to_string();
                self.intrinsic(place, tag.trim_start_matches('!'), &tagged.value)
            }
            scalar => serde_json::to_value(scalar).map_err(|error| {
                TemplateError(format!("{place} has a value that is none ({error})"))
            }),
        }
    }

    fn intrinsic(&self, place: &str, tag: &str, of: &Yaml) -> Result<Value, TemplateError> {
        match (tag, of) {
            ("Ref", Yaml::String(name)) => self.reference(place, name),
            ("GetAtt", Yaml::String(path)) => self.attribute(place, path),
            ("Sub", Yaml::String(text)) => Ok(Value::from(self.substitute(place, text)?)),
            ("If", Yaml::Sequence(parts)) if parts.len() == 3 => {
                let condition = parts[0].as_str().unwrap_or_default();
                let chosen = if self.condition(place, &self.conditions[condition])? {
                    1
                } else {
                    2
                };
                self.resolve(place, &parts[chosen])
            }
            _ => fail(format!(
                "{place} uses !{tag} in a way the local stack does not know"
            )),
        }
    }

    fn reference(&self, place: &str, name: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        match name {
            "AWS::StackName" => Ok(Value::from("local")),
            "AWS::Region" => Ok(Value::from(REGION)),
            "AWS::AccountId" => Ok(Value::from(ACCOUNT)),
            "AWS::Partition" => Ok(Value::from("aws")),
            "AWS::URLSuffix" => Ok(Value::from("amazonaws.com")),
            "AWS::NoValue" => Ok(Value::Null),
            resource if self.declares(resource) => Ok(Value::from(physical(resource))),
            other => fail(format!(
                "{place} refers to {other}, which is neither a parameter nor a resource"
            )),
        }
    }

    fn attribute(&self, place: &str, path: &str) -> Result<Value, TemplateError> {
        let (resource, attribute) = path.split_once('.').unwrap_or((path, ""));
        if !self.declares(resource) {
            return fail(format!("{place} refers to {path}, which is no resource's"));
        }
        match attribute {
            "Arn" => Ok(Value::from(arn(resource))),
            other => Ok(Value::from(format!("{}.{other}", physical(resource)))),
        }
    }

    fn declares(&self, resource: &str) -> bool {
        let logical_id = resource.split('.').next().unwrap_or(resource);
        !self.resources[logical_id].is_null()
    }

    fn substitute(&self, place: &str, text: &str) -> Result<String, TemplateError> {
        let mut substituted = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            substituted.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return fail(format!("{place} has an unfinished ${{ in {text:?}"));
            };
            let value = match name.strip_prefix('!') {
                Some(literal) => Value::from(format!("${{{literal}}}")),
                None if name.contains('.') => self.attribute(place, name)?,
                None => self.reference(place, name)?,
            };
            substituted.push_str(&plain(&value));
            rest = after;
        }
        substituted.push_str(rest);
        Ok(substituted)
    }

    fn condition(&self, place: &str, condition: &Yaml) -> Result<bool, TemplateError> {
        let Yaml::Tagged(tagged) = condition else {
            return fail(format!("{place} uses a condition that is not declared"));
        };
        let tag = tagged.tag.to_string();
        match (tag.trim_start_matches('!'), &tagged.value) {
            ("Equals", Yaml::Sequence(sides)) if sides.len() == 2 => {
                let (left, right) = (
                    self.resolve(place, &sides[0])?,
                    self.resolve(place, &sides[1])?,
                );
                Ok(plain(&left) == plain(&right))
            }
            ("Not", Yaml::Sequence(of)) if of.len() == 1 => Ok(!self.condition(place, &of[0])?),
            ("And", Yaml::Sequence(of)) => of
                .iter()
                .try_fold(true, |all, one| Ok(all && self.condition(place, one)?)),
            ("Or", Yaml::Sequence(of)) => of
                .iter()
                .try_fold(false, |any, one| Ok(any || self.condition(place, one)?)),
            ("Condition", Yaml::String(name)) => {
                self.condition(place, &self.conditions[name.as_str()])
            }
            (tag, _) => fail(format!(
                "a condition uses !{tag}, which the local stack does not know"
            )),
        }
    }
}
