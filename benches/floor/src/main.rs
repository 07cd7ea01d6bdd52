//! The floor under create-order: a merchant's JSAPI order with everything written by hand.
//!
//! It is a Lambda binary with create-order's environment and does the same work towards the same
//! servers: three secrets, the caller's key, a conditional put, a signed prepay, a verified answer,
//! `paySign`, one log line. But its sockets block, its HTTP and Signature Version 4 are the few lines
//! below, and it knows this one kind of request. What create-order costs beyond it is the price of the
//! runtime, the SDK and every case that is not the happy one. It is never deployed: whatever it does
//! not expect ends it.
//!
//! `floor crypto KEY.pem N` does nothing but the signatures of N orders: the floor under the floor.

mod http;
mod time;

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{constant_time, digest, hmac, signature::RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;

use crate::http::{Answer, Connection, Host};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long an order can be paid, in seconds, as create-order has it.
const ORDER_SECONDS: u64 = 30 * 60;

/// How far an answer's time may be from ours, in seconds.
const WINDOW_SECONDS: u64 = 300;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        None => serve(),
        Some("crypto") => {
            let path = arguments.next().ok_or("the key's file is missing")?;
            let orders = arguments.next().ok_or("the number of orders is missing")?;
            crypto(&std::fs::read_to_string(path)?, orders.parse()?)
        }
        Some(other) => Err(format!("{other:?} is nothing to do").into()),
    }
}

/// The signatures of this many orders: two made, one checked, each.
fn crypto(private_key_pem: &str, orders: u32) -> Result<()> {
    let key = private_key(private_key_pem)?;
    let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
        .map_err(|_| "the public key cannot be read")?;
    for order in 0..orders {
        let message = format!("order {order}");
        let signature = STANDARD.decode(sign(&key, message.as_bytes())?)?;
        sign(&key, &signature)?;
        public
            .verify_sig(message.as_bytes(), &signature)
            .map_err(|_| "the signature does not hold")?;
    }
    Ok(())
}

/// What Secrets Manager holds.
struct Keys {
    serial_no: String,
    merchant: RsaKeyPair,
    public_key_id: String,
    wechatpay: ParsedPublicKey,
    api_key_hashes: Vec<Vec<u8>>,
}

/// Who AWS takes us for.
struct Credentials {
    region: String,
    key_id: String,
    secret: String,
    token: String,
}

struct Floor {
    credentials: Credentials,
    keys: Keys,
    table: String,
    mchid: String,
    appid: String,
    notify_url: String,
    dynamodb: Host,
    wechatpay: Host,
    random: SystemRandom,
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| format!("{name} is missing").into())
}

fn serve() -> Result<()> {
    let mut floor = Floor::start()?;
    let mut runtime = Connection::plain(&variable("AWS_LAMBDA_RUNTIME_API")?)?;
    loop {
        let next = runtime.exchange("GET", "/2018-06-01/runtime/invocation/next", &[], b"")?;
        let id = next.header("lambda-runtime-aws-request-id")?.to_owned();
        let answer = floor.create_order(&next.body)?;
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        runtime.exchange("POST", &path, &[], answer.as_bytes())?;
    }
}

