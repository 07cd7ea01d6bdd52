//! One world: WeChat Pay, AWS and the functions, joined by a network without sockets, in one thread whose
//! clock stands still unless everybody waits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use local::aws::Access;
use local::template::{Template, arn, physical};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use simulator::{Embedded, EmbeddedConfig, EmbeddedKeys, Mode};

use crate::aws::Aws;
use crate::network::{Network, WECHAT_PAY_URLS};
use crate::op::Signs;
use crate::process::{Processes, Webhook};
use crate::weather::Weather;
use crate::witness::FORGED;

/// The merchant's API key.
pub const MERCHANT_KEY: &str = "proof-merchant-key-0000000000000000";

/// The payer.
pub const ALICE: &str = "oAliceCANARY0000000000000000";

/// When every world begins, in Unix seconds: the morning of a day in Beijing.
pub const BEGINS: i64 = 1_790_038_800;

/// The template, as it was when this was built.
const TEMPLATE: &str = include_str!("../../template.yaml");

/// What all worlds have in common in which WeChat Pay signs with the same, made once.
#[derive(Debug)]
pub struct Ground {
    signs: Signs,
    template: Arc<Template>,
    access: Arc<Access>,
    keys: EmbeddedKeys,
}

impl Ground {
    /// The one of this process.
    ///
    /// # Errors
    /// Says what is wrong with the template or the keys.
    pub fn of(signs: Signs) -> Result<&'static Self, String> {
        type Made = OnceLock<Result<Ground, String>>;
        static PUBLIC_KEY: Made = OnceLock::new();
        static CERTIFICATE: Made = OnceLock::new();
        static BOTH: Made = OnceLock::new();
        let ground = match signs {
            Signs::PublicKey => &PUBLIC_KEY,
            Signs::Certificate => &CERTIFICATE,
            Signs::Both => &BOTH,
        };
        let made = ground.get_or_init(|| Self::make(signs));
        made.as_ref().map_err(Clone::clone)
    }

    fn make(signs: Signs) -> Result<Self, String> {
        let (mode, certificates) = match signs {
            Signs::PublicKey => (Mode::PublicKey, "off"),
            Signs::Certificate => (Mode::Certificate, "on"),
            Signs::Both => (Mode::Both, "on"),
        };
        let made_ms = (BEGINS - 24 * 60 * 60) * 1_000;
        let keys = EmbeddedKeys::generate(mode, made_ms);
        let keys = keys.map_err(|error| error.to_string())?;
        let (mchid, appid) = keys.ids();
        let [base, backup] = WECHAT_PAY_URLS;
        let host = |url: &str| url.trim_start_matches("http://").to_owned();
        let trusted = format!("{},{}", host(base), host(backup));
        let given = [
            ("Mchid", mchid.as_str()),
            ("Appid", appid.as_str()),
            ("AppidApp", appid.as_str()),
            ("PlatformCertificates", certificates),
            ("PublicBaseUrl", "https://proof.test"),
            ("WechatpayBaseUrl", base),
            ("WechatpayBackupUrl", backup),
            ("WechatApiBaseUrl", base),
            ("WechatpayTrustedHosts", trusted.as_str()),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let template = Template::parse(TEMPLATE, &given.into());
        let template = template.map_err(|error| error.to_string())?;
        Ok(Self {
            signs,
            access: Arc::new(Access::new(&template)),
            template: Arc::new(template),
            keys,
        })
    }
}

/// Real time in Unix milliseconds.
type Wall = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A world.
pub struct World {
    /// The functions.
    pub processes: Arc<Processes>,
    /// WeChat Pay.
    pub wechat_pay: Arc<Embedded>,
    /// AWS.
    pub aws: Arc<Aws>,
    /// What goes wrong, and what was seen.
    pub weather: Arc<Weather>,
    /// Where the stream is read from, and how far it was.
    stream: (String, String),
    wall: Wall,
    /// Private keys that nobody has yet, for rotations.
    pub spare: [String; 2],
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A new world, within a runtime whose clock is paused.
    ///
    /// # Errors
    /// Says what stands in the way.
    pub fn new(ground: &Ground, seed: u64, weather: Weather) -> Result<Self, String> {
        let weather = Arc::new(weather);
        let aws = Arc::new(Aws::new(&ground.template, Arc::clone(&ground.access))?);
        let clock = Arc::clone(&weather);
        let wall: Wall = Arc::new(move || BEGINS * 1_000 + clock.elapsed_ms());
        let (webhook, named) = Webhook::new(Arc::clone(&weather));
        let config = EmbeddedConfig {
            seed,
            speed: 1.0,
            urls: WECHAT_PAY_URLS.map(str::to_owned),
            wall: Arc::clone(&wall),
            merchant: Arc::new(webhook),
        };
        let wechat_pay =
            Embedded::start(&ground.keys, config).map_err(|error| error.to_string())?;
        let network = Network {
            aws: Arc::clone(&aws),
            wechat_pay: Arc::new(wechat_pay),
            weather: Arc::clone(&weather),
        };
        let wechat_pay = Arc::clone(&network.wechat_pay);
        let template = Arc::clone(&ground.template);
        let processes = Arc::new(Processes::new(template, network, Arc::clone(&wall)));
        // It was not named before.
        let _ = named.set(Arc::downgrade(&processes));
        let world = Self {
            stream: stream_of(&aws)?,
            spare: ground.keys.spare().clone(),
            processes,
            wechat_pay,
            aws,
            weather,
            wall,
        };
        world.seed(&ground.keys, ground.signs)?;
        Ok(world)
    }

