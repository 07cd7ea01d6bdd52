//! `wxpay`: the bundle on one machine, and the operator's commands for it and for AWS.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use local::deliverer::Address;
use local::{Options, Stack, StartError, demo};
use operator::{Failure, grouped};
use shared::api::CREDENTIAL_MAX;
use shared::random;
use simulator::SPEEDS;

/// A WeChat Pay backend: the whole of it on this machine, with a simulated WeChat Pay and without an
/// account; and the operator's commands, for that stack and for one on AWS (--stack).
#[derive(Parser)]
#[command(name = "wxpay", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything and says what to do next (the default).
    Up(Up),
    /// Drives a payment from login to refund over HTTP, and checks the books on both sides.
    Demo(Demo),
    #[command(flatten)]
    Operator(operator::Command),
}

#[derive(Args, Clone)]
struct Up {
    /// The API's port; without it 3000, or a free one where 3000 is taken.
    #[arg(long)]
    port: Option<u16>,
    /// The simulated WeChat Pay's port; without it 8081, or a free one.
    #[arg(long)]
    simulator_port: Option<u16>,
    /// The port of the phone page and of the simulator's control calls; without it 8082, or a free
    /// one.
    #[arg(long)]
    control_port: Option<u16>,
    /// The port of the table and the secrets, for AWS tools; without it 8083, or a free one.
    #[arg(long)]
    aws_port: Option<u16>,
    /// The merchant's API key; without it a random one, which later starts keep.
    #[arg(long, value_parser = api_key)]
    merchant_api_key: Option<String>,
    /// The folder that keeps everything between starts.
    #[arg(long, default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// Which keys WeChat Pay signs with.
    #[arg(long, value_enum, default_value_t = Mode::PublicKey)]
    mode: Mode,
    /// Chooses the simulator's behaviour: the same seed and requests give the same behaviour.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How hostile the simulator is, from 0 (kind) to 1 (cruel).
    #[arg(long, default_value_t = 0.0, value_parser = hostility)]
    hostility: f64,
    /// How many times faster than in WeChat Pay and on AWS schedules run: the sweep's minute, the
    /// minute between two refunds, the retries of notifications.
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    speed: f64,
    /// Starts as a partner (服务商) for this sub-merchant; the simulated partner has 1900000110.
    #[arg(long, value_parser = sub_mchid)]
    sub_mchid: Option<String>,
    /// The sub-merchant's mini-program, if payers pay in it; the simulated one is wxd678efh567hg6788.
    #[arg(long, requires = "sub_mchid")]
    sub_appid: Option<String>,
    /// Posts each event to this address, again and again for a day where it is not taken.
    #[arg(long, value_parser = address)]
    events_url: Option<String>,
    /// What those requests carry in the header x-api-key.
    #[arg(long, requires = "events_url", value_parser = api_key)]
    events_key: Option<String>,
}

#[derive(Args)]
struct Demo {
    /// Joins a running stack at this address instead of starting one.
    #[arg(long, value_parser = api_url)]
    api_url: Option<String>,
    /// Shows also what goes wrong, and how each ends: a lost notification, an expired order, a payment
    /// heard of late, an abnormal refund; then the events, and a day reconciled with a difference.
    #[arg(long, conflicts_with = "api_url")]
    all: bool,
    /// The folder of the running stack, which holds its local.json; without it .wxpay. A stack of the
    /// demo's own has a temporary folder.
    #[arg(long, requires = "api_url")]
    data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// WeChat Pay's public key, as merchants have since 2024.
    PublicKey,
    /// Platform certificates.
    Certificate,
    /// Both, as during a switch.
    Both,
}

/// The default of --data-dir.
const DATA_DIR: &str = ".wxpay";

fn api_key(text: &str) -> Result<String, String> {
    let length_fits = (1..=CREDENTIAL_MAX).contains(&text.len());
    if length_fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a key is 1 to {CREDENTIAL_MAX} visible ASCII characters, without spaces"
        ))
    }
}

fn address(text: &str) -> Result<String, String> {
    let parsed = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() {
        Ok(text.to_owned())
    } else {
        Err("it is an http or https address".to_owned())
    }
}

fn sub_mchid(text: &str) -> Result<String, String> {
    if (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("it is a number of 8 to 10 digits".to_owned())
    }
}

