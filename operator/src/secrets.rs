//! `wxpay secrets`: the five secrets, filled from WeChat's own download and checked before anything is written.

mod folder;
mod store;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use shared::config::secrets::{
    ApiKeys, AppSecret, Content, OptionalPlatformKeys, PlatformKeysSecret, SigningSecret,
};
use shared::random;
use shared::wechatpay::Apiv3Keys;

use crate::exit::Failure;
use crate::output::{BAD, BOLD, GOOD, aside, table};
use crate::prompt;
use crate::target::{Target, Which};

use folder::Folder;
use store::{Name, Store};

/// The commands about secrets.
#[derive(Args, Debug)]
pub struct Secrets {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Fills the secrets from a folder with WeChat's download; asks for what is not in it.
    #[command(
        after_help = "The folder has what the merchant platform gives: apiclient_key.pem, apiclient_cert.pem, pub_key.pem. What
cannot be downloaded is asked for, or read from files of these names there:
  pub_key_id.txt  the public key's id, PUB_KEY_ID_…
  apiv3.txt       the APIv3 key, 32 letters and digits
  appsecret.txt   the mini-program's AppSecret

Everything is checked, and all that is wrong is told, before anything is written. number_key, token_key and
record_key are made once and kept. A new API key of the merchant's is shown once.

A key that replaces another is a rotation, which has an order of its own: docs/operations.md, \"Rotation\".

Example:
  wxpay secrets put --from ~/wxpay-keys --stack wxpay"
    )]
    Put(Put),
    /// Checks the secrets as the functions read them.
    Check,
}

/// From where.
#[derive(Args, Debug)]
struct Put {
    /// The folder with the downloaded files.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Replaces keys that differ from those in force, without asking.
    #[arg(long)]
    yes: bool,
}

/// Does what was asked.
///
/// # Errors
/// Something is wrong with the folder or a secret; or AWS refuses.
pub async fn run(secrets: Secrets) -> Result<(), Failure> {
    let target = secrets.which.find().await?;
    let store = Store::of(&target);
    match secrets.verb {
        Verb::Put(asked) => put(&secrets.which, &target, &store, &asked).await,
        Verb::Check => check(&secrets.which, &target, &store).await,
    }
}

/// What becomes of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    New,
    Completed,
    Replaced,
    Kept,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Completed => "completed",
            Self::Replaced => "replaced",
            Self::Kept => "kept",
        }
    }
}

/// A secret as it shall be.
struct Wanted {
    name: Name,
    fate: Fate,
    text: String,
}

async fn put(
    which: &Which,
    target: &Target,
    store: &Store<'_>,
    asked: &Put,
) -> Result<(), Failure> {
    let now = target.process.clock.wall();
    let folder = Folder::read(&asked.from, &target.described.parameters, now)?;
    let (wanted, api_key) = wanted(store, &folder).await?;
    // As the functions read them: what would be refused there is not written here.
    let problems: Vec<String> = wanted.iter().filter_map(|it| it.problem(target)).collect();
    if !problems.is_empty() {
        return Err(Failure::Refused(format!(
            "nothing was written: {}",
            problems.join("; ")
        )));
    }
    let replaced: Vec<&str> = wanted
        .iter()
        .filter(|wanted| wanted.fate == Fate::Replaced)
        .map(|wanted| wanted.name.as_str())
        .collect();
    if !replaced.is_empty() {
        prompt::confirm(
            &format!("replace what is in force in {}", replaced.join(", ")),
            asked.yes,
        )?;
    }
    for wanted in wanted.iter().filter(|wanted| wanted.fate != Fate::Kept) {
        store.write(wanted.name, &wanted.text).await?;
    }
    let told: Vec<Value> = wanted
        .iter()
        .map(|wanted| json!({"secret": wanted.name.as_str(), "is": wanted.fate.as_str()}))
        .collect();
    let mut answer = json!({"secrets": told});
    if let Some(key) = &api_key {
        answer["merchant_api_key"] = json!(key);
    }
    which.output().answer(&answer, || {
        let rows = wanted.iter().map(|wanted| {
            vec![
                wanted.name.as_str().to_owned(),
                wanted.fate.as_str().to_owned(),
            ]
        });
        let mut told = table(&["secret", "is"], rows);
        if let Some(key) = &api_key {
            told.push_str(&format!(
                "\n\nThe API key of your back office, shown this once: {BOLD}{key}{BOLD:#}\n\
                 Keep a copy of number_key in your safe: it can never be replaced."
            ));
        }
        told
    });
    aside("Delete the folder once everything works.");
    Ok(())
}

