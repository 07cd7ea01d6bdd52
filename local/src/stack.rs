//! The stack: everything started in order, one data folder, one lock.

mod environment;
mod error;
mod options;
mod ports;
mod seed;
mod wechatpay;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::process::Process;
use shared::telemetry::Log;
use simulator::{Mode, Simulator};
use tokio::task::JoinHandle;

pub use error::StartError;
pub use options::{AWS_PORT, CONTROL_PORT, Options, PORT, SIMULATOR_PORT};
pub use ports::TakenPort;

use crate::aws::{Aws, Invoked, Invoker};
use crate::console::{Console, ConsoleParts};
use crate::deliverer::Deliverer;
use crate::feeder::Feeder;
use crate::files;
use crate::functions;
use crate::gateway::{Gateway, InvokeError, Linked};
use crate::recorder::Recorder;
use crate::scheduler::{self, Runs, Scheduler};
use crate::template::Template;
use environment::{parameters, template_text, vars};
use ports::{choose, listen};
use seed::{merchant_api_key, put_catalogue, put_secrets};
use wechatpay::{offset_clock, start_simulator};

/// A running stack. Dropping it stops it; what it kept is in its folder.
pub struct Stack {
    /// The API's address.
    pub api_url: String,
    /// The merchant's API key.
    pub merchant_api_key: String,
    /// The app that payers log in to: the sub-merchant's, or the merchant's own.
    pub payer_appid: String,
    /// WeChat Pay.
    pub simulator: Simulator,
    /// The table and the secrets.
    pub aws: Arc<Aws>,
    /// The folder.
    pub data_dir: PathBuf,
    /// The usual ports that were taken.
    pub taken_ports: Vec<TakenPort>,
    /// What the template allows and declares.
    pub template: Template,
    gateway: Arc<Gateway>,
    scheduler: Scheduler,
    feeder: Feeder,
    deliverer: Deliverer,
    process: Process,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

/// A secret that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableSecret {
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
        make(&folder)?;
        let lock = lock(&folder)?;
        let (listener, api_taken) = listen("--port", options.port, PORT).await?;
        let wechatpay = choose("--simulator-port", options.simulator_port, SIMULATOR_PORT).await?;
        let control = choose("--control-port", options.control_port, CONTROL_PORT).await?;
        let (aws_listener, aws_taken) = listen("--aws-port", options.aws_port, AWS_PORT).await?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::system("the port has no address", error))?;
        let api_url = format!("http://{address}");

        let business = Arc::new(OnceLock::new());
        let simulator = start_simulator(&options, wechatpay.0, control.0, &business).await?;
        // It was not set before: nothing but this line has it.
        let _ = business.set(simulator.business_clock());
        let clock = offset_clock(simulator.business_clock());

        let text = match &options.template {
            Some(text) => text.clone(),
            None => template_text()?,
        };
        let template = Template::parse(&text, &parameters(&options, &api_url, &simulator))?;
        let log = match &options.log {
            Some(log) => log.clone(),
            None => file_log(&folder)?,
        };
        let process = Process::with(clock.clone(), log)?;
        let recorder = Arc::new(Recorder::new(clock.clone()));
        let aws = Aws::start(
            &folder,
            aws_listener,
            &template,
            process.http.clone(),
            Arc::clone(&recorder),
        )
        .await?;
        let aws = Arc::new(aws);
        let merchant_api_key = match &options.merchant_api_key {
            Some(key) => key.clone(),
            None => merchant_api_key(&folder),
        };
        let payer_appid = match options.parameters.get("SubAppid") {
            Some(appid) if !appid.is_empty() => appid.clone(),
            Some(_) | None => simulator.merchant().appid.clone(),
        };
        put_secrets(
            &aws,
            &folder,
            &simulator,
            options.mode,
            &merchant_api_key,
            &payer_appid,
        )?;
        put_catalogue(&aws)?;

        let linked = link(&template, &aws, &process)?;
        let places = places(&api_url, &folder, &simulator, &aws, &payer_appid);
        let console = Console::new(ConsoleParts {
            places,
            api_url: api_url.clone(),
            merchant_api_key: merchant_api_key.clone(),
            control_url: simulator.control_url().to_owned(),
            apiv3_key: simulator.merchant().apiv3_key.clone(),
            http: process.http.clone(),
            aws: Arc::clone(&aws),
            recorder: Arc::clone(&recorder),
        });
        let gateway = Arc::new(Gateway::new(
            &template.functions,
            linked,
            clock.clone(),
            address.to_string(),
            console,
            recorder,
        )?);
        aws.set_invoker(invoker(&gateway));
        let router = Arc::clone(&gateway).router();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let tasks = vec![tokio::spawn(async move {
            // It ends only with the process or when the stack is stopped.
            let _ = axum::serve(listener, service).await;
        })];
        let scheduler = if options.schedules {
            Scheduler::start(&template, &gateway, &clock, &simulator, options.speed)
        } else {
            Scheduler::default()
        };
        let feeder = if options.stream {
            Feeder::start(&template, &gateway, &aws, &folder)
        } else {
            Feeder::default()
        };
        let deliverer = match &options.events_to {
            Some(to) => Deliverer::start(&aws, to.clone(), process.http.clone(), &folder),
            None => Deliverer::default(),
        };
        let taken = [api_taken, wechatpay.1, control.1, aws_taken];
        let stack = Self {
            api_url,
            merchant_api_key,
            payer_appid,
            simulator,
            aws,
            data_dir: folder,
            taken_ports: taken.into_iter().flatten().collect(),
            template,
            gateway,
            scheduler,
            feeder,
            deliverer,
            process,
            tasks,
            _lock: lock,
        };
        let described =
            serde_json::to_vec_pretty(&stack.described()).map_err(|error| error.to_string())?;
        files::replace(&stack.data_dir.join("local.json"), &described)?;
        if options.schedules && !matches!(options.mode, Mode::PublicKey) {
            // The first platform certificates, so that nobody has to wait for the schedule. If they are
            // not to be had, `unusable_secrets` says so.
            let _ = stack.run_scheduled("SweepFunction").await;
        }
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
            "payer_appid": self.payer_appid,
        })
    }

    /// The two readings of time that the functions have.
    pub const fn clock(&self) -> &Clock {
        &self.process.clock
    }

    /// Every secret that cannot be used now. The functions read them again: one that is put right is
    /// picked up without a start.
    pub async fn unusable_secrets(&self) -> Vec<UnusableSecret> {
        let functions = &self.template.functions;
        let asked = functions.iter().map(async |(id, function)| {
            let vars = vars(id, function, &self.aws);
            let problems = functions::unusable_secrets(&vars, &self.process).await;
            (function.binary.clone(), problems)
        });
        let mut unusable: Vec<UnusableSecret> = Vec::new();
        for (function, problems) in join_all(asked).await {
            for problem in problems {
                let problem = problem.to_string();
                match unusable.iter_mut().find(|known| known.problem == problem) {
                    Some(known) => known.functions.push(function.clone()),
                    None => unusable.push(UnusableSecret {
                        problem,
                        functions: vec![function.clone()],
                    }),
                }
            }
        }
        unusable
    }

    /// Invokes a function by its logical id, with an event as AWS would send it.
    ///
    /// # Errors
    /// The function failed or took too long.
    pub async fn invoke(&self, id: &str, event: Value) -> Result<Value, InvokeError> {
        self.gateway.invoke(id, event).await
    }

    /// As [`Self::invoke`], with this time or the function's own, whichever is shorter.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn invoke_within(
        &self,
        id: &str,
        event: Value,
        time: Duration,
    ) -> Result<Value, InvokeError> {
        self.gateway.invoke_within(id, event, time).await
    }

    /// Runs a function once, now, with the event of its first schedule.
    ///
    /// # Errors
    /// The function failed, or no schedule runs it.
    pub async fn run_scheduled(&self, id: &str) -> Result<Value, InvokeError> {
        let function = self.template.functions.get(id);
        let scheduled = function.and_then(|function| function.schedules.first());
        let scheduled = scheduled
            .ok_or_else(|| InvokeError::Failed(format!("no schedule runs a function {id}")))?;
        self.invoke(id, scheduler::event(scheduled, self.clock()))
            .await
    }

    /// Brings the table's stream to the functions that follow it, from where it came to.
    pub fn start_stream(&mut self) {
        self.feeder = Feeder::start(&self.template, &self.gateway, &self.aws, &self.data_dir);
    }

    /// Stops bringing the stream, as the death of a process does: wherever it is.
    pub fn stop_stream(&mut self) {
        self.feeder = Feeder::default();
    }

    /// What each schedule did since the start.
    pub fn schedule_runs(&self) -> Vec<Runs> {
        self.scheduler.runs()
    }

    /// Stops everything; the folder can be started from again.
    pub async fn stop(mut self) {
        self.scheduler.stop();
        self.feeder.stop();
        self.deliverer.stop();
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.aws.stop();
        let Self { simulator, .. } = self;
        simulator.stop().await;
    }
}

