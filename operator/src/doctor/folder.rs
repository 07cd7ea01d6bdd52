//! A folder of files: WeChat's own download (`apiclient_key.pem`, `apiclient_cert.pem`, `pub_key.pem`), words
//! in files of their own, the texts of secrets, and what the simulator writes of its merchant.

use std::path::Path;

use serde_json::Value;

use super::subject::{Secrets, Subject};

/// The largest file that is read, in bytes: keys and certificates have a few thousand.
const FILE_MAX: u64 = 256 * 1024;

/// Reads a folder; a file that is not there is not known.
///
/// # Errors
/// The folder cannot be read.
pub fn read(folder: &Path) -> std::io::Result<Subject> {
    // Only to tell a folder that is not there from an empty one.
    std::fs::read_dir(folder)?;
    let file = |name: &str| text(&folder.join(name));
    let word = |name: &str| file(name).map(|text| text.trim().to_owned());
    let subject = Subject {
        mchid: word("mchid.txt"),
        appid: word("appid.txt"),
        private_key: file("apiclient_key.pem"),
        certificate: file("apiclient_cert.pem"),
        serial_no: word("serial_no.txt"),
        public_key: file("pub_key.pem"),
        public_key_id: word("pub_key_id.txt"),
        apiv3_key: word("apiv3.txt"),
        app_secret: word("appsecret.txt"),
        notify_url: word("notify_url.txt"),
        ..Subject::default()
    };
    let secrets = Secrets {
        signing: file("signing.json"),
        wechatpay: file("wechatpay.json"),
        apiv3: file("apiv3.json"),
        app: file("app.json"),
        api: file("api.json"),
    };
    let simulated = file("merchant.json").map(|text| simulated(&text));
    let subject = subject.with_secrets(secrets);
    let appid = subject.appid_of_secret.clone();
    let subject = subject.or(simulated.unwrap_or_default());
    Ok(Subject {
        appid: subject.appid.or(appid),
        ..subject
    })
}

/// What the simulator writes of its merchant.
fn simulated(text: &str) -> Subject {
    let merchant: Value = serde_json::from_str(text).unwrap_or_default();
    let member = |name: &str| merchant[name].as_str().map(str::to_owned);
    let member = |name: &str| member(name).filter(|text| !text.is_empty());
    Subject {
        mchid: member("mchid"),
        appid: member("appid"),
        serial_no: member("serial_no"),
        public_key_id: member("public_key_id"),
        apiv3_key: member("apiv3_key"),
        app_secret: member("app_secret"),
        wechatpay_url: member("base_url"),
        wechat_api_url: member("base_url"),
        ..Subject::default()
    }
}

/// A file as text. What is not UTF-8 keeps its place as the character that says so.
fn text(path: &Path) -> Option<String> {
    let length = std::fs::metadata(path).ok()?.len();
    if length > FILE_MAX {
        return Some('\u{fffd}'.to_string());
    }
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
