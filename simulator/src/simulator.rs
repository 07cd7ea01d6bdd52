//! Starting and stopping: folder, keys, state, ports. The order matters: everything that can fail
//! fails before a port answers.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::beijing::DAY_MS;
use crate::changes::Changes;
use crate::config::{Config, SPEEDS};
use crate::control;
use crate::faults::Faults;
use crate::handle::{SimulatorHandle, Urls};
use crate::journal::{Journal, JournalError};
use crate::keys::{self, Authority, KeyError, issue_tls, issue_tls_elsewhere};
use crate::merchant_platform::{self, MerchantPlatformError};
use crate::merchants::{MerchantFile, MerchantWithKeys, Registry};
use crate::outgoing::Outgoing;
use crate::schedule;
use crate::server::{self, Tls};
use crate::state::State;

/// Connecting to a merchant's notify_url takes at most this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A control call under way when the simulator stops has this long to be answered.
const CONTROL_GRACE: Duration = Duration::from_secs(1);
/// How long ago an expired TLS certificate was issued: it lives 800 days.
const TLS_EXPIRED_MS: i64 = 801 * DAY_MS;
const LOCK_FILE: &str = "state/lock";

/// Why a simulator did not start, in one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port is taken or may not be used.
    #[error("cannot listen on {address} for {what}: {reason}")]
    Port {
        /// Which of the ports: `the API`, `the backup host`, `the control calls` or `TLS`.
        what: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        reason: std::io::Error,
    },
    /// The data folder cannot be made, read or written.
    #[error("cannot use the data folder {folder}: {reason}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        reason: std::io::Error,
    },
    /// Another simulator works in the folder.
    #[error("another simulator is using the data folder {folder}")]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A state file is not what a simulator wrote.
    #[error("a state file is damaged ({reason}); move the data folder away to start afresh")]
    Damaged {
        /// Which file and where.
        reason: String,
    },
    /// A key or certificate could not be made or read.
    #[error("the keys do not work: {reason}")]
    Keys {
        /// Which step failed, and why.
        #[source]
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(&'static str),
}

impl StartError {
    fn keys(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let reason = reason.into();
        Self::Keys { reason }
    }
}

impl From<KeyError> for StartError {
    fn from(error: KeyError) -> Self {
        Self::keys(error)
    }
}

/// Reads and moves a simulator's business time; cheap to clone.
#[derive(Debug, Clone)]
pub struct BusinessClock {
    handle: Arc<SimulatorHandle>,
}

impl BusinessClock {
    /// How many seconds business time is ahead of real time.
    #[must_use]
    pub fn offset_seconds(&self) -> i64 {
        self.handle.offset_seconds()
    }

    /// Moves business time on. Expiries, closes and refund ends that became due have happened when
    /// this returns; notices that became due are on their way. Gives whether it moved: negative
    /// spans do nothing, nor do those that lead more than a century ahead of real time.
    pub fn advance(&self, seconds: i64) -> bool {
        schedule::advance(&self.handle, seconds)
    }
}

/// A running WeChat Pay simulator. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Simulator {
    handle: Arc<SimulatorHandle>,
    urls: Urls,
    merchant: MerchantFile,
    tasks: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    _lock: std::fs::File,
}

