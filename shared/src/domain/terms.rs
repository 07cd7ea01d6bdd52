//! What is agreed when an order is placed: who pays what, how, until when, and what goes on the wire.

use super::extras::{Detail, Extras, Goods, is_goods_id};
use super::{Appid, Fen, Mchid, Openid, OrderId, Timestamp};

/// The ways to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeType {
    /// Inside a mini-program or an official account.
    Jsapi,
    /// A QR code on a screen.
    Native,
    /// A page in the phone's browser.
    H5,
    /// The merchant's own app.
    App,
}

impl TradeType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Jsapi, Self::Native, Self::H5, Self::App];

    /// The name in paths, bodies and the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsapi => "jsapi",
            Self::Native => "native",
            Self::H5 => "h5",
            Self::App => "app",
        }
    }

    /// Reads the name; none of ours gives `None`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|trade_type| trade_type.as_str() == name)
    }
}

/// Who placed an order or asked for a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The mini-program's user.
    Payer,
    /// The merchant's back office.
    Merchant,
}

impl Party {
    /// The name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payer => "payer",
            Self::Merchant => "merchant",
        }
    }

    /// Reads the name; none of ours gives `None`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Payer, Self::Merchant]
            .into_iter()
            .find(|party| party.as_str() == name)
    }
}

/// Whose shop it is, where a partner (服务商) places orders for others: the sub-merchant (特约商户).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubMerchant {
    /// The sub-merchant's number, `sub_mchid`: who gets the money.
    pub mchid: Mchid,
    /// The sub-merchant's app, `sub_appid`: where the payer pays, unless that is the partner's own.
    pub appid: Option<Appid>,
}

/// Whose orders somebody asks about: a merchant's own, or a sub-merchant's of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payee {
    /// Who signs: the merchant, or the partner.
    pub mchid: Mchid,
    /// The sub-merchant, in partner mode.
    pub sub_mchid: Option<Mchid>,
}

impl Payee {
    /// In which number this is another than who is paid by these terms; `None` where it is the same.
    pub fn differing_field(&self, terms: &Terms) -> Option<&'static str> {
        if self.mchid != terms.mchid {
            return Some("mchid");
        }
        (self.sub_mchid.as_ref() != terms.sub_mchid()).then_some("sub_mchid")
    }
}

/// One line of a payer's order, as the catalogue had it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The catalogue's name of the article.
    pub sku: String,
    /// What the article was called, at most 127 bytes.
    pub description: String,
    /// How many, at least 1.
    pub quantity: u32,
    /// What one of them cost.
    pub unit_price: Fen,
}

/// What coupons are told of a payer's articles; `None` where one of them has a SKU that WeChat Pay does not
/// take, since a part of an order would be another order to a coupon.
pub fn detail_of(items: &[Item]) -> Option<Detail> {
    let goods = |item: &Item| Goods {
        merchant_goods_id: item.sku.clone(),
        wechatpay_goods_id: None,
        goods_name: Some(item.description.clone()).filter(|name| !name.is_empty()),
        quantity: item.quantity,
        unit_price: item.unit_price.get(),
    };
    let told = !items.is_empty() && items.iter().all(|item| is_goods_id(&item.sku));
    told.then(|| Detail {
        goods: items.iter().map(goods).collect(),
        ..Detail::default()
    })
}

/// What was agreed when the order was placed; never changes.
///
/// It holds every field that goes on the wire, so that WeChat Pay can be asked again with identical
/// bytes from the record alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The order's number.
    pub order_id: OrderId,
    /// How it is paid.
    pub trade_type: TradeType,
    /// Which serialisation of the wire fields was used first.
    pub wire_version: u32,
    /// The app it was ordered under; in partner mode the partner's, `sp_appid`.
    pub appid: Appid,
    /// The merchant that is paid; in partner mode the partner, `sp_mchid`.
    pub mchid: Mchid,
    /// Who is paid in partner mode.
    pub sub_merchant: Option<SubMerchant>,
    /// What the payer sees in the bill.
    pub description: String,
    /// What is to be paid.
    pub total: Fen,
    /// The last moment it can be paid.
    pub time_expire: Timestamp,
    /// The merchant's own note, returned by WeChat Pay.
    pub attach: Option<String>,
    /// Where WeChat Pay sends the notice.
    pub notify_url: String,
    /// Whose order it is; on the wire only for `jsapi`.
    pub openid: Option<Openid>,
    /// The payer's address; on the wire only for `h5`, and where a store is named.
    pub payer_client_ip: Option<String>,
    /// What is said of it for coupons, invoices, the store and the settlement.
    pub extras: Extras,
    /// What was ordered from the catalogue; empty for a merchant's order.
    pub items: Vec<Item>,
    /// Who placed it.
    pub placed_by: Party,
    /// When it was placed.
    pub created_at: Timestamp,
}

impl Terms {
    /// The sub-merchant's number, in partner mode.
    pub fn sub_mchid(&self) -> Option<&Mchid> {
        self.sub_merchant.as_ref().map(|sub| &sub.mchid)
    }

    /// The sub-merchant's app, where the order names one.
    pub fn sub_appid(&self) -> Option<&Appid> {
        self.sub_merchant.as_ref()?.appid.as_ref()
    }

    /// The app in which the payer pays.
    pub fn payers_appid(&self) -> &Appid {
        self.sub_appid().unwrap_or(&self.appid)
    }
}

#[cfg(test)]
mod tests;
