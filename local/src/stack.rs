//! The stack: everything started in order, one data folder, one lock.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::clock::Clock;
use shared::config::Vars;
use shared::platform::Platform;
use shared::random;
use shared::telemetry::Log;
use simulator::{BusinessClock, Mode, Simulator};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::aws::{Aws, access_key_of, secrets};
use crate::console::Console;
use crate::functions;
use crate::gateway::{Gateway, InvokeError, Linked};
use crate::template::{Function, Template, arn};

/// The gateway's port, unless another is asked for.
pub const PORT: u16 = 3000;
/// The simulator's port, unless another is asked for.
pub const SIMULATOR_PORT: u16 = 8081;
/// The control port, unless another is asked for.
pub const CONTROL_PORT: u16 = 8082;
/// The port of the table and the secrets, unless another is asked for.
pub const AWS_PORT: u16 = 8083;

/// The template as it was when this binary was built, for use outside a checkout.
const BUILT_IN_TEMPLATE: &str = include_str!("../../template.yaml");
const CATALOGUE: &str = include_str!("../catalogue.json");

/// How a stack is started.
#[derive(Clone)]
pub struct Options {
    /// The folder that keeps everything.
    pub data_dir: PathBuf,
    /// The gateway's port; `None` takes [`PORT`], or a free one where that is taken.
    pub port: Option<u16>,
    /// The simulator's port, likewise.
    pub simulator_port: Option<u16>,
    /// The control port, likewise.
    pub control_port: Option<u16>,
    /// The port of the table and the secrets, likewise.
    pub aws_port: Option<u16>,
    /// The merchant's API key; `None` is the one of the last start, or a random one.
    pub merchant_api_key: Option<String>,
    /// Which keys WeChat Pay signs with.
    pub mode: Mode,
    /// Chooses the simulator's behaviour.
    pub seed: u64,
    /// How hostile the simulator is, 0 to 1.
    pub hostility: f64,
    /// How many times faster business schedules run.
    pub speed: f64,
    /// Whether the schedules run by themselves.
    pub schedules: bool,
    /// A data folder of the simulator's whose keys are used again; making keys takes a moment.
    pub keys_from: Option<PathBuf>,
    /// Where the functions' log lines go; `None` is `log.jsonl` in the data folder.
    pub log: Option<Log>,
    /// Values for the template's parameters, over what the stack sets.
    pub parameters: BTreeMap<String, String>,
}

impl Options {
    /// A stack in this folder with everything else as by default.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            simulator_port: None,
            control_port: None,
            aws_port: None,
            merchant_api_key: None,
            mode: Mode::PublicKey,
            seed: 1,
            hostility: 0.0,
            speed: 60.0,
            schedules: true,
            keys_from: None,
            log: None,
            parameters: BTreeMap::new(),
        }
    }
}

/// Why a stack did not start, in one sentence.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<String> for StartError {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

/// A running stack. Dropping it stops it; what it kept is in its folder.
pub struct Stack {
    /// The API's address.
    pub api_url: String,
    /// The merchant's API key.
    pub merchant_api_key: String,
    /// WeChat Pay.
    pub simulator: Simulator,
    /// The table and the secrets.
    pub aws: Aws,
    /// The folder.
    pub data_dir: PathBuf,
    /// What the template allows and declares.
    pub template: Template,
    gateway: Arc<Gateway>,
    platform: Platform,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

/// A secret that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanting {
    /// Which one, and all that is wrong with it, without any of its content.
    pub problem: String,
    /// The functions that do nothing without it.
    pub functions: Vec<String>,
}