fn hostility(text: &str) -> Result<f64, String> {
    let hostility = text.parse().ok();
    let hostility = hostility.filter(|hostility| (0.0..=1.0).contains(hostility));
    hostility.ok_or_else(|| "it is a number from 0 to 1".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    let speed = speed.filter(|speed| SPEEDS.contains(speed));
    speed.ok_or_else(|| "it is a number from 0.001 to 1000000".to_owned())
}

fn api_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        Some(_) => Ok(text.to_owned()),
        None => Err("it is an address such as http://127.0.0.1:3000".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = grouped(Cli::command());
    let matches = command_line.clone().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let ended = match cli.command {
        None => up(cli.up).await.map_err(Failure::Failed),
        Some(Command::Up(up_with)) => up(up_with).await.map_err(Failure::Failed),
        Some(Command::Demo(demo)) => run_demo(demo).await.map_err(Failure::Failed),
        Some(Command::Operator(command)) => operator::run(command, command_line).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("wxpay: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

async fn up(up: Up) -> Result<(), String> {
    let mut options = Options::new(&up.data_dir);
    options.port = up.port;
    options.simulator_port = up.simulator_port;
    options.control_port = up.control_port;
    options.aws_port = up.aws_port;
    options.merchant_api_key = up.merchant_api_key;
    options.seed = up.seed;
    options.hostility = up.hostility;
    options.speed = up.speed;
    options.events_to = up.events_url.map(|url| Address {
        url,
        key: up.events_key,
    });
    for (name, value) in [("SubMchid", up.sub_mchid), ("SubAppid", up.sub_appid)] {
        options
            .parameters
            .extend(value.map(|value| (name.to_owned(), value)));
    }
    options.mode = match up.mode {
        Mode::PublicKey => simulator::Mode::PublicKey,
        Mode::Certificate => simulator::Mode::Certificate,
        Mode::Both => simulator::Mode::Both,
    };
    let stack = Stack::start(options)
        .await
        .map_err(|error: StartError| error.to_string())?;
    warn(&stack).await;
    greet(&stack, up.speed);
    stopped().await;
    println!(
        "Stopping; {} keeps everything for the next start.",
        stack.data_dir.display()
    );
    stack.stop().await;
    Ok(())
}

/// Says which secrets cannot be used, rather than leave it to the first request.
async fn warn(stack: &Stack) {
    for unusable in stack.unusable_secrets().await {
        eprintln!(
            "wxpay: {}. Until it is replaced {} cannot work (Secrets Manager is at {}).",
            unusable.problem,
            unusable.functions.join(", "),
            stack.aws.url
        );
    }
}

fn greet(stack: &Stack, speed: f64) {
    let (api, phone) = (&stack.api_url, stack.simulator.control_url());
    let folder = stack.data_dir.display();
    let taken = |option: &str| {
        let mut taken = stack.taken_ports.iter();
        let taken = taken.find(|taken| taken.option == option);
        taken.map_or(String::new(), |taken| {
            format!("   port {} is taken; {option} chooses one", taken.port)
        })
    };
    println!("The API            {api}{}", taken("--port"));
    println!(
        "The console        {api}/console   a page: buy, pay, refund, and see what really happens"
    );
    println!(
        "The phone          {phone}   a page: pay, scan, end refunds, break things{}",
        taken("--control-port")
    );
    println!(
        "WeChat Pay         {}   simulated: it is not WeChat Pay and no money moves{}",
        stack.simulator.base_url(),
        taken("--simulator-port")
    );
    println!(
        "Table and secrets  {}   for AWS tools{}",
        stack.aws.url,
        taken("--aws-port")
    );
    println!(
        "Everything is in   {folder}   local.json has the addresses and the merchant's API key"
    );
    println!("Time               schedules run {speed} times as fast (--speed)");
    println!();
    println!("Place an order as the merchant, pay it on the phone, see it paid:");
    println!();
    // An order id that was not used before, so that the lines work after each start.
    let number = format!("hello-{}", &random::token()[..8]);
    let credential = format!("-H 'Authorization: Bearer {}'", stack.merchant_api_key);
    let order = format!(
        "{{\"trade_type\":\"native\",\"out_trade_no\":\"{number}\",\"description\":\"Coffee\",\"amount\":{{\"total\":1}}}}"
    );
    println!("  curl -sw '\\n' {api}/orders {credential} \\");
    println!("    -H 'Content-Type: application/json' \\");
    // What is cut off is the QR code as a picture.
    println!("    -d '{order}' | cut -c-250");
    println!("  curl -sw '\\n' -X POST {phone}/_sim/orders/{number}/pay");
    println!("  curl -sw '\\n' {api}/orders/{number} {credential}");
    println!();
    println!(
        "README.md goes on from here. Or watch a whole payment: cargo run -- demo. Ctrl-C stops."
    );
}

/// Waits for Ctrl-C or a request to end.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    // Where there is no signal to wait for, the process ends.
    let _ = interrupted.await;
}

async fn run_demo(demo: Demo) -> Result<(), String> {
    match demo.api_url {
        Some(api_url) => {
            let data_dir = demo.data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
            demo::join(&api_url, &data_dir).await
        }
        None => demo::alone(demo.all).await,
    }
}
