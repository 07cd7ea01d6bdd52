//! What may be asked for, by whom, and what it comes to.
//!
//! A payer sends articles and is told the price; the merchant's back office sends the price. What a repeat
//! may differ in is decided in `shared::domain::order_request`.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use shared::api::request_body::{self, Object};
use shared::api::{Caller, Code, Incoming, Problem};
use shared::domain::extras::Extras;
use shared::domain::order_request::{AskedItem, MerchantOrder, PayerOrder};
use shared::domain::terms::{Item, Party};
use shared::domain::{Fen, Openid, OrderId, OrderRequest, OwnNumbers, Terms, Timestamp, TradeType};
use shared::rfc3339;
use shared::wechatpay::{WIRE_VERSION, WIRE_VERSION_PLAIN};

use crate::checks::{invalid, text};
use crate::{CreateOrder, extras};

/// How long an order can be paid whose `time_expire` nobody named, in seconds: each payer's.
pub(crate) const DEFAULT_ORDER_SECONDS: i64 = 30 * 60;

/// How long a merchant's order can be paid at most, in seconds: WeChat Pay cuts longer ones silently
/// (docs/wechatpay.md, "time_expire").
const MERCHANT_ORDER_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

/// How long an order must be payable at least, in seconds: WeChat Pay raises shorter ones to a minute.
const ORDER_SECONDS_MIN: i64 = 60;

/// How many different articles one order may have.
const ITEMS_MAX: usize = 50;

/// How many of one article one order may have.
const QUANTITY_MAX: u32 = 9_999;

/// How long a description may be; WeChat Pay's limit is 127 and does not say of what, so bytes.
const DESCRIPTION_MAX: usize = 127;

/// How long the merchant's note may be, in bytes.
const ATTACH_MAX: usize = 128;

/// How long an article's name may be, in characters.
const SKU_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    trade_type: String,
    items: Option<Vec<Object<ItemBody>>>,
    attach: Option<String>,
    out_trade_no: Option<String>,
    description: Option<String>,
    amount: Option<Object<AmountBody>>,
    payer: Option<Object<PayerBody>>,
    time_expire: Option<String>,
    scene_info: Option<Object<SceneBody>>,
    goods_tag: Option<String>,
    support_fapiao: Option<bool>,
    limit_pay: Option<Vec<String>>,
    detail: Option<Object<extras::DetailBody>>,
    settle_info: Option<Object<extras::SettleBody>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    sku: String,
    #[serde(deserialize_with = "quantity")]
    quantity: u32,
}

/// Reads how many of an article; whether they are too many is for [`Body::payers`] to say.
fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let quantity = request_body::whole_number(deserializer, "a whole number, 1 to 9999")?;
    u32::try_from(quantity).map_err(|_| D::Error::custom(not_a_quantity(quantity)))
}

