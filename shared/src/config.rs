//! Configuration: environment variables, read once at start, all problems named together; and
//! secrets (`secrets`), read when first needed and kept fresh.

mod aws_http;
pub mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedCredentialsProvider,
    StalledStreamProtectionConfig,
};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use aws_http::ShortAgent;
pub use aws_http::sdk_http_client;

use crate::bucket::{Bucket, BucketAccess};
use crate::bus::Bus;
use crate::domain::terms::{Payee, SubMerchant};
use crate::domain::{Appid, Mchid, OwnNumbers};
use crate::process::Process;
use crate::store::Table;
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::Endpoints;

/// How long one attempt at an AWS call may take. The SDK sets no limit of its own.
const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an AWS call may take with its retries: short of the webhook's 4 seconds.
const AWS_OPERATION_TIMEOUT: Duration = Duration::from_secs(3);

/// A client of this service's SDK, whose builder is a type of its own in each.
///
/// The SDK's watch over streams that stall has nothing to do: the transport sends and gives whole bodies, each
/// within its attempt's time. Nor has its cache of credentials, which do not change here.
macro_rules! sdk_client {
    ($sdk:ident, $environment:ident, $endpoint:ident) => {{
        let mut config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region($environment.region())
            .credentials_provider(SharedCredentialsProvider::new($environment.credentials()))
            .identity_cache(IdentityCache::no_cache())
            .http_client(sdk_http_client($environment.process.transport.clone()))
            .interceptor(ShortAgent)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts())
            .retry_config(retries());
        config.set_endpoint_url($endpoint);
        $sdk::Client::from_conf(config.build())
    }};
}

/// Where variables are looked up.
#[derive(Clone)]
pub struct Vars {
    given: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for Vars {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be credentials.
        formatter.debug_struct("Vars").finish_non_exhaustive()
    }
}

impl Vars {
    /// The process's environment.
    pub const fn from_env() -> Self {
        Self { given: None }
    }

    /// These variables and no others.
    pub const fn from_map(variables: BTreeMap<String, String>) -> Self {
        Self {
            given: Some(variables),
        }
    }

    /// The variable's value; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.given {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }
}

/// Everything that is wrong with the environment, together.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is incomplete: {}", .problems.join("; "))]
pub struct ConfigError {
    /// One sentence fragment per problem, each naming its variable.
    pub problems: Vec<String>,
}

/// Reads variables and gathers what is wrong with them.
#[derive(Debug)]
pub struct Environment<'a> {
    vars: &'a Vars,
    process: &'a Process,
    secrets_client: Option<aws_sdk_secretsmanager::Client>,
    problems: Vec<String>,
}

/// The merchant and app that orders are placed under.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// `MCHID`: WeChat Pay's number of the merchant, 8 to 32 digits.
    pub mchid: Mchid,
    /// `APPID`: the mini-program, `wx` and what follows; in partner mode the partner's app.
    pub appid: Appid,
    /// `SUB_MCHID` and `SUB_APPID`: the sub-merchant whose orders these are, in partner mode.
    pub sub_merchant: Option<SubMerchant>,
}

impl Merchant {
    /// Whose orders WeChat Pay is asked about.
    pub fn payee(&self) -> Payee {
        let sub_mchid = self.sub_merchant.as_ref().map(|sub| sub.mchid.clone());
        Payee {
            mchid: self.mchid.clone(),
            sub_mchid,
        }
    }
}

impl<'a> Environment<'a> {
    /// Starts to read.
    pub const fn new(vars: &'a Vars, process: &'a Process) -> Self {
        Self {
            vars,
            process,
            secrets_client: None,
            problems: Vec::new(),
        }
    }

