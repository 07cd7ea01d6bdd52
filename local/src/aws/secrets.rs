//! Secrets Manager on this machine: texts by ARN in one file, replaced whole, with the version
//! before. It knows the operations that a rotation and its way back need.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files::replace;
use crate::lock::locked;
use crate::template;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The secrets.
#[derive(Debug)]
pub struct Secrets {
    file: PathBuf,
    texts: Mutex<BTreeMap<String, Versions>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Versions {
    /// How many versions there were.
    version: u64,
    current: String,
    previous: Option<String>,
    /// The number of the current text; the newest, unless an older one was made current again.
    #[serde(default)]
    current_version: Option<u64>,
    /// The number of the previous text; the one before the newest, unless it is said.
    #[serde(default)]
    previous_version: Option<u64>,
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Versions")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Versions {
    fn current_number(&self) -> u64 {
        self.current_version.unwrap_or(self.version)
    }

    fn current_id(&self) -> String {
        version_id(self.current_number())
    }

    fn previous_id(&self) -> Option<String> {
        let number = self
            .previous_version
            .unwrap_or(self.version.saturating_sub(1));
        self.previous.is_some().then(|| version_id(number))
    }

    /// The ids of both with the stages that they have.
    fn stages(&self) -> impl Iterator<Item = (String, &'static str)> {
        let previous = self.previous_id().map(|id| (id, PREVIOUS));
        std::iter::once((self.current_id(), CURRENT)).chain(previous)
    }
}

/// An error as AWS names it, and a sentence.
type Refusal = (&'static str, String);

/// The ARN of a secret that is called by its ARN or by its name, as AWS takes both.
pub(super) fn arn_of(id: &str) -> String {
    if id.starts_with("arn:") || id.is_empty() {
        id.to_owned()
    } else {
        template::arn(id)
    }
}

impl Secrets {
    /// Opens the file, or starts without secrets.
    ///
    /// # Errors
    /// The file cannot be read or is not one of these.
    pub fn open(file: PathBuf) -> Result<Self, String> {
        let texts = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                format!(
                    "{} is damaged ({error}): move it away, and the next start makes a new one",
                    file.display()
                )
            })?,
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
        let before = texts.get(arn);
        let version = before.map_or(1, |before| before.version + 1);
        let versions = Versions {
            version,
            current: text,
            current_version: Some(version),
            previous: before.map(|before| before.current.clone()),
            previous_version: before.map(Versions::current_number),
        };
        texts.insert(arn.to_owned(), versions);
        self.write(&texts)?;
        Ok(version)
    }

    fn write(&self, texts: &BTreeMap<String, Versions>) -> Result<(), String> {
        let bytes = serde_json::to_vec_pretty(texts).map_err(|error| error.to_string())?;
        replace(&self.file, &bytes)
    }

    pub(super) fn call(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        if operation == "ListSecrets" {
            let texts = locked(&self.texts);
            let listed = texts
                .keys()
                .map(|arn| json!({"ARN": arn, "Name": name_of(arn)}));
            return Ok(json!({"SecretList": listed.collect::<Vec<Value>>()}));
        }
        let arn = arn_of(request["SecretId"].as_str().unwrap_or_default());
        let versions = locked(&self.texts).get(&arn).cloned().ok_or_else(missing)?;
        let mut answer = match operation {
            "GetSecretValue" => value(&versions, request)?,
            "PutSecretValue" => self.put_value(&arn, request)?,
            "DescribeSecret" => {
                let stages = versions.stages();
                let stages: BTreeMap<String, [&str; 1]> =
                    stages.map(|(id, stage)| (id, [stage])).collect();
                json!({"VersionIdsToStages": stages})
            }
            "ListSecretVersionIds" => {
                let stages = versions.stages();
                let listed =
                    stages.map(|(id, stage)| json!({"VersionId": id, "VersionStages": [stage]}));
                json!({"Versions": listed.collect::<Vec<Value>>()})
            }
            "UpdateSecretVersionStage" => self.move_stage(&arn, request)?,
            _ => {
                let why = format!("{operation} is not among what the local stack knows");
                return Err(("InvalidRequestException", why));
            }
        };
        answer["ARN"] = json!(arn);
        answer["Name"] = json!(name_of(&arn));
        Ok(answer)
    }

    fn put_value(&self, arn: &str, request: &Value) -> Result<Value, Refusal> {
        let text = request["SecretString"].as_str();
        let text = text.ok_or_else(|| invalid("only SecretString can be put here"))?;
        let stages = &request["VersionStages"];
        if !stages.is_null() && *stages != json!([CURRENT]) {
            return Err(invalid("only AWSCURRENT can be put here"));
        }
        let put = self.put(arn, text.to_owned()).map_err(failed)?;
        Ok(json!({"VersionId": version_id(put), "VersionStages": [CURRENT]}))
    }

    /// Makes the previous version the current one: the way back from a rotation.
    fn move_stage(&self, arn: &str, request: &Value) -> Result<Value, Refusal> {
        let mut texts = locked(&self.texts);
        let versions = texts.get_mut(arn).ok_or_else(missing)?;
        let wanted = request["MoveToVersionId"].as_str().unwrap_or_default();
        let given_up = request["RemoveFromVersionId"].as_str();
        if request["VersionStage"] != CURRENT {
            return Err(invalid("only AWSCURRENT can be moved here"));
        }
        if wanted == versions.current_id() {
            return Ok(json!({}));
        }
        // AWS wants the version named that loses the stage.
        if given_up != Some(&versions.current_id()) {
            return Err(invalid(
                "AWSCURRENT is attached to another version: name that one as RemoveFromVersionId",
            ));
        }
        match (versions.previous_id(), versions.previous.take()) {
            (Some(id), Some(text)) if id == wanted => {
                let number = versions.current_number();
                versions.current_version = versions.previous_version.or(Some(versions.version - 1));
                versions.previous_version = Some(number);
                versions.previous = Some(std::mem::replace(&mut versions.current, text));
            }
            (_, previous) => {
                versions.previous = previous;
                return Err(missing());
            }
        }
        self.write(&texts).map_err(failed)?;
        Ok(json!({}))
    }
}

fn value(versions: &Versions, request: &Value) -> Result<Value, Refusal> {
    let by_id = request["VersionId"].as_str();
    let by_stage = request["VersionStage"].as_str();
    let asked = |(id, stage): &(String, &str)| match (by_id, by_stage) {
        (None, None) => *stage == CURRENT,
        (wanted_id, wanted_stage) => {
            wanted_id.is_none_or(|wanted| wanted == id)
                && wanted_stage.is_none_or(|wanted| wanted == *stage)
        }
    };
    let (id, stage) = versions.stages().find(asked).ok_or_else(missing)?;
    let text = match stage {
        CURRENT => Some(&versions.current),
        _ => versions.previous.as_ref(),
    };
    Ok(json!({"SecretString": text, "VersionId": id, "VersionStages": [stage]}))
}

fn missing() -> Refusal {
    let why = "Secrets Manager can't find the specified secret.";
    ("ResourceNotFoundException", why.to_owned())
}

fn invalid(why: &str) -> Refusal {
    ("InvalidParameterException", why.to_owned())
}

fn failed(why: String) -> Refusal {
    ("InternalServiceError", why)
}

fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn version_id(version: u64) -> String {
    format!("00000000-0000-4000-8000-{version:012}")
}

#[cfg(test)]
mod tests;