    /// The secrets and the catalogue.
    fn seed(&self, keys: &EmbeddedKeys, signs: Signs) -> Result<(), String> {
        let (merchant, public_key) = self
            .wechat_pay
            .merchant()
            .map_err(|error| error.to_string())?;
        let drawn = |name: &str| STANDARD.encode(Sha256::digest(name.as_bytes()));
        let hash = HEXLOWER.encode(&Sha256::digest(MERCHANT_KEY.as_bytes()));
        for (name, text) in [
            (
                "SigningSecret",
                json!({"serial_no": merchant.serial_no, "private_key": keys.merchant_key(),
                       "record_key": drawn("record")}),
            ),
            (
                "WechatpaySecret",
                match signs {
                    Signs::PublicKey | Signs::Both => json!({
                        "public_key_id": merchant.public_key_id, "public_key": public_key,
                    }),
                    // The sweep downloads the certificates.
                    Signs::Certificate => json!({}),
                },
            ),
            ("Apiv3Secret", json!({"apiv3_key": merchant.apiv3_key})),
            (
                "AppSecret",
                json!({"appid": merchant.appid, "app_secret": merchant.app_secret}),
            ),
            (
                "ApiSecret",
                json!({"token_key": drawn("token"), "number_key": drawn("number"),
                       "merchant_key_hashes": [hash]}),
            ),
        ] {
            self.aws.put_secret(&arn(name), text);
        }
        self.aws.put(json!({
            "pk": {"S": "SKU#tea"}, "sk": {"S": "SKU"}, "description": {"S": "Tea"},
            "price_fen": {"N": crate::op::TEA.to_string()}, "on_sale": {"BOOL": true},
            "list_shard": {"S": "SKU#ALL"}, "created_at": {"N": "1"},
        }))
    }

    /// Real time in this world, in Unix seconds.
    pub fn now(&self) -> i64 {
        (self.wall)() / 1_000
    }

    /// The records of the table's stream after this one, oldest first.
    ///
    /// # Errors
    /// The engine cannot read it.
    pub fn records(&self, after: Option<&str>) -> Result<Vec<Value>, String> {
        let table = &self.aws.table;
        let kind = match after {
            Some(_) => "AFTER_SEQUENCE_NUMBER",
            None => "TRIM_HORIZON",
        };
        let iterator = table
            .get_shard_iterator(GetShardIteratorRequest {
                stream_arn: self.stream.0.clone(),
                shard_id: self.stream.1.clone(),
                shard_iterator_type: kind.to_owned(),
                sequence_number: after.map(str::to_owned),
            })
            .map_err(|error| error.to_string())?;
        let page = table
            .get_records(GetRecordsRequest {
                shard_iterator: iterator.shard_iterator.unwrap_or_default(),
                limit: Some(1_000),
            })
            .map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for record in page.records {
            found.push(serde_json::to_value(record).map_err(|error| error.to_string())?);
        }
        Ok(found)
    }

    /// WeChat Pay's ledger.
    pub fn ledger(&self) -> Vec<Value> {
        self.wechat_pay.ledger()
    }

    /// A control call of the simulator's; gives its status and its answer.
    pub async fn control(&self, path: &str, body: Value) -> (u16, Value) {
        let path = format!("/_sim/{path}");
        self.wechat_pay.control("POST", &path, &body).await
    }

    /// WeChat Pay's newest public key, with its id, as the merchant platform shows it.
    ///
    /// # Errors
    /// The merchant lacks a key.
    pub fn public_key(&self) -> Result<(String, String), String> {
        let (merchant, pem) = self
            .wechat_pay
            .merchant()
            .map_err(|error| error.to_string())?;
        Ok((merchant.public_key_id, pem))
    }

    /// The merchant's number.
    pub fn merchant_number(&self) -> String {
        self.wechat_pay
            .merchant()
            .map_or_else(|_| String::new(), |(file, _)| file.mchid)
    }

    /// A secret's text, by the secret's logical id.
    pub fn secret(&self, name: &str) -> Value {
        self.aws.secret_text(&arn(name))
    }

    /// Makes this a secret's text.
    pub fn put_secret(&self, name: &str, text: Value) {
        self.aws.put_secret(&arn(name), text);
    }
}

fn stream_of(aws: &Aws) -> Result<(String, String), String> {
    let table = &aws.table;
    let listed = table
        .list_streams(ListStreamsRequest {
            table_name: Some(physical("Table")),
            ..ListStreamsRequest::default()
        })
        .map_err(|error| error.to_string())?;
    let stream = listed.streams.into_iter().next();
    let stream = stream.ok_or("the table has no stream")?;
    let described = table
        .describe_stream(DescribeStreamRequest {
            stream_arn: stream.stream_arn.clone(),
            ..DescribeStreamRequest::default()
        })
        .map_err(|error| error.to_string())?;
    let shard = described.stream_description.shards.into_iter().next();
    let shard = shard.ok_or("the stream has no shard")?;
    Ok((stream.stream_arn, shard.shard_id))
}

/// The items of a table as its stream tells them.
#[derive(Debug, Default)]
pub struct Mirror {
    /// By partition and sort key.
    pub items: BTreeMap<(String, String), Value>,
}

impl Mirror {
    /// Takes over a record; gives the item before and after.
    pub fn take(&mut self, record: &Value) -> (Value, Value) {
        let change = &record["dynamodb"];
        let (old, new) = (change["OldImage"].clone(), change["NewImage"].clone());
        let shown = if new.is_null() { &old } else { &new };
        let text = |name: &str| shown[name]["S"].as_str().unwrap_or_default().to_owned();
        let key = (text("pk"), text("sk"));
        if key.0.contains(FORGED) || key.1.contains(FORGED) {
            // No part of anybody's books.
        } else if new.is_null() {
            self.items.remove(&key);
        } else {
            self.items.insert(key, new.clone());
        }
        (old, new)
    }
}