    /// A variable that must be there.
    pub fn required(&mut self, name: &'static str) -> String {
        self.vars.get(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is missing"));
            String::new()
        })
    }

    /// A variable that may be absent.
    pub fn optional(&self, name: &'static str) -> Option<String> {
        self.vars.get(name)
    }

    /// A whole number in a range, or `default` where the variable is absent.
    pub fn integer(
        &mut self,
        name: &'static str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> i64 {
        let Some(text) = self.vars.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.problem(format!(
                    "{name} must be {} to {}",
                    range.start(),
                    range.end()
                ));
                default
            }
        }
    }

    /// Notes a problem found elsewhere.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Keeps the value, or its error as a problem and `None`.
    pub fn check<T, E: fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(format!("{name}: {error}"));
                None
            }
        }
    }

    /// `MCHID` and `APPID`; in partner mode also `SUB_MCHID` and, where payers pay in the sub-merchant's app,
    /// `SUB_APPID`.
    pub fn merchant(&mut self) -> Merchant {
        self.required("MCHID");
        let mchid = self.optional_mchid("MCHID").unwrap_or_default();
        let appid = self.appid();
        let sub_mchid = self.optional_mchid("SUB_MCHID");
        let sub_appid = self.optional_appid("SUB_APPID");
        if sub_appid.is_some() && self.optional("SUB_MCHID").is_none() {
            self.problem(
                "SUB_APPID is a sub-merchant's app, and SUB_MCHID, its number, is missing"
                    .to_owned(),
            );
        }
        if sub_mchid.as_ref() == Some(&mchid) {
            self.problem(
                "SUB_MCHID is MCHID: a direct merchant has no SUB_MCHID, and a partner's MCHID is the \
                 partner's own"
                    .to_owned(),
            );
        }
        if sub_appid.as_ref() == Some(&appid) {
            self.problem(
                "SUB_APPID is APPID, which WeChat Pay refuses: leave SUB_APPID empty where payers pay in \
                 the partner's app"
                    .to_owned(),
            );
        }
        Merchant {
            mchid,
            appid,
            sub_merchant: sub_mchid.map(|mchid| SubMerchant {
                mchid,
                appid: sub_appid,
            }),
        }
    }

    /// The app in which payers log in: `SUB_APPID` where there is one, else `APPID`.
    pub fn payers_appid(&mut self) -> Appid {
        let appid = self.appid();
        self.optional_appid("SUB_APPID").unwrap_or(appid)
    }

    /// The merchant's number in a variable that may be absent; `None`, too, where it is not acceptable, which
    /// [`Self::finish`] reports.
    fn optional_mchid(&mut self, name: &'static str) -> Option<Mchid> {
        let mchid = self.optional(name)?;
        let legal =
            (8..=32).contains(&mchid.len()) && mchid.bytes().all(|byte| byte.is_ascii_digit());
        if !legal {
            self.problem(format!("{name} must be 8 to 32 digits"));
        }
        Mchid::parse(mchid).ok()
    }

    /// `APPID`; nobody's where it is not acceptable, which [`Self::finish`] reports.
    pub fn appid(&mut self) -> Appid {
        self.required("APPID");
        self.optional_appid("APPID").unwrap_or_default()
    }

    /// The appid in a variable that may be absent; `None`, too, where it is not acceptable, which
    /// [`Self::finish`] reports.
    pub fn optional_appid(&mut self, name: &'static str) -> Option<Appid> {
        let appid = self.optional(name)?;
        if appid.len() > 32 || !appid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.problem(format!("{name} must be at most 32 letters and digits"));
        }
        Appid::parse(appid).ok()
    }

    /// `WECHATPAY_TRUSTED_HOSTS`: hosts that are not WeChat's and are accepted nevertheless.
    pub fn trusted_hosts(&self) -> Vec<String> {
        self.optional("WECHATPAY_TRUSTED_HOSTS")
            .map(|hosts| {
                hosts
                    .split(',')
                    .map(|host| host.trim().to_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// WeChat Pay's hosts: `WECHATPAY_BASE_URL`, `WECHATPAY_BACKUP_URL` and
    /// `WECHATPAY_TRUSTED_HOSTS`; none where they are not acceptable, which [`Self::finish`] reports.
    pub fn endpoints(&mut self) -> Endpoints {
        let base = self.optional("WECHATPAY_BASE_URL");
        let backup = self.optional("WECHATPAY_BACKUP_URL");
        let trusted = self.trusted_hosts();
        let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
        let parsed = Endpoints::parse(
            base.as_deref().unwrap_or("https://api.mch.weixin.qq.com"),
            backup
                .as_deref()
                .unwrap_or("https://api2.mch.weixin.qq.com"),
            &trusted,
        );
        self.check("WECHATPAY_BASE_URL or WECHATPAY_BACKUP_URL", parsed)
            .unwrap_or_default()
    }

    /// `ORDER_NUMBER_PREFIX`: what derived numbers start with, so that stacks can share a mchid.
    pub fn number_prefix(&mut self) -> String {
        let prefix = self.optional("ORDER_NUMBER_PREFIX").unwrap_or_default();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if prefix.len() > crate::domain::PREFIX_MAX || !prefix.bytes().all(legal) {
            self.problem(
                "ORDER_NUMBER_PREFIX must be at most 6 of A-Z, a-z, 0-9, _ and -".to_owned(),
            );
        }
        prefix
    }

    /// `MERCHANT_NUMBER_SHARED`, `true` or `false`: whether other systems use the merchant number, too. Then
    /// this stack's order numbers are those that begin with `prefix`, which may not be empty; otherwise any
    /// number may be its own.
    pub fn own_numbers(&mut self, prefix: &str) -> OwnNumbers {
        match self.optional("MERCHANT_NUMBER_SHARED").as_deref() {
            Some("true") if prefix.is_empty() => self.problem(
                "MERCHANT_NUMBER_SHARED needs ORDER_NUMBER_PREFIX: its own orders cannot be told apart"
                    .to_owned(),
            ),
            Some("true") => return OwnNumbers::with_prefix(prefix),
            None | Some("false") => {}
            Some(_) => self.problem("MERCHANT_NUMBER_SHARED must be true or false".to_owned()),
        }
        OwnNumbers::ANY
    }

    /// `PLATFORM_CERTIFICATES`, `on` or `off`: whether messages that are signed with WeChat Pay's platform
    /// certificates are accepted beside those signed with its public key. Off where it is absent.
    pub fn platform_certificates(&mut self) -> bool {
        self.switch("PLATFORM_CERTIFICATES")
    }

    /// `PROFIT_SHARING`, `on` or `off`: whether a merchant's order may have its money frozen until it is
    /// shared. Off where it is absent.
    pub fn profit_sharing(&mut self) -> bool {
        self.switch("PROFIT_SHARING")
    }

    /// A variable that is `on` or `off`; off where it is absent.
    fn switch(&mut self, name: &'static str) -> bool {
        match self.optional(name).as_deref() {
            Some("on") => true,
            None | Some("off") => false,
            Some(_) => {
                self.problem(format!("{name} must be on or off"));
                false
            }
        }
    }

    /// `REFUND_INTERVAL_SECONDS`: the least time between two refunds of an order, 1 to 3600; WeChat
    /// Pay wants a minute.
    pub fn refund_interval_seconds(&mut self) -> i64 {
        self.integer("REFUND_INTERVAL_SECONDS", 60, 1..=3600)
    }

    /// The table named by `TABLE_NAME`.
    pub fn table(&mut self) -> Table {
        let name = self.required("TABLE_NAME");
        let endpoint = self.endpoint_url("AWS_ENDPOINT_URL_DYNAMODB");
        Table::new(sdk_client!(aws_sdk_dynamodb, self, endpoint), name)
    }

    /// The event bus named by `EVENT_BUS_NAME`.
    pub fn bus(&mut self) -> Bus {
        let name = self.required("EVENT_BUS_NAME");
        let endpoint = self.endpoint_url("AWS_ENDPOINT_URL_EVENTBRIDGE");
        Bus::new(sdk_client!(aws_sdk_eventbridge, self, endpoint), name)
    }

    /// The client that reads secrets, one for all of a function's.
    pub fn secrets_client(&mut self) -> aws_sdk_secretsmanager::Client {
        if let Some(client) = &self.secrets_client {
            return client.clone();
        }
        let endpoint = self.endpoint_url("AWS_ENDPOINT_URL_SECRETS_MANAGER");
        let client = sdk_client!(aws_sdk_secretsmanager, self, endpoint);
        self.secrets_client.insert(client).clone()
    }

    /// The bucket named by this variable.
    pub fn bucket(&mut self, name: &'static str) -> Bucket {
        let access = BucketAccess {
            name: self.required(name),
            region: self.required("AWS_REGION"),
            endpoint: self.endpoint_url("AWS_ENDPOINT_URL_S3"),
            credentials: self.credentials(),
        };
        let Process {
            transport, clock, ..
        } = self.process;
        Bucket::new(transport.clone(), clock.clone(), access)
    }

    /// The process that the functions run in.
    pub const fn process(&self) -> &'a Process {
        self.process
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Names every problem that was found.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(self.into_error())
    }

    /// Every problem that was found so far.
    pub fn into_error(self) -> ConfigError {
        // Several parts read the same variables.
        let mut problems: Vec<String> = Vec::new();
        for problem in self.problems {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        ConfigError { problems }
    }

    fn region(&mut self) -> Region {
        let region = self.required("AWS_REGION");
        Region::new(region)
    }

    /// Lambda hands credentials in by the environment, good for the life of the environment it made.
    fn credentials(&mut self) -> Credentials {
        let key_id = self.required("AWS_ACCESS_KEY_ID");
        let secret = self.required("AWS_SECRET_ACCESS_KEY");
        let token = self.optional("AWS_SESSION_TOKEN");
        Credentials::new(key_id, secret, token, None, "environment")
    }

    fn endpoint_url(&self, own: &'static str) -> Option<String> {
        self.optional(own)
            .or_else(|| self.optional("AWS_ENDPOINT_URL"))
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(AWS_ATTEMPT_TIMEOUT)
        .operation_timeout(AWS_OPERATION_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(25))
}

/// Passes on what a function's environment gave, and says in the log what is wrong with it.
pub(crate) fn noted<F>(
    name: &'static str,
    process: &Process,
    built: Result<F, ConfigError>,
) -> Result<F, ConfigError> {
    if let Err(error) = &built {
        let mut line = LogLine::start(name, &process.clock);
        line.field("error", "the configuration is incomplete")
            .field("problems", error.problems.clone())
            .count(Metric::NotConfigured)
            .raise(Level::Error);
        line.write(&process.log, &process.clock, "not configured");
    }
    built
}
