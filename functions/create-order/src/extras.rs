//! What a merchant's order may carry besides what is paid: read, and held against WeChat Pay's limits.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use shared::api::request_body::{self, Object};
use shared::api::{Code, Problem};
use shared::domain::FEN_MAX;
use shared::domain::extras::{
    ADDRESS_MAX, Detail, Extras, GOODS_TAG_MAX, Goods, LimitPay, NAME_MAX, NUMBER_MAX, Store,
    is_goods_id,
};
use shared::wechatpay::{DETAIL_MAX, DetailBody as SentDetail};

use crate::checks::{invalid, text};

/// The members of a body that are about it.
pub(crate) struct Given {
    pub(crate) goods_tag: Option<String>,
    pub(crate) support_fapiao: Option<bool>,
    pub(crate) limit_pay: Option<Vec<String>>,
    pub(crate) detail: Option<Object<DetailBody>>,
    pub(crate) store_info: Option<Object<StoreBody>>,
    pub(crate) settle_info: Option<Object<SettleBody>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailBody {
    #[serde(default, deserialize_with = "some_price")]
    cost_price: Option<i64>,
    invoice_id: Option<String>,
    goods_detail: Option<Vec<Object<GoodsBody>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodsBody {
    merchant_goods_id: String,
    wechatpay_goods_id: Option<String>,
    goods_name: Option<String>,
    #[serde(deserialize_with = "quantity")]
    quantity: u32,
    #[serde(deserialize_with = "price")]
    unit_price: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreBody {
    id: String,
    name: Option<String>,
    area_code: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleBody {
    profit_sharing: bool,
}

/// Reads a price; an article may be given away.
fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let fen = request_body::whole_number(deserializer, "a whole number of fen")?;
    let price = i64::try_from(fen).ok();
    price
        .filter(|price| (0..=i64::from(FEN_MAX)).contains(price))
        .ok_or_else(|| D::Error::custom(format!("a price must be 0 to {FEN_MAX} fen, not {fen}")))
}

fn some_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    price(deserializer).map(Some)
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = request_body::whole_number(deserializer, "a whole number, at least 1")?;
    let quantity = u32::try_from(number).ok();
    quantity
        .filter(|quantity| *quantity > 0)
        .ok_or_else(|| D::Error::custom(format!("a quantity must be at least 1, not {number}")))
}

impl Given {
    /// What the order carries.
    ///
    /// # Errors
    /// 422 `invalid_value` naming the member that WeChat Pay would refuse.
    pub(crate) fn read(self) -> Result<Extras, Problem> {
        text("goods_tag", self.goods_tag.as_deref(), GOODS_TAG_MAX)?;
        Ok(Extras {
            goods_tag: self.goods_tag,
            support_fapiao: self.support_fapiao.unwrap_or(false),
            limit_pay: self.limit_pay.map_or(Ok(Vec::new()), limits)?,
            detail: self.detail.map(|Object(body)| detail(body)).transpose()?,
            store: self
                .store_info
                .map(|Object(body)| store(body))
                .transpose()?,
            profit_sharing: self
                .settle_info
                .is_some_and(|Object(settle)| settle.profit_sharing),
        })
    }
}

/// The refusal of an order that would freeze money in a stack that does not share it.
pub(crate) fn no_profit_sharing() -> Problem {
    Problem::new(
        Code::FieldNotAllowed,
        "profit_sharing freezes the order's money, and the stack's parameter ProfitSharing is off",
    )
    .field("settle_info.profit_sharing")
}

fn limits(names: Vec<String>) -> Result<Vec<LimitPay>, Problem> {
    let mut limits = Vec::new();
    for name in names {
        let limit = LimitPay::parse(&name).filter(|limit| !limits.contains(limit));
        limits.push(limit.ok_or_else(|| {
            let names = LimitPay::ALL.map(LimitPay::as_str).join(", ");
            invalid("limit_pay", format!("limit_pay has of {names} each once"))
        })?);
    }
    if limits.is_empty() {
        return Err(invalid("limit_pay", "limit_pay is empty"));
    }
    Ok(limits)
}

fn detail(body: DetailBody) -> Result<Detail, Problem> {
    text("detail.invoice_id", body.invoice_id.as_deref(), NUMBER_MAX)?;
    let goods = match body.goods_detail {
        None => Vec::new(),
        Some(goods) if goods.is_empty() => {
            return Err(invalid("detail.goods_detail", "goods_detail is empty"));
        }
        Some(goods) => goods
            .into_iter()
            .map(|Object(body)| article(body))
            .collect::<Result<_, _>>()?,
    };
    let detail = Detail {
        cost_price: body.cost_price,
        invoice_id: body.invoice_id,
        goods,
    };
    if detail == Detail::default() {
        return Err(invalid("detail", "detail is empty"));
    }
    if SentDetail::from(detail.clone()).sent_bytes() > DETAIL_MAX {
        return Err(invalid(
            "detail",
            format!("detail must be at most {DETAIL_MAX} bytes of JSON"),
        ));
    }
    Ok(detail)
}

fn article(body: GoodsBody) -> Result<Goods, Problem> {
    if !is_goods_id(&body.merchant_goods_id) {
        return Err(invalid(
            "detail.goods_detail",
            "a merchant_goods_id must be 1 to 32 characters of A-Z, a-z, 0-9, _ and -",
        ));
    }
    let field = "detail.goods_detail";
    text(field, body.wechatpay_goods_id.as_deref(), NUMBER_MAX)?;
    text(field, body.goods_name.as_deref(), NAME_MAX)?;
    Ok(Goods {
        merchant_goods_id: body.merchant_goods_id,
        wechatpay_goods_id: body.wechatpay_goods_id,
        goods_name: body.goods_name,
        quantity: body.quantity,
        unit_price: body.unit_price,
    })
}

fn store(body: StoreBody) -> Result<Store, Problem> {
    text("scene_info.store_info.id", Some(&body.id), NUMBER_MAX)?;
    text("scene_info.store_info.name", body.name.as_deref(), NAME_MAX)?;
    text(
        "scene_info.store_info.area_code",
        body.area_code.as_deref(),
        NUMBER_MAX,
    )?;
    text(
        "scene_info.store_info.address",
        body.address.as_deref(),
        ADDRESS_MAX,
    )?;
    Ok(Store {
        id: body.id,
        name: body.name,
        area_code: body.area_code,
        address: body.address,
    })
}
