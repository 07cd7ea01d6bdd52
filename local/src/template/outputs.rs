//! The outputs of a stack, which say where its parts are.

use std::collections::BTreeMap;

use serde_yaml_ng::Value as Yaml;

use super::error::TemplateError;
use super::resolver::{Resolver, plain};

/// The outputs whose conditions hold.
pub(super) fn outputs(
    declared: &Yaml,
    resolver: &Resolver<'_>,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut outputs = BTreeMap::new();
    for (name, output) in declared.as_mapping().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let condition = output["Condition"].as_str();
        let holds = condition.map(|condition| resolver.holds(name, condition));
        if holds.transpose()?.unwrap_or(true) {
            let value = resolver.resolve(name, &output["Value"])?;
            outputs.insert(name.to_owned(), plain(&value));
        }
    }
    Ok(outputs)
}
