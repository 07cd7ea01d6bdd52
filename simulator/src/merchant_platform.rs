//! What a merchant does on the merchant platform, and WeChat Pay behind it: new merchants, keys and
//! certificates, their rotation, settings. Every change is written to the registry at once, and the
//! merchant's folder is brought up to date.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::beijing;
use crate::changes::Change;
use crate::config::Mode;
use crate::handle::{SimulatorHandle, Urls};
use crate::keys::{self, KeyError};
use crate::ledger::TradeType;
use crate::merchants::{
    App, CertificateState, Merchant, MerchantFile, MerchantWithKeys, PublicKey, SubMerchant,
    USABLE_CERTIFICATES_MAX, generate_all, public_key_id,
};
use crate::random;
use crate::state::State;

/// Why the platform refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MerchantPlatformError {
    #[error("there is no merchant {0}")]
    NoMerchant(String),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot write the merchant's files: {0}")]
    Files(#[from] std::io::Error),
}

fn refused(why: impl Into<String>) -> MerchantPlatformError {
    MerchantPlatformError::Refused(why.into())
}

/// Sets the balance that a merchant's refunds are paid from.
pub(crate) fn set_balance(state: &mut State, mchid: &str, balance_fen: i64) {
    // The only ways to fail are a full disk and a removed folder; the balance in memory is right
    // either way.
    let _ = update(state, mchid, |merchant| {
        merchant.balance_fen = Some(balance_fen);
        Ok(())
    });
}

/// Changes a merchant's record, parses its keys again and stores the registry.
fn update(
    state: &mut State,
    mchid: &str,
    change: impl FnOnce(&mut Merchant) -> Result<(), MerchantPlatformError>,
) -> Result<Arc<MerchantWithKeys>, MerchantPlatformError> {
    let index = state
        .registry
        .merchants
        .iter()
        .position(|merchant| merchant.mchid == mchid)
        .ok_or_else(|| MerchantPlatformError::NoMerchant(mchid.to_owned()))?;
    let mut record = state.registry.merchants[index].clone();
    change(&mut record)?;
    let loaded = Arc::new(MerchantWithKeys::new(record.clone())?);
    state.registry.merchants[index] = record;
    state.registry.write(&state.folder)?;
    state
        .merchants
        .insert(mchid.to_owned(), Arc::clone(&loaded));
    state.changes.publish(Change::Merchant);
    Ok(loaded)
}

/// Writes the folder of a merchant: the data folder itself for the first one.
pub(crate) fn hand_out(
    state: &State,
    urls: &Urls,
    mchid: &str,
) -> Result<MerchantFile, MerchantPlatformError> {
    let merchant = state
        .merchants
        .get(mchid)
        .ok_or_else(|| MerchantPlatformError::NoMerchant(mchid.to_owned()))?;
    let folder = folder(state, mchid);
    std::fs::create_dir_all(&folder)?;
    let app = merchant.record.apps.first();
    let file = MerchantFile {
        base_url: urls.base.clone(),
        control_url: urls.control.clone(),
        mchid: mchid.to_owned(),
        appid: app.map(|app| app.appid.clone()).unwrap_or_default(),
        app_secret: app.map(|app| app.app_secret.clone()).unwrap_or_default(),
        serial_no: merchant
            .newest_certificate()
            .map(|facts| facts.serial.clone())
            .unwrap_or_default(),
        apiv3_key: merchant.record.apiv3_key.clone().unwrap_or_default(),
        public_key_id: merchant
            .public_keys
            .last()
            .map(|(id, _)| id.clone())
            .unwrap_or_default(),
        mode: merchant.record.mode.as_str().to_owned(),
        backup_url: urls.backup.clone(),
        ca_file: folder.join("ca_cert.pem").display().to_string(),
        tls_url: urls.tls.clone(),
    };
    state.registry.hand_out(&folder, &file, merchant)?;
    Ok(file)
}

