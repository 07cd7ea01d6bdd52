//! The command `wechatpay-simulator`: reads its options, starts a simulator, says where things are,
//! and runs until it is interrupted or told to end.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use simulator::{Config, Mode, Simulator, StartError};

const AFTER_HELP: &str = "\
IT IS NOT WECHAT PAY. It speaks WeChat Pay's APIv3 with keys of its own, made at the first start, and
moves no money. Nothing but tests and development belongs behind it.

WHAT TO DO WITH IT
  Point a client at base_url in place of https://api.mch.weixin.qq.com (and of
  https://api.weixin.qq.com for jscode2session). DIR/merchant.json names everything a client needs;
  beside it are the PEM files under WeChat Pay's own names:
    apiclient_key.pem, apiclient_cert.pem   the merchant's key and API certificate
    pub_key.pem                             the WeChat Pay public key
    platform_cert.pem                       the platform certificate
    platform_key.pem                        what signs, for testers who play the platform
    ca_cert.pem                             the root of the TLS port

  Place an order, open CONTROL in a browser, and pay it there: the page is the payer's phone. It also
  shows notices, requests and why they were refused, and switches faults and the clock. Other web
  pages cannot use the control port. Or pay by a control call:
    curl -X POST CONTROL/_sim/orders/OUT_TRADE_NO/pay
  See what happened:
    curl CONTROL/_sim/ledger         orders and refunds as WeChat Pay has them
    curl CONTROL/_sim/requests       every request, and why it was refused
    curl CONTROL/_sim/notifications  every notice with every attempt
    curl CONTROL/_sim/violations     rules the merchant broke, such as accepting a forged notice
  Make it hard:
    curl CONTROL/_sim/faults         every fault and what it does
    curl -d '{\"name\":\"notice_duplicated\"}' CONTROL/_sim/faults
    curl -d '{\"advance_s\":7200}' CONTROL/_sim/clock

TWO CLOCKS
  Signatures are always dated by real time and may be five minutes off. /_sim/clock moves business
  time only: expiry, notice retries, refunds, bills. --speed runs business schedules faster.

The whole manual is docs/simulator.md.";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeChoice {
    PublicKey,
    Certificate,
    Both,
}

/// A faithful local simulator of WeChat Pay APIv3. It is not WeChat Pay.
#[derive(Debug, Parser)]
#[command(name = "wechatpay-simulator", version, after_long_help = AFTER_HELP)]
struct Options {
    /// The port of the API; 0 takes a free one.
    #[arg(long, default_value_t = 8081)]
    port: u16,
    /// The port of the control API; 0 takes a free one.
    #[arg(long, default_value_t = 8082)]
    control_port: u16,
    /// The port of the second base URL, WeChat Pay's backup host; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    backup_port: u16,
    /// Serve the API over TLS on this port too, by the simulator's own CA; 0 takes a free one.
    #[arg(long)]
    tls_port: Option<u16>,
    /// The address to listen on. Anything but loopback lets others on the network pay and refund.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The folder of keys, merchant.json and state; made at the first start.
    #[arg(long, default_value = ".wechatpay-simulator")]
    data_dir: PathBuf,
    /// Which of WeChat Pay's keys the merchant has.
    #[arg(long, value_enum, default_value_t = ModeChoice::PublicKey)]
    mode: ModeChoice,
    /// The seed of every random decision.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often faults happen by themselves: 0 is kind, 1 is cruel.
    #[arg(long, default_value_t = 0.0)]
    hostility: f64,
    /// How many times faster than WeChat Pay business schedules run.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if !options.host.is_loopback() {
        eprintln!(
            "warning: listening on {}: everybody who reaches it can move the clock, pay and refund",
            options.host
        );
    }
    let mut config = Config::new(options.data_dir);
    config.host = options.host;
    config.port = options.port;
    config.control_port = options.control_port;
    config.backup_port = options.backup_port;
    config.tls_port = options.tls_port;
    config.mode = match options.mode {
        ModeChoice::PublicKey => Mode::PublicKey,
        ModeChoice::Certificate => Mode::Certificate,
        ModeChoice::Both => Mode::Both,
    };
    config.seed = options.seed;
    config.hostility = options.hostility;
    config.speed = options.speed;
    let folder = config.data_dir.clone();
    let simulator = match Simulator::start(config).await {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("wechatpay-simulator: {error}{}", advice(&error));
            return ExitCode::FAILURE;
        }
    };
    println!("WeChat Pay simulator (it is not WeChat Pay)");
    println!("  API       {}", simulator.base_url());
    println!("  backup    {}", simulator.backup_url());
    if let Some(tls_url) = simulator.tls_url() {
        println!(
            "  TLS       {tls_url}  (CA: {})",
            simulator.merchant().ca_file
        );
    }
    println!(
        "  control   {}  (open it in a browser: the phone)",
        simulator.control_url()
    );
    println!(
        "  merchant  {} in {}",
        simulator.merchant().mchid,
        folder.join("merchant.json").display()
    );
    println!("Interrupt to stop; the state stays in the folder.");
    ended().await;
    simulator.stop().await;
    ExitCode::SUCCESS
}

/// What to do about a failed start, where the sentence does not say it already.
fn advice(error: &StartError) -> &'static str {
    match error {
        StartError::Port { .. } => {
            "; choose others with --port, --control-port, --backup-port or --tls-port (0: a free one)"
        }
        StartError::Folder { .. } | StartError::InUse { .. } => "; choose another with --data-dir",
        _ => "",
    }
}

/// Waits for an interrupt or a request to end.
async fn ended() {
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
