//! An order's articles and store as JSON: on the wire, in the table and in the merchant's answers alike.

use serde::{Deserialize, Serialize};

use crate::domain::extras::{Detail, Goods, Store};

/// How long `detail` may be as it is sent, in bytes (docs/wechatpay.md, "The rest of an order's body").
pub const DETAIL_MAX: usize = 6_144;

/// A [`Detail`] as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct DetailBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_price: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    goods_detail: Vec<GoodsBody>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GoodsBody {
    merchant_goods_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wechatpay_goods_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_name: Option<String>,
    quantity: u32,
    unit_price: i64,
}

/// A [`Store`] as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoreBody {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl DetailBody {
    /// How long it is as it is sent, in bytes.
    pub fn sent_bytes(&self) -> usize {
        // Texts and integers, which serialise without fail.
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

impl From<Detail> for DetailBody {
    fn from(detail: Detail) -> Self {
        let goods = |goods: Goods| GoodsBody {
            merchant_goods_id: goods.merchant_goods_id,
            wechatpay_goods_id: goods.wechatpay_goods_id,
            goods_name: goods.goods_name,
            quantity: goods.quantity,
            unit_price: goods.unit_price,
        };
        Self {
            cost_price: detail.cost_price,
            invoice_id: detail.invoice_id,
            goods_detail: detail.goods.into_iter().map(goods).collect(),
        }
    }
}

impl From<DetailBody> for Detail {
    fn from(body: DetailBody) -> Self {
        let goods = |goods: GoodsBody| Goods {
            merchant_goods_id: goods.merchant_goods_id,
            wechatpay_goods_id: goods.wechatpay_goods_id,
            goods_name: goods.goods_name,
            quantity: goods.quantity,
            unit_price: goods.unit_price,
        };
        Self {
            cost_price: body.cost_price,
            invoice_id: body.invoice_id,
            goods: body.goods_detail.into_iter().map(goods).collect(),
        }
    }
}

impl From<Store> for StoreBody {
    fn from(store: Store) -> Self {
        let Store {
            id,
            name,
            area_code,
            address,
        } = store;
        Self {
            id,
            name,
            area_code,
            address,
        }
    }
}

impl From<StoreBody> for Store {
    fn from(body: StoreBody) -> Self {
        let StoreBody {
            id,
            name,
            area_code,
            address,
        } = body;
        Self {
            id,
            name,
            area_code,
            address,
        }
    }
}