fn folder(state: &State, mchid: &str) -> PathBuf {
    let first = state
        .registry
        .merchants
        .first()
        .is_some_and(|first| first.mchid == mchid);
    if first {
        state.folder.clone()
    } else {
        state.folder.join("merchants").join(mchid)
    }
}

fn published(
    handle: &SimulatorHandle,
    state: &State,
    mchid: &str,
) -> Result<MerchantFile, MerchantPlatformError> {
    let urls = handle
        .urls()
        .ok_or_else(|| refused("the simulator is still starting"))?;
    let file = hand_out(state, urls, mchid)?;
    Ok(file)
}

/// Takes on another merchant with keys of its own.
pub(crate) fn add_merchant(
    handle: &SimulatorHandle,
    wanted: &Value,
) -> Result<Value, MerchantPlatformError> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    let mchid = text("mchid").unwrap_or_else(|| format!("19000{}", random::digits(5)));
    if mchid.is_empty() || mchid.len() > 32 || !mchid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused("an mchid is digits only, ten of them as a rule"));
    }
    let appid = text("appid").unwrap_or_else(|| format!("wx{}", random::lower_hex(16)));
    let mode = match wanted.get("mode") {
        None => Mode::PublicKey,
        Some(mode) => mode_of(mode)?,
    };
    let keys: [String; 3] = generate_all()?;
    let mut state = handle.lock();
    if state.merchants.contains_key(&mchid) {
        return Err(refused(format!("merchant {mchid} exists already")));
    }
    // By the clock that clients check the validity of certificates with.
    let made_ms = handle.wall_ms();
    let record = state
        .registry
        .merchant(mchid.clone(), appid, mode, keys, made_ms)?;
    let loaded = MerchantWithKeys::new(record.clone())?;
    state.registry.merchants.push(record);
    state.merchants.insert(mchid.clone(), Arc::new(loaded));
    state.registry.write(&state.folder)?;
    state.changes.publish(Change::Merchant);
    published(handle, &state, &mchid)?;
    describe(&state, &mchid)
}

/// Changes settings; members that are absent stay as they are.
pub(crate) fn change_merchant(
    handle: &SimulatorHandle,
    mchid: &str,
    wanted: &Value,
) -> Result<Value, MerchantPlatformError> {
    const KNOWN: [&str; 11] = [
        "mode",
        "public_key_share",
        "new_certificate_share",
        "products",
        "balance_fen",
        "apiv3_key",
        "refund_notify_url",
        "add_appid",
        "add_sub_merchant",
        "trade_management",
        "ip_listed",
    ];
    let members = wanted
        .as_object()
        .ok_or_else(|| refused("the body is a JSON object"))?;
    if let Some(unknown) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(refused(format!(
            "{unknown} is no setting; there are {}",
            KNOWN.join(", ")
        )));
    }
    let mut state = handle.lock();
    update(&mut state, mchid, |merchant| {
        for (name, value) in members {
            set(merchant, name, value)?;
        }
        Ok(())
    })?;
    published(handle, &state, mchid)?;
    describe(&state, mchid)
}

fn set(merchant: &mut Merchant, name: &str, value: &Value) -> Result<(), MerchantPlatformError> {
    let text = || value.as_str().map(str::to_owned);
    let share = || {
        value
            .as_f64()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| refused(format!("{name} is between 0 and 1")))
    };
    match name {
        "mode" => merchant.mode = mode_of(value)?,
        "public_key_share" => merchant.public_key_share = share()?,
        "new_certificate_share" => merchant.new_certificate_share = share()?,
        "products" => {
            merchant.products = serde_json::from_value::<Vec<TradeType>>(value.clone())
                .map_err(|_| refused("products is a list of jsapi, native, app, h5"))?;
        }
        "balance_fen" => merchant.balance_fen = value.as_i64(),
        "apiv3_key" => {
            let key = text();
            if key.as_ref().is_some_and(|key| key.len() != 32) {
                return Err(refused(
                    "an APIv3 key has 32 letters and digits; null removes it",
                ));
            }
            merchant.apiv3_key = key;
        }
        "refund_notify_url" => merchant.refund_notify_url = text(),
        "trade_management" => {
            merchant.trade_management = serde_json::from_value(value.clone()).map_err(|_| {
                refused("trade_management is free, unconfirmed, confirmed or not_open")
            })?;
        }
        "ip_listed" => {
            merchant.ip_listed = value
                .as_bool()
                .ok_or_else(|| refused("ip_listed is true or false"))?;
        }
        "add_appid" => {
            let appid = text().ok_or_else(|| refused("add_appid is an appid"))?;
            merchant.apps.push(App {
                appid,
                app_secret: random::lower_hex(32),
            });
        }
        _ => {
            let sub: SubMerchant = serde_json::from_value(value.clone())
                .map_err(|_| refused("add_sub_merchant is {sub_mchid, sub_appid?}"))?;
            merchant
                .sub_merchants
                .retain(|held| held.sub_mchid != sub.sub_mchid);
            merchant.sub_merchants.push(sub);
        }
    }
    Ok(())
}

