//! Reads `template.yaml`: functions with their environments and permissions, routes, schedules, the
//! table. It is the only list of these; the local stack has none of its own.
//!
//! Of CloudFormation's language it knows what the template uses; anything else is an error that names
//! the resource, not a guess.

mod error;
mod function;
mod mapping;
mod names;
mod outputs;
mod policy;
mod resolver;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

pub use error::TemplateError;
pub use function::{Function, Scheduled};
pub use mapping::Mapping;
pub use names::{ACCOUNT, REGION, arn, bucket_arn, physical};
pub use policy::{Grant, Permission};

use error::fail;
use function::function;
use mapping::mapping;
use outputs::outputs;
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
    /// What brings the table's stream to functions.
    pub mappings: Vec<Mapping>,
    /// The outputs, by name, as far as their conditions hold.
    pub outputs: BTreeMap<String, String>,
    /// The parameters' values, by name.
    pub parameters: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template's text; `given` overrides parameters' defaults.
    ///
    /// # Errors
    /// Says in one sentence which part cannot be used.
    pub fn parse(text: &str, given: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(TemplateError::Yaml)?;
        let resolver = Resolver::new(&yaml, given)?;
        let globals = resolver.resolve("Globals", &yaml["Globals"]["Function"])?;
        let Some(resources) = yaml["Resources"].as_mapping() else {
            return fail("it has no Resources");
        };
        let mut functions = BTreeMap::new();
        let mut table = Value::Null;
        let mut mappings = Vec::new();
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
                Some("AWS::Lambda::EventSourceMapping") => {
                    mappings.push(mapping(
                        name,
                        &resolver.resolve(name, &resource["Properties"])?,
                    )?);
                }
                Some(_) => {}
                None => return fail(format!("the resource {name} has no Type")),
            }
        }
        let led_to = |id: &str, function: &Function| {
            let mut mapped = mappings.iter().map(|mapping: &Mapping| &mapping.function);
            !function.routes.is_empty()
                || !function.schedules.is_empty()
                || mapped.any(|mapped| mapped == id)
        };
        if let Some((id, _)) = functions.iter().find(|(id, it)| !led_to(id, it)) {
            return fail(format!(
                "the function {id} has no Events: neither a route, a schedule nor the stream leads to it"
            ));
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
        Ok(Self {
            functions,
            table,
            mappings,
            outputs: outputs(&yaml["Outputs"], &resolver)?,
            parameters: resolver.parameters(),
        })
    }
}
