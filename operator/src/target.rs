//! Which stack a command works on: one on AWS by its name, one on this machine by its folder, or without
//! either the one that runs here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use shared::process::Process;

use crate::api::Api;
use crate::aws::Aws;
use crate::aws::stack::Described;
use crate::exit::Failure;
use crate::output::Output;
use crate::prompt;

/// The folder of the local stack, unless another is named.
const DATA_DIR: &str = ".wxpay";

/// What the stack on this machine is called, and where.
const LOCAL: (&str, &str, &str) = ("local", "local", "LOCALoperator");

/// The variable that holds the merchant's API key of a stack on AWS.
const API_KEY: &str = "WXPAY_API_KEY";

/// Which stack, and how to answer.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// The CloudFormation stack on AWS; without it the stack that runs on this machine.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        conflicts_with = "folder",
        help_heading = "Which stack"
    )]
    stack: Option<String>,
    /// The AWS region; without it that of the environment or the profile.
    #[arg(long, global = true, requires = "stack", help_heading = "Which stack")]
    region: Option<String>,
    /// The AWS profile; without it that of the environment.
    #[arg(long, global = true, requires = "stack", help_heading = "Which stack")]
    profile: Option<String>,
    /// A file with the merchant's API key; without it the variable WXPAY_API_KEY, or a question. The
    /// stack on this machine needs none.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "stack",
        help_heading = "Which stack"
    )]
    api_key_file: Option<PathBuf>,
    /// The folder of a stack on this machine; without it .wxpay.
    #[arg(
        id = "folder",
        long = "data-dir",
        global = true,
        value_name = "DIR",
        help_heading = "Which stack"
    )]
    data_dir: Option<PathBuf>,
    /// Answers as JSON, for scripts.
    #[arg(long, global = true, help_heading = "How to answer")]
    json: bool,
}

impl Which {
    /// How answers are printed.
    pub const fn output(&self) -> Output {
        Output { json: self.json }
    }

    /// Whether a stack was named, rather than left to be the one that runs here.
    pub const fn is_named(&self) -> bool {
        self.stack.is_some() || self.data_dir.is_some()
    }

    /// Finds the stack.
    ///
    /// # Errors
    /// There is none, or it is not to be reached.
    pub async fn find(&self) -> Result<Target, Failure> {
        let process = Process::system().map_err(|error| Failure::Failed(error.to_string()))?;
        match &self.stack {
            Some(stack) => {
                let region = self.region.as_deref();
                let aws = Aws::by_chain(region, self.profile.as_deref(), &process).await?;
                let described = aws.describe(stack).await?;
                Ok(Target {
                    name: format!("the stack {stack} in {}", aws.region()),
                    aws,
                    described,
                    process,
                    key: Key::Asked(self.api_key_file.clone()),
                    folder: None,
                })
            }
            None => {
                let folder = self.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
                Target::here(folder, process).await
            }
        }
    }
}

/// Where the merchant's API key comes from.
#[derive(Clone, Debug)]
enum Key {
    /// The stack on this machine says it.
    Known(String),
    /// A file, the environment, or whoever sits at the terminal.
    Asked(Option<PathBuf>),
}

/// A stack that was found.
#[derive(Clone, Debug)]
pub struct Target {
    /// What to call it in a sentence.
    pub name: String,
    /// AWS, where its parts are.
    pub aws: Aws,
    /// Its outputs and parameters.
    pub described: Described,
    /// Clock and HTTP client.
    pub process: Process,
    key: Key,
    folder: Option<PathBuf>,
}

impl Target {
    /// Its data folder, where it is on this machine.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    async fn here(folder: &Path, process: Process) -> Result<Self, Failure> {
        let shown = folder.display();
        let missing = || {
            Failure::NoAccess(format!(
                "no stack was started in {shown}: start one (wxpay up), or name one with --stack or \
                 --data-dir"
            ))
        };
        let text = std::fs::read_to_string(folder.join("local.json")).map_err(|_| missing())?;
        let local: Value = serde_json::from_str(&text).map_err(|_| missing())?;
        let (name, region, access_key) = LOCAL;
        let text = |member: &str| local[member].as_str().map(str::to_owned);
        let address = text("aws_url").ok_or_else(missing)?;
        let aws = Aws::at(&address, region, access_key, &process);
        let described = aws.describe(name).await.map_err(|failure| match failure {
            Failure::NoAnswer(_) => Failure::NoAccess(format!(
                "the stack in {shown} does not run: start it (wxpay up)"
            )),
            other => other,
        })?;
        Ok(Self {
            name: format!("the stack in {shown}"),
            aws,
            described,
            process,
            key: Key::Known(text("merchant_api_key").ok_or_else(missing)?),
            folder: Some(folder.to_owned()),
        })
    }

    /// Its API, as the merchant calls it.
    ///
    /// # Errors
    /// There is no key, or no address.
    pub fn api(&self) -> Result<Api, Failure> {
        let url = self.described.output("BaseUrl")?;
        Ok(Api::new(self.process.http.clone(), url, &self.key()?))
    }

    fn key(&self) -> Result<String, Failure> {
        let file = match &self.key {
            Key::Known(key) => return Ok(key.clone()),
            Key::Asked(file) => file,
        };
        let key = match file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                Failure::NoAccess(format!("{} cannot be read: {error}", file.display()))
            })?,
            None => match std::env::var(API_KEY) {
                Ok(key) => key,
                Err(_) => prompt::secret("The merchant's API key", || {
                    format!(
                        "the API needs the merchant's key: set {API_KEY}, or give --api-key-file"
                    )
                })?,
            },
        };
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::NoAccess(
                "the merchant's API key is empty, or has characters that no key has".to_owned(),
            ));
        }
        Ok(key.to_owned())
    }
}
