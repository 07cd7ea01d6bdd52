//! Secrets Manager on this machine: texts by ARN in one file, replaced whole, with the version
//! before.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files::replace;
use crate::lock::locked;

/// The secrets.
#[derive(Debug)]
pub struct Secrets {
    file: PathBuf,
    texts: Mutex<BTreeMap<String, Versions>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Versions {
    version: u64,
    current: String,
    previous: Option<String>,
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Versions")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Opens the file, or starts without secrets.
    ///
    /// # Errors
    /// The file cannot be read or is not one of these.
    pub fn open(file: PathBuf) -> Result<Self, String> {
        let texts = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} is damaged: {error}", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
        };
        Ok(Self {
            file,
            texts: Mutex::new(texts),
        })
    }

    /// The current text of a secret.
    pub fn current(&self, arn: &str) -> Option<String> {
        locked(&self.texts)
            .get(arn)
            .map(|versions| versions.current.clone())
    }

    /// Makes the text the current one; the one before stays readable as `AWSPREVIOUS`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&self, arn: &str, text: String) -> Result<u64, String> {
        let mut texts = locked(&self.texts);
        let (version, previous) = match texts.get(arn) {
            Some(versions) => (versions.version + 1, Some(versions.current.clone())),
            None => (1, None),
        };
        texts.insert(
            arn.to_owned(),
            Versions {
                version,
                current: text,
                previous,
            },
        );
        let bytes = serde_json::to_vec_pretty(&*texts).map_err(|error| error.to_string())?;
        replace(&self.file, &bytes)?;
        Ok(version)
    }

    pub(super) fn call(
        &self,
        operation: &str,
        request: &Value,
    ) -> Result<Value, (&'static str, String)> {
        let arn = request["SecretId"].as_str().unwrap_or_default();
        let name = arn.rsplit(':').next().unwrap_or(arn);
        let missing = || {
            (
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.".to_owned(),
            )
        };
        match operation {
            "GetSecretValue" => {
                let versions = locked(&self.texts).get(arn).cloned().ok_or_else(missing)?;
                let (text, version, stage) = match request["VersionStage"].as_str() {
                    None | Some("AWSCURRENT") => (versions.current, versions.version, "AWSCURRENT"),
                    Some("AWSPREVIOUS") => (
                        versions.previous.ok_or_else(missing)?,
                        versions.version - 1,
                        "AWSPREVIOUS",
                    ),
                    Some(_) => return Err(missing()),
                };
                Ok(json!({
                    "ARN": arn, "Name": name, "SecretString": text,
                    "VersionId": version_id(version), "VersionStages": [stage],
                }))
            }
            "PutSecretValue" => {
                if !locked(&self.texts).contains_key(arn) {
                    return Err(missing());
                }
                let text = request["SecretString"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let version = self
                    .put(arn, text)
                    .map_err(|error| ("InternalServiceError", error))?;
                let stages = ["AWSCURRENT"];
                Ok(
                    json!({"ARN": arn, "Name": name, "VersionId": version_id(version), "VersionStages": stages}),
                )
            }
            _ => Err((
                "InvalidRequestException",
                format!("{operation} is not here"),
            )),
        }
    }
}

fn version_id(version: u64) -> String {
    format!("00000000-0000-4000-8000-{version:012}")
}