fn make(folder: &Path) -> Result<(), StartError> {
    let shown = folder.display();
    if folder.is_file() {
        return Err(StartError::Unfit(format!(
            "{shown} is a file, and --data-dir names a folder"
        )));
    }
    if folder.is_symlink() && !folder.exists() {
        return Err(StartError::Unfit(format!(
            "{shown} is a link that leads nowhere, and --data-dir names a folder"
        )));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(StartError::Unfit(format!(
            "{shown} is not a folder, and --data-dir names one"
        )));
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| StartError::system(format!("the folder {shown} cannot be made"), error))
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| {
        let what = format!("the folder {} cannot be written to", folder.display());
        StartError::system(what, error)
    })?;
    file.try_lock().map_err(|_| {
        StartError::Unfit(format!(
            "another wxpay runs in {}: stop it, or give --data-dir another folder",
            folder.display()
        ))
    })?;
    Ok(file)
}

fn file_log(folder: &Path) -> Result<Log, StartError> {
    let path = folder.join("log.jsonl");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| {
            StartError::system(format!("{} cannot be written", path.display()), error)
        })?;
    Ok(Log::to(Arc::new(move |line| {
        use std::io::Write;
        // A full disk must not stop a payment, here as on AWS.
        let _ = (&file).write_all(format!("{line}\n").as_bytes());
    })))
}

