//! Secrets Manager, operation by operation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use super::{Secrets, version_id};
use crate::template::arn;

fn secrets(folder: &tempfile::TempDir) -> Secrets {
    Secrets::open(folder.path().join("secrets.json")).unwrap()
}

fn texts(secrets: &Secrets, id: &str) -> [Option<String>; 2] {
    ["AWSCURRENT", "AWSPREVIOUS"].map(|stage| {
        let request = json!({"SecretId": id, "VersionStage": stage});
        let value = secrets.call("GetSecretValue", &request).ok()?;
        value["SecretString"].as_str().map(str::to_owned)
    })
}

fn both(current: &str, previous: &str) -> [Option<String>; 2] {
    [Some(current.to_owned()), Some(previous.to_owned())]
}

#[test]
fn a_secret_goes_by_its_name_and_by_its_arn() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = secrets(&folder);
    secrets.put(&arn("ApiSecret"), "one".to_owned()).unwrap();
    let by_name = "by ApiSecret";
    for (id, before) in [("ApiSecret".to_owned(), "one"), (arn("ApiSecret"), by_name)] {
        let value = secrets.call("GetSecretValue", &json!({"SecretId": id}));
        let value = value.unwrap();
        assert_eq!(value["SecretString"], before);
        assert_eq!(value["ARN"], json!(arn("ApiSecret")));
        assert_eq!(value["Name"], "ApiSecret");
        let request = json!({"SecretId": id, "SecretString": format!("by {id}")});
        secrets.call("PutSecretValue", &request).unwrap();
    }
    let by_arn = format!("by {}", arn("ApiSecret"));
    assert_eq!(texts(&secrets, "ApiSecret"), both(&by_arn, by_name));
    for id in ["apisecret", "Other", ""] {
        for operation in ["GetSecretValue", "PutSecretValue", "DescribeSecret"] {
            let request = json!({"SecretId": id, "SecretString": "x"});
            let refused = secrets.call(operation, &request).unwrap_err();
            assert_eq!(refused.0, "ResourceNotFoundException", "{operation} {id}");
        }
    }
}

#[test]
fn a_rotation_can_be_taken_back_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = secrets(&folder);
    opened.put(&arn("ApiSecret"), "old".to_owned()).unwrap();
    opened.put(&arn("ApiSecret"), "new".to_owned()).unwrap();
    let moved = |secrets: &Secrets, to: u64, from: u64| {
        let request = json!({
            "SecretId": "ApiSecret", "VersionStage": "AWSCURRENT",
            "MoveToVersionId": version_id(to), "RemoveFromVersionId": version_id(from),
        });
        secrets
            .call("UpdateSecretVersionStage", &request)
            .map(|_| ())
    };
    // The version that loses the stage has to be named, and the one that gets it has to exist.
    assert_eq!(
        moved(&opened, 1, 1).unwrap_err().0,
        "InvalidParameterException"
    );
    assert_eq!(
        moved(&opened, 7, 2).unwrap_err().0,
        "ResourceNotFoundException"
    );
    assert_eq!(texts(&opened, "ApiSecret"), both("new", "old"));
    moved(&opened, 1, 2).unwrap();
    assert_eq!(texts(&opened, "ApiSecret"), both("old", "new"));
    // It is so after a restart, too.
    let again = secrets(&folder);
    assert_eq!(texts(&again, "ApiSecret"), both("old", "new"));
    let listed = again.call("ListSecretVersionIds", &json!({"SecretId": "ApiSecret"}));
    let listed = &listed.unwrap()["Versions"];
    assert_eq!(
        *listed,
        json!([
            {"VersionId": version_id(1), "VersionStages": ["AWSCURRENT"]},
            {"VersionId": version_id(2), "VersionStages": ["AWSPREVIOUS"]},
        ])
    );
    moved(&again, 2, 1).unwrap();
    moved(&again, 2, 1).unwrap();
    assert_eq!(texts(&again, "ApiSecret"), both("new", "old"));
    moved(&again, 1, 2).unwrap();
    let put = json!({"SecretId": "ApiSecret", "SecretString": "newest"});
    let put = again.call("PutSecretValue", &put).unwrap();
    assert_eq!(put["VersionId"], json!(version_id(3)));
    assert_eq!(texts(&again, "ApiSecret"), both("newest", "old"));
    // The way back leads to the version that was current before, by its own number.
    assert_eq!(
        moved(&again, 2, 3).unwrap_err().0,
        "ResourceNotFoundException"
    );
    moved(&again, 1, 3).unwrap();
    assert_eq!(texts(&again, "ApiSecret"), both("old", "newest"));
}

#[test]
fn a_version_goes_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = secrets(&folder);
    secrets.put(&arn("ApiSecret"), "old".to_owned()).unwrap();
    secrets.put(&arn("ApiSecret"), "new".to_owned()).unwrap();
    for (asked, text) in [
        (json!({}), Some("new")),
        (json!({"VersionId": version_id(1)}), Some("old")),
        (json!({"VersionId": version_id(2)}), Some("new")),
        (json!({"VersionId": version_id(3)}), None),
        (
            json!({"VersionId": version_id(1), "VersionStage": "AWSCURRENT"}),
            None,
        ),
        (json!({"VersionStage": "AWSPENDING"}), None),
    ] {
        let mut request = asked;
        request["SecretId"] = Value::from("ApiSecret");
        let found = secrets.call("GetSecretValue", &request).ok();
        let found = found
            .as_ref()
            .and_then(|value| value["SecretString"].as_str());
        assert_eq!(found, text, "{request}");
    }
}

#[test]
fn what_is_not_known_here_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = secrets(&folder);
    secrets.put(&arn("ApiSecret"), "one".to_owned()).unwrap();
    for (operation, request) in [
        ("DeleteSecret", json!({})),
        ("RotateSecret", json!({})),
        ("PutSecretValue", json!({})),
        ("PutSecretValue", json!({"SecretBinary": "YQ=="})),
        (
            "PutSecretValue",
            json!({"SecretString": "two", "VersionStages": ["AWSPENDING"]}),
        ),
        (
            "UpdateSecretVersionStage",
            json!({"VersionStage": "MINE", "MoveToVersionId": version_id(1)}),
        ),
    ] {
        let mut request = request;
        request["SecretId"] = Value::from("ApiSecret");
        assert!(
            secrets.call(operation, &request).is_err(),
            "{operation} {request}"
        );
    }
    assert_eq!(secrets.current(&arn("ApiSecret")).as_deref(), Some("one"));
}
