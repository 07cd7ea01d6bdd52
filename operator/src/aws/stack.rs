//! A stack as CloudFormation describes it: its outputs, which say where everything is, and its parameters.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use super::Aws;
use super::call::Called;
use crate::exit::Failure;

/// How long CloudFormation may take.
const TIME_MAX: Duration = Duration::from_secs(20);

/// What CloudFormation says of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The outputs, by name.
    pub outputs: BTreeMap<String, String>,
    /// The parameters' values, by name; those that are not to be seen are stars.
    pub parameters: BTreeMap<String, String>,
}

impl Described {
    /// An output that every stack of this template has.
    ///
    /// # Errors
    /// It has not: it is another template's stack, or was deployed before the output was added.
    pub fn output(&self, name: &str) -> Result<&str, Failure> {
        self.outputs.get(name).map(String::as_str).ok_or_else(|| {
            Failure::NoAccess(format!(
                "the stack has no output {name}: it is no stack of this template, or of an earlier one \
                 (deploy it again)"
            ))
        })
    }
}

impl Aws {
    /// Describes a stack.
    ///
    /// # Errors
    /// There is none of that name in this region and account, or it may not be described.
    pub async fn describe(&self, stack: &str) -> Result<Described, Failure> {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "DescribeStacks")
            .append_pair("Version", "2010-05-15")
            .append_pair("StackName", stack)
            .finish();
        let answered = self
            .post(&Called {
                service: "cloudformation",
                action: "cloudformation:DescribeStacks",
                path: "/",
                headers: &[("content-type", "application/x-www-form-urlencoded")],
                body: &body,
                time_max: TIME_MAX,
            })
            .await?;
        if answered.status.is_success() {
            return described(&answered.body).map_err(|error| {
                Failure::Failed(format!("CloudFormation's answer cannot be read: {error}"))
            });
        }
        let said = message(&answered.body).unwrap_or_else(|| answered.status.to_string());
        if answered.status.is_server_error() {
            return Err(Failure::NoAnswer(format!("CloudFormation answers: {said}")));
        }
        Err(Failure::NoAccess(format!(
            "the stack {stack} cannot be described in {}: {said}",
            self.region()
        )))
    }
}

/// Reads the answer to `DescribeStacks`: of each member of `Outputs` and `Parameters` its name and value.
fn described(text: &str) -> Result<Described, XmlDecodeError> {
    let mut document = Document::new(text);
    let mut root = document.root_element()?;
    let mut described = Described::default();
    while let Some(mut result) = root.next_tag() {
        while let Some(mut stacks) = result.next_tag() {
            while let Some(mut stack) = stacks.next_tag() {
                while let Some(part) = stack.next_tag() {
                    match part.start_el().local() {
                        "Outputs" => {
                            described.outputs = pairs(part, "OutputKey", "OutputValue")?;
                        }
                        "Parameters" => {
                            described.parameters = pairs(part, "ParameterKey", "ParameterValue")?;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    Ok(described)
}

fn pairs(
    mut list: ScopedDecoder<'_, '_>,
    key: &str,
    value: &str,
) -> Result<BTreeMap<String, String>, XmlDecodeError> {
    let mut pairs = BTreeMap::new();
    while let Some(mut member) = list.next_tag() {
        let (mut name, mut said) = (String::new(), String::new());
        while let Some(mut part) = member.next_tag() {
            let found = part.start_el().local().to_owned();
            if found == key {
                name = try_data(&mut part)?.into_owned();
            } else if found == value {
                said = try_data(&mut part)?.into_owned();
            }
        }
        pairs.insert(name, said);
    }
    Ok(pairs)
}

/// What an answer that is a refusal says.
fn message(text: &str) -> Option<String> {
    let mut document = Document::new(text);
    let mut root = document.root_element().ok()?;
    while let Some(mut error) = root.next_tag() {
        while let Some(mut part) = error.next_tag() {
            if part.start_el().local() == "Message" {
                return try_data(&mut part).ok().map(|said| said.into_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
