//! A simulator without ports and folder: it is called, in one thread, by whoever runs a whole world by a
//! seed. Everything else is the same simulator.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::body::Bytes;
use hyper::{HeaderMap, Request as HttpRequest, Response as HttpResponse};
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::api::request::Request;
use crate::changes::Changes;
use crate::config::Mode;
use crate::control;
use crate::faults::Faults;
use crate::handle::{SimulatorHandle, Urls, Wall};
use crate::merchant_platform;
use crate::merchants::{MerchantFile, MerchantWithKeys, Registry};
use crate::outgoing::{Outgoing, Receive};
use crate::schedule;
use crate::server;
use crate::simulator::StartError;
use crate::state::State;

/// A signed message that is older than this, or as far ahead, is not believed, in seconds (docs/wechatpay.md).
const BELIEVED_S: i64 = 300;

/// How much of a control call's answer is read, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// A registry of one merchant with its keys parsed: made once, used by many simulators.
#[derive(Debug, Clone)]
pub struct EmbeddedKeys {
    registry: Registry,
    merchants: HashMap<String, Arc<MerchantWithKeys>>,
    spare: [String; 2],
}

impl EmbeddedKeys {
    /// Makes keys, at this time in Unix milliseconds.
    ///
    /// # Errors
    /// [`StartError`] when a key cannot be made.
    pub fn generate(mode: Mode, made_ms: i64) -> Result<Self, StartError> {
        let registry = Registry::generate(mode, made_ms)?;
        let mut merchants = HashMap::new();
        for record in &registry.merchants {
            let loaded = MerchantWithKeys::new(record.clone())?.quick()?;
            merchants.insert(record.mchid.clone(), Arc::new(loaded));
        }
        let spare = crate::merchants::generate_all()?;
        Ok(Self {
            registry,
            merchants,
            spare,
        })
    }

    /// Private keys that nobody has yet, for rotations.
    #[must_use]
    pub const fn spare(&self) -> &[String; 2] {
        &self.spare
    }

    /// The merchant's number and its app.
    #[must_use]
    pub fn ids(&self) -> (String, String) {
        let own = self.registry.merchants.first();
        let appid = own.and_then(|merchant| merchant.apps.first());
        (
            own.map_or_else(String::new, |merchant| merchant.mchid.clone()),
            appid.map_or_else(String::new, |app| app.appid.clone()),
        )
    }

    /// The merchant's private key, PKCS#8 PEM.
    #[must_use]
    pub fn merchant_key(&self) -> &str {
        let own = self.registry.merchants.first();
        let own = own.and_then(|merchant| merchant.certificates.last());
        own.map_or("", |held| held.private_pem.as_str())
    }
}

/// How an embedded simulator behaves.
pub struct EmbeddedConfig {
    /// The seed of every random decision.
    pub seed: u64,
    /// How many times faster business schedules run.
    pub speed: f64,
    /// The base URL of the API, and of the backup host.
    pub urls: [String; 2],
    /// Real time in Unix milliseconds.
    pub wall: Wall,
    /// Who gets notices.
    pub merchant: Arc<dyn Receive>,
}

impl std::fmt::Debug for EmbeddedConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EmbeddedConfig")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// A simulator that is called. Dropping it ends its timers.
#[derive(Debug)]
pub struct Embedded {
    handle: Arc<SimulatorHandle>,
    control: Router,
    timers: JoinHandle<()>,
}

impl Embedded {
    /// Starts one, within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the keys do not fit together.
    pub fn start(keys: &EmbeddedKeys, config: EmbeddedConfig) -> Result<Self, StartError> {
        let changes = Changes::new();
        let faults = Faults::new(config.seed, 0.0, changes.clone());
        let (state, offset_s) = State::restore(
            PathBuf::new(),
            keys.registry.clone(),
            keys.merchants.clone(),
            Vec::new(),
            faults,
            changes,
        )
        .map_err(|error| StartError::Damaged {
            reason: error.to_string(),
        })?;
        let outgoing = Outgoing::InProcess(config.merchant);
        let handle = Arc::new(SimulatorHandle::new(
            state,
            offset_s,
            config.speed,
            outgoing,
            Some(config.wall),
        ));
        let [base, backup] = config.urls;
        handle.set_urls(Urls {
            control: base.clone(),
            base,
            backup,
            tls: None,
        });
        let host = std::net::Ipv4Addr::LOCALHOST.into();
        Ok(Self {
            control: control::router(Arc::clone(&handle), host, Router::new()),
            timers: tokio::spawn(schedule::run_timers(Arc::clone(&handle))),
            handle,
        })
    }

