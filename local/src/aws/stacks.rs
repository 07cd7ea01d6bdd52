//! CloudFormation on this machine, as far as the operator's tool asks it: what the outputs of the one stack
//! are. It speaks forms and XML, as AWS does.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::template::Template;

/// The stack's name, which `AWS::StackName` gives here.
const NAME: &str = "local";

/// The stack's description.
#[derive(Debug)]
pub(super) struct Stacks {
    outputs: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
}

impl Stacks {
    pub(super) fn of(template: &Template) -> Self {
        Self {
            outputs: template.outputs.clone(),
            parameters: template.parameters.clone(),
        }
    }

    /// Answers what a form asks.
    pub(super) fn answer(&self, form: &BTreeMap<String, String>) -> Response {
        let asked = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if asked("Action") != "DescribeStacks" {
            return refusal("InvalidAction", "only DescribeStacks is here");
        }
        let name = asked("StackName");
        if name != NAME {
            let why = format!("Stack with id {name} does not exist");
            return refusal("ValidationError", &why);
        }
        let outputs = members(&self.outputs, "Output");
        let parameters = members(&self.parameters, "Parameter");
        xml(
            StatusCode::OK,
            format!(
                "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{NAME}</StackName>\
                 <Outputs>{outputs}</Outputs><Parameters>{parameters}</Parameters></member></Stacks>\
                 </DescribeStacksResult></DescribeStacksResponse>"
            ),
        )
    }
}

fn members(of: &BTreeMap<String, String>, kind: &str) -> String {
    let mut members = String::new();
    for (name, value) in of {
        // Writing to a text does not fail.
        let _ = write!(
            members,
            "<member><{kind}Key>{}</{kind}Key><{kind}Value>{}</{kind}Value></member>",
            escaped(name),
            escaped(value)
        );
    }
    members
}

fn refusal(code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error></ErrorResponse>",
        escaped(message)
    );
    xml(StatusCode::BAD_REQUEST, body)
}

/// Nobody is allowed to ask.
pub(super) fn denied(caller: &str) -> Response {
    let why = format!("{caller} is not authorized to perform: cloudformation:DescribeStacks");
    let mut answer = refusal("AccessDenied", &why);
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