impl fmt::Debug for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stack")
            .field("api_url", &self.api_url)
            .finish_non_exhaustive()
    }
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// Says in one sentence what stands in the way.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let folder = options.data_dir.clone();
        std::fs::create_dir_all(&folder).map_err(|error| {
            StartError(format!(
                "the folder {} cannot be made: {error}",
                folder.display()
            ))
        })?;
        let lock = lock(&folder)?;
        let listener = listen("--port", options.port, PORT).await?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError(error.to_string()))?;
        let api_url = format!("http://{address}");

        let business = Arc::new(OnceLock::new());
        let simulator = start_simulator(&options, &business).await?;
        // It was not set before: nothing but this line has it.
        let _ = business.set(simulator.business_clock());
        let clock = offset_clock(simulator.business_clock());

        let text = template_text()?;
        let template = Template::parse(&text, &parameters(&options, &api_url, &simulator))
            .map_err(|error| StartError(error.to_string()))?;
        let log = match &options.log {
            Some(log) => log.clone(),
            None => file_log(&folder)?,
        };
        let platform =
            Platform::with(clock.clone(), log).map_err(|error| StartError(error.to_string()))?;
        let aws_listener = listen("--aws-port", options.aws_port, AWS_PORT).await?;
        let aws = Aws::start(&folder, aws_listener, &template, platform.http.clone()).await?;
        let merchant_api_key = match &options.merchant_api_key {
            Some(key) => key.clone(),
            None => merchant_api_key(&folder),
        };
        put_secrets(&aws, &folder, &simulator, options.mode, &merchant_api_key)?;
        put_catalogue(&aws)?;

        let linked = link(&template, &aws, &platform)?;
        let console = console(&api_url, &folder, &simulator, &aws, &platform);
        let gateway = Arc::new(Gateway::new(
            &template.functions,
            linked,
            clock.clone(),
            address.to_string(),
            console,
        ));
        let router = Arc::clone(&gateway).router();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut tasks = vec![tokio::spawn(async move {
            // It ends only with the process or when the stack is stopped.
            let _ = axum::serve(listener, service).await;
        })];
        if options.schedules {
            let every = Duration::from_secs_f64((60.0 / options.speed).max(0.5));
            for (id, function) in &template.functions {
                if function.scheduled {
                    tasks.push(tokio::spawn(schedule(
                        Arc::clone(&gateway),
                        clock.clone(),
                        id.clone(),
                        every,
                    )));
                }
            }
        }
        let stack = Self {
            api_url,
            merchant_api_key,
            simulator,
            aws,
            data_dir: folder,
            template,
            gateway,
            platform,
            tasks,
            _lock: lock,
        };
        let described =
            serde_json::to_vec_pretty(&stack.described()).map_err(|error| error.to_string())?;
        secrets::replace(&stack.data_dir.join("local.json"), &described)?;
        Ok(stack)
    }

    /// What `local.json` says.
    pub fn described(&self) -> Value {
        let merchant = self.simulator.merchant();
        json!({
            "api_url": self.api_url,
            "console_url": format!("{}/console", self.api_url),
            "simulator_url": self.simulator.base_url(),
            "control_url": self.simulator.control_url(),
            "aws_url": self.aws.url,
            "merchant_api_key": self.merchant_api_key,
            "mchid": merchant.mchid,
            "appid": merchant.appid,
        })
    }

    /// The two readings of time that the functions have.
    pub const fn clock(&self) -> &Clock {
        &self.platform.clock
    }

    /// Every secret that cannot be used now. The functions read them again: one that is put right is
    /// picked up without a start.
    pub async fn wanting(&self) -> Vec<Wanting> {
        let functions = &self.template.functions;
        let asked = functions.iter().map(async |(id, function)| {
            let vars = vars(id, function, &self.aws);
            let problems = functions::unusable_secrets(&vars, &self.platform).await;
            (function.binary.clone(), problems)
        });
        let mut wanting: Vec<Wanting> = Vec::new();
        for (function, problems) in join_all(asked).await {
            for problem in problems {
                let problem = problem.to_string();
                match wanting.iter_mut().find(|known| known.problem == problem) {
                    Some(known) => known.functions.push(function.clone()),
                    None => wanting.push(Wanting {
                        problem,
                        functions: vec![function.clone()],
                    }),
                }
            }
        }
        wanting
    }

    /// Invokes a function by its logical id, with an event as AWS would send it.
    ///
    /// # Errors
    /// The function failed or took too long.
    pub async fn invoke(&self, id: &str, event: Value) -> Result<Value, InvokeError> {
        self.gateway.invoke(id, event).await
    }

    /// Runs the sweep once, now.
    ///
    /// # Errors
    /// The sweep failed.
    pub async fn sweep_now(&self) -> Result<Value, InvokeError> {
        self.invoke("SweepFunction", schedule_event(self.clock()))
            .await
    }

    /// Stops everything; the folder can be started from again.
    pub async fn stop(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.aws.stop();
        let Self { simulator, .. } = self;
        simulator.stop().await;
    }
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| {
        StartError(format!(
            "the folder {} cannot be written to: {error}",
            folder.display()
        ))
    })?;
    file.try_lock().map_err(|_| {
        StartError(format!(
            "another wxpay runs in {}: stop it, or give --data-dir another folder",
            folder.display()
        ))
    })?;
    Ok(file)
}