/// Issues another merchant API certificate, with a fresh key unless one is given; the others stay usable.
pub(crate) fn add_certificate(
    handle: &SimulatorHandle,
    mchid: &str,
    given: Option<&str>,
) -> Result<Value, MerchantPlatformError> {
    let private_pem = given.map_or_else(keys::generate, |pem| Ok(pem.to_owned()))?;
    let now_ms = handle.now_ms();
    let mut state = handle.lock();
    let made = state
        .registry
        .merchant_certificate(mchid, private_pem, now_ms)?;
    let (certificate_pem, key_pem) = (made.certificate_pem.clone(), made.private_pem.clone());
    let loaded = update(&mut state, mchid, |merchant| {
        let usable = merchant
            .certificates
            .iter()
            .filter(|held| held.state == CertificateState::Active)
            .count();
        if usable >= USABLE_CERTIFICATES_MAX {
            return Err(refused(
                "a merchant has at most three usable certificates: revoke one",
            ));
        }
        merchant.certificates.push(made);
        Ok(())
    })?;
    published(handle, &state, mchid)?;
    Ok(json!({
        "serial_no": loaded.newest_certificate().map(|facts| &facts.serial),
        "apiclient_cert": certificate_pem,
        "apiclient_key": key_pem,
    }))
}

/// Marks a merchant API certificate as active, expired, revoked or replaced.
pub(crate) fn mark_certificate(
    handle: &SimulatorHandle,
    mchid: &str,
    serial: &str,
    wanted: &Value,
) -> Result<Value, MerchantPlatformError> {
    let certificate_state: CertificateState = wanted
        .get("state")
        .cloned()
        .and_then(|state| serde_json::from_value(state).ok())
        .ok_or_else(|| refused("state is active, expired, revoked or replaced"))?;
    let mut state = handle.lock();
    let index = state
        .merchants
        .get(mchid)
        .ok_or_else(|| MerchantPlatformError::NoMerchant(mchid.to_owned()))?
        .certificates
        .iter()
        .position(|(facts, _)| facts.serial.eq_ignore_ascii_case(serial))
        .ok_or_else(|| refused(format!("the merchant has no certificate {serial}")))?;
    update(&mut state, mchid, |merchant| {
        merchant.certificates[index].state = certificate_state;
        Ok(())
    })?;
    published(handle, &state, mchid)?;
    describe(&state, mchid)
}