    /// What `merchant.json` would hold, and the newest public key as SPKI PEM.
    ///
    /// # Errors
    /// [`StartError`] when the merchant lacks a key.
    pub fn merchant(&self) -> Result<(MerchantFile, String), StartError> {
        let lacking = || StartError::Keys {
            reason: "the merchant lacks a key".into(),
        };
        let state = self.handle.lock();
        let mchid = state.registry.merchants.first().map(|first| &first.mchid);
        let mchid = mchid.ok_or_else(lacking)?;
        let urls = self.handle.urls().ok_or_else(lacking)?;
        let file = merchant_platform::hand_out(&state, urls, mchid).map_err(|_| lacking())?;
        let loaded = state.merchants.get(mchid).ok_or_else(lacking)?;
        Ok((file, loaded.public_pem().ok_or_else(lacking)?))
    }

    /// Answers a request to the API; `None` where the connection is dropped on purpose.
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<HttpResponse<server::Body>> {
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        };
        server::answer_whole(&self.handle, request, true).await.ok()
    }

    /// Whether an answer is what WeChat Pay signed, now, with the key that it names: what a client may
    /// believe.
    #[must_use]
    pub fn has_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let named = [
            "wechatpay-serial",
            "wechatpay-timestamp",
            "wechatpay-nonce",
            "wechatpay-signature",
        ];
        let [Some(serial), Some(timestamp), Some(nonce), Some(signature)] = named.map(header)
        else {
            return false;
        };
        let now = self.handle.wall_ms().div_euclid(1_000);
        let is_fresh = |at: i64| (now - at).abs() < BELIEVED_S;
        if !timestamp.parse::<i64>().is_ok_and(is_fresh) {
            return false;
        }
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        let mchid = self.first_merchant();
        let merchant = self.handle.lock().merchants.get(&mchid).cloned();
        merchant.is_some_and(|merchant| merchant.has_signed(serial, &message, signature))
    }

    /// Makes a control call, as the control port takes them; gives its status and its answer.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .body(body);
        let Ok(request) = request else {
            return (0, Value::Null);
        };
        let answered = self.control.clone().oneshot(request).await;
        let Ok(answer) = answered;
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_MAX).await;
        let bytes = bytes.unwrap_or_default();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The whole ledger, oldest first, as the control call shows it.
    #[must_use]
    pub fn ledger(&self) -> Vec<Value> {
        control::whole_ledger(&self.handle.lock())
    }

    /// Replaces one of WeChat Pay's keys, as the control call does; `private_pem` is the key that is taken
    /// instead of a fresh one.
    ///
    /// # Errors
    /// A sentence where that is not possible.
    pub fn rotate(&self, wanted: &Value) -> Result<Value, String> {
        let rotated = merchant_platform::rotate(&self.handle, &self.first_merchant(), wanted);
        rotated.map_err(|error| error.to_string())
    }

    /// Issues another certificate for the merchant, of this private key; gives its `serial_no`.
    ///
    /// # Errors
    /// A sentence where that is not possible.
    pub fn add_certificate(&self, private_pem: &str) -> Result<Value, String> {
        let merchant = self.first_merchant();
        let made = merchant_platform::add_certificate(&self.handle, &merchant, Some(private_pem));
        made.map_err(|error| error.to_string())
    }

    fn first_merchant(&self) -> String {
        let state = self.handle.lock();
        let first = state.registry.merchants.first();
        first.map_or_else(String::new, |first| first.mchid.clone())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.handle.stop();
        self.timers.abort();
    }
}