async fn listen(option: &str, wanted: Option<u16>, usual: u16) -> Result<TcpListener, StartError> {
    let first = wanted.unwrap_or(usual);
    match TcpListener::bind(("127.0.0.1", first)).await {
        Ok(listener) => Ok(listener),
        Err(error) if wanted.is_some() => Err(StartError(format!(
            "the port {first} ({option}) cannot be used: {error}"
        ))),
        Err(_) => TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| StartError(format!("no port is free: {error}"))),
    }
}

/// The port asked for, or the usual one while it is free, or 0 for any.
async fn port_or_free(wanted: Option<u16>, usual: u16) -> u16 {
    match wanted {
        Some(port) => port,
        None => match TcpListener::bind(("127.0.0.1", usual)).await {
            Ok(_) => usual,
            Err(_) => 0,
        },
    }
}

async fn start_simulator(
    options: &Options,
    business: &Arc<OnceLock<BusinessClock>>,
) -> Result<Simulator, StartError> {
    let mut config = simulator::Config::new(options.data_dir.join("simulator"));
    config.port = port_or_free(options.simulator_port, SIMULATOR_PORT).await;
    config.control_port = port_or_free(options.control_port, CONTROL_PORT).await;
    config.mode = options.mode;
    config.seed = options.seed;
    config.hostility = options.hostility;
    config.speed = options.speed;
    config.keys_from.clone_from(&options.keys_from);
    config.control_routes = Router::new()
        .route("/_local/clock", post(move_clock))
        .with_state(Arc::clone(business));
    Simulator::start(config)
        .await
        .map_err(|error| StartError(error.to_string()))
}

async fn move_clock(
    State(business): State<Arc<OnceLock<BusinessClock>>>,
    body: axum::body::Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let seconds = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| body["advance_s"].as_i64());
    let (Some(seconds @ 0..), Some(business)) = (seconds, business.get()) else {
        let told = json!({"message": "send {\"advance_s\": seconds}, not below 0"});
        return (StatusCode::BAD_REQUEST, axum::Json(told));
    };
    if !business.advance(seconds) {
        let told = json!({"message": "business time may be a century ahead of real time"});
        return (StatusCode::BAD_REQUEST, axum::Json(told));
    }
    (
        StatusCode::OK,
        axum::Json(json!({"offset_s": business.offset_seconds()})),
    )
}

fn offset_clock(business: BusinessClock) -> Clock {
    Clock::offset_by(Arc::new(move || business.offset_seconds()))
}

fn template_text() -> Result<String, StartError> {
    let start = std::env::current_dir().map_err(|error| StartError(error.to_string()))?;
    let found = start
        .ancestors()
        .map(|folder| folder.join("template.yaml"))
        .find(|file| file.is_file());
    match found {
        Some(file) => std::fs::read_to_string(&file)
            .map_err(|error| StartError(format!("{} cannot be read: {error}", file.display()))),
        None => Ok(BUILT_IN_TEMPLATE.to_owned()),
    }
}

fn parameters(options: &Options, api_url: &str, simulator: &Simulator) -> BTreeMap<String, String> {
    let (base, backup) = (simulator.base_url(), simulator.backup_url());
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let merchant = simulator.merchant();
    // WeChat Pay's minute between two refunds of an order, at the stack's speed.
    let interval = (60.0 / options.speed).ceil().clamp(1.0, 60.0);
    let mut parameters = BTreeMap::from([
        ("Mchid".to_owned(), merchant.mchid.clone()),
        ("Appid".to_owned(), merchant.appid.clone()),
        ("PublicBaseUrl".to_owned(), api_url.to_owned()),
        ("WechatpayBaseUrl".to_owned(), base.to_owned()),
        ("WechatpayBackupUrl".to_owned(), backup.to_owned()),
        ("WechatApiBaseUrl".to_owned(), base.to_owned()),
        (
            "WechatpayTrustedHosts".to_owned(),
            format!("{},{}", host(base), host(backup)),
        ),
        ("RefundIntervalSeconds".to_owned(), format!("{interval}")),
    ]);
    parameters.extend(options.parameters.clone());
    parameters
}