/// Starts or ends a rotation of one of WeChat Pay's keys, or replaces the APIv3 key.
pub(crate) fn rotate(
    handle: &SimulatorHandle,
    mchid: &str,
    wanted: &Value,
) -> Result<Value, MerchantPlatformError> {
    let now_ms = handle.now_ms();
    // Making a key takes a moment; whoever has one at hand gives it.
    let given = wanted.get("private_pem").and_then(Value::as_str);
    let given_or_made = || given.map_or_else(keys::generate, |pem| Ok(pem.to_owned()));
    match wanted.get("what").and_then(Value::as_str) {
        Some("platform_certificate") => {
            let private_pem = given_or_made()?;
            let mut state = handle.lock();
            // Clients check the validity of certificates by their own clocks.
            let made = state
                .registry
                .platform_certificate(private_pem, handle.wall_ms())?;
            update(&mut state, mchid, |merchant| {
                if merchant.platform_certificates.len() > 1 {
                    return Err(refused("a rotation is under way: end it first"));
                }
                merchant.platform_certificates.push(made);
                // The old one signs until the merchant starts the gradual change.
                merchant.new_certificate_share = 0.0;
                Ok(())
            })?;
        }
        Some("platform_certificate_end") => {
            update(&mut handle.lock(), mchid, |merchant| {
                if merchant.platform_certificates.len() < 2 {
                    return Err(refused("no rotation is under way"));
                }
                merchant.platform_certificates.remove(0);
                merchant.new_certificate_share = 0.0;
                Ok(())
            })?;
        }
        Some("public_key") => {
            let private_pem = given_or_made()?;
            update(&mut handle.lock(), mchid, |merchant| {
                let id = public_key_id(mchid, now_ms);
                merchant.public_keys.push(PublicKey { id, private_pem });
                Ok(())
            })?;
        }
        Some("apiv3_key") => {
            update(&mut handle.lock(), mchid, |merchant| {
                merchant.apiv3_key = Some(random::alphanumeric(32));
                Ok(())
            })?;
        }
        Some(_) | None => {
            return Err(refused(
                "what is platform_certificate, platform_certificate_end, public_key or apiv3_key",
            ));
        }
    }
    let state = handle.lock();
    published(handle, &state, mchid)?;
    describe(&state, mchid)
}

/// Describes one merchant, without private keys.
pub(crate) fn one(handle: &SimulatorHandle, mchid: &str) -> Result<Value, MerchantPlatformError> {
    describe(&handle.lock(), mchid)
}

/// Describes every merchant, without private keys.
pub(crate) fn list(handle: &SimulatorHandle) -> Result<Value, MerchantPlatformError> {
    let state = handle.lock();
    let mut items = Vec::new();
    for merchant in &state.registry.merchants {
        items.push(describe(&state, &merchant.mchid)?);
    }
    Ok(json!({"items": items}))
}

fn describe(state: &State, mchid: &str) -> Result<Value, MerchantPlatformError> {
    let merchant = state
        .merchants
        .get(mchid)
        .ok_or_else(|| MerchantPlatformError::NoMerchant(mchid.to_owned()))?;
    let record = &merchant.record;
    let certificates: Vec<Value> = merchant
        .certificates
        .iter()
        .map(|(facts, state)| {
            json!({
                "serial_no": facts.serial,
                "state": state,
                "not_after": beijing::rfc3339(facts.not_after_ms),
            })
        })
        .collect();
    let platform: Vec<&str> = merchant
        .platform_certificates
        .iter()
        .map(|(facts, _)| facts.serial.as_str())
        .collect();
    let public: Vec<&str> = merchant
        .public_keys
        .iter()
        .map(|(id, _)| id.as_str())
        .collect();
    let apps: Vec<&str> = record.apps.iter().map(|app| app.appid.as_str()).collect();
    Ok(json!({
        "mchid": record.mchid,
        "appids": apps,
        "mode": record.mode,
        "certificates": certificates,
        "platform_certificates": platform,
        "public_key_ids": public,
        "public_key_share": record.public_key_share,
        "new_certificate_share": record.new_certificate_share,
        "products": record.products,
        "balance_fen": record.balance_fen,
        "has_apiv3_key": record.apiv3_key.is_some(),
        "refund_notify_url": record.refund_notify_url,
        "sub_merchants": record.sub_merchants,
        "trade_management": record.trade_management,
        "ip_listed": record.ip_listed,
        "folder": folder(state, mchid).display().to_string(),
    }))
}

fn mode_of(value: &Value) -> Result<Mode, MerchantPlatformError> {
    serde_json::from_value(value.clone())
        .map_err(|_| refused("mode is public-key, certificate or both"))
}
