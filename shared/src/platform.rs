//! What a process brings to every function in it: clock, connections, log, randomness.
//!
//! One HTTP client serves WeChat Pay and the AWS SDK alike: one TLS stack, one root store, one pool.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::telemetry::Log;

/// How long an idle connection is kept, in seconds. WeChat Pay closes its side after 8
/// (`Keep-Alive: timeout=8`, docs/wechatpay.md), and a connection that died while Lambda was frozen
/// must not be picked up again.
const POOL_IDLE: Duration = Duration::from_secs(7);

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// What every function in this process shares.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The two readings of time.
    pub clock: Clock,
    /// The one HTTP client.
    pub http: reqwest::Client,
    /// Where lines go.
    pub log: Log,
}

/// Why the HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be built: {0}")]
pub struct PlatformError(String);

impl Platform {
    /// The platform of a Lambda process: system clock, standard output.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn system() -> Result<Self, PlatformError> {
        Self::local(Clock::system(), Log::stdout())
    }

    /// A platform with a clock and a log of the caller's.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn local(clock: Clock, log: Log) -> Result<Self, PlatformError> {
        Ok(Self {
            clock,
            http: http_client()?,
            log,
        })
    }
}

/// Mozilla's roots are compiled in: reading the system's costs more instructions than a signature,
/// and a Lambda image need not have any.
fn http_client() -> Result<reqwest::Client, PlatformError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PlatformError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // A proxy from the environment would see what is signed here.
        .no_proxy()
        // A redirect is never followed: it could lead a signed request to an inner address.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| PlatformError(error.to_string()))
}

/// Fresh random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness can sign nothing safely"
    )]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A fresh random text of 26 characters, 128 bits, for tokens that only have to differ.
pub fn random_token() -> String {
    data_encoding::BASE32_NOPAD.encode(&random::<16>())
}

/// Half to all of `most_ms` milliseconds, so that two that met do not meet again.
pub fn jitter(most_ms: u64) -> Duration {
    let half = most_ms / 2;
    let [low, high] = random::<2>();
    let part = u64::from(u16::from_le_bytes([low, high])) * half / u64::from(u16::MAX);
    Duration::from_millis(half + part)
}