/// The key of the last start, so that what uses it goes on working.
fn merchant_api_key(folder: &Path) -> String {
    std::fs::read(folder.join("local.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|described| described["merchant_api_key"].as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("local-{}{}", random::token(), random::token()))
}

/// What signs, as the simulator has it; what vouches for refunds stays as it was, or those that are
/// under way would not be sent any more.
fn signing(aws: &Aws, serial_no: &str, private_key: &str) -> Value {
    let known = aws.secrets().current(&arn("SigningSecret"));
    let known: Option<Value> = known.and_then(|text| serde_json::from_str(&text).ok());
    let kept = |name: &str| known.as_ref().and_then(|known| known.get(name)).cloned();
    let mut signing = json!({"serial_no": serial_no, "private_key": private_key});
    signing["record_key"] =
        kept("record_key").unwrap_or_else(|| Value::from(STANDARD.encode(random::bytes::<32>())));
    if let Some(also_accepted) = kept("also_accepted_record_keys") {
        signing["also_accepted_record_keys"] = also_accepted;
    }
    signing
}

fn put_secrets(
    aws: &Aws,
    folder: &Path,
    simulator: &Simulator,
    mode: Mode,
    merchant_api_key: &str,
) -> Result<(), StartError> {
    let files = folder.join("simulator");
    let read = |name: &str| {
        std::fs::read_to_string(files.join(name)).map_err(|error| {
            StartError(format!(
                "{} cannot be read: {error}",
                files.join(name).display()
            ))
        })
    };
    let merchant = simulator.merchant();
    // As the simulator's files have it: another mode, or keys made anew, take effect with the start.
    let put = |id: &str, value: Value| -> Result<(), StartError> {
        let text = value.to_string();
        if aws.secrets().current(&arn(id)).as_ref() != Some(&text) {
            aws.secrets().put(&arn(id), text)?;
        }
        Ok(())
    };
    put(
        "SigningSecret",
        signing(aws, &merchant.serial_no, &read("apiclient_key.pem")?),
    )?;
    let public_key =
        json!({"public_key_id": merchant.public_key_id, "public_key": read("pub_key.pem")?});
    let certificate = || certificate_key(&read("platform_cert.pem")?);
    let wechatpay = match mode {
        Mode::PublicKey => public_key,
        Mode::Certificate => certificate()?,
        Mode::Both => {
            let mut both = public_key;
            both["also_accepted"] = json!([certificate()?]);
            both
        }
    };
    put("WechatpaySecret", wechatpay)?;
    put("Apiv3Secret", json!({"apiv3_key": merchant.apiv3_key}))?;
    put(
        "AppSecret",
        json!({"appid": merchant.appid, "app_secret": merchant.app_secret}),
    )?;
    let hash = Sha256::digest(merchant_api_key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = match aws.secrets().current(&arn("ApiSecret")) {
        None => json!({
            "token_key": STANDARD.encode(random::bytes::<32>()),
            "number_key": STANDARD.encode(random::bytes::<32>()),
            "merchant_key_hashes": [hash],
        }),
        // A key that was chosen at this start is accepted beside those of earlier ones.
        Some(text) => {
            let mut known: Value = serde_json::from_str(&text).unwrap_or_default();
            let hashes = known.get_mut("merchant_key_hashes");
            let hashes = hashes.and_then(Value::as_array_mut);
            // One that cannot be read stays as it is: [`Stack::wanting`] tells of it.
            let Some(hashes) = hashes.filter(|hashes| !hashes.contains(&json!(hash))) else {
                return Ok(());
            };
            hashes.push(json!(hash));
            known
        }
    };
    aws.secrets().put(&arn("ApiSecret"), text.to_string())?;
    Ok(())
}

/// A platform certificate's serial number and public key, as the `wechatpay` secret holds keys.
fn certificate_key(pem: &str) -> Result<Value, StartError> {
    let unusable =
        |error: &dyn fmt::Display| StartError(format!("platform_cert.pem cannot be used: {error}"));
    let (_, parsed) =
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|error| unusable(&error))?;
    let certificate = parsed.parse_x509().map_err(|error| unusable(&error))?;
    let serial = certificate.raw_serial_as_string().replace(':', "");
    let public_key = STANDARD.encode(certificate.public_key().raw);
    Ok(json!({
        "public_key_id": serial.to_ascii_uppercase(),
        "public_key": format!("-----BEGIN PUBLIC KEY-----\n{public_key}\n-----END PUBLIC KEY-----\n"),
    }))
}

fn put_catalogue(aws: &Aws) -> Result<(), StartError> {
    let articles: Vec<Value> = serde_json::from_str(CATALOGUE)
        .map_err(|error| StartError(format!("catalogue.json cannot be read: {error}")))?;
    for article in articles {
        let request = json!({
            "TableName": crate::template::physical("Table"),
            "Item": {
                "pk": {"S": format!("SKU#{}", article["sku"].as_str().unwrap_or_default())},
                "sk": {"S": "SKU"},
                "description": {"S": article["description"]},
                "price_fen": {"N": article["price_fen"].to_string()},
                "on_sale": {"BOOL": true},
            },
            // What was changed since the first start stays changed.
            "ConditionExpression": "attribute_not_exists(pk)",
        });
        let request =
            serde_json::from_value(request).map_err(|error| StartError(error.to_string()))?;
        match aws.table.put_item(request) {
            Ok(_) => {}
            Err(error) if error.to_string().contains("conditional") => {}
            Err(error) => {
                return Err(StartError(format!(
                    "the catalogue cannot be written: {error}"
                )));
            }
        }
    }
    Ok(())
}

fn file_log(folder: &Path) -> Result<Log, StartError> {
    let path = folder.join("log.jsonl");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| StartError(format!("{} cannot be written: {error}", path.display())))?;
    Ok(Log::to(Arc::new(move |line| {
        use std::io::Write;
        // A full disk must not stop a payment, here as on AWS.
        let _ = (&file).write_all(format!("{line}\n").as_bytes());
    })))
}

fn link(
    template: &Template,
    aws: &Aws,
    platform: &Platform,
) -> Result<BTreeMap<String, Linked>, StartError> {
    let mut linked = BTreeMap::new();
    for (id, function) in &template.functions {
        let invoke = functions::link(&function.binary, &vars(id, function, aws), platform)
            .map_err(|error| StartError(format!("{id} cannot be started: {error}")))?;
        let timeout = Duration::from_secs(function.timeout_seconds);
        linked.insert(
            id.clone(),
            Linked {
                id: id.clone(),
                invoke,
                timeout,
            },
        );
    }
    Ok(linked)
}

/// A function's environment: the template's, and where AWS is.
fn vars(id: &str, function: &Function, aws: &Aws) -> Vars {
    let mut variables = function.environment.clone();
    for (name, value) in [
        ("AWS_REGION", crate::template::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key_of(id)),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_ENDPOINT_URL", aws.url.clone()),
    ] {
        variables.insert(name.to_owned(), value);
    }
    Vars::from_map(variables)
}

fn console(
    api_url: &str,
    folder: &Path,
    simulator: &Simulator,
    aws: &Aws,
    platform: &Platform,
) -> Console {
    let merchant = simulator.merchant();
    // What the page shows works from any folder, so the path is a whole one where it can be.
    let data_dir = folder.canonicalize();
    let data_dir = data_dir.unwrap_or_else(|_| folder.to_owned());
    Console {
        places: json!({
            "api_url": api_url,
            "simulator_url": simulator.base_url(),
            "control_url": simulator.control_url(),
            "aws_url": aws.url,
            "data_dir": data_dir,
            "mchid": merchant.mchid,
            "appid": merchant.appid,
        }),
        control_url: simulator.control_url().to_owned(),
        http: platform.http.clone(),
        table: aws.table.clone(),
    }
}

/// What EventBridge Scheduler sends; its `detail` is a text.
fn schedule_event(clock: &Clock) -> Value {
    json!({
        "version": "0",
        "id": random::token(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": shared::rfc3339::format_utc(clock.wall()),
        "region": "local",
        "resources": ["arn:aws:scheduler:local:000000000000:schedule/default/sweep"],
        "detail": "{}",
    })
}

async fn schedule(gateway: Arc<Gateway>, clock: Clock, id: String, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        // A run that fails is told in its own log line; the next one goes on.
        let _ = gateway.invoke(&id, schedule_event(&clock)).await;
    }
}