/// What the operator invokes functions through.
fn invoker(gateway: &Arc<Gateway>) -> Invoker {
    // The gateway holds functions that hold the table's address: nothing here keeps it alive.
    let gateway = Arc::downgrade(gateway);
    Arc::new(move |id: &str, event: Value| -> Option<Invoked> {
        let gateway = gateway.upgrade().filter(|gateway| gateway.has(id))?;
        let id = id.to_owned();
        Some(Box::pin(async move {
            gateway
                .invoke(&id, event)
                .await
                .map_err(|error| match error {
                    InvokeError::Failed(why) => why,
                    InvokeError::TimedOut => format!("{id} timed out"),
                })
        }))
    })
}

fn link(
    template: &Template,
    aws: &Aws,
    process: &Process,
) -> Result<BTreeMap<String, Linked>, StartError> {
    let mut linked = BTreeMap::new();
    for (id, function) in &template.functions {
        let invoke = functions::link(&function.binary, &vars(id, function, aws), process).map_err(
            |source| StartError::Function {
                id: id.clone(),
                source,
            },
        )?;
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

/// Names and addresses, for a person.
fn places(
    api_url: &str,
    folder: &Path,
    simulator: &Simulator,
    aws: &Aws,
    payer_appid: &str,
) -> Value {
    let merchant = simulator.merchant();
    // What the page shows works from any folder, so the path is a whole one where it can be.
    let data_dir = folder.canonicalize();
    let data_dir = data_dir.unwrap_or_else(|_| folder.to_owned());
    json!({
        "api_url": api_url,
        "simulator_url": simulator.base_url(),
        "control_url": simulator.control_url(),
        "aws_url": aws.url,
        "data_dir": data_dir,
        "mchid": merchant.mchid,
        "appid": merchant.appid,
        "payer_appid": payer_appid,
    })
}
