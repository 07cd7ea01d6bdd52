//! `wxpay`: the bundle on one machine, and the tools to look at it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use local::{Options, Stack, StartError, demo};
use shared::random;

/// A WeChat Pay backend on this machine: API, table, keys and a simulated WeChat Pay, on loopback,
/// without an account.
#[derive(Parser)]
#[command(name = "wxpay", version)]
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
}

#[derive(Args, Clone)]
struct Up {
    /// The API's port; 3000, or a free one where that is taken.
    #[arg(long)]
    port: Option<u16>,
    /// The simulated WeChat Pay's port; 8081, or a free one.
    #[arg(long)]
    simulator_port: Option<u16>,
    /// The simulator's control port; 8082, or a free one.
    #[arg(long)]
    control_port: Option<u16>,
    /// The port of the table and the secrets, for AWS tools; 8083, or a free one.
    #[arg(long)]
    aws_port: Option<u16>,
    /// The merchant's API key, instead of a random one that is kept for later starts.
    #[arg(long)]
    merchant_api_key: Option<String>,
    /// The folder that keeps everything between starts.
    #[arg(long, default_value = ".wxpay")]
    data_dir: PathBuf,
    /// Which keys WeChat Pay signs with.
    #[arg(long, value_enum, default_value_t = Mode::PublicKey)]
    mode: Mode,
    /// Chooses the simulator's behaviour: the same seed and requests give the same behaviour.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How hostile the simulator is, from 0 (kind) to 1 (cruel).
    #[arg(long, default_value_t = 0.0)]
    hostility: f64,
    /// How many times faster than WeChat Pay's business schedules run.
    #[arg(long, default_value_t = 60.0)]
    speed: f64,
}

#[derive(Args)]
struct Demo {
    /// Joins a running stack at this address instead of starting one.
    #[arg(long)]
    api_url: Option<String>,
    /// The running stack's folder, for its local.json.
    #[arg(long, default_value = ".wxpay")]
    data_dir: PathBuf,
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

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        None => up(cli.up).await,
        Some(Command::Up(up_with)) => up(up_with).await,
        Some(Command::Demo(demo)) => run_demo(demo).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("wxpay: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn up(up: Up) -> Result<(), String> {
    let speed_ok = up.speed.is_finite() && up.speed > 0.0;
    if !speed_ok || !(0.0..=1.0).contains(&up.hostility) {
        return Err("--speed must be above 0 and --hostility from 0 to 1".to_owned());
    }
    let mut options = Options::new(up.data_dir);
    options.port = up.port;
    options.simulator_port = up.simulator_port;
    options.control_port = up.control_port;
    options.aws_port = up.aws_port;
    options.merchant_api_key = up.merchant_api_key;
    options.seed = up.seed;
    options.hostility = up.hostility;
    options.speed = up.speed;
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
    for wanting in stack.wanting().await {
        eprintln!(
            "wxpay: {}. It stops {} until a good one is put (Secrets Manager is at {}).",
            wanting.problem,
            wanting.functions.join(", "),
            stack.aws.url
        );
    }
}

fn greet(stack: &Stack, speed: f64) {
    let (api, phone) = (&stack.api_url, stack.simulator.control_url());
    let folder = stack.data_dir.display();
    println!("The API            {api}");
    println!("The console        {api}/console");
    println!("The phone          {phone}   a page: pay, scan, end refunds, break things");
    println!(
        "WeChat Pay         {}   simulated: it is not WeChat Pay and no money moves",
        stack.simulator.base_url()
    );
    println!(
        "Everything is in   {folder}   local.json has the addresses and the merchant's API key"
    );
    println!("Time               WeChat Pay's schedules run {speed} times as fast (--speed)");
    println!();
    println!("Place an order as the merchant, pay it on the phone, see it paid:");
    println!();
    // A number that was not used before, so that the lines work after each start.
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
    // Without a signal to wait for there is nothing to do but end.
    let _ = interrupted.await;
}

async fn run_demo(demo: Demo) -> Result<(), String> {
    match demo.api_url {
        Some(api_url) => demo::join(&api_url, &demo.data_dir).await,
        None => demo::alone().await,
    }
}
