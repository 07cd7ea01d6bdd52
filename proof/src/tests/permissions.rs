//! What the template does not allow a function of secrets, bus and bucket breaks a promise here, too.

use http::HeaderMap;
use local::aws::access_key_of;
use local::template::{arn, physical};
use serde_json::{Value, json};

use super::in_a_world;
use crate::world::World;

/// Whether a function may ask a service for this.
fn may(world: &World, caller: &str, method: &str, path: &str, what: (&str, Value)) -> bool {
    let (target, body) = what;
    let mut headers = HeaderMap::new();
    let credential = format!("AWS4 Credential={}/x", access_key_of(caller));
    headers.insert("authorization", credential.parse().unwrap());
    if !target.is_empty() {
        headers.insert("x-amz-target", target.parse().unwrap());
    }
    let body = body.to_string();
    let read = world.aws.read(method, path, &headers, body.as_bytes());
    read.is_ok()
}

#[test]
fn secrets_bus_and_bucket_are_those_that_the_template_allows() {
    in_a_world(async |world| {
        let secret = |caller| {
            let what = json!({"SecretId": arn("SigningSecret")});
            let target = "secretsmanager.GetSecretValue";
            may(world, caller, "POST", "/", (target, what))
        };
        assert!(secret("SweepFunction"));
        assert!(!secret("NotifyCallbackFunction"));
        let event = |caller| {
            let what = json!({"Entries": [{"EventBusName": physical("EventBus")}]});
            may(world, caller, "POST", "/", ("AWSEvents.PutEvents", what))
        };
        assert!(event("PublishEventsFunction"));
        assert!(!event("QueryFunction"));
        let path = format!("/{}/2026-01-01/report.json", physical("ReportsBucket"));
        let object = |caller, method| may(world, caller, method, &path, ("", Value::Null));
        assert!(object("ReconcileFunction", "PUT") && object("ReconcileFunction", "HEAD"));
        assert!(!object("SweepFunction", "PUT") && !object("SweepFunction", "HEAD"));
    });
}