fn not_a_quantity(quantity: impl Display) -> String {
    format!("a quantity must be 1 to {QUANTITY_MAX}, not {quantity}")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountBody {
    #[serde(deserialize_with = "request_body::whole_fen")]
    total: i64,
    currency: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayerBody {
    openid: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneBody {
    payer_client_ip: Option<String>,
    store_info: Option<Object<extras::StoreBody>>,
}

/// Reads what a caller asks for.
///
/// # Errors
/// The body is malformed, or asks for what this caller may not decide.
pub fn read(caller: &Caller, incoming: &Incoming) -> Result<OrderRequest, Problem> {
    let body: Body = request_body::read(&incoming.body)?;
    let trade_type = TradeType::parse(&body.trade_type)
        .ok_or_else(|| invalid("trade_type", "trade_type must be jsapi, native, h5 or app"))?;
    text("attach", body.attach.as_deref(), ATTACH_MAX)?;
    match caller {
        Caller::Payer { openid } => body.payers(trade_type, openid),
        Caller::Merchant => body.merchants(trade_type, incoming),
    }
}

impl Body {
    fn payers(self, trade_type: TradeType, openid: &Openid) -> Result<OrderRequest, Problem> {
        let merchants = [
            ("out_trade_no", self.out_trade_no.is_some()),
            ("description", self.description.is_some()),
            ("amount", self.amount.is_some()),
            ("payer", self.payer.is_some()),
            ("time_expire", self.time_expire.is_some()),
            ("scene_info", self.scene_info.is_some()),
            ("goods_tag", self.goods_tag.is_some()),
            ("support_fapiao", self.support_fapiao.is_some()),
            ("limit_pay", self.limit_pay.is_some()),
            ("detail", self.detail.is_some()),
            ("settle_info", self.settle_info.is_some()),
        ];
        if let Some((field, _)) = merchants.into_iter().find(|(_, given)| *given) {
            return Err(Problem::new(
                Code::FieldNotAllowed,
                format!("{field} is decided by the server, not by the payer"),
            )
            .field(field));
        }
        let items = self
            .items
            .ok_or_else(|| invalid("items", "items is missing"))?;
        if items.is_empty() || items.len() > ITEMS_MAX {
            return Err(invalid(
                "items",
                format!("items must be 1 to {ITEMS_MAX} articles"),
            ));
        }
        let mut lines: Vec<AskedItem> = Vec::new();
        for Object(item) in items {
            if !(1..=QUANTITY_MAX).contains(&item.quantity) {
                return Err(invalid("items", not_a_quantity(item.quantity)));
            }
            let legal =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            if item.sku.is_empty() || item.sku.len() > SKU_MAX || !item.sku.bytes().all(legal) {
                return Err(invalid(
                    "items",
                    "a sku must be 1 to 64 characters of A-Z, a-z, 0-9, _, - and .",
                ));
            }
            if lines.iter().any(|line| line.sku == item.sku) {
                return Err(invalid("items", format!("{} is listed twice", item.sku)));
            }
            lines.push(AskedItem {
                sku: item.sku,
                quantity: item.quantity,
            });
        }
        Ok(OrderRequest::Payer(PayerOrder {
            trade_type,
            openid: openid.clone(),
            items: lines,
            attach: self.attach,
        }))
    }

    fn merchants(
        self,
        trade_type: TradeType,
        incoming: &Incoming,
    ) -> Result<OrderRequest, Problem> {
        if self.items.is_some() {
            return Err(Problem::new(
                Code::FieldNotAllowed,
                "items is for payers; a merchant sends description and amount.total",
            )
            .field("items"));
        }
        let order_id = self.out_trade_no.map(OrderId::parse).transpose()?;
        let description = self
            .description
            .ok_or_else(|| invalid("description", "description is missing"))?;
        text("description", Some(&description), DESCRIPTION_MAX)?;
        let Object(amount) = self
            .amount
            .ok_or_else(|| invalid("amount.total", "amount.total is missing"))?;
        if amount.currency.is_some_and(|currency| currency != "CNY") {
            return Err(invalid("amount.currency", "amount.currency must be CNY"));
        }
        let total =
            Fen::new(amount.total).map_err(|error| invalid("amount.total", error.to_string()))?;
        let openid = self.payer.map(|Object(payer)| payer.openid);
        let openid = merchants_openid(trade_type, openid)?;
        let time_expire = self.time_expire.as_deref().map(expiry).transpose()?;
        let Scene {
            payer_client_ip,
            address_named,
            store_info,
        } = Scene::read(self.scene_info, trade_type, incoming.source_ip.as_deref())?;
        let extras = extras::Given {
            goods_tag: self.goods_tag,
            support_fapiao: self.support_fapiao,
            limit_pay: self.limit_pay,
            detail: self.detail,
            store_info,
            settle_info: self.settle_info,
        };
        let extras = extras.read()?;
        Ok(OrderRequest::Merchant(Box::new(MerchantOrder {
            trade_type,
            order_id: order_id.ok_or_else(unnamed)?,
            description,
            total,
            openid,
            time_expire,
            attach: self.attach,
            payer_client_ip,
            address_named,
            extras,
        })))
    }
}

/// Whose order a merchant's is: that of a payer for jsapi, and nobody's for the other trade types.
fn merchants_openid(
    trade_type: TradeType,
    named: Option<String>,
) -> Result<Option<Openid>, Problem> {
    match (trade_type, named) {
        (TradeType::Jsapi, None) => Err(invalid(
            "payer.openid",
            "payer.openid is missing: a jsapi order has a payer",
        )),
        (TradeType::Native | TradeType::H5 | TradeType::App, Some(_)) => Err(invalid(
            "payer.openid",
            "payer.openid is for jsapi orders only",
        )),
        (TradeType::Jsapi, Some(openid)) => openid_of(openid).map(Some),
        (TradeType::Native | TradeType::H5 | TradeType::App, None) => Ok(None),
    }
}

fn expiry(text: &str) -> Result<Timestamp, Problem> {
    rfc3339::parse(text).ok_or_else(|| {
        invalid(
            "time_expire",
            "time_expire must be RFC 3339, such as 2026-06-08T10:34:56+08:00",
        )
    })
}

/// Where an order is paid from.
struct Scene {
    payer_client_ip: Option<String>,
    /// Whether the address was named, or is the one the request came from.
    address_named: bool,
    store_info: Option<Object<extras::StoreBody>>,
}

impl Scene {
    /// Reads the scene of a merchant's order. WeChat Pay wants the payer's address with an h5 order and
    /// with one that names a store: where none is named it is the one the request came from.
    fn read(
        given: Option<Object<SceneBody>>,
        trade_type: TradeType,
        source_ip: Option<&str>,
    ) -> Result<Self, Problem> {
        let has_scene = given.is_some();
        let (address, store_info) = match given {
            Some(Object(scene)) => (scene.payer_client_ip, scene.store_info),
            None => (None, None),
        };
        let address_named = address.is_some();
        let payer_client_ip = match (trade_type, &store_info) {
            (TradeType::H5, _)
            | (TradeType::Jsapi | TradeType::Native | TradeType::App, Some(_)) => {
                if has_scene && address.is_none() && store_info.is_none() {
                    return Err(invalid(
                        "scene_info.payer_client_ip",
                        "scene_info has neither payer_client_ip nor store_info",
                    ));
                }
                address
                    .map(ip_address)
                    .transpose()?
                    .or_else(|| source_ip.map(str::to_owned))
            }
            (TradeType::Jsapi | TradeType::Native | TradeType::App, None) if has_scene => {
                return Err(invalid(
                    "scene_info",
                    "scene_info is for h5 orders and for orders that name a store",
                ));
            }
            (TradeType::Jsapi | TradeType::Native | TradeType::App, None) => None,
        };
        Ok(Self {
            payer_client_ip,
            address_named,
            store_info,
        })
    }
}

/// What a payer's articles come to.
struct Priced {
    items: Vec<Item>,
    description: String,
    total: Fen,
}

impl CreateOrder {
    /// The terms of a new order: priced, dated, and complete for the wire.
    pub(crate) async fn agreed(
        &self,
        request: &OrderRequest,
        order_id: &OrderId,
        incoming: &Incoming,
    ) -> Result<Terms, Problem> {
        let terms = match request {
            OrderRequest::Payer(order) => self.payers_terms(order, order_id, incoming).await?,
            OrderRequest::Merchant(order) => self.merchants_terms(order, order_id, incoming)?,
        };
        let needs_address = terms.trade_type == TradeType::H5 || terms.extras.store.is_some();
        if needs_address && terms.payer_client_ip.is_none() {
            return Err(invalid(
                "scene_info.payer_client_ip",
                "an h5 order, and one that names a store, needs the payer's address",
            ));
        }
        Ok(terms)
    }

    async fn payers_terms(
        &self,
        order: &PayerOrder,
        order_id: &OrderId,
        incoming: &Incoming,
    ) -> Result<Terms, Problem> {
        let now = self.process.clock.business();
        let notify_url = shared::api::notify_url(self.public_base_url.as_deref(), incoming)?;
        let Priced {
            items,
            description,
            total,
        } = self.priced(&order.items).await?;
        let payer_client_ip = match order.trade_type {
            TradeType::H5 => incoming.source_ip.clone(),
            TradeType::Jsapi | TradeType::Native | TradeType::App => None,
        };
        Ok(Terms {
            order_id: order_id.clone(),
            trade_type: order.trade_type,
            wire_version: WIRE_VERSION,
            appid: self.appids.of(order.trade_type)?.clone(),
            mchid: self.mchid.clone(),
            sub_merchant: self.appids.sub_merchant(order.trade_type).cloned(),
            description,
            total,
            time_expire: now.plus_seconds(DEFAULT_ORDER_SECONDS),
            attach: order.attach.clone(),
            notify_url,
            openid: Some(order.openid.clone()),
            payer_client_ip,
            extras: Extras::default(),
            items,
            placed_by: Party::Payer,
            created_at: now,
        })
    }

    fn merchants_terms(
        &self,
        order: &MerchantOrder,
        order_id: &OrderId,
        incoming: &Incoming,
    ) -> Result<Terms, Problem> {
        is_own(&self.own_numbers, order_id)?;
        let now = self.process.clock.business();
        let notify_url = shared::api::notify_url(self.public_base_url.as_deref(), incoming)?;
        if order.extras.profit_sharing && !self.profit_sharing {
            return Err(extras::no_profit_sharing());
        }
        let payable_seconds = ORDER_SECONDS_MIN..=MERCHANT_ORDER_SECONDS_MAX;
        let time_expire = match order.time_expire {
            None => now.plus_seconds(DEFAULT_ORDER_SECONDS),
            Some(expires) if payable_seconds.contains(&expires.seconds_since(now)) => expires,
            Some(_) => {
                return Err(invalid(
                    "time_expire",
                    "time_expire must be 1 minute to 7 days ahead",
                ));
            }
        };
        Ok(Terms {
            order_id: order_id.clone(),
            trade_type: order.trade_type,
            wire_version: if order.extras.is_empty() && !self.appids.is_partners() {
                // The same bytes, which an older build, too, can repeat.
                WIRE_VERSION_PLAIN
            } else {
                WIRE_VERSION
            },
            appid: self.appids.of(order.trade_type)?.clone(),
            mchid: self.mchid.clone(),
            sub_merchant: self.appids.sub_merchant(order.trade_type).cloned(),
            description: order.description.clone(),
            total: order.total,
            time_expire,
            attach: order.attach.clone(),
            notify_url,
            openid: order.openid.clone(),
            payer_client_ip: order.payer_client_ip.clone(),
            extras: order.extras.clone(),
            items: Vec::new(),
            placed_by: Party::Merchant,
            created_at: now,
        })
    }

    async fn priced(&self, asked: &[AskedItem]) -> Result<Priced, Problem> {
        let skus: Vec<&str> = asked.iter().map(|item| item.sku.as_str()).collect();
        let mut articles: BTreeMap<String, _> = self.catalogue.articles(&skus).await?;
        let mut total: Option<Fen> = None;
        let mut items = Vec::with_capacity(asked.len());
        for item in asked {
            let (sku, article) = articles.remove_entry(&item.sku).ok_or_else(|| {
                Problem::new(Code::UnknownSku, format!("{} is not on sale", item.sku))
                    .field("items")
            })?;
            let sum = article
                .price
                .times(item.quantity)
                .and_then(|price| total.map_or(Ok(price), |sum: Fen| sum.plus(price)));
            total = Some(sum.map_err(|error| invalid("items", error.to_string()))?);
            items.push(Item {
                sku,
                description: cut(article.description, DESCRIPTION_MAX),
                quantity: item.quantity,
                unit_price: article.price,
            });
        }
        let (Some(total), Some(first)) = (total, items.first()) else {
            return Err(invalid("items", "items is empty"));
        };
        let mut description = first.description.clone();
        if items.len() > 1 {
            description.push_str(" 等");
        }
        Ok(Priced {
            description: cut(description, DESCRIPTION_MAX),
            items,
            total,
        })
    }
}

fn unnamed() -> Problem {
    invalid(
        "out_trade_no",
        "out_trade_no is missing: a merchant names the order",
    )
}

/// Refuses a number that could be another system's of the merchant number.
fn is_own(own_numbers: &OwnNumbers, order_id: &OrderId) -> Result<(), Problem> {
    match own_numbers.prefix() {
        Some(prefix) if !own_numbers.have(order_id.as_str()) => Err(invalid(
            "out_trade_no",
            format!(
                "out_trade_no must begin with {prefix}: other systems use this merchant number, too"
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn differ(field: &'static str) -> Problem {
    Problem::new(
        Code::TermsDiffer,
        format!("the order with this number differs in {field}"),
    )
    .field(field)
}

fn ip_address(text: String) -> Result<String, Problem> {
    if text.parse::<std::net::IpAddr>().is_err() {
        return Err(invalid(
            "scene_info.payer_client_ip",
            "payer_client_ip must be an IP address",
        ));
    }
    Ok(text)
}

fn openid_of(text: String) -> Result<Openid, Problem> {
    Openid::parse(text)
        .map_err(|error| invalid(error.field, "payer.openid is not of an openid's shape"))
}

/// The text, cut at a character's end to at most `most` bytes.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most)
            .rev()
            .find(|index| text.is_char_boundary(*index))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}
