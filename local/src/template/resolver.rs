//! CloudFormation's references and conditions, filled in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use super::error::{TemplateError, fail};
use super::names::{ACCOUNT, REGION, arn, physical};

/// Fills in parameters, references and conditions.
pub(super) struct Resolver<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: &'a Yaml,
    resources: &'a Yaml,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        yaml: &'a Yaml,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
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

    /// The parameters' values as texts.
    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        let parameters = self.parameters.iter();
        parameters
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect()
    }

    /// Whether the condition of this name holds.
    pub(super) fn holds(&self, place: &str, condition: &str) -> Result<bool, TemplateError> {
        self.condition(place, &self.conditions[condition])
    }

    pub(super) fn resolve(&self, place: &str, yaml: &Yaml) -> Result<Value, TemplateError> {
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
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) => {
                serde_json::to_value(yaml).map_err(|source| TemplateError::Value {
                    place: place.to_owned(),
                    source,
                })
            }
        }
    }

    fn intrinsic(&self, place: &str, tag: &str, of: &Yaml) -> Result<Value, TemplateError> {
        match (tag, of) {
            ("Ref", Yaml::String(name)) => self.reference(place, name),
            ("GetAtt", Yaml::String(path)) => self.attribute(place, path),
            ("Sub", Yaml::String(text)) => Ok(Value::from(self.substitute(place, text)?)),
            ("If", Yaml::Sequence(parts)) if parts.len() == 3 => {
                let condition = parts[0].as_str().unwrap_or_default();
                let chosen = if self.holds(place, condition)? { 1 } else { 2 };
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
            return fail(format!(
                "{place} refers to {path}, which is not an attribute of a resource"
            ));
        }
        match attribute {
            "Arn" => Ok(Value::from(arn(resource))),
            // The API is where the stack says that it is.
            "ApiEndpoint" => self.reference(place, "PublicBaseUrl"),
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

pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