impl Simulator {
    /// Starts a simulator: makes keys where there are none, restores what it knew, writes
    /// `merchant.json` and the PEM files, and serves.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a port is taken, the folder cannot be used, or a state file is damaged.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !SPEEDS.contains(&config.speed) {
            return Err(StartError::Setting(
                "speed must be a number from 0.001 to 1000000",
            ));
        }
        if !(0.0..=1.0).contains(&config.hostility) {
            return Err(StartError::Setting("hostility must be between 0 and 1"));
        }
        let folder = config.data_dir.clone();
        let unusable = |reason| StartError::Folder {
            folder: folder.clone(),
            reason,
        };
        if folder.exists() && !folder.is_dir() {
            return Err(unusable(std::io::Error::other("it is a file")));
        }
        std::fs::create_dir_all(folder.join("state")).map_err(unusable)?;
        let folder = folder.canonicalize().map_err(unusable)?;
        let lock = lock(&folder)?;
        let listeners = Listeners::bind(&config).await?;

        let (registry, merchants) = {
            let (folder, config) = (folder.clone(), config.clone());
            let loaded = tokio::task::spawn_blocking(move || load_keys(&folder, &config)).await;
            loaded.map_err(StartError::keys)??
        };
        let tls = match listeners.tls {
            Some(_) => Some(Arc::new(tls(&registry, config.host)?)),
            None => None,
        };
        let changes = Changes::new();
        let faults = Faults::new(config.seed, config.hostility, changes.clone());
        let records = Journal::read(&folder).map_err(|error| state_error(error, &folder))?;
        let (state, offset_s) = State::restore(
            folder.clone(),
            registry,
            merchants,
            records,
            faults,
            changes,
        )
        .map_err(|error| state_error(error, &folder))?;
        let handle = Arc::new(SimulatorHandle::new(
            state,
            offset_s,
            config.speed,
            Outgoing::Http(client()?),
            None,
        ));

        let urls = listeners.urls(&folder)?;
        handle.set_urls(urls.clone());
        let merchant = publish(&handle, &urls, &folder)?;

        let mut tasks = vec![
            tokio::spawn(server::run(Arc::clone(&handle), listeners.api, None)),
            tokio::spawn(server::run(Arc::clone(&handle), listeners.backup, None)),
            tokio::spawn(schedule::run_timers(Arc::clone(&handle))),
        ];
        if let Some(listener) = listeners.tls {
            tasks.push(tokio::spawn(server::run(
                Arc::clone(&handle),
                listener,
                tls,
            )));
        }
        let router = control::router(Arc::clone(&handle), config.host, config.control_routes);
        let stopping = Arc::clone(&handle);
        let control = tokio::spawn(async move {
            // Open streams and idle connections end when the simulator stops; no error comes back.
            let _ = axum::serve(listeners.control, router)
                .with_graceful_shutdown(async move { stopping.stopped().await })
                .await;
        });
        Ok(Self {
            handle,
            urls,
            merchant,
            tasks,
            control: Some(control),
            _lock: lock,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.urls.base
    }

    /// The second base URL, with the same state: WeChat Pay's backup host.
    #[must_use]
    pub fn backup_url(&self) -> &str {
        &self.urls.backup
    }

    /// Where the control calls are.
    #[must_use]
    pub fn control_url(&self) -> &str {
        &self.urls.control
    }

    /// The API over TLS, when it was asked for.
    #[must_use]
    pub fn tls_url(&self) -> Option<&str> {
        self.urls.tls.as_deref()
    }

    /// What `merchant.json` held at the start.
    #[must_use]
    pub fn merchant(&self) -> &MerchantFile {
        &self.merchant
    }

    /// The business clock.
    #[must_use]
    pub fn business_clock(&self) -> BusinessClock {
        BusinessClock {
            handle: Arc::clone(&self.handle),
        }
    }

    /// Names what changed, as it changes. A listener who falls behind gets an error that says so, and
    /// looks at everything again.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<crate::Change> {
        self.handle.changes.listen()
    }

    /// Stops serving and waits until the ports are free; the state stays in the folder.
    pub async fn stop(mut self) {
        self.handle.stop();
        for task in self.tasks.drain(..) {
            task.abort();
            // An aborted task answers with its abortion, which is what was asked for.
            let _ = task.await;
        }
        if let Some(mut control) = self.control.take()
            && tokio::time::timeout(CONTROL_GRACE, &mut control)
                .await
                .is_err()
        {
            control.abort();
            let _ = control.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.handle.stop();
        for task in self.tasks.iter().chain(&self.control) {
            task.abort();
        }
    }
}

fn lock(folder: &Path) -> Result<std::fs::File, StartError> {
    let unusable = |reason| StartError::Folder {
        folder: folder.to_path_buf(),
        reason,
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::InUse {
            folder: folder.to_path_buf(),
        }),
        Err(std::fs::TryLockError::Error(reason)) => Err(unusable(reason)),
    }
}

/// The open ports.
struct Listeners {
    api: TcpListener,
    backup: TcpListener,
    control: TcpListener,
    tls: Option<TcpListener>,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let host = config.host;
        Ok(Self {
            api: listen("the API", host, config.port).await?,
            backup: listen("the backup host", host, config.backup_port).await?,
            control: listen("the control calls", host, config.control_port).await?,
            tls: match config.tls_port {
                Some(port) => Some(listen("TLS", host, port).await?),
                None => None,
            },
        })
    }

    /// Where they came to listen.
    fn urls(&self, folder: &Path) -> Result<Urls, StartError> {
        let address = |listener: &TcpListener| {
            let bound = listener.local_addr().map_err(|reason| StartError::Folder {
                folder: folder.to_path_buf(),
                reason,
            });
            bound.map(reachable)
        };
        Ok(Urls {
            base: format!("http://{}", address(&self.api)?),
            backup: format!("http://{}", address(&self.backup)?),
            control: format!("http://{}", address(&self.control)?),
            tls: match &self.tls {
                Some(listener) => Some(format!("https://{}", address(listener)?)),
                None => None,
            },
        })
    }
}

async fn listen(what: &'static str, host: IpAddr, port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address)
        .await
        .map_err(|reason| StartError::Port {
            what,
            address,
            reason,
        })
}

