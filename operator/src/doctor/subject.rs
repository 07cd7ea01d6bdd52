//! What is looked at: plain values, wherever they come from. A folder of files, a stack on AWS and the
//! local stack all end here, so that the checks know of none of them.

use std::fmt;

use serde_json::Value;

/// A merchant's set-up as far as it is known. What is absent is not checked.
#[derive(Clone, Default)]
pub struct Subject {
    /// WeChat Pay's number of the merchant.
    pub mchid: Option<String>,
    /// The mini-program's appid.
    pub appid: Option<String>,
    /// The appid that stands beside the app secret, where that has one.
    pub appid_of_secret: Option<String>,
    /// `apiclient_key.pem`.
    pub private_key: Option<String>,
    /// `apiclient_cert.pem`. A stack stores none.
    pub certificate: Option<String>,
    /// The certificate's serial number, where it is written down beside the key.
    pub serial_no: Option<String>,
    /// `pub_key.pem`.
    pub public_key: Option<String>,
    /// `PUB_KEY_ID_…`.
    pub public_key_id: Option<String>,
    /// The APIv3 key.
    pub apiv3_key: Option<String>,
    /// The mini-program's AppSecret.
    pub app_secret: Option<String>,
    /// The texts of the stack's secrets, where there is a stack or there are files of them.
    pub secrets: Secrets,
    /// Where WeChat Pay sends notifications.
    pub notify_url: Option<String>,
    /// The API's address.
    pub base_url: Option<String>,
    /// WeChat Pay's address, where it is not its own.
    pub wechatpay_url: Option<String>,
    /// The mini-program platform's address, where it is not its own.
    pub wechat_api_url: Option<String>,
    /// Whether platform certificates are used beside the public key or in its place.
    pub platform_certificates: bool,
    /// Where the stack is.
    pub place: Place,
    /// What the caller's credentials could not read.
    pub unread: Vec<Unread>,
}

impl Subject {
    /// Reads out of the secrets' texts what is not known yet.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        let signing = members(secrets.signing.as_deref());
        fill(&mut self.serial_no, &signing, "serial_no");
        fill(&mut self.private_key, &signing, "private_key");
        let wechatpay = members(secrets.wechatpay.as_deref());
        fill(&mut self.public_key_id, &wechatpay, "public_key_id");
        fill(&mut self.public_key, &wechatpay, "public_key");
        fill(
            &mut self.apiv3_key,
            &members(secrets.apiv3.as_deref()),
            "apiv3_key",
        );
        let app = members(secrets.app.as_deref());
        fill(&mut self.appid_of_secret, &app, "appid");
        fill(&mut self.app_secret, &app, "app_secret");
        self.secrets = secrets;
        self
    }

    /// What this one does not know, from another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            mchid: self.mchid.or(other.mchid),
            appid: self.appid.or(other.appid),
            appid_of_secret: self.appid_of_secret.or(other.appid_of_secret),
            private_key: self.private_key.or(other.private_key),
            certificate: self.certificate.or(other.certificate),
            serial_no: self.serial_no.or(other.serial_no),
            public_key: self.public_key.or(other.public_key),
            public_key_id: self.public_key_id.or(other.public_key_id),
            apiv3_key: self.apiv3_key.or(other.apiv3_key),
            app_secret: self.app_secret.or(other.app_secret),
            notify_url: self.notify_url.or(other.notify_url),
            base_url: self.base_url.or(other.base_url),
            wechatpay_url: self.wechatpay_url.or(other.wechatpay_url),
            wechat_api_url: self.wechat_api_url.or(other.wechat_api_url),
            ..self
        }
    }
}

/// A secret's text as JSON; nothing where it is none, which the check of its shape tells.
fn members(text: Option<&str>) -> Value {
    let read = text.and_then(|text| serde_json::from_str(text).ok());
    read.unwrap_or_default()
}

fn fill(field: &mut Option<String>, members: &Value, name: &str) {
    if field.is_none() {
        *field = members[name].as_str().map(str::to_owned);
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is made of secrets.
        formatter.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// The texts of the five secrets, as they are stored.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `signing`.
    pub signing: Option<String>,
    /// `wechatpay`.
    pub wechatpay: Option<String>,
    /// `apiv3`.
    pub apiv3: Option<String>,
    /// `app`.
    pub app: Option<String>,
    /// `api`.
    pub api: Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// Where the set-up was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// A folder of files: there is no stack to look at.
    #[default]
    Folder,
    /// The local stack, which no one but this machine can reach.
    Local,
    /// A stack on AWS.
    Aws {
        /// Its name in a sentence.
        stack: String,
        /// The region that it was found in.
        region: String,
    },
    /// A stack that was looked for and not found, or may not be looked at.
    Unfound {
        /// Why, in a sentence.
        why: String,
    },
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The secret, by the name of its output.
    pub what: String,
    /// Why.
    pub why: WhyUnread,
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyUnread {
    /// The credentials may not.
    Denied {
        /// The action that they lack.
        action: &'static str,
    },
    /// It has no value yet.
    Empty,
    /// AWS gave another error.
    Failed {
        /// Its code.
        code: String,
    },
}
