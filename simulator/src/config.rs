//! What a simulator is started with. Only values: opening folders and ports is `simulator.rs`'s.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The hosts of WeChat Pay's API, in whose place a simulator stands.
pub(crate) const API_HOSTS: [&str; 4] = [
    "api.mch.weixin.qq.com",
    "api2.mch.weixin.qq.com",
    "api.wechatpay.cn",
    "api2.wechatpay.cn",
];
/// The host of mini-program logins.
pub(crate) const LOGIN_HOST: &str = "api.weixin.qq.com";

/// Which of WeChat Pay's keys answer to the merchant (APIv3 has two kinds, and a time of both).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Only the WeChat Pay public key, as merchants registered since late 2024 have it.
    PublicKey,
    /// Only platform certificates, downloaded from `/v3/certificates`.
    Certificate,
    /// The switch between the two: answers follow the request's `Wechatpay-Serial`, notices come
    /// signed by either key.
    Both,
}

impl Mode {
    /// The word used on the command line and in `merchant.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "public-key",
            Self::Certificate => "certificate",
            Self::Both => "both",
        }
    }
}

/// How a simulator behaves and where it listens. [`Config::new`] makes the defaults, without faults.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address every port is bound to; loopback by default.
    pub host: IpAddr,
    /// The port of the API; 0 takes a free one.
    pub port: u16,
    /// The port of the second base URL (WeChat's backup host); 0 takes a free one.
    pub backup_port: u16,
    /// The port of the control API; 0 takes a free one.
    pub control_port: u16,
    /// The port that serves the API over TLS with the simulator's own CA; `Some(0)` takes a free
    /// one, `None` leaves TLS out.
    pub tls_port: Option<u16>,
    /// The folder of keys, `merchant.json` and state; made when it is missing.
    pub data_dir: PathBuf,
    /// Another simulator's data folder whose keys and merchants are copied when `data_dir` has
    /// none yet: making RSA keys is the slow part of a first start.
    pub keys_from: Option<PathBuf>,
    /// Which of WeChat Pay's keys the first merchant has.
    pub mode: Mode,
    /// The seed of every random decision; the same seed and the same requests behave the same.
    pub seed: u64,
    /// How often the faults of the catalogue happen by themselves: 0 is never, 1 very often.
    pub hostility: f64,
    /// How many times faster business schedules run (notice retries, the minute between two
    /// refunds of an order, refund completion); 1 is WeChat's pace. One of [`SPEEDS`].
    pub speed: f64,
    /// Routes merged into the control port, for whoever builds a larger stack around this one. They
    /// are kept from web pages of other origins like the control calls.
    pub control_routes: axum::Router,
}

/// How many times faster, or slower, business schedules may run: far enough for every test, and no
/// schedule's time overflows.
pub const SPEEDS: RangeInclusive<f64> = 0.001..=1_000_000.0;

impl Config {
    /// Makes the defaults: loopback, free ports, public-key mode, seed 1, no faults, WeChat's pace.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            backup_port: 0,
            control_port: 0,
            tls_port: None,
            data_dir: data_dir.into(),
            keys_from: None,
            mode: Mode::PublicKey,
            seed: 1,
            hostility: 0.0,
            speed: 1.0,
            control_routes: axum::Router::new(),
        }
    }
}