/// Every-interface addresses cannot be connected to everywhere; loopback can.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

type Keys = (Registry, HashMap<String, Arc<MerchantWithKeys>>);

fn load_keys(folder: &Path, config: &Config) -> Result<Keys, StartError> {
    let damaged = |error: std::io::Error| StartError::Damaged {
        reason: format!("state/merchants.json: {error}"),
    };
    let unusable = |reason| StartError::Folder {
        folder: folder.to_path_buf(),
        reason,
    };
    let mut registry = match Registry::read(folder).map_err(damaged)? {
        Some(registry) => registry,
        None => {
            let copied = match &config.keys_from {
                Some(other) => Registry::read(other).map_err(damaged)?,
                None => None,
            };
            match copied {
                Some(registry) => registry,
                None => Registry::generate(config.mode, SimulatorHandle::system_ms())?,
            }
        }
    };
    // The mode is the starter's choice each time, and only that of the first merchant.
    if let Some(first) = registry.merchants.first_mut() {
        first.mode = config.mode;
    }
    registry.write(folder).map_err(unusable)?;
    let mut merchants = HashMap::new();
    for record in &registry.merchants {
        merchants.insert(
            record.mchid.clone(),
            Arc::new(MerchantWithKeys::new(record.clone())?),
        );
    }
    Ok((registry, merchants))
}

/// The TLS of the port, right and with each flaw a fault can bring.
fn tls(registry: &Registry, host: std::net::IpAddr) -> Result<Tls, StartError> {
    let private_pem = keys::generate()?;
    let now_ms = SimulatorHandle::system_ms();
    let authority = registry.authority();
    // Nobody trusts a root that the port's own key made.
    let own_root_pem = Authority::root(&private_pem, now_ms)?;
    let own_authority = Authority {
        certificate_pem: &own_root_pem,
        private_pem: &private_pem,
    };
    let right = issue_tls(authority, &private_pem, host, now_ms)?;
    let expired = issue_tls(authority, &private_pem, host, now_ms - TLS_EXPIRED_MS)?;
    let elsewhere = issue_tls_elsewhere(authority, &private_pem, now_ms)?;
    let untrusted = issue_tls(own_authority, &private_pem, host, now_ms)?;
    let root_pem = &registry.root_certificate_pem;
    Ok(Tls {
        right: acceptor(&right, root_pem, &private_pem)?,
        flawed: [
            ("tls_expired", acceptor(&expired, root_pem, &private_pem)?),
            (
                "tls_wrong_host",
                acceptor(&elsewhere, root_pem, &private_pem)?,
            ),
            (
                "tls_untrusted",
                acceptor(&untrusted, &own_root_pem, &private_pem)?,
            ),
        ],
    })
}

fn acceptor(
    certificate_pem: &str,
    root_pem: &str,
    private_pem: &str,
) -> Result<TlsAcceptor, StartError> {
    let chain = [certificate_pem, root_pem]
        .into_iter()
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(StartError::keys)?;
    let key = PrivateKeyDer::from_pem_slice(private_pem.as_bytes()).map_err(StartError::keys)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StartError::keys)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(StartError::keys)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The client that sends notices: no proxy, no redirects, and a fresh connection for each, because
/// an idle one that the merchant closed would cost a notice its attempt.
fn client() -> Result<reqwest::Client, StartError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StartError::keys)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(0)
        .http1_title_case_headers()
        .build()
        .map_err(StartError::keys)
}

fn publish(
    handle: &SimulatorHandle,
    urls: &Urls,
    folder: &Path,
) -> Result<MerchantFile, StartError> {
    let state = handle.lock();
    let mut first = None;
    for merchant in &state.registry.merchants {
        let file =
            merchant_platform::hand_out(&state, urls, &merchant.mchid).map_err(
                |error| match error {
                    MerchantPlatformError::Files(reason) => StartError::Folder {
                        folder: folder.to_path_buf(),
                        reason,
                    },
                    MerchantPlatformError::NoMerchant(_)
                    | MerchantPlatformError::Refused(_)
                    | MerchantPlatformError::Key(_) => StartError::Keys {
                        reason: error.to_string().into(),
                    },
                },
            )?;
        first.get_or_insert(file);
    }
    first.ok_or_else(|| StartError::Damaged {
        reason: "state/merchants.json names no merchant".to_owned(),
    })
}

fn state_error(error: JournalError, folder: &Path) -> StartError {
    match error {
        JournalError::Damaged { .. } => StartError::Damaged {
            reason: error.to_string(),
        },
        JournalError::Unusable { source, .. } => StartError::Folder {
            folder: folder.to_path_buf(),
            reason: source,
        },
    }
}
