//! A request for an order, and in what a repeat of it differs from the order that the first one made.
//!
//! What was asked for is compared with what was asked for: a payer names articles and never prices, which may have changed
//! since, and what a merchant left open was filled in once and stays.

use super::extras::Extras;
use super::terms::{Item, Party};
use super::{Fen, Openid, OrderId, Terms, Timestamp, TradeType};

/// A request for an order that is well-formed and allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRequest {
    /// By the mini-program's user.
    Payer(PayerOrder),
    /// By the merchant's back office.
    Merchant(Box<MerchantOrder>),
}

/// What a payer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayerOrder {
    /// How it is to be paid.
    pub trade_type: TradeType,
    /// Who asks: from the token, never from the body.
    pub openid: Openid,
    /// What is ordered, at least one article.
    pub items: Vec<AskedItem>,
    /// A note that WeChat Pay returns.
    pub attach: Option<String>,
}

/// An article and how many of it: all that a payer says of it, and that a repeat is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedItem {
    /// The catalogue's name of the article.
    pub sku: String,
    /// How many, at least 1.
    pub quantity: u32,
}

/// What a merchant asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantOrder {
    /// How it is to be paid.
    pub trade_type: TradeType,
    /// The order's number.
    pub order_id: OrderId,
    /// What the payer sees in the bill.
    pub description: String,
    /// What is to be paid.
    pub total: Fen,
    /// Whose order it is, for `jsapi` alone.
    pub openid: Option<Openid>,
    /// The last moment it can be paid, where it was named.
    pub time_expire: Option<Timestamp>,
    /// The merchant's own note.
    pub attach: Option<String>,
    /// The payer's address.
    pub payer_client_ip: Option<String>,
    /// Whether the address was named, or is only the one the request came from: a repeat may come
    /// from another.
    pub address_named: bool,
    /// What it carries besides.
    pub extras: Extras,
}

impl OrderRequest {
    /// The first field, as the body names it, in which this repeat differs from the order's terms;
    /// `None` where it asks for the same.
    pub fn differing_field(&self, terms: &Terms) -> Option<&'static str> {
        // Without `..`, so that a new term is compared here, or passed over knowingly.
        let Terms {
            order_id: _,
            trade_type,
            wire_version: _,
            appid: _,
            mchid: _,
            sub_merchant: _,
            description,
            total,
            time_expire,
            attach,
            notify_url: _,
            openid,
            payer_client_ip,
            extras,
            items,
            placed_by,
            created_at: _,
        } = terms;
        match self {
            Self::Payer(asked) => first_difference(&[
                ("trade_type", asked.trade_type == *trade_type),
                ("payer.openid", Some(&asked.openid) == openid.as_ref()),
                ("items", same_articles(&asked.items, items)),
                ("attach", asked.attach == *attach),
            ]),
            Self::Merchant(asked) => first_difference(&[
                // A payer's number is the payer's, whatever else the order says.
                ("out_trade_no", *placed_by == Party::Merchant),
                ("trade_type", asked.trade_type == *trade_type),
                ("amount.total", asked.total == *total),
                ("description", asked.description == *description),
                ("payer.openid", asked.openid == *openid),
                ("attach", asked.attach == *attach),
                (
                    "time_expire",
                    asked.time_expire.is_none_or(|named| named == *time_expire),
                ),
                (
                    "scene_info.payer_client_ip",
                    !asked.address_named || asked.payer_client_ip == *payer_client_ip,
                ),
            ])
            .or_else(|| differing_extra(&asked.extras, extras)),
        }
    }
}

fn differing_extra(asked: &Extras, ordered: &Extras) -> Option<&'static str> {
    let Extras {
        goods_tag,
        support_fapiao,
        limit_pay,
        detail,
        store,
        profit_sharing,
    } = ordered;
    first_difference(&[
        ("goods_tag", asked.goods_tag == *goods_tag),
        ("support_fapiao", asked.support_fapiao == *support_fapiao),
        ("limit_pay", asked.limit_pay == *limit_pay),
        ("detail", asked.detail == *detail),
        ("scene_info.store_info", asked.store == *store),
        (
            "settle_info.profit_sharing",
            asked.profit_sharing == *profit_sharing,
        ),
    ])
}

fn first_difference(compared: &[(&'static str, bool)]) -> Option<&'static str> {
    let (field, _) = compared.iter().find(|(_, same)| !same)?;
    Some(field)
}

/// Whether a payer asks for what was ordered. Prices and names may have changed since.
fn same_articles(asked: &[AskedItem], ordered: &[Item]) -> bool {
    let same = |(asked, ordered): (&AskedItem, &Item)| {
        asked.sku == ordered.sku && asked.quantity == ordered.quantity
    };
    asked.len() == ordered.len() && asked.iter().zip(ordered).all(same)
}

#[cfg(test)]
mod tests;
