//! The command `wechatpay-simulator`: reads its options, starts a simulator, says where things are,
//! and runs until it is interrupted or terminated.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use simulator::{Config, Mode, SPEEDS, Simulator, StartError};

const AFTER_HELP: &str = "\
IT IS NOT WECHAT PAY. It speaks WeChat Pay's APIv3 with keys of its own, made at the first start,
and moves no money. Nothing but tests and development belongs behind it.

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
  shows notices and requests with their bodies and why they were refused, sends notices again, and
  switches faults and the clock; in English, or in Chinese at CONTROL/?lang=zh (中文). Other web pages
  cannot use the control port.

CONTROL CALLS
  All that the page does, and more. curl -d BODY URL sends a POST; a body is JSON and may be {}.

  The payer
    POST CONTROL/_sim/orders/OUT_TRADE_NO/pay      pays; {\"pay\": {...}} has the phone check paySign
    POST CONTROL/_sim/orders/OUT_TRADE_NO/fail     the attempt fails, the order stays payable
    POST CONTROL/_sim/orders/OUT_TRADE_NO/cancel   the payer gives up
    GET  CONTROL/_sim/orders/OUT_TRADE_NO/code.svg the QR code of a Native order
    POST CONTROL/_sim/codes                        a fresh wx.login code; {\"openid\": \"o...\"} whose
  The bank, which completes a refund after five seconds unless the knob refund_delay_s is null
    POST CONTROL/_sim/refunds/OUT_REFUND_NO/complete
    POST CONTROL/_sim/refunds/OUT_REFUND_NO/close
    POST CONTROL/_sim/refunds/OUT_REFUND_NO/abnormal
  What happened; ?last=20 gives the newest twenty
    GET  CONTROL/_sim/orders/OUT_TRADE_NO          an order with its refunds
    GET  CONTROL/_sim/ledger                       orders and refunds as WeChat Pay has them
    GET  CONTROL/_sim/requests                     every request, and why it was refused
    GET  CONTROL/_sim/requests/ENTERED             one request and its answer, with headers and bodies
    GET  CONTROL/_sim/notifications                every notice with every attempt
    GET  CONTROL/_sim/notifications/ENTERED        one notice, as it was sent and opened, with the answers
    POST CONTROL/_sim/notifications/ENTERED/resend sends it once more
    GET  CONTROL/_sim/violations                   rules the merchant broke
    GET  CONTROL/_sim/events                       what changes, as it changes
    GET  CONTROL/_sim/healthz                      whether it works
  Making it hard
    GET  CONTROL/_sim/faults                       every fault and what it does
    POST CONTROL/_sim/faults                       {\"name\": \"notice_duplicated\", \"count\": 1}
    DELETE CONTROL/_sim/faults, or /_sim/faults/NAME
    POST CONTROL/_sim/hostility                    {\"hostility\": 0.5}, as --hostility
    POST CONTROL/_sim/clock                        {\"advance_s\": 7200} moves business time on
  Where sources disagree about WeChat Pay, a knob decides
    GET  CONTROL/_sim/knobs                        every knob and how it stands
    POST CONTROL/_sim/knobs                        {\"order_paid_code\": \"ORDER_PAID\"}
  Merchants, keys and their rotation
    GET  CONTROL/_sim/merchants                    who there is, with keys and settings
    POST CONTROL/_sim/merchants                    another merchant, with keys and a folder of its own
    POST CONTROL/_sim/merchants/MCHID              settings: {\"balance_fen\": 1000, \"mode\": \"both\"}
    POST CONTROL/_sim/merchants/MCHID/certificates a further API certificate, of three at most
    POST CONTROL/_sim/merchants/MCHID/certificates/SERIAL
                                                   {\"state\": \"revoked\"}, or active, expired, replaced
    POST CONTROL/_sim/merchants/MCHID/rotate       {\"what\": \"platform_certificate\"}, then
                                                   platform_certificate_end; public_key; apiv3_key

TWO CLOCKS
  Signatures are always dated by real time and may be five minutes off. /_sim/clock moves business
  time only: expiry, notice retries, refunds, bills. --speed runs business schedules faster.";

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
    /// How often faults happen by themselves: 0 is never, 1 is very often.
    #[arg(long, default_value_t = 0.0, value_parser = hostility)]
    hostility: f64,
    /// How many times faster than WeChat Pay business schedules run.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
}

fn hostility(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(hostility) if (0.0..=1.0).contains(&hostility) => Ok(hostility),
        Ok(_) | Err(_) => Err("it must be between 0 and 1".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if SPEEDS.contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("it must be a number from 0.001 to 1000000".to_owned()),
    }
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
        StartError::Port { what, .. } => match *what {
            "the API" => "; choose another with --port (0: a free one)",
            "the backup host" => "; choose another with --backup-port (0: a free one)",
            "the control calls" => "; choose another with --control-port (0: a free one)",
            _ => "; choose another with --tls-port (0: a free one)",
        },
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
