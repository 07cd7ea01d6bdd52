//! What a new stack begins with: the secrets' texts from the simulator's files, and the catalogue.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::random;
use simulator::{Mode, Simulator};

use super::error::StartError;
use crate::aws::Aws;
use crate::template::arn;

const CATALOGUE: &str = include_str!("../../catalogue.json");

/// The key of the last start, so that what uses it goes on working.
pub(super) fn merchant_api_key(folder: &Path) -> String {
    std::fs::read(folder.join("local.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|described| described["merchant_api_key"].as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("local-{}{}", random::token(), random::token()))
}

/// What signs, as the simulator has it; the key of refunds' records stays as it was, or those that are
/// under way would not be sent any more.
fn signing(aws: &Aws, serial_no: &str, private_key: &str) -> Value {
    let known = aws.secrets().current(&arn("SigningSecret"));
    let known: Option<Value> = known.and_then(|text| serde_json::from_str(&text).ok());
    let kept = |name: &str| known.as_ref().and_then(|known| known.get(name)).cloned();
    let mut signing = json!({"serial_no": serial_no, "private_key": private_key});
    signing["record_key"] =
        kept("record_key").unwrap_or_else(|| Value::from(STANDARD.encode(random::bytes::<32>())));
    if let Some(also_accepted) = kept("also_accepted_record_keys") {
        signing["also_accepted_record_keys"] = also_accepted;
    }
    signing
}

pub(super) fn put_secrets(
    aws: &Aws,
    folder: &Path,
    simulator: &Simulator,
    mode: Mode,
    merchant_api_key: &str,
    payer_appid: &str,
) -> Result<(), StartError> {
    let files = folder.join("simulator");
    let read = |name: &str| {
        std::fs::read_to_string(files.join(name)).map_err(|error| {
            let what = format!("{} cannot be read", files.join(name).display());
            StartError::system(what, error)
        })
    };
    let merchant = simulator.merchant();
    // As the simulator's files have it: another mode, or keys made anew, take effect with the start.
    let put = |id: &str, value: Value| -> Result<(), StartError> {
        let text = value.to_string();
        if aws.secrets().current(&arn(id)).as_ref() != Some(&text) {
            aws.secrets().put(&arn(id), text)?;
        }
        Ok(())
    };
    put(
        "SigningSecret",
        signing(aws, &merchant.serial_no, &read("apiclient_key.pem")?),
    )?;
    let public_key =
        json!({"public_key_id": merchant.public_key_id, "public_key": read("pub_key.pem")?});
    let wechatpay = match mode {
        Mode::PublicKey | Mode::Both => public_key,
        // The sweep downloads the certificates.
        Mode::Certificate => json!({}),
    };
    put("WechatpaySecret", wechatpay)?;
    put("Apiv3Secret", json!({"apiv3_key": merchant.apiv3_key}))?;
    put(
        "AppSecret",
        json!({
            "appid": payer_appid,
            "app_secret": merchant.app_secret,
        }),
    )?;
    let hash = HEXLOWER.encode(&Sha256::digest(merchant_api_key.as_bytes()));
    let text = match aws.secrets().current(&arn("ApiSecret")) {
        None => json!({
            "token_key": STANDARD.encode(random::bytes::<32>()),
            "number_key": STANDARD.encode(random::bytes::<32>()),
            "merchant_key_hashes": [hash],
        }),
        // A key that was chosen at this start is accepted beside those of earlier ones.
        Some(text) => {
            let mut known: Value = serde_json::from_str(&text).unwrap_or_default();
            let hashes = known.get_mut("merchant_key_hashes");
            let hashes = hashes.and_then(Value::as_array_mut);
            // One that cannot be read stays as it is: `Stack::unusable_secrets` reports it.
            let Some(hashes) = hashes.filter(|hashes| !hashes.contains(&json!(hash))) else {
                return Ok(());
            };
            hashes.push(json!(hash));
            known
        }
    };
    aws.secrets().put(&arn("ApiSecret"), text.to_string())?;
    Ok(())
}

pub(super) fn put_catalogue(aws: &Aws) -> Result<(), StartError> {
    let articles: Vec<Value> =
        serde_json::from_str(CATALOGUE).map_err(|source| StartError::BuiltIn {
            what: "catalogue.json cannot be read",
            source,
        })?;
    for (place, article) in (1_i64..).zip(articles) {
        let request = json!({
            "TableName": crate::template::physical("Table"),
            "Item": {
                "pk": {"S": format!("SKU#{}", article["sku"].as_str().unwrap_or_default())},
                "sk": {"S": "SKU"},
                "description": {"S": article["description"]},
                "price_fen": {"N": article["price_fen"].to_string()},
                "on_sale": {"BOOL": true},
                "list_shard": {"S": "SKU#ALL"},
                "created_at": {"N": place.to_string()},
            },
            // What was changed since the first start stays changed.
            "ConditionExpression": "attribute_not_exists(pk)",
        });
        let request = serde_json::from_value(request).map_err(|source| StartError::BuiltIn {
            what: "an article of catalogue.json is no item",
            source,
        })?;
        match aws.table.put_item(request) {
            Ok(_) => {}
            Err(error) if error.to_string().contains("conditional") => {}
            Err(error) => {
                return Err(StartError::Unfit(format!(
                    "the catalogue cannot be written: {error}"
                )));
            }
        }
    }
    Ok(())
}