impl Floor {
    fn start() -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for certificate in CertificateDer::pem_file_iter(variable("EXTRA_CA_FILE")?)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Arc::new(tls);
        let credentials = Credentials {
            region: variable("AWS_REGION")?,
            key_id: variable("AWS_ACCESS_KEY_ID")?,
            secret: variable("AWS_SECRET_ACCESS_KEY")?,
            token: variable("AWS_SESSION_TOKEN")?,
        };
        let mut secrets = Host::new(&variable("AWS_ENDPOINT_URL_SECRETS_MANAGER")?, &tls)?;
        Ok(Self {
            keys: Keys::read(&mut secrets, &credentials)?,
            credentials,
            table: variable("TABLE_NAME")?,
            mchid: variable("MCHID")?,
            appid: variable("APPID")?,
            notify_url: format!("{}/wechatpay/notify", variable("PUBLIC_BASE_URL")?),
            dynamodb: Host::new(&variable("AWS_ENDPOINT_URL_DYNAMODB")?, &tls)?,
            wechatpay: Host::new(&variable("WECHATPAY_BASE_URL")?, &tls)?,
            random: SystemRandom::new(),
        })
    }

    fn create_order(&mut self, event: &[u8]) -> Result<String> {
        let event: Event<'_> = serde_json::from_slice(event)?;
        self.authenticate(event.headers.authorization)?;
        let order: Order<'_> = serde_json::from_str(&event.body)?;
        if order.trade_type != "jsapi" || order.out_trade_no.len() > 32 || order.amount.total < 1 {
            return Err("not an order of the kind that is measured".into());
        }
        let now = time::now();
        self.put(&order, now)?;
        let prepay_id = self.prepay(&order, now)?;
        let pay = self.pay_parameters(&prepay_id, now)?;
        println!(
            r#"{{"level":"INFO","function":"floor","order.out_trade_no":"{}","status":201}}"#,
            order.out_trade_no
        );
        let body = format!(
            r#"{{"amount":{{"currency":"CNY","total":{}}},"out_trade_no":"{}","pay":{pay},"time_expire":"{}","trade_state":"NOTPAY","trade_type":"jsapi"}}"#,
            order.amount.total,
            order.out_trade_no,
            time::beijing(now + ORDER_SECONDS),
        );
        Ok(format!(
            r#"{{"statusCode":201,"headers":{{"content-type":"application/json","cache-control":"no-store"}},"isBase64Encoded":false,"cookies":[],"body":{}}}"#,
            serde_json::to_string(&body)?
        ))
    }

    fn authenticate(&self, authorization: &str) -> Result<()> {
        let credential = authorization
            .strip_prefix("Bearer ")
            .ok_or("no credential")?;
        let digest = digest::digest(&digest::SHA256, credential.as_bytes());
        self.keys
            .api_key_hashes
            .iter()
            .any(|hash| constant_time::verify_slices_are_equal(hash, digest.as_ref()).is_ok())
            .then_some(())
            .ok_or_else(|| "an unknown credential".into())
    }

    fn put(&mut self, order: &Order<'_>, now: u64) -> Result<()> {
        let number = &order.out_trade_no;
        let mut item = String::with_capacity(1024);
        let mut text = |name: &str, value: &str| -> Result<()> {
            let value = serde_json::to_string(value)?;
            Ok(write!(item, r#""{name}":{{"S":{value}}},"#)?)
        };
        text("pk", &format!("ORDER#{number}"))?;
        text("sk", "ORDER")?;
        text("attempt", &hex(&random::<16>(&self.random)?))?;
        text("out_trade_no", number)?;
        text("trade_type", order.trade_type)?;
        text("appid", &self.appid)?;
        text("mchid", &self.mchid)?;
        text("description", &order.description)?;
        text("notify_url", &self.notify_url)?;
        text("openid", order.payer.openid)?;
        text("placed_by", "merchant")?;
        text("trade_state", "NOTPAY")?;
        let shard = digest::digest(&digest::SHA256, number.as_bytes());
        let shard = shard.as_ref().first().map_or(0, |byte| byte % 10);
        text("due_shard", &shard.to_string())?;
        for (name, value) in [
            ("wire_version", 1),
            ("total", order.amount.total),
            ("time_expire", now + ORDER_SECONDS),
            ("created_at", now),
            ("version", 1),
            ("due_at", now + 60),
        ] {
            write!(item, r#""{name}":{{"N":"{value}"}},"#)?;
        }
        let body = format!(
            r#"{{"TableName":"{}","Item":{{{}}},"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}"#,
            self.table,
            item.trim_end_matches(','),
        );
        let call = AwsCall {
            service: "dynamodb",
            target: "DynamoDB_20120810.PutItem",
            content_type: "application/x-amz-json-1.0",
        };
        call.send(&mut self.dynamodb, &self.credentials, &body)?;
        Ok(())
    }

    fn prepay(&mut self, order: &Order<'_>, now: u64) -> Result<String> {
        const PATH: &str = "/v3/pay/transactions/jsapi";
        let body = format!(
            r#"{{"appid":"{}","mchid":"{}","description":{},"out_trade_no":"{}","time_expire":"{}","notify_url":"{}","amount":{{"total":{},"currency":"CNY"}},"payer":{{"openid":"{}"}}}}"#,
            self.appid,
            self.mchid,
            serde_json::to_string(&order.description)?,
            order.out_trade_no,
            time::beijing(now + ORDER_SECONDS),
            self.notify_url,
            order.amount.total,
            order.payer.openid,
        );
        let nonce = hex(&random::<16>(&self.random)?);
        let message = format!("POST\n{PATH}\n{now}\n{nonce}\n{body}\n");
        let authorization = format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{}\",\
             timestamp=\"{now}\",serial_no=\"{}\"",
            self.mchid,
            sign(&self.keys.merchant, message.as_bytes())?,
            self.keys.serial_no,
        );
        let headers = [
            ("authorization", authorization.as_str()),
            ("accept", "application/json"),
            ("user-agent", "wxpay-floor/0.1"),
            ("content-type", "application/json"),
            ("wechatpay-serial", &self.keys.public_key_id),
        ];
        let answer = self
            .wechatpay
            .exchange("POST", PATH, &headers, body.as_bytes())?;
        self.verify(&answer)?;
        let prepaid: Prepaid<'_> = serde_json::from_slice(&answer.body)?;
        Ok(prepaid.prepay_id.to_owned())
    }

    fn verify(&self, answer: &Answer) -> Result<()> {
        let timestamp = answer.header("wechatpay-timestamp")?;
        let age = time::now().abs_diff(timestamp.parse()?);
        if age >= WINDOW_SECONDS || answer.header("wechatpay-serial")? != self.keys.public_key_id {
            return Err("signed at another time or with another key".into());
        }
        let mut message =
            format!("{timestamp}\n{}\n", answer.header("wechatpay-nonce")?).into_bytes();
        message.extend_from_slice(&answer.body);
        message.push(b'\n');
        let signature = STANDARD.decode(answer.header("wechatpay-signature")?)?;
        self.keys
            .wechatpay
            .verify_sig(&message, &signature)
            .map_err(|_| "the answer's signature does not hold".into())
    }

    fn pay_parameters(&self, prepay_id: &str, now: u64) -> Result<String> {
        let nonce = hex(&random::<16>(&self.random)?);
        let message = format!("{}\n{now}\n{nonce}\nprepay_id={prepay_id}\n", self.appid);
        let signature = sign(&self.keys.merchant, message.as_bytes())?;
        Ok(format!(
            r#"{{"timeStamp":"{now}","nonceStr":"{nonce}","package":"prepay_id={prepay_id}","signType":"RSA","paySign":"{signature}"}}"#
        ))
    }
}

impl Keys {
    fn read(secrets: &mut Host, credentials: &Credentials) -> Result<Self> {
        #[derive(Deserialize)]
        struct Signing {
            serial_no: String,
            private_key: String,
        }
        #[derive(Deserialize)]
        struct Wechatpay {
            public_key_id: String,
            public_key: String,
        }
        #[derive(Deserialize)]
        struct Api {
            merchant_key_hashes: Vec<String>,
        }
        let mut text = |name: &str| -> Result<String> {
            let body = format!(r#"{{"SecretId":"{}"}}"#, variable(name)?);
            let call = AwsCall {
                service: "secretsmanager",
                target: "secretsmanager.GetSecretValue",
                content_type: "application/x-amz-json-1.1",
            };
            let answer = call.send(secrets, credentials, &body)?;
            let secret: SecretValue = serde_json::from_slice(&answer.body)?;
            Ok(secret.text)
        };
        let signing: Signing = serde_json::from_str(&text("SIGNING_SECRET_ARN")?)?;
        let wechatpay: Wechatpay = serde_json::from_str(&text("WECHATPAY_SECRET_ARN")?)?;
        let api: Api = serde_json::from_str(&text("API_SECRET_ARN")?)?;
        let public = SubjectPublicKeyInfoDer::from_pem_slice(wechatpay.public_key.as_bytes())?;
        Ok(Self {
            serial_no: signing.serial_no,
            merchant: private_key(&signing.private_key)?,
            public_key_id: wechatpay.public_key_id,
            wechatpay: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref())
                .map_err(|_| "the public key cannot be read")?,
            api_key_hashes: api
                .merchant_key_hashes
                .iter()
                .map(|hash| unhex(hash))
                .collect::<Result<_>>()?,
        })
    }
}

/// A call signed with Signature Version 4.
struct AwsCall {
    service: &'static str,
    target: &'static str,
    content_type: &'static str,
}

impl AwsCall {
    fn send(&self, host: &mut Host, credentials: &Credentials, body: &str) -> Result<Answer> {
        const SIGNED: &str = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        let Credentials {
            region,
            key_id,
            secret,
            token,
        } = credentials;
        let moment = time::basic(time::now());
        let day = moment.get(..8).unwrap_or_default();
        let canonical = format!(
            "POST\n/\n\ncontent-type:{}\nhost:{}\nx-amz-date:{moment}\nx-amz-security-token:{token}\n\
             x-amz-target:{}\n\n{SIGNED}\n{}",
            self.content_type,
            host.authority(),
            self.target,
            sha256(body.as_bytes()),
        );
        let scope = format!("{day}/{region}/{}/aws4_request", self.service);
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        let mut key = hmac::sign(&keyed(format!("AWS4{secret}").as_bytes()), day.as_bytes());
        for part in [region.as_str(), self.service, "aws4_request"] {
            key = hmac::sign(&keyed(key.as_ref()), part.as_bytes());
        }
        let signature = hmac::sign(&keyed(key.as_ref()), to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={SIGNED}, Signature={}",
            hex(signature.as_ref())
        );
        let headers = [
            ("content-type", self.content_type),
            ("x-amz-date", &moment),
            ("x-amz-security-token", token),
            ("x-amz-target", self.target),
            ("authorization", &authorization),
        ];
        host.exchange("POST", "/", &headers, body.as_bytes())
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    headers: EventHeaders<'a>,
    body: String,
}

#[derive(Deserialize)]
struct EventHeaders<'a> {
    authorization: &'a str,
}

#[derive(Deserialize)]
struct Order<'a> {
    trade_type: &'a str,
    out_trade_no: &'a str,
    description: String,
    amount: Amount,
    #[serde(borrow)]
    payer: Payer<'a>,
}

#[derive(Deserialize)]
struct Amount {
    total: u64,
}

#[derive(Deserialize)]
struct Payer<'a> {
    openid: &'a str,
}

#[derive(Deserialize)]
struct Prepaid<'a> {
    prepay_id: &'a str,
}

#[derive(Deserialize)]
struct SecretValue {
    #[serde(rename = "SecretString")]
    text: String,
}

fn private_key(pem: &str) -> Result<RsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| error.to_string().into())
}

fn sign(key: &RsaKeyPair, message: &[u8]) -> Result<String> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .map_err(|_| "the key does not sign")?;
    Ok(STANDARD.encode(signature))
}

fn random<const N: usize>(random: &SystemRandom) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    random
        .fill(&mut bytes)
        .map_err(|_| "there is no randomness")?;
    Ok(bytes)
}

fn keyed(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| {
        DIGITS
            .get(usize::from(value))
            .map_or('0', |digit| char::from(*digit))
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| {
            let digits = text.get(at..at + 2).ok_or("an odd number of digits")?;
            Ok(u8::from_str_radix(digits, 16)?)
        })
        .collect()
}