/// The secrets as they shall be: what the folder has, over what is kept of those in force; and the API key
/// that was made, if one was.
async fn wanted(
    store: &Store<'_>,
    folder: &Folder,
) -> Result<(Vec<Wanted>, Option<String>), Failure> {
    let mut wanted = Vec::new();
    let known = store.members(Name::Signing).await?;
    let mut signing = known.clone().unwrap_or_default();
    signing.insert("serial_no".to_owned(), json!(folder.serial_no));
    signing.insert("private_key".to_owned(), json!(folder.private_key));
    signing.entry("record_key").or_insert_with(random_key);
    wanted.push(Wanted::of(Name::Signing, known, signing));

    for (name, members) in [
        (
            Name::Wechatpay,
            [
                ("public_key_id", &folder.public_key_id),
                ("public_key", &folder.public_key),
            ]
            .to_vec(),
        ),
        (Name::Apiv3, vec![("apiv3_key", &folder.apiv3_key)]),
        (
            Name::App,
            vec![("appid", &folder.appid), ("app_secret", &folder.app_secret)],
        ),
    ] {
        let known = store.members(name).await?;
        let mut all = known.clone().unwrap_or_default();
        for (member, value) in members {
            all.insert(member.to_owned(), json!(value));
        }
        wanted.push(Wanted::of(name, known, all));
    }

    let known = store.members(Name::Api).await?;
    let mut api = known.clone().unwrap_or_default();
    let mut made = None;
    for member in ["token_key", "number_key"] {
        api.entry(member).or_insert_with(random_key);
    }
    if !api.contains_key("merchant_key_hashes") {
        let key = format!("{}{}", random::token(), random::token());
        api.insert(
            "merchant_key_hashes".to_owned(),
            json!([folder::sha256(&key)]),
        );
        made = Some(key);
    }
    wanted.push(Wanted::of(Name::Api, known, api));
    Ok((wanted, made))
}

fn random_key() -> Value {
    json!(folder::base64(&random::bytes::<32>()))
}

impl Wanted {
    fn of(name: Name, known: Option<Map<String, Value>>, wanted: Map<String, Value>) -> Self {
        let fate = match known {
            None => Fate::New,
            Some(known) if known == wanted => Fate::Kept,
            // What was not there before replaces nothing.
            Some(known)
                if known
                    .iter()
                    .all(|(name, value)| wanted.get(name) == Some(value)) =>
            {
                Fate::Completed
            }
            Some(_) => Fate::Replaced,
        };
        let text = Value::Object(wanted).to_string();
        Self { name, fate, text }
    }

    fn problem(&self, target: &Target) -> Option<String> {
        let problem = problem(self.name, &self.text, target)?;
        Some(format!("{}: {problem}", self.name.as_str()))
    }
}

/// What is wrong with a secret's text, as the functions read it.
fn problem(name: Name, text: &str, target: &Target) -> Option<String> {
    let certificates = target.described.parameters.get("PlatformCertificates");
    match name {
        Name::Signing => SigningSecret::parse(text).err(),
        Name::Wechatpay if certificates.is_some_and(|it| it == "on") => {
            OptionalPlatformKeys::parse(text).err()
        }
        Name::Wechatpay => PlatformKeysSecret::parse(text).err(),
        Name::Apiv3 => <Apiv3Keys as Content>::parse(text).err(),
        Name::App => match AppSecret::parse(text) {
            Err(problem) => Some(problem),
            Ok(app) => {
                let appid = target.described.parameters.get("Appid");
                let differs = appid.filter(|appid| **appid != app.appid);
                differs.map(|appid| format!("its appid is not the stack's, {appid}"))
            }
        },
        Name::Api => ApiKeys::parse(text).err(),
    }
}

async fn check(which: &Which, target: &Target, store: &Store<'_>) -> Result<(), Failure> {
    let mut checks = Vec::new();
    for name in Name::ALL {
        let problem = match store.read(name).await? {
            None => Some("it is empty".to_owned()),
            Some(text) => problem(name, &text, target),
        };
        checks.push((name, problem));
    }
    let told: Vec<Value> = checks
        .iter()
        .map(|(name, problem)| json!({"secret": name.as_str(), "problem": problem}))
        .collect();
    which.output().answer(&json!({"secrets": told}), || {
        let lines = checks.iter().map(|(name, problem)| match problem {
            None => format!("{GOOD}✓{GOOD:#} {}", name.as_str()),
            Some(problem) => format!("{BAD}✗{BAD:#} {}: {problem}", name.as_str()),
        });
        lines.collect::<Vec<String>>().join("\n")
    });
    match checks
        .iter()
        .filter(|(_, problem)| problem.is_some())
        .count()
    {
        0 => Ok(()),
        unusable => Err(Failure::Found(format!(
            "{unusable} of 5 secrets cannot be used"
        ))),
    }
}
