//! Servers' certificates, and TLS in front of a server that speaks plain HTTP.
//!
//! The chain is as long as those of AWS and WeChat Pay: an RSA-2048 leaf, an intermediate, a root. The
//! functions are told of the root by `EXTRA_CA_FILE` and verify everything as they always do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Result;
use crate::distance::far;
use crate::load::passage::Passage;

/// How far away a server is made to be.
#[derive(Clone)]
pub(crate) enum Way {
    /// As far as it is.
    Straight,
    /// A round trip of this length.
    Far(Duration),
    /// As long as each request is to take.
    Through(Arc<Passage>),
}

/// Signs for loopback servers.
pub(crate) struct Authority {
    /// The root's certificate, PEM.
    pub(crate) file: PathBuf,
    acceptor: TlsAcceptor,
}

impl Authority {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        let (root_key, between_key, leaf_key) = (key()?, key()?, key()?);
        let root = authority("Bench Root CA", 1)?;
        let root_certificate = root.self_signed(&root_key)?;
        let root = Issuer::new(root, root_key);
        let between = authority("Bench RSA 2048 CA", 0)?;
        let between_certificate = between.signed_by(&between_key, &root)?;
        let between = Issuer::new(between, between_key);
        let mut leaf = named(
            "bench",
            vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        )?;
        leaf.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let leaf_certificate = leaf.signed_by(&leaf_key, &between)?;

        let file = folder.join("root.pem");
        std::fs::write(&file, root_certificate.pem())?;
        let chain: Vec<CertificateDer<'static>> =
            [leaf_certificate, between_certificate, root_certificate]
                .iter()
                .map(|certificate| certificate.der().clone())
                .collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        // AWS's servers choose, whatever order a client offers, and choose AES-128 first.
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites = vec![
            rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ];
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.ignore_client_order = true;
        Ok(Self {
            file,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Puts TLS in front of a server, to which this way leads.
    pub(crate) async fn front(&self, behind: SocketAddr, way: Way) -> Result<Front> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let authority = listener.local_addr()?.to_string();
        let connections = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(
            listener,
            self.acceptor.clone(),
            behind,
            way,
            Arc::clone(&connections),
        ));
        Ok(Front {
            authority,
            connections,
        })
    }
}

/// A server's TLS side.
pub(crate) struct Front {
    /// Its address, `host:port`.
    pub(crate) authority: String,
    connections: Arc<AtomicU64>,
}

impl Front {
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// How many connections were made so far, those that were given up included.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    behind: SocketAddr,
    way: Way,
    connections: Arc<AtomicU64>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, way) = (acceptor.clone(), way.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match way {
                Way::Straight => relay(&acceptor, stream, behind).await,
                Way::Far(round_trip) => relay(&acceptor, far(stream, round_trip), behind).await,
                Way::Through(passage) => {
                    let Ok(outside) = acceptor.accept(stream).await else {
                        return;
                    };
                    if let Ok(inside) = TcpStream::connect(behind).await {
                        let _ = inside.set_nodelay(true);
                        let _ = passage.pass(outside, inside).await;
                    }
                }
            }
        });
    }
}

/// Passes on what a connection says, without its TLS. A client that goes away in the middle is one that was
/// measured to its end.
async fn relay(
    acceptor: &TlsAcceptor,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    behind: SocketAddr,
) {
    let Ok(mut outside) = acceptor.accept(stream).await else {
        return;
    };
    if let Ok(mut inside) = TcpStream::connect(behind).await {
        let _ = inside.set_nodelay(true);
        let _ = copy_bidirectional(&mut outside, &mut inside).await;
    }
}

fn named(name: &str, hosts: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "A benchmark on this machine");
    Ok(params)
}

fn authority(name: &str, below: u8) -> Result<CertificateParams> {
    let mut params = named(name, Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}
