//! What a process brings to every function in it: clock, connections, log.
//!
//! One HTTP client serves WeChat Pay and the AWS SDK alike: one TLS stack, one root store, one pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::clock::Clock;
use crate::telemetry::Log;
use crate::transport::{Opener, POOL_IDLE, Transport, early_clients};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// The variable that names a PEM file of certificate authorities to trust besides Mozilla's: those of
/// a simulator's TLS port, of a test bench, or of a private endpoint.
///
/// There is no way to skip verification; this adds authorities by name. Whoever may set a function's
/// variables may send its requests elsewhere and replace its code already, and the template sets none
/// of this name.
pub const EXTRA_CA_FILE: &str = "EXTRA_CA_FILE";

/// What every function in this process shares.
#[derive(Clone, Debug)]
pub struct Process {
    /// The two readings of time.
    pub clock: Clock,
    /// The one HTTP client, for what is asked beside the functions.
    pub http: reqwest::Client,
    /// How requests of the functions leave: by that client.
    pub transport: Transport,
    /// Where lines go.
    pub log: Log,
}

/// Why it could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built: {0}")]
    Client(#[from] reqwest::Error),
    /// A file of certificate authorities cannot be read.
    #[error("{EXTRA_CA_FILE} {} cannot be used: {source}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A certificate in a file of authorities is none.
    #[error("{EXTRA_CA_FILE} {} cannot be used: {source}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A file of authorities names none.
    #[error("{EXTRA_CA_FILE} {} cannot be used: it holds no certificate", .path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
}

impl Process {
    /// That of a Lambda process: system clock, standard output, and the authorities that
    /// [`EXTRA_CA_FILE`] names, if it is set.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn system() -> Result<Self, ProcessError> {
        let extra = std::env::var_os(EXTRA_CA_FILE).filter(|path| !path.is_empty());
        let (http, opener) = http_clients(extra.as_deref().map(Path::new))?;
        Ok(Self {
            clock: Clock::system(),
            transport: Transport::opening_early(http.clone(), opener),
            http,
            log: Log::stdout(),
        })
    }

    /// One with a clock and a log of the caller's.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn with(clock: Clock, log: Log) -> Result<Self, ProcessError> {
        let (http, opener) = http_clients(None)?;
        Ok(Self {
            clock,
            transport: Transport::opening_early(http.clone(), opener),
            http,
            log,
        })
    }

    /// The same process, which trusts the authorities in this PEM file besides Mozilla's.
    ///
    /// # Errors
    /// The file cannot be read or holds no usable certificate.
    pub fn trusting(self, authorities: &Path) -> Result<Self, ProcessError> {
        let (http, opener) = http_clients(Some(authorities))?;
        Ok(Self {
            transport: Transport::opening_early(http.clone(), opener),
            http,
            ..self
        })
    }
}

/// The client, and who opens connections for it.
///
/// Mozilla's roots are compiled in: reading the system's costs more instructions than a signature,
/// and a Lambda image need not have any.
fn http_clients(
    extra_authorities: Option<&Path>,
) -> Result<(reqwest::Client, Opener), ProcessError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_authorities {
        add_authorities(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = || {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            // A proxy from the environment would see what is signed here.
            .no_proxy()
            // A redirect is never followed: it could lead a signed request to an inner address.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
    };
    Ok(early_clients(builder)?)
}

fn add_authorities(roots: &mut rustls::RootCertStore, path: &Path) -> Result<(), ProcessError> {
    let path = || path.to_owned();
    let unreadable = |source| ProcessError::Authorities {
        path: path(),
        source,
    };
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path()).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        let added = roots.add(certificate);
        added.map_err(|source| ProcessError::Certificate {
            path: path(),
            source,
        })?;
    }
    if roots.len() == before {
        return Err(ProcessError::NoAuthority { path: path() });
    }
    Ok(())
}
