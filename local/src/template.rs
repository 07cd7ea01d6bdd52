//! Reads `template.yaml`: functions with their environments and permissions, routes, schedules, the
//! table. It is the only list of these; the local stack has none of its own.
//!
//! Of CloudFormation's language it knows what the template uses; anything else is an error that names
//! the resource, not a guess.

mod error;
mod function;
mod names;
mod policy;
mod resolver;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

pub use error::TemplateError;
pub use function::{Function, Scheduled};
pub use names::{ACCOUNT, REGION, arn, bucket_arn, physical};
pub use policy::{Grant, Permission};

use error::fail;
use function::function;
use resolver::Resolver;

/// The table's indexes that the store asks (`shared::store`).
const INDEXES: [&str; 2] = ["due", "payer"];

/// The template with its parameters and references filled in.
#[derive(Clone, Debug)]
pub struct Template {
    /// The functions, by logical id.
    pub functions: BTreeMap<String, Function>,
    /// The table's properties.
    pub table: Value,
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
                    "its table has no index {index}, which the functions query"
                ));
            }
        }
        Ok(Self { functions, table })
    }
}
