//! `wxpay bill`: WeChat Pay's own bill of a day, fetched with the merchant's key and checked as the
//! reconciliation checks it.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use shared::config::{Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::BeijingDay;
use shared::rfc3339;
use shared::settlement::Settlement;
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{Orders, Refunds};
use shared::wechatpay::{BillKind, BillSource};

use crate::day::Day;
use crate::exit::Failure;
use crate::target::{Target, Which};
use crate::wait::Waiting;

/// How long offer and download may take together, in milliseconds.
const TIME_MAX_MS: u64 = 300_000;

/// Which bill.
#[derive(Args, Debug)]
#[command(
    after_help = "The bill is CSV as WeChat Pay writes it, checked against the hash that it signed. It reads the secret
SigningSecret with your own AWS credentials, and asks WeChat Pay from this machine.

Example:
  wxpay bill --date 2026-11-28 --kind fund-flow --out bill.csv"
)]
pub struct Bill {
    #[command(flatten)]
    which: Which,
    /// The day in Beijing: 2026-11-29 or yesterday; its bill is there from ten the next morning.
    #[arg(long, default_value = "yesterday", value_parser = Day::parse)]
    date: Day,
    /// Which of the two.
    #[arg(long, value_enum, default_value_t = Kind::Trade)]
    kind: Kind,
    /// Where to; without it standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Payments and refunds.
    Trade,
    /// What came into the account and left it.
    FundFlow,
}

/// Fetches the bill.
///
/// # Errors
/// There is none, it is not what WeChat Pay signed, or it is not to be had.
pub async fn run(bill: Bill) -> Result<(), Failure> {
    let target = bill.which.find().await?;
    let day = bill.date.on(&target.process.clock);
    let text = {
        let _waiting = Waiting::for_(format!("Fetching the bill of {}", rfc3339::format_day(day)));
        fetched(&target, bill.kind, day).await?
    };
    match &bill.out {
        Some(file) => {
            std::fs::write(file, &text).map_err(|error| {
                Failure::Failed(format!("{} cannot be written: {error}", file.display()))
            })?;
            let told = json!({"file": file, "bytes": text.len()});
            bill.which.output().answer(&told, || {
                format!("{}: {} bytes, hash checked.", file.display(), text.len())
            });
        }
        None => {
            // A reader that has gone away is no error of ours.
            let _ = std::io::stdout().write_all(&text);
        }
    }
    Ok(())
}

async fn fetched(target: &Target, kind: Kind, day: BeijingDay) -> Result<Vec<u8>, Failure> {
    let client = client(target).await?;
    let clock = &target.process.clock;
    let now_ms = u64::try_from(clock.wall_millis()).unwrap_or_default();
    let deadline = Deadline::at_ms_of_wall(now_ms + TIME_MAX_MS, clock);
    let kind = match kind {
        Kind::Trade => BillKind::Trade,
        Kind::FundFlow => BillKind::FundFlow,
    };
    let offer = client
        .bill(kind, day, &deadline)
        .await
        .map_err(|error| match error {
            SettlingError::Call(error) if error.no_bill().is_some() => {
                let date = rfc3339::format_day(day);
                Failure::NotFound(format!("WeChat Pay has no bill of {date} (yet): {error}"))
            }
            other => failed(&other),
        })?;
    let broken = |error: std::io::Error| Failure::Failed(format!("no temporary file: {error}"));
    let mut file = tempfile::tempfile().map_err(broken)?;
    let downloaded = client.download(&offer, &mut file, &deadline).await;
    downloaded.map_err(|error| failed(&error))?;
    file.rewind().map_err(broken)?;
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("the bill cannot be used: {error}"))
    };
    let mut source = BillSource::new(BufReader::new(file)).map_err(|error| unusable(&error))?;
    let mut text = Vec::new();
    source
        .read_to_end(&mut text)
        .map_err(|error| unusable(&error))?;
    let hash = offer.get().hash();
    source.check_hash(hash).map_err(|error| unusable(&error))?;
    Ok(text)
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::NoAnswer(format!("the bill was not fetched: {error}"))
}

/// What asks WeChat Pay as the functions do, built from the stack's own outputs and parameters.
async fn client(target: &Target) -> Result<SettlingClient, Failure> {
    let credentials = target.aws.credentials().await?;
    let described = &target.described;
    let mut variables = BTreeMap::from([
        ("AWS_REGION", target.aws.region().to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key().to_owned(),
        ),
        ("TABLE_NAME", described.output("TableName")?.to_owned()),
        (
            "SIGNING_SECRET_ARN",
            described.output("SigningSecretArn")?.to_owned(),
        ),
        (
            "WECHATPAY_SECRET_ARN",
            described.output("WechatpaySecretArn")?.to_owned(),
        ),
        (
            "APIV3_SECRET_ARN",
            described.output("Apiv3SecretArn")?.to_owned(),
        ),
    ]);
    if let Some(token) = credentials.session_token() {
        variables.insert("AWS_SESSION_TOKEN", token.to_owned());
    }
    if let Some(endpoint) = target.aws.endpoint_url() {
        variables.insert("AWS_ENDPOINT_URL", endpoint.to_owned());
    }
    for (variable, parameter) in [
        ("MCHID", "Mchid"),
        ("APPID", "Appid"),
        ("SUB_MCHID", "SubMchid"),
        ("SUB_APPID", "SubAppid"),
        ("PLATFORM_CERTIFICATES", "PlatformCertificates"),
        ("WECHATPAY_BASE_URL", "WechatpayBaseUrl"),
        ("WECHATPAY_BACKUP_URL", "WechatpayBackupUrl"),
        ("WECHATPAY_TRUSTED_HOSTS", "WechatpayTrustedHosts"),
    ] {
        if let Some(value) = described.parameters.get(parameter) {
            variables.insert(variable, value.clone());
        }
    }
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let vars = Vars::from_map(variables.collect());
    let mut environment = Environment::new(&vars, &target.process);
    let merchant = environment.merchant();
    let table = environment.table();
    let settlement = Settlement::new(Orders::new(table.clone()), Refunds::new(table.clone()));
    let client = SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
    environment
        .finish()
        .map_err(|error| Failure::NoAccess(error.to_string()))?;
    Ok(client)
}
